/* spool/journal-append.c: the segment that is being written. All on the disk thread.
 *
 * A record goes from `batch` (in the iovec) to `unsynced` (written) to `finished` (durable). When
 * the disk fails, messages come back with the error; outcomes (STATE, DONE, TOMB) must not be lost,
 * so they wait in `stuck`, in order, and nothing that comes later overtakes them. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/crc32c.h"
#include "util/mem.h"

#define BEGIN_LEN       (FORMAT_HEADER + FORMAT_SEGMENT_LEN)
#define BACKOFF_FIRST   1000000  /* usec */
#define BACKOFF_LONGEST 30000000 /* usec */
#define RESERVE_NAME    "reserve"

static int is_outcome(const struct request *r)
{
    return r->kind == REQ_STATE || r->kind == REQ_DONE || r->kind == REQ_TOMB;
}

static void count(_Atomic uint64_t *n)
{
    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

void append_finish(struct writer *w, struct request *r, int result)
{
    r->result = result;
    queue_add(&w->finished, r);
}

/* --- the reserve: room for outcomes on a full disk --- */

int append_reserve(struct writer *w)
{
    const struct spool_io *io = w->cfg.io;
    int fd, r;

    if (w->reserve_held || !w->cfg.reserve_bytes)
        return 0;
    fd = io->open(io->ctx, w->cfg.dir, RESERVE_NAME, O_RDWR | O_CREAT, 0600);
    if (fd < 0)
        return fd;
    r = io->fallocate(io->ctx, fd, (off_t)w->cfg.reserve_bytes);
    io->close(io->ctx, fd);
    if (r < 0) {
        /* Half a reserve may be what keeps the disk full. */
        io->unlink(io->ctx, w->cfg.dir, RESERVE_NAME);
        return r;
    }
    w->reserve_held = 1;
    atomic_store(&w->reserve_out, 0);
    return 0;
}

/* 1: there was a reserve, and now there is room. */
static int release_reserve(struct writer *w)
{
    const struct spool_io *io = w->cfg.io;

    if (!w->reserve_held)
        return 0;
    w->reserve_held = 0;
    atomic_store(&w->reserve_out, 1);
    if (io->unlink(io->ctx, w->cfg.dir, RESERVE_NAME) < 0)
        return 0;
    log_event(POSTERN_LOG_WARNING, "spool", "spool.reserve.used", "bytes=%" PRIu64,
              w->cfg.reserve_bytes);
    return 1;
}

/* --- beginning and ending a segment --- */

static void encode_begin(const struct writer *w, unsigned char out[BEGIN_LEN], uint32_t salt)
{
    struct format_segment s = {
        .version = FORMAT_VERSION,
        .shard = w->cfg.shard,
        .seq = w->cfg.prev_seq + 1,
        .salt = salt,
        .prev_seq = w->cfg.prev_seq,
        .prev_synced = w->cfg.prev_synced,
        .created_usec = clock_wall(),
        .bad_from = w->cfg.bad_from,
    };
    struct format_header h = { .type = FORMAT_BEGIN,
                               .length = FORMAT_SEGMENT_LEN,
                               .id = w->cfg.last_id };

    format_segment(out + FORMAT_HEADER, &s);
    h.payload_crc = crc32c(0, out + FORMAT_HEADER, FORMAT_SEGMENT_LEN);
    format_header(out, &h);
}

/* Makes the next segment's file, with its first record; its name is durable, the record not yet. */
static int make_segment(struct writer *w, uint32_t salt)
{
    const struct spool_io *io = w->cfg.io;
    unsigned char begin[BEGIN_LEN];
    struct iovec iov = { begin, sizeof begin };
    char name[FORMAT_FILE_NAME];
    int fd, r;

    format_segment_name(name, w->cfg.prev_seq + 1);
    fd = io->open(io->ctx, w->cfg.dir, name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fd;
    encode_begin(w, begin, salt);
    r = journal_write_all(w->cfg.io, fd, &iov, 1, 0);
    if (r == 0)
        r = io->fsync_dir(io->ctx, w->cfg.dir);
    if (r < 0) {
        io->close(io->ctx, fd);
        /* If even this fails the name is taken: the next try fails with -EEXIST and passes on. */
        io->unlink(io->ctx, w->cfg.dir, name);
        return r;
    }
    return fd;
}

static void begin_failed(struct writer *w, int err)
{
    w->backoff_usec = w->backoff_usec ? w->backoff_usec * 2 : BACKOFF_FIRST;
    if (w->backoff_usec > BACKOFF_LONGEST)
        w->backoff_usec = BACKOFF_LONGEST;
    w->retry_at = clock_mono() + w->backoff_usec;
    w->reason = err == -ENOSPC ? -ENOSPC : -EIO;
    if (err != -ENOSPC)
        atomic_store(&w->failed, 1);
    log_event(POSTERN_LOG_ERROR, "spool", "spool.write.failed",
              "error=%s retry_sec=%" PRId64 " accepting=no", log_q(strerror(-err)),
              w->backoff_usec / 1000000);
}

int append_begin(struct writer *w)
{
    struct request *event;
    uint32_t salt = 0;
    int fd;

    /* Without randomness the salt is only weak, and it matters only after damage. */
    if (getrandom(&salt, sizeof salt, GRND_NONBLOCK) < 0)
        salt = (uint32_t)clock_wall();
    if (w->cfg.prev_seq == UINT32_MAX)
        return -EOVERFLOW;
    fd = make_segment(w, salt);
    if (fd == -ENOSPC && release_reserve(w))
        fd = make_segment(w, salt);
    if (fd == -EEXIST) {
        w->cfg.prev_seq++;
        w->cfg.prev_synced = 0;
        fd = make_segment(w, salt);
    }
    if (fd < 0) {
        begin_failed(w, fd);
        return fd;
    }
    w->seq = w->cfg.prev_seq + 1;
    w->salt = salt;
    w->at = BEGIN_LEN;
    w->synced = 0;
    w->dirty_since = clock_mono();
    w->segment = segment_new(w->seq, salt);
    w->file = journal_file_new(w->cfg.io, fd);
    event = request_new(REQ_BEGUN, 0, 0);
    event->segment = w->segment;
    event->u.segment_event.file = journal_file_ref(w->file);
    append_finish(w, event, 0);
    return 0;
}

static void seal(struct writer *w, int bad)
{
    struct request *event = request_new(REQ_SEALED, 0, 0);

    event->segment = w->segment;
    event->u.segment_event.size = bad ? w->synced : w->at;
    event->u.segment_event.bad = bad;
    append_finish(w, event, 0);
    if (bad && !w->cfg.bad_from)
        w->cfg.bad_from = w->seq;
    w->cfg.prev_seq = w->seq;
    w->cfg.prev_synced = w->synced;
    append_end(w);
}

void append_end(struct writer *w)
{
    w->segment = NULL;
    w->dirty_since = 0;
    journal_file_unref(&w->file);
}

/* --- failure --- */

/* A message that failed was answered with a temporary error and will be sent again. Parts of it may
 * be on the disk all the same, so that it would appear after a crash: bury it. */
static void bury(struct writer *w, const struct request *message)
{
    struct request *r = request_new(REQ_TOMB, message->id, FORMAT_DONE_LEN);

    r->u.tomb.of = w->seq;
    format_u32(r->head + FORMAT_HEADER, w->seq);
    queue_add(&w->stuck, r);
}

static void fail_queue(struct writer *w, struct request_queue *q, int err, int written)
{
    struct request *r;

    while ((r = queue_pop(q))) {
        if (is_outcome(r)) {
            queue_add(&w->stuck, r);
            continue;
        }
        if (r->kind == REQ_MESSAGE && written) {
            bury(w, r);
            r->u.message.buried = 1;
        }
        append_finish(w, r, err);
    }
}

static void clear_batch(struct writer *w)
{
    w->batch_bytes = 0;
    w->iov_n = 0;
}

/* The segment can't be trusted any more: after a failed fdatasync the kernel may have thrown away
 * what it could not write, and call it clean. What was synced before is good; the rest moves on. */
static void fail_segment(struct writer *w, int err, const char *what)
{
    const struct spool_io *io = w->cfg.io;
    struct request_queue later = w->stuck;
    int fd = w->file->fd;

    log_event(POSTERN_LOG_ERROR, "spool", "spool.segment.failed",
              "segment=%" PRIu32 " call=%s error=%s durable_bytes=%" PRIu32, w->seq, what,
              log_q(strerror(-err)), w->synced);
    if (io->ftruncate(io->ctx, fd, (off_t)w->synced) == 0)
        io->fdatasync(io->ctx, fd); /* if it works, so much the better */
    w->reason = err == -ENOSPC ? -ENOSPC : -EIO;
    w->stuck.head = NULL;
    fail_queue(w, &w->unsynced, w->reason, 1);
    fail_queue(w, &w->batch, w->reason, 1);
    queue_move(&w->stuck, &later);
    w->unsynced_n = 0;
    clear_batch(w);
    w->need_sync = 0;
    seal(w, 1);
    if (w->recovering)
        begin_failed(w, err);
    else
        w->retry_at = 0;
}

/* No room for the batch: nothing of it is kept, and what is lost for good is only messages that are
 * answered with 452 in a moment. Records of it may have been written whole, so that it is cut off
 * is made durable first: whoever hears 452 sends it again, and a large one's content goes. */
static void batch_full(struct writer *w)
{
    const struct spool_io *io = w->cfg.io;
    int r = io->ftruncate(io->ctx, w->file->fd, (off_t)w->at);

    if (r < 0) {
        fail_segment(w, -ENOSPC, "ftruncate");
        return;
    }
    r = io->fdatasync(io->ctx, w->file->fd);
    if (r < 0) {
        count(&w->sync_errors);
        fail_segment(w, r, "fdatasync");
        return;
    }
    w->reason = -ENOSPC;
    clear_batch(w);
    fail_queue(w, &w->batch, -ENOSPC, 0);
    if (!w->stuck.head)
        return;
    if (release_reserve(w))
        w->retry_at = 0;
    else
        begin_failed(w, -ENOSPC);
}

/* --- writing --- */

void append_flush(struct writer *w)
{
    int r;

    if (!w->iov_n)
        return;
    r = journal_write_all(w->cfg.io, w->file->fd, w->iov, w->iov_n, w->at);
    if (r < 0) {
        count(&w->write_errors);
        if (r == -ENOSPC)
            batch_full(w);
        else
            fail_segment(w, r, "pwritev");
        return;
    }
    w->at += w->batch_bytes;
    clear_batch(w);
    if (!w->dirty_since)
        w->dirty_since = clock_mono();
    for (const struct request *q = w->batch.head; q; q = q->next)
        w->unsynced_n++;
    queue_move(&w->unsynced, &w->batch);
}

void append_sync(struct writer *w)
{
    struct request *r;
    int err;

    append_flush(w);
    if (!w->segment || !w->dirty_since) {
        w->need_sync = 0;
        return;
    }
    err = w->cfg.io->fdatasync(w->cfg.io->ctx, w->file->fd);
    if (err < 0) {
        count(&w->sync_errors);
        fail_segment(w, err, "fdatasync");
        return;
    }
    w->synced = w->at;
    w->cfg.bad_from = 0; /* from now on this segment's first record says it */
    w->need_sync = 0;
    w->dirty_since = 0;
    w->unsynced_n = 0;
    if (w->unsynced.head)
        count(&w->groups);
    while ((r = queue_pop(&w->unsynced))) {
        if (r->kind == REQ_MESSAGE)
            count(&w->appended);
        append_finish(w, r, 0);
    }
}

static void encode_copy(struct writer *w, struct request *r)
{
    const struct copy_part *parts[] = { &r->u.copy.message, &r->u.copy.state };
    unsigned char *p = r->u.copy.blob;

    for (size_t i = 0; i < 2; i++) {
        struct format_header h;

        if (!parts[i]->file)
            continue;
        /* The disk thread has read and checked it: it is a header. */
        if (format_header_guess(p, &h) < 0)
            abort();
        h.salt = w->salt;
        h.synced = w->synced;
        format_header(p, &h);
        p += parts[i]->len;
    }
    w->iov[w->iov_n++] = (struct iovec){ r->u.copy.blob, r->len };
}

static void encode_record(struct writer *w, struct request *r)
{
    struct format_header h = { .salt = w->salt, .synced = w->synced, .id = r->id };
    struct iovec head = { r->head, r->head_len };
    const struct cached *content = NULL;

    h.length = r->len - FORMAT_HEADER;
    h.payload_crc = crc32c(0, r->head + FORMAT_HEADER, r->head_len - FORMAT_HEADER);
    w->iov[w->iov_n++] = head;
    switch (r->kind) {
    case REQ_MESSAGE:
        h.type = FORMAT_MESSAGE;
        content = r->u.message.content;
        if (r->id > w->cfg.last_id)
            w->cfg.last_id = r->id;
        if (!content)
            h.flags = FORMAT_F_LARGE;
        break;
    case REQ_STATE:
        h.type = FORMAT_STATE;
        break;
    default:
        h.type = FORMAT_DONE;
        break;
    }
    if (content && content->content.size) {
        size_t size = (size_t)content->content.size;

        h.payload_crc = crc32c(h.payload_crc, content->content.data, size);
        w->iov[w->iov_n++] = (struct iovec){ content->content.data, size };
    }
    format_header(r->head, &h);
}

/* This segment is full, the next one begins. All of it is durable before, so that only the newest
 * segment can ever have a torn end. */
static void roll(struct writer *w)
{
    append_sync(w);
    if (!w->segment)
        return;
    seal(w, 0);
    append_begin(w);
}

/* 1: added to the batch. 0: there is no segment to write to now. */
static int add_to_batch(struct writer *w, struct request *r)
{
    uint64_t end = (uint64_t)w->at + w->batch_bytes + r->len;

    if (end > w->cfg.segment_bytes && w->at + w->batch_bytes > BEGIN_LEN)
        roll(w);
    if (w->segment && w->iov_n + 2 > WRITER_IOV)
        append_flush(w);
    if (!w->segment || w->stuck.head)
        return 0;
    r->segment = w->segment;
    r->at = w->at + w->batch_bytes;
    if (r->kind == REQ_COPY)
        encode_copy(w, r);
    else
        encode_record(w, r);
    w->batch_bytes += r->len;
    queue_add(&w->batch, r);
    if (r->kind == REQ_MESSAGE || r->kind == REQ_COPY || r->sync)
        w->need_sync = 1;
    return 1;
}

/* Once or twice: the segment may fail under the record, and then the next one is tried. */
void append_record(struct writer *w, struct request *r)
{
    for (int i = 0; i < 2; i++) {
        if (w->stuck.head || !w->segment)
            append_recover(w, 0);
        if (w->stuck.head || !w->segment)
            break;
        /* The reserve's room is for outcomes alone. */
        if (!is_outcome(r) && atomic_load(&w->reserve_out)) {
            append_finish(w, r, -ENOSPC);
            return;
        }
        if (add_to_batch(w, r))
            return;
    }
    if (is_outcome(r))
        queue_add(&w->stuck, r);
    else
        append_finish(w, r, w->reason);
}

void append_recover(struct writer *w, int force)
{
    struct request_queue again = { NULL, NULL };
    struct request *r;

    if (!force && clock_mono() < w->retry_at)
        return;
    if (!w->segment && append_begin(w) < 0)
        return;
    queue_move(&again, &w->stuck);
    w->recovering = 1;
    /* What fails here is back in `stuck` by then, and the rest goes behind it. */
    while (again.head && w->segment && !w->stuck.head) {
        r = queue_pop(&again);
        if (!add_to_batch(w, r))
            queue_add(&w->stuck, r);
    }
    if (!w->stuck.head)
        append_sync(w);
    queue_move(&w->stuck, &again);
    w->recovering = 0;
    if (w->stuck.head || !w->segment)
        return;
    w->backoff_usec = 0;
    if (atomic_exchange(&w->failed, 0))
        log_event(POSTERN_LOG_NOTICE, "spool", "spool.write.recovered", "segment=%" PRIu32, w->seq);
}
