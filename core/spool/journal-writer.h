/* spool/journal-writer.h: the disk thread. The loop's thread uses only the functions; what is in
 * struct writer is for journal-writer.c (the thread) and journal-append.c (the current segment). */
#ifndef SPOOL_JOURNAL_WRITER_H
#define SPOOL_JOURNAL_WRITER_H

#include <limits.h>
#include <pthread.h>

#include "spool/journal.h"

enum request_kind {
    REQ_MESSAGE, /* records */
    REQ_STATE,
    REQ_DONE,
    REQ_TOMB,    /* a DONE record for a message that has no entry: comes back like a COPY */
    REQ_COPY,
    REQ_CHUNK,   /* more of a large message's content */
    REQ_REMOVE,  /* a content file */
    REQ_DROP,    /* a segment */
    REQ_SYNC,    /* do not wait for lazy_sync_usec */
    REQ_RESERVE, /* make the reserve file again */
    REQ_BEGUN,   /* made by the disk thread: there is a new segment */
    REQ_SEALED   /* likewise: that segment is not written any more */
};

/* Who waits for a STATE to be durable. */
struct waiter {
    struct waiter *next;
    postern_done  *done;
    void          *ctx;
};

/* A record as it stands in an old segment. */
struct copy_part {
    struct journal_file *file; /* a reference; NULL: no such part */
    uint32_t             at, len;
};

/* The file of one large message. The loop's thread owns it; the disk thread works on it only while
 * it serves one of its requests. */
struct content_file {
    uint64_t id;
    struct journal_put *put; /* loop: NULL when committed or abandoned */
    uint64_t pending;        /* loop: bytes that are with the disk thread */
    int      fd;             /* disk: -1 before the first chunk and after the last */
    int      error;          /* disk: -errno of the first failure */
    uint32_t crc;            /* disk */
    uint64_t at, synced;     /* disk */
};

struct request {
    struct request        *next;
    enum request_kind      kind;
    int                    result;
    int                    sync; /* STATE: durable at once */
    uint64_t               id;
    struct journal_entry  *entry;   /* STATE, DONE, COPY */
    struct segment        *segment; /* where the record is; DROP, BEGUN, SEALED: which */
    uint32_t               at, len; /* of the record(s) in the segment */
    union {
        struct {
            spool_commit_cb     *done;
            void                *ctx;
            struct cached       *content; /* a reference; NULL when in file */
            struct content_file *file;
            uint64_t             size;
            uint32_t             meta_len;
            int                  buried; /* refused, but there is a TOMB to be written first */
        } message;
        struct {
            struct waiter  *waiters;
            struct request *after; /* a newer one, which goes when this one is durable */
        } state;
        struct {
            struct copy_part message, state;
            unsigned char   *blob; /* both, one after the other; of the disk thread's making */
            int              unreadable; /* 1: it failed because of the old segment */
        } copy;
        struct {
            uint32_t        of;   /* number of the message's segment */
            struct segment *from; /* compaction: where the DONE record was; else NULL */
            int             asked; /* 1: by the loop's thread, see journal_bury */
        } tomb;
        struct {
            struct content_file *file;
            char                *data;
            size_t               len;
        } chunk;
        struct {
            struct content_file *file; /* NULL: there is just the name */
        } remove;
        struct {
            int      rename; /* to .damaged */
            uint32_t seq;
        } drop;
        struct {
            struct journal_file *file; /* BEGUN: a reference */
            uint32_t             size; /* SEALED */
            int                  bad;  /* SEALED: it could not be synced */
        } segment_event;
    } u;
    uint32_t      head_len; /* of a record: header and what of the payload stands in head */
    unsigned char head[];
};

struct request *request_new(enum request_kind kind, uint64_t id, size_t payload);
void            request_free(struct request *r);

static inline void queue_add(struct request_queue *q, struct request *r)
{
    r->next = NULL;
    if (q->head)
        q->tail->next = r;
    else
        q->head = r;
    q->tail = r;
}

static inline struct request *queue_pop(struct request_queue *q)
{
    struct request *r = q->head;

    if (r)
        q->head = r->next;
    return r;
}

static inline void queue_move(struct request_queue *to, struct request_queue *from)
{
    if (!from->head)
        return;
    if (to->head)
        to->tail->next = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    from->head = NULL;
}

struct writer_config {
    const struct spool_io *io;
    int                    dir, content_dir;
    uint32_t               segment_bytes;
    uint64_t               reserve_bytes;
    int64_t                lazy_sync_usec;
    uint8_t                shard;
    uint32_t               prev_seq, prev_synced; /* what was replayed last */
    uint32_t               bad_from; /* the first that can't be trusted, if the next must know */
    uint64_t               last_id;
};

#define WRITER_IOV      1000 /* pieces in one pwritev; the kernel takes 1024 */
#define WRITER_LAZY_MAX 8192 /* records that may wait for a lazy sync */

struct writer {
    struct writer_config cfg;
    pthread_t            thread;
    int                  event_fd; /* readable: something came back */

    pthread_mutex_t      lock; /* guards what follows */
    pthread_cond_t       work, progress;
    struct request_queue incoming, completed;
    int                  idle, hurry, quit;

    /* The disk thread's own. */
    struct segment       *segment; /* NULL: there is none that can be written */
    struct journal_file  *file;
    uint32_t              seq, salt, at, synced;
    struct request_queue  batch;    /* in iov, to be written by the next flush */
    struct request_queue  unsynced; /* written to the segment, not durable */
    struct request_queue  stuck;    /* outcomes that could not be written, in order */
    struct request_queue  finished; /* to be sent back */
    uint32_t              batch_bytes, unsynced_n;
    struct iovec          iov[WRITER_IOV];
    int                   iov_n;
    int                   need_sync;
    int                   recovering;
    int64_t               dirty_since; /* 0: all that was written is durable */
    int64_t               retry_at, backoff_usec;
    int                   reason; /* why stuck */
    int                   reserve_held;
    int                   hurried; /* the thread's copy of hurry */

    atomic_int            failed, reserve_out; /* for the loop's thread */
    _Atomic uint64_t      appended, groups, write_errors, sync_errors;
};

/* --- for the loop's thread --- */

/* Begins the first segment and the thread. Trouble with the disk is no error here: the writer tries
 * again by itself. */
struct writer *writer_new(const struct writer_config *cfg);
void           writer_hand(struct writer *w, struct request_queue *q);    /* takes all of q */
void           writer_collect(struct writer *w, struct request_queue *q); /* adds what came back */
/* From now on nothing waits: everything is synced at once, and comes back as failed if it must. */
void writer_hurry(struct writer *w);
void writer_wait(struct writer *w); /* until something came back; only after writer_hurry */
void writer_stop(struct writer *w);  /* ends the thread; everything must have come back */
void writer_free(struct writer **w); /* after writer_stop */

/* --- journal-append.c: the current segment, on the disk thread --- */
int  append_begin(struct writer *w);
void append_record(struct writer *w, struct request *r);
void append_flush(struct writer *w);
void append_sync(struct writer *w);
void append_recover(struct writer *w, int force);
void append_finish(struct writer *w, struct request *r, int result);
int  append_reserve(struct writer *w); /* makes the reserve file; 0 or -errno */
void append_end(struct writer *w); /* lets go of the segment */

#endif
