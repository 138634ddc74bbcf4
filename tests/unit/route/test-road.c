/* Roads written into addresses: routing.roads. */
#include "tables.h"

#define BASE \
    "\"local_domains\": [\"us.example\", \"too.example\"], \"local_transport\": \"local-mbox\", " \
    "\"default\": {\"transport\": \"smtp-out\"}"

static void expect(struct tables *t, const char *rcpt, const char *end, int anyone)
{
    struct route_decision d;

    assert_int_equal(route_decide(t->table, &(struct route_query){ .rcpt = rcpt }, &d, NULL), 0);
    assert_int_equal(d.action, ROUTE_TRANSPORT);
    assert_string_equal(d.rcpt, end);
    assert_int_equal(d.anyone, anyone);
    route_decision_done(&d);
}

static void U_24_a_percent_is_a_users_name_unless_told_otherwise(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, BASE);
    expect(&t, "user%far.example@us.example", "user%far.example@us.example", 1);
    tables_done(&t);
}

static void U_24_the_percent_hack_goes_on_for_who_may_relay(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, BASE ", \"roads\": \"percent\"");
    expect(&t, "user%far.example@us.example", "user@far.example", 0);
    expect(&t, "user%c.example%b.example@us.example", "user%c.example@b.example", 0);
    expect(&t, "user%too.example@us.example", "user@too.example", 1);
    expect(&t, "user%far.example%too.example@us.example", "user@far.example", 0);
    expect(&t, "user%far.example@other.example", "user%far.example@other.example", 0);
    expect(&t, "\"user%far.example\"@us.example", "\"user%far.example\"@us.example", 1);
    expect(&t, "far!user@us.example", "far!user@us.example", 1);
    tables_done(&t);
}

/* It believes us, and might go on where we would not. */
static void a_hub_for_local_mail_gets_roads_from_who_may_relay(void **state)
{
    static const char *const roads[] = { "off", "percent", "all" };

    (void)state;
    for (size_t i = 0; i < sizeof roads / sizeof *roads; i++) {
        char *routing = mem_printf(BASE ", \"forwarders\": {\"local\": \"hub.example\"}, "
                                        "\"roads\": \"%s\"",
                                   roads[i]);
        struct tables t;

        tables_good(&t, routing);
        expect(&t, "user@us.example", "user@us.example", 1);
        expect(&t, "user%far.example@us.example", "user%far.example@us.example", 0);
        expect(&t, "far!user@us.example", "far!user@us.example", 0);
        expect(&t, "\"user@far.example\"@us.example", "\"user@far.example\"@us.example", 0);
        tables_done(&t);
        free(routing);
    }
}

static void bangs_are_roads_when_asked_for(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, BASE ", \"roads\": \"all\"");
    expect(&t, "far.example!user@us.example", "user@far.example", 0);
    expect(&t, "b.example!c.example!user@us.example", "user%c.example@b.example", 0);
    expect(&t, "user%far.example@us.example", "user@far.example", 0);
    tables_done(&t);
}

static void bangs_can_be_refused_by_a_rule(void **state)
{
    struct route_decision d;
    struct tables t;

    (void)state;
    tables_good(&t,
                BASE ", \"rules\": [{\"recipient\": \"*!*@*\", \"fail\": \"5.7.1 no UUCP here\"}]");
    assert_int_equal(
        route_decide(t.table, &(struct route_query){ .rcpt = "a!b@far.example" }, &d, NULL), 0);
    assert_int_equal(d.action, ROUTE_FAIL);
    assert_string_equal(d.text, "no UUCP here");
    route_decision_done(&d);
    tables_done(&t);
}

static void U_23_of_a_source_route_only_its_end_counts(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, BASE);
    expect(&t, "@a.example,@b.example:user@far.example", "user@far.example", 0);
    expect(&t, "@a.example:user@us.example", "user@us.example", 1);
    tables_done(&t);
}

/* Each step takes a host off, so a road ends by itself; too long a one is refused. */
static void a_road_that_never_ends_is_refused(void **state)
{
    char rcpt[600] = "user";
    struct route_decision d;
    struct tables t;

    (void)state;
    for (int i = 0; i < 30; i++)
        strcat(rcpt, "%us.example");
    strcat(rcpt, "@us.example");
    tables_good(&t, BASE ", \"roads\": \"percent\"");
    assert_int_equal(route_decide(t.table, &(struct route_query){ .rcpt = rcpt }, &d, NULL), 0);
    assert_int_equal(d.action, ROUTE_FAIL);
    assert_int_equal(d.status[1] * 10 + d.status[2], 46);
    route_decision_done(&d);
    tables_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_24_a_percent_is_a_users_name_unless_told_otherwise),
        cmocka_unit_test(U_24_the_percent_hack_goes_on_for_who_may_relay),
        cmocka_unit_test(a_hub_for_local_mail_gets_roads_from_who_may_relay),
        cmocka_unit_test(bangs_are_roads_when_asked_for),
        cmocka_unit_test(bangs_can_be_refused_by_a_rule),
        cmocka_unit_test(U_23_of_a_source_route_only_its_end_counts),
        cmocka_unit_test(a_road_that_never_ends_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
