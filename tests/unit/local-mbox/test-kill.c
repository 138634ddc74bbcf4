/* A process that appends is killed, at every call by which it changes something. What it left is
 * found by the next one, and when that has delivered, the mailbox holds each message once, or twice
 * when the kill came after they were durable; and never a piece of one.
 *
 * The calls are counted by functions of the same names that stand before the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../fake/fakehost.h"

#define OLD      "From old Sun Nov 22 14:15:41 2026\nSubject: old\n\nold\n\n"
#define PAGE     4096u
#define FILE_MAX (2u << 20)
#define MESSAGES 3
#define STEPS    200

extern const struct postern_plugin local_mbox_LTX_postern_plugin;

/* --- the calls --- */

struct killer { /* of this process */
    int armed, count, at;
    int torn; /* the write that it meets is done in part */
};
static struct killer killer;

/* 1: this is the call, and it may be done in part first. */
static int step(void)
{
    if (!killer.armed || ++killer.count != killer.at)
        return 0;
    if (!killer.torn)
        raise(SIGKILL);
    return 1;
}

/* As a kill does it: up to the end of a page of the file. */
static size_t part_of(int fd, size_t len)
{
    off_t end = lseek(fd, 0, SEEK_END);
    size_t to_page = PAGE - (size_t)end % PAGE;

    if (to_page < len)
        to_page += (len - to_page) / 2 / PAGE * PAGE;
    return to_page < len ? to_page : 0;
}

ssize_t write(int fd, const void *data, size_t len)
{
    if (step()) {
        syscall(SYS_write, fd, data, part_of(fd, len));
        raise(SIGKILL);
    }
    return syscall(SYS_write, fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    if (step())
        raise(SIGKILL);
    return syscall(SYS_pwrite64, fd, data, len, at);
}

int ftruncate(int fd, off_t size)
{
    if (step())
        raise(SIGKILL);
    return (int)syscall(SYS_ftruncate, fd, size);
}

/* Nobody pulls a plug here: what is written is there. */
int fdatasync(int fd)
{
    (void)fd;
    if (step())
        raise(SIGKILL);
    return 0;
}

int link(const char *from, const char *to)
{
    if (step())
        raise(SIGKILL);
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path)
{
    if (step())
        raise(SIGKILL);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (step())
        raise(SIGKILL);
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

/* --- a mailbox --- */

struct box {
    char folder[64], path[80], lock[96];
};

static void box_new(struct box *b)
{
    FILE *f;

    snprintf(b->folder, sizeof b->folder, "/tmp/postern-kill-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->path, sizeof b->path, "%s/bob", b->folder);
    snprintf(b->lock, sizeof b->lock, "%s.lock", b->path);
    f = fopen(b->path, "w");
    assert_non_null(f);
    fputs(OLD, f);
    fclose(f);
}

/* The mailbox, and what kills left of locks. */
static void box_free(struct box *b)
{
    DIR *dir = opendir(b->folder);

    assert_non_null(dir);
    /* cppcheck-suppress readdirCalled ; the stream is ours alone */
    for (struct dirent *d; (d = readdir(dir));) {
        if (d->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(dir), d->d_name, 0), 0);
    }
    closedir(dir);
    assert_int_equal(rmdir(b->folder), 0);
}

static void box_put(const struct box *b, const char *text)
{
    FILE *f = fopen(b->path, "a");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static char *slurp(const char *path)
{
    char *text = malloc(FILE_MAX);
    FILE *f = fopen(path, "r");
    size_t n = f && text ? fread(text, 1, FILE_MAX - 1, f) : 0;

    assert_non_null(text);
    text[n] = '\0';
    if (f)
        fclose(f);
    return text;
}

/* Message i: a small one, a large one, a small one. Its own letter fills it. */
static char *content_of(int i)
{
    size_t len = i == 1 ? 150000 : 100;
    char *text = malloc(len + 32), *p = text;

    assert_non_null(text);
    p += sprintf(p, "X: %d\r\n\r\n", i);
    memset(p, 'a' + i, len);
    memcpy(p + len, "\r\n", 3);
    return text;
}

/* All of them in one batch. 0 when each was delivered without waiting for a lock. */
static int deliver(const struct box *b)
{
    static const char *const rcpts[] = { "bob@example.com", NULL };
    struct fakehost *h = fakehost_new();
    postern_job *jobs[MESSAGES];
    char *contents[MESSAGES];
    int bad = 0;

    fakehost_set(h, "path", b->folder);
    fakehost_set(h, "users", "any");
    if (fakehost_open(h, &local_mbox_LTX_postern_plugin) < 0)
        return 1;
    fakehost_hold(h, FAKEHOST_OFFLOAD, 1);
    for (int i = 0; i < MESSAGES; i++) {
        struct fakehost_job job = {
            .id = "ID", .sender = "from@example.com", .rcpts = rcpts, .destination = "example.com"
        };

        contents[i] = content_of(i);
        job.content = contents[i];
        job.content_len = strlen(contents[i]);
        jobs[i] = fakehost_deliver(h, &job, NULL);
    }
    fakehost_hold(h, FAKEHOST_OFFLOAD, 0);
    fakehost_run(h);
    for (int i = 0; i < MESSAGES; i++)
        bad |= !fakehost_outcome(jobs[i], 0) ||
            fakehost_outcome(jobs[i], 0)->fate != POSTERN_DELIVERED;
    fakehost_close(&h);
    for (int i = 0; i < MESSAGES; i++)
        free(contents[i]);
    return bad;
}

/* In a process of its own, killed at that call. 1: it was; 0: it came to its end before. */
static int deliver_and_die(const struct box *b, int at, int torn)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        killer = (struct killer){ .armed = 1, .at = at, .torn = torn };
        _exit(deliver(b));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return 1;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return 0;
}

/* How often message i begins here and stands here whole; its length or 0. */
static size_t whole(const char *text, int i)
{
    static const char head[] = "Return-Path: <from@example.com>\nDelivered-To: bob@example.com\n";
    const char *p = strchr(text, '\n');
    size_t len = i == 1 ? 150000 : 100;
    char x[32];

    if (!p || strncmp(text, "From from@example.com ", 22) != 0)
        return 0;
    snprintf(x, sizeof x, "X: %d\n\n", i);
    p++;
    if (strncmp(p, head, sizeof head - 1) != 0)
        return 0;
    p += sizeof head - 1;
    if (strncmp(p, x, strlen(x)) != 0)
        return 0;
    p += strlen(x);
    if (strspn(p, (char[]){ (char)('a' + i), 0 }) != len || strncmp(p + len, "\n\n", 2) != 0)
        return 0;
    return (size_t)(p + len + 2 - text);
}

/* The old mail, and behind it nothing but whole messages: how often each of them. */
static void expect_whole(const struct box *b, int counts[MESSAGES])
{
    char *text = slurp(b->path), *p = text + strlen(OLD);

    memset(counts, 0, MESSAGES * sizeof *counts);
    assert_memory_equal(text, OLD, strlen(OLD));
    while (*p) {
        size_t len = 0;

        for (int i = 0; i < MESSAGES && !len; i++) {
            len = whole(p, i);
            counts[i] += len != 0;
        }
        if (!len)
            fail_msg("a piece at %td: %.120s", p - text, p);
        p += len;
    }
    free(text);
}

static void expect_each(const int counts[MESSAGES], int most)
{
    for (int i = 0; i < MESSAGES; i++)
        assert_in_range(counts[i], 1, most);
}

/* --- tests --- */

static void a_kill_at_any_call_leaves_no_piece(void **state)
{
    int last = 0, once = 0, twice = 0;
    (void)state;

    for (int torn = 0; torn < 2; torn++) {
        for (int at = 1; at < STEPS; at++) {
            int counts[MESSAGES], killed;
            struct box b;

            box_new(&b);
            killed = deliver_and_die(&b, at, torn);
            if (killed)
                assert_int_equal(deliver(&b), 0);
            expect_whole(&b, counts);
            expect_each(counts, 2);
            once += killed && counts[MESSAGES - 1] == 1;
            twice += killed && counts[MESSAGES - 1] == 2;
            assert_int_equal(access(b.lock, F_OK), -1);
            box_free(&b);
            if (!killed) {
                last = at;
                break;
            }
        }
    }
    assert_in_range(last, 12, STEPS - 1);
    /* Only behind the last note can a kill make them come twice: to unlink the lock is what is
     * left. */
    assert_int_equal(twice, 2);
    assert_true(once > 20);
}

/* Who finds what a killed one has left is killed himself. */
static void nor_does_a_kill_of_the_one_who_takes_it_out(void **state)
{
    (void)state;

    for (int first = 1;; first++) {
        int killed = 0;

        for (int second = 1; second < STEPS; second += 3) {
            int counts[MESSAGES], again;
            struct box b;

            box_new(&b);
            killed = deliver_and_die(&b, first, first % 2);
            again = deliver_and_die(&b, second, second % 2);
            if (again)
                assert_int_equal(deliver(&b), 0);
            expect_whole(&b, counts);
            expect_each(counts, 3);
            box_free(&b);
            if (!again || !killed)
                break;
        }
        if (!killed)
            break;
    }
}

/* A mailbox of somebody who was killed in the midst of the large message. */
static void box_torn(struct box *b)
{
    for (int at = 1; at < STEPS; at++) {
        struct stat st;

        box_new(b);
        assert_int_equal(deliver_and_die(b, at, 1), 1);
        assert_int_equal(stat(b->path, &st), 0);
        if (st.st_size > 70000 && st.st_size < 150000)
            return;
        box_free(b);
    }
    fail_msg("no kill left a piece");
}

static int taken_out(const struct box *b)
{
    char *text = slurp(b->path), *p = text;
    int pieces = 0;

    while ((p = strstr(p, "X: 1\n")))
        p++, pieces++;
    free(text);
    return pieces == 1;
}

static void a_piece_with_somebody_elses_mail_behind_it_stays(void **state)
{
    static const char other[] = "From other Sun Nov 22 14:15:41 2026\n\nother\n\n";
    struct box b;
    char *text;
    (void)state;

    box_torn(&b);
    box_put(&b, other);
    assert_int_equal(deliver(&b), 0);
    text = slurp(b.path);
    assert_non_null(strstr(text, other));
    assert_false(taken_out(&b));
    free(text);
    box_free(&b);
}

/* A byte of it is another than was noted. */
static void a_piece_that_was_changed_stays(void **state)
{
    struct box b;
    int fd;
    (void)state;

    box_torn(&b);
    fd = open(b.path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(lseek(fd, 60000, SEEK_SET), 60000);
    assert_int_equal(syscall(SYS_write, fd, "!", 1), 1);
    close(fd);
    assert_int_equal(deliver(&b), 0);
    assert_false(taken_out(&b));
    box_free(&b);
}

/* By a note mail goes: it must be ours, and of this boot. */
static void only_a_note_of_our_own_counts(void **state)
{
    enum { AS_IT_IS, WRITABLE, LINKED, EARLIER_BOOT, CASES };
    (void)state;

    for (int i = 0; i < CASES; i++) {
        char name[160], *text, *boot;
        struct box b;
        FILE *f;

        box_torn(&b);
        snprintf(name, sizeof name, "%s.kept", b.lock);
        text = slurp(b.lock);
        boot = strstr(text, "\nappend ");
        assert_non_null(boot);
        boot[8] = boot[8] == '0' ? '1' : '0';
        if (i == WRITABLE)
            assert_int_equal(chmod(b.lock, 0666), 0);
        if (i == LINKED)
            assert_int_equal(link(b.lock, name), 0);
        if (i == EARLIER_BOOT) {
            f = fopen(b.lock, "w");
            assert_non_null(f);
            fputs(text, f);
            fclose(f);
        }
        assert_int_equal(deliver(&b), 0);
        assert_int_equal(taken_out(&b), i == AS_IT_IS);
        free(text);
        box_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_at_any_call_leaves_no_piece),
        cmocka_unit_test(nor_does_a_kill_of_the_one_who_takes_it_out),
        cmocka_unit_test(a_piece_with_somebody_elses_mail_behind_it_stays),
        cmocka_unit_test(a_piece_that_was_changed_stays),
        cmocka_unit_test(only_a_note_of_our_own_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
