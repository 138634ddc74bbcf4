/* The option engine: every type, every complaint, word for word. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/table.h"
#include "util/text.h"

#define FILE_NAME "conf.d/20-out.json"
#define WHERE     FILE_NAME "#/transports/out"

struct inner {
    const char *name;
    int64_t weight;
};

struct settings {
    const char *text, *text2, *path, *secret;
    int64_t number, yes, wait, room, mode, least;
    struct postern_strings names, listen;
    struct inner one;
    struct postern_objects many;
};

/* clang-format off */
static const struct postern_option inner_table[] = {
    POSTERN_OPT(struct inner, name, POSTERN_OPT_STRING, .flags = POSTERN_OPT_REQUIRED, .doc = "N."),
    POSTERN_OPT(struct inner, weight, POSTERN_OPT_INT, .dflt = "7", .min = 1, .max = 9,
        .doc = "W."),
    { 0 },
};

static const struct postern_option table[] = {
    POSTERN_OPT(struct settings, text, POSTERN_OPT_STRING, .dflt = "hello", .doc = "T."),
    POSTERN_OPT(struct settings, text2, POSTERN_OPT_STRING, .doc = "T."),
    POSTERN_OPT(struct settings, path, POSTERN_OPT_PATH, .dflt = "below/here", .doc = "P."),
    POSTERN_OPT(struct settings, secret, POSTERN_OPT_SECRET, .doc = "S."),
    POSTERN_OPT(struct settings, number, POSTERN_OPT_INT, .dflt = "25", .min = 1, .max = 65535,
        .doc = "N."),
    POSTERN_OPT(struct settings, least, POSTERN_OPT_INT, .dflt = "3", .min = 3, .max = INT64_MAX,
        .doc = "N."),
    POSTERN_OPT(struct settings, yes, POSTERN_OPT_BOOL, .dflt = "true", .doc = "Y."),
    POSTERN_OPT(struct settings, wait, POSTERN_OPT_DURATION, .dflt = "1m", .min = 1000000,
        .max = POSTERN_HOURS(1), .doc = "W."),
    POSTERN_OPT(struct settings, room, POSTERN_OPT_SIZE, .dflt = "64K", .min = 1024,
        .max = 1 << 30, .doc = "R."),
    POSTERN_OPT(struct settings, mode, POSTERN_OPT_CHOICE, .dflt = "may", .choices = "no|may|must",
        .doc = "M."),
    POSTERN_OPT(struct settings, names, POSTERN_OPT_STRINGS, .dflt = "a, b", .min = 1, .max = 3,
        .doc = "N."),
    POSTERN_OPT(struct settings, listen, POSTERN_OPT_LISTEN, .dflt = "127.0.0.1:25", .doc = "L."),
    POSTERN_OPT(struct settings, one, POSTERN_OPT_OBJECT, .sub = inner_table,
        .sub_size = sizeof(struct inner), .doc = "O."),
    POSTERN_OPT(struct settings, many, POSTERN_OPT_OBJECTS, .sub = inner_table,
        .sub_size = sizeof(struct inner), .min = 0, .max = 2, .doc = "M."),
    { 0 },
};
/* clang-format on */

struct run {
    struct arena *arena;
    struct settings settings;
    struct config_errors errors;
    int result;
};

static struct run *fill_with(const char *json, const struct config_hint *hints)
{
    static const char *const skip[] = { "plugin", "enabled", NULL };
    static const struct config_origin origin = { FILE_NAME, "/transports/out" };
    struct run *r = calloc(1, sizeof *r);
    json_t *object = json ? json_loads(json, JSON_REJECT_DUPLICATES, NULL) : NULL;

    assert_true(!json || object);
    r->arena = arena_new();
    r->result = config_fill_hinted(r->arena, table, sizeof *table, object, &origin, skip, hints,
                                   &r->settings, &r->errors);
    json_decref(object);
    return r;
}

static void done(struct run *r)
{
    arena_free(&r->arena);
    config_errors_free(&r->errors);
    free(r);
}

static struct run *fill_ok(const char *json)
{
    struct run *r = fill_with(json, NULL);

    for (size_t i = 0; i < r->errors.n; i++)
        print_error("%s: %s\n", json, r->errors.lines[i]);
    assert_int_equal(r->errors.n, 0);
    assert_int_equal(r->result, 0);
    return r;
}

/* Exactly these lines, one after the other, without the common beginning. */
static void refused(const char *json, const char *lines)
{
    struct run *r = fill_with(json, NULL);
    struct buf all = { 0 };

    for (size_t i = 0; i < r->errors.n; i++) {
        assert_int_equal(strncmp(r->errors.lines[i], WHERE, strlen(WHERE)), 0);
        buf_printf(&all, "%s%s", i ? "\n" : "", r->errors.lines[i] + strlen(WHERE));
    }
    assert_non_null(all.data);
    assert_string_equal(all.data, lines);
    assert_int_equal(r->result, -EINVAL);
    buf_free(&all);
    done(r);
}

static char *here(const char *below)
{
    char *cwd = getcwd(NULL, 0), *r = mem_printf("%s/%s", cwd, below);

    free(cwd);
    return r;
}

static void absent_keys_take_their_defaults(void **state)
{
    struct run *r = fill_ok("{}");
    char *path = here("conf.d/below/here");
    struct settings *s = &r->settings;

    (void)state;
    assert_string_equal(s->text, "hello");
    assert_null(s->text2);
    assert_string_equal(s->path, path);
    assert_null(s->secret);
    assert_int_equal(s->number, 25);
    assert_int_equal(s->yes, 1);
    assert_int_equal(s->wait, 60000000);
    assert_int_equal(s->room, 65536);
    assert_int_equal(s->mode, 1);
    assert_int_equal(s->names.n, 2);
    assert_string_equal(s->names.v[0], "a");
    assert_string_equal(s->names.v[1], "b");
    assert_int_equal(s->listen.n, 1);
    assert_string_equal(s->listen.v[0], "127.0.0.1:25");
    assert_int_equal(s->one.weight, 7);
    assert_null(s->one.name);
    assert_int_equal(s->many.n, 0);
    free(path);
    done(r);
}

static void no_object_at_all_means_all_defaults(void **state)
{
    struct run *r = fill_ok(NULL);

    (void)state;
    assert_int_equal(r->settings.number, 25);
    done(r);
}

static void every_type_takes_its_values(void **state)
{
    struct run *r =
        fill_ok("{\"text\": \"gr\xc3\xbc\xc3\x9f dich\", \"text2\": \"\", \"path\": \"/a\","
                " \"secret\": \"x\\ny\", \"number\": 65535, \"yes\": false, \"wait\": \"1m30s\","
                " \"room\": 2048, \"mode\": \"must\", \"names\": [\"x\", \"y\", \"z\"],"
                " \"listen\": [\"[::1]:25\", \"unix:/run/x\", \"0.0.0.0:0\"],"
                " \"one\": {\"name\": \"eins\", \"weight\": 9},"
                " \"many\": [{\"name\": \"p\"}, {\"name\": \"q\", \"weight\": 1}]}");
    struct settings *s = &r->settings;
    const struct inner *many = s->many.v;

    (void)state;
    assert_string_equal(s->text, "gr\xc3\xbc\xc3\x9f dich");
    assert_string_equal(s->text2, "");
    assert_string_equal(s->path, "/a");
    assert_string_equal(s->secret, "x\ny");
    assert_int_equal(s->number, 65535);
    assert_int_equal(s->yes, 0);
    assert_int_equal(s->wait, 90000000);
    assert_int_equal(s->room, 2048);
    assert_int_equal(s->mode, 2);
    assert_int_equal(s->names.n, 3);
    assert_string_equal(s->names.v[2], "z");
    assert_int_equal(s->listen.n, 3);
    assert_string_equal(s->one.name, "eins");
    assert_int_equal(s->one.weight, 9);
    assert_int_equal(s->many.n, 2);
    assert_string_equal(many[0].name, "p");
    assert_int_equal(many[0].weight, 7);
    assert_string_equal(many[1].name, "q");
    assert_int_equal(many[1].weight, 1);
    done(r);
}

static void a_single_text_is_a_list_of_one(void **state)
{
    struct run *r = fill_ok("{\"names\": \"only\", \"listen\": \"[::]:2525\"}");

    (void)state;
    assert_int_equal(r->settings.names.n, 1);
    assert_string_equal(r->settings.names.v[0], "only");
    assert_string_equal(r->settings.listen.v[0], "[::]:2525");
    done(r);
}

static void comments_and_skipped_keys_are_nobodys_business(void **state)
{
    done(fill_ok("{\"$comment\": 1, \"$comment2\": {\"a\": []}, \"plugin\": 5, \"enabled\": null,"
                 " \"one\": {\"$comment\": \"x\", \"name\": \"n\"}}"));
    (void)state;
}

static void values_of_a_wrong_type_are_told_what_was_expected(void **state)
{
    static const struct {
        const char *json, *line;
    } cases[] = {
        { "{\"text\": 5}", "/text: found 5, expected text in quotes" },
        { "{\"text\": null}", "/text: found null, expected text in quotes" },
        { "{\"text\": [\"a\"]}", "/text: found an array, expected text in quotes" },
        { "{\"text\": {}}", "/text: found an object, expected text in quotes" },
        { "{\"number\": \"25\"}", "/number: found \"25\", expected a whole number, 1 to 65535" },
        { "{\"number\": 2.5}", "/number: found 2.5, expected a whole number, 1 to 65535" },
        { "{\"number\": 1e300}", "/number: found 1e+300, expected a whole number, 1 to 65535" },
        { "{\"number\": true}", "/number: found true, expected a whole number, 1 to 65535" },
        { "{\"yes\": \"yes\"}", "/yes: found \"yes\", expected true or false" },
        { "{\"yes\": 1}", "/yes: found 1, expected true or false" },
        { "{\"wait\": 30}",
          "/wait: found 30 without a unit, expected a duration like \"30s\", "
          "\"5m\", \"1h30m\" or \"3d\"" },
        { "{\"wait\": 0}",
          "/wait: found 0 without a unit, expected a duration like \"30s\", "
          "\"5m\", \"1h30m\" or \"3d\"" },
        { "{\"wait\": \"30\"}",
          "/wait: found \"30\", expected a duration like \"30s\", \"5m\", "
          "\"1h30m\" or \"3d\"" },
        { "{\"wait\": 1.5}",
          "/wait: found 1.5, expected a duration like \"30s\", \"5m\", "
          "\"1h30m\" or \"3d\"" },
        { "{\"room\": \"big\"}",
          "/room: found \"big\", expected a size like \"64K\", \"25M\" or "
          "\"2G\", or a number of bytes" },
        { "{\"room\": -1}",
          "/room: found -1, expected a size like \"64K\", \"25M\" or \"2G\", or "
          "a number of bytes" },
        { "{\"mode\": \"perhaps\"}",
          "/mode: found \"perhaps\", expected \"no\", \"may\" or \"must\"" },
        { "{\"mode\": \"ma\"}", "/mode: found \"ma\", expected \"no\", \"may\" or \"must\"" },
        { "{\"mode\": false}", "/mode: found false, expected \"no\", \"may\" or \"must\"" },
        { "{\"path\": \"\"}", "/path: found \"\", expected a path" },
        { "{\"path\": 1}", "/path: found 1, expected a path in quotes" },
        { "{\"names\": 1}", "/names: found 1, expected a list of texts, or one text" },
        { "{\"names\": [\"a\", 2]}", "/names/1: found 2, expected text in quotes" },
        { "{\"one\": []}", "/one: found an array, expected an object" },
        { "{\"many\": {}}", "/many: found an object, expected a list of objects" },
        { "{\"many\": [1]}", "/many/0: found 1, expected an object" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].json, cases[i].line);
}

static void bounds_are_inclusive_and_said_as_an_operator_writes_them(void **state)
{
    (void)state;
    done(fill_ok("{\"number\": 1, \"wait\": \"1h\", \"room\": \"1G\", \"least\": 3}"));
    refused("{\"number\": 70000}", "/number: found 70000, expected 1 to 65535");
    refused("{\"number\": 0}", "/number: found 0, expected 1 to 65535");
    refused("{\"least\": 2}", "/least: found 2, expected at least 3");
    refused("{\"wait\": \"2h\"}", "/wait: found \"2h\", expected 1s to 1h");
    refused("{\"wait\": \"1ms\"}", "/wait: found \"1ms\", expected 1s to 1h");
    refused("{\"room\": \"2G\"}", "/room: found \"2G\", expected 1K to 1G");
    refused("{\"room\": 12}", "/room: found 12, expected 1K to 1G");
    refused("{\"names\": []}", "/names: found 0 items, expected 1 to 3 items");
    refused("{\"names\": [\"\",\"\",\"\",\"\"]}", "/names: found 4 items, expected 1 to 3 items");
    refused("{\"many\": [{\"name\":\"\"},{\"name\":\"\"},{\"name\":\"\"}]}",
            "/many: found 3 items, expected 0 to 2 items");
}

static void durations_and_sizes_too_large_to_count_are_refused(void **state)
{
    (void)state;
    refused("{\"wait\": \"99999999999999999999d\"}",
            "/wait: found \"99999999999999999999d\", expected a duration like \"30s\", \"5m\", "
            "\"1h30m\" or \"3d\"");
    refused("{\"room\": \"9999999999999T\"}",
            "/room: found \"9999999999999T\", expected a size like \"64K\", \"25M\" or \"2G\", or "
            "a number of bytes");
}

static void endpoints_are_checked_one_by_one(void **state)
{
    (void)state;
    refused("{\"listen\": [\"127.0.0.1:25\", \"localhost:25\"]}",
            "/listen/1: found \"localhost:25\", expected \"address:port\", \"[v6]:port\" or "
            "\"unix:/path\": that is not an IPv4 address before the port (for all addresses: "
            "\"0.0.0.0:PORT\" or \"[::]:PORT\")");
    refused("{\"listen\": \"::1:25\"}",
            "/listen: found \"::1:25\", expected \"address:port\", \"[v6]:port\" or "
            "\"unix:/path\": an IPv6 address wants brackets: \"[2001:db8::1]:25\"");
}

static void control_characters_and_monsters_are_no_text(void **state)
{
    char *json = malloc(70100);

    (void)state;
    refused("{\"text\": \"a\\r\\nb\"}",
            "/text: found a control character (code 13), expected plain text");
    refused("{\"names\": [\"ok\", \"\\u007f\"]}",
            "/names/1: found a control character (code 127), expected plain text");
    strcpy(json, "{\"text\": \"");
    memset(json + strlen(json), 'x', 65537 + 10);
    strcpy(json + 10 + 65537, "\"}");
    refused(json, "/text: found 65537 bytes of text, expected at most 65536");
    free(json);
}

static void long_and_odd_values_are_shown_short_and_safe(void **state)
{
    (void)state;
    refused("{\"number\": \"0123456789012345678901234567890123456789012345678901234567890123456\"}",
            "/number: found \"012345678901234567890123456789012345678901234567890123456789\"..., "
            "expected a whole number, 1 to 65535");
    refused(
        "{\"number\": \"01234567890123456789012345678901234567890123456789012345678\xc3\xbc!\"}",
        "/number: found \"01234567890123456789012345678901234567890123456789012345678\"..., "
        "expected a whole number, 1 to 65535");
    refused("{\"number\": \"\\u001b[2J\\n\"}",
            "/number: found \"\\u001b[2J\\u000a\", expected a whole number, 1 to 65535");
}

static void required_keys_are_missed(void **state)
{
    (void)state;
    refused("{\"one\": {}}", "/one: the required key \"name\" is missing");
    refused("{\"many\": [{\"name\": \"a\"}, {\"weight\": 2}]}",
            "/many/1: the required key \"name\" is missing");
}

/* Who goes on to look for more errors must not meet an item without what every item has. */
static void a_list_with_an_item_that_lacks_something_is_no_list(void **state)
{
    static const char *const bad[] = {
        "{\"many\": [{\"name\": \"a\"}, {\"weight\": 2}]}",
        "{\"many\": [{\"name\": \"a\"}, {\"name\": 7}]}",
        "{\"many\": [{\"name\": \"a\"}, \"b\"]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct run *r = fill_with(bad[i], NULL);

        assert_int_equal(r->errors.n, 1);
        assert_int_equal(r->settings.many.n, 0);
        done(r);
    }
}

static void everything_wrong_is_said_at_once_and_defaults_stand_in(void **state)
{
    struct run *r = fill_with("{\"number\": 0, \"yes\": 3, \"one\": {\"weight\": 10, \"name\": 1},"
                              " \"names\": [1, 2]}",
                              NULL);

    (void)state;
    assert_int_equal(r->errors.n, 6);
    assert_int_equal(r->settings.number, 25);
    assert_int_equal(r->settings.yes, 1);
    assert_int_equal(r->settings.one.weight, 7);
    assert_int_equal(r->settings.names.n, 2);
    done(r);
}

static void unknown_keys_get_the_nearest_name(void **state)
{
    (void)state;
    refused("{\"nubmer\": 5}", "/nubmer: unknown key; did you mean \"number\"?");
    refused("{\"Number\": 5}", "/Number: unknown key; did you mean \"number\"?");
    refused("{\"one\": {\"name\": \"a\", \"wieght\": 1}}",
            "/one/wieght: unknown key; did you mean \"weight\"?");
    refused("{\"one\": {\"name\": \"a\", \"zzz\": 1}}",
            "/one/zzz: unknown key; known here: name, weight");
    refused("{\"quite-something-else\": 5}", "/quite-something-else: unknown key");
}

static void keys_of_another_section_are_sent_there(void **state)
{
    static const struct postern_option sibling[] = {
        { .key = "starttls", .type = POSTERN_OPT_BOOL, .doc = "S." },
        { 0 },
    };
    const struct config_hint hints[] = { { "/ingress/in", sibling, sizeof *sibling },
                                         { NULL, NULL, 0 } };
    struct run *r;

    (void)state;
    refused("{\"retry\": \"5m\"}", "/retry: unknown key; \"retry\" belongs in /queue");
    refused("{\"next_hops\": \"a\"}",
            "/next_hops: unknown key; \"next_hops\" belongs in /routing/rules");
    r = fill_with("{\"starttls\": true}", hints);
    assert_int_equal(r->errors.n, 1);
    assert_string_equal(r->errors.lines[0],
                        WHERE "/starttls: unknown key; \"starttls\" belongs in /ingress/in");
    done(r);
}

static void pointers_are_escaped_and_stay_on_one_line(void **state)
{
    (void)state;
    refused("{\"a/b~c-and-so-on\": 1}", "/a~1b~0c-and-so-on: unknown key");
    refused("{\"line\\nend-and-so-on\": 1}", "/line\\x0aend-and-so-on: unknown key");
}

static void thousands_of_errors_become_a_hundred_and_one(void **state)
{
    struct buf json = { 0 };
    struct run *r;

    (void)state;
    buf_adds(&json, "{");
    for (unsigned i = 0; i < 5000; i++)
        buf_printf(&json, "\"unknown-key-%u\": 1, ", i);
    buf_adds(&json, "\"yes\": true}");
    r = fill_with(json.data, NULL);
    assert_int_equal(r->errors.n, 101);
    assert_string_equal(r->errors.lines[100], "too many errors: the rest is not shown");
    assert_int_equal(r->result, -EINVAL);
    buf_free(&json);
    done(r);
}

static void rows_of_a_longer_struct_are_stepped_over(void **state)
{
    struct newer {
        struct postern_option row;
        char more[40];
    } rows[2] = { { .row = { .key = "n", .dflt = "4", .type = POSTERN_OPT_INT, .doc = "N." } } };
    const struct config_origin origin = { "f", "" };
    struct config_errors errors = { 0 };
    struct arena *arena = arena_new();
    int64_t n = 0;

    (void)state;
    memset(rows[0].more, 0xff, sizeof rows[0].more);
    assert_int_equal(
        config_fill(arena, &rows[0].row, sizeof *rows, NULL, &origin, NULL, &n, &errors), 0);
    assert_int_equal(n, 4);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_keys_take_their_defaults),
        cmocka_unit_test(no_object_at_all_means_all_defaults),
        cmocka_unit_test(every_type_takes_its_values),
        cmocka_unit_test(a_single_text_is_a_list_of_one),
        cmocka_unit_test(comments_and_skipped_keys_are_nobodys_business),
        cmocka_unit_test(values_of_a_wrong_type_are_told_what_was_expected),
        cmocka_unit_test(bounds_are_inclusive_and_said_as_an_operator_writes_them),
        cmocka_unit_test(durations_and_sizes_too_large_to_count_are_refused),
        cmocka_unit_test(endpoints_are_checked_one_by_one),
        cmocka_unit_test(control_characters_and_monsters_are_no_text),
        cmocka_unit_test(long_and_odd_values_are_shown_short_and_safe),
        cmocka_unit_test(required_keys_are_missed),
        cmocka_unit_test(a_list_with_an_item_that_lacks_something_is_no_list),
        cmocka_unit_test(everything_wrong_is_said_at_once_and_defaults_stand_in),
        cmocka_unit_test(unknown_keys_get_the_nearest_name),
        cmocka_unit_test(keys_of_another_section_are_sent_there),
        cmocka_unit_test(pointers_are_escaped_and_stay_on_one_line),
        cmocka_unit_test(thousands_of_errors_become_a_hundred_and_one),
        cmocka_unit_test(rows_of_a_longer_struct_are_stepped_over),
    };

    return cmocka_run_group_tests_name("config/fill", tests, NULL, NULL);
}
