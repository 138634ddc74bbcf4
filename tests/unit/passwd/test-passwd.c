/* Who exists, and whose full name it is: the plugin on the fake host, with a password file of its
 * own, and with the users of this machine. */
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

#include "../../fake/fakehost.h"

extern const struct postern_plugin passwd_LTX_postern_plugin;

static char path[64];

static void complain(void *ctx, const char *what)
{
    (void)ctx;
    fail_msg("%s", what);
}

static void write_users(const char *text)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static int set_up(void **state)
{
    int fd;

    (void)state;
    strcpy(path, "/tmp/postern-passwd-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_users("ann:x:1000:1000:Ann B. Miller,Room 7:/home/ann:/bin/sh\n"
                "Bob:x:1001:1001:& the Builder:/home/bob:/bin/sh\n"
                "daemon:x:1:1:The Daemon:/:/bin/false\n"
                "sam1:x:1002:1002:Sam Smith:/:/bin/sh\n"
                "sam2:x:1003:1003:Sam Smith:/:/bin/sh\n"
                "solo:x:1004:1004:Solo:/:/bin/sh\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static struct fakehost *start(const char *file)
{
    struct fakehost *h = fakehost_new();

    fakehost_on_failure(h, complain, NULL);
    if (file)
        fakehost_set(h, "file", file);
    fakehost_set(h, "full_names", "true");
    fakehost_set(h, "uid_min", file ? "1000" : "0");
    assert_int_equal(fakehost_open(h, &passwd_LTX_postern_plugin), 0);
    return h;
}

static int ask(struct fakehost *h, uint32_t kind, const char *key, const char **ret_values)
{
    postern_lookup *l = fakehost_lookup(h, kind, key, NULL, NULL, NULL);

    fakehost_run(h);
    if (ret_values)
        *ret_values = fakehost_values(l);
    return fakehost_answer(l);
}

static void users_of_the_file_exist_and_nobody_else_does(void **state)
{
    struct fakehost *h = start(path);

    (void)state;
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "ann", NULL), 0);
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "ANN", NULL), 0);
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "Bob", NULL), 0);
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "bob", NULL), -ENOENT); /* not as it is written */
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "eve", NULL), -ENOENT);
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "daemon", NULL), -ENOENT); /* below uid_min */
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "a/b", NULL), -ENOENT);
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "", NULL), -ENOENT);
    fakehost_close(&h);
}

static void a_full_name_is_its_one_users(void **state)
{
    struct fakehost *h = start(path);
    const char *values;

    (void)state;
    assert_int_equal(ask(h, POSTERN_LOOKUP_ALIAS, "ann.b.miller", &values), 0);
    assert_string_equal(values, "ann");
    assert_int_equal(ask(h, POSTERN_LOOKUP_ALIAS, "bob.the.builder", &values), 0);
    assert_string_equal(values, "Bob");
    assert_int_equal(ask(h, POSTERN_LOOKUP_ALIAS, "sam.smith", NULL), -ENOENT);
    assert_int_equal(ask(h, POSTERN_LOOKUP_ALIAS, "solo", NULL), -ENOENT);
    assert_int_equal(ask(h, POSTERN_LOOKUP_ALIAS, "the.daemon", NULL), -ENOENT);
    assert_int_equal(ask(h, POSTERN_LOOKUP_ALIAS, "ann.b.miller@x.test", NULL), -ENOENT);
    fakehost_close(&h);
}

static void a_changed_file_is_read_again(void **state)
{
    struct fakehost *h = start(path);

    (void)state;
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "eve", NULL), -ENOENT);
    write_users("eve:x:1005:1005:Eve:/:/bin/sh\n");
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "eve", NULL), 0);
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "ann", NULL), -ENOENT);
    fakehost_close(&h);
}

static void a_file_that_is_gone_is_not_a_list_of_nobody(void **state)
{
    struct fakehost *h = start(path);
    const char *values;

    (void)state;
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "ann", NULL), 0);
    unlink(path);
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "ann", &values), -EAGAIN);
    assert_non_null(strstr(values, "No such file"));
    fakehost_close(&h);
}

static void users_of_this_machine_exist(void **state)
{
    struct fakehost *h = start(NULL);
    struct passwd *me = getpwuid(geteuid());

    (void)state;
    assert_non_null(me);
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, me->pw_name, NULL), 0);
    assert_int_equal(ask(h, POSTERN_LOOKUP_USER, "nobody-of-that-name", NULL), -ENOENT);
    assert_int_equal(ask(h, POSTERN_LOOKUP_ALIAS, "nobody.of.that.name", NULL), -ENOENT);
    fakehost_close(&h);
}

static void without_a_thread_the_question_is_not_taken(void **state)
{
    struct fakehost *h = start(path);
    int r;

    (void)state;
    fakehost_fail(h, FAKEHOST_OFFLOAD, 0, -EAGAIN);
    fakehost_lookup(h, POSTERN_LOOKUP_USER, "ann", NULL, NULL, &r);
    assert_int_equal(r, -EAGAIN);
    fakehost_close(&h);
}

/* Whoever invents names must not take all threads from those who write mailboxes. */
static void a_few_are_asked_at_a_time_and_the_others_wait(void **state)
{
    static const char *const names[] = { "ann", "sam1", "solo", "eve", "sam2" };
    enum { N = sizeof names / sizeof *names };
    struct fakehost *h = start(path);
    postern_lookup *l[N];
    int r;

    (void)state;
    fakehost_fail(h, FAKEHOST_OFFLOAD, 2, -EAGAIN); /* the third that wants a thread gets none */
    for (int i = 0; i < N; i++) {
        l[i] = fakehost_lookup(h, POSTERN_LOOKUP_USER, names[i], NULL, NULL, &r);
        assert_int_equal(r, 0); /* taken: none has wanted a third one yet */
        assert_int_equal(fakehost_answer(l[i]), 1);
    }
    fakehost_run(h);
    assert_int_equal(fakehost_answer(l[0]), 0);
    assert_int_equal(fakehost_answer(l[1]), 0);
    assert_int_equal(fakehost_answer(l[2]), -EAGAIN);
    assert_string_equal(fakehost_values(l[2]), "there is no thread to ask it with");
    assert_int_equal(fakehost_answer(l[3]), -ENOENT);
    assert_int_equal(fakehost_answer(l[4]), 0);
    for (int i = 0; i < N; i++) /* what is left is answered, whatever comes */
        fakehost_lookup(h, POSTERN_LOOKUP_USER, names[i], NULL, NULL, NULL);
    fakehost_close(&h);
}

static void a_range_that_is_none_is_refused(void **state)
{
    struct fakehost *h = fakehost_new();

    (void)state;
    fakehost_on_failure(h, complain, NULL);
    fakehost_set(h, "uid_min", "2000");
    fakehost_set(h, "uid_max", "1000");
    assert_int_equal(fakehost_open(h, &passwd_LTX_postern_plugin), -EINVAL);
    assert_non_null(strstr(fakehost_why(h), "larger than uid_max"));
    fakehost_close(&h);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(users_of_the_file_exist_and_nobody_else_does),
        TEST(a_full_name_is_its_one_users),
        TEST(a_changed_file_is_read_again),
        TEST(a_file_that_is_gone_is_not_a_list_of_nobody),
        TEST(users_of_this_machine_exist),
        TEST(without_a_thread_the_question_is_not_taken),
        TEST(a_few_are_asked_at_a_time_and_the_others_wait),
        TEST(a_range_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
