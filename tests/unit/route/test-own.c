/* Domains that are local because one of their addresses is ours: what the router asks for, when,
 * and what it makes of the answers. */
#include <errno.h>

#include "../config/scratch.h"
#include "route/answers.h"
#include "route/expand.h"
#include "tables.h"

#define OWN \
    TABLES_LOCAL ", \"own_interfaces\": false, \"local_by_address\": true, " \
                 "\"own_addresses\": [\"192.0.2.1\", \"2001:db8::1\"]"
#define OWN_RULES(rules) OWN ", \"rules\": [" rules "]"

/* What the resolver says of a domain. */
static void say(struct tables *t, const char *domain, int result, const char *one, const char *two)
{
    const struct route_need n = route_need_addresses(domain);
    const char *const addresses[2] = { one, two };

    route_answers_put_addresses(route_answers_of(t->table), &n, result, addresses,
                                two       ? 2
                                    : one ? 1
                                          : 0);
}

/* The router wants the addresses of that domain, and of no other. */
static void expect_wanted(struct tables *t, struct route_query q, const char *domain)
{
    struct route_decision d;
    struct route_expansion e;

    assert_int_equal(route_decide(t->table, &q, &d, NULL), -EAGAIN);
    assert_string_equal(d.domain, domain);
    assert_int_equal(d.action, ROUTE_FAIL);
    assert_int_equal(d.status[0], 4);
    route_decision_done(&d);
    for (int trace = 0; trace < 2; trace++) {
        assert_int_equal(route_expand(t->table, &q, trace, &e), -EAGAIN);
        assert_int_equal(e.need_n, 1);
        assert_int_equal(e.needs[0].kind, ROUTE_NEED_ADDRESSES);
        assert_string_equal(e.needs[0].key, domain);
        route_expansion_done(&e);
    }
}

static void expect_text(struct tables *t, struct route_query q, const char *expected)
{
    struct route_decision d;
    struct route_trace trace;
    struct buf out = { 0 };

    assert_int_equal(route_decide(t->table, &q, &d, &trace), 0);
    route_explain(&q, &d, &trace, 0, &out);
    if (!strstr(out.data, expected))
        print_error("%s", out.data);
    assert_non_null(strstr(out.data, expected));
    buf_free(&out);
    route_trace_done(&trace);
    route_decision_done(&d);
}

static void U_40_a_domain_with_one_of_our_addresses_is_local(void **state)
{
    static const struct {
        const char *one, *two, *expected;
    } cases[] = {
        { "192.0.2.1", NULL, "local-mbox" },
        { "198.51.100.1", "192.0.2.1", "local-mbox" }, /* any of them will do */
        { "2001:db8::1", NULL, "local-mbox" },
        { "2001:DB8:0::1", NULL, "local-mbox" },
        { "::ffff:192.0.2.1", NULL, "local-mbox" },
        { "127.0.0.1", NULL, "local-mbox" },
        { "127.8.9.10", NULL, "local-mbox" },
        { "::1", NULL, "local-mbox" },
        { "0.0.0.0", NULL, "local-mbox" },
        { "::", NULL, "local-mbox" },
        { "::ffff:127.0.0.1", NULL, "local-mbox" },
        { "128.0.0.1", NULL, "smtp-out" },
        { "0.0.0.1", NULL, "smtp-out" },
        { "198.51.100.1", "2001:db8::2", "smtp-out" },
        { "nonsense", NULL, "smtp-out" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tables t;

        tables_good(&t, OWN);
        expect_wanted(&t, (struct route_query){ .rcpt = "u@Host.Far.Example" }, "host.far.example");
        say(&t, "host.far.example", 0, cases[i].one, cases[i].two);
        tables_to(&t, "u@host.far.example", cases[i].expected);
        tables_done(&t);
    }
}

static void what_does_not_exist_is_not_local_and_what_cannot_be_found_out_waits(void **state)
{
    struct route_decision d;
    struct tables t;

    (void)state;
    tables_good(&t, OWN);
    say(&t, "none.example", -ENOENT, NULL, NULL);
    tables_to(&t, "u@none.example", "smtp-out");
    say(&t, "odd.example", -EINVAL, NULL, NULL);
    tables_to(&t, "u@odd.example", "smtp-out");
    say(&t, "away.example", -EAGAIN, NULL, NULL);
    tables_to(&t, "u@away.example", "fail 4.4.3");
    tables_by(&t, "u@away.example", "own host");
    assert_int_equal(
        route_decide(t.table, &(struct route_query){ .rcpt = "u@away.example" }, &d, NULL), 0);
    assert_string_equal(
        d.text, "the addresses of away.example can't be looked up: no name server gave an answer");
    assert_false(d.anyone);
    route_decision_done(&d);
    tables_done(&t);
}

static void nothing_is_asked_that_decides_nothing(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                OWN_RULES("{\"recipient\": \"a@\", \"transport\": \"decnet\"},"
                          "{\"domain\": \"*\", \"sender\": \"s@x\", \"transport\": \"decnet\"},"
                          "{\"domain\": \"*\", \"ingress\": \"submission\", \"hold\": \"x\"}"));
    tables_to(&t, "u@example.com", "local-mbox");
    tables_to(&t, "root", "local-mbox");
    tables_to(&t, "u@[192.0.2.1]", "local-mbox");
    tables_to(&t, "u@[198.51.100.1]", "smtp-out");
    tables_to(&t, "a@far.example", "decnet"); /* the rule is before it */
    /* "*" is what is not local: the rule has to know, if all else holds. */
    expect_wanted(&t, (struct route_query){ .rcpt = "u@far.example", .sender = "s@x" },
                  "far.example");
    say(&t, "far.example", 0, "198.51.100.1", NULL);
    say(&t, "own.example", 0, "192.0.2.1", NULL);
    tables_goes(&t, (struct route_query){ .rcpt = "u@far.example", .sender = "s@x" }, "decnet");
    tables_goes(&t, (struct route_query){ .rcpt = "u@own.example", .sender = "s@x" }, "local-mbox");
    tables_goes(&t, (struct route_query){ .rcpt = "u@own.example", .ingress = "submission" },
                "local-mbox");
    say(&t, "away.example", -EAGAIN, NULL, NULL);
    tables_goes(&t, (struct route_query){ .rcpt = "u@away.example", .sender = "s@x" },
                "fail 4.4.3");
    tables_goes(&t, (struct route_query){ .rcpt = "a@away.example", .sender = "s@x" }, "decnet");
    tables_done(&t);
}

static void the_hub_for_local_mail_gets_it_too(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, OWN ", \"forwarders\": {\"local\": \"hub.example\"}");
    expect_wanted(&t, (struct route_query){ .rcpt = "u@own.example" }, "own.example");
    say(&t, "own.example", 0, "192.0.2.1", NULL);
    say(&t, "far.example", 0, "198.51.100.1", NULL);
    tables_to(&t, "u@own.example", "smtp-out [hub.example]");
    tables_to(&t, "u@far.example", "smtp-out");
    tables_done(&t);
}

/* Anybody can give his domain our address, and must not get through a rule by that. */
static void what_DNS_says_opens_no_rule_to_strangers(void **state)
{
    struct route_decision d;
    struct tables t;

    (void)state;
    tables_good(&t,
                OWN_RULES("{\"recipient\": \"a@\", \"transport\": \"decnet\"},"
                          "{\"domain\": \"*\", \"sender\": \"s@x\", \"hold\": \"x\"}"));
    say(&t, "own.example", 0, "192.0.2.1", NULL);
    assert_int_equal(
        route_decide(t.table, &(struct route_query){ .rcpt = "a@own.example" }, &d, NULL), 0);
    assert_false(d.anyone);
    route_decision_done(&d);
    assert_int_equal(
        route_decide(t.table, &(struct route_query){ .rcpt = "u@own.example" }, &d, NULL), 0);
    assert_string_equal(d.transport, "local-mbox");
    assert_true(d.anyone);
    route_decision_done(&d);
    tables_done(&t);
}

static void the_trace_names_the_address(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, OWN);
    say(&t, "own.example", 0, "198.51.100.1", "192.0.2.1");
    say(&t, "near.example", 0, "127.0.0.3", NULL);
    say(&t, "far.example", 0, "198.51.100.1", "198.51.100.2");
    say(&t, "none.example", -ENOENT, NULL, NULL);
    say(&t, "away.example", -EAGAIN, NULL, NULL);
    expect_text(&t, (struct route_query){ .rcpt = "u@own.example" },
                "u@own.example\n"
                "  local     (50-routing.json#/routing/local_domains)     no: own.example is not a "
                "local domain\n"
                "  own host  (50-routing.json#/routing/local_by_address)  yes: own.example has "
                "192.0.2.1, an address of this host: own_addresses\n"
                "  => transport local-mbox\n"
                "     accepted from anyone\n");
    expect_text(&t, (struct route_query){ .rcpt = "u@near.example" },
                "yes: near.example has 127.0.0.3, an address of this host: loopback\n");
    expect_text(&t, (struct route_query){ .rcpt = "u@far.example" },
                "no: far.example has 198.51.100.1 198.51.100.2: not ours\n");
    expect_text(&t, (struct route_query){ .rcpt = "u@none.example" },
                "no: none.example has no address\n");
    expect_text(&t, (struct route_query){ .rcpt = "u@away.example" },
                "no: the addresses of away.example can't be looked up: no name server gave an "
                "answer\n"
                "  => fail 4.4.3: the addresses of away.example can't be looked up");
    tables_done(&t);
}

static void without_it_nothing_is_asked(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, TABLES_LOCAL ", \"own_addresses\": [\"192.0.2.1\"]");
    assert_null(route_answers_of(t.table));
    tables_to(&t, "u@far.example", "smtp-out");
    tables_done(&t);
}

/* --- with aliases --- */

static void an_alias_of_such_a_domain_is_one_of_ours(void **state)
{
    static const char base[] =
        "{\"server\": {\"hostname\": \"gw.example.com\"},"
        " \"transports\": {\"local-mbox\": {}, \"smtp-out\": {}},"
        " \"aliases\": {\"files\": [{\"path\": \"%s\", \"syntax\": \"sendmail\"}]}}";
    struct route_query q = { .rcpt = "team@own.example" };
    struct scratch scratch;
    struct tables t;
    struct route_expansion e;
    char *path, *text;

    (void)state;
    scratch_init(&scratch);
    scratch_file(&scratch, "aliases",
                 "team: ann@second.example, bob@second.example, eve@third.example\n"
                 "bob: bob@far.example\n");
    path = scratch_path(&scratch, "aliases");
    text = mem_printf(base, path);
    tables_load(&t, text, OWN);
    assert_non_null(t.table);
    expect_wanted(&t, q, "own.example");
    say(&t, "own.example", 0, "192.0.2.1", NULL);
    /* Each domain once, all in one go. */
    assert_int_equal(route_expand(t.table, &q, 0, &e), -EAGAIN);
    assert_int_equal(e.need_n, 2);
    assert_string_equal(e.needs[0].key, "second.example");
    assert_string_equal(e.needs[1].key, "third.example");
    route_expansion_done(&e);
    say(&t, "second.example", 0, "192.0.2.1", NULL);
    say(&t, "third.example", -EAGAIN, NULL, NULL);
    assert_int_equal(route_expand(t.table, &q, 0, &e), -EAGAIN);
    assert_int_equal(e.need_n, 1);
    assert_string_equal(e.needs[0].key, "far.example"); /* bob is an alias himself */
    route_expansion_done(&e);
    say(&t, "far.example", 0, "198.51.100.1", NULL);
    assert_int_equal(route_expand(t.table, &q, 0, &e), 0);
    assert_true(e.aliased);
    assert_int_equal(e.n, 3);
    for (size_t i = 0; i < e.n; i++) {
        const struct route_decision *d = &e.leaves[i].decision;

        if (strcmp(d->rcpt, "ann@second.example") == 0)
            assert_string_equal(d->transport, "local-mbox");
        else if (strcmp(d->rcpt, "bob@far.example") == 0)
            assert_string_equal(d->transport, "smtp-out");
        else
            assert_int_equal(d->status[0], 4); /* eve's waits, the others' does not */
    }
    route_expansion_done(&e);
    tables_done(&t);
    scratch_done(&scratch);
    free(path);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_40_a_domain_with_one_of_our_addresses_is_local),
        cmocka_unit_test(what_does_not_exist_is_not_local_and_what_cannot_be_found_out_waits),
        cmocka_unit_test(nothing_is_asked_that_decides_nothing),
        cmocka_unit_test(the_hub_for_local_mail_gets_it_too),
        cmocka_unit_test(what_DNS_says_opens_no_rule_to_strangers),
        cmocka_unit_test(the_trace_names_the_address),
        cmocka_unit_test(without_it_nothing_is_asked),
        cmocka_unit_test(an_alias_of_such_a_domain_is_one_of_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
