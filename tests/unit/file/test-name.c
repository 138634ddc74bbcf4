/* From a recipient, the date and an operator's or alias's text to a file below a root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../../plugins/file/file.h"

#define NOW INT64_C(1795356941) /* 2026-11-22 14:15:41 UTC */

static const char *const roots[] = { "/var/archive", "/srv/mail/" };

static struct settings settings_of(const char *path)
{
    return (struct settings){ .roots = { 2, roots },
                              .path = path,
                              .alias_type = ".{date:%Y-%m}",
                              .delimiters = "+",
                              .mode = "0600" };
}

static const struct {
    const char *path, *alias, *rcpt, *root, *name;
} good[] = {
    { "all", NULL, "bob@b.example", "/var/archive", "all" },
    { "{domain}/{user}", NULL, "Bob+x@B.example", "/var/archive", "b.example/bob" },
    { "{user}-{extension}", NULL, "bob+x@b.example", "/var/archive", "bob-x" },
    { "{date:%Y/%m-%d}.mbox", NULL, "bob@b.example", "/var/archive", "2026/11-22.mbox" },
    { "/srv/mail/a/b", NULL, "bob@b.example", "/srv/mail/", "a/b" },
    { "x", "log", "bob@b.example", "/var/archive", "log.2026-11" },
    { "x", "log.txt", "bob@b.example", "/var/archive", "log.txt" },
    { "x", "a.b/log", "bob@b.example", "/var/archive", "a.b/log.2026-11" },
    { "x", "/srv/mail/log", "bob@b.example", "/srv/mail/", "log.2026-11" },
    { "x", "..a", "bob@b.example", "/var/archive", "..a" },
    { "x{{y}", NULL, "bob@b.example", "/var/archive", "x{y}" },
    { "{user}", NULL, "\"a b\"@b.example", "/var/archive", "a b" },
};

static void names_are_made(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct settings set = settings_of(good[i].path);
        struct file_name name;
        struct problem p;

        if (name_make(&set, good[i].rcpt, good[i].alias, NOW, &name, &p) < 0)
            fail_msg("%s", p.text);
        assert_string_equal(name.root, good[i].root);
        assert_string_equal(name.path, good[i].name);
    }
}

#define TEN "nnnnnnnnnn"
#define LONG \
    TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
    const char *path, *alias, *rcpt;
    uint32_t fate;
    const char *words;
} bad[] = {
    { "{user}", NULL, "\".x\"@b.example", POSTERN_FAILED, "begins with a dot" },
    { "{user}", NULL, "\"../x\"@b.example", POSTERN_FAILED, "a file's name" },
    { "{user}", NULL, "\"a/b\"@b.example", POSTERN_FAILED, "cannot be in a file's name" },
    { "x{extension}", NULL, "\"a+../b\"@b.example", POSTERN_FAILED, "a file's name" },
    { "a/../b", NULL, "bob@b.example", POSTERN_DEFERRED, "\"..\"" },
    { "x", "../b.c", "bob@b.example", POSTERN_DEFERRED, "\"..\"" },
    { "x", "a/..", "bob@b.example", POSTERN_DEFERRED, "\"..\"" },
    { "x", "./b.c", "bob@b.example", POSTERN_DEFERRED, "\"..\"" },
    { "x", "/etc/passwd", "bob@b.example", POSTERN_DEFERRED, "below none of the roots" },
    { "x", "/var/archive2/y.z", "bob@b.example", POSTERN_DEFERRED, "below none of the roots" },
    { "x", "/srv/mail/../../etc/passwd.x", "bob@b.example", POSTERN_DEFERRED, "\"..\"" },
    { "x", "/var/archive//y.z", "bob@b.example", POSTERN_DEFERRED, "has no name" },
    { "x", "a.LOCK", "bob@b.example", POSTERN_DEFERRED, "name of a lock" },
    { "{user}.lock", NULL, "bob@b.example", POSTERN_DEFERRED, "name of a lock" },
    { "{extension}", NULL, "bob@b.example", POSTERN_FAILED, "names no file" },
    { "{user}", NULL, "\"\"@b.example", POSTERN_FAILED, "names no file" },
    { "{user}", NULL, "x.lock@b.example", POSTERN_FAILED, "name of a lock" },
    { "{user}", NULL, LONG "@b.example", POSTERN_FAILED, "is too long" },
    { "{user}/" LONG, NULL, "bob@b.example", POSTERN_DEFERRED, "is too long" },
    { "{domain}//x", NULL, "bob@b.example", POSTERN_DEFERRED, "has no name" },
    { "x", "/var/archive/", "bob@b.example", POSTERN_DEFERRED, "names no file" },
    { "x", "", "bob@b.example", POSTERN_DEFERRED, "names no file" },
    { "x", "{user}", "\"\"@b.example", POSTERN_FAILED, "names no file" },
    { "x", "{what}.x", "bob@b.example", POSTERN_DEFERRED, "means nothing" },
    { "x", "{date:}", "bob@b.example", POSTERN_DEFERRED, "means nothing" },
};

static void what_leads_elsewhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct settings set = settings_of(bad[i].path);
        struct file_name name;
        struct problem p = { 0 };

        if (name_make(&set, bad[i].rcpt, bad[i].alias, NOW, &name, &p) == 0)
            fail_msg("%s for %s became %s", bad[i].alias ? bad[i].alias : bad[i].path, bad[i].rcpt,
                     name.path);
        if (p.fate != bad[i].fate || !strstr(p.text, bad[i].words))
            fail_msg("\"%s\" is not in \"%s\"", bad[i].words, p.text);
    }
}

static void a_name_has_a_limit(void **state)
{
    char path[FILE_PATH_MAX + 1] = "";
    struct settings set = settings_of(path);
    struct file_name name;
    struct problem p;
    (void)state;

    memset(path, 'x', FILE_PATH_MAX);
    path[FILE_PATH_MAX] = '\0';
    assert_true(name_make(&set, "bob@b.example", NULL, NOW, &name, &p) < 0);
    assert_non_null(strstr(p.text, "too long"));
}

static void modes(void **state)
{
    (void)state;
    assert_int_equal(file_mode("0640"), 0640);
    assert_int_equal(file_mode("600"), 0600);
    assert_true(file_mode("") < 0);
    assert_true(file_mode("0800") < 0);
    assert_true(file_mode("4755") < 0);
    assert_true(file_mode("-1") < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_made),
        cmocka_unit_test(what_leads_elsewhere_is_refused),
        cmocka_unit_test(a_name_has_a_limit),
        cmocka_unit_test(modes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
