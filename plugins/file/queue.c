/* queue.c: see queue.h. Runs on the loop; append_batch runs on a thread.
 *
 * A file that somebody else has locked is tried again by timer, not waited for on a thread: the
 * pool is small and serves others. */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN ((uint64_t)50 * 1000) /* microseconds between tries to lock */
#define PAUSE_MAX ((uint64_t)1000 * 1000)

static void start(struct sheet *s);

static uint32_t hash_of(const char *key) /* FNV-1a */
{
    uint32_t h = 2166136261u;

    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 16777619u;
    return h;
}

static struct sheet *sheet_get(struct queue *q, const struct file_name *name)
{
    struct sheet_list *bucket = &q->buckets[hash_of(name->path) % QUEUE_BUCKETS];
    struct sheet *s;

    for (s = LIST_FIRST(bucket); s; s = LIST_NEXT(s, link)) {
        if (s->name.root == name->root && !strcmp(s->name.path, name->path))
            return s;
    }
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->a = q->a;
    s->name = *name;
    TAILQ_INIT(&s->waiting);
    TAILQ_INIT(&s->batch);
    pthread_mutex_init(&s->lock, NULL);
    LIST_INSERT_HEAD(bucket, s, link);
    return s;
}

static void sheet_free(struct sheet *s)
{
    LIST_REMOVE(s, link);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void entry_free(struct entry *e, struct entries *list)
{
    TAILQ_REMOVE(list, e, link);
    LIST_REMOVE(e, all);
    free(e);
}

/* --- batches --- */

/* Everybody gets his outcome. */
static void end_batch(struct sheet *s)
{
    struct entry *e;

    while ((e = TAILQ_FIRST(&s->batch))) {
        if (!e->cancelled)
            problem_settle(&e->problem, s->a.svc, e->job, e->i);
        entry_free(e, &s->batch);
    }
    s->locked_since = 0;
}

static void defer_batch(struct sheet *s, const uint16_t status[3], uint32_t cause, const char *text)
{
    struct entry *e;

    for (e = TAILQ_FIRST(&s->batch); e; e = TAILQ_NEXT(e, link))
        problem_set(&e->problem, POSTERN_DEFERRED, cause, status, "%s/%s: %s", s->name.root,
                    s->name.path, text);
    end_batch(s);
}

static void next_batch(struct sheet *s)
{
    if (TAILQ_EMPTY(&s->waiting))
        sheet_free(s);
    else
        start(s);
}

static void try_again(void *ctx, int result)
{
    struct sheet *s = ctx;

    (void)result;
    s->timer = 0;
    start(s);
}

static void wait_for_lock(struct sheet *s)
{
    const struct postern_services *svc = s->a.svc;
    uint64_t now = svc->now(s->a.host);

    if (!s->locked_since) {
        s->locked_since = now;
        s->pause = PAUSE_MIN;
    }
    if (now - s->locked_since >= (uint64_t)s->a.set->lock_timeout ||
        svc->after(s->a.host, s->pause, try_again, s, &s->timer) < 0) {
        defer_batch(s, STATUS(4, 2, 0), POSTERN_CAUSE_RECIPIENT,
                    "the file is locked by another program");
        next_batch(s);
        return;
    }
    s->pause = s->pause * 2 < PAUSE_MAX ? s->pause * 2 : PAUSE_MAX;
}

static void finished(void *ctx, int result)
{
    struct sheet *s = ctx;

    s->running = 0;
    if (result == -EWOULDBLOCK) {
        wait_for_lock(s);
        return;
    }
    end_batch(s);
    next_batch(s);
}

/* Entries whose job was cancelled while the lock was waited for are no work any more. */
static void drop_cancelled(struct sheet *s)
{
    struct entry *e, *next;

    for (e = TAILQ_FIRST(&s->batch); e; e = next) {
        next = TAILQ_NEXT(e, link);
        if (e->cancelled)
            entry_free(e, &s->batch);
    }
}

static size_t fill_batch(struct sheet *s)
{
    struct entry *e;
    size_t n = 0;

    drop_cancelled(s);
    for (e = TAILQ_FIRST(&s->batch); e; e = TAILQ_NEXT(e, link))
        n++;
    while (n < QUEUE_BATCH_MAX && (e = TAILQ_FIRST(&s->waiting))) {
        TAILQ_REMOVE(&s->waiting, e, link);
        TAILQ_INSERT_TAIL(&s->batch, e, link);
        n++;
    }
    return n;
}

static void start(struct sheet *s)
{
    int r;

    if (!fill_batch(s)) {
        sheet_free(s);
        return;
    }
    s->committed = 0;
    s->running = 1;
    r = s->a.svc->offload(s->a.host, append_batch, finished, s);
    if (r < 0) {
        s->running = 0;
        defer_batch(s, STATUS(4, 3, 0), POSTERN_CAUSE_PLUGIN, strerror(-r));
        next_batch(s);
    }
}

/* --- from outside --- */

void queue_init(struct queue *q, const struct append *a)
{
    memset(q, 0, sizeof *q);
    q->a = *a;
    LIST_INIT(&q->entries);
}

static struct entry *entry_new(const struct append *a, postern_job *job, size_t i)
{
    const char *sender = a->svc->job_sender(job), *rcpt = a->svc->job_rcpt(job, i);
    size_t sender_len = strlen(sender) + 1, rcpt_len = strlen(rcpt) + 1;
    struct entry *e = calloc(1, sizeof *e + sender_len + rcpt_len);

    if (!e)
        return NULL;
    e->job = job;
    e->i = i;
    e->content = a->svc->job_content(job);
    e->content_size = a->svc->content_size(e->content);
    e->sender = memcpy(e->text, sender, sender_len);
    e->rcpt = memcpy(e->text + sender_len, rcpt, rcpt_len);
    return e;
}

int queue_add(struct queue *q, postern_job *job, size_t i, const struct file_name *name)
{
    struct sheet *s = sheet_get(q, name);
    struct entry *e = s ? entry_new(&q->a, job, i) : NULL;

    if (!e) {
        if (s && !s->running && !s->timer)
            sheet_free(s);
        return -ENOMEM;
    }
    e->sheet = s;
    LIST_INSERT_HEAD(&q->entries, e, all);
    TAILQ_INSERT_TAIL(&s->waiting, e, link);
    if (!s->running && !s->timer)
        start(s);
    return 0;
}

static void cancel_entry(struct entry *e)
{
    struct sheet *s = e->sheet;
    struct problem p;
    int committed;

    pthread_mutex_lock(&s->lock);
    committed = s->running && s->committed && e->state == ENTRY_DONE;
    e->cancelled = 1;
    pthread_mutex_unlock(&s->lock);
    if (committed) { /* it is too late: done is on its way, and will find nothing left to say */
        problem_settle(&e->problem, s->a.svc, e->job, e->i);
        return;
    }
    problem_set(&p, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 4, 0),
                "delivery took too long: gave up while %s the file %s",
                s->timer || s->locked_since ? "waiting for another program's lock on"
                                            : "writing to",
                s->name.path);
    problem_settle(&p, s->a.svc, e->job, e->i);
}

static int is_waiting(const struct entry *e)
{
    const struct entry *w;

    for (w = TAILQ_FIRST(&e->sheet->waiting); w; w = TAILQ_NEXT(w, link)) {
        if (w == e)
            return 1;
    }
    return 0;
}

void queue_cancel(struct queue *q, postern_job *job)
{
    struct entry *e, *next;

    for (e = LIST_FIRST(&q->entries); e; e = next) {
        next = LIST_NEXT(e, all);
        if (e->job != job || e->cancelled)
            continue;
        cancel_entry(e);
        if (is_waiting(e))
            entry_free(e, &e->sheet->waiting);
    }
}

/* All jobs are settled: what is left are cancelled entries, whose batch waits for a lock. A batch
 * that a thread is still at (the host lets threads end first, so this should not be) is left to
 * it. */
void queue_done(struct queue *q)
{
    for (size_t i = 0; i < QUEUE_BUCKETS; i++) {
        struct sheet *s, *next;

        for (s = LIST_FIRST(&q->buckets[i]); s; s = next) {
            next = LIST_NEXT(s, link);
            if (s->running)
                continue;
            if (s->timer)
                q->a.svc->forget(q->a.host, s->timer);
            drop_cancelled(s);
            sheet_free(s);
        }
    }
}
