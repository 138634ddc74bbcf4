/* Golden traces: what `postern route` prints. */
#include "tables.h"

static const char routing[] = TABLES_RULES(
    "{\"domain\": [\"*.corp.example\", \"hq.example\"], \"sender\": [\"ann@\", \"<>\", \"@x\"], "
    " \"transport\": \"decnet\", \"next_hops\": [\"hub\", \"[192.0.2.1]:26\"], "
    " \"params\": [\"tls=none\"], \"comment\": \"over the VAX\"},"
    "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@example.com\"},"
    "{\"domain\": \"*\", \"ingress\": \"submission\", \"hold\": \"look first\"},"
    "{\"recipient\": \"spam@\", \"fail\": \"5.7.1 no thanks\"},"
    "{\"recipient\": \"null@\", \"discard\": true}");

static void assert_explained(struct route_query q, int colour, const char *expected)
{
    struct tables t;
    struct route_decision d;
    struct route_trace trace;
    struct buf out = { 0 };

    tables_good(&t, routing);
    assert_int_equal(route_decide(t.table, &q, &d, &trace), 0);
    route_explain(&q, &d, &trace, colour, &out);
    assert_string_equal(out.data, expected);
    buf_free(&out);
    route_trace_done(&trace);
    route_decision_done(&d);
    tables_done(&t);
}

static void the_default_comes_after_everything_else(void **state)
{
    struct route_query q = { .rcpt = "bob@example.org",
                             .sender = "ann@example.com",
                             .ingress = "smtp-in" };

    (void)state;
    assert_explained(
        q, 0,
        "bob@example.org\n"
        "  rule 1   (50-routing.json#/routing/rules/0)        no: domain example.org is neither "
        "*.corp.example nor hq.example\n"
        "  rule 2   (50-routing.json#/routing/rules/1)        no: recipient bob@example.org is not "
        "*@old.example\n"
        "  rule 3   (50-routing.json#/routing/rules/2)        no: ingress smtp-in is not "
        "submission\n"
        "  rule 4   (50-routing.json#/routing/rules/3)        no: recipient bob@example.org is not "
        "spam@\n"
        "  rule 5   (50-routing.json#/routing/rules/4)        no: recipient bob@example.org is not "
        "null@\n"
        "  local    (50-routing.json#/routing/local_domains)  no: example.org is not a local "
        "domain\n"
        "  default  (50-routing.json#/routing/default)        yes: nothing above matched\n"
        "  => transport smtp-out, next hops: by MX of example.org\n"
        "     accepted from clients that may relay\n");
}

static void what_is_released_goes_past_the_rules_that_hold(void **state)
{
    struct route_query q = {
        .rcpt = "bob@example.org", .sender = "ann@x", .ingress = "submission", .released = 1
    };

    (void)state;
    assert_explained(
        q, 0,
        "bob@example.org\n"
        "  rule 1   (50-routing.json#/routing/rules/0)        no: domain example.org is neither "
        "*.corp.example nor hq.example\n"
        "  rule 2   (50-routing.json#/routing/rules/1)        no: recipient bob@example.org is not "
        "*@old.example\n"
        "  rule 3   (50-routing.json#/routing/rules/2)        no: it holds this, and an operator "
        "has released it\n"
        "  rule 4   (50-routing.json#/routing/rules/3)        no: recipient bob@example.org is not "
        "spam@\n"
        "  rule 5   (50-routing.json#/routing/rules/4)        no: recipient bob@example.org is not "
        "null@\n"
        "  local    (50-routing.json#/routing/local_domains)  no: example.org is not a local "
        "domain\n"
        "  default  (50-routing.json#/routing/default)        yes: nothing above matched\n"
        "  => transport smtp-out, next hops: by MX of example.org\n"
        "     accepted from clients that may relay\n");
}

static void a_rule_says_what_matched(void **state)
{
    struct route_query q = { .rcpt = "bob@x.corp.example", .sender = "" };

    (void)state;
    assert_explained(
        q, 0,
        "bob@x.corp.example\n"
        "  rule 1  (50-routing.json#/routing/rules/0)  yes: domain x.corp.example matches "
        "*.corp.example, sender <> matches <>\n"
        "  => transport decnet, next hops: hub, [192.0.2.1]:26; with tls=none\n"
        "     (over the VAX)\n"
        "     accepted from clients that may relay\n");
}

static void a_rewrite_is_followed(void **state)
{
    struct route_query q = { .rcpt = "bob@old.example" };

    (void)state;
    assert_explained(
        q, 0,
        "bob@old.example\n"
        "  rule 1  (50-routing.json#/routing/rules/0)        no: domain old.example is neither "
        "*.corp.example nor hq.example\n"
        "  rule 2  (50-routing.json#/routing/rules/1)        yes: recipient bob@old.example "
        "matches *@old.example; rewritten to bob@example.com\n"
        "  rule 1  (50-routing.json#/routing/rules/0)        no: domain example.com is neither "
        "*.corp.example nor hq.example\n"
        "  rule 2  (50-routing.json#/routing/rules/1)        no: recipient bob@example.com is not "
        "*@old.example\n"
        "  rule 3  (50-routing.json#/routing/rules/2)        no: domain example.com is local, and "
        "\"*\" means those that are not\n"
        "  rule 4  (50-routing.json#/routing/rules/3)        no: recipient bob@example.com is not "
        "spam@\n"
        "  rule 5  (50-routing.json#/routing/rules/4)        no: recipient bob@example.com is not "
        "null@\n"
        "  local   (50-routing.json#/routing/local_domains)  yes: example.com is a local domain\n"
        "  => transport local-mbox; recipient bob@example.com\n"
        "     accepted from anyone\n");
}

static void what_is_not_known_is_said(void **state)
{
    struct route_query q = { .rcpt = "spam@hq.example" };

    (void)state;
    assert_explained(
        q, 0,
        "spam@hq.example\n"
        "  rule 1  (50-routing.json#/routing/rules/0)  no: the sender is not known\n"
        "  rule 2  (50-routing.json#/routing/rules/1)  no: recipient spam@hq.example is not "
        "*@old.example\n"
        "  rule 3  (50-routing.json#/routing/rules/2)  no: the ingress is not known\n"
        "  rule 4  (50-routing.json#/routing/rules/3)  yes: recipient spam@hq.example matches "
        "spam@\n"
        "  => fail 5.7.1: no thanks\n");
}

static void an_unqualified_local_name_is_completed(void **state)
{
    struct route_query q = { .rcpt = "root", .sender = "x@y", .ingress = "submission" };

    (void)state;
    assert_explained(
        q, 0,
        "root\n"
        "  rule 1  (50-routing.json#/routing/rules/0)  no: domain gw.example.com is neither "
        "*.corp.example nor hq.example\n"
        "  rule 2  (50-routing.json#/routing/rules/1)  no: recipient root@gw.example.com is not "
        "*@old.example\n"
        "  rule 3  (50-routing.json#/routing/rules/2)  no: domain gw.example.com is local, and "
        "\"*\" means those that are not\n"
        "  rule 4  (50-routing.json#/routing/rules/3)  no: recipient root@gw.example.com is not "
        "spam@\n"
        "  rule 5  (50-routing.json#/routing/rules/4)  no: recipient root@gw.example.com is not "
        "null@\n"
        "  local   (built in)                          yes: an address without a domain is local\n"
        "  => transport local-mbox; recipient root@gw.example.com\n"
        "     accepted from anyone\n");
}

static void long_lists_are_cut(void **state)
{
    struct tables t;
    struct route_decision d;
    struct route_trace trace;
    struct route_query q = { .rcpt = "u@x.example", .sender = "" };

    (void)state;
    tables_good(&t,
                TABLES_RULES("{\"domain\": [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"], "
                             "\"discard\": true}"));
    assert_int_equal(route_decide(t.table, &q, &d, &trace), 0);
    assert_string_equal(trace.steps[0].text, "domain x.example is none of a, b, c, d and 2 more");
    route_trace_done(&trace);
    route_decision_done(&d);
    tables_done(&t);
}

static void colour_is_paint_only(void **state)
{
    struct route_query q = { .rcpt = "null@x.corp.example", .sender = "q@r" };

    (void)state;
    assert_explained(
        q, 1,
        "null@x.corp.example\n"
        "  rule 1  (50-routing.json#/routing/rules/0)  \033[2mno\033[0m: sender q@r is none of "
        "ann@, <>, @x\n"
        "  rule 2  (50-routing.json#/routing/rules/1)  \033[2mno\033[0m: recipient "
        "null@x.corp.example is not *@old.example\n"
        "  rule 3  (50-routing.json#/routing/rules/2)  \033[2mno\033[0m: the ingress is not "
        "known\n"
        "  rule 4  (50-routing.json#/routing/rules/3)  \033[2mno\033[0m: recipient "
        "null@x.corp.example is not spam@\n"
        "  rule 5  (50-routing.json#/routing/rules/4)  \033[32myes\033[0m: recipient "
        "null@x.corp.example matches null@\n"
        "  \033[1m=> discard\033[0m\n"
        "     accepted from clients that may relay\n");
}

static void json_says_the_same(void **state)
{
    struct route_query q = { .rcpt = "bob@hq.example", .sender = "ann@z" };
    struct tables t;
    struct route_decision d;
    struct route_trace trace;
    json_t *j, *decision, *step;

    (void)state;
    tables_good(&t, routing);
    assert_int_equal(route_decide(t.table, &q, &d, &trace), 0);
    j = route_explain_json(&q, &d, &trace);
    decision = json_object_get(j, "decision");
    step = json_array_get(json_object_get(j, "trace"), 0);
    assert_string_equal(json_string_value(json_object_get(j, "recipient")), "bob@hq.example");
    assert_true(json_is_null(json_object_get(j, "ingress")));
    assert_string_equal(json_string_value(json_object_get(decision, "action")), "transport");
    assert_string_equal(json_string_value(json_object_get(decision, "transport")), "decnet");
    assert_int_equal(json_array_size(json_object_get(decision, "next_hops")), 2);
    assert_string_equal(json_string_value(json_object_get(decision, "accept_from")), "trusted");
    assert_int_equal(json_array_size(json_object_get(j, "trace")), 1);
    assert_true(json_is_true(json_object_get(step, "matched")));
    assert_string_equal(json_string_value(json_object_get(step, "pointer")), "/routing/rules/0");
    assert_string_equal(json_string_value(json_object_get(step, "text")),
                        "domain hq.example matches hq.example, sender ann@z matches ann@");
    json_decref(j);
    route_trace_done(&trace);
    route_decision_done(&d);
    tables_done(&t);
}

static void json_of_bad_bytes_is_still_json(void **state)
{
    struct route_query q = { .rcpt = "bo\xff"
                                     "b@x",
                             .sender = "\xfe" };
    struct tables t;
    struct route_decision d;
    struct route_trace trace;
    json_t *j;

    (void)state;
    tables_good(&t, TABLES_LOCAL);
    assert_true(route_decide(t.table, &q, &d, &trace) < 0);
    j = route_explain_json(&q, &d, &trace);
    assert_string_equal(json_string_value(json_object_get(j, "recipient")), "bo?b@x");
    assert_string_equal(json_string_value(json_object_get(j, "sender")), "?");
    assert_true(json_is_null(json_object_get(json_object_get(j, "decision"), "rule")));
    json_decref(j);
    route_trace_done(&trace);
    route_decision_done(&d);
    tables_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_comes_after_everything_else),
        cmocka_unit_test(what_is_released_goes_past_the_rules_that_hold),
        cmocka_unit_test(a_rule_says_what_matched),
        cmocka_unit_test(a_rewrite_is_followed),
        cmocka_unit_test(what_is_not_known_is_said),
        cmocka_unit_test(an_unqualified_local_name_is_completed),
        cmocka_unit_test(long_lists_are_cut),
        cmocka_unit_test(colour_is_paint_only),
        cmocka_unit_test(json_says_the_same),
        cmocka_unit_test(json_of_bad_bytes_is_still_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
