/* queue.c: see queue.h. Runs on the loop; append_batch runs on a thread.
 *
 * A mailbox that somebody else has locked is tried again by timer, not waited for on a thread: the
 * pool is small and serves others. */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notify.h"

#define PAUSE_MIN ((uint64_t)50 * 1000) /* microseconds between tries to lock */
#define PAUSE_MAX ((uint64_t)1000 * 1000)

static void start(struct mailbox *box);

static uint32_t hash_of(const char *key) /* FNV-1a */
{
    uint32_t h = 2166136261u;

    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 16777619u;
    return h;
}

static struct mailbox *mailbox_get(struct queue *q, const struct addressee *whom)
{
    char key[ADDRESSEE_KEY_MAX];
    struct mailbox *box;
    uint32_t bucket;

    addressee_key(q->a.set, whom, key);
    bucket = hash_of(key) % QUEUE_BUCKETS;
    for (box = LIST_FIRST(&q->buckets[bucket]); box; box = LIST_NEXT(box, link)) {
        if (!strcmp(box->key, key))
            return box;
    }
    box = calloc(1, sizeof *box);
    if (!box)
        return NULL;
    box->a = q->a;
    memcpy(box->key, key, sizeof key);
    TAILQ_INIT(&box->waiting);
    TAILQ_INIT(&box->batch);
    pthread_mutex_init(&box->lock, NULL);
    LIST_INSERT_HEAD(&q->buckets[bucket], box, link);
    return box;
}

static void mailbox_free(struct mailbox *box)
{
    LIST_REMOVE(box, link);
    pthread_mutex_destroy(&box->lock);
    free(box->user);
    free(box);
}

/* --- settling --- */

static void tell(const struct entry *e)
{
    const struct append *a = &e->box->a;
    const struct notify_mail mail = {
        .id = a->svc->job_id(e->job),
        .sender = e->sender,
        .rcpt = e->rcpt,
        .user = e->box->user,
        .folder = e->box->user->in_folder ? e->whom.folder : "",
    };

    notify_send(a->notify, &mail);
}

static void settle(struct entry *e, const struct problem *p)
{
    struct postern_outcome outcome = {
        .size = sizeof outcome,
        .fate = p->fate,
        .cause = p->cause,
        .diagnostic = p->text,
    };

    memcpy(outcome.status, p->status, sizeof outcome.status);
    if (p->fate == POSTERN_DELIVERED)
        tell(e);
    e->box->a.svc->job_settle(e->job, e->i, &outcome);
}

static void entry_free(struct entry *e, struct entries *list)
{
    TAILQ_REMOVE(list, e, link);
    LIST_REMOVE(e, all);
    free(e);
}

/* The batch is over: everybody gets his outcome, or waits for the next one. */
static void end_batch(struct mailbox *box)
{
    struct entry *e, *next;

    for (e = TAILQ_LAST(&box->batch, entries); e; e = next) {
        next = TAILQ_PREV(e, entries, link);
        if (e->state == ENTRY_AGAIN && !e->cancelled) {
            TAILQ_REMOVE(&box->batch, e, link);
            e->state = ENTRY_TODO;
            TAILQ_INSERT_HEAD(&box->waiting, e, link);
        }
    }
    while ((e = TAILQ_FIRST(&box->batch))) {
        if (!e->cancelled)
            settle(e, &e->problem);
        entry_free(e, &box->batch);
    }
    box->locked_since = 0;
}

static void defer_batch(struct mailbox *box, const uint16_t status[3], uint32_t cause,
                        const char *text)
{
    struct entry *e;

    for (e = TAILQ_FIRST(&box->batch); e; e = TAILQ_NEXT(e, link)) {
        problem_set(&e->problem, POSTERN_DEFERRED, cause, status, "%s: %s", box->key, text);
        e->state = ENTRY_DONE;
    }
    end_batch(box);
}

/* --- batches --- */

static void next_batch(struct mailbox *box)
{
    if (TAILQ_EMPTY(&box->waiting))
        mailbox_free(box);
    else
        start(box);
}

static void try_again(void *ctx, int result)
{
    struct mailbox *box = ctx;

    (void)result;
    box->timer = 0;
    start(box);
}

static void wait_for_lock(struct mailbox *box)
{
    const struct postern_services *svc = box->a.svc;
    uint64_t now = svc->now(box->a.host);

    if (!box->locked_since) {
        box->locked_since = now;
        box->pause = PAUSE_MIN;
    }
    if (now - box->locked_since >= (uint64_t)box->a.set->lock_timeout ||
        svc->after(box->a.host, box->pause, try_again, box, &box->timer) < 0) {
        defer_batch(box, STATUS(4, 2, 0), POSTERN_CAUSE_RECIPIENT,
                    "the mailbox is locked by another program");
        next_batch(box);
        return;
    }
    box->pause = box->pause * 2 < PAUSE_MAX ? box->pause * 2 : PAUSE_MAX;
}

static void finished(void *ctx, int result)
{
    struct mailbox *box = ctx;

    box->running = 0;
    if (result == -EWOULDBLOCK) {
        wait_for_lock(box);
        return;
    }
    end_batch(box);
    next_batch(box);
}

/* Entries whose job was cancelled while the lock was waited for are no work any more. */
static void drop_cancelled(struct mailbox *box)
{
    struct entry *e, *next;

    for (e = TAILQ_FIRST(&box->batch); e; e = next) {
        next = TAILQ_NEXT(e, link);
        if (e->cancelled)
            entry_free(e, &box->batch);
    }
}

static size_t fill_batch(struct mailbox *box)
{
    struct entry *e;
    size_t n = 0;

    drop_cancelled(box);
    for (e = TAILQ_FIRST(&box->batch); e; e = TAILQ_NEXT(e, link)) {
        e->state = ENTRY_TODO;
        n++;
    }
    while (n < QUEUE_BATCH_MAX && (e = TAILQ_FIRST(&box->waiting))) {
        TAILQ_REMOVE(&box->waiting, e, link);
        TAILQ_INSERT_TAIL(&box->batch, e, link);
        n++;
    }
    return n;
}

static void start(struct mailbox *box)
{
    int r;

    if (!fill_batch(box)) {
        mailbox_free(box);
        return;
    }
    box->committed = 0;
    box->running = 1;
    r = box->a.svc->offload(box->a.host, append_batch, finished, box);
    if (r < 0) {
        box->running = 0;
        defer_batch(box, STATUS(4, 3, 0), POSTERN_CAUSE_PLUGIN, strerror(-r));
        next_batch(box);
    }
}

/* --- from outside --- */

void queue_init(struct queue *q, const struct append *a)
{
    memset(q, 0, sizeof *q);
    q->a = *a;
    LIST_INIT(&q->entries);
}

static struct entry *entry_new(const struct append *a, postern_job *job, size_t i,
                               const struct addressee *whom)
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
    e->whom = *whom;
    return e;
}

int queue_add(struct queue *q, postern_job *job, size_t i, const struct addressee *whom)
{
    struct mailbox *box = mailbox_get(q, whom);
    struct entry *e = box ? entry_new(&q->a, job, i, whom) : NULL;

    if (!e) {
        if (box && !box->running && !box->timer)
            mailbox_free(box);
        return -ENOMEM;
    }
    e->box = box;
    LIST_INSERT_HEAD(&q->entries, e, all);
    TAILQ_INSERT_TAIL(&box->waiting, e, link);
    if (!box->running && !box->timer)
        start(box);
    return 0;
}

static void cancel_entry(struct entry *e)
{
    struct mailbox *box = e->box;
    struct problem p;
    int committed;

    pthread_mutex_lock(&box->lock);
    committed = box->running && box->committed && e->state == ENTRY_DONE;
    e->cancelled = 1;
    pthread_mutex_unlock(&box->lock);
    if (committed) { /* it is too late: done is on its way, and will find nothing left to say */
        settle(e, &e->problem);
        return;
    }
    problem_set(&p, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 4, 0),
                "delivery took too long: gave up while %s the mailbox of %s",
                box->timer || box->locked_since ? "waiting for another program's lock on"
                                                : "writing to",
                e->whom.name);
    settle(e, &p);
}

static int is_waiting(const struct entry *e)
{
    const struct entry *w;

    for (w = TAILQ_FIRST(&e->box->waiting); w; w = TAILQ_NEXT(w, link)) {
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
            entry_free(e, &e->box->waiting);
    }
}

/* All jobs are settled: what is left are cancelled entries, whose batch waits for a lock. A batch
 * that a thread is still at (the host lets threads end first, so this should not be) is left to
 * it. */
void queue_done(struct queue *q)
{
    for (size_t i = 0; i < QUEUE_BUCKETS; i++) {
        struct mailbox *box, *next;

        for (box = LIST_FIRST(&q->buckets[i]); box; box = next) {
            next = LIST_NEXT(box, link);
            if (box->running)
                continue;
            if (box->timer)
                q->a.svc->forget(q->a.host, box->timer);
            drop_cancelled(box);
            mailbox_free(box);
        }
    }
}
