/* batch.c: see batch.h.
 *
 * A job can be cancelled while the thread is at work. The mutex makes that clean: content is read
 * under it, so nobody reads content whose job is gone; and the decision that the batch is durable
 * is taken under it, so a recipient that was reported as deferred is not in the file, and what is
 * in the file is reported as delivered. */
#include "batch.h"

#include <errno.h>
#include <string.h>

int64_t batch_read(struct delivery *d, uint64_t at, void *buf, size_t len)
{
    struct place *p = d->place;
    int64_t n = -ECANCELED;

    pthread_mutex_lock(&p->lock);
    if (!d->cancelled)
        n = p->a.svc->content_read(d->content, at, buf, len);
    pthread_mutex_unlock(&p->lock);
    return n;
}

void batch_settle(struct place *p, const struct problem *problem)
{
    struct delivery *d;

    for (d = TAILQ_FIRST(&p->batch); d; d = TAILQ_NEXT(d, link)) {
        if (d->state != DELIVERY_TODO && d->state != DELIVERY_WRITTEN)
            continue;
        d->problem = *problem;
        d->state = DELIVERY_DONE;
    }
}

/* A worker was killed while it appended here: what it left was taken out, and comes again whole. */
static void log_torn(const struct batch *b)
{
    const struct queue_for *a = &b->place->a;
    const struct tail *t = b->tail;

    if (t->torn > 0)
        a->svc->log(a->host, POSTERN_LOG_NOTICE, b->torn,
                    "path=%s at=%llu removed=%llu note=\"a delivery was cut short here\"",
                    POSTERN_LOG_QUOTED(t->name), (unsigned long long)t->torn_at,
                    (unsigned long long)t->torn_len);
    else if (t->torn < 0)
        a->svc->log(
            a->host, POSTERN_LOG_WARNING, b->torn,
            "path=%s why=\"a delivery was cut short here, and what is there now is not only "
            "ours: it stays\"",
            POSTERN_LOG_QUOTED(t->name));
}

/* Takes the delivery's message out again. */
static int undo(const struct batch *b, const struct delivery *d)
{
    const struct queue_for *a = &b->place->a;
    int r = b->tail->size == d->start ? 0 : tail_undo(b->tail, d->start);

    if (r < 0)
        a->svc->log(a->host, POSTERN_LOG_ERROR, b->damaged,
                    "path=%s why=\"an unfinished message could not be removed: %s\" at=%llu",
                    POSTERN_LOG_QUOTED(b->tail->name), strerror(-r), (unsigned long long)d->start);
    return r;
}

static void append_one(const struct batch *b, struct delivery *d)
{
    int r;

    d->start = b->tail->size;
    r = b->append(b->work, d);
    d->state = r < 0 ? DELIVERY_DONE : DELIVERY_WRITTEN;
    if (r < 0)
        (void)undo(b, d);
}

/* Who was written is delivered now, unless somebody was cancelled in the meantime: returns him. */
static struct delivery *commit(const struct batch *b)
{
    struct place *p = b->place;
    struct delivery *d, *gone = NULL;

    pthread_mutex_lock(&p->lock);
    for (d = TAILQ_FIRST(&p->batch); d && !gone; d = TAILQ_NEXT(d, link)) {
        if (d->cancelled && d->state == DELIVERY_WRITTEN)
            gone = d;
    }
    for (d = gone ? NULL : TAILQ_FIRST(&p->batch); d; d = TAILQ_NEXT(d, link)) {
        if (d->state != DELIVERY_WRITTEN)
            continue;
        problem_set(&d->problem, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, STATUS(2, 0, 0),
                    "delivered to %s %s", b->tail->how->what, b->tail->name);
        d->state = DELIVERY_DONE;
    }
    if (!gone)
        p->committed = 1;
    pthread_mutex_unlock(&p->lock);
    return gone;
}

/* Takes a cancelled message out of the file again. Those behind it have to be written once more. */
static int take_out(const struct batch *b, struct delivery *gone)
{
    int r = undo(b, gone);

    if (r < 0)
        return r;
    gone->state = DELIVERY_DONE;
    for (struct delivery *d = TAILQ_NEXT(gone, link); d; d = TAILQ_NEXT(d, link)) {
        if (d->state == DELIVERY_WRITTEN)
            d->state = DELIVERY_TODO;
    }
    return 0;
}

void batch_append(const struct batch *b)
{
    const struct tail *t = b->tail;
    struct delivery *d, *gone;
    struct problem p;
    int r;

    log_torn(b);
    do {
        for (d = TAILQ_FIRST(&b->place->batch); d; d = TAILQ_NEXT(d, link)) {
            if (d->state == DELIVERY_TODO)
                append_one(b, d);
        }
        r = tail_sync(b->tail);
        if (r < 0) {
            problem_errno_of(&p, t->how->errors, -r, "make durable", t->name);
            batch_settle(b->place, &p); /* tail_close takes them out */
            return;
        }
        gone = commit(b);
    } while (gone && take_out(b, gone) == 0);
    if (gone) {
        problem_set(&p, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 0),
                    "the %s %s could not be cut back", t->how->what, t->name);
        batch_settle(b->place, &p);
    }
}
