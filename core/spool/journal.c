/* spool/journal.c: opens and closes the shard, and deals out what comes back from the disk thread.
 *
 * The whole engine, and where to look: journal-format (bytes), journal-scan and journal-replay
 * (start), journal-writer and journal-append (disk thread), journal-put, journal-entry,
 * journal-content (a message's life), journal-segment and journal-compact (room). docs/spool.md
 * tells it to people. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"

#define TICK_USEC  10000000
#define ROOM_USEC  1000000
#define ROOM_BYTES 65536u

/* --- the disk thread --- */

static void hand_over(void *arg)
{
    struct journal *j = arg;

    writer_hand(j->writer, &j->pending);
}

void journal_hand(struct journal *j, struct request *r)
{
    queue_add(&j->pending, r);
    j->outstanding++;
    if (!j->closing)
        loop_note(j->loop, &j->hand_task, LOOP_STAGE_DISK);
}

void journal_bury(struct journal *j, uint64_t id, uint32_t of)
{
    struct request *r = request_new(REQ_TOMB, id, FORMAT_DONE_LEN);

    r->u.tomb.of = of;
    r->u.tomb.asked = 1;
    r->sync = 1;
    format_u32(r->head + FORMAT_HEADER, of);
    journal_hand(j, r);
}

static void dropped(struct journal *j, struct request *r)
{
    struct segment *s = r->segment;

    if (!r->result) {
        if (j->compact.victim == s) {
            j->compact.victim = NULL;
            compact_consider(j);
        }
        segment_gone(j, s);
    } else {
        log_event(POSTERN_LOG_ERROR, "spool", "spool.segment.kept", "segment=%" PRIu32 " error=%s",
                  s->seq, log_q(strerror(-r->result)));
        s->dropping = 0; /* the tick tries again */
    }
    request_free(r);
}

static void sealed(struct journal *j, struct request *r)
{
    struct segment *s = r->segment;

    s->sealed = 1;
    s->sealed_usec = clock_mono();
    s->size = r->u.segment_event.size;
    /* What could not be synced may be there all the same after a crash, messages and all. */
    s->barrier = r->u.segment_event.bad ? 1 : 0;
    request_free(r);
    segment_check(j, s);
    compact_consider(j);
}

static void begun(struct journal *j, struct request *r)
{
    r->segment->size = FORMAT_HEADER + FORMAT_SEGMENT_LEN;
    segment_add(j, r->segment);
    segment_opened(j, r->segment, r->u.segment_event.file);
    request_free(r);
}

static void reserve_made(struct journal *j, struct request *r)
{
    j->room_asked = 0;
    if (!r->result && j->stats.full) {
        j->stats.full = 0;
        log_event(POSTERN_LOG_NOTICE, "spool", "spool.room", "accepting=yes free_bytes=%" PRIu64,
                  j->stats.free_bytes);
    }
    request_free(r);
}

/* Nobody here handed these over. */
static int made_by_writer(const struct request *r)
{
    return r->kind == REQ_BEGUN || r->kind == REQ_SEALED ||
        (r->kind == REQ_TOMB && !r->u.tomb.from && !r->u.tomb.asked);
}

static void came_back(struct journal *j, struct request *r)
{
    if (!made_by_writer(r))
        j->outstanding--;
    if (r->segment && !r->result && r->len && r->at + r->len > r->segment->size)
        r->segment->size = (uint64_t)r->at + r->len;
    switch (r->kind) {
    case REQ_MESSAGE:
        journal_message_completed(j, r);
        break;
    case REQ_STATE:
        journal_state_completed(j, r);
        break;
    case REQ_DONE:
        journal_done_completed(j, r);
        break;
    case REQ_TOMB:
    case REQ_COPY:
        compact_completed(j, r);
        break;
    case REQ_CHUNK:
        journal_chunk_completed(j, r);
        break;
    case REQ_REMOVE:
        idmap_del(j->files, r->id);
        free(r->u.remove.file);
        request_free(r);
        break;
    case REQ_SYNC:
        request_free(r);
        break;
    case REQ_DROP:
        dropped(j, r);
        break;
    case REQ_RESERVE:
        reserve_made(j, r);
        break;
    case REQ_BEGUN:
        begun(j, r);
        break;
    case REQ_SEALED:
        sealed(j, r);
        break;
    }
}

static void collect(struct journal *j)
{
    struct request_queue q = { NULL, NULL };
    struct request *r;

    writer_collect(j->writer, &q);
    while ((r = queue_pop(&q)))
        came_back(j, r);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    collect(arg);
}

/* --- room --- */

/* Once there is room for mail and for the reserve, the disk thread makes the reserve again; when it
 * has it, mail is accepted again. */
static void look_for_room(struct journal *j)
{
    const struct spool_io *io = j->cfg.io;
    int64_t left = io->free_bytes(io->ctx, j->dir);
    uint64_t need = j->cfg.min_free_bytes;

    j->room_looked = loop_now(j->loop);
    j->room_taken = 0;
    if (left < 0)
        return; /* a file system that will not say: the next write tells */
    j->stats.free_bytes = (uint64_t)left;
    if (atomic_load(&j->writer->reserve_out))
        need += j->cfg.reserve_bytes;
    if ((uint64_t)left < need) {
        journal_disk_full(j);
    } else if (j->stats.full && !j->room_asked) {
        j->room_asked = 1;
        journal_hand(j, request_new(REQ_RESERVE, 0, 0));
    }
}

static void room_again(void *arg)
{
    struct journal *j = arg;

    j->room_timer = NULL;
    look_for_room(j);
    if (j->stats.full && !j->room_timer)
        j->room_timer = loop_after(j->loop, ROOM_USEC, room_again, j);
}

void journal_disk_full(struct journal *j)
{
    if (!j->stats.full && !j->closing)
        log_event(POSTERN_LOG_ERROR, "spool", "spool.full",
                  "accepting=no free_bytes=%" PRIu64 " min_free_bytes=%" PRIu64,
                  j->stats.free_bytes, j->cfg.min_free_bytes);
    j->stats.full = 1;
    if (!j->room_timer && !j->closing)
        j->room_timer = loop_after(j->loop, ROOM_USEC, room_again, j);
}

int journal_accepts(struct journal *j)
{
    if (!j->loop)
        return -EROFS;
    /* Once a second, and when a burst may have used up half of what is to stay free. */
    if (loop_now(j->loop) - j->room_looked >= ROOM_USEC ||
        j->room_taken > j->cfg.min_free_bytes / 2 + ROOM_BYTES)
        look_for_room(j);
    if (j->stats.full)
        return -ENOSPC;
    return atomic_load(&j->writer->failed) ? -EIO : 0;
}

static void tick(void *arg)
{
    struct journal *j = arg;

    segment_sweep(j);
    compact_consider(j);
    j->tick = loop_after(j->loop, TICK_USEC, tick, j);
}

/* --- small calls --- */

static uint64_t new_id(struct spool *s)
{
    struct journal *j = CONTAINER(s, struct journal, spool);
    uint64_t id = (uint64_t)clock_wall() << 8 | j->cfg.shard;

    /* Ascending, whatever the clock does. */
    if (id <= j->last_id)
        id = ((j->last_id >> 8) + 1) << 8 | j->cfg.shard;
    j->last_id = id;
    return id;
}

static void journal_stats(const struct spool *s, struct spool_stats *ret)
{
    const struct journal *j = CONTAINER(s, const struct journal, spool);
    const struct writer *w = j->writer;

    *ret = j->stats;
    LIST_EACH (&j->segments, n)
        ret->segment_bytes += CONTAINER(n, const struct segment, link)->size;
    if (!w)
        return;
    ret->appended = atomic_load(&w->appended);
    ret->synced_groups = atomic_load(&w->groups);
    ret->write_errors = atomic_load(&w->write_errors);
    ret->sync_errors = atomic_load(&w->sync_errors);
    ret->failed = atomic_load(&w->failed);
}

/* --- closing --- */

/* Everything comes back, synced or (from a disk that does not work) lost and logged. What comes
 * back may hand over more: a state that waited for an older one, a DONE that waited for a copy. */
static void drain(struct journal *j)
{
    writer_hurry(j->writer);
    while (j->outstanding) {
        hand_over(j);
        writer_wait(j->writer);
        collect(j);
    }
}

static void free_books(struct journal *j)
{
    struct list *head;

    /* All entries first: one may have its message and its state in two segments. */
    LIST_EACH (&j->segments, n) {
        head = &CONTAINER(n, struct segment, link)->messages;
        while (!list_empty(head))
            entry_free(j, CONTAINER(head->next, struct journal_entry, in_messages));
    }
    while ((head = list_pop(&j->segments)))
        segment_free(CONTAINER(head, struct segment, link));
    idmap_free(&j->states);
    idmap_free(&j->files);
}

static int close_shard(struct journal *j, int remove)
{
    const struct spool_io *io = j->cfg.io;
    int removed = 0;

    j->closing = 1;
    load_end(j);
    if (j->writer) {
        drain(j);
        loop_forget(&j->hand_task);
        loop_forget(&j->compact.task);
        loop_cancel(&j->tick);
        loop_cancel(&j->room_timer);
        if (j->wake)
            event_free(j->wake);
        writer_stop(j->writer);
        collect(j); /* it may have begun or sealed a segment last */
        writer_free(&j->writer);
    }
    if (remove)
        removed = remove_shard(j);
    free_books(j);
    if (j->content_dir >= 0)
        io->close(io->ctx, j->content_dir);
    if (j->lock_fd >= 0)
        io->close(io->ctx, j->lock_fd);
    if (j->dir >= 0)
        io->close(io->ctx, j->dir);
    free(j->path);
    free(j);
    return removed;
}

static void journal_close(struct spool *s)
{
    close_shard(CONTAINER(s, struct journal, spool), 0);
}

static void journal_abandon(struct spool *s)
{
    atomic_store(&CONTAINER(s, struct journal, spool)->abandon, 1);
}

static int journal_remove(struct spool *s)
{
    return close_shard(CONTAINER(s, struct journal, spool), 1);
}

/* --- opening --- */

static const struct spool_ops journal_ops = {
    .close = journal_close,
    .remove = journal_remove,
    .abandon = journal_abandon,
    .new_id = new_id,
    .put_new = journal_put_new,
    .put_write = journal_put_write,
    .put_room = journal_put_room,
    .put_size = journal_put_size,
    .put_head = journal_put_head,
    .put_commit = journal_put_commit,
    .put_free = journal_put_free,
    .state = journal_state,
    .done = journal_done,
    .content = journal_content,
    .read_meta = journal_read_meta,
    .read_state = journal_read_state,
    .uncache = journal_uncache,
    .stats = journal_stats,
};

static uint64_t bounded(uint64_t v, uint64_t dflt, uint64_t min, uint64_t max)
{
    if (!v)
        v = dflt;
    return v < min ? min : v > max ? max : v;
}

static void fill_config(struct spool_config *cfg)
{
    cfg->segment_bytes =
        bounded(cfg->segment_bytes, 64u << 20, JOURNAL_SEGMENT_MIN, JOURNAL_SEGMENT_MAX);
    cfg->inline_bytes = bounded(cfg->inline_bytes, 1u << 20, 1, FORMAT_INLINE_MAX);
    cfg->cache_bytes = bounded(cfg->cache_bytes, 64u << 20, 1, INT64_MAX);
    cfg->reserve_bytes = bounded(cfg->reserve_bytes, 1u << 20, 1, 1u << 30);
    cfg->min_free_bytes = bounded(cfg->min_free_bytes, 32u << 20, 1, INT64_MAX);
    if (cfg->lazy_sync_usec <= 0)
        cfg->lazy_sync_usec = 1000000;
    if (!cfg->io)
        cfg->io = &spool_io_real;
}

static struct journal *journal_new(const struct spool_config *cfg, struct loop *loop)
{
    struct journal *j = mem_zalloc(sizeof *j);

    j->spool.ops = &journal_ops;
    j->cfg = *cfg;
    fill_config(&j->cfg);
    j->path = mem_strdup(cfg->path);
    j->cfg.path = j->path;
    j->loop = loop;
    j->dir = j->content_dir = j->lock_fd = -1;
    list_init(&j->segments);
    list_init(&j->open_segments);
    list_init(&j->lru);
    j->states = idmap_new();
    j->files = idmap_new();
    j->hand_task.run = hand_over;
    j->hand_task.ctx = j;
    compact_init(j);
    return j;
}

static int explain(char *why, size_t why_size, const char *what, const char *path, int err)
{
    snprintf(why, why_size, "%s %s: %s", what, path, strerror(-err));
    return err;
}

/* A folder, made if missing and if we may. */
static int open_folder(struct journal *j, int at, const char *name)
{
    const struct spool_io *io = j->cfg.io;
    int r;

    if (j->loop) {
        r = io->mkdir(io->ctx, at, name, 0700);
        if (r < 0 && r != -EEXIST)
            return r;
    }
    return io->open(io->ctx, at, name, O_RDONLY | O_DIRECTORY, 0);
}

/* A reader shares the lock with other readers; where there is none yet there is no owner. */
static int take_lock(struct journal *j, char *why, size_t why_size)
{
    const struct spool_io *io = j->cfg.io;
    int flags = j->loop ? O_RDWR | O_CREAT : O_RDONLY, r;

    r = io->open(io->ctx, j->dir, "lock", flags, 0600);
    if (r == -ENOENT && !j->loop)
        return 0;
    if (r < 0)
        return explain(why, why_size, "cannot open the lock of", j->path, r);
    j->lock_fd = r;
    r = io->lock(io->ctx, j->lock_fd, j->loop != NULL);
    if (r == -EAGAIN) {
        snprintf(why, why_size, "%s is in use by another process", j->path);
        return -EBUSY;
    }
    return r < 0 ? explain(why, why_size, "cannot lock", j->path, r) : 0;
}

/* What is in the shard can be no more durable than its own name, which whoever made it may not have
 * lived to sync. */
static int sync_name(struct journal *j)
{
    const struct spool_io *io = j->cfg.io;
    int parent = io->open(io->ctx, j->dir, "..", O_RDONLY | O_DIRECTORY, 0), r;

    if (parent < 0)
        return parent == -EACCES ? 0 : parent; /* not ours to read */
    r = io->fsync_dir(io->ctx, parent);
    io->close(io->ctx, parent);
    return r;
}

static int open_folders(struct journal *j, char *why, size_t why_size)
{
    int r = j->loop ? sync_name(j) : 0;
    if (r < 0)
        return explain(why, why_size, "cannot make durable the name of", j->path, r);
    j->content_dir = open_folder(j, j->dir, "content");
    if (j->content_dir == -ENOENT && !j->loop)
        return 0;
    if (j->content_dir < 0)
        return explain(why, why_size, "cannot open content/ in", j->path, j->content_dir);
    return 0;
}

void journal_write(struct journal *j, const struct replay_end *end)
{
    struct writer_config cfg = {
        .io = j->cfg.io,
        .dir = j->dir,
        .content_dir = j->content_dir,
        .segment_bytes = (uint32_t)j->cfg.segment_bytes,
        .reserve_bytes = j->cfg.reserve_bytes,
        .lazy_sync_usec = j->cfg.lazy_sync_usec,
        .shard = j->cfg.shard,
        .prev_seq = end->last_seq,
        .prev_synced = end->last_synced,
        .bad_from = end->bad_from,
        .last_id = j->last_id,
    };

    j->writer = writer_new(&cfg);
}

void journal_go(struct journal *j)
{
    j->wake = event_new(loop_base(j->loop), j->writer->event_fd, EV_READ | EV_PERSIST, on_wake, j);
    if (!j->wake || event_add(j->wake, NULL))
        abort(); /* libevent has no memory for one event */
    look_for_room(j);
    tick(j);
}

static int begin(const struct spool_config *cfg, struct loop *loop, struct journal **ret, char *why,
                 size_t why_size)
{
    struct journal *j = journal_new(cfg, loop);
    int r = 0;

    j->dir = open_folder(j, AT_FDCWD, j->path);
    if (j->dir < 0)
        r = explain(why, why_size, "cannot open", j->path, j->dir);
    if (r == 0)
        r = take_lock(j, why, why_size);
    if (r < 0) {
        journal_close(&j->spool);
        return r;
    }
    *ret = j;
    return 0;
}

int journal_prepare(struct journal *j, char *why, size_t why_size)
{
    int r = open_folders(j, why, why_size);

    if (r < 0)
        return r;
    r = split_finish(j);
    if (r == -EBADMSG)
        snprintf(why, why_size,
                 "%s/" JOURNAL_RANGE_NAME " is damaged: without it nobody knows which messages are "
                 "this shard's",
                 j->path);
    else if (r < 0)
        explain(why, why_size, "cannot finish the split of", j->path, r);
    return r;
}

int journal_open(const struct spool_config *cfg, struct loop *loop, spool_replay_cb *replay,
                 void *ctx, struct spool **ret, char *why, size_t why_size)
{
    struct replay_end end = { 0 };
    struct journal *j;
    int r = begin(cfg, loop, &j, why, why_size);

    if (r < 0)
        return r;
    r = load_now(j, replay, ctx, &end, why, why_size);
    if (r < 0) {
        journal_close(&j->spool);
        return r;
    }
    if (loop) {
        journal_write(j, &end);
        journal_go(j);
    }
    *ret = &j->spool;
    return 0;
}

int journal_adopt(const struct spool_config *cfg, struct loop *loop,
                  const struct spool_adoption *what, struct spool **ret, char *why, size_t why_size)
{
    struct journal *j;
    int r = begin(cfg, loop, &j, why, why_size);

    if (r < 0)
        return r;
    load_begin(j, what);
    *ret = &j->spool;
    return 0;
}
