/* Lines of what an operator expects: how they are read, and when they hold. */
#include <errno.h>

#include "route/expect.h"
#include "tables.h"

#define ROUTING \
    TABLES_RULES("{\"domain\": \".corp.example\", \"transport\": \"decnet\", " \
                 "\"next_hops\": [\"hub\", \"[192.0.2.1]:26\"]}," \
                 "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@example.com\"}," \
                 "{\"sender\": \"<>\", \"fail\": \"5.7.1 no\"}," \
                 "{\"recipient\": \"h@\", \"hold\": \"\"}," \
                 "{\"recipient\": \"d@\", \"discard\": true}")

static int holds(struct tables *t, const char *text)
{
    char *line = mem_strdup(text);
    struct route_expectation e;
    struct route_expansion x;
    const char *why = "";
    int r = route_expect_parse(line, &e, &why);

    if (r != 1)
        print_error("%s: %s\n", text, why);
    assert_int_equal(r, 1);
    assert_int_equal(
        route_expand(t->table, &(struct route_query){ .sender = e.sender, .rcpt = e.rcpt }, 0, &x),
        0);
    r = route_expect_holds(&e, &x);
    route_expansion_done(&x);
    free(line);
    return r;
}

static void what_is_said_is_compared_and_nothing_else(void **state)
{
    static const struct {
        const char *line;
        int holds;
    } cases[] = {
        { "ann@x.example, bob@example.com -> local-mbox", 1 },
        { " , bob@example.com\t-> Local-MBOX \r\n", 1 },
        { "bob@example.com -> smtp-out", 0 },
        { "bob@a.corp.example -> decnet via hub, [192.0.2.1]:26", 1 },
        { "bob@a.corp.example -> decnet via HUB,[192.0.2.1]:26", 1 },
        { "bob@a.corp.example -> decnet via hub", 0 },
        { "bob@a.corp.example -> decnet via hub, [192.0.2.1]:26, third", 0 },
        { "bob@a.corp.example -> decnet", 1 },
        { "bob@a.corp.example -> via hub, [192.0.2.1]:26", 1 },
        { "bob@example.org -> smtp-out via mx", 1 },
        { "bob@a.corp.example -> decnet via mx", 0 },
        { "bob@old.example -> local-mbox as bob@example.com", 1 },
        { "bob@old.example -> as bob@example.com", 1 },
        { "bob@old.example -> local-mbox as ann@example.com", 0 },
        { "<>, bob@example.org -> fail 5.7.1", 1 },
        { "<>, bob@example.org -> fail 5.7", 1 },
        { "<>, bob@example.org -> fail", 1 },
        { "<>, bob@example.org -> fail 5.1.1", 0 },
        { "*, bob@example.org -> fail", 0 },
        { "<ann@x.example>, <h@example.com> -> hold", 1 },
        { "d@example.com -> discard", 1 },
        { "\"a,->b\"@x, \"c,->d\"@example.com -> local-mbox", 1 },
    };
    struct tables t;

    (void)state;
    tables_good(&t, ROUTING);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (holds(&t, cases[i].line) != cases[i].holds)
            fail_msg("%s", cases[i].line);
    }
    tables_done(&t);
}

static void lines_that_say_nothing_and_lines_that_say_wrong(void **state)
{
    static const struct {
        const char *line;
        int result;
    } cases[] = {
        { "", 0 },
        { "  # a comment -> here", 0 },
        { "bob@example.com", -EINVAL },
        { "-> smtp-out", -EINVAL },
        { "ann@x, -> smtp-out", -EINVAL },
        { "bob@example.com ->", -EINVAL },
        { "bob@example.com -> smtp-out 5.1.1", -EINVAL },
        { "bob@example.com -> fail never", -EINVAL },
        { "bob@example.com -> local-mbox; smtp-out", 1 },
        { "bob@example.com -> local-mbox;", -EINVAL },
        { "bob@example.com -> ; local-mbox", -EINVAL },
        { "bob@example.com -> local-mbox as \"a;b\"@example.com", 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *line = mem_strdup(cases[i].line);
        struct route_expectation e;
        const char *why = NULL;

        if (route_expect_parse(line, &e, &why) != cases[i].result)
            fail_msg("%s", cases[i].line);
        assert_int_equal(why != NULL, cases[i].result < 0);
        free(line);
    }
}

static void places_have_a_limit(void **state)
{
    (void)state;
    for (size_t n = ROUTE_EXPECT_PLACES_MAX; n <= ROUTE_EXPECT_PLACES_MAX + 1; n++) {
        struct buf line = { 0 };
        struct route_expectation e;
        const char *why = NULL;

        buf_adds(&line, "bob@example.com -> hold");
        for (size_t i = 1; i < n; i++)
            buf_adds(&line, "; hold");
        assert_int_equal(route_expect_parse(line.data, &e, &why),
                         n > ROUTE_EXPECT_PLACES_MAX ? -EINVAL : 1);
        if (why)
            assert_string_equal(why, "more than 64 places are expected");
        else
            assert_int_equal(e.n, n);
        buf_free(&line);
    }
}

/* --- with aliases --- */

#define ALIASES \
    "everybody: bob@example.com, ann@a.corp.example, \"|/bin/archive all\";\n" \
    "staff: bob@example.com, carol@example.com;\n" \
    "circle: circle2;\ncircle2: circle;\n"

static char alias_file[] = "/tmp/postern-expect-XXXXXX";

static int write_aliases(void **state)
{
    int fd = mkstemp(alias_file);

    (void)state;
    if (fd < 0)
        return -1;
    return write(fd, ALIASES, strlen(ALIASES)) == (ssize_t)strlen(ALIASES) && close(fd) == 0 ? 0
                                                                                             : -1;
}

static int remove_aliases(void **state)
{
    (void)state;
    return unlink(alias_file);
}

static void tables_with_aliases(struct tables *t)
{
    char *text = mem_printf(
        ROUTING "}, \"aliases\": {\"pipe_transport\": \"decnet\", \"files\": [{\"path\": \"%s\", "
                "\"syntax\": \"tcpware\"}]",
        alias_file);

    tables_good(t, text);
    free(text);
}

static void every_place_is_expected_and_every_expected_place_is_there(void **state)
{
    static const struct {
        const char *line;
        int holds;
    } cases[] = {
        { "staff@example.com -> local-mbox", 1 }, /* all of them go there */
        { "staff@example.com -> local-mbox as bob@example.com", 0 },
        { "staff@example.com -> local-mbox as carol@example.com; local-mbox as bob@example.com",
          1 },
        { "staff@example.com -> local-mbox; smtp-out", 0 },
        { "everybody@example.com -> local-mbox", 0 },
        { "everybody@example.com -> local-mbox; decnet via hub, [192.0.2.1]:26", 0 },
        { "everybody@example.com -> local-mbox; decnet", 1 },
        { "everybody@example.com -> local-mbox; decnet via hub, [192.0.2.1]:26; "
          "decnet as |/bin/archive all",
          1 },
        { "everybody@example.com -> decnet as |/bin/archive all; local-mbox;decnet", 1 },
        { "everybody@example.com -> decnet as |/bin/archive none; local-mbox; decnet", 0 },
        { "everybody@example.com -> decnet as everybody@example.com; decnet; local-mbox", 0 },
        { "circle@example.com -> fail 5.4.6", 1 },
        { "circle@example.com -> local-mbox", 0 },
    };
    struct tables t;

    (void)state;
    tables_with_aliases(&t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (holds(&t, cases[i].line) != cases[i].holds)
            fail_msg("%s", cases[i].line);
    }
    tables_done(&t);
}

static void an_outcome_is_written_as_it_is_expected(void **state)
{
    static const struct {
        const char *rcpt, *outcome;
    } cases[] = {
        { "bob@a.corp.example", "decnet via hub, [192.0.2.1]:26" },
        { "bob@old.example", "local-mbox as bob@example.com" },
        { "h@example.com", "hold" },
        { "d@example.com", "discard" },
        { "bob@example.org", "smtp-out" },
        { "everybody@example.com",
          "decnet as |/bin/archive all; decnet via hub, [192.0.2.1]:26 as ann@a.corp.example; "
          "local-mbox as bob@example.com" },
        { "staff@old.example", "local-mbox as bob@example.com; local-mbox as carol@example.com" },
    };
    struct tables t;

    (void)state;
    tables_with_aliases(&t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct route_query q = { .rcpt = cases[i].rcpt };
        struct route_expansion x;
        struct buf out = { 0 }, line = { 0 };

        assert_int_equal(route_expand(t.table, &q, 0, &x), 0);
        route_expansion_outcome(&q, &x, 0, &out);
        assert_string_equal(out.data, cases[i].outcome);
        buf_printf(&line, "%s -> %s", cases[i].rcpt, out.data);
        assert_true(holds(&t, line.data));
        route_expansion_done(&x);
        buf_free(&out);
        buf_free(&line);
    }
    tables_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_compared_and_nothing_else),
        cmocka_unit_test(lines_that_say_nothing_and_lines_that_say_wrong),
        cmocka_unit_test(places_have_a_limit),
        cmocka_unit_test(every_place_is_expected_and_every_expected_place_is_there),
        cmocka_unit_test(an_outcome_is_written_as_it_is_expected),
    };

    return cmocka_run_group_tests(tests, write_aliases, remove_aliases);
}
