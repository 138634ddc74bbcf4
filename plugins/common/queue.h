/* queue.h: recipients that wait for the file they are delivered to. One batch at a time is under
 * way for a place; what comes meanwhile forms the next batch, so a busy place pays for few locks
 * and syncs. Shared by plugins that append to files. */
#ifndef COMMON_QUEUE_H
#define COMMON_QUEUE_H

#include <pthread.h>
#include <sys/queue.h>

#include "problem.h"

#define QUEUE_BUCKETS   256u
#define QUEUE_BATCH_MAX 64u  /* deliveries; what is written is lost together if the sync fails */
#define QUEUE_NAME_MAX  512u /* bytes of a place's name in a sentence                          */

enum delivery_state {
    DELIVERY_TODO,
    DELIVERY_WRITTEN, /* in the file, not yet durable                            */
    DELIVERY_DONE,    /* `problem` says what came of it                          */
    DELIVERY_AGAIN    /* it turned out to belong elsewhere: it is for the next batch */
};

struct delivery { /* one recipient of one job; what the plugin adds stands behind it */
    TAILQ_ENTRY(delivery) link; /* of its place: waiting or batch */
    LIST_ENTRY(delivery) all;   /* of the instance                */
    struct place    *place;
    postern_job     *job; /* only for settling, on the loop */
    size_t           i;
    postern_content *content;
    uint64_t         content_size;
    int              cancelled; /* settled early, job and content are gone; under place->lock   */
    int              state;     /* enum delivery_state; the thread's while the batch runs       */
    uint64_t         start;     /* of the file, where it was written                            */
    struct problem   problem;
    const char      *sender, *rcpt; /* part of its memory */
};

TAILQ_HEAD(deliveries, delivery);

struct queue_ops { /* what differs from plugin to plugin */
    size_t place_size, delivery_size; /* of the plugin's structs, which begin with these two */
    /* Delivers place->batch, on a thread. 0: each delivery is DONE or AGAIN; -EWOULDBLOCK: nothing
     * was done, somebody else has locked the place. */
    int  (*append)(struct place *);
    /* "the mailbox of bob": the delivery's place in a sentence. */
    void (*name)(const struct delivery *, char *buf, size_t size);
    void (*delivered)(const struct delivery *); /* it is about to be settled so; may be NULL     */
    void (*done)(struct place *); /* frees what the plugin has in it; may be NULL                */
};

struct queue_for { /* for whom it is */
    postern_host                  *host;
    const struct postern_services *svc;
    const struct queue_ops        *ops;
    const void                    *self;         /* the plugin's */
    int64_t                        lock_timeout; /* microseconds */
};

struct place { /* exists while something is to be done for it */
    LIST_ENTRY(place) link;
    struct queue_for  a;
    struct deliveries waiting, batch;
    int               running;      /* a thread has the batch                           */
    uint64_t          timer;        /* until the next try to lock it; 0: none           */
    uint64_t          locked_since; /* when the batch first found it locked; 0: not yet */
    uint64_t          pause;        /* between the tries, microseconds                  */
    pthread_mutex_t   lock;         /* guards `cancelled`, `committed`, and each read of content */
    int               committed;    /* the batch's deliveries are durable or given up   */
    const char       *key;          /* part of its memory */
};

LIST_HEAD(place_list, place);
LIST_HEAD(delivery_list, delivery);

struct queue { /* one instance's */
    struct queue_for     a;
    struct place_list    places[QUEUE_BUCKETS];
    struct delivery_list deliveries;
};

void queue_init(struct queue *q, const struct queue_for *a);
/* Recipient i of the job, for the place of that key. What the plugin adds is zero, also in a place
 * that is new. queue_put() comes next, in the same call. NULL: no memory. */
struct delivery *queue_new(struct queue *q, postern_job *job, size_t i, const char *key);
void queue_put(struct queue *q, struct delivery *d);
/* Settles what is left of the job now. */
void queue_cancel(struct queue *q, postern_job *job);
void queue_done(struct queue *q);

#endif
