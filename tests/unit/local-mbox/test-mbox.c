/* Delivery into real files: what is in them, who may be in the way, and what is left when it
 * fails. */
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
#include <sys/wait.h>
#include <unistd.h>

#include "../../../plugins/local-mbox/append.h"
#include "../../../plugins/local-mbox/mbox.h"
#include "../box.h"

extern const struct postern_plugin local_mbox_LTX_postern_plugin;

/* --- helpers --- */

static void box_open(struct box *b, const char *const *options)
{
    static const char *const fixed[] = { "users", "any", NULL };

    box_start(b, &local_mbox_LTX_postern_plugin, "path", fixed, options);
}

static void box_new(struct box *b, const char *const *options)
{
    box_make_folder(b);
    box_open(b, options);
}

static postern_job *deliver(struct box *b, const char *const *rcpts, const char *content)
{
    struct fakehost_job job = {
        .id = "ID", .sender = "from@example.com", .rcpts = rcpts, .destination = "example.com"
    };

    job.content = content ? content : "Subject: x\r\n\r\nbody\r\n";
    job.content_len = strlen(job.content);
    return fakehost_deliver(b->h, &job, NULL);
}

static postern_job *deliver_one(struct box *b, const char *rcpt, const char *content)
{
    const char *rcpts[] = { rcpt, NULL };

    return deliver(b, rcpts, content);
}

static void expect_fate(const postern_job *job, size_t i, const char *fate, int cause,
                        const char *text)
{
    static const char *const names[] = { "?", "delivered", "deferred", "failed" };
    const struct postern_outcome *o = fakehost_outcome(job, i);
    char got[64];

    if (!o)
        fail_msg("recipient %zu has no fate, wanted %s", i, fate);
    snprintf(got, sizeof got, "%s %u.%u.%u", names[o->fate & 3], o->status[0], o->status[1],
             o->status[2]);
    if (strcmp(got, fate) != 0)
        fail_msg("recipient %zu: %s (%s), wanted %s", i, got, o->diagnostic, fate);
    if (text && !strstr(o->diagnostic, text))
        fail_msg("recipient %zu: \"%s\" is not in \"%s\"", i, text, o->diagnostic);
    if (cause >= 0 && (int)o->cause != cause)
        fail_msg("recipient %zu: cause %u (%s)", i, o->cause, o->diagnostic);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

/* --- what is written --- */

static void a_message_becomes_an_entry(void **state)
{
    struct box b;
    postern_job *job;
    struct stat st;
    const char *text, *rest;
    (void)state;

    box_new(&b, NULL);
    job = deliver_one(&b, "Bob+x@example.com", "Subject: x\r\n\r\nFrom me\r\n>From me\r\nend");
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, "/bob");
    text = text_of(&b, "bob");
    assert_memory_equal(text, "From from@example.com ", 22);
    rest = strchr(text, '\n');
    assert_int_equal(rest - text, 22 + 24); /* asctime's date */
    assert_string_equal(rest,
                        "\nReturn-Path: <from@example.com>\n"
                        "Delivered-To: Bob+x@example.com\n"
                        "Subject: x\n\n>From me\n>>From me\nend\n\n");
    assert_int_equal(stat(path_of(&b, "bob"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_false(exists(&b, "bob.lock"));
    box_free(&b);
}

static void odd_senders_make_good_separators(void **state)
{
    static const char *const rcpts[] = { "bob@example.com", NULL };
    struct fakehost_job job = { .rcpts = rcpts, .content = "x\r\n", .content_len = 3 };
    struct box b;
    (void)state;

    box_new(&b, NULL);
    job.sender = "";
    fakehost_deliver(b.h, &job, NULL);
    fakehost_run(b.h);
    assert_memory_equal(text_of(&b, "bob"), "From MAILER-DAEMON ", 19);
    assert_non_null(strstr(text_of(&b, "bob"), "\nReturn-Path: <>\n"));
    job.sender = "\"a b\"@example.com";
    fakehost_deliver(b.h, &job, NULL);
    fakehost_run(b.h);
    assert_non_null(strstr(text_of(&b, "bob"), "\nFrom \"a-b\"@example.com "));
    assert_non_null(strstr(text_of(&b, "bob"), "\nReturn-Path: <\"a b\"@example.com>\n"));
    box_free(&b);
}

static void each_recipient_is_settled_on_its_own(void **state)
{
    static const char *const rcpts[] = { "bob@example.com", "\"../x\"@example.com",
                                         "ann@example.com", "dir@example.com", NULL };
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    assert_int_equal(mkdir(path_of(&b, "dir"), 0700), 0);
    job = deliver(&b, rcpts, NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    expect_fate(job, 1, "failed 5.1.1", POSTERN_CAUSE_RECIPIENT, "no such user here");
    expect_fate(job, 2, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    expect_fate(job, 3, "deferred 4.3.5", POSTERN_CAUSE_RECIPIENT, "directory");
    assert_non_null(strstr(text_of(&b, "ann"), "Delivered-To: ann@example.com\n"));
    assert_null(strstr(text_of(&b, "ann"), "bob"));
    box_free(&b);
}

static void unknown_users_fail(void **state)
{
    static const char *const existing[] = { "users", "existing", NULL };
    static const char *const passwd[] = { "users", "passwd", NULL };
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, existing);
    put(&b, "bob", "");
    job = deliver_one(&b, "carol@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "failed 5.1.1", POSTERN_CAUSE_RECIPIENT, "no such user here: carol");
    assert_false(exists(&b, "carol"));
    job = deliver_one(&b, "BOB@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    box_free(&b);

    box_new(&b, passwd);
    job = deliver_one(&b, "no-such-user-here@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "failed 5.1.1", POSTERN_CAUSE_RECIPIENT, "no such user here");
    box_free(&b);
}

static void a_missing_folder_defers(void **state)
{
    static const char *const modes[] = { "any", "existing" };
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        const char *const options[] = { "users", modes[i], NULL };
        struct box b;
        postern_job *job;

        box_new(&b, options);
        assert_int_equal(rmdir(b.folder), 0);
        job = deliver_one(&b, "bob@example.com", NULL);
        fakehost_run(b.h);
        expect_fate(job, 0, "deferred 4.3.5", POSTERN_CAUSE_PLUGIN, NULL);
        box_free(&b);
    }
}

static void spellings_of_two_users_go_to_two_mailboxes(void **state)
{
    static const char *const rcpts[] = { "Bob@example.com", "bob@example.com", "BOB@example.com",
                                         "Bob@example.com", NULL };
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    put(&b, "Bob", "");
    put(&b, "bob", "");
    fakehost_hold(b.h, FAKEHOST_OFFLOAD, 1);
    job = deliver(&b, rcpts, NULL);
    fakehost_hold(b.h, FAKEHOST_OFFLOAD, 0);
    fakehost_run(b.h);
    for (size_t i = 0; i < 4; i++)
        expect_fate(job, i, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    assert_int_equal(count(text_of(&b, "Bob"), "Delivered-To: Bob@example.com\n"), 2);
    assert_int_equal(count(text_of(&b, "Bob"), "Delivered-To"), 2);
    assert_int_equal(count(text_of(&b, "bob"), "Delivered-To: bob@example.com\n"), 1);
    assert_int_equal(count(text_of(&b, "bob"), "Delivered-To: BOB@example.com\n"), 1);
    box_free(&b);
}

static void mail_that_comes_back_fails(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    job = deliver_one(
        &b, "bob@example.com",
        "Delivered-To: ann@example.com\r\nDelivered-To:\r\n Bob@Example.com\r\n\r\nx\r\n");
    fakehost_run(b.h);
    expect_fate(job, 0, "failed 5.4.6", POSTERN_CAUSE_RECIPIENT, "loops");
    assert_string_equal(text_of(&b, "bob"), "");
    job = deliver_one(&b, "bob@example.com", "Subject: x\r\n\r\nDelivered-To: bob@example.com\r\n");
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    box_free(&b);
}

static void a_mailbox_without_a_last_line_end_gets_one(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    put(&b, "bob", "From x\n\ncut of");
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    assert_memory_equal(text_of(&b, "bob"), "From x\n\ncut of\nFrom from@example.com ", 37);
    box_free(&b);
}

static void large_content_is_written_whole(void **state)
{
    size_t lines = 40000;
    char *content = malloc(lines * 12 + 32), *p = content;
    struct box b;
    postern_job *job;
    const char *text;
    (void)state;

    p += sprintf(p, "Subject: x\r\n\r\n");
    for (size_t i = 0; i < lines; i++)
        p += sprintf(p, "%08zu\r\n", i);
    box_new(&b, NULL);
    job = deliver_one(&b, "bob@example.com", content);
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    text = strstr(text_of(&b, "bob"), "Subject: x\n\n");
    assert_non_null(text);
    text += strlen("Subject: x\n\n");
    assert_int_equal(strlen(text), lines * 9 + 1);
    for (size_t i = 0; i < lines; i++)
        assert_int_equal(strtoul(text + i * 9, NULL, 10), i);
    free(content);
    box_free(&b);
}

static void what_waits_for_a_mailbox_shares_a_batch(void **state)
{
    postern_job *jobs[100];
    struct box b;
    (void)state;

    box_new(&b, NULL);
    for (size_t i = 0; i < 100; i++)
        jobs[i] = deliver_one(&b, "bob@example.com", NULL);
    fakehost_turn(b.h); /* the first, which did not wait */
    expect_fate(jobs[0], 0, "delivered 2.0.0", -1, NULL);
    assert_int_equal(fakehost_unsettled(jobs[1]), 1);
    fakehost_turn(b.h); /* then as many as a batch may have */
    expect_fate(jobs[64], 0, "delivered 2.0.0", -1, NULL);
    assert_int_equal(fakehost_unsettled(jobs[65]), 1);
    fakehost_turn(b.h);
    expect_fate(jobs[99], 0, "delivered 2.0.0", -1, NULL);
    assert_int_equal(count(text_of(&b, "bob"), "Delivered-To:"), 100);
    box_free(&b);
}

/* --- what must not be written to --- */

static void only_plain_files_of_one_name_are_mailboxes(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    put(&b, "target", "precious\n");
    assert_int_equal(symlink("target", path_of(&b, "link")), 0);
    assert_int_equal(symlink("nowhere", path_of(&b, "dangling")), 0);
    assert_int_equal(link(path_of(&b, "target"), path_of(&b, "hard")), 0);
    assert_int_equal(mkfifo(path_of(&b, "fifo"), 0600), 0);
    job = deliver_one(&b, "link@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "deferred 4.3.5", POSTERN_CAUSE_RECIPIENT, "symbolic link");
    job = deliver_one(&b, "dangling@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "deferred 4.3.5", POSTERN_CAUSE_RECIPIENT, "symbolic link");
    job = deliver_one(&b, "hard@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "deferred 4.3.5", POSTERN_CAUSE_RECIPIENT, "hard link");
    job = deliver_one(&b, "fifo@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "deferred 4.3.5", POSTERN_CAUSE_RECIPIENT, "not a regular file");
    assert_string_equal(text_of(&b, "target"), "precious\n");
    assert_false(exists(&b, "nowhere"));
    box_free(&b);
}

/* --- locks --- */

static void a_dot_lock_is_waited_for(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    put(&b, "bob.lock", "1\n");
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_advance(b.h, 5 * 1000000);
    assert_int_equal(fakehost_unsettled(job), 1);
    assert_string_equal(text_of(&b, "bob"), "");
    assert_int_equal(unlink(path_of(&b, "bob.lock")), 0);
    fakehost_advance(b.h, 2 * 1000000);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    box_free(&b);
}

static void a_lock_that_stays_defers(void **state)
{
    postern_job *first, *second;
    struct box b;
    (void)state;

    box_new(&b, NULL);
    put(&b, "bob.lock", "1\n");
    first = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    second = deliver_one(&b, "bob@example.com", NULL);
    fakehost_advance(b.h, 29 * 1000000);
    assert_int_equal(fakehost_unsettled(first), 1);
    fakehost_advance(b.h, 3 * 1000000);
    expect_fate(first, 0, "deferred 4.2.0", POSTERN_CAUSE_RECIPIENT, "locked");
    expect_fate(second, 0, "deferred 4.2.0", POSTERN_CAUSE_RECIPIENT, "locked");
    assert_string_equal(text_of(&b, "bob.lock"), "1\n"); /* it is not ours to take away */
    box_free(&b);
}

static void a_stale_dot_lock_is_removed(void **state)
{
    struct timespec old[2] = { { 0 }, { 0 } };
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    put(&b, "bob.lock", "1\n");
    clock_gettime(CLOCK_REALTIME, &old[0]);
    old[0].tv_sec -= 299;
    old[1] = old[0];
    assert_int_equal(utimensat(AT_FDCWD, path_of(&b, "bob.lock"), old, 0), 0);
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    assert_int_equal(fakehost_unsettled(job), 1);
    old[0].tv_sec -= 10;
    old[1] = old[0];
    assert_int_equal(utimensat(AT_FDCWD, path_of(&b, "bob.lock"), old, 0), 0);
    fakehost_advance(b.h, 1000000);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    assert_false(exists(&b, "bob.lock"));
    box_free(&b);
}

/* Another process locks a file the way mail readers do, until it is killed. */
static pid_t lock_elsewhere(const char *path)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int ready[2];
    char c;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDWR);

        if (fd < 0 || fcntl(fd, F_SETLK, &l) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

static void another_programs_fcntl_lock_is_respected(void **state)
{
    struct box b;
    postern_job *job;
    pid_t pid;
    (void)state;

    box_new(&b, NULL);
    put(&b, "bob", "");
    pid = lock_elsewhere(path_of(&b, "bob"));
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_advance(b.h, 3 * 1000000);
    assert_int_equal(fakehost_unsettled(job), 1);
    assert_false(exists(&b, "bob.lock"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    fakehost_advance(b.h, 2 * 1000000);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    box_free(&b);
}

static void without_dot_locks_none_are_made_or_seen(void **state)
{
    static const char *const options[] = { "dot_lock", "no", NULL };
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, options);
    put(&b, "bob.lock", "1\n");
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    assert_true(exists(&b, "bob.lock"));
    box_free(&b);
}

/* For root every folder is writable, so this is tried by nobody. The outcome with the given setting
 * is the exit status: 0 as wanted. */
static int try_unwritable(const char *dot_lock, uint32_t fate, const char *text)
{
    const char *const options[] = { "dot_lock", dot_lock, NULL };
    const struct postern_outcome *o;
    struct box b;
    postern_job *job;

    if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
        return 2;
    box_new(&b, options);
    put(&b, "bob", "");
    if (chmod(b.folder, 0500) < 0)
        return 2;
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    o = fakehost_outcome(job, 0);
    if (chmod(b.folder, 0700) < 0 || !o || o->fate != fate || !strstr(o->diagnostic, text))
        return 1;
    box_free(&b);
    return 0;
}

static void a_folder_that_is_not_writable_matters_by_choice(void **state)
{
    (void)state;

    for (int i = 0; i < 2; i++) {
        int status = -1;

        if (fork() == 0)
            _exit(i ? try_unwritable("try", POSTERN_DELIVERED, "delivered")
                    : try_unwritable("yes", POSTERN_DEFERRED, "make a lock file for"));
        wait(&status);
        assert_int_equal(status, 0);
    }
}

/* Several processes at once: nothing is lost, nothing is mixed. */
static void processes_do_not_mix_their_messages(void **state)
{
    enum { PROCESSES = 4, EACH = 40 };
    struct box b;
    const char *text, *entry;
    size_t n = 0;
    (void)state;

    box_new(&b, NULL);
    for (int p = 0; p < PROCESSES; p++) {
        if (fork() == 0) {
            char content[8192];
            struct box mine = b;
            postern_job *jobs[EACH];

            box_open(&mine, NULL);
            memset(content, 'a' + p, sizeof content);
            memcpy(content + sizeof content - 3, "\r\n", 3);
            for (int i = 0; i < EACH; i++) {
                jobs[i] = deliver_one(&mine, "bob@example.com", content);
                for (int t = 0; t < 20000 && fakehost_unsettled(jobs[i]); t++) {
                    fakehost_advance(mine.h, 1000);
                    usleep(50);
                }
                if (fakehost_unsettled(jobs[i]) ||
                    fakehost_outcome(jobs[i], 0)->fate != POSTERN_DELIVERED)
                    _exit(1);
            }
            _exit(0);
        }
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status = -1;

        wait(&status);
        assert_int_equal(status, 0);
    }
    text = text_of(&b, "bob");
    for (entry = text; *entry; n++) { /* every entry has one letter, as often as it should */
        const char *body = strstr(entry, "Delivered-To: bob@example.com\n");

        assert_memory_equal(entry, "From ", 5);
        assert_non_null(body);
        body = strchr(body, '\n') + 1;
        assert_int_equal(strspn(body, (char[]){ body[0], 0 }), 8189);
        assert_memory_equal(body + 8189, "\n\n", 2);
        entry = body + 8191;
    }
    assert_int_equal(n, PROCESSES * EACH);
    assert_false(exists(&b, "bob.lock"));
    box_free(&b);
}

/* --- limits and failures --- */

static void a_full_mailbox_defers_and_a_huge_message_fails(void **state)
{
    static const char *const options[] = { "max_size", "300", NULL };
    char huge[400];
    struct box b;
    postern_job *job;
    size_t size;
    (void)state;

    box_new(&b, options);
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    size = strlen(text_of(&b, "bob"));
    assert_in_range(size, 240, 300);
    memset(huge, 'x', sizeof huge);
    huge[sizeof huge - 1] = '\0';
    job = deliver_one(&b, "bob@example.com", huge);
    fakehost_run(b.h);
    expect_fate(job, 0, "failed 5.2.3", POSTERN_CAUSE_RECIPIENT, "300 bytes");
    huge[301 - size] = '\0';
    job = deliver_one(&b, "bob@example.com", huge);
    fakehost_run(b.h);
    expect_fate(job, 0, "deferred 4.2.2", POSTERN_CAUSE_RECIPIENT, "full");
    assert_int_equal(strlen(text_of(&b, "bob")), size);
    box_free(&b);
}

/* The disk takes only a part of the message: what it took is cut off again. */
static void a_message_that_does_not_fit_leaves_no_trace(void **state)
{
    struct box b;
    int status = -1;
    (void)state;

    box_new(&b, NULL);
    put(&b, "bob", "From x\n\nkept\n\n");
    if (fork() == 0) {
        struct rlimit limit = { 200000, 200000 };
        char *content = malloc(400000);
        postern_job *job, *small;
        int good;

        memset(content, 'x', 400000);
        memcpy(content, "Subject: x\r\n\r\n", 14);
        content[399999] = '\0';
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        fakehost_on_failure(b.h, NULL, NULL);
        job = deliver_one(&b, "bob@example.com", content);
        small = deliver_one(&b, "bob@example.com", NULL);
        fakehost_run(b.h);
        good = fakehost_outcome(job, 0)->fate == POSTERN_DEFERRED &&
            fakehost_outcome(job, 0)->status[1] == 2 && fakehost_outcome(job, 0)->status[2] == 2 &&
            fakehost_outcome(small, 0)->fate == POSTERN_DELIVERED;
        _exit(good ? 0 : 1);
    }
    wait(&status);
    assert_int_equal(status, 0);
    assert_memory_equal(text_of(&b, "bob"), "From x\n\nkept\n\nFrom from@example.com ", 36);
    assert_int_equal(count(text_of(&b, "bob"), "xxxx"), 0);
    assert_int_equal(count(text_of(&b, "bob"), "Delivered-To"), 1);
    box_free(&b);
}

static void content_that_cannot_be_read_defers(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    fakehost_fail(b.h, FAKEHOST_CONTENT_READ, 1, -EIO); /* in the middle */
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "deferred 4.3.0", POSTERN_CAUSE_PLUGIN, "Input/output");
    assert_string_equal(text_of(&b, "bob"), "");
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    box_free(&b);
}

static void no_thread_and_no_timer_defer(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    fakehost_fail(b.h, FAKEHOST_OFFLOAD, 0, -EAGAIN);
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "deferred 4.3.0", POSTERN_CAUSE_PLUGIN, NULL);
    put(&b, "bob.lock", "1\n");
    fakehost_fail(b.h, FAKEHOST_AFTER, 0, -ENOMEM);
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    expect_fate(job, 0, "deferred 4.2.0", POSTERN_CAUSE_RECIPIENT, NULL);
    box_free(&b);
}

/* --- cancel --- */

static void cancel_settles_in_every_state(void **state)
{
    postern_job *locked, *waiting, *held, *behind, *last;
    struct box b;
    (void)state;

    box_new(&b, NULL);
    put(&b, "bob.lock", "1\n");
    locked = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    waiting = deliver_one(&b, "bob@example.com", NULL);
    fakehost_cancel(b.h, locked);
    expect_fate(locked, 0, "deferred 4.4.0", -1, "another program's lock");
    fakehost_cancel(b.h, waiting);
    expect_fate(waiting, 0, "deferred 4.4.0", -1, NULL);
    assert_int_equal(unlink(path_of(&b, "bob.lock")), 0);
    fakehost_advance(b.h, 2 * 1000000);
    assert_string_equal(text_of(&b, "bob"), "");

    fakehost_hold(b.h, FAKEHOST_OFFLOAD, 1);
    held = deliver_one(&b, "bob@example.com", NULL);
    behind = deliver_one(&b, "bob@example.com", NULL);
    last = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    fakehost_cancel(b.h, held);
    fakehost_cancel(b.h, behind);
    expect_fate(held, 0, "deferred 4.4.0", -1, "writing");
    expect_fate(behind, 0, "deferred 4.4.0", -1, "writing");
    fakehost_hold(b.h, FAKEHOST_OFFLOAD, 0);
    fakehost_run(b.h);
    expect_fate(last, 0, "delivered 2.0.0", -1, NULL);
    assert_int_equal(count(text_of(&b, "bob"), "Delivered-To"), 1);
    box_free(&b);
}

static void closing_while_a_lock_is_waited_for_leaves_nothing(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    box_new(&b, NULL);
    put(&b, "bob.lock", "1\n");
    job = deliver_one(&b, "bob@example.com", NULL);
    fakehost_run(b.h);
    fakehost_cancel(b.h, job);
    box_free(&b);
}

/* A thread at work, and a job of its batch cancelled when it has been written, before the sync. The
 * content of the third entry does the cancelling: it is read under the same lock as
 * queue_cancel's. */
struct postern_content {
    const char *text;
    struct entry *victim;
};

static int64_t read_content(const postern_content *c, uint64_t at, void *buf, size_t len)
{
    size_t have = strlen(c->text);

    if (c->victim)
        c->victim->d.cancelled = 1;
    if (at >= have)
        return 0;
    if (len > have - at)
        len = have - at;
    memcpy(buf, c->text + at, len);
    return (int64_t)len;
}

static struct entry *batch_add(struct mailbox *box, postern_content *c, const char *rcpt)
{
    struct entry *e = calloc(1, sizeof *e);

    e->d.place = &box->place;
    e->d.content = c;
    e->d.content_size = strlen(c->text);
    e->d.sender = "from@example.com";
    e->d.rcpt = rcpt;
    snprintf(e->whom.name, sizeof e->whom.name, "bob");
    TAILQ_INSERT_TAIL(&box->place.batch, &e->d, link);
    return e;
}

static void who_is_cancelled_before_the_sync_is_taken_out_again(void **state)
{
    struct postern_services svc = { .size = sizeof svc, .content_read = read_content };
    struct settings set = { .users = USERS_ANY, .dot_lock = DOT_YES };
    postern_content contents[4] = {
        { "one\r\n", NULL }, { "two\r\n", NULL }, { "three\r\n", NULL }, { "four\r\n", NULL }
    };
    static const char *const rcpts[4] = { "1@x", "2@x", "3@x", "4@x" };
    struct append append = { .set = &set, .hostname = "gw.example" };
    struct mailbox box = { .place = { .key = "bob" } };
    struct entry *e[4];
    struct box b;
    const char *text;
    (void)state;

    box_new(&b, NULL);
    set.path = b.folder;
    box.place.a = (struct queue_for){ .svc = &svc, .self = &append };
    TAILQ_INIT(&box.place.batch);
    pthread_mutex_init(&box.place.lock, NULL);
    for (size_t i = 0; i < 4; i++)
        e[i] = batch_add(&box, &contents[i], rcpts[i]);
    contents[2].victim = e[1];
    assert_int_equal(append_ops.append(&box.place), 0);
    assert_int_equal(box.place.committed, 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(e[i]->d.state, DELIVERY_DONE);
        if (i != 1)
            assert_int_equal(e[i]->d.problem.fate, POSTERN_DELIVERED);
    }
    text = text_of(&b, "bob");
    assert_int_equal(count(text, "\nFrom ") + 1, 3);
    assert_non_null(strstr(text, "Delivered-To: 1@x\none\n\nFrom "));
    assert_null(strstr(text, "two"));
    assert_non_null(strstr(text, "Delivered-To: 3@x\nthree\n\nFrom "));
    assert_non_null(strstr(text, "Delivered-To: 4@x\nfour\n\n"));
    for (size_t i = 0; i < 4; i++)
        free(e[i]);
    free(box.user);
    pthread_mutex_destroy(&box.place.lock);
    box_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_becomes_an_entry),
        cmocka_unit_test(odd_senders_make_good_separators),
        cmocka_unit_test(each_recipient_is_settled_on_its_own),
        cmocka_unit_test(unknown_users_fail),
        cmocka_unit_test(a_missing_folder_defers),
        cmocka_unit_test(spellings_of_two_users_go_to_two_mailboxes),
        cmocka_unit_test(mail_that_comes_back_fails),
        cmocka_unit_test(a_mailbox_without_a_last_line_end_gets_one),
        cmocka_unit_test(large_content_is_written_whole),
        cmocka_unit_test(what_waits_for_a_mailbox_shares_a_batch),
        cmocka_unit_test(only_plain_files_of_one_name_are_mailboxes),
        cmocka_unit_test(a_dot_lock_is_waited_for),
        cmocka_unit_test(a_lock_that_stays_defers),
        cmocka_unit_test(a_stale_dot_lock_is_removed),
        cmocka_unit_test(another_programs_fcntl_lock_is_respected),
        cmocka_unit_test(without_dot_locks_none_are_made_or_seen),
        cmocka_unit_test(a_folder_that_is_not_writable_matters_by_choice),
        cmocka_unit_test(processes_do_not_mix_their_messages),
        cmocka_unit_test(a_full_mailbox_defers_and_a_huge_message_fails),
        cmocka_unit_test(a_message_that_does_not_fit_leaves_no_trace),
        cmocka_unit_test(content_that_cannot_be_read_defers),
        cmocka_unit_test(no_thread_and_no_timer_defer),
        cmocka_unit_test(cancel_settles_in_every_state),
        cmocka_unit_test(closing_while_a_lock_is_waited_for_leaves_nothing),
        cmocka_unit_test(who_is_cancelled_before_the_sync_is_taken_out_again),
    };

    return cmocka_run_group_tests_name("local-mbox", tests, NULL, NULL);
}
