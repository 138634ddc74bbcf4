/* cli/mx.c: postern mx DOMAIN... [--json]: where would mail for a domain be taken, if nothing but
 * its name decides? Asks the resolver that the workers ask, with its four sources. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <postern/mail.h>

#include "cli/cli.h"
#include "config/table.h"
#include "dns/dns.h"
#include "util/cleanup.h"

struct exchanger {
    struct asking *asking;
    uint32_t preference;
    char *name;         /* "": the null MX */
    const char *source; /* static */
    int result;         /* of its addresses */
    json_t *addresses;
};

struct asking { /* about one domain */
    struct loop *loop;
    struct dns *dns;
    const char *domain;
    size_t open; /* questions that are not answered */
    int result;
    size_t n;
    struct exchanger *v;
};

/* --- asking --- */

static void answered(struct asking *a)
{
    if (--a->open == 0)
        loop_stop(a->loop);
}

static void on_host(void *ctx, int result, const char *const *addresses, size_t n)
{
    struct exchanger *x = ctx;

    x->result = result;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(x->addresses, config_text_json(addresses[i]));
    answered(x->asking);
}

static void on_mx(void *ctx, int result, const struct postern_mx *mx, size_t n)
{
    struct asking *a = ctx;
    struct dns_query *query;

    a->result = result;
    a->v = mem_zalloc((n + 1) * sizeof *a->v);
    a->n = n;
    for (size_t i = 0; i < n; i++) {
        struct exchanger *x = &a->v[i];

        *x = (struct exchanger){ .asking = a,
                                 .preference = mx[i].preference,
                                 .name = mem_strdup(mx[i].name),
                                 .source = mx[i].source,
                                 .addresses = json_array() };
        if (!*x->name)
            continue;
        a->open++;
        dns_host(a->dns, x->name, on_host, x, &query);
    }
    answered(a);
}

static void asking_done(struct asking *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->v[i].name);
        json_decref(a->v[i].addresses);
    }
    free(a->v);
}

/* --- what is said --- */

static const char *why_not(int result)
{
    return result == -ENOENT ? "does not exist, or has neither exchangers nor addresses"
        : result == -EAGAIN  ? "can't be found out now: no name server gave an answer"
                             : "is no domain; expected one like example.org, or [192.0.2.1]";
}

static int is_null_mx(const struct asking *a)
{
    return a->n == 1 && !*a->v[0].name;
}

static int code_of(const struct asking *a)
{
    switch (a->result) {
    case 0:
        return is_null_mx(a) ? EX_NOHOST : EX_OK;
    case -ENOENT:
        return EX_NOHOST;
    case -EAGAIN:
        return EX_TEMPFAIL;
    default:
        return EX_DATAERR;
    }
}

static void print_addresses(const struct exchanger *x)
{
    const json_t *address;
    size_t i;

    json_array_foreach (x->addresses, i, address)
        printf("%s%s", i ? ", " : "", json_string_value(address));
    if (x->result == -EAGAIN)
        fputs("no address: can't be found out now", stdout);
    else if (x->result)
        fputs("no address: does not exist, or has none", stdout);
    putchar('\n');
}

static void print(const struct asking *a)
{
    int width = 0;
    char shown[256];

    postern_text_clean(a->domain, strlen(a->domain), shown, sizeof shown);
    if (a->result) {
        fprintf(stderr, "postern: %s: %s\n", shown, why_not(a->result));
        return;
    }
    printf("%s\n", shown);
    if (is_null_mx(a)) {
        puts("  takes no mail (its MX is \".\")");
        return;
    }
    for (size_t i = 0; i < a->n; i++) {
        int len = (int)strlen(a->v[i].name);

        width = len > width ? len : width;
    }
    for (size_t i = 0; i < a->n; i++) {
        const struct exchanger *x = &a->v[i];

        printf("  %5u  %-*s  %-10s  ", (unsigned)x->preference, width, x->name, x->source);
        print_addresses(x);
    }
}

static json_t *exchanger_json(const struct exchanger *x)
{
    json_t *j =
        json_pack("{s:I, s:o, s:s, s:O}", "preference", (json_int_t)x->preference, "name",
                  config_text_json(x->name), "source", x->source, "addresses", x->addresses);

    if (x->result)
        json_object_set_new(j, "error",
                            json_string(x->result == -EAGAIN ? "unknown" : "no address"));
    return j;
}

static json_t *asking_json(const struct asking *a)
{
    json_t *list = json_array(), *j;

    for (size_t i = 0; i < a->n && !is_null_mx(a); i++)
        json_array_append_new(list, exchanger_json(&a->v[i]));
    j = json_pack("{s:o, s:b, s:o}", "domain", config_text_json(a->domain), "takes_mail",
                  code_of(a) == EX_OK, "exchangers", list);
    if (a->result)
        json_object_set_new(j, "error", json_string(why_not(a->result)));
    return j;
}

/* --- the verb --- */

static int ask(struct loop *loop, struct dns *dns, const char *domain, json_t *list)
{
    struct asking a = { .loop = loop, .dns = dns, .domain = domain, .open = 1 };
    struct dns_query *query;
    int code;

    dns_mx(dns, domain, on_mx, &a, &query);
    loop_run(loop);
    if (list)
        json_array_append_new(list, asking_json(&a));
    else
        print(&a);
    code = code_of(&a);
    asking_done(&a);
    return code;
}

static int ask_all(const struct config *cfg, char **domains, int n, json_t *list)
{
    struct loop *loop = loop_new(0);
    struct dns *dns = NULL;
    char why[256];
    int code = EX_OK;

    if (dns_new(loop, &cfg->dns, &dns, why, sizeof why) < 0)
        code = cli_error(EX_CONFIG, "%s", why);
    for (int i = 0; i < n && dns; i++) {
        int one = ask(loop, dns, domains[i], list);

        if (code == EX_OK)
            code = one;
    }
    dns_free(&dns);
    loop_free(&loop);
    return code;
}

/* Moves the domains to the front of argv[1...]; *ret_n: how many there are. */
static int parse(struct cli_common *common, int argc, char **argv, int *ret_n)
{
    int n = 0;

    cli_common_init(common);
    for (int i = 1; i < argc; i++) {
        int r = cli_common_option(common, argc, argv, &i);

        if (r < 0)
            return EX_USAGE;
        if (r == 0 && argv[i][0] == '-')
            return cli_usage("mx", "unknown option %s; expected DOMAIN... [--json]", argv[i]);
        if (r == 0)
            argv[1 + n++] = argv[i];
    }
    *ret_n = n;
    return n ? EX_OK : cli_usage("mx", "no domain; expected DOMAIN... [--json]");
}

int cli_mx(int argc, char **argv)
{
    struct cli_common common;
    struct config *cfg = NULL;
    json_t *list = NULL;
    int n, code = parse(&common, argc, argv, &n);

    if (code == EX_OK)
        code = cli_load_config(&common, &cfg);
    if (code != EX_OK)
        return code;
    if (common.json)
        list = json_array();
    code = ask_all(cfg, argv + 1, n, list);
    if (list && code != EX_CONFIG) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(list);
    config_free(&cfg);
    return code;
}
