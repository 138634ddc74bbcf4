/* queue/bulk.c: a message to many: a list's members, all in one envelope.
 *
 * What is done for each event of a message is done with all of its recipients in view; for a
 * hundred thousand of them that would be done a thousand times. So such a message has a bounded
 * number of jobs, and the next ones are made where the last were left off when half of those have
 * ended. Its state is written as often as that takes a twentieth of the time, and always when it
 * comes to rest: after a crash, who was served in the meantime is served again. */
#include "queue/private.h"

#include <stdlib.h>

#include "util/clock.h"
#include "util/mem.h"

#define SAVE_SHARE 20 /* of the time */

struct qbulk *bulk_get(struct queue *q, struct qmsg *m)
{
    struct qbulk *b;

    if (m->env->rcpt_n <= QUEUE_BULK)
        return NULL;
    b = idmap_get(q->bulk, m->id);
    if (b)
        return b;
    b = mem_zalloc(sizeof *b);
    b->msg = m;
    list_add_tail(&q->bulks, &b->link);
    idmap_set(q->bulk, m->id, b);
    return b;
}

void bulk_forget(struct queue *q, struct qmsg *m)
{
    struct qbulk *b = m->env->rcpt_n > QUEUE_BULK ? idmap_del(q->bulk, m->id) : NULL;

    if (!b)
        return;
    list_del(&b->link);
    free(b);
}

/* --- routing, a stretch at a time --- */

int bulk_is_full(const struct qbulk *b, const struct qmsg *m, size_t fresh)
{
    return b && m->jobs + fresh >= QUEUE_BULK_JOBS;
}

void bulk_begin(const struct qbulk *b, const struct qmsg *m, size_t *ret_i, const char **ret_rcpt)
{
    *ret_i = b && b->more ? b->at : 0;
    *ret_rcpt = b && b->more ? m->env->text + b->offset : envelope_first_rcpt(m->env);
}

void bulk_stop(struct qbulk *b, const struct qmsg *m, size_t i, const char *rcpt, int full)
{
    b->more = 1;
    b->full = full;
    b->at = i;
    b->offset = (size_t)(rcpt - m->env->text);
}

void bulk_end(struct qbulk *b)
{
    if (b)
        b->more = 0;
}

/* --- what became of them --- */

void bulk_save(struct queue *q, struct qmsg *m)
{
    struct qbulk *b = bulk_get(q, m);
    int64_t now = b ? clock_mono() : 0;

    if (b && m->jobs && q->running && now < b->save_at) {
        b->unsaved = 1;
        return;
    }
    msg_save(q, m);
    if (!b)
        return;
    b->unsaved = 0;
    b->save_at = now + SAVE_SHARE * (clock_mono() - now);
}

int bulk_unsaved(struct queue *q, struct qmsg *m)
{
    struct qbulk *b = bulk_get(q, m);

    return b && b->unsaved;
}

void bulk_save_all(struct queue *q)
{
    LIST_EACH (&q->bulks, it) {
        struct qbulk *b = CONTAINER(it, struct qbulk, link);

        if (b->unsaved)
            msg_save(q, b->msg);
        b->unsaved = 0;
    }
}

/* In the next turn at the earliest: there is other mail. */
int bulk_settled(struct queue *q, struct qmsg *m, int changed)
{
    struct qbulk *b = bulk_get(q, m);

    if (!b || !b->more)
        return 0;
    if (changed || b->unsaved)
        bulk_save(q, m);
    if (m->bouncing || (b->full && m->jobs > QUEUE_BULK_JOBS / 2))
        heap_remove(&q->due, &m->due);
    else
        heap_move(&q->due, &m->due, loop_now(q->loop) + 1);
    return 1;
}
