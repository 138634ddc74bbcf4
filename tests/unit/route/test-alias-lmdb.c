/* What goes into a map comes out of it: the targets that an alias file says are those that a
 * directory's answer, made of the map's values, stands for. */
#include <errno.h>

#include "../config/scratch.h"
#include "alias-kit.h"
#include "route/alias-lmdb.h"
#include "route/alias-set.h"
#include "route/answers.h"

#define ROUNDS 300

static struct scratch scratch;

static int set_up(void **state)
{
    (void)state;
    scratch_init(&scratch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_done(&scratch);
    return 0;
}

static void expect_build(const char *source, enum alias_syntax syntax)
{
    const char *const roots[] = { scratch.dir };
    struct config_aliases cfg = { .roots = { 1, roots }, .owners = 1 };
    struct config_alias_file file = { source, syntax };
    struct alias_report report = { { 0 }, { 0 } };
    char *path = scratch_path(&scratch, "map.lmdb");
    size_t n = 0;
    int r = alias_lmdb_build(&cfg, &file, 1, path, &n, &report);

    if (r < 0)
        fail_msg("%s", report.errors.lines[0]);
    alias_report_done(&report);
    free(path);
}

/* What the map says, as whoever asks the directory understands it. */
static struct route_answers *ask(const char *name, struct route_answer *ret)
{
    static const struct config_lookups cfg = { .ttl = POSTERN_MINUTES(5), .cache_max = 3 };
    struct route_need n = { POSTERN_LOOKUP_ALIAS, "map", name, name, "gw.test" };
    struct route_answers *a = route_answers_new(&cfg);
    char *path = scratch_path(&scratch, "map.lmdb"), *line, *rest;
    const char *values[64], *why = NULL;
    struct buf out = { 0 };
    size_t value_n = 0;

    if (alias_lmdb_get(path, name, &out, &why) < 0)
        fail_msg("%s: %s", name, why);
    for (line = strtok_r(out.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        assert_true(value_n < sizeof values / sizeof *values);
        values[value_n++] = line;
    }
    route_answers_put(a, &n, 0, values, value_n, 1);
    assert_int_equal(route_answers_get(a, &n, ret), 1);
    if (ret->result < 0)
        fail_msg("%s: %s", name, ret->why);
    free(path);
    buf_free(&out);
    return a;
}

/* Both as "local part without quotes, domain": whether quotes are needed is a matter of taste. */
static void expect_same_address(const struct alias_target *one, const struct alias_target *two)
{
    struct alias_key a, b;
    struct address_fault fault = { NULL, 0 };

    assert_int_equal(alias_key_parse(&a, one->text, one->len, &fault), 0);
    assert_int_equal(alias_key_parse(&b, two->text, two->len, &fault), 0);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.v, b.v, a.len);
}

static void expect_same(const struct alias_target *said, const struct alias_target *found)
{
    char a[256], b[256];

    if (said->kind != found->kind)
        fail_msg("\"%s\" of kind %d has become \"%s\" of kind %d", said->text, said->kind,
                 found->text, found->kind);
    if (said->kind == ALIAS_ADDRESS || said->kind == ALIAS_LOCAL) {
        assert_int_equal(said->flags, found->flags);
        if (said->flags & ALIAS_OWN)
            assert_string_equal(found->text, "");
        else
            expect_same_address(said, found);
    } else if (said->kind == ALIAS_FILE) {
        assert_string_equal(alias_file_name(found->text, found->flags, 861000000, b, sizeof b),
                            alias_file_name(said->text, said->flags, 861000000, a, sizeof a));
    } else {
        assert_string_equal(said->text, found->text);
    }
}

static void expect_same_targets(const char *name, const char *targets, size_t n)
{
    struct alias_record got = { 0 };
    struct route_answer answer;
    struct route_answers *a = ask(name, &answer);
    const char *q;
    size_t at = 0;

    assert_int_equal(alias_map_next(&answer.source->map, &at, &got), 1);
    assert_int_equal(got.target_n, n);
    q = got.targets;
    for (size_t i = 0; i < n; i++) {
        struct alias_target said, found;

        targets = alias_map_target(targets, &said);
        q = alias_map_target(q, &found);
        expect_same(&said, &found);
    }
    route_answers_free(&a);
}

/* --- any target of any kind --- */

static unsigned dice(uint32_t *seed, unsigned sides)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % sides;
}

/* A local part, as JSON: in quotes, or one that needs none, with marks in front. */
static void add_local_part(struct buf *out, uint32_t *seed)
{
    static const char marks[] = "*_|#%!/=?^`{}~$&'+-";
    static const char *const inside[] = { " ", "<", ">", ":", "|", "\\\\\\\\", "\\\\\\\"", "@" };
    int in_quotes = dice(seed, 4) == 0;

    buf_adds(out, in_quotes ? "\\\"" : "");
    if (in_quotes)
        buf_adds(out, inside[dice(seed, sizeof inside / sizeof *inside)]);
    for (unsigned n = dice(seed, 3); n; n--)
        buf_addc(out, marks[dice(seed, sizeof marks - 1)]);
    buf_printf(out, "%c%u", 'a' + dice(seed, 26), dice(seed, 100));
    buf_adds(out, in_quotes ? "\\\"" : "");
}

static void add_any_target(struct buf *out, uint32_t *seed)
{
    switch (dice(seed, 6)) {
    case 0:
        buf_adds(out, "\"*\"");
        break;
    case 1:
        buf_adds(out, "{\"local\": \"");
        add_local_part(out, seed);
        buf_adds(out, "\"}");
        break;
    case 2:
        buf_printf(out, "{\"pipe\": \"%s/bin/x %u | <y >z\"}", dice(seed, 2) ? "" : "| ",
                   dice(seed, 100));
        break;
    case 3:
        buf_printf(out, "{\"file\": \"/srv/m%u/all%s\"}", dice(seed, 100),
                   dice(seed, 2) ? "" : ".txt");
        break;
    case 4:
        buf_printf(out, "\">/srv/m%u/all%s\"", dice(seed, 100), dice(seed, 2) ? "" : ".txt");
        break;
    default:
        buf_adds(out, "{\"address\": \"");
        add_local_part(out, seed);
        buf_adds(out, dice(seed, 2) ? "\"}" : "@x.test\"}");
    }
}

static void any_target_comes_out_as_it_went_in(void **state)
{
    struct buf text = { 0 };
    struct alias_record rec;
    uint32_t seed = 4711;
    char *source;
    struct kit k;
    size_t at = 0, n = 0;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        buf_printf(&text, "%s\"n%u\": [", i ? ",\n" : "{", i);
        for (unsigned j = dice(&seed, 5) + 1; j; j--) {
            add_any_target(&text, &seed);
            buf_adds(&text, j > 1 ? ", " : "]");
        }
    }
    buf_adds(&text, "}\n");
    scratch_file(&scratch, "a.json", text.data);
    source = scratch_path(&scratch, "a.json");
    expect_build(source, ALIAS_SYNTAX_JSON);
    kit_read(&k, ALIAS_SYNTAX_JSON, text.data);
    kit_show(&k);
    assert_int_equal(k.r, 0);
    for (; alias_map_next(&k.map, &at, &rec); n++) {
        char *name = mem_strndup(rec.name, rec.name_len);

        expect_same_targets(name, rec.targets, rec.target_n);
        free(name);
    }
    assert_int_equal(n, ROUNDS);
    kit_done(&k);
    free(source);
    buf_free(&text);
}

/* --- the same, told --- */

/* Whoever keeps a list of members may not say what the gateway runs. */
static void members_never_become_more_than_addresses(void **state)
{
    static const char *const members[] = { "|/home/x/evil@far.test", "_root@far.test",
                                           "_bob@far.test", "*@far.test", "ann@far.test" };
    struct route_answers *a;
    struct route_answer answer;
    struct alias_record rec;
    struct alias_target t;
    struct buf text = { 0 };
    char *source, *json;
    const char *p;
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        buf_printf(&text, "%s\n", members[i]);
    scratch_file(&scratch, "m.list", text.data);
    json = mem_printf("{\"staff\": {\"include\": \"%s/m.list\"}}", scratch.dir);
    scratch_file(&scratch, "a.json", json);
    source = scratch_path(&scratch, "a.json");
    expect_build(source, ALIAS_SYNTAX_JSON);
    a = ask("staff", &answer);
    assert_int_equal(alias_map_next(&answer.source->map, &at, &rec), 1);
    assert_int_equal(rec.target_n, sizeof members / sizeof *members);
    p = rec.targets;
    for (size_t i = 0; i < rec.target_n; i++) {
        struct alias_target want = { .text = members[i], .len = strlen(members[i]) };

        p = alias_map_target(p, &t);
        assert_int_equal(t.kind, ALIAS_ADDRESS);
        expect_same_address(&want, &t);
    }
    route_answers_free(&a);
    buf_free(&text);
    free(source);
    free(json);
}

static void a_file_keeps_its_name_whoever_said_it(void **state)
{
    kit_good(ALIAS_SYNTAX_SENDMAIL, "a: /srv/all, /srv/all.txt, /dev/null\n",
             "a: \">>/srv/all\", \">/srv/all.txt\", \">/dev/null\";\n", NULL);
    kit_good(ALIAS_SYNTAX_TCPWARE, "a: \">>/srv/all\", \">/srv/all\";\n",
             "a: \">>/srv/all\", \">/srv/all\";\n", NULL);
    kit_bad(ALIAS_SYNTAX_TCPWARE, "a: \">>\";\n", "f:1:4: expected the name of a file");
    kit_bad(ALIAS_SYNTAX_TCPWARE, "a: \"> >/srv/all\";\n", "f:1:4: expected the name of a file");
    kit_bad(ALIAS_SYNTAX_JSON, "{\"a\": {\"file\": \">/srv/all\"}}\n",
            "f:1:2: expected the name of a file");
    kit_good(ALIAS_SYNTAX_TCPWARE, "a: \">/srv/all;1;23\";\n", "a: \">/srv/all\";\n",
             (const char *const[]){ "f:1:4: the version \";1;23\" of a file is left out", NULL });
    (void)state;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_target_comes_out_as_it_went_in),
        TEST(members_never_become_more_than_addresses),
        TEST(a_file_keeps_its_name_whoever_said_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
