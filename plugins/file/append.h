/* append.h: a batch of messages for one file, written by a thread of the pool.
 *
 * All entries of a batch share one lock and one fdatasync. Each is there whole or not at all. */
#ifndef FILE_APPEND_H
#define FILE_APPEND_H

#include <pthread.h>
#include <sys/queue.h>

#include "file.h"

enum entry_state {
    ENTRY_TODO,
    ENTRY_WRITTEN, /* in the file, not yet durable   */
    ENTRY_DONE     /* `problem` says what came of it */
};

struct entry { /* one recipient of one job */
    TAILQ_ENTRY(entry) link; /* of its sheet: waiting or batch */
    LIST_ENTRY(entry) all;   /* of the instance                */
    struct sheet    *sheet;
    postern_job     *job; /* only for settling, on the loop */
    size_t           i;
    postern_content *content;
    uint64_t         content_size;
    int              cancelled; /* settled early, job and content are gone; under sheet->lock */
    int              state;     /* enum entry_state; the thread's while the batch runs */
    uint64_t         start;     /* of the file, where it was written                   */
    struct problem   problem;
    const char      *sender, *rcpt; /* in text */
    char             text[];
};

TAILQ_HEAD(entries, entry);

struct append { /* what the thread needs beside the entries */
    postern_host                  *host;
    const struct postern_services *svc;
    const struct settings         *set;
};

struct sheet { /* a file; exists while something is to be done for it */
    LIST_ENTRY(sheet) link;
    struct append    a;
    struct file_name name;
    struct entries   waiting, batch;
    int              running;      /* a thread has the batch                            */
    uint64_t         timer;        /* until the next try to lock it; 0: none            */
    uint64_t         locked_since; /* when the batch first found it locked; 0: not yet  */
    uint64_t         pause;        /* between the tries, microseconds                   */
    pthread_mutex_t  lock;         /* guards `cancelled`, `committed`, and each read of content */
    int              committed;    /* the batch's entries are durable or given up       */
};

/* Delivers sheet->batch. 0: each entry is ENTRY_DONE; -EWOULDBLOCK: nothing was done, the file is
 * locked by somebody else. */
int append_batch(void *sheet);

#endif
