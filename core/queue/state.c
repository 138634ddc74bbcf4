/* queue/state.c: what has become of each recipient, as the spool keeps it; and when to try again.
 *
 * Times are stored by the wall clock and kept in memory by the monotonic one: a corrected wall
 * clock neither wakes the whole queue nor puts it to sleep, and only a restart translates. */
#include "queue/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

#define STATE_VERSION 1u
#define NEXT_TRY_MAX \
    ((int64_t)30 * 86400 * 1000000) /* a stored time further off is a broken clock's */

void state_encode(const struct queue *q, const struct qmsg *m, struct buf *out)
{
    int64_t to_wall = clock_wall() - loop_now(q->loop);

    buf_put_u8(out, STATE_VERSION);
    buf_put_u16(out, m->env->rcpt_n);
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        const struct qrcpt *r = &m->rcpts[i];

        buf_put_u8(out, r->state);
        buf_put_u8(out, r->reason);
        buf_put_u8(out, r->smtp);
        buf_put_u16(out, r->tries);
        for (int k = 0; k < 3; k++)
            buf_put_u16(out, r->status[k]);
        buf_put_u64(out, (uint64_t)(r->next_try ? r->next_try + to_wall : 0));
        buf_put_u32(out, r->tried);
        buf_put_str(out, r->text);
        buf_put_str(out, r->remote);
        buf_put_str(out, r->decision);
    }
}

static const char *read_text(struct rd *in, struct intern *texts)
{
    size_t len;
    const char *s = rd_bytes(in, &len);
    char cut[QUEUE_TEXT_MAX];

    if (!len)
        return NULL;
    return intern_ref(texts, postern_text_clean(s, len, cut, sizeof cut));
}

static void rcpt_decode(struct queue *q, struct qrcpt *r, struct rd *in, int64_t to_mono,
                        int64_t now)
{
    uint8_t state = rd_u8(in), reason = rd_u8(in);
    int64_t next;

    r->smtp = rd_u8(in);
    r->tries = rd_u16(in);
    for (int k = 0; k < 3; k++)
        r->status[k] = rd_u16(in);
    next = (int64_t)rd_u64(in);
    if (next && __builtin_add_overflow(next, to_mono, &next))
        next = now;
    r->next_try = next > now + NEXT_TRY_MAX ? now : next;
    r->tried = rd_u32(in);
    intern_unref(q->texts, &r->text);
    intern_unref(q->texts, &r->remote);
    intern_unref(q->texts, &r->decision);
    r->text = read_text(in, q->texts);
    r->remote = read_text(in, q->texts);
    r->decision = read_text(in, q->texts);
    if (in->bad || state > RCPT_HELD || reason >= WAIT_REASONS) {
        in->bad = 1;
        return;
    }
    /* What was in flight or waiting its turn is, after a restart, simply due. */
    if (state == RCPT_WAITING && (reason == WAIT_IN_FLIGHT || reason == WAIT_LIMIT))
        reason = r->tries ? WAIT_BACKOFF : WAIT_NEW;
    rcpt_set(q, r, state, reason);
}

int state_decode(struct queue *q, struct qmsg *m, const void *data, size_t len)
{
    struct rd in = rd_of(data, len);
    int64_t now = q->loop ? loop_now(q->loop) : clock_mono(), to_mono = now - clock_wall();

    if (rd_u8(&in) != STATE_VERSION || rd_u16(&in) != m->env->rcpt_n || in.bad)
        return -EBADMSG;
    for (size_t i = 0; i < m->env->rcpt_n && !in.bad; i++)
        rcpt_decode(q, &m->rcpts[i], &in, to_mono, now);
    if (!in.bad)
        return 0;
    for (size_t i = 0; i < m->env->rcpt_n; i++)
        rcpt_set(q, &m->rcpts[i], RCPT_WAITING, WAIT_NEW);
    return -EBADMSG;
}

int64_t jittered(struct queue *q, int64_t usec)
{
    int64_t span = usec / 100 * q->config->queue.jitter;

    return span > 0
        ? usec - span + (int64_t)((double)rand_r(&q->seed) / RAND_MAX * 2 * (double)span)
        : usec;
}

/* tries counts from 1: the delay after the first try is the first of the list; the last one
 * repeats. */
int64_t retry_delay(struct queue *q, unsigned tries)
{
    size_t i = tries > 0 ? tries - 1 : 0;

    if (!q->retry_n)
        return jittered(q, POSTERN_MINUTES(30));
    return jittered(q, q->retry[i < q->retry_n ? i : q->retry_n - 1]);
}
