/* Sets: several sources in their order, and what happens when files change under them. */
#include <pthread.h>
#include <sys/time.h>

#include "alias-world.h"
#include "route/alias-set.h"

static void replace(const struct world *w, const char *name, const char *text)
{
    char *from AUTO_FREE = scratch_path(&w->scratch, "new");
    char *to AUTO_FREE = scratch_path(&w->scratch, name);

    world_file(w, "new", text);
    assert_int_equal(rename(from, to), 0);
}

static void folder(const struct world *w, const char *name)
{
    char *path AUTO_FREE = scratch_path(&w->scratch, name);

    assert_int_equal(mkdir(path, 0700), 0);
}

static void T_06_U_71_the_first_source_that_has_a_name_counts(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    folder(&w, "node");
    folder(&w, "common");
    world_file(&w, "smtp_aliases", "ann: first;\n");
    world_file(&w, "aliases", "ann: second\nbob: second\nsales: second\n");
    world_file(&w, "more.json", "{\"bob\": \"third\", \"cid\": \"third\"}");
    world_file(&w, "passwd", "dora:x:1:1:Dora Dee:/:\neve:x:1:1:Cid:/:\n");
    world_file(&w, "node/SALES.DIS", "n@far.example\n");
    world_file(&w, "node/Buyers.dis", "n@far.example\n");
    world_file(&w, "node/readme.txt", "not a list\n");
    world_file(&w, "common/BUYERS.DIS", "c@far.example\n");
    world_file(&w, "common/ops.DIS", "c@far.example\nbob\n");
    world_good(&w,
               "\"files\": [{\"path\": \"@DIR@/smtp_aliases\"}, {\"path\": \"@DIR@/aliases\"},"
               " {\"path\": \"@DIR@/more.json\"}],"
               "\"lists\": [\"@DIR@/node\", \"@DIR@/common\"], \"full_names\": \"@DIR@/passwd\"");
    world_expect(&w, "ann", "address first@gw.example.com\n");
    world_expect(&w, "bob", "address second@gw.example.com\n");
    world_expect(&w, "cid", "address third@gw.example.com\n");
    world_expect(&w, "dora.dee", "address dora@gw.example.com\n");
    world_expect(&w, "sales", "address second@gw.example.com\n");
    world_expect(&w, "buyers", "address n@far.example\n");
    world_expect(&w, "OPS@example.com", "address c@far.example\naddress second@gw.example.com\n");
    assert_int_equal(alias_set_whole(w.set), 1);
    assert_int_equal(alias_set_count(w.set), 1 + 3 + 2 + 1 + 3);
    assert_true(alias_set_bytes(w.set) > 500);
    world_done(&w);
}

static void nothing_changed_is_nothing_new(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    folder(&w, "l");
    world_file(&w, "a", "ann: \"<m\";\n");
    world_file(&w, "m", "x@far.example\n");
    world_file(&w, "l/S.DIS", "y@far.example\n");
    world_good(&w,
               "\"files\": [{\"path\": \"@DIR@/a\"}], \"lists\": [\"@DIR@/l\"],"
               "\"roots\": [\"@DIR@\"]");
    assert_int_equal(world_load(&w), 0);
    replace(&w, "m", "z@far.example\n");
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "ann", "address z@far.example\n");
    assert_int_equal(world_load(&w), 0);
    replace(&w, "l/T.DIS", "t@far.example\n");
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "t", "address t@far.example\n");
    {
        char *path AUTO_FREE = scratch_path(&w.scratch, "l/S.DIS");

        unlink(path);
    }
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "s", "address s@gw.example.com\n");
    assert_int_equal(world_load(&w), 0);
    world_done(&w);
}

static void a_folder_that_goes_keeps_its_lists_and_is_told_once(void **state)
{
    char *here AUTO_FREE = NULL, *away AUTO_FREE = NULL;
    struct world w;

    (void)state;
    world_init(&w);
    folder(&w, "l");
    world_file(&w, "l/S.DIS", "s@far.example\n");
    world_good(&w, "\"lists\": [\"@DIR@/l\"]");
    here = scratch_path(&w.scratch, "l");
    away = scratch_path(&w.scratch, "away");
    assert_int_equal(rename(here, away), 0);
    world_load(&w);
    assert_true(w.report.errors.n >= 1);
    world_expect(&w, "s", "address s@far.example\n");
    world_load(&w);
    assert_int_equal(w.report.errors.n, 0);
    world_expect(&w, "s", "address s@far.example\n");
    assert_int_equal(rename(away, here), 0);
    replace(&w, "l/S.DIS", "t@far.example\n");
    world_load(&w);
    world_expect(&w, "s", "address t@far.example\n");
    world_done(&w);
}

static void a_broken_version_keeps_the_one_before_and_is_told_once(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "a", "ann: bob;\n");
    world_file(&w, "b", "jim: joe;\n");
    world_good(&w, "\"files\": [{\"path\": \"@DIR@/a\"}, {\"path\": \"@DIR@/b\"}]");
    replace(&w, "a", "ann: eve;\n\nann; bob\n");
    replace(&w, "b", "jim: jack;\n");
    assert_int_equal(world_load(&w), 1);
    assert_int_equal(w.report.errors.n, 1);
    assert_string_equal(world_line(&w, w.report.errors.lines[0]),
                        "a:3:4: found ';', expected ':' after the name of the alias (the entry "
                        "that began in line 3); the version that was read before stays");
    world_expect(&w, "ann", "address bob@gw.example.com\n");
    world_expect(&w, "jim", "address jack@gw.example.com\n");
    assert_int_equal(alias_set_whole(w.set), 1);
    assert_int_equal(world_load(&w), 0);
    assert_int_equal(w.report.errors.n, 0);
    replace(&w, "a", "ann: eve;\nbroken\n");
    assert_int_equal(world_load(&w), 1);
    assert_int_equal(w.report.errors.n, 1);
    replace(&w, "a", "ann: eve;\n");
    assert_int_equal(world_load(&w), 1);
    assert_int_equal(w.report.errors.n, 0);
    world_expect(&w, "ann", "address eve@gw.example.com\n");
    {
        char *path AUTO_FREE = scratch_path(&w.scratch, "a");

        unlink(path);
    }
    assert_int_equal(world_load(&w), 1);
    assert_string_equal(world_line(&w, w.report.errors.lines[0]),
                        "a: No such file or directory; the version that was read before stays");
    assert_int_equal(world_load(&w), 0);
    assert_int_equal(w.report.errors.n, 0);
    world_expect(&w, "ann", "address eve@gw.example.com\n");
    world_done(&w);
}

static void without_a_version_before_the_set_is_not_whole(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "a", "ann: bob\n");
    world_file(&w, "b", "jim: joe;\n");
    world_config(&w,
                 "\"files\": [{\"path\": \"@DIR@/a\"}, {\"path\": \"@DIR@/b\"}],"
                 "\"lists\": [\"@DIR@/none\"]");
    assert_int_equal(world_load(&w), 1);
    assert_int_equal(w.report.errors.n, 2);
    assert_int_equal(alias_set_whole(w.set), 0);
    assert_int_equal(world_load(&w), 0);
    assert_int_equal(w.report.errors.n, 0);
    replace(&w, "a", "ann: bob;\n");
    assert_int_equal(world_load(&w), 1);
    assert_int_equal(alias_set_whole(w.set), 0);
    folder(&w, "none");
    assert_int_equal(world_load(&w), 1);
    assert_int_equal(alias_set_whole(w.set), 1);
    assert_int_equal(world_load(&w), 0);
    world_done(&w);
}

/* The error of the only leaf. */
static void expect_why(const struct world *w, const char *address, const char *why)
{
    struct alias_expand how = world_how(w);
    struct alias_expansion e;

    assert_int_equal(alias_expand(&how, address, &e), 0);
    assert_int_equal(e.n, 1);
    assert_non_null(strstr(e.leaves[0].error, why));
    assert_false(e.found);
    alias_expansion_done(&e);
}

static void a_file_that_was_never_read_may_have_any_name(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "a", "ann: x@far.example;\nann@example.com: y@far.example;\n");
    world_file(&w, "b", "broken\n");
    world_file(&w, "c", "jim: z@far.example;\nowner-ann: o@far.example;\n");
    world_config(&w,
                 "\"files\": [{\"path\": \"@DIR@/a\"}, {\"path\": \"@DIR@/b\"},"
                 " {\"path\": \"@DIR@/c\"}], \"owners\": false, \"virtual\": true");
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "ann@example.com", "address y@far.example 4.3.5\n");
    world_expect(&w, "jim@example.com", "address jim@example.com 4.3.5\n");
    world_expect(&w, "nobody@example.com", "address nobody@example.com 4.3.5\n");
    expect_why(&w, "jim@example.com", "b:2:1: found the end of the file");
    replace(&w, "b", "bob: b@far.example;\n");
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "ann@example.com", "address y@far.example\n");
    world_expect(&w, "jim@example.com", "address z@far.example\n");
    world_expect(&w, "nobody@example.com", "address nobody@example.com\n");
    world_done(&w);
}

static void full_names_that_were_never_read_are_names_only(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "a", "ann: x@far.example;\nann@example.com: _ann;\n");
    world_config(&w,
                 "\"files\": [{\"path\": \"@DIR@/a\"}], \"full_names\": \"@DIR@/passwd\","
                 "\"virtual\": true");
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "ann@example.com", "local ann@example.com\n");
    world_expect(&w, "bob.bee@example.com", "address bob.bee@example.com 4.3.5\n");
    world_expect(&w, "bob@virtual.example", "address bob@virtual.example\n");
    world_done(&w);
}

static void a_list_that_was_never_read_is_not_no_list(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    folder(&w, "l");
    world_file(&w, "l/TEAM.DIS", "ok@far.example\n@@@\n");
    world_file(&w, "l/GOOD.DIS", "ok@far.example\n");
    world_good(&w, "\"lists\": [\"@DIR@/l\"]");
    world_expect(&w, "team@example.com", "address team@example.com 4.3.5\n");
    expect_why(&w, "team@example.com", "l/TEAM.DIS:2:1: found \"@@@\"");
    world_expect(&w, "owner-team@example.com", "address owner-team@example.com 4.3.5\n");
    world_expect(&w, "good@example.com", "address ok@far.example\n");
    world_expect(&w, "else@example.com", "address else@example.com\n");
    assert_int_equal(world_load(&w), 0); /* and still known as such */
    replace(&w, "l/GOOD.DIS", "new@far.example\n");
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "good@example.com", "address new@far.example\n");
    expect_why(&w, "team@example.com", "l/TEAM.DIS:2:1: found \"@@@\"");
    replace(&w, "l/TEAM.DIS", "ok@far.example\n");
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "team@example.com", "address ok@far.example\n");
    world_done(&w);
}

static void a_folder_that_was_never_read_may_have_lists_for_those_behind_it(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    folder(&w, "first");
    folder(&w, "last");
    world_file(&w, "first/A.DIS", "a@far.example\n");
    world_file(&w, "last/B.DIS", "b@far.example\n");
    world_config(&w, "\"lists\": [\"@DIR@/first\", \"@DIR@/none\", \"@DIR@/last\"]");
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "a@example.com", "address a@far.example\n");
    world_expect(&w, "b@example.com", "address b@example.com 4.3.5\n");
    expect_why(&w, "c@example.com", "/none: No such file or directory");
    folder(&w, "none");
    assert_int_equal(world_load(&w), 1);
    world_expect(&w, "b@example.com", "address b@far.example\n");
    world_expect(&w, "c@example.com", "address c@example.com\n");
    world_done(&w);
}

static void links_that_go_round_are_told_as_such(void **state)
{
    char *path AUTO_FREE = NULL;
    struct world w;

    (void)state;
    world_init(&w);
    path = scratch_path(&w.scratch, "a");
    assert_int_equal(symlink("a", path), 0);
    world_config(&w, "\"files\": [{\"path\": \"@DIR@/a\"}]");
    world_load(&w);
    assert_int_equal(w.report.errors.n, 1);
    assert_string_equal(world_line(&w, w.report.errors.lines[0]),
                        "a: Too many levels of symbolic links");
    world_done(&w);
}

static void an_empty_folder_that_goes_is_told_once(void **state)
{
    char *path AUTO_FREE = NULL;
    struct world w;

    (void)state;
    world_init(&w);
    folder(&w, "l");
    world_good(&w, "\"lists\": [\"@DIR@/l\"]");
    path = scratch_path(&w.scratch, "l");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(world_load(&w), 1);
    assert_int_equal(w.report.errors.n, 1);
    assert_non_null(strstr(w.report.errors.lines[0], "(it is in aliases.lists)"));
    assert_int_equal(world_load(&w), 0);
    assert_int_equal(w.report.errors.n, 0);
    world_expect(&w, "c@example.com", "address c@example.com\n");
    world_done(&w);
}

static void who_walks_an_old_set_keeps_it(void **state)
{
    struct alias_query q = { .local = "ann", .local_len = 3, .domain = "", .local_domain = 1 };
    struct alias_set *mine;
    struct alias_answer answer;
    struct alias_target t;
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "a", "ann: bob;\n");
    world_good(&w, "\"files\": [{\"path\": \"@DIR@/a\"}]");
    mine = alias_set_ref(w.set);
    assert_int_equal(alias_lookup(mine, &q, &answer), 1);
    assert_int_equal(answer.how, ALIAS_BY_NAME);
    assert_int_equal(answer.line, 1);
    replace(&w, "a", "ann: eve;\n");
    assert_int_equal(world_load(&w), 1);
    assert_int_equal(alias_answer_next(&answer, &t), 1);
    assert_string_equal(t.text, "bob");
    assert_int_equal(alias_answer_next(&answer, &t), 0);
    alias_set_unref(&mine);
    assert_null(mine);
    world_done(&w);
}

static void links_do_not_lead_out_of_the_roots(void **state)
{
    char *link_path;
    struct world w;

    (void)state;
    world_init(&w);
    folder(&w, "in");
    world_file(&w, "out", "x@far.example\n");
    world_file(&w, "in/good", "x@far.example\n");
    link_path = scratch_path(&w.scratch, "in/link");
    assert_int_equal(symlink("../out", link_path), 0);
    free(link_path);
    world_file(&w, "a", "bad: \"<@DIR@/in/link\";\ngood: \"<in/good\";\nbeside: \"<inn\";\n");
    world_good(&w, "\"files\": [{\"path\": \"@DIR@/a\"}], \"roots\": [\"@DIR@/in/\"]");
    assert_int_equal(w.report.warnings.n, 2);
    assert_non_null(strstr(w.report.warnings.lines[0], "a:1: "));
    assert_non_null(strstr(w.report.warnings.lines[0], "the links on the way lead out"));
    assert_non_null(strstr(w.report.warnings.lines[1], "\"inn\" cannot be used"));
    world_expect(&w, "good", "address x@far.example\n");
    world_expect(&w, "bad", "include in/link 4.3.5\n");
    assert_int_equal(world_load(&w), 0);
    assert_int_equal(w.report.warnings.n, 0);
    world_done(&w);
}

static void a_list_that_owns_itself_is_told_once(void **state)
{
    static const char warning[] =
        "a:%u: the owner of the list %s is that list itself: what comes back to its owner goes to "
        "its members; name a person";
    static const struct {
        unsigned line;
        const char *list;
    } told[] = { { 1, "staff" }, { 2, "crew@example.com" }, { 3, "club" } };
    struct world w;
    char want[256];

    (void)state;
    world_init(&w);
    world_file(&w, "m", "x@far.example\n");
    world_file(&w, "a",
               "staff:: Staff, m;\ncrew@Example.com:: crew@example.COM, m;\n"
               "club:: boss, m;\nboss: ann, club;\ngood:: ann, m;\nann: bob;\n"
               "other:: good, m;\nelse:: else@far.example, m;\n");
    world_file(&w, "aliases", "# sendmail's\nteam: ann\nowner-team: team\nowner-none: none\n");
    world_good(&w,
               "\"files\": [{\"path\": \"@DIR@/a\"}, {\"path\": \"@DIR@/aliases\"}],"
               " \"roots\": [\"@DIR@\"]");
    assert_int_equal(w.report.warnings.n, 4);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        snprintf(want, sizeof want, warning, told[i].line, told[i].list);
        assert_non_null(strstr(w.report.warnings.lines[i], want));
    }
    assert_non_null(
        strstr(w.report.warnings.lines[3], "/aliases:3: the owner of the list team is"));
    assert_int_equal(world_load(&w), 0);
    assert_int_equal(w.report.warnings.n, 0);
    world_done(&w);
}

static void vms_file_names_become_paths(void **state)
{
    static const struct {
        const char *spec, *path;
    } cases[] = {
        { "USERS:[OPER1]STAFF.LIST", "/u/oper1/staff.list" },
        { "users:[000000]X.", "/u/x" },
        { "USERS:<A.B-C>D.E", "/u/a/b-c/d.e" },
        { "USERS:SMTP_ALIASES.", "/u/smtp_aliases" },
        { "DISK$USER:[L]A.LIST", "/d/l/a.list" },
        { "NONE:[L]A.LIST", NULL },
        { "USERS:[-]X.Y", NULL },
        { "USERS:[A..B]X.Y", NULL },
        { "USERS:[A", NULL },
        { "USERS:[A]", NULL },
        { "USERS:[A]B:C", NULL },
        { "USERS:[A/../../../etc]PASSWD", NULL },
        { "[A]B.C", NULL },
        { "/u/x/../../etc/passwd", NULL },
        { "/ux", NULL },
        { "/u/", NULL },
        { "/u/x", "/u/x" },
        { "x", "/u/f/x" },
        { "..", NULL },
    };
    static const char *const logicals[] = { "USERS=/u", "DISK$USER=/d/" },
                             *const roots[] = { "/u", "/d" };
    struct config_aliases cfg = { .logicals = { 2, logicals }, .roots = { 2, roots } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = NULL;
        char *path = alias_path(&cfg, "/u/f/aliases", cases[i].spec, &why);

        if (cases[i].path)
            assert_string_equal(path, cases[i].path);
        else
            assert_true(!path && why);
        free(path);
    }
}

static void bad_settings_are_refused_with_words(void **state)
{
    static const struct {
        const char *section, *complaint;
    } cases[] = {
        { "\"roots\": [\"/a\", \"b\"]",
          "#/aliases/roots/1: found \"b\", expected a path that begins with '/'" },
        { "\"lists\": \"b\"",
          "#/aliases/lists: found \"b\", expected a path that begins with '/'" },
        { "\"domain_files\": \"b\"",
          "#/aliases/domain_files: unknown key; use /routing/local_domains_files" },
        { "\"logicals\": \"U=v\"", "#/aliases/logicals: found \"U=v\", expected \"NAME=/folder\"" },
        { "\"user_file\": \"../x\"",
          "#/aliases/user_file: found \"../x\", expected the name of a file in the users' homes" },
        { "\"subaddress\": \"++\"",
          "#/aliases/subaddress: found \"++\", expected one of + - = # _, or \"\"" },
        { "\"files\": [{\"syntax\": \"json\"}]",
          "#/aliases/files/0: the required key \"path\" is missing" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_errors errors = { 0 };
        char *dir, *json;
        struct world w;

        world_init(&w);
        dir = world_text(&w, "@DIR@");
        json = mem_printf("{\"aliases\": {%s}}", cases[i].section);
        scratch_file(&w.scratch, "a.json", json);
        config_load(dir, NULL, &w.cfg, &errors);
        assert_int_equal(errors.n, 1);
        assert_non_null(strstr(errors.lines[0], "a.json"));
        assert_string_equal(strchr(errors.lines[0], '#'), cases[i].complaint);
        config_errors_free(&errors);
        free(json);
        free(dir);
        world_done(&w);
    }
}

/* The thread that loads and those that look up share nothing but what is counted. */
struct reading {
    struct alias_set *set;
    int good;
};

static void *read_on(void *ctx)
{
    struct reading *r = ctx;
    struct alias_expand how = { .set = r->set, .hostname = "gw", .domain = world_domain };

    for (int i = 0; i < 2000; i++) {
        struct alias_expansion e;

        alias_expand(&how, "ann", &e);
        r->good += e.n == 1;
        alias_expansion_done(&e);
    }
    alias_set_unref(&r->set);
    return NULL;
}

static void sets_are_read_while_others_are_loaded(void **state)
{
    struct reading reading;
    pthread_t thread;
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "a", "ann: bob;\n");
    world_good(&w, "\"files\": [{\"path\": \"@DIR@/a\"}]");
    reading = (struct reading){ alias_set_ref(w.set), 0 };
    assert_int_equal(pthread_create(&thread, NULL, read_on, &reading), 0);
    for (int i = 0; i < 20; i++) {
        char *text AUTO_FREE = mem_printf("ann: bob%d;\n", i);

        replace(&w, "a", text);
        assert_int_equal(world_load(&w), 1);
    }
    pthread_join(thread, NULL);
    assert_int_equal(reading.good, 2000);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T_06_U_71_the_first_source_that_has_a_name_counts),
        cmocka_unit_test(nothing_changed_is_nothing_new),
        cmocka_unit_test(a_folder_that_goes_keeps_its_lists_and_is_told_once),
        cmocka_unit_test(a_broken_version_keeps_the_one_before_and_is_told_once),
        cmocka_unit_test(without_a_version_before_the_set_is_not_whole),
        cmocka_unit_test(a_file_that_was_never_read_may_have_any_name),
        cmocka_unit_test(full_names_that_were_never_read_are_names_only),
        cmocka_unit_test(a_list_that_was_never_read_is_not_no_list),
        cmocka_unit_test(a_folder_that_was_never_read_may_have_lists_for_those_behind_it),
        cmocka_unit_test(links_that_go_round_are_told_as_such),
        cmocka_unit_test(an_empty_folder_that_goes_is_told_once),
        cmocka_unit_test(who_walks_an_old_set_keeps_it),
        cmocka_unit_test(links_do_not_lead_out_of_the_roots),
        cmocka_unit_test(a_list_that_owns_itself_is_told_once),
        cmocka_unit_test(vms_file_names_become_paths),
        cmocka_unit_test(bad_settings_are_refused_with_words),
        cmocka_unit_test(sets_are_read_while_others_are_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
