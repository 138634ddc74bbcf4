/* Hosts without a dot, and the domain that is put behind them. */
#include <errno.h>

#include "tables.h"

#define SHORT TABLES_LOCAL ", \"default_domain\": \"Corp.Example\""

static void expect_rcpt(struct tables *t, const char *rcpt, const char *expected)
{
    struct route_decision d;

    assert_int_equal(route_decide(t->table, &(struct route_query){ .rcpt = rcpt }, &d, NULL), 0);
    assert_string_equal(d.rcpt, expected);
    route_decision_done(&d);
}

static void T_28_a_host_without_a_dot_gets_the_default_domain(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, SHORT);
    expect_rcpt(&t, "ann@vax", "ann@vax.corp.example");
    expect_rcpt(&t, "Ann@VAX", "Ann@VAX.corp.example");
    expect_rcpt(&t, "\"NODE::SMITH\"@vax", "\"NODE::SMITH\"@vax.corp.example");
    expect_rcpt(&t, "\"u%c\"@vax", "\"u%c\"@vax.corp.example"); /* quotes that mean something */
    expect_rcpt(&t, "u%c@vax", "u%c@vax.corp.example");
    expect_rcpt(&t, "@a,@b:u@vax", "u@vax.corp.example");
    expect_rcpt(&t, "ann@vax.far.example", "ann@vax.far.example");
    expect_rcpt(&t, "ann@vax.", "ann@vax."); /* said to be the whole name */
    expect_rcpt(&t, "ann@[192.0.2.9]", "ann@[192.0.2.9]");
    expect_rcpt(&t, "ann@[IPv6:2001:db8::9]", "ann@[IPv6:2001:db8::9]");
    expect_rcpt(&t, "root", "root@gw.example.com");
    tables_done(&t);
    tables_good(&t, TABLES_LOCAL);
    expect_rcpt(&t, "ann@vax", "ann@vax");
    tables_done(&t);
}

static void T_28_it_comes_behind_gateways_and_the_walk_begins_anew(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                TABLES_LOCAL ", \"default_domain\": \"example.com\","
                             "\"host_names\": [\"here\", \"mail.example.com\"],"
                             "\"rules\": [{\"domain\": \"new.example.com\", \"hold\": \"x\"}],"
                             "\"gateways\": [{\"domain\": \"bitnet\", \"next_hops\": \"[bit]\"},"
                             "  {\"domain\": \"inner.example.com\", \"next_hops\": \"[in]\"}],"
                             "\"zones\": [{\"zone\": \"example.com\", \"gateway\": \"[out]\"}]");
    tables_to(&t, "u@here", "local-mbox");
    tables_to(&t, "u@bitnet", "smtp-out [bit]");
    tables_to(&t, "u@mail", "local-mbox");
    tables_to(&t, "u@new", "hold");
    tables_to(&t, "u@inner", "smtp-out [in]");
    tables_to(&t, "u@other", "smtp-out"); /* inside of the zone now */
    tables_to(&t, "u@far.example", "smtp-out [out]");
    tables_done(&t);
}

static void a_rule_that_takes_it_off_again_is_told(void **state)
{
    struct route_decision d;
    struct tables t;

    (void)state;
    tables_good(&t,
                SHORT ", \"rules\": [{\"recipient\": \"*@*.corp.example\", "
                      "\"sender\": \"s@x\", \"rewrite\": \"$1@$2\"}]");
    assert_int_equal(route_decide(t.table,
                                  &(struct route_query){ .rcpt = "ann@vax", .sender = "s@x" }, &d,
                                  NULL),
                     0);
    assert_int_equal(d.action, ROUTE_FAIL);
    assert_string_equal(d.text,
                        "rewriting goes round in circles: ann@vax -> ann@vax.corp.example -> "
                        "ann@vax");
    route_decision_done(&d);
    tables_done(&t);
}

static void what_grows_too_long_fails_with_a_word(void **state)
{
    struct route_decision d;
    struct tables t;
    char *routing, rcpt[80] = "u@", domain[256] = "";

    (void)state;
    memset(rcpt + 2, 'h', 63);
    for (int i = 0; i < 62; i++)
        strcat(domain, i ? ".abc" : "abc");
    routing = mem_printf(TABLES_LOCAL ", \"default_domain\": \"%s\"", domain);
    tables_good(&t, routing);
    assert_int_equal(route_decide(t.table, &(struct route_query){ .rcpt = rcpt }, &d, NULL), 0);
    assert_int_equal(d.action, ROUTE_FAIL);
    assert_int_equal(d.status[1], 1);
    assert_non_null(strstr(d.text, "is no address: "));
    route_decision_done(&d);
    tables_done(&t);
    free(routing);
}

static void T_28_the_trace_and_the_table_show_it(void **state)
{
    struct route_query q = { .rcpt = "ann@vax" };
    struct route_decision d;
    struct route_trace trace;
    struct buf out = { 0 };
    struct tables t;

    (void)state;
    tables_good(&t, SHORT);
    assert_int_equal(route_decide(t.table, &q, &d, &trace), 0);
    route_explain(&q, &d, &trace, 0, &out);
    assert_string_equal(
        out.data,
        "ann@vax\n"
        "  local           (50-routing.json#/routing/local_domains)   no: vax is not a local "
        "domain\n"
        "  default domain  (50-routing.json#/routing/default_domain)  yes: vax is a host without a "
        "dot; rewritten to ann@vax.corp.example\n"
        "  local           (50-routing.json#/routing/local_domains)   no: vax.corp.example is not "
        "a local domain\n"
        "  default domain  (50-routing.json#/routing/default_domain)  no: vax.corp.example is no "
        "host without a dot\n"
        "  default         (50-routing.json#/routing/default)         yes: nothing above matched\n"
        "  => transport smtp-out, next hops: by MX of vax.corp.example; recipient "
        "ann@vax.corp.example\n"
        "     accepted from clients that may relay\n");
    buf_clear(&out);
    assert_int_equal(route_list(t.table, 0, &out), 0);
    assert_non_null(strstr(out.data,
                           "default domain (50-routing.json#/routing/default_domain): a host "
                           "without a dot -> rewrite to *@*.corp.example\n"));
    buf_free(&out);
    route_trace_done(&trace);
    route_decision_done(&d);
    tables_done(&t);
}

static void what_is_no_domain_is_refused(void **state)
{
    static const char *const bad[] = {
        "", ".example.com", "*.example.com", "[192.0.2.1]", "a b", "x@example.com", "*"
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *routing = mem_printf(TABLES_LOCAL ", \"default_domain\": \"%s\"", bad[i]);
        char *expected =
            mem_printf("50-routing.json#/routing/default_domain: found \"%s\", expected "
                       "a domain like \"example.com\": ",
                       bad[i]);
        struct tables t;

        tables_load(&t, NULL, routing);
        assert_null(t.table);
        assert_int_equal(t.errors.n, 1);
        assert_non_null(strstr(t.errors.lines[0], expected));
        tables_done(&t);
        free(routing);
        free(expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T_28_a_host_without_a_dot_gets_the_default_domain),
        cmocka_unit_test(T_28_it_comes_behind_gateways_and_the_walk_begins_anew),
        cmocka_unit_test(a_rule_that_takes_it_off_again_is_told),
        cmocka_unit_test(what_grows_too_long_fails_with_a_word),
        cmocka_unit_test(T_28_the_trace_and_the_table_show_it),
        cmocka_unit_test(what_is_no_domain_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
