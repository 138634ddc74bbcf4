/* spool/journal-entry.c: what becomes of a message: its state, and its end. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/mem.h"
#include "util/text.h"

struct journal_entry *entry_new(uint64_t id, uint64_t size, uint32_t meta_len, int large)
{
    struct journal_entry *e = mem_zalloc(sizeof *e);

    e->base.id = id;
    e->base.size = size;
    e->meta_len = meta_len & ((1u << 26) - 1);
    e->large = large ? 1 : 0;
    list_init(&e->in_messages);
    list_init(&e->in_states);
    return e;
}

uint32_t entry_record_len(const struct journal_entry *e)
{
    return FORMAT_HEADER + FORMAT_WORD + e->meta_len +
        (e->large ? FORMAT_LARGE_LEN : (uint32_t)e->base.size);
}

void entry_place(struct journal_entry *e, struct segment *s, uint32_t at)
{
    if (e->segment)
        e->segment->live_bytes -= entry_record_len(e);
    if (e->segment && e->segment->cursor == &e->in_messages)
        e->segment->cursor = e->in_messages.next;
    list_del(&e->in_messages);
    e->segment = s;
    e->at = at;
    if (!s)
        return;
    list_add_tail(&s->messages, &e->in_messages);
    s->live_bytes += entry_record_len(e);
}

void entry_place_state(struct journal_entry *e, struct segment *s, uint32_t at, uint32_t len)
{
    if (e->state_segment)
        e->state_segment->live_bytes -= e->state_len + FORMAT_HEADER;
    list_del(&e->in_states);
    e->state_segment = s;
    e->state_at = at;
    e->state_len = len;
    if (!s)
        return;
    list_add_tail(&s->states, &e->in_states);
    s->live_bytes += len + FORMAT_HEADER;
}

void entry_free(struct journal *j, struct journal_entry *e)
{
    j->stats.live_messages--;
    j->stats.live_bytes -= e->base.size;
    cache_drop(j, e);
    entry_place(e, NULL, 0);
    entry_place_state(e, NULL, 0, 0);
    free(e);
}

/* --- state --- */

static void add_waiter(struct request *r, postern_done *done, void *ctx)
{
    struct waiter *w;

    if (!done)
        return;
    w = mem_alloc(sizeof *w);
    *w = (struct waiter){ r->u.state.waiters, done, ctx };
    r->u.state.waiters = w;
}

/* `old` will not be written: who waits for it waits for `by`. */
static void supersede(struct request *old, struct request *by)
{
    struct waiter **end = &by->u.state.waiters;

    while (*end)
        end = &(*end)->next;
    *end = old->u.state.waiters;
    request_free(old);
}

/* At most one state of a message is with the disk thread and one waits, so that a disk that does
 * not take any holds up no more memory than this. */
static void hand_state(struct journal *j, struct journal_entry *e, struct request *r)
{
    struct request *before = e->busy ? idmap_get(j->states, e->base.id) : NULL;

    if (!before) {
        e->busy = 1;
        idmap_set(j->states, e->base.id, r);
        journal_hand(j, r);
        return;
    }
    if (before->u.state.after) {
        r->sync |= before->u.state.after->sync;
        supersede(before->u.state.after, r);
    }
    before->u.state.after = r;
    if (r->sync && !before->sync)
        journal_hand(j, request_new(REQ_SYNC, 0, 0));
}

void journal_state(struct spool *s, struct spool_entry *base, const void *state, size_t len,
                   int sync, postern_done *done, void *ctx)
{
    struct journal *j = CONTAINER(s, struct journal, spool);
    struct journal_entry *e = CONTAINER(base, struct journal_entry, base);
    struct request *r;
    char id[14];

    if (!j->loop || e->done)
        return;
    if (len > FORMAT_STATE_MAX) {
        log_event(POSTERN_LOG_ERROR, "spool", "spool.state.refused", "id=%s bytes=%zu limit=%u",
                  text_id(e->base.id, id, sizeof id), len, FORMAT_STATE_MAX);
        r = request_new(REQ_STATE, e->base.id, 0);
        r->result = -EMSGSIZE;
    } else {
        r = request_new(REQ_STATE, e->base.id, len);
        if (len)
            memcpy(r->head + FORMAT_HEADER, state, len);
    }
    r->entry = e;
    r->sync = sync != 0;
    add_waiter(r, done, ctx);
    hand_state(j, e, r);
}

static void state_end(struct journal *j, struct request *r, int result)
{
    struct waiter *w, *next;

    for (w = r->u.state.waiters; w; w = next) {
        next = w->next;
        if (!j->closing)
            w->done(w->ctx, result);
        free(w);
    }
    request_free(r);
}

void journal_state_completed(struct journal *j, struct request *r)
{
    struct journal_entry *e = r->entry;

    if (!r->result)
        entry_place_state(e, r->segment, r->at, r->len - FORMAT_HEADER);
    if (r->u.state.after) {
        idmap_set(j->states, r->id, r->u.state.after);
        if (!e->done) /* else DONE is what is written next, and who waits waits for that */
            journal_hand(j, r->u.state.after);
    } else {
        idmap_del(j->states, r->id);
        e->busy = 0;
    }
    state_end(j, r, r->result);
}

/* --- done --- */

void journal_hand_done(struct journal *j, struct journal_entry *e)
{
    struct request *r = request_new(REQ_DONE, e->base.id, FORMAT_DONE_LEN);

    r->entry = e;
    format_u32(r->head + FORMAT_HEADER, e->segment->seq);
    journal_hand(j, r);
}

void journal_done(struct spool *s, struct spool_entry *base)
{
    struct journal *j = CONTAINER(s, struct journal, spool);
    struct journal_entry *e = CONTAINER(base, struct journal_entry, base);

    if (!j->loop || e->done)
        return;
    e->done = 1;
    cache_drop(j, e);
    /* DONE names the segment that has the message: wait while that is about to change. */
    if (!e->copying)
        journal_hand_done(j, e);
}

void journal_done_completed(struct journal *j, struct request *r)
{
    struct journal_entry *e = r->entry;
    struct segment *of = e->segment, *state = e->state_segment;
    struct request *waiting = e->busy ? idmap_del(j->states, e->base.id) : NULL;

    if (!r->result) {
        segment_tomb_add(r->segment, of, e->base.id);
        if (e->moved)
            segment_bury_copies(j, r->segment, of, e->base.id);
        /* Only now: a message without its content would look like damage. */
        if (e->large)
            journal_hand(j, request_new(REQ_REMOVE, e->base.id, 0));
    }
    entry_free(j, e);
    segment_check(j, of);
    if (state && state != of)
        segment_check(j, state);
    if (waiting)
        state_end(j, waiting, r->result);
    request_free(r);
}
