/* spool/journal-compact.c: gives back the room of segments that a few messages keep alive.
 *
 * One segment at a time: its live messages (each with its newest state), newest states and DONE
 * records that are still needed are copied to the current segment, in slices small enough not to
 * hold up new mail; when all of them are durable there, nothing keeps the old segment.
 *
 * While that goes on, messages are on the disk twice, so the old segment is marked as a barrier:
 * until it is gone, no younger one goes, since it may hold the DONE record that the old copy will
 * need. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/text.h"

#define SLICE_RECORDS  128u
#define SLICE_BYTES    524288u
#define AGE_USEC       600000000 /* a segment rests so long before it is worth it, unless ... */
#define PRESSURE       4u  /* ... the segments are so many times the live bytes in them       */
#define LIVE_FRACTION  4u  /* live bytes below 1/4 of the segment                             */
#define TOMBS_FRACTION 16u /* nothing but DONE records, below 1/16 of it: worth it at once    */
#define TINY_FRACTION  8u  /* a segment so much smaller than segment_bytes: better merged     */
#define TOMB_LEN       (FORMAT_HEADER + FORMAT_DONE_LEN)

/* --- choice --- */

/* The segments hold far more than what is live in them. */
static int under_pressure(const struct journal *j)
{
    uint64_t all = 0, live = 0;

    LIST_EACH (&j->segments, n) {
        const struct segment *s = CONTAINER(n, const struct segment, link);

        all += s->size;
        live += s->live_bytes;
    }
    return j->stats.full || all > 2 * j->cfg.segment_bytes + PRESSURE * live;
}

static int worth_it(const struct journal *j, const struct segment *s, int pressure)
{
    uint64_t tombs = (uint64_t)s->tombs_needed * TOMB_LEN, live = s->live_bytes + tombs;
    int rested = pressure || clock_mono() - s->sealed_usec >= AGE_USEC;

    if (!s->sealed || s->dropping || s->unmovable || !live)
        return 0;
    if (s->barrier)
        return 1;
    if (!s->live_bytes && tombs < s->size / TOMBS_FRACTION)
        return 1;
    return rested &&
        (live < s->size / LIVE_FRACTION || s->size < j->cfg.segment_bytes / TINY_FRACTION);
}

/* The oldest first: what it needed of others is then free as well. */
static struct segment *choose(const struct journal *j)
{
    int pressure = under_pressure(j);

    if (j->reading)
        return NULL; /* what an analysis is to see must not go first */
    LIST_EACH (&j->segments, n) {
        struct segment *s = CONTAINER(n, struct segment, link);

        if (worth_it(j, s, pressure))
            return s;
    }
    return NULL;
}

/* --- slices --- */

struct slice {
    uint32_t records;
    uint64_t bytes;
};

static int slice_full(const struct slice *slice)
{
    return slice->records >= SLICE_RECORDS || slice->bytes >= SLICE_BYTES;
}

static void hand(struct journal *j, struct request *r, struct slice *slice)
{
    slice->records++;
    slice->bytes += r->len;
    j->compact.in_flight++;
    journal_hand(j, r);
}

/* with_message 0: only its newest state. 0, or -errno when a segment can't be opened. */
static int copy_entry(struct journal *j, struct journal_entry *e, int with_message,
                      struct slice *slice)
{
    struct request *r = request_new(REQ_COPY, e->base.id, 0);

    r->len = 0;
    if (with_message) {
        r->u.copy.message.file = segment_open(j, e->segment);
        r->u.copy.message.at = e->at;
        r->u.copy.message.len = entry_record_len(e);
        r->len += r->u.copy.message.len;
    }
    if (e->state_segment) {
        r->u.copy.state.file = segment_open(j, e->state_segment);
        r->u.copy.state.at = e->state_at;
        r->u.copy.state.len = FORMAT_HEADER + e->state_len;
        r->len += r->u.copy.state.len;
    }
    if ((with_message && !r->u.copy.message.file) || (e->state_segment && !r->u.copy.state.file)) {
        int err = -errno;

        journal_file_unref(&r->u.copy.message.file);
        journal_file_unref(&r->u.copy.state.file);
        request_free(r);
        return err;
    }
    r->entry = e;
    e->copying = 1;
    hand(j, r, slice);
    return 0;
}

/* What is busy or done is about to change by itself; a later slice finds what is left of it. */
static int idle(const struct journal_entry *e)
{
    return !e->busy && !e->done && !e->copying;
}

static int slice_entries(struct journal *j, struct segment *s, struct slice *slice)
{
    LIST_EACH (&s->messages, n) {
        struct journal_entry *e = CONTAINER(n, struct journal_entry, in_messages);

        if (slice_full(slice))
            return 0;
        if (idle(e)) {
            int r = copy_entry(j, e, 1, slice);

            if (r < 0)
                return r;
        }
    }
    LIST_EACH (&s->states, n) {
        struct journal_entry *e = CONTAINER(n, struct journal_entry, in_states);

        if (slice_full(slice))
            return 0;
        if (idle(e)) {
            int r = copy_entry(j, e, 0, slice);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

static void slice_tombs(struct journal *j, struct segment *s, struct slice *slice)
{
    while (s->tombs_needed && s->tombs_n && !slice_full(slice)) {
        struct segment_tomb *t = &s->tombs[--s->tombs_n];
        struct request *r;

        if (!segment_find(j, t->of))
            continue;
        r = request_new(REQ_TOMB, t->id, FORMAT_DONE_LEN);
        format_u32(r->head + FORMAT_HEADER, t->of);
        r->u.tomb.of = t->of;
        r->u.tomb.from = s;
        r->sync = 1;
        hand(j, r, slice);
    }
}

/* --- the work --- */

static void next_slice(struct journal *j)
{
    struct segment *s = j->compact.victim;
    struct slice slice = { 0, 0 };
    int r = slice_entries(j, s, &slice);

    if (r < 0) /* no descriptors, say: the tick tries again */
        log_event(POSTERN_LOG_ERROR, "spool", "spool.compact.failed",
                  "segment=%" PRIu32 " error=%s", s->seq, log_q(strerror(-r)));
    slice_tombs(j, s, &slice);
}

/* One step: chooses a segment if need be, and hands over a slice of it. */
static void step(void *arg)
{
    struct journal *j = arg;
    struct compaction *c = &j->compact;

    if (c->in_flight || j->closing)
        return;
    if (!c->victim || c->victim->unmovable)
        c->victim = choose(j);
    if (!c->victim)
        return;
    c->victim->barrier = 1;
    next_slice(j);
}

void compact_init(struct journal *j)
{
    j->compact.task.run = step;
    j->compact.task.ctx = j;
}

void compact_consider(struct journal *j)
{
    if (!j->closing && !j->compact.in_flight)
        loop_note(j->loop, &j->compact.task, LOOP_STAGE_WORK);
}

/* --- coming back --- */

static void moved(struct journal *j, struct request *r)
{
    struct journal_entry *e = r->entry;
    uint32_t at = r->at;

    if (r->u.copy.message.file) {
        entry_place(e, r->segment, at);
        e->moved = 1;
        at += r->u.copy.message.len;
    }
    if (r->u.copy.state.file)
        entry_place_state(e, r->segment, at, r->u.copy.state.len - FORMAT_HEADER);
    j->stats.compacted++;
}

/* A full or failing disk is nothing new to those who watch it; the tick tries again. What can't be
 * read stays where it is, and its segment with it. */
static void not_moved(struct journal *j, const struct request *r)
{
    const struct journal_entry *e = r->entry;
    char id[14];

    if (!r->u.copy.unreadable)
        return;
    log_event(POSTERN_LOG_ERROR, "spool", "spool.compact.failed",
              "id=%s segment=%" PRIu32 " at=%" PRIu32 " error=%s",
              text_id(e->base.id, id, sizeof id), e->segment->seq, e->at,
              log_q(strerror(-r->result)));
    if (j->compact.victim)
        j->compact.victim->unmovable = 1;
}

static void copy_completed(struct journal *j, struct request *r)
{
    struct journal_entry *e = r->entry;

    e->copying = 0;
    if (r->result)
        not_moved(j, r);
    else
        moved(j, r);
    if (e->done)
        journal_hand_done(j, e);
    journal_file_unref(&r->u.copy.message.file);
    journal_file_unref(&r->u.copy.state.file);
    free(r->u.copy.blob);
}

static void tomb_completed(struct journal *j, struct request *r)
{
    struct segment *of = segment_find(j, r->u.tomb.of);

    if (r->result)
        return;
    /* Of a message that was refused: only now, or a crash could bring it back without content. */
    if (!r->u.tomb.from && !r->u.tomb.asked && !j->closing && idmap_get(j->files, r->id))
        journal_hand(j, request_new(REQ_REMOVE, r->id, 0));
    if (!of)
        return;
    if (r->u.tomb.from)
        segment_tomb_moved(r->u.tomb.from, r->segment, of, r->id);
    else
        segment_tomb_add(r->segment, of, r->id);
}

void compact_completed(struct journal *j, struct request *r)
{
    struct compaction *c = &j->compact;
    int ours = r->kind == REQ_COPY || r->u.tomb.from;
    int go_on = !r->result;

    if (r->kind == REQ_COPY)
        copy_completed(j, r);
    else
        tomb_completed(j, r);
    request_free(r);
    if (!ours || --c->in_flight)
        return;
    if (c->victim)
        segment_check(j, c->victim);
    if (go_on)
        compact_consider(j);
}
