/* spool/journal-load.c: what is in a journal, told to who opens it.
 *
 * Reading all records comes first, since the last ones may be about the first messages. Then meta
 * and state of each live message are read again and told, in lots: one after the other when the
 * caller waits for it (load_now), or one in each turn of the loop, read by a thread (load_begin).
 * In the latter case the journal works already while the rest of it is being told: nobody but us
 * knows the messages that were not told yet, so nothing happens to them but compaction. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"

#define LOT_PIECES 512u
#define LOT_BYTES  262144u  /* of meta and state; a single message may have more */
#define LOT_AGAIN  1000000u /* usec until a lot that could not be read is tried again */

/* What is to be read of a message, in terms that stay true whatever happens to its entry. */
struct piece {
    struct journal_entry *e;
    struct journal_file *message, *state; /* references; state NULL: none */
    uint64_t message_at, state_at;
    uint32_t state_len;
    size_t at; /* in the lot's bytes */
    int damaged;
};

struct lot {
    struct journal *j;
    struct replay_found found;
    size_t next; /* of found.v */
    struct piece v[LOT_PIECES];
    size_t n, bytes;
    char *buf;
    size_t buf_size;
};

static void lot_done(struct lot *l)
{
    for (size_t i = 0; i < l->n; i++) {
        journal_file_unref(&l->v[i].message);
        journal_file_unref(&l->v[i].state);
    }
    l->n = l->bytes = 0;
}

/* 0, or -errno when a segment can't be opened now. */
static int lot_add(struct lot *l, struct journal_entry *e)
{
    struct piece p = { .e = e, .at = l->bytes };

    p.message = segment_open(l->j, e->segment);
    p.message_at = (uint64_t)e->at + FORMAT_HEADER + FORMAT_WORD;
    if (p.message && e->state_segment) {
        p.state = segment_open(l->j, e->state_segment);
        p.state_at = (uint64_t)e->state_at + FORMAT_HEADER;
        p.state_len = e->state_len;
    }
    if (!p.message || (e->state_segment && !p.state)) {
        int err = errno ? -errno : -EIO;

        journal_file_unref(&p.message);
        return err;
    }
    l->bytes += e->meta_len + p.state_len;
    l->v[l->n++] = p;
    return 0;
}

/* On the loop: which are the next ones. 0 also when there are none. */
static int lot_gather(struct lot *l)
{
    int r = 0;

    while (l->next < l->found.n && l->n < LOT_PIECES && l->bytes < LOT_BYTES && r == 0) {
        r = lot_add(l, l->found.v[l->next]);
        l->next += r == 0;
    }
    return l->n ? 0 : r;
}

/* On any thread. 0, or -errno: nothing of it may be told. */
static int lot_read(struct lot *l)
{
    if (l->bytes > l->buf_size) {
        l->buf_size = l->bytes;
        l->buf = mem_realloc(l->buf, l->buf_size);
    }
    for (size_t i = 0; i < l->n; i++) {
        struct piece *p = &l->v[i];
        char *to = l->buf + p->at;
        uint32_t meta_len = p->e->meta_len;
        int r = 0;

        if (meta_len)
            r = journal_pread(p->message->io, p->message->fd, to, meta_len, p->message_at);
        if (r == 0 && p->state_len)
            r = journal_pread(p->state->io, p->state->fd, to + meta_len, p->state_len, p->state_at);
        if (r < 0 && r != -EIO)
            return r;
        p->damaged = r < 0;
    }
    return 0;
}

static void lot_tell(struct lot *l, spool_replay_cb *replay, void *ctx)
{
    for (size_t i = 0; i < l->n; i++) {
        struct piece *p = &l->v[i];
        struct journal_entry *e = p->e;
        const char *meta = l->buf + p->at;

        if (p->damaged)
            journal_give_up(l->j, e);
        else if (replay)
            replay(ctx, e->base.id, &e->base, meta, e->meta_len,
                   p->state ? meta + e->meta_len : NULL, p->state_len, e->base.size);
    }
    lot_done(l);
}

static void lot_free(struct lot **pl)
{
    struct lot *l = *pl;

    *pl = NULL;
    lot_done(l);
    journal_found_free(&l->found);
    free(l->buf);
    free(l);
}

static struct lot *lot_new(struct journal *j)
{
    struct lot *l = mem_zalloc(sizeof *l);

    l->j = j;
    l->buf_size = 4096; /* never NULL: a message may have no meta */
    l->buf = mem_alloc(l->buf_size);
    return l;
}

/* --- the caller waits --- */

static int tell_all(struct lot *l, spool_replay_cb *replay, void *ctx, char *why, size_t why_size)
{
    int r = 0;

    while (l->next < l->found.n && r == 0) {
        r = lot_gather(l);
        if (r == 0)
            r = lot_read(l);
        if (r == 0)
            lot_tell(l, replay, ctx);
    }
    if (r < 0)
        snprintf(why, why_size, "cannot read the messages in %s: %s", l->j->path, strerror(-r));
    return r;
}

int load_now(struct journal *j, spool_replay_cb *replay, void *ctx, struct replay_end *ret,
             char *why, size_t why_size)
{
    int64_t began = clock_mono();
    struct lot *l = lot_new(j);
    int r = journal_prepare(j, why, why_size);

    if (r == 0)
        r = journal_scan(j, &l->found, why, why_size);
    if (r == 0)
        r = journal_verify(j, &l->found, why, why_size);
    if (r == 0)
        r = tell_all(l, replay, ctx, why, why_size);
    if (r == 0) {
        j->stats.replay_usec = (uint64_t)(clock_mono() - began);
        *ret = l->found.end;
    }
    lot_free(&l);
    return r;
}

/* --- little by little --- */

/* It outlives its journal if that is closed while a thread works for it: until the loop hears of
 * the thread's end. */
struct journal_load {
    struct journal *j; /* NULL: closed */
    struct loop *loop;
    struct spool_adoption what;
    struct lot *lot;
    int64_t began;
    struct loop_timer *again;
    int offloaded; /* the loop will hear of a thread */
    int calling;   /* its owner */
    char why[512];

    pthread_mutex_t lock;
    pthread_cond_t idle;
    int working; /* a thread is at it, or will be */
};

static void load_free(struct journal_load *load)
{
    pthread_mutex_destroy(&load->lock);
    pthread_cond_destroy(&load->idle);
    if (load->lot)
        lot_free(&load->lot);
    free(load);
}

static void thread_ends(struct journal_load *load)
{
    pthread_mutex_lock(&load->lock);
    load->working = 0;
    pthread_cond_signal(&load->idle);
    pthread_mutex_unlock(&load->lock);
}

static void offload(struct journal_load *load, int (*work)(void *ctx),
                    void (*done)(void *ctx, int result))
{
    load->working = load->offloaded = 1;
    loop_offload(load->loop, work, done, load);
}

/* 0: it was closed meanwhile, and is gone. */
static int still_wanted(struct journal_load *load)
{
    if (load->j)
        return 1;
    load_free(load);
    return 0;
}

void load_end(struct journal *j)
{
    struct journal_load *load = j->load;

    if (!load)
        return;
    j->load = NULL;
    atomic_store(&j->abandon, 1);
    pthread_mutex_lock(&load->lock);
    while (load->working)
        pthread_cond_wait(&load->idle, &load->lock);
    pthread_mutex_unlock(&load->lock);
    loop_cancel(&load->again);
    lot_free(&load->lot);
    load->j = NULL;
    if (!load->offloaded && !load->calling)
        load_free(load);
}

static void tell_next(void *ctx);

static void told_all(struct journal_load *load)
{
    struct journal *j = load->j;

    j->stats.replay_usec = (uint64_t)(clock_mono() - load->began);
    load->calling = 1;
    load->what.told(load->what.ctx);
    load->calling = 0;
    if (!still_wanted(load))
        return;
    j->load = NULL;
    load_free(load);
}

static int read_work(void *ctx)
{
    struct journal_load *load = ctx;
    int r = lot_read(load->lot);

    thread_ends(load);
    return r;
}

/* Passing trouble: too many files are open, say. What was gathered is gathered again. */
static void tell_later(struct journal_load *load, int err)
{
    log_event(POSTERN_LOG_ERROR, "spool", "spool.replay.waits", "shard=%s error=%s",
              log_q(load->j->path), log_q(strerror(-err)));
    load->lot->next -= load->lot->n;
    lot_done(load->lot);
    load->again = loop_after(load->loop, LOT_AGAIN, tell_next, load);
}

static void on_read(void *ctx, int result)
{
    struct journal_load *load = ctx;

    load->offloaded = 0;
    if (!still_wanted(load))
        return;
    if (atomic_load(&load->j->abandon))
        return;
    if (result < 0) {
        tell_later(load, result);
        return;
    }
    lot_tell(load->lot, load->what.replay, load->what.ctx);
    tell_next(load);
}

static void tell_next(void *ctx)
{
    struct journal_load *load = ctx;
    int r;

    load->again = NULL;
    if (atomic_load(&load->j->abandon))
        return;
    r = lot_gather(load->lot);
    if (r < 0)
        tell_later(load, r);
    else if (!load->lot->n)
        told_all(load);
    else
        offload(load, read_work, on_read);
}

/* On a thread. Nobody else knows the journal yet. */
static int open_work(void *ctx)
{
    struct journal_load *load = ctx;
    struct journal *j = load->j;
    struct replay_found *found = &load->lot->found;
    int r = journal_prepare(j, load->why, sizeof load->why);

    if (r == 0)
        r = journal_scan(j, found, load->why, sizeof load->why);
    if (r == 0 && found->n >= load->what.least && load->what.parts > 1) {
        r = journal_split(j, found, load->what.parts);
        if (r < 0)
            snprintf(load->why, sizeof load->why, "cannot finish the split of %s: %s", j->path,
                     strerror(-r));
    }
    if (r == 0)
        r = journal_verify(j, found, load->why, sizeof load->why);
    if (r == 0)
        journal_write(j, &found->end);
    thread_ends(load);
    return r;
}

static void call_opened(struct journal_load *load, int result)
{
    struct journal *j = load->j;

    load->calling = 1;
    for (unsigned i = 0; i < j->parts_n && load->what.part && load->j; i++)
        load->what.part(load->what.ctx, j->parts[i].number, j->parts[i].messages);
    if (load->j)
        load->what.opened(load->what.ctx, result, load->why);
    load->calling = 0;
}

static void on_open(void *ctx, int result)
{
    struct journal_load *load = ctx;

    load->offloaded = 0;
    if (!still_wanted(load))
        return;
    if (result == 0)
        journal_go(load->j);
    call_opened(load, result);
    if (still_wanted(load) && result == 0)
        tell_next(load);
}

void load_begin(struct journal *j, const struct spool_adoption *what)
{
    struct journal_load *load = mem_zalloc(sizeof *load);

    load->j = j;
    load->loop = j->loop;
    load->what = *what;
    load->lot = lot_new(j);
    load->began = clock_mono();
    pthread_mutex_init(&load->lock, NULL);
    pthread_cond_init(&load->idle, NULL);
    j->load = load;
    offload(load, open_work, on_open);
}
