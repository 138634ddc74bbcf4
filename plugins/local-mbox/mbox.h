/* mbox.h: one mailbox file, opened, locked, and open for appending. Blocks: for threads only. */
#ifndef LOCAL_MBOX_MBOX_H
#define LOCAL_MBOX_MBOX_H

#include <limits.h>

#include "local-mbox.h"
#include "lock.h"
#include "undo.h"
#include "users.h"

#define MBOX_BUF 65536u /* bytes gathered before they are written */

struct mbox {
    int             fd;
    int             created;
    int             torn; /* what undo_apply said of a piece that a killed one of us left */
    uint64_t        torn_at, torn_len;
    struct dot_lock dot;  /* "path.lock" */
    struct undo     undo;
    uint64_t        size;    /* with what is in buf */
    uint64_t        durable; /* size when it was last synced, or opened */
    size_t          len;
    char            path[PATH_MAX];
    char            buf[MBOX_BUF];
};

/* Opens and locks the user's mailbox, makes it if need be. 0; -EWOULDBLOCK: somebody else has it
 * locked now; other -errno: *reterr says why in words. */
int mbox_open(struct mbox *m, const struct settings *set, const struct user *user,
              struct problem *reterr);
int mbox_write(struct mbox *m, const void *data, size_t len); /* 0 or -errno */
int mbox_flush(struct mbox *m);
int mbox_undo(struct mbox *m, uint64_t size); /* back to a size at which it was flushed */
int mbox_sync(struct mbox *m);                /* makes it durable */
/* Unlocks and closes. What was not synced is undone. */
void mbox_close(struct mbox *m);

#endif
