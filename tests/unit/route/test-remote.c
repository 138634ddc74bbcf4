/* Where mail goes that is not local: gateways, zones, forwarders, queue groups. */
#include "tables.h"

#define ZONE(more) \
    TABLES_LOCAL ", \"zones\": [{\"zone\": \"dec.com\", \"gateway\": \"relay.dec.com\"" more "}]"
#define FORWARD(body) TABLES_LOCAL ", \"forwarders\": {" body "}"

/* --- gateways --- */

static void T_25_the_longest_suffix_wins_and_a_host_before_it(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                TABLES_LOCAL ", \"gateways\": ["
                             "{\"domain\": \".BITNET\", \"next_hops\": \"bitgate.example.edu\"},"
                             "{\"domain\": \".uucp.bitnet\", \"next_hops\": \"uu.example.edu\"},"
                             "{\"domain\": [\"fax.example.com\", \"vax.uucp.bitnet\"], "
                             " \"next_hops\": \"[192.0.2.25]\", \"transport\": \"decnet\"}]");
    tables_to(&t, "u@a.bitnet", "smtp-out bitgate.example.edu");
    tables_to(&t, "u@a.b.bitnet", "smtp-out bitgate.example.edu");
    tables_to(&t, "u@a.uucp.Bitnet", "smtp-out uu.example.edu");
    tables_to(&t, "u@VAX.uucp.bitnet", "decnet [192.0.2.25]");
    tables_to(&t, "u@fax.example.com", "decnet [192.0.2.25]");
    tables_to(&t, "u@bitnet", "smtp-out");
    tables_done(&t);
}

static void T_26_what_is_local_stays_local_beside_a_gateway(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                TABLES_LOCAL ", \"gateways\": [{\"domain\": [\".com\", \"example.com\"], "
                             "\"next_hops\": \"x.example\"}]");
    tables_to(&t, "u@example.com", "local-mbox");
    tables_to(&t, "u@other.com", "smtp-out x.example");
    tables_done(&t);
}

static void a_gateway_names_its_domains(void **state)
{
    (void)state;
    tables_bad(NULL,
               TABLES_LOCAL ", \"gateways\": [{\"domain\": \"*\", \"next_hops\": \"x.example\"}]",
               "50-routing.json#/routing/gateways/0/domain: found \"*\", expected a host or a "
               "domain; for all the rest there is /routing/default, a zone, or a forwarder");
    tables_bad(NULL,
               TABLES_LOCAL ", \"gateways\": [{\"domain\": \"a.example\", \"next_hops\": "
                            "[\"a b\"]}]",
               "50-routing.json#/routing/gateways/0/next_hops: found \"a b\", expected a host: "
               "this character is not allowed in a domain");
}

/* --- zones --- */

static void U_42_outside_the_zone_goes_to_the_gateway(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, ZONE(""));
    tables_to(&t, "u@crl.dec.com", "smtp-out");
    tables_to(&t, "u@dec.com", "smtp-out");
    tables_to(&t, "u@notdec.com", "smtp-out relay.dec.com");
    tables_to(&t, "u@example.org", "smtp-out relay.dec.com");
    tables_to(&t, "u@example.com", "local-mbox");
    tables_done(&t);
}

static void C_12_the_zone_is_the_parent_of_the_host_by_default(void **state)
{
    struct tables t;

    (void)state; /* the host is gw.example.com */
    tables_good(&t, TABLES_LOCAL ", \"zones\": [{\"gateway\": \"relay.example.com\"}]");
    tables_to(&t, "u@a.example.com", "smtp-out");
    tables_to(&t, "u@example.org", "smtp-out relay.example.com");
    tables_done(&t);
    tables_bad("{\"server\": {\"hostname\": \"gw\"}, \"transports\": {\"local-mbox\": {}}}",
               TABLES_LOCAL ", \"zones\": [{\"gateway\": \"relay.example.com\"}]",
               "50-routing.json#/routing/zones/0/zone: found nothing, and server.hostname has no "
               "parent domain to stand for it");
}

static void U_45_always_means_all_that_is_not_local(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, ZONE(", \"always\": true"));
    tables_to(&t, "u@crl.dec.com", "smtp-out relay.dec.com");
    tables_to(&t, "u@example.com", "local-mbox");
    tables_done(&t);
}

static void U_46_the_own_exchangers_come_after_a_gateway_that_is_not_there(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, ZONE(", \"mx_if_unreachable\": true"));
    tables_to(&t, "u@example.org", "smtp-out relay.dec.com,example.org");
    tables_to(&t, "u@a.dec.com", "smtp-out");
    tables_done(&t);
}

static void U_47_without_mx_the_inside_is_resolved_by_address(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, ZONE(", \"no_mx\": true"));
    tables_to(&t, "u@a.dec.com", "smtp-out [a.dec.com]");
    tables_to(&t, "u@example.org", "smtp-out relay.dec.com");
    tables_done(&t);
}

static void C_15_a_gateway_by_address_or_by_host_asks_for_no_mx(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                TABLES_LOCAL ", \"zones\": [{\"zone\": \"dec.com\", \"resolve\": \"host\", "
                             "\"gateway\": [\"relay.dec.com:587\", \"192.0.2.9\", \"[b.dec.com]\", "
                             "\"c.dec.com\"]}]");
    tables_to(&t, "u@example.org",
              "smtp-out [relay.dec.com]:587,192.0.2.9,[b.dec.com],[c.dec.com]");
    tables_done(&t);
}

static void several_zones_are_chosen_by_sender_and_destination(void **state)
{
    struct route_query q = { .rcpt = "u@x.de", .sender = "ann@research.example" };
    struct tables t;

    (void)state;
    tables_good(&t,
                TABLES_LOCAL ", \"zones\": ["
                             "{\"zone\": \"research.example\", \"sender\": \"@research.example\", "
                             " \"gateway\": \"relay.research.example\"},"
                             "{\"zone\": \"corp.example\", \"destinations\": [\".de\", \".fr\"], "
                             " \"gateway\": \"eu.corp.example\"},"
                             "{\"zone\": \"corp.example\", \"gateway\": \"us.corp.example\"}]");
    tables_goes(&t, q, "smtp-out relay.research.example");
    q.sender = "bob@corp.example";
    tables_goes(&t, q, "smtp-out eu.corp.example");
    q.rcpt = "u@example.org";
    tables_goes(&t, q, "smtp-out us.corp.example");
    q.rcpt = "u@a.corp.example";
    tables_goes(&t, q, "smtp-out");
    q.sender = "ann@research.example";
    tables_goes(&t, q, "smtp-out");
    tables_done(&t);
}

/* --- forwarders --- */

#define HUB \
    "\"remote\": \"mailhub.example.com\", " \
    "\"except\": [\".partner.example\", \"host.example\"], \"except_users\": \"vip@\""
#define GATEWAY ", \"gateways\": [{\"domain\": \".bitnet\", \"next_hops\": \"bitgate\"}]"

static void T_13_remote_mail_goes_to_the_hub_but_for_gateways_and_exceptions(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, FORWARD(HUB) GATEWAY);
    tables_to(&t, "u@example.org", "smtp-out [mailhub.example.com]");
    tables_to(&t, "u@a.bitnet", "smtp-out bitgate");
    tables_to(&t, "u@a.partner.example", "smtp-out");
    tables_to(&t, "u@host.example", "smtp-out");
    tables_to(&t, "u@partner.example", "smtp-out [mailhub.example.com]");
    tables_to(&t, "VIP@example.org", "smtp-out");
    tables_to(&t, "u@example.com", "local-mbox");
    tables_done(&t);
}

static void T_12_local_mail_goes_to_the_hub_but_for_exempt_users(void **state)
{
    struct route_decision d;
    struct tables t;

    (void)state;
    tables_good(&t, FORWARD("\"local\": \"hub.example.com\", \"except_users\": [\"smith@\"]"));
    tables_to(&t, "jones@example.com", "smtp-out [hub.example.com]");
    tables_to(&t, "Smith@example.com", "local-mbox");
    tables_to(&t, "jones@example.org", "smtp-out");
    assert_int_equal(
        route_decide(t.table, &(struct route_query){ .rcpt = "jones@example.com" }, &d, NULL), 0);
    assert_int_equal(d.anyone, 1); /* it is ours, wherever it goes */
    route_decision_done(&d);
    tables_done(&t);
}

static void T_11_the_hub_is_for_what_cannot_be_resolved(void **state)
{
    struct route_decision d;
    struct tables t;

    (void)state;
    tables_good(&t, FORWARD("\"unresolvable\": \"hub.example.com\""));
    tables_to(&t, "u@example.org", "smtp-out example.org,?[hub.example.com]");
    assert_int_equal(
        route_decide(t.table, &(struct route_query){ .rcpt = "u@example.org" }, &d, NULL), 0);
    assert_string_equal(d.next_hops[0], "*");
    assert_string_equal(d.next_hops[1], "?[hub.example.com]");
    route_decision_done(&d);
    tables_done(&t);
}

#define APPEND   "\"append_to_mx\": \"hub.example.com\", \"resolve\": \"mx\""
#define DEC_ZONE ", \"zones\": [{\"zone\": \"dec.com\", \"gateway\": \"r\", \"no_mx\": true}]"

static void T_38_the_hub_is_appended_to_the_exchangers(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, FORWARD(APPEND) DEC_ZONE);
    tables_to(&t, "u@a.dec.com", "smtp-out [a.dec.com],hub.example.com");
    tables_to(&t, "u@example.org", "smtp-out r");
    tables_done(&t);
    /* Next hops that the operator gives the default himself are all there are. */
    tables_good(&t,
                "\"local_domains\": [], \"default\": {\"transport\": \"smtp-out\", "
                "\"next_hops\": \"relay\"}, \"forwarders\": {\"append_to_mx\": \"hub\"}");
    tables_to(&t, "u@example.org", "smtp-out relay");
    tables_done(&t);
}

static void exceptions_need_something_to_be_excepted_from(void **state)
{
    (void)state;
    tables_bad(NULL, FORWARD("\"unresolvable\": \"hub\", \"except\": [\".x\"]"),
               "50-routing.json#/routing/forwarders/except: there is nothing to be spared from: "
               "neither \"remote\" nor \"local\" says anything");
}

/* --- next hops with special words --- */

static void words_for_the_own_domain_have_rules(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                TABLES_RULES("{\"domain\": \"*\", \"transport\": \"smtp-out\", "
                             "\"next_hops\": [\"gw\", \"[*]\", \"*\", \"?hub:26\"]}"));
    tables_to(&t, "u@Example.ORG", "smtp-out gw,[example.org],example.org,?hub:26");
    tables_to(&t, "u@[192.0.2.77]", "smtp-out gw,[192.0.2.77],[192.0.2.77],?hub:26");
    tables_done(&t);
    tables_bad(NULL,
               TABLES_RULES("{\"domain\": \"*\", \"transport\": \"smtp-out\", "
                            "\"next_hops\": [\"?hub\"]}"),
               "50-routing.json#/routing/rules/0/next_hops: found \"?hub\", expected a host: "
               "\"?\" means \"if nothing before it can be resolved\", and nothing is before it");
    tables_bad(NULL,
               TABLES_RULES("{\"domain\": \"*\", \"transport\": \"smtp-out\", "
                            "\"next_hops\": [\"hub\", \"?*\"]}"),
               "50-routing.json#/routing/rules/0/next_hops/1: found \"?*\", expected a host: "
               "the recipient's own domain takes no \"?\"");
}

/* --- queue groups --- */

static void assert_group(struct tables *t, const char *rcpt, const char *expected)
{
    struct route_decision d;

    assert_int_equal(route_decide(t->table, &(struct route_query){ .rcpt = rcpt }, &d, NULL), 0);
    if (expected)
        assert_string_equal(d.group->name, expected);
    else
        assert_null(d.group);
    route_decision_done(&d);
}

#define GROUPS \
    ", \"queue_groups\": [{\"name\": \"slow\", \"domain\": [\".slow.example\", \"x.example\"], " \
    "\"concurrency\": 2, \"retry\": [\"5m\", \"1h\"], " \
    "\"hours\": [\"22:00-06:00\", \"12:00-13:00\"]}," \
    "{\"name\": \"late\", \"domain\": [\"a.slow.example\", \"y.example\"]}]"

static void T_27_a_decision_carries_its_queue_group(void **state)
{
    struct route_decision d;
    struct tables t;

    (void)state;
    tables_good(&t,
                TABLES_RULES("{\"recipient\": \"bulk@\", \"transport\": \"smtp-out\", "
                             "\"queue_group\": \"late\"}") GROUPS);
    assert_group(&t, "u@x.example", "slow");
    assert_group(&t, "u@a.slow.example", "slow"); /* the first group that has it */
    assert_group(&t, "u@Y.example", "late");
    assert_group(&t, "u@z.example", NULL);
    assert_group(&t, "bulk@x.example", "late");
    assert_int_equal(
        route_decide(t.table, &(struct route_query){ .rcpt = "u@x.example" }, &d, NULL), 0);
    assert_int_equal(d.group->concurrency, 2);
    assert_int_equal(d.group->retry_n, 2);
    assert_int_equal(d.group->retry[1], 3600000000);
    assert_int_equal(route_group_wait(d.group, 23 * 60, 0), 0);
    assert_int_equal(route_group_wait(d.group, 5 * 60 + 59, 59), 0);
    assert_int_equal(route_group_wait(d.group, 6 * 60, 0), 6 * 3600);
    assert_int_equal(route_group_wait(d.group, 13 * 60, 30), 9 * 3600 - 30);
    route_decision_done(&d);
    tables_done(&t);
}

static void a_queue_group_is_checked(void **state)
{
    (void)state;
    tables_bad(NULL,
               TABLES_LOCAL ", \"queue_groups\": [{\"name\": \"a\", \"hours\": [\"25:00-1\"]}]",
               "50-routing.json#/routing/queue_groups/0/hours: found \"25:00-1\", expected two "
               "times of a day, like \"22:00-06:00\"");
    tables_bad(NULL, TABLES_LOCAL ", \"queue_groups\": [{\"name\": \"a\", \"retry\": \"often\"}]",
               "50-routing.json#/routing/queue_groups/0/retry: found \"often\", expected a "
               "duration from 1ms to 52w, like \"5m\"");
    tables_bad(NULL, TABLES_LOCAL ", \"queue_groups\": [{\"name\": \"a\"}, {\"name\": \"a\"}]",
               "50-routing.json#/routing/queue_groups/1/name: there is another group \"a\"");
    tables_bad(NULL,
               TABLES_RULES("{\"recipient\": \"bulk@\", \"transport\": \"smtp-out\", "
                            "\"queue_group\": \"lite\"}") GROUPS,
               "50-routing.json#/routing/rules/0/queue_group: unknown queue group \"lite\"; did "
               "you mean \"late\"?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T_25_the_longest_suffix_wins_and_a_host_before_it),
        cmocka_unit_test(T_26_what_is_local_stays_local_beside_a_gateway),
        cmocka_unit_test(a_gateway_names_its_domains),
        cmocka_unit_test(U_42_outside_the_zone_goes_to_the_gateway),
        cmocka_unit_test(C_12_the_zone_is_the_parent_of_the_host_by_default),
        cmocka_unit_test(U_45_always_means_all_that_is_not_local),
        cmocka_unit_test(U_46_the_own_exchangers_come_after_a_gateway_that_is_not_there),
        cmocka_unit_test(U_47_without_mx_the_inside_is_resolved_by_address),
        cmocka_unit_test(C_15_a_gateway_by_address_or_by_host_asks_for_no_mx),
        cmocka_unit_test(several_zones_are_chosen_by_sender_and_destination),
        cmocka_unit_test(T_13_remote_mail_goes_to_the_hub_but_for_gateways_and_exceptions),
        cmocka_unit_test(T_12_local_mail_goes_to_the_hub_but_for_exempt_users),
        cmocka_unit_test(T_11_the_hub_is_for_what_cannot_be_resolved),
        cmocka_unit_test(T_38_the_hub_is_appended_to_the_exchangers),
        cmocka_unit_test(exceptions_need_something_to_be_excepted_from),
        cmocka_unit_test(words_for_the_own_domain_have_rules),
        cmocka_unit_test(T_27_a_decision_carries_its_queue_group),
        cmocka_unit_test(a_queue_group_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
