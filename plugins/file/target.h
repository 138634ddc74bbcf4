/* target.h: one file, opened below its root, locked, and open for appending. Blocks: for threads
 * only. */
#ifndef FILE_TARGET_H
#define FILE_TARGET_H

#include <limits.h>

#include "../local-mbox/lock.h"
#include "../local-mbox/undo.h"
#include "file.h"

#define TARGET_BUF 65536u /* bytes gathered before they are written; UNDO_LEN_MAX at most */

struct target {
    int             folder, fd;
    int             created;
    int             torn; /* a killed worker's piece: 1: was taken out; < 0: why not */
    uint64_t        torn_at, torn_len;
    uint64_t        size;    /* with what is in buf */
    uint64_t        durable; /* size when it was last synced, or opened */
    struct dot_lock dot;
    struct undo     undo;
    size_t          len;
    const char     *leaf;             /* of the name's path  */
    char            name[PATH_MAX];   /* for people          */
    char            locked[PATH_MAX]; /* for lock.h: by way of the folder that we hold open */
    char            buf[TARGET_BUF];
};

/* Opens and locks the file, makes it if need be and may be. 0; -EWOULDBLOCK: somebody else has it
 * locked now; other -errno: *reterr says why in words. `name` must stay until target_close. */
int target_open(struct target *t, const struct settings *set, const struct file_name *name,
                struct problem *reterr);
int target_write(struct target *t, const void *data, size_t len); /* 0 or -errno */
int target_flush(struct target *t);
int target_undo(struct target *t, uint64_t size); /* back to a size at which it was flushed */
int target_sync(struct target *t);                /* makes it durable */
/* Unlocks and closes. What was not synced is undone. */
void target_close(struct target *t);

#endif
