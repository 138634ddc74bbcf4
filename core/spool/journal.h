/* spool/journal.h: inside the journal engine. Only spool/journal*.c and its tests look in here.
 *
 * Two threads. The loop's thread keeps the books: entries, segments, what is live, the cache. The
 * disk thread writes (journal-writer.h). They exchange requests: each is handed over once, in
 * order, and comes back once: a record when it is durable, so the books never run ahead of the
 * disk. */
#ifndef SPOOL_JOURNAL_H
#define SPOOL_JOURNAL_H

#include <stdatomic.h>

#include "spool/engine.h"
#include "spool/journal-format.h"
#include "util/content.h"
#include "util/list.h"
#include "util/map.h"

#define JOURNAL_SEGMENT_MIN 4096u      /* bounds of spool_config.segment_bytes; offsets in a */
#define JOURNAL_SEGMENT_MAX (1u << 30) /* segment fit 32 bits, one oversized record included */
#define JOURNAL_OPEN_MAX    64u        /* segments kept open for readers                     */
#define JOURNAL_HINT_MAX    65536u     /* bytes allocated for a message on a peer's word     */
#define JOURNAL_HEAD_BYTES  65536u     /* of large content, kept for header scans            */
#define JOURNAL_CHUNK_BYTES 262144u    /* large content goes to the disk thread in these     */
#define JOURNAL_BACKLOG     (1u << 20) /* of one put, handed over and not written: then wait */

/* A descriptor shared by reference: of a segment or a content file; readers may outlive both. */
struct journal_file {
    atomic_int             refs;
    int                    fd;
    const struct spool_io *io;
};

struct journal_file *journal_file_new(const struct spool_io *io, int fd);
struct journal_file *journal_file_ref(struct journal_file *f);
void                 journal_file_unref(struct journal_file **f); /* any thread */

/* So many of a segment's messages have their DONE record in another one, which must outlive it: a
 * segment that is replayed without them would bring its messages back. */
struct segment_need {
    struct segment *in;
    uint32_t        n;
};
struct segment_tomb { /* such a DONE record, from the other side */
    uint64_t id;
    uint32_t of; /* number of the segment that has the message */
};

struct segment {
    struct list          link; /* in journal.segments, ascending by seq */
    uint32_t             seq, salt;
    uint64_t             size;
    uint64_t             live_bytes;
    uint64_t             durable; /* known to be so, of what was there at start */
    struct list          messages; /* entries whose MESSAGE is here */
    struct list          states;   /* entries whose newest STATE is here */
    struct list         *cursor;   /* next in messages for an analysis; NULL: none walks here */
    struct segment_need *needs;
    struct segment_tomb *tombs;
    uint32_t             needs_n, needs_cap, tombs_n, tombs_cap;
    uint32_t             tombs_needed; /* how many other segments' messages need our DONE records */
    int64_t              sealed_usec;  /* since when it is not written any more; monotonic */
    unsigned             sealed : 1;
    unsigned             damaged : 1;  /* renamed instead of deleted */
    unsigned             barrier : 1;  /* has copies of what is elsewhere: goes before younger */
    unsigned             dropping : 1;
    unsigned             unmovable : 1; /* compaction met something that it can't read */
    struct journal_file *file;          /* NULL: not open now */
    struct list          open_link;
};

struct journal_entry {
    struct spool_entry base;
    struct list        in_messages, in_states;
    struct segment    *segment, *state_segment; /* state_segment NULL: no state */
    uint32_t           at, state_at, state_len;
    unsigned           meta_len : 26; /* FORMAT_META_MAX is less */
    unsigned           large : 1;   /* content in a file of its own                           */
    unsigned           busy : 1;    /* a STATE is with the disk thread, see journal.states    */
    unsigned           copying : 1; /* compaction is moving it                                */
    unsigned           done : 1;
    unsigned           moved : 1;   /* there was, or is, another copy in an older segment      */
    struct cached     *cached; /* NULL: not in memory */
};

/* Content in memory: constant, shared with readers and the disk thread. */
struct cached {
    postern_content       content; /* first member */
    struct list           lru;
    struct journal_entry *entry; /* NULL: not in the cache (any more) */
};

struct writer;
struct request;

struct request_queue {
    struct request *head, *tail;
};

/* Which messages of segments that are shared with other shards are this one's: journal-range.c */
#define JOURNAL_RULES_MAX  8u
#define JOURNAL_RANGE_NAME "range"
struct range_rule { /* of the segments up to that one, ids from first to last */
    uint32_t upto;
    uint64_t first, last;
};
struct range {
    struct range_rule v[JOURNAL_RULES_MAX];
    unsigned          n;
};

struct journal_load;

struct compaction {
    struct segment *victim;
    unsigned        in_flight; /* records of the slice that is under way */
    struct loop_task task;
};

struct journal_part {
    unsigned number;
    uint64_t messages;
};

struct journal {
    struct spool        spool; /* first member */
    struct spool_config cfg;   /* defaults filled in; path and io are ours */
    char               *path;
    struct loop        *loop; /* NULL: for reading only */
    int                 dir, content_dir, lock_fd;
    uint64_t            last_id;
    int                 reading;  /* 1: an analysis reads the segments: damaged ones stay */
    uint32_t            replayed; /* number of the last segment that was there at start */
    struct list         segments;
    struct list         open_segments; /* least recently used first */
    unsigned            open_segments_n;
    struct list         lru; /* of struct cached, oldest first */
    struct idmap       *states; /* id to the STATE request that is with the disk thread */
    struct idmap       *files;  /* ids whose content file is ours to look after, to anything */

    struct writer       *writer;
    struct request_queue pending; /* handed over at the end of the turn */
    struct loop_task     hand_task;
    struct event        *wake;
    uint64_t             outstanding; /* requests that have not come back */
    int                  closing;     /* 1: no more callbacks */

    struct range         range;
    struct journal_load *load;    /* NULL: it is open, and all was told */
    atomic_int           abandon; /* 1: what a thread does for the load is not wanted any more */
    struct journal_part  parts[SPOOL_PARTS_MAX]; /* made when it was opened */
    unsigned             parts_n;

    struct compaction  compact;
    struct loop_timer *tick, *room_timer;
    int64_t            room_looked; /* when free_bytes was asked */
    uint64_t           room_taken;  /* bytes of messages handed over since */
    int                room_asked;  /* a REQ_RESERVE is under way */
    struct spool_stats stats;
};

/* journal.c */
void journal_hand(struct journal *j, struct request *r); /* to the disk thread, at turn's end */
int  journal_accepts(struct journal *j);                 /* 0, -ENOSPC, -EIO, -EROFS */
void journal_bury(struct journal *j, uint64_t id, uint32_t of); /* DONE for what has no entry */
void journal_disk_full(struct journal *j);               /* a write met -ENOSPC */

/* journal-segment.c: books about segments. */
struct segment *segment_new(uint32_t seq, uint32_t salt);
void            segment_free(struct segment *s);
void            segment_add(struct journal *j, struct segment *s); /* at its place by seq */
struct segment *segment_find(const struct journal *j, uint32_t seq);
void segment_tomb_add(struct segment *in, struct segment *of, uint64_t id);
void segment_tomb_moved(struct segment *from, struct segment *to, struct segment *of, uint64_t id);
void segment_bury_copies(struct journal *j, struct segment *in, const struct segment *of,
                         uint64_t id);
void segment_check(struct journal *j, struct segment *s); /* something in it died */
void segment_sweep(struct journal *j);                    /* lets go of all that can go */
void segment_gone(struct journal *j, struct segment *s);  /* its file is deleted */
struct journal_file *segment_open(struct journal *j, struct segment *s); /* a ref; NULL: errno */
void segment_opened(struct journal *j, struct segment *s, struct journal_file *f); /* takes f */
void segment_close(struct journal *j, struct segment *s);

/* journal-entry.c: books about messages. */
struct journal_entry *entry_new(uint64_t id, uint64_t size, uint32_t meta_len, int large);
void     entry_free(struct journal *j, struct journal_entry *e); /* takes it off all lists */
void     entry_place(struct journal_entry *e, struct segment *s, uint32_t at);
void     entry_place_state(struct journal_entry *e, struct segment *s, uint32_t at, uint32_t len);
uint32_t entry_record_len(const struct journal_entry *e); /* of its MESSAGE, header included */
void journal_state(struct spool *s, struct spool_entry *e, const void *state, size_t len, int sync,
                   postern_done *done, void *ctx);
void journal_done(struct spool *s, struct spool_entry *e);
void journal_state_completed(struct journal *j, struct request *r);
void journal_done_completed(struct journal *j, struct request *r);
void journal_hand_done(struct journal *j, struct journal_entry *e);

/* journal-content.c: the cache, and reading from disk. */
struct cached *cached_new(char *data, uint64_t size);
void cache_put(struct journal *j, struct journal_entry *e, struct cached *c); /* takes c's ref */
void cache_drop(struct journal *j, struct journal_entry *e);
postern_content *journal_content(struct spool *s, struct spool_entry *e);
int  journal_read_meta(struct spool *s, struct spool_entry *e, void **ret, size_t *ret_len);
int  journal_read_state(struct spool *s, struct spool_entry *e, void **ret, size_t *ret_len);
void journal_uncache(struct spool *s, struct spool_entry *e);
struct journal_file *journal_open_content(struct journal *j, const struct journal_entry *e);
int  journal_pread(const struct spool_io *io, int fd, void *buf, size_t len, uint64_t at);
int  journal_write_all(const struct spool_io *io, int fd, struct iovec *iov, int n, uint64_t at);

/* journal-put.c: new messages. */
int  journal_put_new(struct spool *s, uint64_t id, uint64_t size_hint, struct spool_put **ret);
int  journal_put_write(struct spool_put *p, const void *data, size_t len);
void journal_put_room(struct spool_put *p, postern_done *done, void *ctx);
uint64_t    journal_put_size(const struct spool_put *p);
const char *journal_put_head(const struct spool_put *p, size_t *ret_len);
void journal_put_commit(struct spool_put *p, const void *meta, size_t meta_len,
                        spool_commit_cb *done, void *ctx);
void journal_put_free(struct spool_put *p);
void journal_message_completed(struct journal *j, struct request *r);
void journal_chunk_completed(struct journal *j, struct request *r);

/* journal-compact.c */
void compact_init(struct journal *j);
void compact_consider(struct journal *j); /* soon */
void compact_completed(struct journal *j, struct request *r); /* COPY and TOMB */

/* journal-verify.c: the files of large messages, at start. */
int  verify_content(struct journal *j, struct journal_entry *e); /* 0; 1: damaged; -errno */
int  verify_bytes(const struct spool_io *io, int fd, const struct format_large *l);
void verify_orphans(struct journal *j, const struct idmap *live, int damage);

/* journal-replay.c: fills in j->segments and entries. Until the journal is open nobody else knows
 * it, so all of this may be done on any thread. 0, or -errno with why. */
struct replay_end { /* for the writer, which goes on behind it */
    uint32_t last_seq;
    uint32_t last_synced; /* so much of that segment is good */
    uint32_t bad_from;    /* it could not be synced: its number */
};
struct replay_found {
    struct journal_entry **v; /* what is live, by id */
    size_t                 n;
    struct idmap          *ids; /* the same */
    int                    aside; /* 1: there are segments that were set aside */
    struct replay_end      end;
};
int  journal_scan(struct journal *j, struct replay_found *ret, char *why, size_t why_size);
int  journal_verify(struct journal *j, struct replay_found *found, char *why, size_t why_size);
void journal_found_free(struct replay_found *found);
/* Damaged: not delivered, and never deleted, since its segment is evidence. */
void journal_give_up(struct journal *j, struct journal_entry *e);

/* journal-range.c */
int  range_has(const struct range *r, uint32_t seq, uint64_t id);
int  range_add(struct range *r, uint32_t upto, uint64_t first, uint64_t last); /* 0, -E2BIG */
void range_forget(struct range *r, uint32_t lowest); /* what is about older segments only */
/* The file in that folder; none: no rules. -EBADMSG: it is damaged. */
int  range_read(const struct spool_io *io, int dir, const char *name, struct range *ret);
int  range_write(const struct spool_io *io, int dir, const struct range *r);

/* journal-split.c: before anything is written. 0, or -errno: the shard must not be used now.
 * finish: what a crash has interrupted, and j->range. split: gives all but the first part away, if
 * that can be done; what is left is in found. */
int split_finish(struct journal *j);
int journal_split(struct journal *j, struct replay_found *found, unsigned parts);

/* journal-remove.c: 1: the folder of an empty shard, which is locked still, has gone. */
int remove_shard(struct journal *j);

/* journal-load.c: tells who opens a journal what is in it: at once, or little by little. */
int  load_now(struct journal *j, spool_replay_cb *replay, void *ctx, struct replay_end *ret,
              char *why, size_t why_size);
void load_begin(struct journal *j, const struct spool_adoption *what);
void load_end(struct journal *j); /* waits for a thread that is at it */

/* journal.c. prepare: the lock is held; folders, and no split is left half done. */
int  journal_prepare(struct journal *j, char *why, size_t why_size);
void journal_write(struct journal *j, const struct replay_end *end); /* makes the writer */
void journal_go(struct journal *j);                                  /* listens to it */

#endif
