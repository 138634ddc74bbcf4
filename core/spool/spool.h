/* spool/spool.h: where messages rest. An interface; spool/journal.c is its first engine.
 *
 * The spool knows messages as an id, a `meta` (opaque bytes: the envelope), content, and the newest
 * `state` (opaque bytes). It does not know what they mean. All calls are made on the loop's thread;
 * completions come on the loop, never before the call has returned. The engine does its disk work
 * on a thread of its own: many messages are made durable by one fdatasync.
 *
 * Ownership: a spool_entry is made when a message is durable (or replayed) and belongs to the
 * spool; it is valid until spool_done() was called for it. */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include <postern/types.h>

#include "spool/io.h"
#include "util/loop.h"

struct spool;
struct spool_entry;
struct spool_put;

struct spool_config {
    const char *path;           /* folder of the shard; made if missing (mode 0700)               */
    uint64_t    segment_bytes;  /* a new segment file is begun past this; default 64 MiB          */
    uint64_t    inline_bytes;   /* larger content goes to a file of its own; default 1 MiB        */
    uint64_t    cache_bytes;    /* content of fresh messages kept in memory; default 64 MiB       */
    uint64_t    reserve_bytes;  /* kept free so that outcomes fit on a full disk; 1 MiB           */
    uint64_t    min_free_bytes; /* nothing new when the file system has less; default 32 MiB      */
    int64_t     lazy_sync_usec; /* outcomes are synced at the latest after this; default 1 s      */
    uint8_t     shard;          /* goes into ids, so that shards never make the same one          */
    int         keep_orphans;   /* 1: content files without a message stay where they are         */
    const struct spool_io *io;  /* NULL: the real file system                                     */
};

/* Replay: called once for each live message, in order of id, before spool_open returns. state is
 * NULL when none was written. Borrowed. */
typedef void spool_replay_cb(void *ctx, uint64_t id, struct spool_entry *entry, const void *meta,
                             size_t meta_len, const void *state, size_t state_len,
                             uint64_t content_size);

/* What replay and the life since have seen; for status, logs and `queue analyze`. */
struct spool_stats {
    uint64_t segments, segment_bytes, live_messages, live_bytes;
    uint64_t appended, synced_groups, compacted;
    uint64_t damaged_records, damaged_segments, torn_bytes; /* found at replay */
    uint64_t replay_usec;
    uint64_t write_errors, sync_errors;
    uint64_t cache_bytes;
    uint64_t free_bytes; /* of the file system, when last looked at */
    int      full;       /* 1: nothing new is accepted for want of room */
    int      failed;     /* 1: nothing new is accepted because writing failed */
    int      pinned;     /* 1: an analysis is under way: it may not be closed now */
};

/* Takes the shard's lock and replays it. -EBUSY: somebody else owns it. Damage is logged and never
 * fatal. loop may be NULL for reading only (`queue list` with the daemon down): then nothing on
 * disk is changed (no tail is cut, no segment made) and only replay, spool_read_state and
 * spool_content work. */
int  spool_open(const struct spool_config *cfg, struct loop *loop, spool_replay_cb *replay,
                void *ctx, struct spool **ret, char *why, size_t why_size);

/* The same for a shard that may be long, without holding up the loop: what another left behind.
 * The lock is taken at once: 0, or -errno with why. All is read on a thread of the pool; what is in
 * it is told in small lots, one in a turn. A shard with `least` messages or more is split there
 * into `parts` (up to SPOOL_PARTS_MAX; below 2: never): this one keeps the first, each of the
 * others is now a shard of its own beside it, which nobody has.
 *
 * From the loop, in this order, and not before the call has returned:
 *   part: this shard was made (also when a crash had interrupted the one who wanted it);
 *   opened: 0: the spool can be used, and what is told may be delivered; -errno: it could not be
 *     opened, with why: close it;
 *   replay: as above, but after opened;
 *   told: that was the last.
 * spool_close may be called at any time, from opened and told too: then nothing more is called. */
#define SPOOL_PARTS_MAX 64u
struct spool_adoption {
    void            *ctx;
    unsigned         parts;
    uint64_t         least;
    void           (*part)(void *ctx, unsigned number, uint64_t messages); /* may be NULL */
    void           (*opened)(void *ctx, int result, const char *why);
    spool_replay_cb *replay;
    void           (*told)(void *ctx);
};
int spool_adopt(const struct spool_config *cfg, struct loop *loop,
                const struct spool_adoption *what, struct spool **ret, char *why, size_t why_size);

/* Nothing more is told; opened is called if it was not. What was told works as before. */
void spool_abandon(struct spool *s);

/* Shards are folders beside each other, by number. In one that is being split there may be a folder
 * SPOOL_SPLIT, and in that shards whose names are numbers, for who only reads. */
#define SPOOL_SPLIT "split"
#define SPOOL_SHARDS     256u /* eight bits of every id */
#define SPOOL_SHARD_NAME 12u
void spool_shard_name(char out[SPOOL_SHARD_NAME], unsigned number);

/* Writes and syncs what is under way (blocking, without completions), releases the lock. */
void spool_close(struct spool **s);
/* The same; and if nothing is in it, neither mail nor what was set aside, the shard's folder goes
 * too: 1. Else 0. */
int spool_remove(struct spool **s);

uint64_t spool_new_id(struct spool *s); /* unique, ascending: time in microseconds and shard */

/* --- a new message ---
 * put_new begins; size_hint may be 0. -ENOSPC, -EIO: nothing new is accepted now, see stats.
 * put_write appends content. 0; 1: taken, but wait for put_room before more (the disk is behind);
 *   -errno (-ENOSPC, -EIO, -ENOMEM): the put is spoiled: free it.
 * put_content: while content is short enough to be in memory: its bytes so far (for header scans).
 * put_commit consumes the put and calls done(ctx, 0, entry) when all of it is durable, or
 *   done(ctx, -errno, NULL). meta is copied. `ret_content` of done: see spool_content.
 * put_free abandons it and removes what was written. */
int                spool_put_new(struct spool *s, uint64_t id, uint64_t size_hint,
                                 struct spool_put **ret);
int                spool_put_write(struct spool_put *p, const void *data, size_t len);
void               spool_put_room(struct spool_put *p, postern_done *done, void *ctx);
uint64_t           spool_put_size(const struct spool_put *p);
/* The first bytes, at least 64 KiB of them when there are so many: headers, also of large ones. */
const char        *spool_put_head(const struct spool_put *p, size_t *ret_len);
typedef void       spool_commit_cb(void *ctx, int result, struct spool_entry *entry);
void               spool_put_commit(struct spool_put *p, const void *meta, size_t meta_len,
                                    spool_commit_cb *done, void *ctx);
void               spool_put_free(struct spool_put **p);

/* --- what becomes of it ---
 * state: replaces the message's state; durable within lazy_sync_usec (or at once with sync; then
 *   done, which may be NULL, is called when it is). A failed write is repeated by the engine on a
 *   new segment, so the caller need not care.
 * done: the message leaves the spool for good; the entry is invalid from this call on (the content
 *   stays readable for those who hold it). Durable within lazy_sync_usec. */
void spool_state(struct spool *s, struct spool_entry *e, const void *state, size_t len, int sync,
                 postern_done *done, void *ctx);
void spool_done(struct spool *s, struct spool_entry *e);

/* --- reading ---
 * content: a new reference to the content: from the cache when it is there, else backed by the
 *   file. NULL with errno when it cannot be had.
 * read_meta/read_state: reads from disk, blocking, for operators' questions; malloc'ed; 0 or
 *   -errno. */
postern_content *spool_content(struct spool *s, struct spool_entry *e);
uint64_t         spool_entry_id(const struct spool_entry *e);
uint64_t         spool_entry_size(const struct spool_entry *e); /* of the content */
int  spool_read_meta(struct spool *s, struct spool_entry *e, void **ret, size_t *ret_len);
int  spool_read_state(struct spool *s, struct spool_entry *e, void **ret, size_t *ret_len);
void spool_uncache(struct spool *s, struct spool_entry *e); /* drop its content from the cache */

void spool_stats(const struct spool *s, struct spool_stats *ret);

#endif
