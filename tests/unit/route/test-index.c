/* The index never changes a decision: it is compared with trying every row. And what the trace says
 * of the rows that it passes over. */
#include "route/table.h"
#include "tables.h"

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static const char *pick(uint32_t *seed, const char *const *from, size_t n)
{
    return from[next_random(seed) % n];
}
#define PICK(seed, list) pick((seed), (list), sizeof(list) / sizeof *(list))

static const char *const domains[] = { "a.example",   "b.a.example", "c.b.a.example",
                                       "x.test",      "y.x.test",    "[192.0.2.77]",
                                       "example.com", "test",        "s.sub.example.com" };
static const char *const locals[] = { "ann", "bob", "Ann", "\"a b\"", "b@", "list-x" };
static const char *const domain_patterns[] = { "a.example",  ".a.example", "*.b.a.example",
                                               ".test",      "x.test",     "*",
                                               "?.example",  ".example",   "y.*",
                                               "example.com" };
static const char *const address_patterns[] = {
    "ann@", "bob@a.example", "@a.example", "@.a.example", ".test", "ann@.test", "a*@x.test",
    "*",    "list-*@",       "*@*.test",   "ann@x.test"
};

static void add_list(struct buf *out, const char *key, const char *a, const char *b)
{
    buf_printf(out, ", \"%s\": [\"%s\", \"%s\"]", key, a, b);
}

static char *random_rules(uint32_t *seed, unsigned n)
{
    struct buf out = { 0 };

    buf_adds(&out, TABLES_LOCAL ", \"rules\": [");
    for (unsigned i = 0; i < n; i++) {
        unsigned kinds = 1 + next_random(seed) % 7;

        buf_printf(&out, "%s{\"hold\": \"%u\"", i ? "," : "", i);
        if (kinds & 1)
            add_list(&out, "domain", PICK(seed, domain_patterns), PICK(seed, domain_patterns));
        if (kinds & 2)
            add_list(&out, "recipient", PICK(seed, address_patterns), PICK(seed, address_patterns));
        if (kinds & 4)
            add_list(&out, "sender", PICK(seed, address_patterns),
                     next_random(seed) % 2 ? "<>" : PICK(seed, address_patterns));
        buf_adds(&out, "}");
    }
    buf_adds(&out, "]");
    return out.data;
}

/* The rule that matches first, by trying all of them. */
static const struct route_rule *by_trying(const struct route_table *t, const struct route_query *q)
{
    struct route_walk w = { .t = t, .q = q };
    struct route_match m;
    const char *why;

    assert_int_equal(route_address_init(&w.rcpt, q->rcpt, t->hostname, &why), 0);
    w.local = route_local(t, w.rcpt.domain);
    for (size_t i = 0; i < t->head_n; i++) {
        if (route_row_match(&t->rows[i], &w, &m))
            return &t->rows[i].rule;
    }
    return w.local ? &w.local->rule : &route_default(t)->rule;
}

static void the_index_finds_what_trying_finds(void **state)
{
    uint32_t seed = 7, by_rule = 0;

    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        char *routing = random_rules(&seed, 1 + round % 12);
        struct tables t;

        tables_good(&t, routing);
        for (unsigned i = 0; i < 500; i++) {
            char rcpt[64], sender[64];
            struct route_query q = { .rcpt = rcpt };
            struct route_decision d;

            do
                snprintf(rcpt, sizeof rcpt, "%s@%s", PICK(&seed, locals), PICK(&seed, domains));
            while (strstr(rcpt, "@@"));
            snprintf(sender, sizeof sender, "%s@%s", PICK(&seed, locals), PICK(&seed, domains));
            q.sender = i % 5 == 0 ? "" : i % 5 == 1 ? NULL : sender;
            assert_int_equal(route_decide(t.table, &q, &d, NULL), 0);
            assert_ptr_equal(d.rule, by_trying(t.table, &q));
            by_rule += d.action == ROUTE_HOLD;
            route_decision_done(&d);
        }
        tables_done(&t);
        free(routing);
    }
    assert_true(by_rule > 3000);
}

static void rows_that_are_passed_over_are_told_of_together(void **state)
{
    struct route_query q = { .rcpt = "bob@d150.example", .sender = "ann@example.com" };
    struct buf routing = { 0 }, out = { 0 };
    struct route_decision d;
    struct route_trace trace;
    struct tables t;

    (void)state;
    buf_adds(&routing, TABLES_LOCAL ", \"rules\": [");
    for (unsigned i = 0; i < 200; i++) {
        if (i == 100)
            buf_adds(&routing, "{\"recipient\": \"*-list@*\", \"hold\": \"\"},");
        else
            buf_printf(&routing, "{\"domain\": \"d%u.example\", \"hold\": \"\"}%s", i,
                       i < 199 ? "," : "]");
    }
    tables_good(&t, routing.data);
    assert_int_equal(route_decide(t.table, &q, &d, &trace), 0);
    route_explain(&q, &d, &trace, 0, &out);
    assert_string_equal(
        out.data,
        "bob@d150.example\n"
        "  rules 1-100    (50-routing.json#/routing/rules/0 ...)    no: none of these 100 names "
        "bob@d150.example\n"
        "  rule 101       (50-routing.json#/routing/rules/100)      no: recipient bob@d150.example "
        "is not *-list@*\n"
        "  rules 102-150  (50-routing.json#/routing/rules/101 ...)  no: none of these 49 names "
        "bob@d150.example\n"
        "  rule 151       (50-routing.json#/routing/rules/150)      yes: domain d150.example "
        "matches d150.example\n"
        "  => hold: held by a rule\n"
        "     accepted from clients that may relay\n");
    route_trace_done(&trace);
    route_decision_done(&d);
    tables_done(&t);
    buf_free(&routing);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_finds_what_trying_finds),
        cmocka_unit_test(rows_that_are_passed_over_are_told_of_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
