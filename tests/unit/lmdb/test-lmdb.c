/* A map from its alias files to the answers: the builder of the core, and the plugin on the fake
 * host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../fake/fakehost.h"
#include "route/alias-lmdb.h"
#include "util/buf.h"

extern const struct postern_plugin lmdb_LTX_postern_plugin;

static char dir[64], path[96];

static void complain(void *ctx, const char *what)
{
    (void)ctx;
    fail_msg("%s", what);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/postern-lmdb-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.lmdb", dir);
    return 0;
}

static int tear_down(void **state)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    (void)state;
    assert_non_null(d);
    while ((e = readdir(d)))
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static char *put(const char *name, const char *text)
{
    char *file = mem_printf("%s/%s", dir, name);
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    return file;
}

/* Builds from up to two files; the report's first error, or "". */
static int build(const char *one, const char *two, size_t *ret_count, char *ret_error, size_t size)
{
    const char *const roots[] = { dir };
    struct config_aliases cfg = { .roots = { 1, roots }, .owners = 1 };
    struct config_alias_file files[2] = { { one, 0 }, { two, 0 } };
    struct alias_report report = { { 0 }, { 0 } };
    int r = alias_lmdb_build(&cfg, files, two ? 2 : 1, path, ret_count, &report);

    if (ret_error)
        snprintf(ret_error, size, "%s", report.errors.n ? report.errors.lines[0] : "");
    else if (report.errors.n)
        fail_msg("%s", report.errors.lines[0]);
    alias_report_done(&report);
    return r;
}

static size_t build_text(const char *name, const char *text)
{
    char *file = put(name, text);
    size_t n = 0;

    assert_int_equal(build(file, NULL, &n, NULL, 0), 0);
    free(file);
    return n;
}

static struct fakehost *start(const char *refresh)
{
    struct fakehost *h = fakehost_new();

    fakehost_on_failure(h, complain, NULL);
    fakehost_set(h, "path", path);
    fakehost_set(h, "refresh", refresh);
    assert_int_equal(fakehost_open(h, &lmdb_LTX_postern_plugin), 0);
    return h;
}

static void expect(struct fakehost *h, const char *key, const char *values)
{
    postern_lookup *l = fakehost_lookup(h, POSTERN_LOOKUP_ALIAS, key, NULL, NULL, NULL);

    assert_int_equal(fakehost_answer(l), values ? 0 : -ENOENT); /* at once */
    assert_string_equal(fakehost_values(l), values ? values : "");
}

static void every_target_of_every_syntax_is_found(void **state)
{
    char *list = put("staff.list", "ann\nbob@b.test\n! nobody\n");
    char *one = put("tcpware",
                    "Sales: ann, bob@b.test, _carol;\n"
                    "info@Museum.test: *;\n"
                    "\"odd name\": eve;\n"
                    "ticket: \"|/bin/ticket a b\", \">log/all\";\n"
                    "staff:: boss, staff.list;\n"
                    "sum: \"<staff.list\";\n");
    char *two = put("aliases", "root: \\root\nclub: ann\nowner-club: eve\nsales: nobody\n"), *want;
    struct fakehost *h;
    size_t n = 0;

    (void)state;
    assert_int_equal(build(one, two, &n, NULL, 0), 0);
    assert_int_equal(n, 9); /* sales was there already; names of owners are no aliases */
    h = start("1s");
    expect(h, "sales", "ann, bob@b.test, _carol");
    expect(h, "info@museum.test", "*");
    expect(h, "info", NULL);
    expect(h, "\"odd name\"", "eve");
    want = mem_printf("|/bin/ticket a b, >%s/log/all", dir);
    expect(h, "ticket", want);
    expect(h, "staff", "::boss, ann, bob@b.test");
    expect(h, "sum", "ann, bob@b.test");
    expect(h, "root", "_root");
    expect(h, "club", "::owner-club, ann");
    expect(h, "owner-staff", "boss");
    expect(h, "staff-owner", "boss");
    expect(h, "staff-request", "boss");
    expect(h, "owner-club", "eve"); /* what a file says goes before */
    expect(h, "club-owner", "owner-club");
    expect(h, "club-request", "owner-club");
    expect(h, "owner-sales", NULL);
    expect(h, "nobody", NULL);
    expect(h, "", NULL);
    fakehost_close(&h);
    free(want);
    free(list);
    free(one);
    free(two);
}

static void by_hand_it_says_the_same(void **state)
{
    struct buf out = { 0 };
    const char *why;

    (void)state;
    build_text("a.txt", "Sales: ann, bob@b.test;\ninfo@x.test: eve;\n");
    assert_int_equal(alias_lmdb_get(path, "SALES", &out, &why), 0);
    assert_string_equal(out.data, "ann\nbob@b.test\n");
    buf_clear(&out);
    assert_int_equal(alias_lmdb_get(path, "Info@X.Test", &out, &why), 0);
    assert_string_equal(out.data, "eve\n");
    assert_int_equal(alias_lmdb_get(path, "eve", &out, &why), -ENOENT);
    assert_int_equal(alias_lmdb_get(path, "a b", &out, &why), -EINVAL);
    assert_int_equal(alias_lmdb_get("/nonexistent", "eve", &out, &why), -EIO);
    buf_free(&out);
}

static void a_new_map_is_seen_and_a_bad_one_is_not_taken(void **state)
{
    struct fakehost *h;
    FILE *out;
    char *bad;

    (void)state;
    build_text("a.txt", "sales: ann;\n");
    h = start("1s");
    expect(h, "sales", "ann");
    build_text("a.txt", "sales: bob;\n");
    expect(h, "sales", "ann"); /* it was looked a moment ago */
    fakehost_advance(h, 1000000);
    expect(h, "sales", "bob");
    bad = mem_printf("%s.bad", path);
    out = fopen(bad, "w");
    assert_non_null(out);
    for (int i = 0; i < 3000; i++)
        fputs("no map\n", out);
    fclose(out);
    assert_int_equal(rename(bad, path), 0);
    for (int i = 0; i < 3; i++) {
        fakehost_advance(h, 1000000);
        expect(h, "sales", "bob");
    }
    assert_int_equal(fakehost_logged(h, "map.refused"), 1); /* once */
    unlink(path);
    fakehost_advance(h, 1000000);
    expect(h, "sales", "bob");
    build_text("a.txt", "sales: carol;\n");
    fakehost_advance(h, 1000000);
    expect(h, "sales", "carol");
    fakehost_close(&h);
    free(bad);
}

/* What is mapped behind the end of a file kills who reads it. */
static void a_map_that_was_cut_short_is_refused_in_words(void **state)
{
    struct buf text = { 0 }, out = { 0 };
    const char *why;
    struct fakehost *h;

    (void)state;
    for (int i = 0; i < 2000; i++)
        buf_printf(&text, "user%d: ann;\n", i);
    build_text("a.txt", text.data);
    h = start("1h");
    expect(h, "user7", "ann");
    assert_int_equal(truncate(path, 5000), 0);
    for (int i = 0; i < 2000; i += 100) {
        char name[16];

        snprintf(name, sizeof name, "user%d", i);
        assert_int_equal(
            fakehost_answer(fakehost_lookup(h, POSTERN_LOOKUP_ALIAS, name, NULL, NULL, NULL)),
            -EAGAIN);
        assert_int_equal(alias_lmdb_get(path, name, &out, &why), -EIO);
    }
    fakehost_close(&h);
    h = fakehost_new();
    fakehost_on_failure(h, complain, NULL);
    fakehost_allow_errors(h);
    fakehost_set(h, "path", path);
    assert_int_equal(fakehost_open(h, &lmdb_LTX_postern_plugin), -EINVAL);
    assert_non_null(strstr(fakehost_why(h), "shorter than it was made"));
    fakehost_close(&h);
    buf_free(&text);
    buf_free(&out);
}

static void names_in_the_map_are_users_when_that_is_said(void **state)
{
    struct fakehost *h;
    postern_lookup *l;

    (void)state;
    build_text("a.txt", "ann: *;\n");
    h = start("1s");
    l = fakehost_lookup(h, POSTERN_LOOKUP_USER, "ann", NULL, NULL, NULL);
    assert_int_equal(fakehost_answer(l), -ENOENT);
    fakehost_close(&h);
    h = fakehost_new();
    fakehost_set(h, "path", path);
    fakehost_set(h, "users", "true");
    assert_int_equal(fakehost_open(h, &lmdb_LTX_postern_plugin), 0);
    l = fakehost_lookup(h, POSTERN_LOOKUP_USER, "ann", NULL, NULL, NULL);
    assert_int_equal(fakehost_answer(l), 0);
    l = fakehost_lookup(h, POSTERN_LOOKUP_USER, "eve", NULL, NULL, NULL);
    assert_int_equal(fakehost_answer(l), -ENOENT);
    fakehost_close(&h);
}

static void what_is_no_map_is_refused_in_words(void **state)
{
    struct fakehost *h = fakehost_new();
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    (void)state;
    fakehost_on_failure(h, complain, NULL);
    fakehost_allow_errors(h);
    fakehost_set(h, "path", path);
    assert_int_equal(fakehost_open(h, &lmdb_LTX_postern_plugin), -ENOENT);
    assert_non_null(strstr(fakehost_why(h), "No such file"));
    /* An LMDB file of somebody else's. */
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(
        mdb_put(txn, dbi, &(MDB_val){ 1, (void *)"a" }, &(MDB_val){ 1, (void *)"b" }, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_int_equal(fakehost_open(h, &lmdb_LTX_postern_plugin), -EINVAL);
    assert_non_null(strstr(fakehost_why(h), "expected one that was made by"));
    fakehost_close(&h);
}

static void what_cannot_be_built_leaves_the_map_as_it_was(void **state)
{
    char *bad, *list, *words, error[512], key[700];
    struct fakehost *h;
    size_t n = 4711;

    (void)state;
    build_text("a.txt", "sales: ann;\n");
    bad = put("bad.txt", "sales ann;\n");
    assert_int_equal(build(bad, NULL, &n, error, sizeof error), -EINVAL);
    assert_non_null(strstr(error, "bad.txt:1:7"));
    list = put("list.txt", "staff:: ann, nowhere.list;\n");
    assert_int_equal(build(list, NULL, &n, error, sizeof error), -EINVAL);
    assert_non_null(strstr(error, "nowhere.list"));
    words = put("words.json", "{\"t\": {\"pipe\": [\"/bin/t\", \"help desk\"]}}");
    assert_int_equal(build(words, NULL, &n, error, sizeof error), -EINVAL);
    assert_non_null(strstr(error, "help desk"));
    free(bad);
    memset(key, 'k', sizeof key);
    strcpy(key + 505, "@x.test: ann;\n");
    bad = put("long.txt", key);
    assert_int_equal(build(bad, NULL, &n, error, sizeof error), -ENAMETOOLONG);
    assert_non_null(strstr(error, "expected at most 511"));
    assert_int_equal(n, 4711);
    h = start("0s");
    expect(h, "sales", "ann");
    expect(h, "t", NULL);
    fakehost_close(&h);
    free(bad);
    free(list);
    free(words);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_target_of_every_syntax_is_found),
        TEST(by_hand_it_says_the_same),
        TEST(a_new_map_is_seen_and_a_bad_one_is_not_taken),
        TEST(a_map_that_was_cut_short_is_refused_in_words),
        TEST(names_in_the_map_are_users_when_that_is_said),
        TEST(what_is_no_map_is_refused_in_words),
        TEST(what_cannot_be_built_leaves_the_map_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
