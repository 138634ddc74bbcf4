/* daemon/worker.c: a complete small gateway: one loop, its own shard, one queue, its own plugins.
 *
 * It is started by the supervisor with everything that must be inherited (the configuration's
 * bytes, the listeners, a row of the scoreboard, a channel), tells when it is ready, and ends when
 * it is told to drain, when the supervisor has gone, or by SIGTERM. */
#include "daemon/worker.h"
#include "daemon/aliases.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/channel.h"
#include "daemon/drop.h"
#include "daemon/sandbox.h"
#include "log/log.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/mem.h"

#define DRAIN_LOOK_USEC 20000
#define BEAT_USEC       500000
#define GO_WAIT_MSEC    10000

/* --- draining --- */

static void look_drained(void *ctx)
{
    struct worker *w = ctx;
    size_t busy = hosts_streams(w->hosts) + hosts_submissions(w->hosts) + queue_in_flight(w->queue);

    w->drain_timer = NULL;
    if (!busy || loop_now(w->loop) > w->drain_until) {
        loop_stop(w->loop);
        return;
    }
    w->drain_timer = loop_after(w->loop, DRAIN_LOOK_USEC, look_drained, w);
}

void worker_drain(struct worker *w, const char *why)
{
    if (w->drain_until) { /* asked twice: now */
        loop_stop(w->loop);
        return;
    }
    log_event(POSTERN_LOG_NOTICE, "worker", "worker.draining", "pid=%d in_flight=%zu why=%s",
              (int)getpid(), queue_in_flight(w->queue), log_q(why));
    w->drain_until = loop_now(w->loop) + w->plan.config->server.grace;
    queue_stop(w->queue);
    worker_shards_abandon(w);
    hosts_drain(w->hosts);
    /* The sockets themselves are let go of too: the supervisor, or the next one, listens on. */
    listeners_leave(w->setup->listeners);
    look_drained(w);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
    (void)sig;
    (void)what;
    worker_drain(arg, "SIGTERM");
}

/* --- the heart --- */

void worker_score(struct worker *w)
{
    struct score_row *row = w->row;
    struct queue_counts c;

    queue_counts(w->queue, &c);
    atomic_store(&row->beat, clock_mono());
    atomic_store(&row->counts[SCORE_ACCEPTED], c.accepted);
    atomic_store(&row->counts[SCORE_DELIVERED], c.delivered);
    atomic_store(&row->counts[SCORE_DEFERRED], c.deferred);
    atomic_store(&row->counts[SCORE_FAILED], c.failed);
    atomic_store(&row->counts[SCORE_BOUNCED], c.bounced);
    atomic_store(&row->counts[SCORE_MESSAGES], c.messages);
    atomic_store(&row->counts[SCORE_IN_FLIGHT], c.in_flight);
    atomic_store(&row->counts[SCORE_CONNECTIONS], hosts_streams(w->hosts));
}

static void beat(void *ctx)
{
    struct worker *w = ctx;

    worker_score(w);
    worker_shards_look(w);
    w->beat_timer = loop_after(w->loop, BEAT_USEC, beat, w);
}

/* Log lines are gathered while the loop is busy and written a little later. */
static void flush_log(void *ctx)
{
    struct worker *w = ctx;

    log_flush();
    w->log_timer = loop_after(w->loop, 50000, flush_log, w);
}

/* --- the channel --- */

static void keep_spare(struct worker *w)
{
    if (w->spare < 0)
        w->spare = eventfd(0, EFD_CLOEXEC);
}

static void take_marks(struct worker *w, int fd)
{
    struct channel_message m;

    for (off_t at = 0; fd >= 0 && pread(fd, &m, sizeof m, at) == (ssize_t)sizeof m;
         at += (off_t)sizeof m) {
        m.text[sizeof m.text - 1] = '\0';
        if (m.verb == CHANNEL_HOLD)
            queue_quarantine(w->queue, m.id, m.text);
        else if (m.verb == CHANNEL_SUSPECT)
            queue_suspect(w->queue, m.id);
    }
}

static void on_held(void *ctx, uint64_t id)
{
    struct worker *w = ctx;

    channel_send(w->setup->channel, CHANNEL_HELD, 0, id, NULL, -1);
}

/* With the last descriptor nothing could be done for the caller; so he hears that. */
static void take_connection(struct worker *w, int fd, char kind)
{
    if (fd < 0)
        log_event(POSTERN_LOG_WARNING, "worker", "control.lost", "why=\"%s\"",
                  "no descriptor was left for the connection");
    else if (w->spare >= 0)
        control_take(w->control, fd, kind);
    else
        control_turn_away(fd, kind, "the worker has no descriptors left; try again");
    keep_spare(w);
}

static void on_message(struct worker *w, const struct channel_message *m, int fd)
{
    switch (m->verb) {
    case CHANNEL_CONNECTION:
        take_connection(w, fd, (char)m->arg);
        return;
    case CHANNEL_ADOPT:
        take_marks(w, fd);
        worker_shard_adopt(w, m->arg, (unsigned)m->id);
        break;
    case CHANNEL_NOTICE:
        worker_notice(w, m->text);
        break;
    case CHANNEL_DRAIN:
        worker_drain(w, m->text);
        break;
    default:
        break;
    }
    if (fd >= 0)
        close(fd);
}

/* A descriptor that is handed over when the worker has none left is dropped by the kernel: so one
 * is kept for that moment. */
static int receive(struct worker *w, struct channel_message *ret, int *ret_fd)
{
    int r;

    if (w->spare >= 0)
        close(w->spare);
    w->spare = -1;
    *ret_fd = -1;
    r = channel_receive(w->setup->channel, ret, ret_fd);
    keep_spare(w);
    return r;
}

static void on_channel(evutil_socket_t channel, short what, void *arg)
{
    struct worker *w = arg;
    struct channel_message m;
    int fd = -1, r;

    (void)channel;
    (void)what;
    while ((r = receive(w, &m, &fd)) > 0)
        on_message(w, &m, fd);
    if (r == 0)
        return;
    event_free(w->channel_event);
    w->channel_event = NULL;
    worker_drain(w, "the supervisor has gone");
}

/* GO brings what must be known before the first delivery. */
static int await_go(struct worker *w)
{
    struct channel_message m;
    int fd = -1, r;

    for (int waited = 0; waited < GO_WAIT_MSEC;) {
        r = channel_receive(w->setup->channel, &m, &fd);
        if (r < 0)
            return r;
        if (r == 0) {
            usleep(1000);
            waited++;
            continue;
        }
        if (m.verb == CHANNEL_GO)
            take_marks(w, fd);
        if (fd >= 0)
            close(fd);
        if (m.verb == CHANNEL_GO)
            return 0;
    }
    return -ETIMEDOUT;
}

/* --- opening --- */

static int fail(struct worker *w, int code, const char *what, const char *why)
{
    char *text = mem_printf("%s: %s", what, why);

    channel_send(w->setup->channel, CHANNEL_FAILED, (uint32_t)code, 0, text, -1);
    free(text);
    return code;
}

static int open_parts(struct worker *w)
{
    const struct config *cfg = w->plan.config;
    struct queue_setup setup = { .loop = w->loop, .config = cfg, .routes = w->plan.routes };
    struct host_env env = {
        .loop = w->loop, .config = cfg, .routes = w->plan.routes, .row = w->row
    };
    char why[512];
    int r = dns_new(w->loop, &cfg->dns, &w->dns, why, sizeof why);

    if (r < 0)
        return fail(w, EX_UNAVAILABLE, "the resolver can't start", why);
    setup.carrier = (struct queue_carrier){ NULL, hosts_deliver, hosts_cancel };
    setup.ask = hosts_ask;
    setup.row = w->row;
    env.dns = w->dns;
    env.listener_fd = listeners_fd;
    env.listener_ctx = w->setup->listeners;
    /* The hosts need the queue, the queue its carrier: the queue is made first and told last. */
    if (queue_new(&setup, &w->queue) < 0)
        return fail(w, EX_CONFIG, "the queue can't start", "a bad retry list");
    queue_on_held(w->queue, on_held, w);
    if (await_go(w) < 0)
        return fail(w, EX_SOFTWARE, "the worker can't start", "the supervisor said nothing");
    r = worker_shard_open(w, why, sizeof why);
    if (r < 0)
        return fail(w,
                    r == -EBUSY        ? EX_TEMPFAIL
                        : r == -EACCES ? EX_NOPERM
                                       : EX_CANTCREAT,
                    "the spool can't be opened", why);
    queue_set_spool(w->queue, w->spool);
    env.spool = w->spool;
    env.queue = w->queue;
    w->hosts = hosts_new(&env);
    queue_set_carrier(w->queue, w->hosts);
    if (hosts_open(w->hosts, why, sizeof why) < 0)
        return fail(w, EX_UNAVAILABLE, "a plugin can't be opened", why);
    return 0;
}

static void watch(struct worker *w)
{
    static const int numbers[2] = { SIGTERM, SIGINT };

    for (int i = 0; i < 2; i++) {
        w->signals[i] = evsignal_new(loop_base(w->loop), numbers[i], on_signal, w);
        evsignal_add(w->signals[i], NULL);
    }
    fcntl(w->setup->channel, F_SETFL, O_NONBLOCK);
    w->channel_event =
        event_new(loop_base(w->loop), w->setup->channel, EV_READ | EV_PERSIST, on_channel, w);
    event_add(w->channel_event, NULL);
}

static void go(struct worker *w, int64_t began)
{
    struct control_env env = { .loop = w->loop,
                               .config = w->plan.config,
                               .hosts = w->hosts,
                               .queue = w->queue,
                               .spool = w->spool,
                               .started = began,
                               .unread = worker_shards_unread,
                               .ctx = w };
    struct spool_stats s;

    keep_spare(w);
    w->control = control_new(&env);
    w->aliases = aliases_new(w->loop, w->plan.config, w->plan.routes);
    flush_log(w);
    beat(w);
    watch(w);
    queue_start(w->queue);
    hosts_accept(w->hosts, 1);
    spool_stats(w->spool, &s);
    log_event(POSTERN_LOG_INFO, "worker", "worker.ready",
              "pid=%d shard=%u messages=%llu replay=%.3fs start=%.3fs", (int)getpid(), w->shard,
              (unsigned long long)s.live_messages, (double)s.replay_usec / 1e6,
              (double)(clock_mono() - began) / 1e6);
    log_flush();
    channel_send(w->setup->channel, CHANNEL_READY, w->shard, 0, NULL, -1);
    loop_run(w->loop);
}

static void close_parts(struct worker *w)
{
    if (w->queue && w->hosts) {
        queue_stop(w->queue);
        queue_cancel_all(w->queue);
    }
    worker_shards_abandon(w);
    /* Work that a plugin has offloaded ends before the plugin does. Turns are made for that, and
     * with
     * them may come what control sessions wait for: they are closed behind it. */
    loop_quiesce(w->loop);
    aliases_free(&w->aliases);
    control_free(&w->control);
    hosts_free(&w->hosts);
    worker_shards_close(w);
    spool_close(&w->spool);
    queue_free(&w->queue);
    dns_free(&w->dns);
    loop_cancel(&w->log_timer);
    loop_cancel(&w->drain_timer);
    loop_cancel(&w->beat_timer);
    if (w->channel_event)
        event_free(w->channel_event);
    for (int i = 0; i < 2; i++) {
        if (w->signals[i])
            event_free(w->signals[i]);
    }
    loop_free(&w->loop);
    log_event(POSTERN_LOG_INFO, "worker", "worker.stopped", "pid=%d", (int)getpid());
    log_flush();
}

/* --- beginning --- */

static int load_plan(int fd, enum plan_use use, struct plan *ret, struct config_errors *errors)
{
    struct stat st;
    void *bytes;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    r = plan_load(bytes, (size_t)st.st_size, use, ret, errors);
    munmap(bytes, (size_t)st.st_size);
    return r;
}

static int open_log(const struct config *cfg)
{
    return log_open(&(struct log_config){ .level = (int)cfg->log.level + POSTERN_LOG_ERROR,
                                          .format = (int)cfg->log.format,
                                          .file = cfg->log.file });
}

static int begin(struct worker *w)
{
    struct config_errors errors = { 0 };
    struct scoreboard *board = scoreboard_map(w->setup->scoreboard_fd);
    char why[256];
    unsigned abi;
    int code = 0;

    if (!board)
        return fail(w, EX_OSERR, "no scoreboard", strerror(errno));
    w->row = &board->rows[w->setup->row];
    if (load_plan(w->setup->snapshot_fd, PLAN_WORK, &w->plan, &errors) < 0)
        code =
            fail(w, EX_CONFIG, "the configuration", errors.n ? errors.lines[0] : "can't be loaded");
    config_errors_free(&errors);
    if (code)
        return code;
    /* The log may be where only root can write; after this line nothing is. */
    if (open_log(w->plan.config) < 0)
        return fail(w, EX_CANTCREAT, "can't write the log", w->plan.config->log.file);
    worker_last_words();
    worker_shards_prepare(w);
    if (drop_privileges(&w->plan.config->server, why, sizeof why) < 0)
        return fail(w, EX_NOPERM, "privileges", why);
    if (sandbox_enter(&w->plan, &abi, why, sizeof why) < 0)
        return fail(w, EX_UNAVAILABLE, "server.sandbox is \"on\"", why);
    atomic_store(&w->row->sandbox, abi);
    return 0;
}

int worker_run(const struct worker_setup *setup)
{
    struct worker w = { .setup = setup, .spare = -1 };
    int64_t began = clock_mono();
    int code = begin(&w);

    if (!code) {
        w.loop = loop_new((unsigned)w.plan.config->server.offload_threads);
        code = open_parts(&w);
        if (!code)
            go(&w, began);
        close_parts(&w);
    }
    if (w.spare >= 0)
        close(w.spare);
    plan_done(&w.plan);
    return code;
}

/* --- probing: what the supervisor wants to know of a configuration, without opening anything
 * --- */

static void add_wanted(void *ctx, const char *endpoint, const char *where, const char *instance)
{
    json_array_append_new(
        ctx,
        json_pack("{s:s, s:s, s:s}", "endpoint", endpoint, "where", where, "instance", instance));
}

/* What was judged is what workers get. */
static void hand_down(int snapshot_fd, const struct config *cfg, struct config_errors *errors)
{
    AUTO(buf_free) struct buf kept = { 0 };
    int r;

    config_snapshot_kept(cfg, &kept);
    r = config_snapshot_write(snapshot_fd, &kept);
    if (r < 0)
        config_error(errors, NULL, NULL, "no memory for the files that it names: %s", strerror(-r));
}

int worker_probe(int snapshot_fd)
{
    struct plan plan = { 0 };
    struct config_errors errors = { 0 };
    json_t *listen = json_array(), *lines = json_array(), *answer;

    if (load_plan(snapshot_fd, PLAN_JUDGE, &plan, &errors) == 0)
        hand_down(snapshot_fd, plan.config, &errors);
    for (size_t i = 0; i < errors.n; i++)
        json_array_append_new(lines, json_string(errors.lines[i]));
    if (plan.config && !errors.n)
        listeners_wanted(plan.config, add_wanted, listen);
    answer = json_pack("{s:o, s:o}", "errors", lines, "listen", listen);
    json_dumpf(answer, stdout, JSON_COMPACT);
    json_decref(answer);
    config_errors_free(&errors);
    plan_done(&plan);
    return EX_OK;
}
