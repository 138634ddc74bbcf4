/* Lines of what an operator expects: how they are read, and when they hold. */
#include <errno.h>

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
    struct route_decision d;
    const char *why = "";
    int r = route_expect_parse(line, &e, &why);

    if (r != 1)
        print_error("%s: %s\n", text, why);
    assert_int_equal(r, 1);
    assert_int_equal(route_decide(t->table,
                                  &(struct route_query){ .sender = e.sender, .rcpt = e.rcpt }, &d,
                                  NULL),
                     0);
    r = route_expect_holds(&e, &d);
    route_decision_done(&d);
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

static void an_outcome_is_written_as_it_is_expected(void **state)
{
    static const char *const rcpts[] = { "bob@a.corp.example", "bob@old.example", "h@example.com",
                                         "d@example.com", "bob@example.org" };
    struct tables t;

    (void)state;
    tables_good(&t, ROUTING);
    for (size_t i = 0; i < sizeof rcpts / sizeof *rcpts; i++) {
        struct route_query q = { .rcpt = rcpts[i] };
        struct route_decision d;
        struct buf out = { 0 }, line = { 0 };

        assert_int_equal(route_decide(t.table, &q, &d, NULL), 0);
        route_outcome(&q, &d, &out);
        buf_printf(&line, "%s -> %s", rcpts[i], out.data);
        assert_true(holds(&t, line.data));
        route_decision_done(&d);
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
        cmocka_unit_test(an_outcome_is_written_as_it_is_expected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
