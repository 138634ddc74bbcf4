/* queue/quarantine.c: messages that were there when a worker died.
 *
 * The supervisor says which, before the queue starts: those that did it are put on hold; those that
 * may have are delivered one at a time, so that if it happens again there is no doubt. */
#include "queue/private.h"

#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/mem.h"
#include "util/text.h"

#define SUSPECT_AGAIN 100000 /* usec until a suspect looks whether it is its turn */

struct mark {
    int suspect;
    char why[];
};

static void mark(struct queue *q, uint64_t id, int suspect, const char *why)
{
    size_t len = strlen(why) + 1;
    struct mark *m = mem_alloc(sizeof *m + len);

    m->suspect = suspect;
    memcpy(m->why, why, len);
    free(idmap_del(q->marked, id));
    idmap_set(q->marked, id, m);
}

void queue_quarantine(struct queue *q, uint64_t id, const char *why)
{
    mark(q, id, 0, why);
}

void queue_suspect(struct queue *q, uint64_t id)
{
    mark(q, id, 1, "");
}

void queue_on_held(struct queue *q, void (*held)(void *ctx, uint64_t id), void *ctx)
{
    q->held = held;
    q->held_ctx = ctx;
}

static void hold_all(struct queue *q, struct qmsg *m, const char *why)
{
    static const uint16_t held[3] = { 4, 3, 0 };
    char id[16];
    int changed = 0;

    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        struct qrcpt *r = &m->rcpts[i];

        if (r->state != RCPT_WAITING || r->routed)
            continue;
        rcpt_text(q, r, why, held);
        rcpt_hold(q, r, 0);
        changed = 1;
    }
    if (!changed)
        return; /* it was held before */
    log_event(POSTERN_LOG_ERROR, "queue", "message.held", "id=%s why=%s",
              text_id(m->id, id, sizeof id), log_q(why));
    msg_settled(q, m, 1);
}

void quarantine_apply(struct queue *q, struct qmsg *m)
{
    uint64_t id = m->id;
    struct mark *k = idmap_get(q->marked, id);

    if (!k)
        return;
    if (k->suspect) {
        m->suspect = 1;
        return;
    }
    /* Once: who releases it wants it tried again, whatever is adopted later. */
    idmap_del(q->marked, id);
    hold_all(q, m, k->why);
    free(k);
    if (q->held)
        q->held(q->held_ctx, id);
}

void quarantine_apply_all(struct queue *q)
{
    if (!idmap_count(q->marked))
        return;
    LIST_EACH_SAFE (&q->messages, it, tmp)
        quarantine_apply(q, CONTAINER(it, struct qmsg, link));
}

int quarantine_waits(struct queue *q, struct qmsg *m)
{
    if (!m->suspect)
        return 0;
    if (q->suspect && q->suspect != m->id) {
        heap_move(&q->due, &m->due, loop_now(q->loop) + SUSPECT_AGAIN);
        return 1;
    }
    q->suspect = m->id;
    return 0;
}

void quarantine_stay(struct queue *q, struct qmsg *m)
{
    if (q->suspect == m->id)
        q->suspect = 0;
}

void quarantine_over(struct queue *q, struct qmsg *m)
{
    if (!m->suspect)
        return;
    quarantine_stay(q, m);
    m->suspect = 0;
    free(idmap_del(q->marked, m->id));
}

void quarantine_free(struct queue *q)
{
    idmap_each(q->marked, free);
    idmap_free(&q->marked);
}
