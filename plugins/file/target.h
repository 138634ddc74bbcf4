/* target.h: one file, opened below its root, locked, and open for appending. Blocks: for threads
 * only. */
#ifndef FILE_TARGET_H
#define FILE_TARGET_H

#include <limits.h>

#include "../common/tail.h"
#include "file.h"

struct target {
    struct tail     tail;
    struct tail_how how;
    mode_t          mode;
    char            name[PATH_MAX];   /* for people          */
    char            locked[PATH_MAX]; /* for lock.h: by way of the folder that we hold open */
};

/* Opens and locks the file, makes it if need be and may be. 0; -EWOULDBLOCK: somebody else has it
 * locked now; other -errno: *reterr says why in words. `name` must stay until target_close. */
int target_open(struct target *t, const struct settings *set, const struct file_name *name,
                struct problem *reterr);
/* Unlocks and closes. What was not synced is undone. */
void target_close(struct target *t);

#endif
