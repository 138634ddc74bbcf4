/* daemon/crash.c: what is learnt from a worker's death, and watching those that live.
 *
 * The dead worker's row says in which plugin it was, and which messages transports held. A message
 * that was being handled gets a strike; if only the plugin is known, each message that it held
 * does. Messages with a strike are delivered one at a time afterwards, so that the second death
 * tells which one it was: that one is put on hold, the postmaster is told, and all others flow. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/supervisor.h"
#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/text.h"

#define STRIKES_MAX 4096u /* remembered; the oldest go first */
#define STRIKES_OUT 2u
#define START_MAX   300000000 /* usec: a large spool is replayed in far less */
#define MEMORY_PAUSE \
    60000000 /* usec: a worker that is large from its start is not replaced in a circle */

static struct strike *strike_of(struct supervisor *sv, uint64_t id)
{
    for (size_t i = 0; i < sv->strikes_n; i++) {
        if (sv->strikes[i].id == id)
            return &sv->strikes[i];
    }
    if (sv->strikes_n == STRIKES_MAX) {
        memmove(sv->strikes, sv->strikes + 1, (STRIKES_MAX - 1) * sizeof *sv->strikes);
        sv->strikes_n--;
    }
    sv->strikes = mem_realloc(sv->strikes, (sv->strikes_n + 1) * sizeof *sv->strikes);
    sv->strikes[sv->strikes_n] = (struct strike){ .id = id };
    return &sv->strikes[sv->strikes_n++];
}

static void strike(struct supervisor *sv, uint64_t id, const char *plugin, int sig)
{
    struct strike *s = strike_of(sv, id);
    char time[40], text[16];

    s->n++;
    snprintf(
        s->text, sizeof s->text,
        "It was being handled by %s when a worker died (signal %d, %s), at %u deaths; the last %s.",
        plugin, sig, strsignal(sig) ? strsignal(sig) : "unknown", s->n,
        text_time(clock_wall(), time, sizeof time));
    log_event(POSTERN_LOG_ERROR, "supervisor",
              s->n >= STRIKES_OUT ? "message.quarantined" : "message.suspected",
              "id=%s plugin=%s signal=%d strikes=%u", text_id(id, text, sizeof text), log_q(plugin),
              sig, s->n);
}

/* Signals that a program gives itself. SIGKILL and SIGTERM come from outside: from an operator, or
 * from a kernel without memory, and say nothing of a message. */
static int is_own_fault(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGABRT || sig == SIGFPE || sig == SIGILL ||
        sig == SIGTRAP || sig == SIGSYS;
}

void crash_note(struct supervisor *sv, const struct child *c, int status)
{
    const struct score_row *row = &sv->board->rows[c->row];
    uint32_t in = atomic_load(&row->instance);
    uint64_t message = atomic_load(&row->message);
    const char *plugin = child_instance(c, in - 1);

    sv->crashes++;
    log_event(POSTERN_LOG_ERROR, "supervisor", "worker.crashed", "pid=%d signal=%d in=%s",
              (int)c->pid, WTERMSIG(status),
              log_q(in ? plugin : "the gateway itself, or a pool thread"));
    if (!is_own_fault(WTERMSIG(status)))
        return;
    if (message) {
        strike(sv, message, plugin, WTERMSIG(status));
        return;
    }
    for (unsigned i = 0; i < SCORE_FLYING; i++) {
        uint64_t id = atomic_load(&row->flying[i].message);
        uint32_t with = atomic_load(&row->flying[i].instance);

        if (!id || (in && with != in - 1))
            continue;
        strike(sv, id, child_instance(c, with), WTERMSIG(status));
    }
}

/* Any worker may get the shard: each is told of all. */
int crash_marks(const struct supervisor *sv)
{
    int fd = sv->strikes_n ? memfd_create("postern-marks", MFD_CLOEXEC) : -1;

    for (size_t i = 0; fd >= 0 && i < sv->strikes_n; i++) {
        const struct strike *s = &sv->strikes[i];
        struct channel_message m = { .verb = s->n >= STRIKES_OUT ? CHANNEL_HOLD : CHANNEL_SUSPECT,
                                     .id = s->id };

        snprintf(m.text, sizeof m.text, "%s", s->text);
        if (write(fd, &m, sizeof m) != (ssize_t)sizeof m) {
            log_event(POSTERN_LOG_ERROR, "supervisor", "worker.marks", "why=%s",
                      log_q(strerror(errno)));
            break;
        }
    }
    return fd;
}

static void tell_postmaster(const struct child *c, const struct strike *s)
{
    char id[16], text[900];

    snprintf(text, sizeof text,
             "Message %s was put on hold.\r\n\r\n%s\r\n\r\nAll other mail goes on. "
             "'postern queue show %s' "
             "shows it, 'postern queue release' tries it again.",
             text_id(s->id, id, sizeof id), s->text, id);
    channel_send(c->channel, CHANNEL_NOTICE, 0, s->id, text, -1);
}

/* From here on the spool knows. Nothing is held against the message any more: once an operator has
 * released it, it has the same two tries as any other. */
void crash_held(struct supervisor *sv, struct child *c, uint64_t id)
{
    for (size_t i = 0; i < sv->strikes_n; i++) {
        if (sv->strikes[i].id != id)
            continue;
        tell_postmaster(c, &sv->strikes[i]);
        memmove(&sv->strikes[i], &sv->strikes[i + 1],
                (sv->strikes_n - i - 1) * sizeof *sv->strikes);
        sv->strikes_n--;
        return;
    }
}

/* --- those that live --- */

static uint64_t resident_bytes(pid_t pid)
{
    char path[64];
    unsigned long pages = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* First a stack for the log (the worker's handler writes it), a second later the end. */
static void stands_still(struct supervisor *sv, struct child *c, int64_t since)
{
    const struct score_row *row = &sv->board->rows[c->row];
    uint32_t in = atomic_load(&row->instance);

    if (!c->warned) {
        log_event(POSTERN_LOG_ERROR, "supervisor", "worker.stuck", "pid=%d seconds=%lld in=%s",
                  (int)c->pid, (long long)(since / 1000000),
                  log_q(in ? child_instance(c, in - 1) : "the gateway itself"));
        c->warned = 1;
        kill(c->pid, SIGUSR2);
        return;
    }
    kill(c->pid, SIGABRT);
    if (c->warned++ > 2)
        kill(c->pid, SIGKILL);
}

/* A plugin's open() that never ends, most likely. */
static void watch_start(const struct child *c, int64_t now)
{
    if (!c->pid || now - c->started < START_MAX)
        return;
    log_event(POSTERN_LOG_ERROR, "supervisor", "worker.start_slow", "pid=%d", (int)c->pid);
    kill(c->pid, SIGKILL);
}

static void watch_memory(struct supervisor *sv, const struct child *c, int64_t now)
{
    int64_t limit = c->gen->config->server.memory_max;

    if (limit <= 0 || sv->next || (sv->memory_at && now - sv->memory_at < MEMORY_PAUSE) ||
        resident_bytes(c->pid) <= (uint64_t)limit)
        return;
    log_event(POSTERN_LOG_WARNING, "supervisor", "worker.memory", "pid=%d limit=%lld", (int)c->pid,
              (long long)limit);
    sv->memory_at = now;
    reload_same(sv); /* new workers beside the old ones: nothing is refused meanwhile */
}

static void watch_child(struct supervisor *sv, struct child *c)
{
    const struct config_server *cfg = &c->gen->config->server;
    int64_t beat = atomic_load(&sv->board->rows[c->row].beat), now = clock_mono();

    if (c->state == CHILD_STARTING)
        watch_start(c, now);
    if (c->state != CHILD_READY)
        return;
    if (beat && now - beat > cfg->watchdog) {
        stands_still(sv, c, now - beat);
        return;
    }
    c->warned = 0;
    watch_memory(sv, c, now);
}

static void watch_generation(struct supervisor *sv, struct generation *g)
{
    for (size_t i = 0; g && i < g->n; i++)
        watch_child(sv, &g->children[i]);
}

void crash_watch(struct supervisor *sv)
{
    watch_generation(sv, sv->current);
    watch_generation(sv, sv->next);
}
