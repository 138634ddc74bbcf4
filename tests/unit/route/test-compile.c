/* What the compiler refuses, and how it says so. */
#include "tables.h"

static void each_mistake_is_named_where_it_is(void **state)
{
    static const struct {
        const char *rule, *complaint;
    } cases[] = {
        { "{\"domain\": \"a\", \"transport\": \"smtp-ou\"}",
          "/transport: unknown transport \"smtp-ou\"; did you mean \"smtp-out\"?" },
        { "{\"domain\": \"a\", \"transport\": \"uucp\"}",
          "/transport: unknown transport \"uucp\"" },
        { "{\"domain\": \"a\", \"transport\": \"smtp-in\"}",
          "/transport: unknown transport \"smtp-in\"" },
        { "{\"domain\": \"a\", \"transport\": \"asleep\"}",
          "/transport: \"asleep\" is not enabled" },
        { "{\"domain\": \"a\", \"transport\": \"hold\"}",
          "/transport: \"hold\" is an action of its own: \"hold\": \"why\"" },
        { "{\"domain\": \"a\", \"transport\": \"discard\"}",
          "/transport: \"discard\" is an action of its own: \"discard\": true" },
        { "{\"domain\": \"a\"}",
          ": no action: expected exactly one of transport, rewrite, fail, hold, discard" },
        { "{\"domain\": \"a\", \"discard\": true, \"hold\": \"x\"}",
          ": several actions: expected exactly one of transport, rewrite, fail, hold, discard" },
        { "{\"transport\": \"smtp-out\"}",
          ": no condition: for every domain that is not local say \"domain\": \"*\", for every "
          "recipient \"recipient\": \"*\"" },
        { "{\"domain\": \"a..b\", \"discard\": true}",
          "/domain: found \"a..b\", expected a pattern of domains: the domain has an empty label" },
        { "{\"domain\": [\"a\", \"b@c\"], \"discard\": true}",
          "/domain/1: found \"b@c\", expected a pattern of domains: this character is not allowed "
          "in a domain" },
        { "{\"recipient\": \"bob\", \"discard\": true}",
          "/recipient: found \"bob\", expected a pattern of addresses: no '@': write \"user@\" for "
          "a user, \"@example.com\" for a domain" },
        { "{\"recipient\": \"<>\", \"discard\": true}",
          "/recipient: \"<>\" is never a recipient; it is the null sender" },
        { "{\"sender\": [\"<>\", \"bob\"], \"discard\": true}",
          "/sender/1: found \"bob\", expected a pattern of addresses: no '@': write \"user@\" for "
          "a user, \"@example.com\" for a domain" },
        { "{\"ingress\": \"submision\", \"hold\": \"\"}",
          "/ingress: unknown ingress \"submision\"; did you mean \"submission\"?" },
        { "{\"domain\": \"a\", \"transport\": \"smtp-out\", \"next_hops\": [\"mx\", \"mx:0\"]}",
          "/next_hops/1: found \"mx:0\", expected a host: the port is not a number from 1 to "
          "65535" },
        { "{\"domain\": \"a\", \"discard\": true, \"next_hops\": [\"mx\"]}",
          "/next_hops: makes sense with a transport only" },
        { "{\"domain\": \"a\", \"transport\": \"smtp-out\", \"params\": [\"tls\"]}",
          "/params: found \"tls\", expected \"name=value\"" },
        { "{\"domain\": \"a\", \"fail\": \"2.0.0 fine\"}",
          "/fail: found \"2.0.0 fine\", expected a status that begins with 5 or 4" },
        { "{\"domain\": \"a\", \"fail\": \"550 no\"}",
          "/fail: found \"550 no\", expected a status as in \"5.7.1 text\", not a reply code" },
        { "{\"domain\": \"a\", \"rewrite\": \"bob\"}",
          "/rewrite: found \"bob\", expected an address, \"*\" allowed in it: no '@' in it" },
        { "{\"domain\": \"a\", \"rewrite\": \"*@b c\"}",
          "/rewrite: found \"*@b c\", expected an address, \"*\" allowed in it: this character is "
          "not allowed in a domain" },
        { "{\"domain\": \"a.example\", \"rewrite\": \"*@a.example\"}",
          "/rewrite: rewriting goes round in circles: x@a.example -> x@a.example" },
        { "{\"domain\": \"*\", \"transport\": \"smtp-out\", \"accept_from\": \"anyone\"}",
          "/accept_from: \"anyone\" without naming domains makes an open relay: name the "
          "recipients' domains, or the ingress" },
        { "{\"sender\": \"@friend.example\", \"transport\": \"smtp-out\", "
          "\"accept_from\": \"anyone\"}",
          "/accept_from: \"anyone\" without naming domains makes an open relay: name the "
          "recipients' domains, or the ingress" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *routing = mem_printf(TABLES_LOCAL ", \"rules\": [{\"domain\": \"first\", "
                                                "\"discard\": true}, %s]",
                                   cases[i].rule);
        char *complaint = mem_printf("50-routing.json#/routing/rules/1%s", cases[i].complaint);

        tables_bad(NULL, routing, complaint);
        free(routing);
        free(complaint);
    }
}

static void the_sections_own_mistakes_are_named_too(void **state)
{
    (void)state;
    tables_bad(NULL,
               "\"local_domains\": [\"a.example\", \"*\"], \"local_transport\": \"local-mbox\"",
               "50-routing.json#/routing/local_domains/1: found \"*\", expected a domain: it would "
               "make every domain local");
    tables_bad(
        NULL, "\"local_domains\": \"a.example\", \"local_transport\": \"lokal-mbox\"",
        "50-routing.json#/routing/local_transport: unknown transport \"lokal-mbox\"; did you "
        "mean \"local-mbox\"?");
    tables_bad(NULL, "\"default\": {\"transport\": \"smtp\"}",
               "50-routing.json#/routing/default/transport: unknown transport \"smtp\"");
    tables_bad(NULL, "\"default\": {\"transport\": \"smtp-out\", \"accept_from\": \"anyone\"}",
               "50-routing.json#/routing/default/accept_from: \"anyone\" without naming domains "
               "makes an open relay: name the recipients' domains, or the ingress");
    tables_bad(NULL, "\"default\": {\"domain\": \"a\", \"transport\": \"smtp-out\"}",
               "50-routing.json#/routing/default: the default takes no conditions: write a rule in "
               "/routing/rules");
    tables_bad(NULL, "\"default\": {\"rewrite\": \"a@b\"}",
               "50-routing.json#/routing/default/rewrite: the default cannot rewrite: it would "
               "never end");
}

static char *with_anyone(const char *rule)
{
    return mem_printf(TABLES_LOCAL ", \"rules\": [{%s, \"accept_from\": \"anyone\"}]", rule);
}

/* "*" is not the only way to say "everything". */
static void anyone_may_send_to_domains_that_are_named(void **state)
{
    static const char *const bad[] = {
        "\"domain\": \"*.*\", \"transport\": \"smtp-out\"",
        "\"domain\": \"**\", \"transport\": \"smtp-out\"",
        "\"domain\": \"?*\", \"transport\": \"smtp-out\"",
        "\"domain\": \"x*.?y\", \"transport\": \"smtp-out\"",
        "\"domain\": [\"a.example\", \"*.*\"], \"transport\": \"smtp-out\"",
        "\"recipient\": \"*@?*\", \"transport\": \"smtp-out\"",
        "\"recipient\": \"bob@\", \"transport\": \"smtp-out\"",
        "\"recipient\": \"bob@\", \"hold\": \"x\"",
        "\"recipient\": [\"@a.example\", \"bob@\"], \"transport\": \"smtp-out\"",
        "\"recipient\": \"bob@\", \"domain\": \"*\", \"transport\": \"smtp-out\"",
        "\"recipient\": \"*%*@\", \"rewrite\": \"$1@$2.far.example\"",
    };
    static const char *const good[] = {
        "\"domain\": \".example\", \"transport\": \"smtp-out\"",
        "\"domain\": \"mail*.a.example\", \"transport\": \"smtp-out\"",
        "\"domain\": \"[192.0.2.1]\", \"transport\": \"smtp-out\"",
        "\"recipient\": \"*@?.a.example\", \"transport\": \"smtp-out\"",
        "\"recipient\": \"bob@\", \"domain\": \"a.example\", \"transport\": \"smtp-out\"",
        "\"recipient\": \"bob@\", \"ingress\": \"submission\", \"transport\": \"smtp-out\"",
        "\"recipient\": \"spam@\", \"discard\": true",
        "\"recipient\": \"abuse@\", \"rewrite\": \"desk@a.example\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *routing = with_anyone(bad[i]);

        tables_bad(
            NULL, routing,
            "50-routing.json#/routing/rules/0/accept_from: \"anyone\" without naming domains "
            "makes an open relay: name the recipients' domains, or the ingress");
        free(routing);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char *routing = with_anyone(good[i]);
        struct tables t;

        tables_good(&t, routing);
        tables_done(&t);
        free(routing);
    }
    tables_bad(NULL,
               TABLES_LOCAL ", \"gateways\": [{\"domain\": \"*.*\", \"next_hops\": \"mx.example\", "
                            "\"accept_from\": \"anyone\"}]",
               "50-routing.json#/routing/gateways/0/accept_from: \"anyone\" without naming domains "
               "makes an open relay: name the recipients' domains, or the ingress");
}

static void the_names_of_actions_are_no_names_for_transports(void **state)
{
    (void)state;
    tables_bad("{\"server\": {\"hostname\": \"gw\"}, \"transports\": {\"hold\": {\"plugin\": "
               "\"smtp-out\"}, \"smtp-out\": {}, \"local-mbox\": {}}}",
               "\"default\": {\"transport\": \"smtp-out\"}, \"local_domains\": [\"gw\"], "
               "\"local_transport\": \"local-mbox\"",
               "10-base.json#/transports/hold: \"hold\" is built in: give the transport another "
               "name");
}

static void a_loop_over_several_rules_is_found(void **state)
{
    struct tables t;

    (void)state;
    tables_load(&t, NULL,
                TABLES_RULES("{\"domain\": \"a.example\", \"rewrite\": \"*@b.example\"}, "
                             "{\"domain\": \"b.example\", \"rewrite\": \"*@a.example\"}"));
    assert_int_equal(t.errors.n, 2);
    assert_non_null(strstr(t.errors.lines[0],
                           "rules/0/rewrite: rewriting goes round in circles: "
                           "x@b.example -> x@a.example -> x@b.example"));
    assert_null(t.table);
    tables_done(&t);
}

static void a_gateway_without_mailboxes_is_allowed(void **state)
{
    struct tables t;
    struct route_decision d;

    (void)state;
    tables_load(&t, "{\"server\": {\"hostname\": \"gw\"}, \"transports\": {\"smtp-out\": {}}}",
                "\"local_domains\": [], \"default\": {\"transport\": \"smtp-out\"}");
    assert_int_equal(t.errors.n, 0);
    assert_int_equal(route_decide(t.table, &(struct route_query){ .rcpt = "root" }, &d, NULL), 0);
    assert_int_equal(d.action, ROUTE_FAIL);
    assert_int_equal(d.status[1], 1);
    route_decision_done(&d);
    tables_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_named_where_it_is),
        cmocka_unit_test(the_sections_own_mistakes_are_named_too),
        cmocka_unit_test(anyone_may_send_to_domains_that_are_named),
        cmocka_unit_test(the_names_of_actions_are_no_names_for_transports),
        cmocka_unit_test(a_loop_over_several_rules_is_found),
        cmocka_unit_test(a_gateway_without_mailboxes_is_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
