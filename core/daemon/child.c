/* daemon/child.c: one worker as the supervisor sees it: started, ready, crashed, drained. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/supervisor.h"
#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"

#define QUICK_USEC       5000000 /* a worker that lived shorter crashed at once */
#define RESPAWN_FIRST    50000u  /* usec */
#define RESPAWN_LONGEST  10000000u
#define KILL_AFTER_GRACE 2000000

struct argv {
    char *v[16 + 2 * 64];
    size_t n;
};

static void arg(struct argv *a, char *text)
{
    if (a->n + 1 < sizeof a->v / sizeof *a->v)
        a->v[a->n++] = text;
    else
        free(text);
}

static void keep_open(int fd)
{
    fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) & ~FD_CLOEXEC);
}

struct inherit {
    const struct generation *gen;
    struct argv *argv;
};

/* Only what its generation wants: what another one still listens on would never be closed. */
static void arg_listener(void *ctx, const char *endpoint, int fd)
{
    const struct inherit *in = ctx;

    if (!generation_wants(in->gen, endpoint))
        return;
    arg(in->argv, mem_strdup("--listen"));
    arg(in->argv, mem_printf("%d=%s", fd, endpoint));
}

static void keep_listener(void *ctx, const char *endpoint, int fd)
{
    if (generation_wants(ctx, endpoint))
        keep_open(fd);
}

static void make_argv(const struct child *c, int channel, struct argv *a)
{
    struct supervisor *sv = c->gen->sv;

    arg(a, mem_strdup(sv->program));
    arg(a, mem_strdup("worker"));
    arg(a, mem_printf("--snapshot=%d", c->gen->snapshot_fd));
    arg(a, mem_printf("--channel=%d", channel));
    arg(a, mem_printf("--scoreboard=%d", sv->board_fd));
    arg(a, mem_printf("--row=%u", c->row));
    arg(a, mem_printf("--shard=%u", c->shard));
    arg(a, mem_printf("--step=%zu", c->gen->n));
    listeners_each(sv->listeners, arg_listener, &(struct inherit){ c->gen, a });
}

/* In the new process, before it becomes the worker. */
static void become_worker(const struct child *c, int channel, const struct argv *a)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    keep_open(channel);
    keep_open(c->gen->snapshot_fd);
    keep_open(c->gen->sv->board_fd);
    listeners_each(c->gen->sv->listeners, keep_listener, c->gen);
    execv(a->v[0], a->v);
    _exit(127);
}

static unsigned take_row(struct supervisor *sv)
{
    for (unsigned i = 0; i < SCORE_WORKERS; i++) {
        if (sv->rows[i])
            continue;
        sv->rows[i] = 1;
        score_clear(&sv->board->rows[i]);
        return i;
    }
    return 0; /* can't be: there are far fewer workers than rows */
}

static void on_ready(struct child *c, unsigned shard)
{
    struct generation *g = c->gen;

    c->shard = shard;
    if (shard < WORKER_SHARDS)
        g->sv->shards[shard] = (struct shard_note){ .empty = 0 };
    if (c->state != CHILD_STARTING)
        return;
    c->state = CHILD_READY;
    g->ready++;
    if (g == g->sv->next && g->ready == g->n)
        reload_ready(g->sv);
    else if (g == g->sv->current)
        adopt_soon(g->sv);
}

static void on_message(struct child *c, const struct channel_message *m)
{
    struct supervisor *sv = c->gen->sv;

    switch (m->verb) {
    case CHANNEL_READY:
        on_ready(c, m->arg);
        break;
    case CHANNEL_FAILED:
        c->failed_code = (int)m->arg;
        snprintf(c->failed_text, sizeof c->failed_text, "%s", m->text);
        break;
    case CHANNEL_HELD:
        crash_held(sv, c, m->id);
        break;
    case CHANNEL_EMPTY:
        if (m->arg < WORKER_SHARDS)
            sv->shards[m->arg].empty = 1;
        break;
    case CHANNEL_PART:
        adopt_part(sv, m->arg, m->id);
        break;
    case CHANNEL_ADOPTED:
    case CHANNEL_NOT_ADOPTED:
        adopt_over(sv, c, m->arg, m->verb == CHANNEL_ADOPTED);
        break;
    default:
        break;
    }
}

static void on_channel(evutil_socket_t fd, short what, void *arg_)
{
    struct child *c = arg_;
    struct channel_message m;
    int got = -1, r;

    (void)what;
    while ((r = channel_receive(fd, &m, &got)) > 0) {
        if (got >= 0)
            close(got);
        on_message(c, &m);
    }
    if (r < 0 && c->ev)
        event_del(c->ev); /* its end comes as SIGCHLD */
}

static void channel_free(struct child *c)
{
    if (c->ev)
        event_free(c->ev);
    c->ev = NULL;
    if (c->channel >= 0)
        close(c->channel);
    c->channel = -1;
}

void child_start(struct child *c)
{
    struct supervisor *sv = c->gen->sv;
    struct argv a = { .n = 0 };
    int pair[2], marks;

    c->failed_code = 0;
    c->warned = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        log_event(POSTERN_LOG_ERROR, "supervisor", "worker.start", "why=%s",
                  log_q(strerror(errno)));
        return;
    }
    c->row = take_row(sv);
    make_argv(c, pair[1], &a);
    c->pid = fork();
    if (c->pid == 0)
        become_worker(c, pair[1], &a);
    close(pair[1]);
    for (size_t i = 0; i < a.n; i++)
        free(a.v[i]);
    if (c->pid < 0) {
        log_event(POSTERN_LOG_ERROR, "supervisor", "worker.start", "why=%s",
                  log_q(strerror(errno)));
        close(pair[0]);
        sv->rows[c->row] = 0;
        c->pid = 0;
        return;
    }
    c->channel = pair[0];
    c->state = CHILD_STARTING;
    c->started = clock_mono();
    c->ev = event_new(loop_base(sv->loop), c->channel, EV_READ | EV_PERSIST, on_channel, c);
    event_add(c->ev, NULL);
    marks = crash_marks(sv);
    channel_send(c->channel, CHANNEL_GO, 0, 0, NULL, marks);
    if (marks >= 0)
        close(marks);
}

static void on_respawn(void *ctx)
{
    struct child *c = ctx;

    c->respawn = NULL;
    child_start(c);
}

/* quick: it ended by itself, and soon. Who is killed by somebody else is replaced at once each
 * time. */
static void respawn(struct child *c, int quick)
{
    uint64_t delay = 0;

    c->quick = quick ? c->quick + 1 : 0;
    if (c->quick) {
        delay = (uint64_t)RESPAWN_FIRST << (c->quick < 10 ? c->quick : 10);
        if (delay > RESPAWN_LONGEST)
            delay = RESPAWN_LONGEST;
    }
    c->respawn = loop_after(c->gen->sv->loop, delay, on_respawn, c);
}

static void log_end(const struct child *c, int status, int level)
{
    if (WIFSIGNALED(status))
        log_event(level, "supervisor", "worker.died", "pid=%d signal=%d name=%s", (int)c->pid,
                  WTERMSIG(status),
                  strsignal(WTERMSIG(status)) ? log_q(strsignal(WTERMSIG(status))) : "-");
    else
        log_event(level, "supervisor", "worker.ended", "pid=%d code=%d why=%s", (int)c->pid,
                  WEXITSTATUS(status),
                  c->failed_code ? log_q(c->failed_text)
                      : WEXITSTATUS(status) == EX_OSERR
                      ? "\"out of memory, or of what the system gives\""
                      : "-");
}

static void not_up(struct child *c, int status)
{
    struct supervisor *sv = c->gen->sv;
    char why[sizeof c->failed_text + 64];

    if (c->failed_code)
        snprintf(why, sizeof why, "%s", c->failed_text);
    else
        snprintf(why, sizeof why, "a worker ended at its start, %s %d",
                 WIFSIGNALED(status) ? "signal" : "exit code",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    sv->code = c->failed_code ? c->failed_code : 70; /* EX_SOFTWARE */
    reload_failed(sv, why);
}

void child_gone(struct child *c, int status)
{
    struct supervisor *sv = c->gen->sv;
    enum child_state was;
    int expected, killed;

    on_channel(c->channel, EV_READ, c); /* its last words may not have been read yet */
    was = c->state;
    expected = sv->stopping || was == CHILD_DRAINING;
    killed = was == CHILD_READY && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    log_end(c, status, expected ? POSTERN_LOG_DEBUG : POSTERN_LOG_ERROR);
    c->state = CHILD_NONE; /* nobody asks it for anything any more */
    if (was == CHILD_READY)
        c->gen->ready--;
    if (WIFSIGNALED(status))
        crash_note(sv, c, status);
    channel_free(c);
    adopt_gone(sv, c);
    loop_cancel(&c->kill);
    sv->rows[c->row] = 0;
    c->pid = 0;
    if (expected)
        supervisor_stopped(sv);
    else if (c->gen == sv->next)
        not_up(c, status);
    else
        respawn(c, !killed && clock_mono() - c->started < QUICK_USEC);
    adopt_soon(sv);
}

static void on_kill(void *ctx)
{
    struct child *c = ctx;

    c->kill = NULL;
    log_event(POSTERN_LOG_WARNING, "supervisor", "worker.kill",
              "pid=%d why=\"did not end within its grace\"", (int)c->pid);
    kill(c->pid, SIGKILL);
}

void child_drain(struct child *c, const char *why)
{
    loop_cancel(&c->respawn);
    if (!c->pid || c->state == CHILD_DRAINING)
        return;
    if (c->state == CHILD_READY)
        c->gen->ready--;
    c->state = CHILD_DRAINING;
    if (channel_send(c->channel, CHANNEL_DRAIN, 0, 0, why, -1) < 0)
        kill(c->pid, SIGTERM);
    c->kill = loop_after(c->gen->sv->loop,
                         (uint64_t)c->gen->config->server.grace + KILL_AFTER_GRACE, on_kill, c);
}

const char *child_instance(const struct child *c, uint32_t index)
{
    const struct config *cfg = c->gen->config;

    return index < cfg->instance_n ? cfg->instances[index].name : "the gateway itself";
}

static struct child *find_in(struct generation *g, pid_t pid)
{
    for (size_t i = 0; g && i < g->n; i++) {
        if (g->children[i].pid == pid)
            return &g->children[i];
    }
    return NULL;
}

struct child *child_find(struct supervisor *sv, pid_t pid)
{
    struct child *c = find_in(sv->current, pid);

    if (!c)
        c = find_in(sv->next, pid);
    LIST_EACH (&sv->old, it) {
        if (!c)
            c = find_in(CONTAINER(it, struct generation, link), pid);
    }
    return c;
}

struct child *child_pick(struct supervisor *sv)
{
    struct generation *g = sv->current;

    for (size_t i = 0; g && i < g->n; i++) {
        struct child *c = &g->children[sv->next_worker++ % g->n];

        if (c->state == CHILD_READY)
            return c;
    }
    return NULL;
}
