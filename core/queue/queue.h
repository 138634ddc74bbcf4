/* queue/queue.h: when messages move.
 *
 * Every message in the spool is here, in memory, as little as is needed to know when to do what. A
 * recipient that is due is routed (afresh, each time), and recipients of one message with the same
 * next hop become one job; the job waits its turn at its destination and is carried by a transport;
 * what
 * comes back is a fate for each recipient: delivered, deferred to a later try, or failed and
 * reported to the sender in a DSN. A message leaves the queue when all its recipients have left it.
 *
 * Work per event is O(log n) in the number of messages. Everything runs on the loop. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <jansson.h>
#include <stdint.h>

#include <postern/types.h>

#include "config/config.h"
#include "message/envelope.h"
#include "route/route.h"
#include "spool/spool.h"
#include "util/loop.h"
#include "util/scoreboard.h"

struct queue;

/* Who carries jobs: the plugin host, or a test. deliver: 0 taken, each recipient will be settled
 * with queue_job_settle; -errno: not taken (-ENOENT: no such transport). */
struct queue_carrier {
    void *ctx;
    int (*deliver)(void *ctx, const char *transport, postern_job *job);
    void (*cancel)(void *ctx, const char *transport, postern_job *job);
};

/* Finds out what the router needs to know, and puts it where the router looks; done is called once,
 * later, from the loop, whatever came of it. */
struct route_need;
typedef void queue_asker(void *ctx, const struct route_need *need, void (*done)(void *ctx),
                         void *done_ctx);

struct queue_setup {
    struct loop              *loop;
    struct spool             *spool; /* or later, with queue_set_spool, before queue_start */
    const struct config      *config;
    const struct route_table *routes;
    struct queue_carrier      carrier;
    queue_asker              *ask; /* with the carrier's ctx; NULL: there is nobody to be asked */
    struct score_row         *row; /* the worker's row of the scoreboard; NULL: none */
};

/* What the option table can't say of the queue section. 0, or -EINVAL when errors were added. */
int  queue_check(const struct config *cfg, struct config_errors *errors);
int  queue_new(const struct queue_setup *setup, struct queue **ret); /* -EINVAL: a bad retry list */
void queue_free(struct queue **q);
void queue_set_spool(struct queue *q, struct spool *spool);
/* One more spool, of an adopted shard: begin (-EMFILE when there are too many), queue_adopt for
 * each of its messages, which is delivered from then on, end. forget: its messages have all gone
 * or go with it. */
struct queue_adoption;
int             queue_adopt_begin(struct queue *q, struct spool *spool,
                                  struct queue_adoption **ret);
spool_replay_cb queue_adopt; /* ctx: the adoption */
void            queue_adopt_end(struct queue_adoption **a);
void            queue_spool_forget(struct queue *q, struct spool *spool);
void queue_set_carrier(struct queue *q, void *ctx); /* the ctx of setup.carrier */
spool_replay_cb queue_replay; /* ctx: the queue. For spool_open. */
/* Before queue_start: this message is what kills workers, or may be. The first is put on hold with
 * those words; the others are delivered one at a time, so that the next death tells which one it
 * was. */
void            queue_quarantine(struct queue *q, uint64_t id, const char *why);
void            queue_suspect(struct queue *q, uint64_t id);
/* Called for each message that was put on hold because of queue_quarantine. */
void            queue_on_held(struct queue *q, void (*held)(void *ctx, uint64_t id), void *ctx);
void            queue_start(struct queue *q);
void            queue_stop(struct queue *q); /* starts no more jobs; those in flight go on */
size_t          queue_in_flight(const struct queue *q);
struct queue_counts {
    uint64_t messages, in_flight, accepted, delivered, deferred, failed, bounced;
};
void            queue_counts(const struct queue *q, struct queue_counts *ret);
void            queue_cancel_all(struct queue *q); /* takes back every job in flight */

/* A message became durable: it is the queue's from now on (env too). */
void queue_add(struct queue *q, uint64_t id, struct spool_entry *entry, struct envelope *env);

/* --- what plugins see of a job (services) --- */
uint64_t         queue_job_message(const postern_job *);
const char      *queue_job_id(const postern_job *);
const char      *queue_job_sender(const postern_job *);
size_t           queue_job_rcpts(const postern_job *);
const char      *queue_job_rcpt(const postern_job *, size_t i);
const char      *queue_job_destination(const postern_job *);
const char      *queue_job_next_hop(const postern_job *, size_t i);
uint32_t         queue_job_next_hop_flags(const postern_job *, size_t i);
const char      *queue_job_param(const postern_job *, const char *name);
const char      *queue_job_client(const postern_job *);
const char      *queue_job_original(const postern_job *, size_t i);
int              queue_job_released(const postern_job *, size_t i);
uint32_t         queue_job_flags(const postern_job *);
postern_content *queue_job_content(const postern_job *);
void             queue_job_settle(postern_job *, size_t i, const struct postern_outcome *);

/* --- what operators ask --- */

/* Which messages: any field that is set must match. */
struct queue_filter {
    const char *id;        /* queue id */
    const char *recipient; /* address glob */
    const char *domain;    /* recipient domain glob */
    const char *sender;    /* address glob, "<>" for the null path */
    int         held;      /* 1: only messages with a held recipient */
    int         all;       /* 1: everything (needed by actions when nothing else is set) */
};

enum queue_action { QUEUE_RETRY, QUEUE_HOLD, QUEUE_RELEASE, QUEUE_REMOVE };

/* Messages after id `after` (0: from the first), at most `limit`: an array of objects; *ret_next is
 * the id to go on after, or 0 at the end. New reference. */
json_t *queue_list(struct queue *q, const struct queue_filter *f, uint64_t after, size_t limit,
                   uint64_t *ret_next);
/* How many recipients it touched. why: the operator's words, or NULL. It looks at so many messages
 * as a turn has time for: *ret_next is the `from` to go on with (0: from the first), or 0 at the
 * end. */
size_t  queue_act(struct queue *q, const struct queue_filter *f, enum queue_action action,
                  const char *why, const char *who, uint64_t from, uint64_t *ret_next);
json_t *queue_status(struct queue *q); /* counts, by reason, by destination (the largest) */

/* The same object as queue_list's for one message that is not in a queue: a spool read offline. */
json_t *queue_describe(uint64_t id, const struct envelope *env, const void *state, size_t state_len,
                       uint64_t content_size);
int     queue_filter_match(const struct queue_filter *f, const json_t *described);

#endif
