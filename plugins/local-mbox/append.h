/* append.h: a batch of messages for one mailbox, written by a thread of the pool.
 *
 * All entries of a batch share one lock and one sync. Each is there whole or not at all. */
#ifndef LOCAL_MBOX_APPEND_H
#define LOCAL_MBOX_APPEND_H

#include <pthread.h>
#include <sys/queue.h>

#include "folder.h"
#include "local-mbox.h"
#include "maildir.h"
#include "users.h"

enum entry_state {
    ENTRY_TODO,
    ENTRY_WRITTEN, /* in the file, not yet durable                        */
    ENTRY_DONE,    /* `problem` says what came of it                      */
    ENTRY_AGAIN    /* its name is spelt as another user's: the next batch */
};

struct entry { /* one recipient of one job */
    TAILQ_ENTRY(entry) link; /* of its mailbox: waiting or batch */
    LIST_ENTRY(entry) all;   /* of the instance                  */
    struct mailbox  *box;
    postern_job     *job; /* only for settling, on the loop */
    size_t           i;
    postern_content *content;
    uint64_t         content_size;
    int              cancelled; /* settled early, job and content are gone; guarded by box->lock */
    int              state;     /* enum entry_state; the thread's while the batch runs           */
    uint64_t         start;     /* of the file, where it was written                             */
    struct problem   problem;
    struct addressee whom;
    char             file[MAILDIR_NAME_MAX]; /* in a Maildir, its name */
    const char      *sender, *rcpt; /* in text */
    char             text[];
};

TAILQ_HEAD(entries, entry);

struct append { /* what the thread needs beside the entries */
    postern_host                  *host;
    const struct postern_services *svc;
    const struct settings         *set;
    struct notify                 *notify;
    const char                    *hostname;
};

struct mailbox { /* exists while something is to be done for it */
    LIST_ENTRY(mailbox) link;
    struct append   a;
    struct entries  waiting, batch;
    int             running;      /* a thread has the batch                            */
    uint64_t        timer;        /* until the next try to lock it; 0: none            */
    uint64_t        locked_since; /* when the batch first found it locked; 0: not yet  */
    uint64_t        pause;        /* between the tries, microseconds                   */
    pthread_mutex_t lock;         /* guards `cancelled`, `committed`, and each read of content */
    int             committed;    /* the batch's entries are durable or given up       */
    struct user    *user;         /* of the newest batch, or NULL; the thread's while it runs */
    char            key[ADDRESSEE_KEY_MAX];
};

/* Delivers box->batch. 0: each entry is ENTRY_DONE or ENTRY_AGAIN; -EWOULDBLOCK: nothing was done,
 * the mailbox is locked by somebody else. */
int append_batch(void *box);

#endif
