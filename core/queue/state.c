/* queue/state.c: what has become of each recipient, as the spool keeps it; and when to try again.
 *
 * Times are stored by the wall clock and kept in memory by the monotonic one: a corrected wall
 * clock neither wakes the whole queue nor puts it to sleep, nor makes it too old to wait on. Only
 * when another process reads them must it be known how much time has passed since they were
 * written. In the same boot the kernel's own clock says so. After another one there is only the
 * wall clock, which may be years off before somebody sets it: it is believed for a day at most. A
 * gateway that was off for longer gives its mail that much longer, rather than return it unasked.
 */
#include "queue/branch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"

#define STATE_UNDATED  1u /* did not say when it was written */
#define STATE_SINGLY   2u /* each recipient for itself, and 16 bits for their number */
#define STATE_BRANCHED 3u /* the same, and behind it the leaves of recipients that have several */
#define STATE_RUNS     4u /* recipients that are alike are written once */
#define RCPT_SMTP      1u /* flags of a recipient */
#define RCPT_HELD_BY   1  /* shifts of HOLD_* */
#define RCPT_RELEASED  3
#define NEXT_TRY_MAX \
    ((int64_t)30 * 86400 * 1000000)        /* a stored time further off is a broken clock's */
#define GAP_MAX ((int64_t)86400 * 1000000) /* what the wall clock alone can make a message older */
#define AGE_MAX ((int64_t)100 * 366 * 86400 * 1000000) /* likewise */

struct dated {               /* when the state was written */
    int64_t wall, boot, age; /* age: of the message, then */
    uint64_t boot_id;        /* which boot `boot` counts from */
};

int64_t state_gap(int64_t usec)
{
    return usec < 0 ? 0 : usec > GAP_MAX ? GAP_MAX : usec;
}

/* How much time has passed since. */
static int64_t gap_since(const struct queue *q, const struct dated *d)
{
    int64_t gap;

    if (d->boot_id && d->boot_id == q->boot) {
        gap = clock_boot() - d->boot;
        return gap < 0 ? 0 : gap;
    }
    return __builtin_sub_overflow(clock_wall(), d->wall, &gap) ? 0 : state_gap(gap);
}

/* What is kept of a recipient. Of those of a list that are served nobody will ask what was said:
 * without it they are alike. */
static struct qrcpt kept(const struct qmsg *m, size_t i)
{
    const struct qrcpt *r = &m->rcpts[i];

    if (m->env->rcpt_n > QUEUE_BULK && (r->state == RCPT_DELIVERED || r->state == RCPT_DONE))
        return (struct qrcpt){ .state = r->state };
    return *r;
}

static int alike(const struct qrcpt *a, const struct qrcpt *b)
{
    return a->next_try == b->next_try && a->text == b->text && a->remote == b->remote &&
        a->decision == b->decision && !memcmp(a->status, b->status, sizeof a->status) &&
        a->tries == b->tries && a->state == b->state && a->reason == b->reason &&
        a->smtp == b->smtp && a->held == b->held && a->released == b->released &&
        a->tried == b->tried;
}

static void rcpt_encode(const struct qrcpt *r, int64_t to_wall, struct buf *out)
{
    buf_put_u8(out, r->state);
    buf_put_u8(out, r->reason);
    buf_put_u8(out,
               (uint8_t)(r->smtp * RCPT_SMTP | (unsigned)r->held << RCPT_HELD_BY |
                         (unsigned)r->released << RCPT_RELEASED));
    buf_put_u16(out, r->tries);
    for (int k = 0; k < 3; k++)
        buf_put_u16(out, r->status[k]);
    buf_put_u64(out, (uint64_t)(r->next_try ? r->next_try + to_wall : 0));
    buf_put_u32(out, r->tried);
    buf_put_str(out, r->text);
    buf_put_str(out, r->remote);
    buf_put_str(out, r->decision);
}

void state_encode(const struct queue *q, const struct qmsg *m, struct buf *out)
{
    int64_t now = loop_now(q->loop), wall = clock_wall(), to_wall = wall - now;
    int branched = branch_any(q, m);

    buf_put_u8(out, STATE_RUNS);
    buf_put_u8(out, (uint8_t)branched);
    buf_put_u32(out, m->env->rcpt_n);
    buf_put_u64(out, (uint64_t)wall);
    buf_put_u64(out, (uint64_t)clock_boot());
    buf_put_u64(out, (uint64_t)(now - m->born));
    buf_put_u64(out, q->boot);
    for (size_t i = 0, n; i < m->env->rcpt_n; i += n) {
        struct qrcpt first = kept(m, i), next;

        for (n = 1; i + n < m->env->rcpt_n; n++) {
            next = kept(m, i + n);
            if (!alike(&first, &next))
                break;
        }
        buf_put_u32(out, (uint32_t)n);
        rcpt_encode(&first, to_wall, out);
    }
    if (branched)
        branch_encode(q, m, out);
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
    uint8_t state = rd_u8(in), reason = rd_u8(in), flags = rd_u8(in);
    int64_t next;

    r->smtp = (flags & RCPT_SMTP) != 0;
    r->held = flags >> RCPT_HELD_BY & 3u;
    r->released = flags >> RCPT_RELEASED & 3u;
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

/* A damaged record may say anything: nothing of it may overflow, or make a message that never
 * expires. */
static int dates_decode(struct queue *q, struct qmsg *m, struct rd *in, int64_t now,
                        int64_t *ret_to_mono)
{
    struct dated d = { 0 };
    int64_t gap;

    d.wall = (int64_t)rd_u64(in);
    d.boot = (int64_t)rd_u64(in);
    d.age = (int64_t)rd_u64(in);
    d.boot_id = rd_u64(in);
    if (in->bad || d.age < 0 || d.age > AGE_MAX || d.boot < 0)
        return -EBADMSG;
    gap = gap_since(q, &d);
    if (__builtin_sub_overflow(now - gap, d.wall, ret_to_mono) ||
        __builtin_sub_overflow(now - gap, d.age, &m->born))
        return -EBADMSG;
    return 0;
}

/* The same for the recipients behind it, up to `end`. */
static void rcpt_repeat(struct queue *q, const struct qrcpt *from, struct qrcpt *to,
                        const struct qrcpt *end)
{
    for (; to < end; to++) {
        intern_unref(q->texts, &to->text);
        intern_unref(q->texts, &to->remote);
        intern_unref(q->texts, &to->decision);
        to->next_try = from->next_try;
        memcpy(to->status, from->status, sizeof to->status);
        to->tries = from->tries;
        to->tried = from->tried;
        to->smtp = from->smtp;
        to->held = from->held;
        to->released = from->released;
        to->text = intern_ref(q->texts, from->text);
        to->remote = intern_ref(q->texts, from->remote);
        to->decision = intern_ref(q->texts, from->decision);
        rcpt_set(q, to, from->state, from->reason);
    }
}

static void runs_decode(struct queue *q, struct qmsg *m, struct rd *in, int64_t to_mono,
                        int64_t now)
{
    for (size_t i = 0, n; i < m->env->rcpt_n && !in->bad; i += n) {
        n = rd_u32(in);
        if (!n || n > m->env->rcpt_n - i) {
            in->bad = 1;
            return;
        }
        rcpt_decode(q, &m->rcpts[i], in, to_mono, now);
        if (!in->bad)
            rcpt_repeat(q, &m->rcpts[i], &m->rcpts[i + 1], &m->rcpts[i + n]);
    }
}

static int rcpts_decode(struct queue *q, struct qmsg *m, struct rd *in)
{
    int64_t now = q->loop ? loop_now(q->loop) : clock_mono(), to_mono = now - clock_wall();
    uint8_t version = rd_u8(in);
    int branched = version == STATE_BRANCHED;

    if (version < STATE_UNDATED || version > STATE_RUNS)
        return -EBADMSG;
    if (version == STATE_RUNS)
        branched = rd_u8(in) != 0;
    if ((version == STATE_RUNS ? rd_u32(in) : rd_u16(in)) != m->env->rcpt_n || in->bad)
        return -EBADMSG;
    if (version != STATE_UNDATED && dates_decode(q, m, in, now, &to_mono) < 0)
        return -EBADMSG;
    if (version == STATE_RUNS)
        runs_decode(q, m, in, to_mono, now);
    for (size_t i = 0; version != STATE_RUNS && i < m->env->rcpt_n && !in->bad; i++)
        rcpt_decode(q, &m->rcpts[i], in, to_mono, now);
    if (branched && !in->bad)
        return branch_decode(q, m, in);
    return in->bad ? -EBADMSG : 0;
}

int state_decode(struct queue *q, struct qmsg *m, const void *data, size_t len)
{
    struct rd in = rd_of(data, len);
    int r = rcpts_decode(q, m, &in);

    for (size_t i = 0; r < 0 && i < m->env->rcpt_n; i++)
        rcpt_set(q, &m->rcpts[i], RCPT_WAITING, WAIT_NEW);
    return r;
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
int64_t retry_delay(struct queue *q, const struct route_group *g, unsigned tries)
{
    const int64_t *retry = g && g->retry_n ? g->retry : q->retry;
    size_t n = g && g->retry_n ? g->retry_n : q->retry_n, i = tries > 0 ? tries - 1 : 0;

    if (!n)
        return jittered(q, POSTERN_MINUTES(30));
    return jittered(q, retry[i < n ? i : n - 1]);
}

int64_t group_wait(const struct route_group *g)
{
    time_t now = (time_t)(clock_wall() / 1000000);
    struct tm tm;

    if (!g || !g->hours_n || !localtime_r(&now, &tm))
        return 0;
    return (int64_t)route_group_wait(g, (unsigned)(tm.tm_hour * 60 + tm.tm_min),
                                     (unsigned)tm.tm_sec) *
        1000000;
}
