/* Delivery into real files in the fake host: what is in them, who may be in the way, and what is
 * left when it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../box.h"

extern const struct postern_plugin file_LTX_postern_plugin;

static void box_open(struct box *b, const char *const *options)
{
    box_start(b, &file_LTX_postern_plugin, "roots", NULL, options);
}

static void box_new(struct box *b, const char *const *options)
{
    box_make_folder(b);
    box_open(b, options);
}

#define BOX(b, ...) box_new((b), (const char *const[]){ __VA_ARGS__, NULL })

static postern_job *deliver(struct box *b, const char *rcpt, const char *content, const char *param)
{
    const char *rcpts[] = { rcpt, NULL }, *params[] = { param, NULL };
    struct fakehost_job job = { .id = "ID",
                                .sender = "ann@c.example",
                                .rcpts = rcpts,
                                .params = params,
                                .content = content,
                                .content_len = strlen(content) };

    return fakehost_deliver(b->h, &job, NULL);
}

static postern_job *deliver_one(struct box *b)
{
    return deliver(b, "bob@b.example", "Subject: x\r\n\r\nFrom me\r\n", NULL);
}

static void expect(const postern_job *job, uint32_t fate, uint32_t cause, const char *words)
{
    const struct postern_outcome *o = fakehost_outcome(job, 0);

    assert_non_null(o);
    if (o->fate != fate || o->cause != cause || !strstr(o->diagnostic, words))
        fail_msg("fate %u, cause %u, \"%s\"; expected %u, %u, \"%s\"", o->fate, o->cause,
                 o->diagnostic, fate, cause, words);
}

#define EXPECT_DELIVERED(job)       expect(job, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, "")
#define EXPECT_DEFERRED(job, words) expect(job, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, words)

/* --- what is written --- */

static void a_message_becomes_a_piece_of_an_mbox(void **state)
{
    static const char rest[] = "Return-Path: <ann@c.example>\nDelivered-To: bob@b.example\n"
                               "Subject: x\n\n>From me\n\n";
    struct box b;
    postern_job *job;
    struct stat st;
    const char *text;
    (void)state;

    BOX(&b, "path", "all", "mode", "0640");
    job = deliver_one(&b);
    fakehost_run(b.h);
    EXPECT_DELIVERED(job);
    text = text_of(&b, "all");
    assert_memory_equal(text, "From ann@c.example ", 19);
    assert_string_equal(strchr(text, '\n') + 1, rest);
    assert_int_equal(stat(path_of(&b, "all"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_false(exists(&b, "all.lock"));
    box_free(&b);
}

static void raw_is_raw(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    BOX(&b, "path", "all", "format", "raw", "line_ends", "crlf", "return_path", "false",
        "delivered_to", "false");
    job = deliver_one(&b);
    fakehost_run(b.h);
    EXPECT_DELIVERED(job);
    job = deliver(&b, "bob@b.example", "no end", NULL);
    fakehost_run(b.h);
    EXPECT_DELIVERED(job);
    assert_string_equal(text_of(&b, "all"), "Subject: x\r\n\r\nFrom me\r\nno end");
    box_free(&b);
}

static void folders_are_made_when_asked_for(void **state)
{
    struct box b;
    postern_job *job;
    struct stat st;
    (void)state;

    umask(022);
    BOX(&b, "path", "{domain}/{user}/all");
    job = deliver_one(&b);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "No such file");
    fakehost_close(&b.h);
    box_open(&b,
             (const char *const[]){ "path", "{domain}/{user}/all", "make_folders", "true", "mode",
                                    "0640", NULL });
    job = deliver_one(&b);
    fakehost_run(b.h);
    EXPECT_DELIVERED(job);
    assert_int_equal(stat(path_of(&b, "b.example/bob"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0750);
    box_free(&b);
}

static void files_of_aliases(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    BOX(&b, "path", "all");
    job = deliver(&b, "bob@b.example", "x\r\n", "file=log.txt");
    expect(job, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "allow_alias_files");
    fakehost_close(&b.h);
    box_open(&b, (const char *const[]){ "allow_alias_files", "true", NULL });
    job = deliver(&b, "bob@b.example", "x\r\n", "file=log.txt");
    fakehost_run(b.h);
    EXPECT_DELIVERED(job);
    assert_true(exists(&b, "log.txt"));
    job = deliver_one(&b);
    EXPECT_DEFERRED(job, "there is no path");
    box_free(&b);
}

/* --- what is in the way --- */

static void nothing_but_a_plain_file_of_ours_is_written_to(void **state)
{
    struct box b;
    postern_job *job;
    char outside[80];
    (void)state;

    BOX(&b, "path", "{user}/x", "make_folders", "true");
    snprintf(outside, sizeof outside, "%s-outside", b.folder);
    assert_int_equal(mkdir(outside, 0700), 0);
    assert_int_equal(symlink(outside, path_of(&b, "linked")), 0);
    assert_int_equal(mkdir(path_of(&b, "file"), 0700), 0);
    assert_int_equal(symlink("/etc/passwd", path_of(&b, "file/x")), 0);
    assert_int_equal(mkdir(path_of(&b, "fifo"), 0700), 0);
    assert_int_equal(mkfifo(path_of(&b, "fifo/x"), 0600), 0);
    assert_int_equal(mkdir(path_of(&b, "hard"), 0700), 0);
    put(&b, "hard/x", "");
    assert_int_equal(link(path_of(&b, "hard/x"), path_of(&b, "hard/y")), 0);
    assert_int_equal(mkdir(path_of(&b, "open"), 0700), 0);
    put(&b, "open/x", "");
    chmod(path_of(&b, "open/x"), 0666);
    assert_int_equal(mkdir(path_of(&b, "folder"), 0700), 0);
    assert_int_equal(mkdir(path_of(&b, "folder/x"), 0700), 0);
    assert_int_equal(mkdir(path_of(&b, "socket"), 0700), 0);
    assert_int_equal(mknod(path_of(&b, "socket/x"), S_IFSOCK | 0600, 0), 0);
    job = deliver(&b, "linked@b.example", "x\r\n", NULL);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "symbolic link");
    job = deliver(&b, "file@b.example", "x\r\n", NULL);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "symbolic link");
    job = deliver(&b, "fifo@b.example", "x\r\n", NULL);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "is not a regular file");
    job = deliver(&b, "folder@b.example", "x\r\n", NULL);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "Is a directory");
    assert_int_equal(fakehost_outcome(job, 0)->status[2], 5);
    job = deliver(&b, "socket@b.example", "x\r\n", NULL);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "cannot open");
    assert_int_equal(fakehost_outcome(job, 0)->status[2], 5);
    job = deliver(&b, "hard@b.example", "x\r\n", NULL);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "more than one hard link");
    job = deliver(&b, "open@b.example", "x\r\n", NULL);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "written by everybody");
    assert_int_equal(rmdir(outside), 0); /* so nothing is in it */
    box_free(&b);
}

static void a_locked_file_is_waited_for(void **state)
{
    struct box b;
    postern_job *job;
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd;
    (void)state;

    BOX(&b, "path", "all", "lock_timeout", "10s");
    put(&b, "all", "");
    fd = open(path_of(&b, "all"), O_RDWR);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &l), 0);
    job = deliver_one(&b);
    fakehost_advance(b.h, 5000000);
    assert_null(fakehost_outcome(job, 0));
    fakehost_advance(b.h, 10000000);
    EXPECT_DEFERRED(job, "locked by another program");
    job = deliver_one(&b);
    fakehost_run(b.h);
    close(fd);
    put(&b, "all.lock", "1\n"); /* somebody's, who lives */
    fakehost_advance(b.h, 2000000);
    assert_null(fakehost_outcome(job, 0));
    unlink(path_of(&b, "all.lock"));
    fakehost_advance(b.h, 2000000);
    EXPECT_DELIVERED(job);
    box_free(&b);
}

static void an_mbox_that_ends_amid_a_line_gets_its_end(void **state)
{
    struct box b;
    (void)state;

    BOX(&b, "path", "all");
    put(&b, "all", "From x\nhalf a li");
    deliver_one(&b);
    fakehost_run(b.h);
    assert_memory_equal(text_of(&b, "all"), "From x\nhalf a li\nFrom ann@c.example", 34);
    box_free(&b);
}

/* --- when it fails --- */

static void a_message_that_does_not_fit_is_taken_out_again(void **state)
{
    struct rlimit old, small;
    struct box b;
    postern_job *job;
    char *large = malloc(300001);
    (void)state;

    memset(large, 'x', 300000);
    large[300000] = '\0';
    memcpy(large + 299998, "\r\n", 2);
    BOX(&b, "path", "all");
    put(&b, "all", "From x\n\n");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    job = deliver(&b, "bob@b.example", large, NULL);
    fakehost_run(b.h);
    setrlimit(RLIMIT_FSIZE, &old);
    EXPECT_DEFERRED(job, "File too large");
    assert_string_equal(text_of(&b, "all"), "From x\n\n");
    assert_false(exists(&b, "all.lock"));
    free(large);
    box_free(&b);
}

static void a_file_has_a_largest_size(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    BOX(&b, "path", "all", "max_size", "200");
    job = deliver_one(&b);
    fakehost_run(b.h);
    EXPECT_DELIVERED(job);
    job = deliver(&b, "bob@b.example",
                  "Subject: x\r\n\r\n0123456789012345678901234567890123456789"
                  "0123456789012345678901234567890123456789\r\n",
                  NULL);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "the file is full");
    box_free(&b);
}

static void a_cancelled_message_is_not_in_the_file(void **state)
{
    struct box b;
    postern_job *job, *other;
    (void)state;

    BOX(&b, "path", "all");
    fakehost_hold(b.h, FAKEHOST_OFFLOAD, 1);
    job = deliver(&b, "gone@b.example", "Subject: gone\r\n\r\n", NULL);
    other = deliver(&b, "here@b.example", "Subject: here\r\n\r\n", NULL);
    fakehost_cancel(b.h, job);
    fakehost_hold(b.h, FAKEHOST_OFFLOAD, 0);
    fakehost_run(b.h);
    EXPECT_DEFERRED(job, "gave up");
    EXPECT_DELIVERED(other);
    assert_null(strstr(text_of(&b, "all"), "Subject: gone"));
    assert_non_null(strstr(text_of(&b, "all"), "Subject: here"));
    box_free(&b);
}

static void whatever_service_fails_the_recipient_is_deferred(void **state)
{
    static const enum fakehost_call calls[] = { FAKEHOST_OFFLOAD, FAKEHOST_CONTENT_READ };
    (void)state;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct box b;
        postern_job *job;

        BOX(&b, "path", "all");
        fakehost_fail(b.h, calls[i], 0, -EIO);
        job = deliver_one(&b);
        fakehost_run(b.h);
        assert_non_null(fakehost_outcome(job, 0));
        assert_int_equal(fakehost_outcome(job, 0)->fate, POSTERN_DEFERRED);
        assert_string_equal(text_of(&b, "all"), "");
        box_free(&b);
    }
}

/* --- options --- */

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const bad[][3] = {
        { "path", "../x", "\"..\"" },
        { "path", "/etc/x", "below none" },
        { "path", "{what}", "{what}" },
        { "path", "x.lock", "a lock" },
        { "mode", "0666", "mode" },
        { "mode", "0400", "mode" },
        { "mode", "x", "mode" },
        { "line_ends", "crlf", "line_ends" },
        { "alias_type", "{x}", "alias_type" },
        { "roots", "relative", "full path" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fakehost *h = fakehost_new();

        fakehost_on_failure(h, box_complain, NULL);
        fakehost_set(h, "roots", "/nonexistent");
        fakehost_set(h, "path", "x");
        fakehost_set(h, bad[i][0], bad[i][1]);
        assert_true(fakehost_open(h, &file_LTX_postern_plugin) < 0);
        if (!strstr(fakehost_why(h), bad[i][2]))
            fail_msg("\"%s\" is not in \"%s\"", bad[i][2], fakehost_why(h));
        fakehost_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_becomes_a_piece_of_an_mbox),
        cmocka_unit_test(raw_is_raw),
        cmocka_unit_test(folders_are_made_when_asked_for),
        cmocka_unit_test(files_of_aliases),
        cmocka_unit_test(nothing_but_a_plain_file_of_ours_is_written_to),
        cmocka_unit_test(a_locked_file_is_waited_for),
        cmocka_unit_test(an_mbox_that_ends_amid_a_line_gets_its_end),
        cmocka_unit_test(a_message_that_does_not_fit_is_taken_out_again),
        cmocka_unit_test(a_file_has_a_largest_size),
        cmocka_unit_test(a_cancelled_message_is_not_in_the_file),
        cmocka_unit_test(whatever_service_fails_the_recipient_is_deferred),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
