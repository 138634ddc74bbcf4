/* daemon/worker.h: inside a worker: its parts, and its shards. */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include "daemon/daemon.h"

#define WORKER_SHARDS 256u /* numbers there can be: eight bits of every queue id */

struct adopted { /* a shard that another worker left behind */
    struct list   link;
    struct spool *spool;
    unsigned      number;
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
    struct control            *control;
    struct event              *signals[2], *channel_event;
    struct loop_timer         *log_timer, *drain_timer, *beat_timer;
    int64_t                    drain_until; /* 0: not draining */
};

/* worker.c */
void worker_drain(struct worker *w, const char *why);

/* last_words.c: from now on, what was logged is written although the worker dies. */
void worker_last_words(void);

/* shard.c */
int  shard_folder(const struct config *cfg); /* with privileges: makes it; 0 or -errno */
void worker_shards_prepare(struct worker *w);
int  worker_shard_open(struct worker *w, char *why, size_t why_size); /* its own */
void worker_shard_adopt(struct worker *w, unsigned number);
void worker_shards_look(struct worker *w); /* lets go of adopted ones that are empty */
void worker_shards_close(struct worker *w);

/* notice.c: a message of our own to the postmaster. */
void worker_notice(struct worker *w, const char *text);

#endif
