/* spawn.c: see spawn.h.
 *
 * A worker may hold a million messages: a fork that copies its page tables takes milliseconds, and
 * holds up the loop's page faults meanwhile. So the child shares the memory, as vfork's does, until
 * it executes the program; this thread stands still for as long, the others go on.
 *
 * With one exception: a child that becomes another user must not share memory with root, since it
 * could be traced by that user for a moment; there it is a fork.
 *
 * The child makes system calls and nothing else: locks may be held by threads that it does not
 * have, and libc's setuid() would want to change the user of all threads of a process that it
 * is not. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE (128u * 1024)
#define SIGNALS    64

#ifdef SYS_setgroups32
#define SETGROUPS SYS_setgroups32
#define SETRESGID SYS_setresgid32
#define SETRESUID SYS_setresuid32
#else
#define SETGROUPS SYS_setgroups
#define SETRESGID SYS_setresgid
#define SETRESUID SYS_setresuid
#endif

/* The sanitizers keep books on memory and stacks, which a child that shares them would spoil. */
#define UNWATCHED __attribute__((no_sanitize("address", "undefined"), noinline))

struct child {
    const struct spawn *s;
    pid_t parent;
    int report; /* a pipe's end, which closes when the program is executed */
    sigset_t none;
};

struct report {
    int err, what;
};
enum what { WHAT_SETUP, WHAT_LIMITS, WHAT_USER, WHAT_CWD, WHAT_EXECUTE };
static const char *const whats[] = { "prepare a process for", "set the limits of",
                                     "change to the user of", "change to the folder", "execute" };

UNWATCHED static int set_limits(const struct spawn *s)
{
    for (size_t i = 0; i < s->limit_n; i++) {
        const rlim_t hard = s->limits[i].hard ? s->limits[i].hard : s->limits[i].max;
        struct rlimit l;

        /* What is set lower already, stays. */
        if (getrlimit(s->limits[i].what, &l) < 0)
            return -1;
        if (l.rlim_max > hard)
            l.rlim_max = hard;
        l.rlim_cur = l.rlim_max < s->limits[i].max ? l.rlim_max : s->limits[i].max;
        if (setrlimit(s->limits[i].what, &l) < 0)
            return -1;
    }
    return 0;
}

UNWATCHED static int become(const struct account *a)
{
    if (!a->other)
        return 0;
    if (syscall(SETGROUPS, a->group_n, a->groups) < 0 ||
        syscall(SETRESGID, a->gid, a->gid, a->gid) < 0 ||
        syscall(SETRESUID, a->uid, a->uid, a->uid) < 0)
        return -1;
    return 0;
}

UNWATCHED static int setup(const struct child *c)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL };

    for (int i = 1; i <= SIGNALS; i++)
        (void)sigaction(i, &dfl, NULL); /* not all can be, and those are right already */
    if (setsid() < 0 || dup2(c->s->in, 0) < 0 || dup2(c->s->out, 1) < 0 || dup2(c->s->out, 2) < 0 ||
        syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        return -1;
    umask(c->s->umask);
    return 0;
}

UNWATCHED static int steps(const struct child *c)
{
    if (setup(c) < 0)
        return WHAT_SETUP;
    if (set_limits(c->s) < 0)
        return WHAT_LIMITS;
    if (become(c->s->account) < 0)
        return WHAT_USER;
    /* Who changes his user loses this; and the parent may have gone before it was set. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return WHAT_SETUP;
    if (getppid() != c->parent)
        _exit(127);
    if (chdir(c->s->cwd) < 0)
        return WHAT_CWD;
    sigprocmask(SIG_SETMASK, &c->none, NULL);
    execve(c->s->path, c->s->argv, c->s->envp);
    return WHAT_EXECUTE;
}

UNWATCHED static int child(void *arg)
{
    const struct child *c = arg;
    struct report r;

    r.what = steps(c);
    r.err = errno;
    (void)!write(c->report, &r, sizeof r);
    _exit(127);
}

static pid_t make(struct child *c, int shared, int *ret_pidfd)
{
    const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
    /* cppcheck-suppress invalidFunctionArg ; there is no file, and so no descriptor */
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, kind, -1, 0);
    int flags = CLONE_PIDFD | SIGCHLD | (shared ? CLONE_VM | CLONE_VFORK : 0);
    sigset_t all, before;
    pid_t pid;

    if (stack == MAP_FAILED)
        return -errno;
    /* No handler of ours may run in the child. */
    sigfillset(&all);
    sigemptyset(&c->none);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = clone(child, stack + STACK_SIZE, flags, c, ret_pidfd);
    if (pid < 0)
        pid = -errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, STACK_SIZE);
    return pid;
}

/* 0: the program runs. */
static int await(int fd, struct report *ret)
{
    ssize_t n;

    do
        n = read(fd, ret, sizeof *ret);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *ret ? -1 : 0;
}

int spawn_start(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd, const char **reterr_what,
                const char **reterr_path)
{
    struct child c = { .s = s, .parent = getpid() };
    struct report report;
    int ends[2], pidfd = -1, failed;
    pid_t pid;

    *reterr_what = whats[WHAT_SETUP];
    *reterr_path = s->path;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    c.report = ends[1];
    pid = make(&c, !s->account->other, &pidfd);
    close(ends[1]);
    failed = pid > 0 && await(ends[0], &report);
    close(ends[0]);
    if (pid < 0)
        return pid;
    if (failed) {
        waitpid(pid, NULL, 0);
        close(pidfd);
        *reterr_what = whats[report.what];
        if (report.what == WHAT_CWD)
            *reterr_path = s->cwd;
        return -report.err;
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}
