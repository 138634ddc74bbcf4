/* run.c: see run.h. Runs on the loop, but for launch() and clean(), which run on a thread.
 *
 * Other plugins of the worker may have children too, so nobody here waits for SIGCHLD: a process is
 * a descriptor that becomes readable when it has ended. */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/spawn.h"
#include "message.h"

#define READ_MAX    (64u * 1024) /* of output, at once: as much as a pipe holds */
#define DRAIN_READS 32           /* at the end of a command: a pipe may have been made larger */
#define FILES_MAX   1024u        /* descriptors that a command may have */

static const char *command_of(const struct run *run)
{
    const char *alias = run->pipe->svc->job_param(run->job, "command");

    return alias ? alias : run->pipe->set->command.n ? run->pipe->set->command.v[0] : "";
}

/* --- life --- */

static void run_free(struct run *run)
{
    if (run->in >= 0)
        close(run->in);
    if (run->out >= 0)
        close(run->out);
    if (run->pidfd >= 0)
        close(run->pidfd);
    message_remove(run);
    pthread_mutex_destroy(&run->lock);
    free(run->plan);
    free(run->sender);
    free(run->rcpt);
    free(run);
}

static void leave(struct run *run)
{
    struct pipe *p = run->pipe;

    if (run->state == RUN_WAITING) {
        TAILQ_REMOVE(&p->waiting, run, link);
    } else {
        TAILQ_REMOVE(&p->active, run, link);
        p->active_n--;
    }
    run_free(run);
}

static int add(struct pipe *p, postern_job *job, size_t first, size_t n)
{
    struct run *run = calloc(1, sizeof *run);

    if (!run)
        return -ENOMEM;
    run->pipe = p;
    run->job = job;
    run->first = first;
    run->n = n;
    run->in = run->out = run->pidfd = run->lock_fd = -1;
    pthread_mutex_init(&run->lock, NULL);
    TAILQ_INSERT_TAIL(&p->waiting, run, link);
    return 0;
}

void run_add(struct pipe *p, postern_job *job, size_t first, size_t n, size_t step)
{
    for (size_t i = first; i < first + n; i += step) {
        struct problem problem;

        if (add(p, job, i, step) == 0)
            continue;
        problem_errno(&problem, ENOMEM, "start", "the command");
        for (size_t k = i; k < i + step; k++)
            problem_settle(&problem, p->svc, job, k);
    }
}

static void settle(struct run *run, const struct problem *problem)
{
    struct pipe *p = run->pipe;

    for (size_t i = run->first; run->job && i < run->first + run->n; i++)
        problem_settle(problem, p->svc, run->job, i);
    run->job = NULL;
}

static void forget(struct run *run)
{
    const struct postern_services *svc = run->pipe->svc;

    svc->forget(run->pipe->host, run->exit_watch);
    svc->forget(run->pipe->host, run->out_watch);
    svc->forget(run->pipe->host, run->timer);
    run->exit_watch = run->out_watch = run->timer = 0;
}

/* --- the end --- */

static int clean(void *ctx)
{
    message_remove(ctx);
    return 0;
}

static void cleaned(void *ctx, int result)
{
    struct run *run = ctx;
    struct pipe *p = run->pipe;

    (void)result;
    leave(run);
    run_pump(p);
}

/* Its recipients have their fate in run->problem. */
static void finish(struct run *run)
{
    struct pipe *p = run->pipe;

    forget(run);
    settle(run, &run->problem);
    run->state = RUN_CLEANING;
    if (!*run->file || p->svc->offload(p->host, clean, cleaned, run) < 0)
        cleaned(run, 0);
}

/* --- what the command says --- */

/* Keeps the beginning; counts the rest. Never holds the command up. */
static ssize_t hear(struct run *run)
{
    char *at = run->output + run->kept;
    size_t room = sizeof run->output - run->kept;
    ssize_t n;

    if (room)
        n = read(run->out, at, room);
    else /* without a copy: somebody may talk gigabytes */
        n = splice(run->out, NULL, run->pipe->null_fd, NULL, READ_MAX,
                   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n < 0)
        return errno == EINTR ? 1 : errno == EAGAIN ? -EAGAIN : 0;
    run->said += (uint64_t)n;
    run->kept += room ? (size_t)n : 0;
    return n;
}

static void on_output(void *ctx, unsigned events)
{
    struct run *run = ctx;

    (void)events;
    if (hear(run) != 0)
        return;
    run->pipe->svc->forget(run->pipe->host, run->out_watch);
    run->out_watch = 0;
    close(run->out);
    run->out = -1;
}

/* As one line: line ends become " / ", without the last one. */
static size_t one_line(const struct run *run, char *buf, size_t size)
{
    char text[RUN_OUTPUT_MAX * 3 + 1];
    size_t n = 0, len = run->kept;

    while (len && strchr(" \r\n\t", run->output[len - 1]))
        len--;
    for (size_t i = 0; i < len; i++) {
        char c = run->output[i];

        if (c == '\n') {
            memcpy(text + n, " / ", 3);
            n += 3;
        } else if (c != '\r') {
            text[n++] = (char)(c == '\t' ? ' ' : c);
        }
    }
    postern_text_clean(text, n, buf, size);
    return strlen(buf);
}

/* --- how it ended --- */

/* A command that knows better says so first: "5.2.2 mailbox full". */
static void take_status(const char *text, struct exit_fate *fate)
{
    uint16_t status[3];

    if (postern_status_parse(text, status) && status[0] == fate->status[0])
        memcpy(fate->status, status, sizeof status);
}

static void describe_end(const struct run *run, const siginfo_t *end, char *buf, size_t size)
{
    int exited = end->si_code == CLD_EXITED, of_shell = exited ? exits_signal(end->si_status) : 0;
    const char *name = of_shell ? sigabbrev_np(of_shell)
        : exited                ? exits_name(end->si_status)
                                : sigabbrev_np(end->si_status);

    if (!end->si_code)
        snprintf(buf, size, "is gone, and nobody saw how it ended");
    else if (run->timed_out)
        snprintf(buf, size, "was ended after %.1f s", (double)run->pipe->set->timeout / 1e6);
    else if (exited)
        snprintf(buf, size, "ended with %d%s%s%s", end->si_status,
                 !name          ? ""
                     : of_shell ? " (128 and the signal of what it ran: SIG"
                                : " (",
                 name ? name : "", name ? ")" : "");
    else
        snprintf(buf, size, "was ended by signal %d%s%s%s%s", end->si_status, name ? " (SIG" : "",
                 name ? name : "", name ? ")" : "",
                 end->si_status == SIGXCPU && run->pipe->set->cpu_limit
                     ? ": more processor time than cpu_limit allows"
                     : "");
}

static void judge(struct run *run, const siginfo_t *end)
{
    const struct exits *e = &run->pipe->exits;
    struct exit_fate fate =
        end->si_code == CLD_EXITED ? e->code[end->si_status & 0xff] : e->by_signal;
    char how[128], said[RUN_OUTPUT_MAX], more[64] = "";
    uint32_t cause = run->n > 1 ? POSTERN_CAUSE_MESSAGE : POSTERN_CAUSE_RECIPIENT;
    size_t len = one_line(run, said, sizeof said);

    if (run->timed_out || !end->si_code)
        fate = (struct exit_fate){ POSTERN_DEFERRED, { 4, 3, 0 } };
    take_status(said, &fate);
    describe_end(run, end, how, sizeof how);
    if (run->said > run->kept)
        snprintf(more, sizeof more, " (and %llu bytes more)",
                 (unsigned long long)(run->said - run->kept));
    if (fate.fate == POSTERN_DELIVERED)
        cause = POSTERN_CAUSE_NONE;
    problem_set(&run->problem, fate.fate, cause, fate.status, "command %.200s %s%s%s%s",
                run->plan->path, how, len ? ": " : "", said, more);
}

/* 1: it has ended, and *ret says how. */
static int has_ended(const struct run *run, siginfo_t *ret)
{
    memset(ret, 0, sizeof *ret);
    if (waitid(P_PIDFD, (id_t)run->pidfd, ret, WEXITED | WNOHANG) == 0)
        return ret->si_pid != 0;
    memset(ret, 0, sizeof *ret); /* SIGCHLD is ignored, and so the kernel has forgotten */
    return 1;
}

static void on_exit_of(void *ctx, unsigned events)
{
    struct run *run = ctx;
    siginfo_t end;

    (void)events;
    if (!has_ended(run, &end))
        return;
    for (int i = 0; i < DRAIN_READS && run->out >= 0 && hear(run) > 0; i++)
        ;
    judge(run, &end);
    finish(run);
}

/* All of its process group. The leader is not waited for yet, so the number is still its own. */
static void kill_all(const struct run *run, int sig)
{
    kill(-run->pid, sig);
}

static void on_patience(void *ctx, int result)
{
    struct run *run = ctx;
    struct pipe *p = run->pipe;

    (void)result;
    run->timer = 0;
    if (run->timed_out) {
        kill_all(run, SIGKILL);
        return;
    }
    run->timed_out = 1;
    kill_all(run, SIGTERM);
    if (p->svc->after(p->host, (uint64_t)p->set->kill_grace, on_patience, run, &run->timer) < 0)
        kill_all(run, SIGKILL);
}

/* --- the beginning --- */

static void add_limit(struct spawn *s, int what, int64_t max)
{
    s->limits[s->limit_n++] = (struct spawn_limit){ .what = what, .max = (rlim_t)max };
}

/* A second before the kernel kills, SIGXCPU says what for. */
static void add_cpu_limit(struct spawn *s, int64_t usec)
{
    rlim_t sec = (rlim_t)((usec + 999999) / 1000000);

    s->limits[s->limit_n++] = (struct spawn_limit){ RLIMIT_CPU, sec, sec + 1 };
}

static void limits(const struct settings *set, struct spawn *s)
{
    add_limit(s, RLIMIT_CORE, 0);
    add_limit(s, RLIMIT_NOFILE, FILES_MAX);
    if (set->cpu_limit)
        add_cpu_limit(s, set->cpu_limit);
    if (set->memory_limit)
        add_limit(s, RLIMIT_AS, set->memory_limit);
    if (set->file_limit)
        add_limit(s, RLIMIT_FSIZE, set->file_limit);
    if (set->process_limit)
        add_limit(s, RLIMIT_NPROC, set->process_limit);
}

/* A pipe for the output; our end does not block. The other end, above 2. */
static int output_pipe(struct run *run)
{
    int ends[2], out;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    out = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
    close(ends[1]);
    if (out < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) {
        int err = errno;

        close(ends[0]);
        if (out >= 0)
            close(out);
        return -err;
    }
    run->out = ends[0];
    return out;
}

static int start_process(struct run *run)
{
    const struct pipe *p = run->pipe;
    struct spawn s = { .path = run->plan->path,
                       .argv = run->plan->argv,
                       .envp = run->plan->envp,
                       .cwd = p->set->cwd,
                       .umask = p->umask,
                       .in = run->in >= 0 ? run->in : p->null_fd,
                       .account = &p->account };
    const char *what = "run", *path = run->plan->path;
    int r = output_pipe(run);

    if (r >= 0) {
        s.out = r;
        limits(p->set, &s);
        r = spawn_start(&s, &run->pid, &run->pidfd, &what, &path);
        close(s.out);
    }
    if (run->in >= 0)
        close(run->in);
    run->in = -1;
    if (r < 0)
        problem_errno(&run->problem, -r, what, path);
    return r;
}

static int launch(void *ctx)
{
    struct run *run = ctx;
    int r = message_make(run);

    return r < 0 ? r : start_process(run);
}

static int watch_process(struct run *run)
{
    struct pipe *p = run->pipe;
    int r = p->svc->watch(p->host, run->pidfd, POSTERN_READ, on_exit_of, run, &run->exit_watch);

    if (!r)
        r = p->svc->watch(p->host, run->out, POSTERN_READ, on_output, run, &run->out_watch);
    if (!r)
        r = p->svc->after(p->host, (uint64_t)p->set->timeout, on_patience, run, &run->timer);
    return r;
}

static void launched(void *ctx, int result)
{
    struct run *run = ctx;
    int r;

    if (result < 0) {
        finish(run);
        return;
    }
    run->state = RUN_RUNNING;
    if (!run->job)
        kill_all(run, SIGKILL);
    r = watch_process(run);
    if (r < 0) { /* nobody would see its end: it ends here, and now */
        siginfo_t end;

        kill_all(run, SIGKILL);
        (void)waitid(P_PIDFD, (id_t)run->pidfd, &end, WEXITED);
        problem_errno(&run->problem, -r, "watch", run->plan->path);
        run->problem.cause = POSTERN_CAUSE_PLUGIN;
        finish(run);
    }
}

/* What the thread needs of the job, which it must not touch. */
static int copy_job(struct run *run)
{
    const struct postern_services *svc = run->pipe->svc;

    run->content = svc->job_content(run->job);
    run->size = svc->content_size(run->content);
    run->sender = strdup(svc->job_sender(run->job));
    if (run->n == 1)
        run->rcpt = strdup(svc->job_rcpt(run->job, run->first));
    return run->sender && (run->n > 1 || run->rcpt) ? 0 : -ENOMEM;
}

static const char *original(const struct postern_services *svc, const postern_job *job, size_t i)
{
    return POSTERN_HAS(svc, job_original) ? svc->job_original(job, i) : svc->job_rcpt(job, i);
}

static int make_plan(struct run *run)
{
    const struct postern_services *svc = run->pipe->svc;
    struct plan_rcpt *rcpts = calloc(run->n, sizeof *rcpts);
    struct plan_from from = { .set = run->pipe->set,
                              .account = &run->pipe->account,
                              .alias = svc->job_param(run->job, "command"),
                              .sender = run->sender,
                              .id = svc->job_id(run->job),
                              .client = "",
                              .file = *run->file ? run->file : NULL,
                              .size = run->size,
                              .rcpts = rcpts,
                              .n = run->n };
    int r;

    if (!rcpts) {
        problem_errno(&run->problem, ENOMEM, "start", "the command");
        return -ENOMEM;
    }
    if (POSTERN_HAS(svc, job_client) && svc->job_client(run->job))
        from.client = svc->job_client(run->job);
    for (size_t i = 0; i < run->n; i++) {
        rcpts[i].address = svc->job_rcpt(run->job, run->first + i);
        rcpts[i].original = original(svc, run->job, run->first + i);
    }
    r = plan_make(&from, &run->plan, &run->problem);
    free(rcpts);
    return r;
}

static int prepare(struct run *run)
{
    const struct settings *set = run->pipe->set;
    int r = copy_job(run);

    if (!r && set->message != MESSAGE_STDIN)
        r = message_name(set->tmp, run->file, sizeof run->file);
    if (r < 0) {
        *run->file = '\0';
        problem_errno(&run->problem, -r, "start", command_of(run));
        return r;
    }
    r = make_plan(run);
    if (r < 0)
        *run->file = '\0'; /* there is none yet */
    return r;
}

static void start(struct run *run)
{
    struct pipe *p = run->pipe;
    int r;

    TAILQ_REMOVE(&p->waiting, run, link);
    TAILQ_INSERT_TAIL(&p->active, run, link);
    p->active_n++;
    run->state = RUN_LAUNCHING;
    r = prepare(run);
    if (r == -EPERM && run->n > 1) { /* the others are not to blame for one's address */
        run_add(p, run->job, run->first, run->n, 1);
        leave(run);
        return;
    }
    if (!r) {
        r = p->svc->offload(p->host, launch, launched, run);
        if (r < 0) {
            *run->file = '\0';
            problem_errno(&run->problem, -r, "start", run->plan->path);
            run->problem.cause = POSTERN_CAUSE_PLUGIN;
        }
    }
    if (r < 0) {
        settle(run, &run->problem);
        leave(run);
    }
}

void run_pump(struct pipe *p)
{
    struct run *run;

    while (p->active_n < (size_t)p->set->concurrency && (run = TAILQ_FIRST(&p->waiting)))
        start(run);
}

/* --- from outside --- */

static void cancel_running(struct run *run, const struct problem *problem)
{
    siginfo_t end;

    if (has_ended(run, &end)) { /* it was quicker: what it has done is done */
        judge(run, &end);
        finish(run);
        return;
    }
    settle(run, problem);
    kill_all(run, SIGKILL);
}

/* run->problem may be the thread's at this moment. */
static void cancel_one(struct run *run)
{
    static const char *const where[] = { "for its turn", "to be started", "for its end", "" };
    struct problem problem;

    problem_set(&problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 4, 0),
                "delivery took too long: gave up while the command waited %s", where[run->state]);
    if (run->state == RUN_RUNNING) {
        cancel_running(run, &problem);
        return;
    }
    settle(run, &problem);
    if (run->state == RUN_WAITING) {
        leave(run);
        return;
    }
    pthread_mutex_lock(&run->lock);
    run->cancelled = 1;
    pthread_mutex_unlock(&run->lock);
}

void run_cancel(struct pipe *p, postern_job *job)
{
    struct runs *const lists[] = { &p->waiting, &p->active };
    struct run *run, *next;

    for (size_t i = 0; i < 2; i++) {
        for (run = TAILQ_FIRST(lists[i]); run; run = next) {
            next = TAILQ_NEXT(run, link);
            if (run->job == job)
                cancel_one(run);
        }
    }
}

/* Whoever is still there has nobody's mail any more: it was cancelled, and killed. One that a
 * thread is still at (the host lets threads end first, so this should not be) is left to it. */
void run_end_all(struct pipe *p)
{
    struct run *run, *next;

    for (run = TAILQ_FIRST(&p->active); run; run = next) {
        siginfo_t end;

        next = TAILQ_NEXT(run, link);
        if (run->state == RUN_LAUNCHING || run->state == RUN_CLEANING)
            continue;
        kill_all(run, SIGKILL);
        (void)has_ended(run, &end);
        forget(run);
        leave(run);
    }
}
