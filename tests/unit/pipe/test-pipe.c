/* The plugin in the fake host, with real commands: every recipient has one fate, whatever fails,
 * and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../fake/fakehost.h"

extern const struct postern_plugin pipe_LTX_postern_plugin;

#define FDS_MAX  64
#define PATIENCE 60000 /* ms: far more than anything here needs */

static void complain(void *ctx, const char *what)
{
    (void)ctx;
    fail_msg("%s", what);
}

static struct fakehost *host_of(const char *const *options)
{
    struct fakehost *h = fakehost_new();
    const struct passwd *me = getpwuid(geteuid());

    fakehost_on_failure(h, complain, NULL);
    assert_non_null(me);
    fakehost_set(h, "user", me->pw_name);
    for (; *options; options += 2)
        fakehost_set(h, options[0], options[1]);
    return h;
}

static struct fakehost *start(const char *const *options)
{
    struct fakehost *h = host_of(options);

    if (fakehost_open(h, &pipe_LTX_postern_plugin) < 0)
        fail_msg("%s", fakehost_why(h));
    fakehost_run(h);
    return h;
}

#define START(...) start((const char *const[]){ __VA_ARGS__, NULL })

static postern_job *deliver(struct fakehost *h, const char *const *rcpts)
{
    struct fakehost_job job = { .id = "ID",
                                .sender = "ann@c.example",
                                .rcpts = rcpts,
                                .content = "Subject: x\r\n\r\nbody\r\n",
                                .content_len = 20 };

    return fakehost_deliver(h, &job, NULL);
}

static postern_job *deliver_one(struct fakehost *h)
{
    static const char *const rcpts[] = { "bob@b.example", NULL };

    return deliver(h, rcpts);
}

/* Plays the loop: tells the plugin which of the descriptors of this process are ready. */
static void turn(struct fakehost *h)
{
    struct pollfd fds[FDS_MAX];

    for (int fd = 0; fd < FDS_MAX; fd++)
        fds[fd] = (struct pollfd){ .fd = fd < 3 ? -1 : fd, .events = POLLIN };
    fakehost_run(h);
    poll(fds, FDS_MAX, 5);
    for (int fd = 3; fd < FDS_MAX; fd++) {
        if (fds[fd].revents & (POLLIN | POLLHUP))
            fakehost_ready(h, fd, POSTERN_READ);
    }
    fakehost_run(h);
}

static void await(struct fakehost *h, postern_job *job)
{
    for (int ms = 0; fakehost_unsettled(job) && ms < PATIENCE; ms += 5)
        turn(h);
    if (fakehost_unsettled(job))
        fail_msg("the command never came to its end");
}

static void expect(const postern_job *job, size_t i, uint32_t fate, const char *words)
{
    const struct postern_outcome *o = fakehost_outcome(job, i);

    assert_non_null(o);
    if (o->fate != fate || !strstr(o->diagnostic, words))
        fail_msg("fate %u, \"%s\"; expected %u, \"%s\"", o->fate, o->diagnostic, fate, words);
}

static int open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* --- tests --- */

static void a_command_settles_its_recipient(void **state)
{
    int before = open_fds();
    struct fakehost *h =
        START("command", "/bin/sh, -c, read line; echo said $line; exit $1, -, 67");
    postern_job *job = deliver_one(h);
    (void)state;

    await(h, job);
    expect(job, 0, POSTERN_FAILED, "said Return-Path: <ann@c.example>");
    assert_int_equal(fakehost_outcome(job, 0)->status[1], 1);
    fakehost_close(&h);
    assert_int_equal(open_fds(), before);
}

static void every_recipient_has_its_own(void **state)
{
    static const char *const rcpts[] = { "0@b.example", "75@b.example", "77@b.example", NULL };
    struct fakehost *h = START("command", "/bin/sh, -c, exit $1, -, {user}", "concurrency", "1");
    postern_job *job = deliver(h, rcpts);
    (void)state;

    await(h, job);
    expect(job, 0, POSTERN_DELIVERED, "ended with 0");
    expect(job, 1, POSTERN_DEFERRED, "ended with 75 (EX_TEMPFAIL)");
    expect(job, 2, POSTERN_FAILED, "ended with 77 (EX_NOPERM)");
    fakehost_close(&h);
}

static void whatever_service_fails_the_recipient_is_deferred(void **state)
{
    static const enum fakehost_call calls[] = { FAKEHOST_OFFLOAD, FAKEHOST_CONTENT_READ,
                                                FAKEHOST_WATCH, FAKEHOST_AFTER };
    int before = open_fds();
    (void)state;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (unsigned skip = 0; skip < (calls[i] == FAKEHOST_WATCH ? 2u : 1u); skip++) {
            struct fakehost *h = START("command", "/bin/sleep, 1000");
            postern_job *job;

            fakehost_fail(h, calls[i], skip, -ENOMEM);
            job = deliver_one(h);
            await(h, job);
            expect(job, 0, POSTERN_DEFERRED, "cannot ");
            fakehost_close(&h);
        }
    }
    assert_int_equal(open_fds(), before);
}

static void the_time_limit_is_two_steps(void **state)
{
    struct fakehost *h =
        START("command", "/bin/sh, -c, trap '' TERM; echo ready; while :; do sleep 1; done",
              "timeout", "1m", "kill_grace", "5s");
    postern_job *job = deliver_one(h);
    (void)state;

    for (int i = 0; i < 100; i++)
        turn(h); /* until it says that it is ready, or half a second */
    fakehost_advance(h, 60u * 1000000);
    assert_int_equal(fakehost_unsettled(job), 1); /* told, and deaf */
    fakehost_advance(h, 5u * 1000000);
    await(h, job);
    expect(job, 0, POSTERN_DEFERRED, "was ended after 60.0 s");
    fakehost_close(&h);
}

static void a_cancelled_job_is_settled_at_once_wherever_it_is(void **state)
{
    int before = open_fds();
    struct fakehost *h = START("command", "/bin/sh, -c, exec sleep 1000, {file}", "concurrency",
                               "1", "message", "file");
    postern_job *running = deliver_one(h), *waiting, *launching;
    (void)state;

    turn(h);
    waiting = deliver_one(h);
    turn(h);
    fakehost_cancel(h, waiting);
    expect(waiting, 0, POSTERN_DEFERRED, "for its turn");
    fakehost_cancel(h, running);
    expect(running, 0, POSTERN_DEFERRED, "for its end");
    fakehost_close(&h);
    h = START("command", "/bin/sh, -c, exec sleep 1000, {file}", "message", "file");
    fakehost_hold(h, FAKEHOST_OFFLOAD, 1);
    launching = deliver_one(h);
    fakehost_cancel(h, launching);
    expect(launching, 0, POSTERN_DEFERRED, "to be started");
    fakehost_hold(h, FAKEHOST_OFFLOAD, 0);
    fakehost_run(h);
    fakehost_close(&h);
    assert_int_equal(open_fds(), before);
}

static void a_command_that_was_quicker_than_its_cancel_counts(void **state)
{
    struct fakehost *h = START("command", "/bin/true");
    postern_job *job = deliver_one(h);
    struct pollfd none = { .fd = -1 };
    (void)state;

    fakehost_run(h);
    poll(&none, 1, 1000); /* it ends; nobody has told the plugin yet */
    fakehost_cancel(h, job);
    assert_non_null(fakehost_outcome(job, 0));
    fakehost_close(&h);
}

static void what_the_route_may_name(void **state)
{
    static const char *const rcpts[] = { "bob@b.example", NULL };
    static const char *const params[] = { "command=/bin/echo '5.1.6 gone  away' {user}", NULL };
    struct fakehost_job from = {
        .rcpts = rcpts, .params = params, .content = "x\r\n", .content_len = 3
    };
    struct fakehost *h = START("command", "/bin/true");
    postern_job *job = fakehost_deliver(h, &from, NULL);
    (void)state;

    expect(job, 0, POSTERN_DEFERRED, "allow_alias_commands");
    fakehost_close(&h);
    h = START("allow_alias_commands", "true", "exit_codes", "0=failed 5.2.0");
    job = fakehost_deliver(h, &from, NULL);
    await(h, job);
    expect(job, 0, POSTERN_FAILED, "5.1.6 gone  away bob");
    assert_int_equal(fakehost_outcome(job, 0)->status[2], 6);
    job = deliver_one(h);
    expect(job, 0, POSTERN_DEFERRED, "there is no command");
    fakehost_close(&h);
}

static void whom_it_may_run_as(void **state)
{
    static const struct {
        const char *user, *worker;
        uint32_t uid;
        const char *words; /* NULL: fine */
    } cases[] = {
        { "root", "mail", 8, "only root can become somebody else" },
        { "root", "root", 0, NULL },
        { "daemon", "root", 0, NULL },
        { "daemon", "none", (uint32_t)-1, "only root" },
        { "no such user", "root", 0, "there is no user \"no such user\"" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fakehost *h = fakehost_new();
        int r;

        fakehost_on_failure(h, complain, NULL);
        fakehost_set(h, "command", "/bin/true");
        fakehost_set(h, "user", cases[i].user);
        fakehost_worker(h, cases[i].worker, cases[i].uid);
        fakehost_allow_errors(h); /* where we are not root, open says so too */
        r = fakehost_open(h, &pipe_LTX_postern_plugin);
        if (cases[i].words) {
            assert_true(r < 0);
            assert_non_null(strstr(fakehost_why(h), cases[i].words));
        } else if (geteuid() == 0) {
            assert_int_equal(r, 0);
        }
        fakehost_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_settles_its_recipient),
        cmocka_unit_test(every_recipient_has_its_own),
        cmocka_unit_test(whatever_service_fails_the_recipient_is_deferred),
        cmocka_unit_test(the_time_limit_is_two_steps),
        cmocka_unit_test(a_cancelled_job_is_settled_at_once_wherever_it_is),
        cmocka_unit_test(a_command_that_was_quicker_than_its_cancel_counts),
        cmocka_unit_test(what_the_route_may_name),
        cmocka_unit_test(whom_it_may_run_as),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
