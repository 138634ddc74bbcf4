/* spool/journal-writer.c: the disk thread's life, and the queue between it and the loop.
 *
 * The thread takes everything that waits, writes it, syncs once, and sends all of it back with one
 * wake-up; what arrived meanwhile is the next group. So groups grow with the load by themselves. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/crc32c.h"
#include "util/mem.h"

#define CONTENT_SYNC_BYTES \
    (8u << 20) /* large content is synced in such steps, so that the last one,
                                         which holds up a group, is short */

struct request *request_new(enum request_kind kind, uint64_t id, size_t payload)
{
    struct request *r = mem_alloc(sizeof *r + FORMAT_HEADER + payload);

    memset(r, 0, sizeof *r);
    r->kind = kind;
    r->id = id;
    r->head_len = (uint32_t)(FORMAT_HEADER + payload);
    r->len = r->head_len;
    return r;
}

void request_free(struct request *r)
{
    free(r);
}

/* --- content files --- */

static void file_open(struct writer *w, struct content_file *f)
{
    const struct spool_io *io = w->cfg.io;
    char name[FORMAT_NAME_LEN + 1];
    int fd;

    format_content_name(name, f->id);
    fd = io->open(io->ctx, w->cfg.content_dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        f->error = fd;
    else
        f->fd = fd;
}

static void file_sync(struct writer *w, struct content_file *f)
{
    int r;

    if (f->error || f->synced == f->at)
        return;
    r = w->cfg.io->fdatasync(w->cfg.io->ctx, f->fd);
    if (r < 0) {
        atomic_fetch_add(&w->sync_errors, 1);
        f->error = r;
    }
    f->synced = f->at;
}

static void file_close(struct writer *w, struct content_file *f)
{
    if (f->fd >= 0)
        w->cfg.io->close(w->cfg.io->ctx, f->fd);
    f->fd = -1;
}

static void serve_chunk(struct writer *w, struct request *r)
{
    struct content_file *f = r->u.chunk.file;
    struct iovec iov = { r->u.chunk.data, r->u.chunk.len };

    if (!f->error && atomic_load(&w->reserve_out))
        f->error = -ENOSPC;
    if (!f->error && f->fd < 0)
        file_open(w, f);
    if (!f->error) {
        f->crc = crc32c(f->crc, iov.iov_base, iov.iov_len);
        f->error = journal_write_all(w->cfg.io, f->fd, &iov, 1, f->at);
        if (f->error < 0)
            atomic_fetch_add(&w->write_errors, 1);
    }
    if (!f->error)
        f->at += r->u.chunk.len;
    if (f->at - f->synced >= CONTENT_SYNC_BYTES)
        file_sync(w, f);
    append_finish(w, r, f->error);
}

/* The file must be durable, and be found under its name, before a record says that it is there. */
static int finish_file(struct writer *w, struct request *r)
{
    const struct spool_io *io = w->cfg.io;
    struct content_file *f = r->u.message.file;
    struct format_large large = { .size = f->at, .crc = f->crc };

    file_sync(w, f);
    file_close(w, f);
    if (!f->error && f->at != r->u.message.size)
        f->error = -EIO;
    if (!f->error)
        f->error = io->fsync_dir(io->ctx, w->cfg.content_dir);
    if (f->error)
        return f->error;
    format_content_name(large.name, f->id);
    format_large(r->head + r->head_len - FORMAT_LARGE_LEN, &large);
    return 0;
}

static void serve_message(struct writer *w, struct request *r)
{
    if (!r->result && r->u.message.file)
        r->result = finish_file(w, r);
    if (r->result)
        append_finish(w, r, r->result);
    else
        append_record(w, r);
}

static void serve_remove(struct writer *w, struct request *r)
{
    char name[FORMAT_NAME_LEN + 1];

    if (r->u.remove.file)
        file_close(w, r->u.remove.file);
    format_content_name(name, r->id);
    append_finish(w, r, w->cfg.io->unlink(w->cfg.io->ctx, w->cfg.content_dir, name));
}

/* --- segments --- */

static int read_part(const struct copy_part *part, enum format_type type, uint64_t id,
                     unsigned char *to)
{
    struct format_header h;
    int r = journal_pread(part->file->io, part->file->fd, to, part->len, part->at);

    if (r < 0)
        return r;
    if (format_header_guess(to, &h) < 0 || h.type != type || h.id != id ||
        h.length != part->len - FORMAT_HEADER ||
        crc32c(0, to + FORMAT_HEADER, h.length) != h.payload_crc)
        return -EBADMSG;
    return 0;
}

static int read_copy(struct request *r)
{
    const struct copy_part *message = &r->u.copy.message, *state = &r->u.copy.state;
    int err = 0;

    r->u.copy.blob = malloc(r->len);
    if (!r->u.copy.blob)
        return -ENOMEM;
    if (message->file)
        err = read_part(message, FORMAT_MESSAGE, r->id, r->u.copy.blob);
    if (!err && state->file)
        err = read_part(state, FORMAT_STATE, r->id, r->u.copy.blob + message->len);
    return err;
}

static void serve_copy(struct writer *w, struct request *r)
{
    int err = read_copy(r);

    if (err) {
        r->u.copy.unreadable = err != -ENOMEM;
        append_finish(w, r, err);
    } else {
        append_record(w, r);
    }
}

/* The folder is synced before the request goes back: other segments may go only when this one is
 * sure not to come back. */
static void serve_drop(struct writer *w, struct request *r)
{
    const struct spool_io *io = w->cfg.io;
    char name[FORMAT_FILE_NAME], aside[FORMAT_FILE_NAME];
    int err;

    format_segment_name(name, r->u.drop.seq);
    format_damaged_name(aside, r->u.drop.seq);
    if (r->u.drop.rename)
        err = io->rename(io->ctx, w->cfg.dir, name, aside);
    else
        err = io->unlink(io->ctx, w->cfg.dir, name);
    if (!err || err == -ENOENT)
        err = io->fsync_dir(io->ctx, w->cfg.dir);
    append_finish(w, r, err);
}

/* --- the thread --- */

static void serve(struct writer *w, struct request *r)
{
    switch (r->kind) {
    case REQ_MESSAGE:
        serve_message(w, r);
        break;
    case REQ_STATE:
    case REQ_DONE:
    case REQ_TOMB:
        if (r->result)
            append_finish(w, r, r->result);
        else
            append_record(w, r);
        break;
    case REQ_COPY:
        serve_copy(w, r);
        break;
    case REQ_CHUNK:
        serve_chunk(w, r);
        break;
    case REQ_REMOVE:
        serve_remove(w, r);
        break;
    case REQ_DROP:
        serve_drop(w, r);
        break;
    case REQ_SYNC:
        w->need_sync = 1;
        append_finish(w, r, 0);
        break;
    case REQ_RESERVE:
        append_finish(w, r, append_reserve(w));
        w->retry_at = 0; /* there is room, so what is stuck can go */
        break;
    case REQ_BEGUN:
    case REQ_SEALED:
        abort(); /* made here, never handed over */
    }
}

static int64_t sync_due(const struct writer *w)
{
    return w->segment && w->dirty_since ? w->dirty_since + w->cfg.lazy_sync_usec : INT64_MAX;
}

/* When there is something to do although nobody asks. */
static int64_t next_due(const struct writer *w)
{
    int64_t due = sync_due(w);

    if ((w->stuck.head || !w->segment) && w->retry_at < due)
        due = w->retry_at;
    return due;
}

static void end_group(struct writer *w)
{
    append_flush(w);
    if (w->need_sync || w->hurried || w->unsynced_n >= WRITER_LAZY_MAX ||
        clock_mono() >= sync_due(w))
        append_sync(w);
    if (w->stuck.head || !w->segment)
        append_recover(w, w->hurried && w->stuck.head);
    if (w->hurried && w->stuck.head) {
        struct request *r;
        unsigned lost = 0;

        while ((r = queue_pop(&w->stuck))) {
            append_finish(w, r, w->reason);
            lost++;
        }
        log_event(POSTERN_LOG_ERROR, "spool", "spool.outcomes.lost", "records=%u error=%s", lost,
                  log_q(strerror(-w->reason)));
    }
}

static void publish(struct writer *w)
{
    uint64_t one = 1;
    int was_empty;

    if (!w->finished.head)
        return;
    pthread_mutex_lock(&w->lock);
    was_empty = !w->completed.head;
    queue_move(&w->completed, &w->finished);
    pthread_cond_signal(&w->progress);
    pthread_mutex_unlock(&w->lock);
    if (was_empty && write(w->event_fd, &one, sizeof one) != (ssize_t)sizeof one)
        abort(); /* can't be: its counter is emptied with each collect */
}

static void wait_until(struct writer *w, int64_t due)
{
    struct timespec ts = { due / 1000000, due % 1000000 * 1000 };

    if (due == INT64_MAX)
        pthread_cond_wait(&w->work, &w->lock);
    else
        pthread_cond_timedwait(&w->work, &w->lock, &ts);
}

/* Everything that waits, as soon as there is something or something is due. 0: the end. */
static int take(struct writer *w, struct request_queue *q)
{
    int64_t due = next_due(w);
    int go_on;

    pthread_mutex_lock(&w->lock);
    while (!w->incoming.head && !w->quit && w->hurry == w->hurried && clock_mono() < due) {
        w->idle = 1;
        wait_until(w, due);
        w->idle = 0;
    }
    queue_move(q, &w->incoming);
    w->hurried = w->hurry;
    go_on = !w->quit;
    pthread_mutex_unlock(&w->lock);
    return go_on || q->head;
}

static void *disk_thread(void *arg)
{
    struct writer *w = arg;
    struct request_queue q = { NULL, NULL };
    struct request *r;

    while (take(w, &q)) {
        while ((r = queue_pop(&q)))
            serve(w, r);
        end_group(w);
        publish(w);
    }
    return NULL;
}

/* --- for the loop's thread --- */

/* Signals are the loop's. */
static int start_thread(struct writer *w)
{
    sigset_t all, old;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&w->thread, NULL, disk_thread, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

struct writer *writer_new(const struct writer_config *cfg)
{
    struct writer *w = mem_zalloc(sizeof *w);
    pthread_condattr_t attr;
    int r;

    w->cfg = *cfg;
    w->reason = -EIO;
    w->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->work, &attr);
    pthread_cond_init(&w->progress, &attr);
    pthread_condattr_destroy(&attr);
    r = append_reserve(w);
    if (r < 0) {
        atomic_store(&w->reserve_out, r == -ENOSPC);
        log_event(POSTERN_LOG_WARNING, "spool", "spool.reserve.failed", "error=%s",
                  log_q(strerror(-r)));
    }
    append_begin(w);
    publish(w);
    if (w->event_fd < 0 || start_thread(w))
        abort(); /* no descriptors or threads at start: nothing would work */
    return w;
}

void writer_hand(struct writer *w, struct request_queue *q)
{
    int idle;

    if (!q->head)
        return;
    pthread_mutex_lock(&w->lock);
    queue_move(&w->incoming, q);
    idle = w->idle;
    pthread_mutex_unlock(&w->lock);
    if (idle)
        pthread_cond_signal(&w->work);
}

void writer_collect(struct writer *w, struct request_queue *q)
{
    uint64_t n;

    /* First the counter, then the queue: the other way round a wake-up could be lost. */
    if (read(w->event_fd, &n, sizeof n) < 0 && errno != EAGAIN)
        abort();
    pthread_mutex_lock(&w->lock);
    queue_move(q, &w->completed);
    pthread_mutex_unlock(&w->lock);
}

void writer_hurry(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->hurry = 1;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void writer_wait(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->completed.head)
        pthread_cond_wait(&w->progress, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

void writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->quit = 1;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
}

void writer_free(struct writer **pw)
{
    struct writer *w = *pw;

    *pw = NULL;
    if (w->file)
        append_end(w);
    close(w->event_fd);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->progress);
    free(w);
}
