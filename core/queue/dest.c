/* queue/dest.c: destinations: a transport and a next hop, with the jobs that wait for it.
 *
 * Destinations with something to start stand in a ring and take turns, one job at a time, so a
 * large one never holds up a small one. A destination that can't be reached is dead for a while,
 * which doubles with each failed probe; its messages wait in the queue's heap, not here, and when
 * the time is over one job goes as the probe. */
#include "queue/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/mem.h"

#define DEST_KEY_MAX 4096u

/* Next hops that depend on the recipient's domain are as many destinations as there are domains. */
static void dest_name(const struct route_decision *d, char *buf, size_t size)
{
    char own[sizeof d->domain + 2];
    size_t len = 0;

    if (!d->next_hop_n) {
        snprintf(buf, size, "%s", d->domain);
        return;
    }
    for (size_t i = 0; i < d->next_hop_n && len < size; i++) {
        int n = snprintf(buf + len, size - len, "%s%s", i ? "," : "",
                         route_next_hop(d, i, own, sizeof own));

        len += n > 0 ? (size_t)n : 0;
    }
}

static struct qgroup *group_get(struct queue *q, const struct route_group *settings)
{
    struct qgroup *g = settings ? map_get(q->groups, settings->name) : NULL;

    if (g || !settings)
        return g;
    g = mem_zalloc(sizeof *g);
    g->settings = settings;
    list_init(&g->blocked);
    map_set(q->groups, settings->name, g);
    return g;
}

static int is_full(const struct qgroup *g)
{
    return g && g->settings->concurrency && g->in_flight >= g->settings->concurrency;
}

struct qdest *dest_get(struct queue *q, const struct route_decision *d)
{
    char name[DEST_KEY_MAX], key[DEST_KEY_MAX + 128];
    struct qdest *dest;
    size_t len;

    dest_name(d, name, sizeof name);
    snprintf(key, sizeof key, "%s %s%s%s", d->transport, name, d->group ? " in " : "",
             d->group ? d->group->name : "");
    dest = map_get(q->dests, key);
    if (dest)
        return dest;
    len = strlen(key) + 1;
    dest = mem_zalloc(sizeof *dest + len);
    memcpy(dest->key, key, len);
    dest->transport = mem_strdup(d->transport);
    dest->name = mem_strdup(name);
    dest->group = group_get(q, d->group);
    list_init(&dest->ready);
    list_init(&dest->waiting);
    list_init(&dest->parking);
    map_set(q->dests, key, dest);
    return dest;
}

static void dest_free(struct queue *q, struct qdest *d)
{
    list_del(&d->ready);
    park_free(d);
    map_del(q->dests, d->key);
    intern_unref(q->texts, &d->text);
    free(d->transport);
    free(d->name);
    free(d);
}

int dest_blocked(const struct qdest *d, int64_t now)
{
    return d->dead_until > now;
}

static size_t limit_of(const struct queue *q, const struct qdest *d)
{
    return d->dead_until ? 1 : (size_t)q->config->queue.destination_concurrency;
}

static void make_ready(struct queue *q, struct qdest *d)
{
    if (d->waiting_n && d->in_flight < limit_of(q, d) && list_empty(&d->ready))
        list_add_tail(is_full(d->group) ? &d->group->blocked : &q->ready, &d->ready);
}

/* A place in the group is free: the destination that waits longest for one takes its turn. */
static void unblock(struct queue *q, struct qgroup *g)
{
    struct list *n = is_full(g) ? NULL : list_pop(&g->blocked);

    if (n)
        list_add_tail(&q->ready, n);
}

void dest_enqueue(struct queue *q, struct qdest *d, postern_job *j)
{
    list_add_tail(&d->waiting, &j->link);
    d->waiting_n++;
    make_ready(q, d); /* dest_dispatch follows in this same piece of work */
}

void dest_dispatch(struct queue *q)
{
    while (q->in_flight < (size_t)q->config->queue.concurrency && !list_empty(&q->ready) &&
           q->turn_started < QUEUE_STARTS_PER_TURN) {
        struct qdest *d = CONTAINER(list_pop(&q->ready), struct qdest, ready);
        struct list *n;

        if (is_full(d->group)) {
            list_add_tail(&d->group->blocked, &d->ready);
            continue;
        }
        if (d->in_flight >= limit_of(q, d) || !(n = list_pop(&d->waiting)))
            continue;
        if (d->group)
            d->group->in_flight++;
        d->waiting_n--;
        d->in_flight++;
        q->in_flight++;
        q->turn_started++;
        make_ready(q, d);
        job_start(q, CONTAINER(n, postern_job, link));
    }
}

static int is_idle(const struct qdest *d)
{
    return !d->in_flight && !d->waiting_n && !d->parked.n;
}

void dest_release(struct queue *q, struct qdest *d)
{
    d->in_flight--;
    q->in_flight--;
    if (d->group) {
        d->group->in_flight--;
        unblock(q, d->group);
    }
    make_ready(q, d);
    if (is_idle(d) && !d->dead_until)
        dest_free(q, d);
}

void dest_reached(struct queue *q, struct qdest *d)
{
    if (!d->dead_until)
        return;
    log_event(POSTERN_LOG_NOTICE, "queue", "destination.alive", "transport=%s to=%s", d->transport,
              log_q(d->name));
    d->dead_until = 0;
    d->dead_for = 0;
    intern_unref(q->texts, &d->text);
    make_ready(q, d);
}

/* Jobs that were already under way when it died say nothing new when they fail too. */
void dest_dead(struct queue *q, struct qdest *d, enum wait_reason reason, const char *text)
{
    int64_t now = loop_now(q->loop), min = q->config->queue.dead_min;
    int64_t max = q->config->queue.dead_max;
    struct list *n;

    if (dest_blocked(d, now))
        return;
    d->dead_for = d->dead_for ? d->dead_for * 2 : min;
    if (d->dead_for > max)
        d->dead_for = max;
    d->dead_until = now + d->dead_for;
    d->reason = (uint8_t)reason;
    intern_unref(q->texts, &d->text);
    d->text = intern_ref(q->texts, text);
    log_event(POSTERN_LOG_WARNING, "queue", "destination.dead",
              "transport=%s to=%s retry_in=%llds waiting=%zu why=%s", d->transport, log_q(d->name),
              (long long)(d->dead_for / 1000000), d->waiting_n + d->parked.n, log_q(text));
    list_del(&d->ready);
    while ((n = list_pop(&d->waiting))) {
        d->waiting_n--;
        job_unstart(q, CONTAINER(n, postern_job, link),
                    d->dead_until + llabs(jittered(q, d->dead_for) - d->dead_for), reason);
    }
}

struct sweep {
    struct queue *q;
    int64_t before;
};

static void sweep_one(void *ctx, const char *key, void *value)
{
    struct sweep *s = ctx;
    struct qdest *d = value;

    (void)key;
    if (is_idle(d) && d->dead_until < s->before)
        dest_free(s->q, d);
}

/* A dead destination is remembered for as long again as the longest back-off, then forgotten. */
void dest_sweep(struct queue *q)
{
    struct sweep s = { .q = q, .before = loop_now(q->loop) - q->config->queue.dead_max };

    map_each(q->dests, sweep_one, &s);
}

static void free_one(void *ctx, const char *key, void *value)
{
    struct queue *q = ctx;
    struct qdest *d = value;
    struct list *n;

    (void)key;
    while ((n = list_pop(&d->waiting))) {
        postern_job *j = CONTAINER(n, postern_job, link);

        job_free(&j);
    }
    dest_free(q, d);
}

void dest_free_all(struct queue *q)
{
    struct list *n;

    while ((n = list_pop(&q->finished)) || (n = list_pop(&q->flying))) {
        postern_job *j = CONTAINER(n, postern_job, link);

        job_free(&j);
    }
    map_each(q->dests, free_one, q);
}
