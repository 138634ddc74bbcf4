/* Decisions: the order of the list, what each condition and action does, and rewriting. */
#include <errno.h>

#include "tables.h"

struct decided {
    struct tables t;
    struct route_decision d;
};

static void decide_query(struct decided *x, const char *routing, struct route_query q)
{
    tables_good(&x->t, routing);
    assert_int_equal(route_decide(x->t.table, &q, &x->d, NULL), 0);
}

static void decide(struct decided *x, const char *routing, const char *rcpt)
{
    decide_query(x, routing, (struct route_query){ .rcpt = rcpt });
}

static void decided_done(struct decided *x)
{
    route_decision_done(&x->d);
    tables_done(&x->t);
}

static void assert_goes(const char *routing, struct route_query q, const char *expected)
{
    struct tables t;

    tables_good(&t, routing);
    tables_goes(&t, q, expected);
    tables_done(&t);
}

static struct route_query to(const char *rcpt)
{
    return (struct route_query){ .rcpt = rcpt };
}

static void without_rules_local_stays_and_the_rest_leaves(void **state)
{
    struct decided x;

    (void)state;
    decide(&x, TABLES_LOCAL, "Bob@Example.COM.");
    assert_int_equal(x.d.action, ROUTE_TRANSPORT);
    assert_string_equal(x.d.transport, "local-mbox");
    assert_string_equal(x.d.rule->what, "local domain");
    assert_string_equal(x.d.domain, "example.com");
    assert_string_equal(x.d.rcpt, "Bob@Example.COM.");
    assert_null(x.d.rewritten);
    assert_int_equal(x.d.anyone, 1);
    assert_int_equal(x.d.next_hop_n, 0);
    decided_done(&x);

    decide(&x, TABLES_LOCAL, "bob@example.org");
    assert_string_equal(x.d.transport, "smtp-out");
    assert_string_equal(x.d.rule->what, "default");
    assert_int_equal(x.d.anyone, 0);
    decided_done(&x);

    assert_goes(TABLES_LOCAL, to("bob@a.sub.example.com"), "local-mbox");
    assert_goes(TABLES_LOCAL, to("bob@sub.example.com"), "smtp-out");
    assert_goes(TABLES_LOCAL, to("bob@[198.51.100.77]"), "smtp-out");
}

static void an_address_without_domain_is_local(void **state)
{
    struct decided x;

    (void)state;
    decide(&x, TABLES_LOCAL, "Postmaster");
    assert_string_equal(x.d.transport, "local-mbox");
    assert_string_equal(x.d.rcpt, "Postmaster@gw.example.com");
    assert_ptr_equal(x.d.rcpt, x.d.rewritten);
    assert_string_equal(x.d.domain, "gw.example.com");
    assert_int_equal(x.d.anyone, 1);
    decided_done(&x);
    /* Its domain alone is not one of those that the operator calls local. */
    assert_goes(TABLES_LOCAL, to("postmaster@gw.example.com"), "smtp-out");
    assert_goes(TABLES_RULES("{\"recipient\": \"root@\", \"hold\": \"\"}"), to("root"), "hold");
}

static void rules_are_tried_in_order_before_local_domains(void **state)
{
    static const char routing[] =
        TABLES_RULES("{\"recipient\": \"bob@example.com\", \"hold\": \"on leave\"},"
                     "{\"domain\": [\"example.com\", \"example.org\"], \"fail\": \"4.2.1 later\"},"
                     "{\"domain\": \"example.org\", \"discard\": true}");
    struct decided x;

    (void)state;
    decide(&x, routing, "BOB@example.com");
    assert_int_equal(x.d.action, ROUTE_HOLD);
    assert_string_equal(x.d.text, "on leave");
    assert_int_equal(x.d.rule->index, 0);
    assert_string_equal(x.d.rule->origin.pointer, "/routing/rules/0");
    /* Our own domain: anybody may write to it, wherever a rule sends it. */
    assert_int_equal(x.d.anyone, 1);
    decided_done(&x);
    decide(&x, routing, "ann@example.org");
    assert_int_equal(x.d.action, ROUTE_FAIL);
    assert_int_equal(x.d.status[0], 4);
    assert_string_equal(x.d.text, "later");
    decided_done(&x);
}

static void a_star_as_domain_spares_local_mail(void **state)
{
    static const char star[] = TABLES_RULES("{\"domain\": \"*\", \"transport\": \"decnet\"}");
    static const char all[] = TABLES_RULES("{\"recipient\": \"*\", \"hold\": \"maintenance\"}");

    (void)state;
    assert_goes(star, to("bob@example.com"), "local-mbox");
    assert_goes(star, to("bob@a.sub.example.com"), "local-mbox");
    assert_goes(star, to("root"), "local-mbox");
    assert_goes(star, to("bob@example.org"), "decnet");
    assert_goes(all, to("bob@example.com"), "hold");
    assert_goes(all, to("root"), "hold");
    assert_goes(TABLES_RULES("{\"domain\": [\"*\", \"example.com\"], \"hold\": \"\"}"),
                to("bob@example.com"), "hold");
}

static void all_conditions_must_hold_and_any_item_does(void **state)
{
    static const char routing[] = TABLES_RULES(
        "{\"domain\": [\"a.example\", \"b.example\"], \"sender\": [\"@x.example\", \"<>\"], "
        "\"ingress\": [\"submission\"], \"discard\": true}");
    struct route_query q = { .rcpt = "u@b.example",
                             .sender = "s@X.example",
                             .ingress = "Submission" };

    (void)state;
    assert_goes(routing, q, "discard");
    q.sender = "";
    assert_goes(routing, q, "discard");
    q.sender = "s@y.example";
    assert_goes(routing, q, "smtp-out");
    q.sender = "not an address";
    assert_goes(routing, q, "smtp-out");
    q.sender = NULL; /* unknown */
    assert_goes(routing, q, "smtp-out");
    q.sender = "";
    q.ingress = "smtp-in";
    assert_goes(routing, q, "smtp-out");
    q.ingress = NULL;
    assert_goes(routing, q, "smtp-out");
    q.ingress = "submission";
    q.rcpt = "u@c.example";
    assert_goes(routing, q, "smtp-out");

    q.ingress = "bounce"; /* no instance of a plugin: the gateway's own notifications */
    assert_goes(TABLES_RULES("{\"ingress\": \"bounce\", \"hold\": \"\"}"), q, "hold");
}

static void senders_match_like_recipients(void **state)
{
    static const char routing[] = TABLES_RULES("{\"sender\": [\"root@\", \".spam.example\"], "
                                               "\"fail\": \"no\"}");
    struct route_query q = to("bob@example.com");

    (void)state;
    q.sender = "root@anywhere.example";
    assert_goes(routing, q, "fail 5.7.1");
    q.sender = "root";
    assert_goes(routing, q, "fail 5.7.1");
    q.sender = "x@a.spam.example";
    assert_goes(routing, q, "fail 5.7.1");
    q.sender = "x@spam.example";
    assert_goes(routing, q, "local-mbox");
    q.sender = "";
    assert_goes(routing, q, "local-mbox");
}

static void a_transport_comes_with_its_next_hops_and_params(void **state)
{
    struct decided x;

    (void)state;
    decide(&x,
           TABLES_RULES("{\"domain\": \".corp.example\", \"transport\": \"DECnet\", "
                        "\"next_hops\": [\"a\", \"[b]:26\"], \"params\": [\"tls=none\"], "
                        "\"accept_from\": \"anyone\", \"comment\": \"the old branch\"}"),
           "bob@x.corp.example");
    assert_string_equal(x.d.transport, "decnet");
    assert_int_equal(x.d.next_hop_n, 2);
    assert_string_equal(x.d.next_hops[1], "[b]:26");
    assert_int_equal(x.d.params->n, 1);
    assert_string_equal(x.d.params->v[0], "tls=none");
    assert_int_equal(x.d.anyone, 1);
    assert_string_equal(x.d.rule->comment, "the old branch");
    decided_done(&x);
}

static void assert_rewritten(const char *rules, const char *rcpt, const char *expected)
{
    char *routing = mem_printf(TABLES_LOCAL ", \"rules\": [%s]", rules);
    struct decided x;

    decide(&x, routing, rcpt);
    assert_string_equal(x.d.rcpt, expected);
    assert_ptr_equal(x.d.rcpt, x.d.rewritten);
    decided_done(&x);
    free(routing);
}

static void a_rewrite_starts_again_from_the_top(void **state)
{
    static const char rules[] =
        "{\"domain\": \"new.example\", \"transport\": \"decnet\"},"
        "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@new.example\"}";

    (void)state;
    assert_rewritten(rules, "Bob@OLD.example", "Bob@new.example");
    assert_goes(TABLES_RULES("{\"domain\": \"new.example\", \"transport\": \"decnet\"},"
                             "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@new.example\"}"),
                to("bob@old.example"), "decnet");
    assert_rewritten("{\"domain\": \"old.example\", \"rewrite\": \"*@example.com\"}",
                     "\"Joe Smith\"@old.example", "\"Joe Smith\"@example.com");
    assert_rewritten("{\"recipient\": \"NODE::*@gw.example\", \"rewrite\": \"*@example.com\"}",
                     "\"NODE::SMITH\"@gw.example", "SMITH@example.com");
    assert_rewritten("{\"domain\": \"gw.example\", \"rewrite\": \"A1::*@example.com\"}",
                     "smith@gw.example", "\"A1::smith\"@example.com");
    assert_rewritten("{\"recipient\": \"help@*.old.example\", \"rewrite\": \"help-*@example.com\"}",
                     "help@desk.old.example", "help-desk@example.com");
    assert_rewritten("{\"recipient\": \"help@*.old.example\", \"rewrite\": \"help@*.new.example\"}",
                     "help@desk.old.example", "help@desk.new.example");
}

static void several_captures_have_numbers(void **state)
{
    (void)state;
    assert_rewritten("{\"recipient\": \"*.*@old.example\", \"rewrite\": \"$2.$1@example.com\"}",
                     "Ann.Smith@old.example", "Smith.Ann@example.com");
    assert_rewritten("{\"recipient\": \"*@*.old.example\", \"rewrite\": \"$1-$2@example.com\"}",
                     "ann@sales.old.example", "ann-sales@example.com");
    assert_rewritten("{\"recipient\": \"@.old.example\", \"rewrite\": \"*@$2.new.example\"}",
                     "ann@a.b.old.example", "ann@a.b.new.example");
    assert_rewritten("{\"domain\": \"x*y*.old.example\", \"rewrite\": \"$3.$2.$1@new.example\"}",
                     "ann@x1y2.old.example", "2.1.ann@new.example");
    assert_rewritten("{\"recipient\": \"*::*@gw.example\", \"rewrite\": \"$2@$1.dnet.example\"}",
                     "\"NODE::SMITH\"@gw.example", "SMITH@NODE.dnet.example");
    /* Other dollars are what VMS names have. */
    assert_rewritten("{\"domain\": \"old.example\", \"rewrite\": \"SYS$*$0@example.com\"}",
                     "ann@old.example", "SYS$ann$0@example.com");
}

static void a_source_route_is_forgotten(void **state)
{
    (void)state;
    assert_rewritten("", "@a.example,@b.example:user@example.org", "user@example.org");
}

static void a_rewritten_address_may_be_open_to_anyone(void **state)
{
    static const char rule[] = "{\"domain\": \"old.example\", \"rewrite\": \"*@example.org\"%s}";
    struct decided x;

    (void)state;
    for (int anyone = 0; anyone < 2; anyone++) {
        char *one = mem_printf(rule, anyone ? ", \"accept_from\": \"anyone\"" : "");
        char *routing = mem_printf(TABLES_LOCAL ", \"rules\": [%s]", one);

        decide(&x, routing, "bob@old.example");
        assert_string_equal(x.d.transport, "smtp-out");
        assert_int_equal(x.d.anyone, anyone);
        decided_done(&x);
        free(one);
        free(routing);
    }
    /* A user of ours who is forwarded elsewhere still gets mail from everybody. */
    decide(&x, TABLES_RULES("{\"recipient\": \"bob@example.com\", \"rewrite\": \"bob@x.org\"}"),
           "bob@example.com");
    assert_string_equal(x.d.transport, "smtp-out");
    assert_int_equal(x.d.anyone, 1);
    decided_done(&x);
}

static void a_loop_fails_and_shows_its_chain(void **state)
{
    struct decided x;
    struct route_query q = { .rcpt = "u@a.example", .sender = "" };

    (void)state;
    /* The compiler cannot see it: it asks for a sender. */
    decide_query(
        &x,
        TABLES_RULES(
            "{\"domain\": \"a.example\", \"sender\": \"<>\", \"rewrite\": \"*@b.example\"},"
            "{\"domain\": \"b.example\", \"sender\": \"<>\", \"rewrite\": \"*@a.example\"}"),
        q);
    assert_int_equal(x.d.action, ROUTE_FAIL);
    assert_int_equal(x.d.status[1], 4);
    assert_int_equal(x.d.status[2], 6);
    assert_string_equal(x.d.text,
                        "rewriting goes round in circles: u@a.example -> u@b.example -> "
                        "u@a.example");
    assert_int_equal(x.d.rule->index, 1);
    decided_done(&x);
}

static void an_endless_rewrite_ends(void **state)
{
    struct decided x;
    struct route_query q = { .rcpt = "u@a.example", .sender = "" };
    unsigned arrows = 0;

    (void)state;
    decide_query(&x,
                 TABLES_RULES("{\"domain\": \"a.example\", \"sender\": \"<>\", "
                              "\"rewrite\": \"x*@a.example\"}"),
                 q);
    assert_int_equal(x.d.action, ROUTE_FAIL);
    assert_int_equal(x.d.status[2], 6);
    for (const char *p = x.d.text; (p = strstr(p, " -> ")); p++)
        arrows++;
    assert_int_equal(arrows, 11);
    assert_string_equal(x.d.rcpt, "xxxxxxxxxxu@a.example");
    decided_done(&x);
}

static void a_rewrite_that_makes_no_address_fails(void **state)
{
    struct decided x;
    char *rcpt = mem_zalloc(600);

    (void)state;
    memset(rcpt, 'u', 510);
    strcat(rcpt, "@a.example");
    decide(&x, TABLES_RULES("{\"domain\": \"a.example\", \"rewrite\": \"prefix-*@b.example\"}"),
           rcpt);
    assert_int_equal(x.d.action, ROUTE_FAIL);
    assert_int_equal(x.d.status[1], 1);
    assert_non_null(
        strstr(x.d.text, "rewritten by a rule is no address: the local part is too long"));
    assert_string_equal(x.d.rcpt, rcpt);
    decided_done(&x);
    free(rcpt);
}

static void what_is_no_address_is_told_so(void **state)
{
    struct tables t;
    struct route_decision d;

    (void)state;
    tables_good(&t, TABLES_LOCAL);
    assert_int_equal(route_decide(t.table, &(struct route_query){ .rcpt = "a b@x" }, &d, NULL),
                     -EINVAL);
    assert_int_equal(d.action, ROUTE_FAIL);
    assert_int_equal(d.status[0], 5);
    assert_int_equal(d.status[1], 1);
    assert_int_equal(d.status[2], 3);
    assert_null(d.rule);
    assert_string_equal(d.text, "this character needs a quoted local part");
    assert_string_equal(d.rcpt, "a b@x");
    route_decision_done(&d);
    assert_int_equal(route_decide(t.table, &(struct route_query){ .rcpt = "" }, &d, NULL), -EINVAL);
    route_decision_done(&d);
    tables_done(&t);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* With and without a trace the decision is the same, and all of it is consistent. */
static void random_recipients_are_always_decided(void **state)
{
    static const char *const pieces[] = { "u", "root",      "\"A::B\"",    "@",
                                          "@", "a.example", "example.com", "b.example",
                                          "%", ".",         "*",           "\xc3\xb6" };
    uint32_t seed = 5, decided = 0;
    struct tables t;

    (void)state;
    tables_good(
        &t,
        TABLES_RULES(
            "{\"recipient\": \"*%*@a.example\", \"fail\": \"5.7.1 no relaying\"},"
            "{\"recipient\": \"u*@a.example\", \"rewrite\": \"*@b.example\"},"
            "{\"domain\": \"b.example\", \"sender\": \"<>\", \"rewrite\": \"u*@a.example\"},"
            "{\"domain\": \"*\", \"transport\": \"decnet\"}"));
    for (int i = 0; i < 50000; i++) {
        struct route_query q = { .sender = i & 1 ? "" : NULL };
        struct route_decision d, again;
        struct route_trace trace;
        char rcpt[64] = "";
        int r;

        for (unsigned k = next_random(&seed) % 5; k < 5; k++)
            strcat(rcpt, pieces[next_random(&seed) % 12]);
        q.rcpt = rcpt;
        r = route_decide(t.table, &q, &d, NULL);
        assert_int_equal(route_decide(t.table, &q, &again, &trace), r);
        assert_int_equal(again.action, d.action);
        assert_ptr_equal(again.rule, d.rule);
        assert_string_equal(again.rcpt, d.rcpt);
        assert_int_equal(again.anyone, d.anyone);
        if (r == 0) {
            assert_ptr_equal(trace.steps[trace.n - 1].rule, d.rule);
            assert_int_equal(trace.steps[trace.n - 1].matched, 1);
            decided++;
        } else {
            assert_int_equal(trace.n, 0);
        }
        route_trace_done(&trace);
        route_decision_done(&again);
        route_decision_done(&d);
    }
    assert_true(decided > 1000);
    tables_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_local_stays_and_the_rest_leaves),
        cmocka_unit_test(an_address_without_domain_is_local),
        cmocka_unit_test(rules_are_tried_in_order_before_local_domains),
        cmocka_unit_test(a_star_as_domain_spares_local_mail),
        cmocka_unit_test(all_conditions_must_hold_and_any_item_does),
        cmocka_unit_test(senders_match_like_recipients),
        cmocka_unit_test(a_transport_comes_with_its_next_hops_and_params),
        cmocka_unit_test(a_rewrite_starts_again_from_the_top),
        cmocka_unit_test(several_captures_have_numbers),
        cmocka_unit_test(a_source_route_is_forgotten),
        cmocka_unit_test(a_rewritten_address_may_be_open_to_anyone),
        cmocka_unit_test(a_loop_fails_and_shows_its_chain),
        cmocka_unit_test(an_endless_rewrite_ends),
        cmocka_unit_test(a_rewrite_that_makes_no_address_fails),
        cmocka_unit_test(what_is_no_address_is_told_so),
        cmocka_unit_test(random_recipients_are_always_decided),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
