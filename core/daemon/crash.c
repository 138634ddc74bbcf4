/* daemon/crash.c: what is learnt from a worker's death, and watching those that live.
 *
 * The dead worker's row says in which plugin it was, and which messages transports held. A message that
 * was being handled gets a strike; if only the plugin is known, each message that it held does. Messages
 * with a strike are delivered one at a time afterwards, so that the second death tells which one it was:
 * that one is put on hold, the postmaster is told, and all others flow. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/supervisor.h"
#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/text.h"

#define STRIKES_MAX 4096u /* remembered; the oldest go first */
#define STRIKES_OUT 2u
#define MEMORY_PAUSE 60000000 /* usec: a worker that is large from its start is not replaced in a circle */

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
    sv->strikes[sv->strikes_n] = (struct strike){.id = id};
    return &sv->strikes[sv->strikes_n++];
}

static const char *instance_name(const struct child *c, uint32_t index)
{
    const struct config *cfg = c->gen->config;

    return index < cfg->instance_n ? cfg->instances[index].name : "the gateway itself";
}

static void tell_postmaster(struct supervisor *sv, const struct strike *s)
{
    struct child *to = child_pick(sv);
    char          id[16], text[900];

    if (!to)
        return;
    snprintf(text, sizeof text,
             "Message %s was put on hold.\r\n\r\n%s\r\n\r\nAll other mail goes on. 'postern queue show %s' "
             "shows it, 'postern queue release' tries it again.",
             text_id(s->id, id, sizeof id), s->text, id);
    channel_send(to->channel, CHANNEL_NOTICE, 0, s->id, text, -1);
}

static void strike(struct supervisor *sv, const struct child *c, uint64_t id, const char *plugin, int sig)
{
    struct strike *s = strike_of(sv, id);
    char           time[40], text[16];

    s->n++;
    s->shard = c->shard;
    snprintf(s->text, sizeof s->text,
             "It was being handled by %s when a worker died (signal %d, %s), at %u deaths; the last %s.",
             plugin, sig, strsignal(sig) ? strsignal(sig) : "unknown", s->n,
             text_time(clock_wall(), time, sizeof time));
    log_event(POSTERN_LOG_ERROR, "supervisor",
              s->n >= STRIKES_OUT ? "message.quarantined" : "message.suspected",
              "id=%s plugin=%s signal=%d strikes=%u", text_id(id, text, sizeof text), log_q(plugin), sig, s->n);
    if (s->n == STRIKES_OUT)
        tell_postmaster(sv, s);
}

/* Signals that a program gives itself. SIGKILL and SIGTERM come from outside: from an operator, or from a
 * kernel without memory, and say nothing of a message. */
static int is_own_fault(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGABRT || sig == SIGFPE || sig == SIGILL ||
           sig == SIGTRAP || sig == SIGSYS;
}

void crash_note(struct supervisor *sv, const struct child *c, int status)
{
    const struct score_row *row = &sv->board->rows[c->row];
    uint32_t                in = atomic_load(&row->instance);
    uint64_t                message = atomic_load(&row->message);
    const char             *plugin = instance_name(c, in - 1);

    sv->crashes++;
    log_event(POSTERN_LOG_ERROR, "supervisor", "worker.crashed", "pid=%d signal=%d in=%s", (int)c->pid,
              WTERMSIG(status), log_q(in ? plugin : "the gateway itself, or a pool thread"));
    if (!is_own_fault(WTERMSIG(status)))
        return;
    if (message) {
        strike(sv, c, message, plugin, WTERMSIG(status));
        return;
    }
    for (unsigned i = 0; i < SCORE_FLYING; i++) {
        uint64_t id = atomic_load(&row->flying[i].message);
        uint32_t with = atomic_load(&row->flying[i].instance);

        if (!id || (in && with != in - 1))
            continue;
        strike(sv, c, id, instance_name(c, with), WTERMSIG(status));
    }
}

/* Any worker may get the shard: each is told of all. */
void crash_tell(struct supervisor *sv, struct child *c)
{
    for (size_t i = 0; i < sv->strikes_n; i++) {
        const struct strike *s = &sv->strikes[i];

        channel_send(c->channel, s->n >= STRIKES_OUT ? CHANNEL_HOLD : CHANNEL_SUSPECT, 0, s->id, s->text, -1);
    }
}

/* --- those that live --- */

static uint64_t resident_bytes(pid_t pid)
{
    char          path[64];
    unsigned long pages = 0;
    FILE         *f;

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
    uint32_t                in = atomic_load(&row->instance);

    if (!c->warned) {
        log_event(POSTERN_LOG_ERROR, "supervisor", "worker.stuck", "pid=%d seconds=%lld in=%s", (int)c->pid,
                  (long long)(since / 1000000), log_q(in ? instance_name(c, in - 1) : "the gateway itself"));
        c->warned = 1;
        kill(c->pid, SIGUSR2);
        return;
    }
    kill(c->pid, SIGABRT);
    if (c->warned++ > 2)
        kill(c->pid, SIGKILL);
}

static void watch_child(struct supervisor *sv, struct child *c)
{
    const struct config_server *cfg = &c->gen->config->server;
    int64_t                     beat = atomic_load(&sv->board->rows[c->row].beat), now = clock_mono();

    if (c->state != CHILD_READY)
        return;
    if (beat && now - beat > cfg->watchdog) {
        stands_still(sv, c, now - beat);
        return;
    }
    c->warned = 0;
    if (cfg->memory_max > 0 && now - c->started > MEMORY_PAUSE &&
        resident_bytes(c->pid) > (uint64_t)cfg->memory_max) {
        log_event(POSTERN_LOG_WARNING, "supervisor", "worker.memory", "pid=%d limit=%lld", (int)c->pid,
                  (long long)cfg->memory_max);
        reload_begin(sv); /* new workers beside the old ones: nothing is refused meanwhile */
    }
}

void crash_watch(struct supervisor *sv)
{
    for (size_t i = 0; sv->current && i < sv->current->n; i++)
        watch_child(sv, &sv->current->children[i]);
}
