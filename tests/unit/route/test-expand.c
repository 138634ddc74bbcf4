/* Table and aliases together: each place once, circles told, keys that last. */
#include <errno.h>

#include "../config/scratch.h"
#include "route/answers.h"
#include "route/expand.h"
#include "tables.h"
#include "util/buf.h"
#include "util/clock.h"

struct world {
    struct scratch scratch;
    struct tables tables;
};

static void begin_routing(struct world *w, const char *aliases, const char *more, char *routing)
{
    char *path, *base;

    memset(w, 0, sizeof *w);
    scratch_init(&w->scratch);
    scratch_file(&w->scratch, "aliases", aliases);
    path = scratch_path(&w->scratch, "aliases");
    base = mem_printf("{\"server\": {\"hostname\": \"gw.example.com\"},"
                      " \"ingress\": {\"smtp-in\": {}},"
                      " \"transports\": {\"local-mbox\": {}, \"smtp-out\": {}, \"pipe\": {},"
                      "                  \"file\": {}, \"list\": {}},"
                      " \"aliases\": {\"files\": [{\"path\": \"%s\", \"syntax\": \"sendmail\"}],"
                      "               \"roots\": [\"%s\"]%s}}",
                      path, w->scratch.dir, more);
    tables_load(&w->tables, base, routing);
    for (size_t i = 0; i < w->tables.errors.n; i++)
        print_error("%s\n", w->tables.errors.lines[i]);
    assert_non_null(w->tables.table);
    free(path);
    free(base);
    free(routing);
}

/* aliases: of the dialect of sendmail; more: what else stands in that section, or "". */
static void begin(struct world *w, const char *aliases, const char *more, const char *rules)
{
    begin_routing(w, aliases, more, mem_printf(TABLES_RULES("%s"), rules));
}

static void begin_with_users(struct world *w, const char *aliases, const char *more)
{
    begin_routing(w, aliases, more, mem_strdup(TABLES_LOCAL ", \"users\": [\"people\"]"));
}

static void end(struct world *w)
{
    tables_done(&w->tables);
    scratch_done(&w->scratch);
}

static int expand(struct world *w, const char *sender, const char *rcpt, struct route_expansion *e)
{
    struct route_query q = { .sender = sender, .rcpt = rcpt, .ingress = "smtp-in" };

    return route_expand(w->tables.table, &q, 1, e);
}

/* Leaves as "transport address" or "fail 5.4.6", a line each, in their order; or "too many". */
static void expect(struct world *w, const char *rcpt, const char *expected)
{
    int too_many = !strcmp(expected, "too many\n");
    struct route_expansion e;
    struct buf found = { 0 };

    assert_int_equal(expand(w, "s@far.example", rcpt, &e), too_many ? -E2BIG : 0);
    buf_reserve(&found, 1);
    found.data[0] = '\0';
    for (size_t i = 0; i < e.n; i++) {
        const struct route_decision *d = &e.leaves[i].decision;

        if (too_many) /* it waits until the limit is mended */
            buf_printf(&found, "%s\n",
                       d->action == ROUTE_FAIL && d->status[0] == 4 && d->status[1] == 3
                           ? "too many"
                           : d->rcpt);
        else if (d->action == ROUTE_TRANSPORT)
            buf_printf(&found, "%s %s\n", d->transport, d->rcpt);
        else if (d->action == ROUTE_DISCARD)
            buf_printf(&found, "discard %s\n", e.leaves[i].shown);
        else
            buf_printf(&found, "fail %u.%u.%u\n", d->status[0], d->status[1], d->status[2]);
    }
    assert_string_equal(found.data, expected);
    buf_free(&found);
    route_expansion_done(&e);
}

static void a_circle_through_a_rule_is_told_and_loses_nobody(void **state)
{
    struct route_expansion e;
    struct world w;

    (void)state;
    begin(&w, "sales: a@old.example\nmixed: b@old.example, c@far.example\n", "",
          "{\"recipient\": \"a@old.example\", \"rewrite\": \"sales@example.com\"},"
          "{\"recipient\": \"b@old.example\", \"rewrite\": \"mixed@example.com\"}");
    assert_int_equal(expand(&w, "s@far.example", "sales@example.com", &e), 0);
    assert_true(e.aliased);
    assert_int_equal(e.n, 1);
    assert_int_equal(e.leaves[0].decision.action, ROUTE_FAIL);
    assert_int_equal(e.leaves[0].decision.status[2], 6);
    assert_string_equal(e.leaves[0].decision.text,
                        "aliases and rules go round in circles: sales@example.com -> a@old.example "
                        "-> sales@example.com -> a@old.example");
    route_expansion_done(&e);
    expect(&w, "mixed@example.com", "fail 5.4.6\nsmtp-out c@far.example\n");
    end(&w);
}

/* No transport is named, and no folder of its is a root. */
static void what_goes_to_dev_null_is_discarded(void **state)
{
    struct route_expansion e;
    struct buf text = { 0 };
    struct world w;

    (void)state;
    begin(&w, "nobody: /dev/null\nnull: nobody, /dev/null, ann@far.example\nlog: /dev/nullx\n", "",
          "");
    expect(&w, "nobody@example.com", "discard >/dev/null\n");
    expect(&w, "null@example.com", "discard >/dev/null\nsmtp-out ann@far.example\n");
    expect(&w, "log@example.com", "fail 4.3.5\n");
    assert_int_equal(expand(&w, "s@far.example", "nobody@example.com", &e), 0);
    assert_string_equal(e.leaves[0].key, ">/dev/null");
    route_expansion_explain(&(struct route_query){ .sender = "s@far.example",
                                                   .rcpt = "nobody@example.com",
                                                   .ingress = "smtp-in" },
                            &e, 0, &text);
    assert_non_null(strstr(text.data, "    >/dev/null\n      => discard"));
    buf_free(&text);
    route_expansion_done(&e);
    end(&w);
}

static void a_rule_may_lead_each_of_many_to_an_alias(void **state)
{
    struct buf aliases = { 0 }, expected = { 0 };
    struct world w;

    (void)state;
    buf_adds(&aliases, "all: u0@old.example");
    for (int i = 1; i < 50; i++)
        buf_printf(&aliases, ", u%d@old.example", i);
    buf_adds(&aliases, "\n");
    for (int i = 0; i < 50; i++) {
        buf_printf(&aliases, "u%d: v%d@far.example\n", i, i);
        buf_printf(&expected, "smtp-out v%d@far.example\n", i);
    }
    begin(&w, aliases.data, "",
          "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@example.com\"}");
    expect(&w, "all@example.com", expected.data);
    end(&w);
    buf_free(&aliases);
    buf_free(&expected);
}

static void rules_and_aliases_do_not_lead_on_for_ever(void **state)
{
    struct buf aliases = { 0 };
    struct world w;

    (void)state;
    for (int i = 0; i < 20; i++)
        buf_printf(&aliases, "u%d: u%d@old.example\n", i, i + 1);
    begin(&w, aliases.data, "",
          "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@example.com\"}");
    expect(&w, "u0@example.com", "fail 5.4.6\n");
    expect(&w, "u12@example.com", "local-mbox u20@example.com\n");
    end(&w);
    buf_free(&aliases);
}

static void nobody_gets_it_twice_by_two_rules(void **state)
{
    struct world w;

    (void)state;
    begin(&w,
          "all: bob@old.example, bob@example.com, bob@older.example, x@old.example, x@new.example,"
          " X@NEW.example\n",
          "",
          "{\"recipient\": \"x@old.example\", \"rewrite\": \"x@new.example\"},"
          "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@example.com\"},"
          "{\"recipient\": \"*@older.example\", \"rewrite\": \"*@example.com\"}");
    expect(&w, "all@example.com", "local-mbox bob@example.com\nsmtp-out x@new.example\n");
    end(&w);
}

static void keys_outlast_the_spelling_and_the_rules(void **state)
{
    struct route_expansion e;
    struct world w, v;

    (void)state;
    begin(&w, "all: Bob@Old.Example, ann\n", "", "");
    begin(&v, "all: ann, bob@old.example\n", "",
          "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@new.example\"}");
    assert_int_equal(expand(&w, "s@far.example", "all@example.com", &e), 0);
    assert_int_equal(e.n, 2);
    assert_string_equal(e.leaves[0].key, "bob@old.example");
    assert_string_equal(e.leaves[1].key, "ann@gw.example.com");
    route_expansion_done(&e);
    assert_int_equal(expand(&v, "s@far.example", "all@example.com", &e), 0);
    assert_int_equal(e.n, 2);
    assert_string_equal(e.leaves[0].key, "ann@gw.example.com");
    assert_string_equal(e.leaves[1].key, "bob@old.example");
    assert_string_equal(e.leaves[1].decision.rcpt, "bob@new.example");
    route_expansion_done(&e);
    end(&w);
    end(&v);
}

static void many_without_a_domain_are_looked_up_once_each(void **state)
{
    struct buf aliases = { 0 };
    struct route_expansion e;
    struct world w;

    (void)state;
    buf_adds(&aliases, "all: u0");
    for (int i = 1; i < 40; i++)
        buf_printf(&aliases, ", u%d", i);
    buf_adds(&aliases, ", x@old.example\nx: y@far.example\n");
    begin(&w, aliases.data, "",
          "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@example.com\"}");
    assert_int_equal(expand(&w, "s@far.example", "all@example.com", &e), 0);
    assert_int_equal(e.n, 41);
    assert_string_equal(e.leaves[39].decision.rcpt, "u39@gw.example.com");
    assert_string_equal(e.leaves[40].decision.rcpt, "y@far.example");
    route_expansion_done(&e);
    end(&w);
    buf_free(&aliases);
}

static void more_than_may_be_is_one_failure_also_through_rules(void **state)
{
    struct world w;

    (void)state;
    begin(&w,
          "big: a@far.example, b@far.example, c@far.example, d@far.example\n"
          "two: one@old.example, other@old.example\none: a@far.example, b@far.example\n"
          "other: c@far.example, d@far.example\n",
          ", \"expansion_max\": 3",
          "{\"recipient\": \"*@old.example\", \"rewrite\": \"*@example.com\"}");
    expect(&w, "big@example.com", "too many\n");
    expect(&w, "two@example.com", "too many\n");
    expect(&w, "one@example.com", "smtp-out a@far.example\nsmtp-out b@far.example\n");
    end(&w);
}

static void bounces_of_a_list_go_to_its_owner_unless_there_is_no_sender(void **state)
{
    struct route_expansion e;
    struct world w;

    (void)state;
    begin(&w, "staff: a@far.example\nowner-staff: boss@far.example\n", "", "");
    assert_int_equal(expand(&w, "s@far.example", "staff@example.com", &e), 0);
    assert_string_equal(e.leaves[0].sender, "owner-staff@gw.example.com");
    route_expansion_done(&e);
    assert_int_equal(expand(&w, "", "staff@example.com", &e), 0);
    assert_null(e.leaves[0].sender);
    route_expansion_done(&e);
    end(&w);
}

static void transports_of_aliases_are_found_whatever_their_case(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "prog: \"|/bin/true\"\n", ", \"pipe_transport\": \"PIPE\"", "");
    expect(&w, "prog@example.com", "pipe prog@example.com\n");
    end(&w);
}

static void an_expansion_is_told_as_json_with_each_place(void **state)
{
    struct route_query q = { .sender = "s@far.example", .rcpt = "all@example.com" };
    struct route_expansion e;
    struct world w;
    json_t *j, *leaves;

    (void)state;
    begin(&w, "all: a@far.example, bad@old.example\n", "",
          "{\"recipient\": \"bad@old.example\", \"rewrite\": \"all@example.com\"}");
    assert_int_equal(expand(&w, q.sender, q.rcpt, &e), 0);
    j = route_expansion_json(&q, &e);
    leaves = json_object_get(json_object_get(j, "alias"), "leaves");
    assert_int_equal(json_array_size(leaves), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(leaves, 0), "chain")),
                        "all@example.com -> a@far.example");
    assert_non_null(strstr(json_string_value(json_object_get(
                               json_object_get(json_array_get(leaves, 1), "decision"), "text")),
                           "in circles"));
    json_decref(j);
    route_expansion_done(&e);
    end(&w);
}

static void all_users_of_a_list_are_asked_for_at_once(void **state)
{
    struct route_query q = { .rcpt = "all@example.com" };
    struct alias_report report = { 0 };
    struct route_expansion e;
    struct buf aliases = { 0 };
    struct world w;
    size_t users = 0;

    (void)state;
    buf_adds(&aliases, "all: no-such-user-0");
    for (int i = 1; i < 100; i++)
        buf_printf(&aliases, ", no-such-user-%d", i);
    buf_adds(&aliases, "\n");
    begin(&w, aliases.data, ", \"user_file\": \".postern-aliases-of-a-test\"", "");
    q.asked = clock_mono();
    assert_int_equal(route_expand(w.tables.table, &q, 0, &e), -EAGAIN);
    for (size_t at = 0; at < e.wanted_len; at += strlen(e.wanted + at) + 1)
        users++;
    assert_int_equal(users, 100);
    route_personal(w.tables.table, e.wanted, e.wanted_len, &report);
    route_expansion_done(&e);
    assert_int_equal(route_expand(w.tables.table, &q, 0, &e), 0);
    assert_int_equal(e.n, 100);
    route_expansion_done(&e);
    alias_report_done(&report);
    end(&w);
    buf_free(&aliases);
}

/* --- in steps --- */

static struct expand_walk *walk(struct world *w, const char *rcpt)
{
    struct route_query q = { .sender = "s@far.example", .rcpt = rcpt, .ingress = "smtp-in" };

    return expand_walk_new(w->tables.table, &q, 0);
}

static void put_places(const struct route_expansion *e, struct buf *out)
{
    for (size_t i = 0; i < e->n; i++)
        buf_printf(out, "%s %s %s\n", e->leaves[i].key, e->leaves[i].shown,
                   e->leaves[i].decision.rcpt);
}

static void steps_of_any_length_find_what_one_go_finds(void **state)
{
    static const size_t budgets[] = { 1, 2, 3, 7, 64, 100000 };
    const struct route_expansion *found;
    struct route_expansion whole;
    struct expand_walk *steps;
    struct buf expected = { 0 }, got = { 0 };
    struct world w;
    int r, n;

    (void)state;
    begin(&w,
          "all: ann, :include:members, led@old.example, round, ann@example.com\n"
          "led: carl, x@far.example\nround: all\n",
          "", "{\"recipient\": \"led@old.example\", \"rewrite\": \"led@example.com\"}");
    scratch_file(&w.scratch, "members", "a@far.example\nb@far.example\nbert\nann\n");
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        struct alias_report report = { 0 };
        struct alias_set *fresh = NULL;

        if (route_aliases_load(w.tables.table, &fresh, &report))
            route_aliases_swap(w.tables.table, &fresh);
        alias_report_done(&report);
        assert_int_equal(expand(&w, "s@far.example", "all@example.com", &whole), 0);
        assert_true(whole.n > 6);
        put_places(&whole, &expected);
        steps = walk(&w, "all@example.com");
        for (n = 0; (r = expand_walk_step(steps, budgets[i], &found)) == -EINPROGRESS; n++) {
            /* The files change under it: it goes on with those that it began with. */
            if (n == 3 && route_aliases_load(w.tables.table, &fresh, &report))
                route_aliases_swap(w.tables.table, &fresh);
            assert_true(n < 1000);
        }
        assert_int_equal(r, 0);
        assert_true(found->aliased);
        assert_true(budgets[i] > 3 || n > 5);
        put_places(found, &got);
        assert_string_equal(got.data, expected.data);
        expand_walk_free(&steps);
        route_expansion_done(&whole);
        buf_clear(&expected);
        buf_clear(&got);
    }
    buf_free(&expected);
    buf_free(&got);
    end(&w);
}

#define DIRECTORY(cache_max) \
    ", \"directories\": [\"people\"]}, \"directories\": {\"people\": {}}, " \
    "\"lookups\": {\"cache_max\": " cache_max ", \"ttl\": \"0s\""

/* As a directory that knows no aliases and all users but one. Returns how often it was asked. */
static unsigned answer_all(struct world *w, struct expand_walk *steps,
                           const struct route_expansion **ret)
{
    struct route_answers *answers = route_answers_of(w->tables.table);
    unsigned asked = 0;
    int r;

    while ((r = expand_walk_step(steps, 100000, ret)) == -EAGAIN) {
        assert_true((*ret)->need_n > 0 && (*ret)->need_n <= ROUTE_NEEDS_MAX);
        for (size_t i = 0; i < (*ret)->need_n; i++, asked++) {
            const struct route_need *n = &(*ret)->needs[i];
            int known = n->kind == POSTERN_LOOKUP_USER && strcmp(n->key, "user7") != 0;

            route_answers_put(answers, n, known ? 0 : -ENOENT, NULL, 0, 0);
        }
        assert_true(asked < 20000);
    }
    assert_int_equal(r, 0);
    return asked;
}

static void walk_with_directory(const char *lookups, unsigned asked_min, unsigned asked_max)
{
    const struct route_expansion *found;
    struct expand_walk *steps;
    struct buf aliases = { 0 };
    struct world w;
    unsigned asked, refused = 0;

    buf_adds(&aliases, "all: user0");
    for (int i = 1; i < 300; i++)
        buf_printf(&aliases, ", user%d", i);
    buf_adds(&aliases, "\n");
    begin_with_users(&w, aliases.data, lookups);
    steps = walk(&w, "all@example.com");
    asked = answer_all(&w, steps, &found);
    assert_true(asked >= asked_min && asked <= asked_max);
    assert_int_equal(found->n, 300);
    for (size_t i = 0; i < found->n; i++)
        refused += found->leaves[i].decision.action == ROUTE_FAIL;
    assert_int_equal(refused, 1);
    expand_walk_free(&steps);
    end(&w);
    buf_free(&aliases);
}

static void a_walk_asks_each_question_once(void **state)
{
    (void)state;
    walk_with_directory(DIRECTORY("1000"), 900, 900); /* full address, name, user */
}

static void a_walk_comes_to_its_end_when_answers_are_forgotten_early(void **state)
{
    (void)state;
    walk_with_directory(DIRECTORY("10"), 900, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_circle_through_a_rule_is_told_and_loses_nobody),
        cmocka_unit_test(what_goes_to_dev_null_is_discarded),
        cmocka_unit_test(a_rule_may_lead_each_of_many_to_an_alias),
        cmocka_unit_test(rules_and_aliases_do_not_lead_on_for_ever),
        cmocka_unit_test(nobody_gets_it_twice_by_two_rules),
        cmocka_unit_test(keys_outlast_the_spelling_and_the_rules),
        cmocka_unit_test(many_without_a_domain_are_looked_up_once_each),
        cmocka_unit_test(more_than_may_be_is_one_failure_also_through_rules),
        cmocka_unit_test(bounces_of_a_list_go_to_its_owner_unless_there_is_no_sender),
        cmocka_unit_test(transports_of_aliases_are_found_whatever_their_case),
        cmocka_unit_test(an_expansion_is_told_as_json_with_each_place),
        cmocka_unit_test(all_users_of_a_list_are_asked_for_at_once),
        cmocka_unit_test(steps_of_any_length_find_what_one_go_finds),
        cmocka_unit_test(a_walk_asks_each_question_once),
        cmocka_unit_test(a_walk_comes_to_its_end_when_answers_are_forgotten_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
