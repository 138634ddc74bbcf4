/* append.h: a batch of messages for one mailbox, written by a thread of the pool. */
#ifndef LOCAL_MBOX_APPEND_H
#define LOCAL_MBOX_APPEND_H

#include "../common/queue.h"
#include "folder.h"
#include "local-mbox.h"
#include "maildir.h"
#include "users.h"

struct entry { /* one recipient of one job */
    struct delivery d; /* AGAIN: its name is spelt as another user's */
    struct addressee whom;
    char file[MAILDIR_NAME_MAX]; /* in a Maildir, its name */
};

struct append { /* what the thread needs beside the entries */
    const struct settings *set;
    struct notify         *notify;
    const char            *hostname;
};

struct mailbox {
    struct place place; /* a.self: the struct append */
    struct user *user;  /* of the newest batch, or NULL; the thread's while it runs */
};

extern const struct queue_ops append_ops;

#endif
