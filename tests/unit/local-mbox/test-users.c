/* From a recipient to the name of a mailbox: what may be one, and whose it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../plugins/local-mbox/users.h"

static void names_are_taken_from_addresses(void **state)
{
    static const struct {
        const char *rcpt, *name; /* NULL: refused */
    } cases[] = {
        { "bob@example.com", "bob" },
        { "Bob@example.com", "Bob" },
        { "bob", "bob" },
        { "bob+lists@example.com", "bob" },
        { "bob+a+b@example.com", "bob" },
        { "+bob@example.com", "+bob" },
        { "b.o.b@example.com", "b.o.b" },
        { "\"bob\"@example.com", "bob" },
        { "\"bob smith\"@example.com", "bob smith" },
        { "\"b\\ob\"@example.com", "bob" },
        { "b\xc3\xb6"
          "b@example.com",
          "b\xc3\xb6"
          "b" },
        { "\"\"@example.com", NULL },
        { "\"../bob\"@example.com", NULL },
        { "a/b@example.com", NULL },
        { "/etc/passwd@example.com", NULL },
        { "\".bob\"@example.com", NULL },
        { "\"..\"@example.com", NULL },
        { "\".\"@example.com", NULL },
        { "\"a\\/b\"@example.com", NULL },
        { "bob.lock@example.com", NULL },
        { "bob.LOCK@example.com", NULL },
        { "\".lock\"@example.com", NULL },
        { "\"bob.lock+x\"@example.com", NULL },
        { "not an address", NULL },
        { "", NULL },
    };
    char longest[USER_MAX], name[USER_MAX], rcpt[USER_MAX + 32];
    const char *why;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int r;

        why = NULL;
        r = user_name(cases[i].rcpt, name, &why);
        if (r != (cases[i].name ? 0 : -EINVAL))
            fail_msg("<%s>: %d %s", cases[i].rcpt, r, why ? why : name);
        if (cases[i].name)
            assert_string_equal(name, cases[i].name);
        else
            assert_non_null(why);
    }
    memset(longest, 'a', sizeof longest);
    snprintf(rcpt, sizeof rcpt, "%.*s@example.com", (int)USER_MAX - 1, longest);
    assert_int_equal(user_name(rcpt, name, &why), 0);
    snprintf(rcpt, sizeof rcpt, "%.*s@example.com", (int)USER_MAX, longest);
    assert_int_equal(user_name(rcpt, name, &why), -EINVAL);
}

static void touch(const char *folder, const char *name)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void drop(const char *folder, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static void spelling_counts_first_then_lower_case(void **state)
{
    char folder[] = "/tmp/postern-users-XXXXXX";
    struct settings set = { .users = USERS_EXISTING };
    struct user u;
    (void)state;

    assert_non_null(mkdtemp(folder));
    set.path = folder;
    touch(folder, "bob");
    touch(folder, "Ann");
    assert_int_equal(user_find(&set, "bob", "", &u), 0);
    assert_string_equal(u.name, "bob");
    assert_int_equal(u.known, 0);
    assert_int_equal(user_find(&set, "BOB", "", &u), 0);
    assert_string_equal(u.name, "bob");
    assert_int_equal(user_find(&set, "Ann", "", &u), 0);
    assert_string_equal(u.name, "Ann");
    assert_int_equal(user_find(&set, "ann", "", &u), -ENOENT);
    assert_int_equal(user_find(&set, "carol", "", &u), -ENOENT);

    set.users = USERS_ANY;
    assert_int_equal(user_find(&set, "Ann", "", &u), 0);
    assert_string_equal(u.name, "Ann");
    assert_int_equal(user_find(&set, "Carol", "", &u), 0);
    assert_string_equal(u.name, "carol");

    drop(folder, "bob");
    drop(folder, "Ann");
    assert_int_equal(rmdir(folder), 0);
    /* A folder that is not there says nothing about who is a user. */
    set.users = USERS_EXISTING;
    assert_int_equal(user_find(&set, "bob", "", &u), -ENOTDIR);
}

static void users_of_the_system_are_known_with_their_ids(void **state)
{
    struct settings set = { .users = USERS_PASSWD, .path = "/nonexistent" };
    struct passwd *me = getpwuid(geteuid());
    struct user u;
    (void)state;

    if (!me)
        skip();
    assert_int_equal(user_find(&set, me->pw_name, "", &u), 0);
    assert_string_equal(u.name, me->pw_name);
    assert_int_equal(u.known, 1);
    assert_int_equal(u.uid, me->pw_uid);
    assert_int_equal(user_find(&set, "No-Such-User", "", &u), -ENOENT);
}

static void a_path_that_is_too_long_is_an_error(void **state)
{
    struct settings set = { .path = "/folder" };
    char buf[12];
    (void)state;

    assert_int_equal(user_path(&set, "bob", buf, sizeof buf), 0);
    assert_string_equal(buf, "/folder/bob");
    assert_int_equal(user_path(&set, "bobb", buf, sizeof buf), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_taken_from_addresses),
        cmocka_unit_test(spelling_counts_first_then_lower_case),
        cmocka_unit_test(users_of_the_system_are_known_with_their_ids),
        cmocka_unit_test(a_path_that_is_too_long_is_an_error),
    };

    return cmocka_run_group_tests_name("local-mbox users", tests, NULL, NULL);
}
