/* daemon/supervisor.c: the process that only watches: it binds, starts, replaces, reloads and
 * stops. It never parses mail and loads no plugin. */
#include "daemon/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/activation.h"
#include "daemon/notify.h"
#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"

#define WATCH_USEC 1000000u
#define ADOPT_EVERY \
    3u /* watches: who leaves a shard need not be a child of ours, if a gateway was killed */

void supervisor_stopped(struct supervisor *sv)
{
    size_t alive = generation_alive(sv->current) + generation_alive(sv->next);

    LIST_EACH_SAFE (&sv->old, it, tmp) {
        struct generation *g = CONTAINER(it, struct generation, link);
        size_t n = generation_alive(g);

        alive += n;
        if (!n)
            generation_free(&g);
    }
    if (sv->stopping && !alive)
        loop_stop(sv->loop);
}

static void stop(struct supervisor *sv, int sig)
{
    if (sv->stopping) { /* asked twice: now */
        for (size_t i = 0; sv->current && i < sv->current->n; i++) {
            if (sv->current->children[i].pid)
                kill(sv->current->children[i].pid, SIGTERM);
        }
        return;
    }
    sv->stopping = 1;
    notify_service("STOPPING=1");
    log_event(POSTERN_LOG_NOTICE, "gateway", "gateway.stopping", "signal=%d", sig);
    log_flush();
    front_close(sv);
    if (sv->current)
        generation_drain(sv->current, "the gateway stops");
    if (sv->next)
        generation_drain(sv->next, "the gateway stops");
    supervisor_stopped(sv);
}

static void reap(struct supervisor *sv)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *c = child_find(sv, pid);

        if (c)
            child_gone(c, status);
        else if (sv->next && sv->next->probe)
            probe_gone(sv->next->probe, pid, status);
    }
    supervisor_stopped(sv);
    log_flush();
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
    struct supervisor *sv = arg;

    (void)what;
    if (sig == SIGCHLD)
        reap(sv);
    else if (sig == SIGHUP)
        reload_begin(sv);
    else
        stop(sv, (int)sig);
}

static void on_watch(void *ctx)
{
    struct supervisor *sv = ctx;

    crash_watch(sv);
    if (++sv->watches % ADOPT_EVERY == 0)
        adopt_watch(sv);
    if (notify_watchdog_usec())
        notify_service("WATCHDOG=1");
    log_flush();
    sv->watch_timer = loop_after(sv->loop, WATCH_USEC, on_watch, sv);
}

static void watch_signals(struct supervisor *sv)
{
    static const int numbers[4] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };

    for (int i = 0; i < 4; i++) {
        sv->signals[i] = evsignal_new(loop_base(sv->loop), numbers[i], on_signal, sv);
        evsignal_add(sv->signals[i], NULL);
    }
}

/* The name the program was started by, made absolute: a worker of a later generation is started
 * from what stands there then. */
static char *own_program(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n <= 0)
        return mem_strdup("/proc/self/exe");
    path[n] = '\0';
    return mem_strdup(path);
}

int supervisor_log(const struct config *cfg, struct config_errors *errors)
{
    struct log_config lc = { .level = (int)cfg->log.level + POSTERN_LOG_ERROR,
                             .format = (int)cfg->log.format,
                             .file = cfg->log.file };
    int r = log_open(&lc);

    if (r < 0)
        config_error(errors, NULL, NULL, "can't write the log %s: %s", lc.file, strerror(-r));
    return r < 0 ? EX_CANTCREAT : 0;
}

static void end(struct supervisor *sv)
{
    front_close(sv);
    loop_cancel(&sv->watch_timer);
    loop_cancel(&sv->adopt_timer);
    for (int i = 0; i < 4; i++) {
        if (sv->signals[i])
            event_free(sv->signals[i]);
    }
    generation_free(&sv->current);
    generation_free(&sv->next);
    LIST_EACH_SAFE (&sv->old, it, tmp) {
        struct generation *g = CONTAINER(it, struct generation, link);

        generation_free(&g);
    }
    listeners_free(&sv->listeners);
    scoreboard_free(&sv->board);
    if (sv->board_fd >= 0)
        close(sv->board_fd);
    loop_free(&sv->loop);
    if (sv->spool_lock >= 0)
        close(sv->spool_lock);
    free(sv->spool_path);
    free(sv->program);
    free(sv->strikes);
    log_flush();
}

int supervisor_run(const char *config_dir, const char *state)
{
    struct supervisor sv = {
        .config_dir = config_dir, .state = state, .board_fd = -1, .spool_lock = -1
    };

    sv.started = clock_mono();
    sv.program = own_program();
    sv.loop = loop_new(0);
    sv.listeners = listeners_new();
    activation_take(sv.listeners);
    list_init(&sv.old);
    list_init(&sv.fronts);
    sv.board = scoreboard_new(&sv.board_fd);
    if (!sv.board) {
        fprintf(stderr, "postern: no shared memory: %s\n", strerror(errno));
        sv.code = EX_OSERR;
    } else {
        watch_signals(&sv);
        reload_begin(&sv);
    }
    if (!sv.code) {
        on_watch(&sv);
        loop_run(sv.loop);
    }
    if (sv.stopping) {
        log_event(POSTERN_LOG_NOTICE, "gateway", "gateway.stopped", "pid=%d", (int)getpid());
    }
    end(&sv);
    return sv.code;
}
