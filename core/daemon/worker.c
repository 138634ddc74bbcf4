/* daemon/worker.c: a complete small gateway: one loop, one shard, one queue, its own plugins. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"

#define DRAIN_USEC      10000000 /* how long open sessions and deliveries may take to finish */
#define DRAIN_LOOK_USEC 20000

struct worker {
    const struct plan *plan;
    struct listeners  *listeners;
    struct loop       *loop;
    struct dns        *dns;
    struct spool      *spool;
    struct queue      *queue;
    struct hosts      *hosts;
    struct control    *control;
    struct event      *signals[2];
    struct loop_timer *log_timer, *drain_timer;
    int64_t            drain_until; /* 0: not draining */
};

/* Log lines are gathered while the loop is busy and written when a turn ends or a little later. */
static void flush_log(void *ctx)
{
    struct worker *w = ctx;

    w->log_timer = NULL;
    log_flush();
    w->log_timer = loop_after(w->loop, 50000, flush_log, w);
}

static void look_drained(void *ctx)
{
    struct worker *w = ctx;
    size_t         busy = hosts_streams(w->hosts) + hosts_submissions(w->hosts) + queue_in_flight(w->queue);

    w->drain_timer = NULL;
    if (!busy || loop_now(w->loop) > w->drain_until) {
        loop_stop(w->loop);
        return;
    }
    w->drain_timer = loop_after(w->loop, DRAIN_LOOK_USEC, look_drained, w);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
    struct worker *w = arg;

    (void)what;
    if (w->drain_until) { /* a second signal: now */
        loop_stop(w->loop);
        return;
    }
    log_event(POSTERN_LOG_NOTICE, "gateway", "gateway.stopping", "signal=%d in_flight=%zu", (int)sig,
              queue_in_flight(w->queue));
    w->drain_until = loop_now(w->loop) + DRAIN_USEC;
    queue_stop(w->queue);
    hosts_drain(w->hosts);
    look_drained(w);
}

/* mkdir -p, private to us. */
static int make_folders(const char *path, mode_t mode)
{
    char *copy = mem_strdup(path);
    int   r = 0;

    for (char *p = copy + 1;; p++) {
        char c = *p;

        if (c && c != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            r = -errno;
        *p = c;
        if (!c)
            break;
    }
    if (!r || !access(path, F_OK))
        r = 0;
    free(copy);
    return r;
}

static int fail(int code, const char *what, const char *why)
{
    log_event(POSTERN_LOG_ERROR, "gateway", "gateway.failed", "what=%s why=%s", log_q(what), log_q(why));
    log_flush();
    return code;
}

static int open_spool(struct worker *w)
{
    const struct config_spool *s = &w->plan->config->spool;
    char                       why[512], *shard = mem_printf("%s/shard-00", s->path);
    struct spool_config        cfg = {
                               .path = shard,
                               .segment_bytes = (uint64_t)s->segment_size,
                               .inline_bytes = (uint64_t)s->inline_max,
                               .cache_bytes = (uint64_t)s->cache,
                               .reserve_bytes = (uint64_t)s->reserve,
                               .min_free_bytes = (uint64_t)s->min_free,
                               .lazy_sync_usec = s->sync_delay,
    };
    int r = make_folders(s->path, 0700);

    if (r < 0)
        snprintf(why, sizeof why, "%s: %s", s->path, strerror(-r));
    else
        r = spool_open(&cfg, w->loop, queue_replay, w->queue, &w->spool, why, sizeof why);
    free(shard);
    if (r >= 0)
        return 0;
    return fail(r == -EBUSY ? EX_TEMPFAIL : r == -EACCES ? EX_NOPERM : EX_CANTCREAT,
                "the spool can't be opened", why);
}

static int open_parts(struct worker *w)
{
    const struct config *cfg = w->plan->config;
    struct queue_setup   setup = {.loop = w->loop, .config = cfg, .routes = w->plan->routes};
    struct host_env      env = {.loop = w->loop, .config = cfg, .routes = w->plan->routes};
    char                 why[512];
    int                  r = dns_new(w->loop, &cfg->dns, &w->dns, why, sizeof why);

    if (r < 0)
        return fail(EX_UNAVAILABLE, "the resolver can't start", why);
    setup.carrier = (struct queue_carrier){NULL, hosts_deliver, hosts_cancel};
    env.dns = w->dns;
    env.listener_fd = listeners_fd;
    env.listener_ctx = w->listeners;
    /* The hosts need the queue, the queue its carrier: the queue is made first and told last. */
    if (queue_new(&setup, &w->queue) < 0)
        return fail(EX_CONFIG, "the queue can't start", "a bad retry list");
    r = open_spool(w);
    if (r)
        return r;
    queue_set_spool(w->queue, w->spool);
    env.spool = w->spool;
    env.queue = w->queue;
    w->hosts = hosts_new(&env);
    queue_set_carrier(w->queue, w->hosts);
    if (hosts_open(w->hosts, why, sizeof why) < 0)
        return fail(EX_UNAVAILABLE, "a plugin can't be opened", why);
    return 0;
}

static void watch_signals(struct worker *w)
{
    static const int numbers[2] = {SIGTERM, SIGINT};

    for (int i = 0; i < 2; i++) {
        w->signals[i] = evsignal_new(loop_base(w->loop), numbers[i], on_signal, w);
        evsignal_add(w->signals[i], NULL);
    }
}

static void log_ready(const struct worker *w, int64_t began)
{
    struct spool_stats s;

    spool_stats(w->spool, &s);
    log_event(POSTERN_LOG_NOTICE, "gateway", "gateway.ready",
              "version=%s pid=%d config=%s spool=%s messages=%llu replay=%.3fs start=%.3fs",
              POSTERN_VERSION, (int)getpid(), log_q(w->plan->config->source),
              log_q(w->plan->config->spool.path), (unsigned long long)s.live_messages,
              (double)s.replay_usec / 1e6, (double)(clock_mono() - began) / 1e6);
    log_flush();
}

static void close_parts(struct worker *w)
{
    if (w->queue && w->hosts) {
        queue_stop(w->queue);
        queue_cancel_all(w->queue);
    }
    /* Work that a plugin has offloaded ends before the plugin does. Turns are made for that, and with
     * them may come what control sessions wait for: they are closed behind it. */
    loop_quiesce(w->loop);
    control_free(&w->control);
    hosts_free(&w->hosts);
    spool_close(&w->spool);
    queue_free(&w->queue);
    dns_free(&w->dns);
    loop_cancel(&w->log_timer);
    loop_cancel(&w->drain_timer);
    for (int i = 0; i < 2; i++) {
        if (w->signals[i])
            event_free(w->signals[i]);
    }
    loop_free(&w->loop);
    log_flush();
}

int worker_run(const struct plan *plan, struct listeners *listeners, int control_fd)
{
    struct worker      w = {.plan = plan, .listeners = listeners};
    struct control_env env = {.config = plan->config, .started = clock_mono()};
    int                code;

    w.loop = loop_new((unsigned)plan->config->server.offload_threads);
    watch_signals(&w);
    code = open_parts(&w);
    if (!code) {
        env.loop = w.loop;
        env.hosts = w.hosts;
        env.queue = w.queue;
        env.spool = w.spool;
        w.control = control_new(&env, control_fd);
        flush_log(&w);
        queue_start(w.queue);
        hosts_accept(w.hosts, 1);
        log_ready(&w, env.started);
        loop_run(w.loop);
        log_event(POSTERN_LOG_NOTICE, "gateway", "gateway.stopped", "pid=%d", (int)getpid());
    }
    close_parts(&w);
    return code;
}
