/* daemon/worker.h: inside a worker: its parts, and its shards. */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include "daemon/daemon.h"

#define WORKER_SHARDS SPOOL_SHARDS

struct adopted { /* a shard that another worker left behind */
    struct list            link;
    struct worker         *worker;
    struct spool          *spool;
    unsigned               number;
    struct queue_adoption *adoption; /* while its messages are told */
    uint64_t               messages; /* told so far */
    int                    told;     /* 1: that were all */
};

struct worker {
    const struct worker_setup *setup;
    struct plan                plan;
    struct score_row          *row;
    struct loop               *loop;
    struct dns                *dns;
    struct spool              *spool;
    unsigned                   shard;
    struct list                adopted;
    struct queue              *queue;
    struct hosts              *hosts;
    struct aliases            *aliases;
    struct control            *control;
    struct event              *signals[2], *channel_event;
    struct loop_timer         *log_timer, *drain_timer, *beat_timer;
    int64_t                    drain_until; /* 0: not draining */
    int                        spare;       /* a descriptor, given up to receive another; or -1 */
};

/* worker.c */
void worker_drain(struct worker *w, const char *why);
void worker_score(struct worker *w); /* writes its counts to the scoreboard, and that it lives */

/* last_words.c: from now on, what was logged is written although the worker dies. */
void worker_last_words(void);

/* shard.c */
int  shard_folder(const struct config *cfg); /* with privileges: makes it; 0 or -errno */
void worker_shards_prepare(struct worker *w);
int  worker_shard_open(struct worker *w, char *why, size_t why_size); /* its own */
/* Soon. Into so many parts it may be split, of which it keeps one. */
void worker_shard_adopt(struct worker *w, unsigned number, unsigned parts);
size_t worker_shards_unread(const void *worker); /* adopted ones, not all told yet */
void worker_shards_look(struct worker *w); /* lets go of adopted ones that are empty */
void worker_shards_abandon(struct worker *w); /* what was not told of them is another's */
void worker_shards_close(struct worker *w);

/* notice.c: a message of our own to the postmaster. */
void worker_notice(struct worker *w, const char *text);

#endif
