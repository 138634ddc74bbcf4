/* queue.c: see queue.h. Runs on the loop; ops->append runs on a thread.
 *
 * A file that somebody else has locked is tried again by timer, not waited for on a thread: the
 * pool is small and serves others. */
#include "queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN ((uint64_t)50 * 1000) /* microseconds between tries to lock */
#define PAUSE_MAX ((uint64_t)1000 * 1000)

static void start(struct place *p);

static uint32_t hash_of(const char *key) /* FNV-1a */
{
    uint32_t h = 2166136261u;

    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 16777619u;
    return h;
}

static struct place *place_get(struct queue *q, const char *key)
{
    struct place_list *bucket = &q->places[hash_of(key) % QUEUE_BUCKETS];
    size_t len = strlen(key) + 1, size = q->a.ops->place_size;
    struct place *p;

    for (p = LIST_FIRST(bucket); p; p = LIST_NEXT(p, link)) {
        if (!strcmp(p->key, key))
            return p;
    }
    p = calloc(1, size + len);
    if (!p)
        return NULL;
    p->a = q->a;
    p->key = memcpy((char *)p + size, key, len);
    TAILQ_INIT(&p->waiting);
    TAILQ_INIT(&p->batch);
    pthread_mutex_init(&p->lock, NULL);
    LIST_INSERT_HEAD(bucket, p, link);
    return p;
}

static void place_free(struct place *p)
{
    LIST_REMOVE(p, link);
    pthread_mutex_destroy(&p->lock);
    if (p->a.ops->done)
        p->a.ops->done(p);
    free(p);
}

static int is_busy(const struct place *p)
{
    return p->running || p->timer;
}

static void settle(struct delivery *d, const struct problem *p)
{
    const struct queue_for *a = &d->place->a;

    if (p->fate == POSTERN_DELIVERED && a->ops->delivered)
        a->ops->delivered(d);
    problem_settle(p, a->svc, d->job, d->i);
}

static void delivery_free(struct delivery *d, struct deliveries *list)
{
    TAILQ_REMOVE(list, d, link);
    LIST_REMOVE(d, all);
    free(d);
}

/* --- batches --- */

/* The batch is over: everybody gets his outcome, or waits for the next one, before who came
 * later. */
static void end_batch(struct place *p)
{
    struct delivery *d, *next;

    for (d = TAILQ_LAST(&p->batch, deliveries); d; d = next) {
        next = TAILQ_PREV(d, deliveries, link);
        if (d->state == DELIVERY_AGAIN && !d->cancelled) {
            TAILQ_REMOVE(&p->batch, d, link);
            d->state = DELIVERY_TODO;
            TAILQ_INSERT_HEAD(&p->waiting, d, link);
        }
    }
    while ((d = TAILQ_FIRST(&p->batch))) {
        if (!d->cancelled)
            settle(d, &d->problem);
        delivery_free(d, &p->batch);
    }
    p->locked_since = 0;
}

static void defer_batch(struct place *p, const uint16_t status[3], uint32_t cause, const char *why)
{
    char name[QUEUE_NAME_MAX];
    struct delivery *d;

    for (d = TAILQ_FIRST(&p->batch); d; d = TAILQ_NEXT(d, link)) {
        p->a.ops->name(d, name, sizeof name);
        problem_set(&d->problem, POSTERN_DEFERRED, cause, status, "%s %s", name, why);
        d->state = DELIVERY_DONE;
    }
    end_batch(p);
}

static void next_batch(struct place *p)
{
    if (TAILQ_EMPTY(&p->waiting))
        place_free(p);
    else
        start(p);
}

static void try_again(void *ctx, int result)
{
    struct place *p = ctx;

    (void)result;
    p->timer = 0;
    start(p);
}

static void wait_for_lock(struct place *p)
{
    const struct postern_services *svc = p->a.svc;
    uint64_t now = svc->now(p->a.host);

    if (!p->locked_since) {
        p->locked_since = now;
        p->pause = PAUSE_MIN;
    }
    if (now - p->locked_since >= (uint64_t)p->a.lock_timeout ||
        svc->after(p->a.host, p->pause, try_again, p, &p->timer) < 0) {
        defer_batch(p, STATUS(4, 2, 0), POSTERN_CAUSE_RECIPIENT, "is locked by another program");
        next_batch(p);
        return;
    }
    p->pause = p->pause * 2 < PAUSE_MAX ? p->pause * 2 : PAUSE_MAX;
}

static void finished(void *ctx, int result)
{
    struct place *p = ctx;

    p->running = 0;
    if (result == -EWOULDBLOCK) {
        wait_for_lock(p);
        return;
    }
    end_batch(p);
    next_batch(p);
}

static int append(void *ctx)
{
    struct place *p = ctx;

    return p->a.ops->append(p);
}

/* Deliveries whose job was cancelled while the lock was waited for are no work any more. */
static void drop_cancelled(struct place *p)
{
    struct delivery *d, *next;

    for (d = TAILQ_FIRST(&p->batch); d; d = next) {
        next = TAILQ_NEXT(d, link);
        if (d->cancelled)
            delivery_free(d, &p->batch);
    }
}

static size_t fill_batch(struct place *p)
{
    struct delivery *d;
    size_t n = 0;

    drop_cancelled(p);
    for (d = TAILQ_FIRST(&p->batch); d; d = TAILQ_NEXT(d, link)) {
        d->state = DELIVERY_TODO;
        n++;
    }
    while (n < QUEUE_BATCH_MAX && (d = TAILQ_FIRST(&p->waiting))) {
        TAILQ_REMOVE(&p->waiting, d, link);
        TAILQ_INSERT_TAIL(&p->batch, d, link);
        n++;
    }
    return n;
}

static void start(struct place *p)
{
    int r;

    if (!fill_batch(p)) {
        place_free(p);
        return;
    }
    p->committed = 0;
    p->running = 1;
    r = p->a.svc->offload(p->a.host, append, finished, p);
    if (r < 0) {
        char why[128];

        p->running = 0;
        snprintf(why, sizeof why, "can't be worked at: %s", strerror(-r));
        defer_batch(p, STATUS(4, 3, 0), POSTERN_CAUSE_PLUGIN, why);
        next_batch(p);
    }
}

/* --- from outside --- */

void queue_init(struct queue *q, const struct queue_for *a)
{
    memset(q, 0, sizeof *q);
    q->a = *a;
}

static struct delivery *delivery_new(const struct queue_for *a, postern_job *job, size_t i)
{
    const char *sender = a->svc->job_sender(job), *rcpt = a->svc->job_rcpt(job, i);
    size_t sender_len = strlen(sender) + 1, rcpt_len = strlen(rcpt) + 1;
    struct delivery *d = calloc(1, a->ops->delivery_size + sender_len + rcpt_len);
    char *text;

    if (!d)
        return NULL;
    text = (char *)d + a->ops->delivery_size;
    d->job = job;
    d->i = i;
    d->content = a->svc->job_content(job);
    d->content_size = a->svc->content_size(d->content);
    d->sender = memcpy(text, sender, sender_len);
    d->rcpt = memcpy(text + sender_len, rcpt, rcpt_len);
    return d;
}

struct delivery *queue_new(struct queue *q, postern_job *job, size_t i, const char *key)
{
    struct place *p = place_get(q, key);
    struct delivery *d = p ? delivery_new(&q->a, job, i) : NULL;

    if (d)
        d->place = p;
    else if (p && !is_busy(p))
        place_free(p);
    return d;
}

void queue_put(struct queue *q, struct delivery *d)
{
    struct place *p = d->place;
    int busy = is_busy(p);

    LIST_INSERT_HEAD(&q->deliveries, d, all);
    TAILQ_INSERT_TAIL(&p->waiting, d, link);
    if (!busy)
        start(p);
}

static void cancel(struct delivery *d)
{
    struct place *p = d->place;
    char name[QUEUE_NAME_MAX];
    struct problem problem;
    int committed;

    pthread_mutex_lock(&p->lock);
    committed = p->running && p->committed && d->state == DELIVERY_DONE;
    d->cancelled = 1;
    pthread_mutex_unlock(&p->lock);
    if (committed) { /* it is too late: done is on its way, and will find nothing left to say */
        settle(d, &d->problem);
        return;
    }
    p->a.ops->name(d, name, sizeof name);
    problem_set(
        &problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 4, 0),
        "delivery took too long: gave up while %s %s",
        p->timer || p->locked_since ? "waiting for another program's lock on" : "writing to", name);
    settle(d, &problem);
}

static int is_waiting(const struct delivery *d)
{
    const struct delivery *w;

    for (w = TAILQ_FIRST(&d->place->waiting); w; w = TAILQ_NEXT(w, link)) {
        if (w == d)
            return 1;
    }
    return 0;
}

void queue_cancel(struct queue *q, postern_job *job)
{
    struct delivery *d, *next;

    for (d = LIST_FIRST(&q->deliveries); d; d = next) {
        next = LIST_NEXT(d, all);
        if (d->job != job || d->cancelled)
            continue;
        cancel(d);
        if (is_waiting(d))
            delivery_free(d, &d->place->waiting);
    }
}

/* All jobs are settled: what is left are cancelled deliveries, whose batch waits for a lock. A
 * batch that a thread is still at (the host lets threads end first, so this should not be) is left
 * to it. */
void queue_done(struct queue *q)
{
    for (size_t i = 0; i < QUEUE_BUCKETS; i++) {
        struct place *p, *next;

        for (p = LIST_FIRST(&q->places[i]); p; p = next) {
            next = LIST_NEXT(p, link);
            if (p->running)
                continue;
            if (p->timer)
                q->a.svc->forget(q->a.host, p->timer);
            drop_cancelled(p);
            place_free(p);
        }
    }
}
