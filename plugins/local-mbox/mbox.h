/* mbox.h: one mailbox file, opened, locked, and open for appending. Blocks: for threads only. */
#ifndef LOCAL_MBOX_MBOX_H
#define LOCAL_MBOX_MBOX_H

#include <limits.h>

#include "../common/tail.h"
#include "local-mbox.h"
#include "users.h"

struct mbox {
    struct tail     tail;
    struct tail_how how;
    char            path[PATH_MAX];
};

/* Opens and locks the user's mailbox, makes it if need be; `user` must stay for so long. 0;
 * -EWOULDBLOCK: somebody else has it locked now; other -errno: *reterr says why in words. Closed
 * with tail_close. */
int mbox_open(struct mbox *m, const struct settings *set, const struct user *user,
              struct problem *reterr);

#endif
