/* From an address to a place: folders of users (T-43, T-84), lower case (T-78), patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../plugins/local-mbox/folder.h"

static void T_84_folders_are_letters_and_two_signs(void **state)
{
    static const struct {
        const char *rcpt, *folder; /* NULL: refused */
    } cases[] = {
        { "bob@x", "" },
        { "bob+@x", "" },
        { "bob+LISTS@x", "LISTS" },
        { "bob+lists@x", "LISTS" },
        { "bob+A_B#C@x", "A_B#C" },
        { "bob+INBOX@x", "" },
        { "bob+news-2026@x", "" }, /* a tag */
        { "bob+a+b@x", "" },
        { "\"bob+../../etc\"@x", "" },
        { "\"bob+a,b\"@x", NULL },
        { "\"bob+,\"@x", NULL },
        { "+LISTS@x", "" },
    };
    const struct settings set = { .folders = FOLDERS_YES }, no = { .folders = FOLDERS_NO };
    struct addressee a;
    const char *why;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int r = addressee_parse(&set, cases[i].rcpt, &a, &why);

        if (r != (cases[i].folder ? 0 : -EBADMSG) || (!r && strcmp(a.folder, cases[i].folder) != 0))
            fail_msg("%s: %d, \"%s\"", cases[i].rcpt, r, r ? why : a.folder);
        /* T-43: where they are disabled, all of them are tags. */
        assert_int_equal(addressee_parse(&no, cases[i].rcpt, &a, &why), 0);
        assert_string_equal(a.folder, "");
    }
}

static void a_folder_s_name_has_an_end(void **state)
{
    const struct settings set = { .folders = FOLDERS_YES };
    char rcpt[FOLDER_MAX + 32];
    struct addressee a;
    const char *why;
    (void)state;

    for (size_t n = FOLDER_MAX - 1; n <= FOLDER_MAX; n++) {
        memcpy(rcpt, "bob+", 4);
        memset(rcpt + 4, 'A', n);
        memcpy(rcpt + 4 + n, "@x", 3);
        assert_int_equal(addressee_parse(&set, rcpt, &a, &why), 0);
        assert_int_equal(strlen(a.folder), n < FOLDER_MAX ? n : 0);
    }
}

static void T_78_names_may_be_lowered_at_once(void **state)
{
    const struct settings set = { .lowercase_user = 1 };
    struct addressee a;
    const char *why;
    (void)state;

    assert_int_equal(addressee_parse(&set, "BOB@X.Example", &a, &why), 0);
    assert_string_equal(a.name, "bob");
    assert_string_equal(a.domain, "x.example");
}

/* Who shares a mailbox shares its queue; who does not, does not. */
static void the_domain_is_part_of_a_mailbox_if_the_pattern_has_it(void **state)
{
    const struct settings plain = { .path = "/m" }, by_domain = { .mailbox = "/m/{domain}/{user}" };
    const struct addressee a = { .name = "Bob", .folder = "LISTS", .domain = "x" };
    const struct addressee b = { .name = "bob", .domain = "y" };
    char one[ADDRESSEE_KEY_MAX], two[ADDRESSEE_KEY_MAX];
    (void)state;

    addressee_key(&plain, &a, one);
    addressee_key(&plain, &b, two);
    assert_string_equal(one, two);
    addressee_key(&by_domain, &a, one);
    addressee_key(&by_domain, &b, two);
    assert_string_not_equal(one, two);
}

static void patterns_name_places(void **state)
{
    static const struct {
        int format;
        const char *mailbox, *folder, *path;
    } cases[] = {
        { FORMAT_MBOX, NULL, "", "/mail/bob" },
        { FORMAT_MBOX, NULL, "LISTS", "/mail/bob+LISTS" },
        { FORMAT_MAILDIR, NULL, "LISTS", "/mail/bob/.LISTS" },
        { FORMAT_MAILDIR, "/m/{domain}/{user}", "", "/m/x.example/bob" },
        { FORMAT_MAILDIR, "/m/{domain}/{user}", "A", "/m/x.example/bob/.A" },
        { FORMAT_MBOX, "/m/{user}/{folder}", "", "/m/bob/INBOX" },
        { FORMAT_MBOX, "/m/{user}/{folder}", "A", "/m/bob/A" },
        { FORMAT_MAILDIR, "~/Maildir", "", "/home/bob/Maildir" },
        { FORMAT_MAILDIR, "~/Maildir", "A", "/home/bob/Maildir/.A" },
    };
    const struct user user = { .name = "bob", .domain = "x.example", .home = "/home/bob" };
    char path[PATH_MAX];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct settings set = { .path = "/mail",
                                      .format = cases[i].format,
                                      .mailbox = cases[i].mailbox };

        assert_int_equal(folder_path(&set, &user, cases[i].folder, path, sizeof path), 0);
        assert_string_equal(path, cases[i].path);
    }
}

static void a_place_that_is_too_long_is_an_error(void **state)
{
    const struct settings set = { .mailbox = "/m/{user}/{user}" };
    const struct user user = { .name = "bob" };
    char path[8];
    (void)state;

    assert_int_equal(folder_path(&set, &user, "", path, sizeof path), -ENAMETOOLONG);
}

static void patterns_are_checked(void **state)
{
    static const char *const bad[] = { "mail/{user}",     "/m",          "/m/{domain}",
                                       "/m/{usr}/{user}", "/m/{user",    "/m/../{user}",
                                       "{home}/x",        "~bob/{user}", "/m/{user:up}/",
                                       "/m/{{user}" };
    static const char *const good[] = { "/m/{user}", "/m/{domain}/{user}/{folder}", "~/Maildir",
                                        "~/mail/{folder}" };
    struct settings set = { .users = USERS_PASSWD };
    char why[256];
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        *why = '\0';
        set.mailbox = bad[i];
        if (folder_check(&set, why, sizeof why) != -EINVAL || !*why)
            fail_msg("%s was taken", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        set.mailbox = good[i];
        assert_int_equal(folder_check(&set, why, sizeof why), 0);
    }
    set.users = USERS_ANY; /* who has no home then */
    assert_int_equal(folder_check(&set, why, sizeof why), -EINVAL);
}

static void a_missing_folder_means_the_inbox_unless_it_is_to_be_made(void **state)
{
    char root[] = "/tmp/postern-folder-XXXXXX", sub[64];
    struct settings set = { .format = FORMAT_MAILDIR, .folders = FOLDERS_EXISTING };
    struct user user = { .name = "bob" };
    (void)state;

    assert_non_null(mkdtemp(root));
    set.path = root;
    assert_int_equal(folder_place(&set, "LISTS", &user), 0);
    assert_int_equal(user.in_folder, 0);
    assert_string_equal(user.path, user.root);
    set.folders = FOLDERS_YES;
    assert_int_equal(folder_place(&set, "LISTS", &user), 0);
    assert_int_equal(user.in_folder, 1);
    set.folders = FOLDERS_EXISTING;
    snprintf(sub, sizeof sub, "%s/bob", root);
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(mkdir(user.path, 0700), 0);
    assert_int_equal(folder_place(&set, "LISTS", &user), 0);
    assert_int_equal(user.in_folder, 1);
    rmdir(user.path);
    rmdir(sub);
    rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T_84_folders_are_letters_and_two_signs),
        cmocka_unit_test(a_folder_s_name_has_an_end),
        cmocka_unit_test(T_78_names_may_be_lowered_at_once),
        cmocka_unit_test(the_domain_is_part_of_a_mailbox_if_the_pattern_has_it),
        cmocka_unit_test(patterns_name_places),
        cmocka_unit_test(a_place_that_is_too_long_is_an_error),
        cmocka_unit_test(patterns_are_checked),
        cmocka_unit_test(a_missing_folder_means_the_inbox_unless_it_is_to_be_made),
    };

    return cmocka_run_group_tests_name("local-mbox/folder", tests, NULL, NULL);
}
