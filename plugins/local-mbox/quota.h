/* quota.h: how much a mailbox may hold, in bytes and messages, and what comes of it. */
#ifndef LOCAL_MBOX_QUOTA_H
#define LOCAL_MBOX_QUOTA_H

#include "local-mbox.h"

struct quota { /* what is there */
    uint64_t bytes, messages;
};

/* Is there a limit that asks for messages to be counted; is there any limit at all? */
int quota_counts(const struct settings *set);
int quota_limits(const struct settings *set);

/* May a message of so many bytes come to it? 0, or -EDQUOT with the fate. */
int quota_check(const struct settings *set, const struct quota *used, uint64_t bytes,
                struct problem *ret);
/* A write failed: where the disk's own quota was met, that is a full mailbox as well. */
void quota_errno(const struct settings *set, struct problem *p, int err, const char *what,
                 const char *path);

/* Both block. 0 or -errno. */
int quota_of_mbox(int fd, uint64_t *ret_messages);
int quota_of_maildir(const char *root, struct quota *ret); /* its folders as well */

#endif
