/* Personal alias files: whose they are, when they are read, and what they may say. */
#include "alias-world.h"

#define HOUR ((int64_t)3600 * 1000000)

/* Everybody lives in the folder, in one of his own; "ghost" is nobody. */
static int home(void *ctx, const char *user, char *ret_home, size_t size, uid_t *ret_uid)
{
    struct world *w = ctx;

    if (strcmp(user, "ghost") == 0)
        return -ENOENT;
    snprintf(ret_home, size, "%s/%s", w->scratch.dir, user);
    *ret_uid = strcmp(user, "eve") == 0 ? geteuid() + 1 : geteuid();
    return 0;
}

static void world_users(struct world *w, struct alias_users **u)
{
    static const char *const names[] = { "ann", "bob", "eve" };

    world_init(w);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path AUTO_FREE = scratch_path(&w->scratch, names[i]);

        assert_int_equal(mkdir(path, 0700), 0);
    }
    world_file(w, "a", "boss: ann;\n");
    world_good(w, "\"files\": [{\"path\": \"@DIR@/a\"}], \"user_file\": \".aliases\"");
    *u = alias_users_new(&w->cfg->aliases, home, w);
}

static struct alias_expand how(const struct world *w, struct alias_users *u)
{
    struct alias_expand x = world_how(w);

    x.users = u;
    x.max_age = HOUR;
    return x;
}

/* Loads whom the expansion asks for until it has an answer. */
static void expect(struct world *w, struct alias_users *u, const char *address, const char *leaves)
{
    struct alias_expand x = how(w, u);
    struct alias_expansion e;
    int r;

    for (int i = 0; i < 10; i++) {
        r = alias_expand(&x, address, &e);
        if (r == -EAGAIN)
            assert_true(e.wanted_len > strlen(e.wanted));
        for (size_t at = 0; at < e.wanted_len; at += strlen(e.wanted + at) + 1)
            alias_users_load(u, e.wanted + at, &w->report);
        alias_expansion_done(&e);
        if (!r)
            break;
    }
    world_expect_how(w, &x, address, leaves);
}

static void a_user_forwards_and_keeps_his_mail(void **state)
{
    struct alias_users *u;
    struct world w;

    (void)state;
    world_users(&w, &u);
    world_file(&w, "ann/.aliases",
               "! mine\nann: ann@far.example, _ann;\nann+jobs: bob;\nbob: me@far.example;\n");
    expect(&w, u, "boss@example.com", "local ann@gw.example.com\naddress ann@far.example\n");
    expect(&w, u, "ann+x@example.com", "local ann@example.com folder=x\naddress ann@far.example\n");
    expect(&w, u, "ann+jobs@example.com", "address bob@gw.example.com\n");
    expect(&w, u, "bob@example.com", "address bob@example.com\n");
    expect(&w, u, "ghost", "address ghost@gw.example.com\n");
    expect(&w, u, "ann@far.example", "address ann@far.example\n");
    assert_int_equal(w.report.errors.n, 0);
    alias_users_free(&u);
    world_done(&w);
}

static void leaves_tell_where_they_come_from(void **state)
{
    struct alias_users *u;
    struct alias_expand x;
    struct alias_expansion e;
    struct world w;

    (void)state;
    world_users(&w, &u);
    world_file(&w, "ann/.aliases", "\nann: x@far.example;\n");
    x = how(&w, u);
    assert_int_equal(alias_expand(&x, "boss", &e), -EAGAIN);
    assert_string_equal(e.wanted, "ann");
    assert_int_equal(e.n, 0);
    alias_expansion_done(&e);
    assert_int_equal(alias_users_load(u, "ann", &w.report), 0);
    assert_int_equal(alias_expand(&x, "boss", &e), 0);
    /* The file may go while the expansion lives. */
    alias_users_free(&u);
    assert_int_equal(e.n, 1);
    assert_string_equal(world_line(&w, e.leaves[0].file), "ann/.aliases");
    assert_int_equal(e.leaves[0].line, 2);
    alias_expansion_done(&e);
    world_done(&w);
}

static void files_that_others_may_write_to_are_not_read(void **state)
{
    char *path, *target;
    struct alias_users *u;
    struct world w;

    (void)state;
    world_users(&w, &u);
    world_file(&w, "ann/.aliases", "ann: x@far.example;\n");
    path = scratch_path(&w.scratch, "ann/.aliases");
    assert_int_equal(chmod(path, 0664), 0);
    assert_int_equal(alias_users_load(u, "ann", &w.report), -EINVAL);
    assert_string_equal(world_line(&w, w.report.errors.lines[0]),
                        "ann/.aliases: others may write to it (mode 664), expected only its "
                        "owner: not read");
    expect(&w, u, "ann", "address ann@gw.example.com\n");
    assert_int_equal(alias_users_load(u, "ann", &w.report), -EINVAL);
    assert_int_equal(w.report.errors.n, 1); /* told once */
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(alias_users_load(u, "ann", &w.report), 0);
    expect(&w, u, "ann", "address x@far.example\n");
    /* And when they may again, it is not his word any more. */
    assert_int_equal(chmod(path, 0646), 0);
    assert_int_equal(alias_users_load(u, "ann", &w.report), -EINVAL);
    expect(&w, u, "ann", "address ann@gw.example.com\n");
    free(path);

    target = scratch_path(&w.scratch, "ann/.aliases");
    path = scratch_path(&w.scratch, "bob/.aliases");
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(alias_users_load(u, "bob", &w.report), -EINVAL);
    assert_string_equal(world_line(&w, w.report.errors.lines[2]),
                        "bob/.aliases: it is a link: not followed");
    free(path);
    free(target);
    alias_users_free(&u);
    world_done(&w);
}

static void a_file_of_somebody_else_is_not_read(void **state)
{
    struct alias_users *u;
    char *path;
    struct world w;

    (void)state;
    world_users(&w, &u);
    world_file(&w, "eve/.aliases", "eve: x@far.example;\n");
    path = scratch_path(&w.scratch, "eve/.aliases");
    if (geteuid() == 0)
        assert_int_equal(chown(path, geteuid() + 2, (gid_t)-1), 0);
    assert_int_equal(alias_users_load(u, "eve", &w.report), -EINVAL);
    assert_non_null(strstr(w.report.errors.lines[0], "it belongs to user "));
    free(path);
    alias_users_free(&u);
    world_done(&w);
}

static void a_broken_version_keeps_the_one_before(void **state)
{
    char *path;
    struct alias_users *u;
    struct world w;

    (void)state;
    world_users(&w, &u);
    path = scratch_path(&w.scratch, "ann/.aliases");
    world_file(&w, "ann/.aliases", "ann: x@far.example;\n");
    expect(&w, u, "ann", "address x@far.example\n");
    unlink(path);
    world_file(&w, "ann/.aliases", "ann: \"|rm\";\n");
    assert_int_equal(alias_users_load(u, "ann", &w.report), -EINVAL);
    assert_non_null(strstr(w.report.errors.lines[0], "personal aliases may hold nothing else"));
    assert_non_null(strstr(w.report.errors.lines[0], "the version that was read before stays"));
    expect(&w, u, "ann", "address x@far.example\n");
    unlink(path);
    assert_int_equal(alias_users_load(u, "ann", &w.report), 0);
    expect(&w, u, "ann", "address ann@gw.example.com\n");
    free(path);
    alias_users_free(&u);
    world_done(&w);
}

static void what_is_too_old_is_asked_again(void **state)
{
    struct alias_users *u;
    struct alias_expand x;
    struct alias_expansion e;
    struct world w;

    (void)state;
    world_users(&w, &u);
    x = how(&w, u);
    alias_users_load(u, "ann", &w.report);
    assert_int_equal(alias_expand(&x, "ann", &e), 0);
    alias_expansion_done(&e);
    x.max_age = -1;
    assert_int_equal(alias_expand(&x, "ann", &e), -EAGAIN);
    alias_expansion_done(&e);
    alias_users_free(&u);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_forwards_and_keeps_his_mail),
        cmocka_unit_test(leaves_tell_where_they_come_from),
        cmocka_unit_test(files_that_others_may_write_to_are_not_read),
        cmocka_unit_test(a_file_of_somebody_else_is_not_read),
        cmocka_unit_test(a_broken_version_keeps_the_one_before),
        cmocka_unit_test(what_is_too_old_is_asked_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
