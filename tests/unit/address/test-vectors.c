/* The vectors of address-vectors.json: what the documents of UCX, TCPware and MultiNet say of
 * foreign addresses, each with its source. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <postern/mail.h>

typedef int translate(const struct postern_address_site *site, const char *text, size_t len,
                      char *buf, size_t size, const char **reterr_why);

/* The recipient's own line of VMS MAIL, and what masked text its MAIL$PROTOCOL sees. */
static int cent_decode(const struct postern_address_site *site, const char *text, size_t len,
                       char *buf, size_t size, const char **reterr_why)
{
    translate *how = text[0] == 'S' ? postern_address_unjacket : postern_address_unmask;

    return how(site, text, len, buf, size, reterr_why);
}

/* "originator => recipient" */
static int vms_from_line(const struct postern_address_site *site, const char *text, size_t len,
                         char *buf, size_t size, const char **reterr_why)
{
    const char *arrow = strstr(text, " => ");

    assert_non_null(arrow);
    return postern_address_vms_from(site, text, (size_t)(arrow - text), arrow + 4,
                                    len - (size_t)(arrow + 4 - text), buf, size, reterr_why);
}

static const struct {
    const char *name;
    translate *run;
} directions[] = {
    { "smtpfy", postern_address_smtpfy },
    { "unsmtpfy", postern_address_unsmtpfy },
    { "cent_encode", postern_address_jacket },
    { "cent_decode", cent_decode },
    { "vms_from_line", vms_from_line },
    { "source_route_to_percent", postern_address_route_to_percent },
    { "percent_to_source_route", postern_address_percent_to_route },
};

/* Message Router's own translations: its terms, mailboxes and null routes are the business of the
 * message-router plugin, which brings the tables that they need. */
static const char *const skipped[] = { "mr_to_smtp", "smtp_to_mr", "a1_to_mr",  "a1_to_smtp",
                                       "mr_to_a1",   "mr_to_vms",  "smtp_to_a1" };

static translate *find_direction(const char *name)
{
    for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++) {
        if (strcmp(directions[i].name, name) == 0)
            return directions[i].run;
    }
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++) {
        if (strcmp(skipped[i], name) == 0)
            return NULL;
    }
    fail_msg("a vector of a direction that this test does not know: %s", name);
    return NULL;
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static struct postern_address_site site_of(const json_t *config)
{
    struct postern_address_site site = {
        .size = sizeof site,
        .domain = text_of(config, "substitute_domain"),
        .host = text_of(config, "hostname"),
        .decnet_domain = text_of(config, "decnet_domain"),
        .account = text_of(config, "smtp_account"),
    };

    if (json_is_true(json_object_get(config, "rewrite_mts_from")))
        site.flags |= POSTERN_SITE_REWRITE_MTS;
    if (json_is_true(json_object_get(config, "mts_allin1")))
        site.flags |= POSTERN_SITE_MTS_ALLIN1;
    return site;
}

static void check_vector(const json_t *v, translate *run)
{
    struct postern_address_site site = site_of(json_object_get(v, "config"));
    const char *input = text_of(v, "input"), *why = "";
    char buf[POSTERN_ADDRESS_SIZE] = "";
    int r = run(&site, input, strlen(input), buf, sizeof buf, &why);

    if (r < 0 || strcmp(buf, text_of(v, "expect")) != 0)
        fail_msg("%s: %s became %s (%s), expected %s", text_of(v, "name"), input, buf, why,
                 text_of(v, "expect"));
    assert_int_equal(r, strlen(buf));
}

static void U_26_every_vector_but_message_routers_own_holds(void **state)
{
    const char *top = getenv("POSTERN_TOP_SRCDIR");
    size_t i, ran = 0, passed_over = 0;
    char path[4096];
    json_error_t error;
    json_t *all, *v;

    (void)state;
    snprintf(path, sizeof path, "%s/tests/unit/address/address-vectors.json", top ? top : ".");
    all = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!all)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    json_array_foreach (all, i, v) {
        translate *run = find_direction(text_of(v, "direction"));

        if (run)
            check_vector(v, run);
        else
            print_message("# skipped: %s (%s)\n", text_of(v, "name"), text_of(v, "direction"));
        ran += run != NULL;
        passed_over += run == NULL;
    }
    json_decref(all);
    assert_int_equal(ran, 39);
    assert_int_equal(passed_over, 29);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_26_every_vector_but_message_routers_own_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
