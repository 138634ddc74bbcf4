/* The table as it is listed, and rows of which it is known that they never match. */
#include "route/shadow.h"
#include "tables.h"

#define RULES \
    "{\"domain\": [\"a.example\", \".b.example\"], \"sender\": \"<>\", " \
    "\"transport\": \"decnet\", \"next_hops\": [\"hub\", \"*\"]}," \
    "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@a.example\"}," \
    "{\"ingress\": \"submission\", \"fail\": \"4.2.1 later\"}"
#define REMOTE \
    ", \"gateways\": [{\"domain\": \".bitnet\", \"next_hops\": \"bitgate\"}], " \
    "\"forwarders\": {\"remote\": \"hub\", \"except\": \".x\"}"

static void the_table_is_listed_with_its_places(void **state)
{
    struct buf out = { 0 };
    struct tables t;

    (void)state;
    tables_good(&t, TABLES_RULES(RULES) REMOTE);
    assert_int_equal(route_list(t.table, 0, &out), 0);
    assert_string_equal(
        out.data,
        "rule 1 (50-routing.json#/routing/rules/0): domain a.example or .b.example, sender <> -> "
        "decnet via hub, *\n"
        "rule 2 (50-routing.json#/routing/rules/1): recipient *@old.example -> rewrite to "
        "*@a.example\n"
        "rule 3 (50-routing.json#/routing/rules/2): ingress submission -> fail 4.2.1\n"
        "local domain 1 (50-routing.json#/routing/local_domains): domain example.com -> "
        "local-mbox\n"
        "local domain 2 (50-routing.json#/routing/local_domains): domain .sub.example.com -> "
        "local-mbox\n"
        "own address (built in): an address of this host -> local-mbox\n"
        "local domain (built in): an address without a domain -> local-mbox\n"
        "gateway 1 (50-routing.json#/routing/gateways/0): domain .bitnet -> smtp-out via bitgate\n"
        "forwarder (50-routing.json#/routing/forwarders): but not .x -> smtp-out via [hub]\n"
        "default (50-routing.json#/routing/default): all the rest -> smtp-out\n");
    buf_free(&out);
    tables_done(&t);
}

/* The rules, of which the last is shadowed by rule `by`, counted from 1; 0: by none. */
static void assert_shadow(const char *rules, size_t by)
{
    char *routing = mem_printf(TABLES_LOCAL ", \"rules\": [%s]", rules);
    const struct route_row *shadow;
    struct tables t;

    tables_good(&t, routing);
    shadow = route_shadow(t.table, &t.table->rows[t.table->head_n - 1]);
    if ((shadow ? shadow->rule.number : 0) != by)
        print_error("%s\n", rules);
    assert_int_equal(shadow ? shadow->rule.number : 0, by);
    tables_done(&t);
    free(routing);
}

#define R(conditions) "{" conditions ", \"hold\": \"\"}"

static void rules_behind_wider_ones_never_match(void **state)
{
    (void)state;
    assert_shadow(R("\"domain\": \"a.example\"") "," R("\"domain\": \"A.example\""), 1);
    assert_shadow(R("\"domain\": \".example\"") "," R("\"domain\": \"b.a.example\""), 1);
    assert_shadow(R("\"domain\": \".example\"") "," R("\"domain\": \".a.example\""), 1);
    assert_shadow(R("\"domain\": \".example\"") "," R("\"domain\": \"example\""), 0);
    assert_shadow(R("\"domain\": \"*\"") "," R("\"domain\": \"far.example\""), 1);
    /* "*" spares what is local. */
    assert_shadow(R("\"domain\": \"*\"") "," R("\"domain\": \"example.com\""), 0);
    assert_shadow(R("\"domain\": \"*\"") "," R("\"recipient\": \"bob@\""), 0);
    assert_shadow(R("\"recipient\": \"*\"") "," R("\"domain\": \"example.com\""), 1);
    assert_shadow(R("\"recipient\": \"bob@\"") "," R("\"recipient\": \"bob@a.example\""), 1);
    assert_shadow(R("\"recipient\": \"b*@.example\"") "," R("\"recipient\": \"bob@a.example\""), 1);
    assert_shadow(R("\"recipient\": \"@a.example\"") "," R("\"domain\": \"a.example\""), 1);
    assert_shadow(R("\"domain\": \"a.example\"") "," R("\"recipient\": \"bob@a.example\""), 1);
    assert_shadow(R("\"recipient\": \"bob@a.example\"") "," R("\"domain\": \"a.example\""), 0);
}

static void further_conditions_of_the_wider_rule_let_some_through(void **state)
{
    (void)state;
    assert_shadow(
        R("\"domain\": \".example\", \"sender\": \"<>\"") "," R("\"domain\": \"a.example\""), 0);
    assert_shadow(R("\"domain\": \".example\", \"ingress\": \"submission\"") "," R(
                      "\"domain\": \"a.example\""),
                  0);
    assert_shadow(R("\"domain\": \".example\", \"sender\": [\"<>\", \"@x.example\"]") "," R(
                      "\"domain\": \"a.example\", \"sender\": \"u@x.example\""),
                  1);
    assert_shadow(R("\"domain\": [\"a.example\", \"b.example\"]") "," R(
                      "\"domain\": [\"b.example\", \"a.example\"]"),
                  1);
    assert_shadow(R("\"domain\": [\"a.example\", \"b.example\"]") "," R(
                      "\"domain\": [\"b.example\", \"c.example\"]"),
                  0);
    assert_shadow(R("\"domain\": \".example\"") "," R(
                      "\"domain\": \"a.example\", \"ingress\": \"submission\""),
                  1);
}

static const struct route_row *row_of(const struct tables *t, enum row_kind kind)
{
    for (size_t i = 0; i < t->table->row_n; i++) {
        if (t->table->rows[i].kind == kind)
            return &t->table->rows[i];
    }
    return NULL;
}

static void a_gateway_for_what_is_local_never_matches(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                TABLES_LOCAL ", \"gateways\": [{\"domain\": \"example.com\", "
                             "\"next_hops\": \"x.example\"}]");
    assert_ptr_equal(route_shadow(t.table, row_of(&t, ROW_GATEWAY)), row_of(&t, ROW_LOCAL));
    tables_done(&t);
}

static void what_stands_behind_a_zone_that_takes_all_never_matches(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                TABLES_LOCAL ", \"zones\": [{\"zone\": \"dec.com\", \"gateway\": \"relay\"}], "
                             "\"forwarders\": {\"remote\": \"hub\"}");
    assert_ptr_equal(route_shadow(t.table, row_of(&t, ROW_FORWARDER)), row_of(&t, ROW_ZONE_GATE));
    assert_null(route_shadow(t.table, row_of(&t, ROW_ZONE_GATE)));
    tables_done(&t);
}

/* What is said to be dead must be: random tables, random mail. */
static void a_row_that_is_called_dead_never_decides(void **state)
{
    static const char *const domains[] = {
        "a.x", ".x", "b.a.x", ".a.x", "*", "*.x", "example.com"
    };
    static const char *const users[] = { "u@", "@a.x", "u@a.x", "*", "u*@.x", "v@b.a.x" };
    static const char *const rcpts[] = { "u@a.x",         "v@b.a.x", "u@b.a.x", "u1@c.x",
                                         "u@example.com", "v@x",     "u@far",   "v@a.x" };
    uint32_t seed = 3, dead = 0;

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct buf rules = { 0 };
        struct tables t;

        buf_adds(&rules, TABLES_LOCAL ", \"rules\": [");
        for (int i = 0; i < 8; i++) {
            seed = seed * 1664525u + 1013904223u;
            buf_printf(&rules, "%s{\"%s\": \"%s\", \"hold\": \"\"%s}", i ? "," : "",
                       seed >> 31 ? "domain" : "recipient",
                       seed >> 31 ? domains[(seed >> 8) % 7] : users[(seed >> 8) % 6],
                       (seed >> 16) % 4 ? "" : ", \"sender\": \"<>\"");
        }
        buf_adds(&rules, "]");
        tables_good(&t, rules.data);
        for (size_t i = 0; i < 16; i++) {
            struct route_query q = { .rcpt = rcpts[i % 8], .sender = i < 8 ? "" : "s@t" };
            struct route_decision d;

            assert_int_equal(route_decide(t.table, &q, &d, NULL), 0);
            assert_null(route_shadow(t.table, &t.table->rows[d.rule->index]));
            route_decision_done(&d);
        }
        for (size_t i = 0; i < t.table->head_n; i++)
            dead += route_shadow(t.table, &t.table->rows[i]) != NULL;
        tables_done(&t);
        buf_free(&rules);
    }
    assert_true(dead > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_listed_with_its_places),
        cmocka_unit_test(rules_behind_wider_ones_never_match),
        cmocka_unit_test(further_conditions_of_the_wider_rule_let_some_through),
        cmocka_unit_test(a_gateway_for_what_is_local_never_matches),
        cmocka_unit_test(what_stands_behind_a_zone_that_takes_all_never_matches),
        cmocka_unit_test(a_row_that_is_called_dead_never_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
