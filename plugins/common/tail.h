/* tail.h: the end of a file that messages are appended to: opened with suspicion, locked, written
 * in large pieces, cut back, made durable. Blocks: for threads only. */
#ifndef COMMON_TAIL_H
#define COMMON_TAIL_H

#include <sys/stat.h>

#include "lock.h"
#include "problem.h"
#include "undo.h"

#define TAIL_BUF 65536u /* bytes gathered before they are written; UNDO_LEN_MAX at most */

enum tail_dot { DOT_YES, DOT_TRY, DOT_NO };

struct tail_how {
    const char *what; /* "mailbox", in sentences */
    const struct problem_kind *errors; /* see problem_errno_of */
    int64_t dot_lock;   /* enum tail_dot */
    int64_t lock_stale; /* microseconds  */
    int     lines;      /* it has to end with a line's end before anything is appended */
    int     create;     /* may it be made? With this mode: */
    mode_t  mode;
    /* A file was made: it gets its owner and mode. 0 or -errno: it is removed again. */
    int (*made)(int fd, const void *ctx);
    /* What is wrong with a file that is there ("belongs to somebody else"), or NULL. */
    const char *(*refuse)(const struct stat *st, const void *ctx);
    const void *ctx; /* for these two */
};

struct tail {
    int             fd;
    int             folder; /* the file's: or AT_FDCWD; the caller's, and stays open */
    const char     *leaf;   /* the file, seen from the folder                        */
    const char     *name;   /* its full path, for people                             */
    const char     *locked; /* a path to it, for lock.h                              */
    const struct tail_how *how;
    int             created;
    int             torn; /* what undo_apply said of a piece that a killed one of us left */
    uint64_t        torn_at, torn_len;
    uint64_t        size;    /* with what is in buf */
    uint64_t        durable; /* size when it was last synced, or opened */
    struct dot_lock dot;     /* "NAME.lock" */
    struct undo     undo;
    size_t          len;
    char            buf[TAIL_BUF];
};

/* Nothing is open: tail_close() may be called. */
void tail_init(struct tail *t, const struct tail_how *how);
/* Opens and locks the file, makes it if need be and may be; folder, leaf, name and locked are set.
 * 0; -EWOULDBLOCK: somebody else has it locked now; other -errno: *reterr says why in words. */
int tail_open(struct tail *t, struct problem *reterr);
int tail_write(struct tail *t, const void *data, size_t len); /* 0 or -errno */
int tail_flush(struct tail *t);
int tail_undo(struct tail *t, uint64_t size); /* back to a size at which it was flushed */
int tail_sync(struct tail *t);                /* makes it durable */
/* Unlocks and closes. What was not synced is undone. */
void tail_close(struct tail *t);

#endif
