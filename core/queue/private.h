/* queue/private.h: what the queue's files know of each other. */
#ifndef QUEUE_PRIVATE_H
#define QUEUE_PRIVATE_H

#include <postern/mail.h>

#include "queue/index.h"
#include "queue/queue.h"
#include "util/heap.h"
#include "util/intern.h"
#include "util/list.h"
#include "util/map.h"

#define QUEUE_JOB_RCPTS    100u /* what every server must take (RFC 5321 4.5.3.1.8) */
/* What one turn does at most: a million due messages, or a transport that settles at once, must not
 * keep the loop from everybody else's events. */
#define QUEUE_DUE_PER_TURN    256u /* messages routed */
#define QUEUE_STARTS_PER_TURN 256u /* jobs started */
/* Jobs that wait at one destination; what else is due for it waits as an id (park.c). */
#define QUEUE_WINDOW       1000u
/* A message to many: bulk.c. */
#define QUEUE_BULK         1000u /* recipients; those with more of them are such */
#define QUEUE_BULK_JOBS    500u  /* of one of them at a time */
#define QUEUE_BULK_STEP    2000u /* of its recipients are routed in one turn */
#define QUEUE_TEXT_MAX     1000u
/* Who is settled waits for the others of his job to be, so that one write does for all: so long. */
#define QUEUE_EARLY_USEC   1000000
#define WAIT_REASONS       10
#define QUEUE_SPOOLS       64u

/* Not at all; in a job, waiting or in flight; parked at a destination; something is asked that its
 * route depends on; or it stands for a great many, who are looked at step by step (walk.c). */
enum rcpt_routed { ROUTED_NOT, ROUTED_JOB, ROUTED_PARKED, ROUTED_ASKING, ROUTED_WALKING };

/* Who holds: one's word is not the other's, so a release counts for whoever held it. */
#define HOLD_RULE      1u
#define HOLD_TRANSPORT 2u

struct qrcpt {
    int64_t     next_try; /* monotonic usec */
    const char *text;     /* interned: the last diagnostic, or why it is held; NULL: none */
    const char *remote;   /* interned: who said it; NULL: we did */
    const char *decision; /* interned: rule and next hops of the last attempt; NULL: none */
    uint16_t    status[3];
    uint16_t    tries;
    uint8_t     state;  /* enum rcpt_status */
    uint8_t     reason; /* enum wait_reason */
    uint8_t     routed; /* enum rcpt_routed */
    uint8_t     smtp : 1;     /* text is an SMTP reply */
    uint8_t     asked : 1;    /* of this attempt: who was asked has answered, if only in part */
    uint8_t     held : 2;     /* HOLD_*: whose hold it is on; 0: an operator's, or for safety */
    uint8_t     released : 2; /* HOLD_*: an operator let it go from theirs, once and for all */
    uint32_t    tried;  /* when last, wall clock in seconds; 0: never */
};

struct qmsg {
    struct list         link; /* all messages, by id */
    struct heap_node    due;
    uint64_t            id;
    struct spool_entry *entry;
    struct envelope    *env; /* behind rcpts, in the same piece of memory */
    int64_t             born;    /* monotonic usec: it is as old as it is since then */
    uint32_t            jobs;    /* of this message, waiting or in flight; one more when parked */
    uint8_t             bouncing; /* a DSN is being written */
    uint8_t             spool;    /* index in queue.spools */
    uint8_t             parked;   /* recipients of it are */
    uint8_t             asking;   /* likewise; counts as a job */
    uint8_t             suspect;  /* it was there when a worker died: delivered alone */
    struct qrcpt        rcpts[];
};

/* Destinations with a limit in common (route_group). */
struct qgroup {
    const struct route_group *settings;
    size_t                    in_flight;
    struct list               blocked; /* struct qdest.ready: they have something, and may not */
};

struct qdest {
    struct list      ready; /* in queue.ready when it has something to start, or group.blocked */
    struct qgroup   *group; /* NULL: none */
    struct list      waiting; /* jobs, oldest first */
    struct list      parking; /* in queue.parking when something is parked here */
    struct {                  /* ids of messages, oldest first: a ring */
        uint64_t *v;
        size_t    at, n, cap;
    } parked;
    size_t           waiting_n, in_flight;
    uint64_t         attempt; /* the last one that made a job for it: */
    size_t           newest;  /* its index there */
    int64_t          dead_until; /* monotonic; 0: alive; past: one job may probe */
    int64_t          dead_for;   /* the back-off it is in */
    uint8_t          reason;     /* enum wait_reason for those that wait for it */
    const char      *text;       /* interned: why it is dead */
    char            *transport;
    char            *name; /* what people call it: next hops, or the domain */
    char             key[];
};

struct qbulk { /* beside a message to many */
    struct list  link; /* in queue.bulks */
    struct qmsg *msg;
    size_t       at, offset; /* the next recipient to route, and where in the envelope's text */
    int          more;       /* it was not the last */
    int          full;       /* of jobs: that was why */
    int          unsaved;
    int64_t      save_at; /* monotonic: not before */
};

struct job_rcpt {
    uint32_t    index; /* in the message */
    uint8_t     settled, recorded; /* by the transport; and what came of it, in the message */
    uint8_t     fate, cause, smtp;
    uint16_t    status[3];
    const char *rcpt; /* the envelope's own */
    char       *addr; /* as rewritten; NULL: as it is */
    const char *leaf; /* interned: its key, if it is one of several places (branch.h); else NULL */
    char       *diagnostic;
    char       *remote;
};

struct postern_job {
    struct list                   link; /* in dest.waiting, queue.flying or queue.finished */
    struct list                   early; /* in queue.early: some are settled, and not recorded */
    int64_t                       early_at; /* when they will be */
    struct queue                 *queue;
    struct qmsg                  *msg;
    struct qdest                 *dest;
    const char                   *decision; /* interned */
    const char *const            *next_hops;
    size_t                        next_hop_n;
    const struct postern_strings *params;
    struct postern_strings       *own_params; /* params, when nobody else keeps them; else NULL */
    const char                   *sender; /* interned: instead of the message's; NULL: that one */
    const char                   *domain; /* interned */
    const char                   *own_host; /* interned: "[domain]"; NULL: no next hop says so */
    postern_content              *content;
    int64_t                       started, deadline; /* monotonic; 0: not started */
    uint16_t                      n, cap, unsettled; /* QUEUE_JOB_RCPTS at most */
    uint8_t                       stopped; /* taken back at a stop: that was no try */
    uint16_t                      again_tries; /* of its recipients that are deferred to: */
    int64_t                       again;       /* together, so that they can go together */
    size_t                        before; /* while they are made: of the same destination, + 1 */
    char                          id[16];
    struct job_rcpt               r[];
};

/* One spool whose messages are being told, in the order of their ids. */
struct queue_adoption {
    struct list   link; /* in queue.adoptions */
    struct queue *queue;
    unsigned      spool; /* index in queue.spools */
    struct list  *last;  /* in queue.messages: behind this one, most likely; NULL: at the end */
};

struct queue {
    struct loop              *loop;
    struct spool             *spools[QUEUE_SPOOLS]; /* 0: the worker's own; others: adopted */
    struct queue_adoption     own;                  /* of spools[0] */
    struct list               adoptions;
    const struct config      *config;
    const struct route_table *routes;
    struct queue_carrier      carrier;
    queue_asker              *ask;
    struct intern            *texts;
    int64_t                  *retry; /* usec */
    size_t                    retry_n;

    struct list   messages; /* struct qmsg, by id */
    struct msg_index by_id;
    struct idmap *trees;   /* id to struct qtree (branch.h) */
    struct list   bulks;   /* struct qbulk */
    struct idmap *bulk;    /* id to struct qbulk */
    struct list   walks, walks_asking; /* struct qwalk: with something to do; waiting for answers */
    struct idmap *walk_by; /* their serials */
    uint64_t      walk_serial;
    uint64_t      attempts;
    struct idmap *marked;  /* id to struct mark: quarantined or suspected */
    void        (*held)(void *ctx, uint64_t id); /* one of them was put on hold; may be NULL */
    void         *held_ctx;
    uint64_t      suspect; /* the one that may be in flight now; 0: none */
    struct score_row *row;
    size_t        count;
    size_t        most; /* that count was since memory was last given back */
    struct heap   due;  /* struct qmsg */

    struct map *dests; /* key to struct qdest */
    struct map *groups; /* name to struct qgroup */
    struct list ready; /* struct qdest: round robin */
    struct list parking; /* likewise: those where something is parked */

    struct list flying, finished; /* jobs; flying by start, so by deadline */
    struct list early;            /* of flying: what is settled is to be recorded, by early_at */
    size_t      in_flight;
    struct list bounces; /* DSNs being written */
    int64_t     turn;    /* whose work is counted here: */
    unsigned    turn_routed, turn_started, turn_walked;

    struct loop_task   work;
    struct buf         fresh_ids; /* uint64_t each: messages of this turn */
    struct loop_task   fresh; /* kicks for messages of this turn, when its replies are out */
    struct loop_timer *timer;
    int64_t            timer_at;
    struct loop_timer *sweep;
    int                running;
    uint64_t           waiting_by[WAIT_REASONS]; /* recipients that wait, by reason */
    uint64_t           accepted, delivered, deferred, failed, bounced, expired, removed, discarded;
    unsigned           seed; /* for jitter */
    uint64_t           boot; /* clock_boot_id() */
};

/* queue.c */
void queue_kick(struct queue *q); /* there is something to do at the end of this turn */
int64_t msg_expires(const struct queue *q, const struct qmsg *m); /* monotonic usec */
int64_t envelope_age(const struct envelope *env, int64_t wall); /* usec, never negative */
void msg_schedule(struct queue *q, struct qmsg *m);             /* its place in the heap */
void msg_settled(struct queue *q, struct qmsg *m, int changed); /* after recipients changed */
int  msg_is_over(const struct qmsg *m);
void rcpt_set(struct queue *q, struct qrcpt *r, enum rcpt_status state, enum wait_reason reason);
/* On hold; by: HOLD_*, or 0. Its text says why. */
void rcpt_hold(struct queue *q, struct qrcpt *r, unsigned by);
/* What was last said of it: our own words, or a peer's (remote, smtp). */
void rcpt_text(struct queue *q, struct qrcpt *r, const char *text, const uint16_t status[3]);
void rcpt_said(struct queue *q, struct qrcpt *r, const char *remote, int smtp);
/* g: whose retry list counts; NULL: the queue's. */
void rcpt_defer(struct queue *q, struct qrcpt *r, enum wait_reason reason,
                const struct route_group *g);
struct spool *msg_spool(const struct queue *q, const struct qmsg *m);

/* admin.c: addresses may hold bytes that are not UTF-8; those become '?'. NULL gives null. */
json_t *queue_text_json(const char *text);

/* attempt.c: routing what is due */
void msg_route(struct queue *q, struct qmsg *m);
void msg_unpark(struct queue *q, struct qmsg *m); /* routes what was parked, too */
/* What it asked for, since then, is there; unparked: it had left a line before it asked. */
void msg_answered(struct queue *q, struct qmsg *m, int64_t asked, int unparked);

/* walk.c */
void walk_work(struct queue *q);        /* a step, once in a turn */
int  walk_ready(const struct queue *q); /* there is more of that */
void walk_free_all(struct queue *q);

/* bulk.c */
struct qbulk *bulk_get(struct queue *q, struct qmsg *m); /* NULL: it has few recipients */
void bulk_forget(struct queue *q, struct qmsg *m);
int  bulk_is_full(const struct qbulk *b, const struct qmsg *m, size_t fresh); /* of jobs */
/* Routing begins behind who had it last, or at the first; *ret_i and *ret_rcpt say where. */
void bulk_begin(const struct qbulk *b, const struct qmsg *m, size_t *ret_i, const char **ret_rcpt);
void bulk_stop(struct qbulk *b, const struct qmsg *m, size_t i, const char *rcpt, int full);
void bulk_end(struct qbulk *b); /* all were seen */
/* Recipients changed. 1: there is more to route, and that is seen to. */
int  bulk_settled(struct queue *q, struct qmsg *m, int changed);
void bulk_save(struct queue *q, struct qmsg *m); /* its state: now, or when it is cheap again */
int  bulk_unsaved(struct queue *q, struct qmsg *m);
void bulk_save_all(struct queue *q);
void msg_save(struct queue *q, struct qmsg *m); /* queue.c: writes the state */

/* park.c */
int  park_wanted(const struct queue *q, const struct qdest *d); /* it has enough to do */
void park_add(struct queue *q, struct qdest *d, uint64_t id);
void park_work(struct queue *q);           /* routes of it what there is room for now */
int  park_ready(const struct queue *q);    /* there is more of that */
void park_free(struct qdest *d);

/* job.c */
postern_job *job_new(struct queue *q, struct qmsg *m, struct qdest *d,
                     const struct route_decision *r, const char *decision);
/* Only for leaves: what lives as long as the expansion is copied. */
void         job_own(postern_job *j, const struct postern_strings *params, const char *sender);
/* Its sender says who the recipient is (POSTERN_MAIL_VERP). */
void         job_verp(postern_job *j, const char *rcpt);
/* May move the job, which nobody knows yet. Takes rewritten. leaf: interned, or NULL. */
void         job_add(postern_job **j, size_t index, const char *rcpt, char *rewritten,
                     const char *leaf);
void         job_free(postern_job **j);
void         job_start(struct queue *q, postern_job *j);
void         job_unstart(struct queue *q, postern_job *j, int64_t next_try,
                         enum wait_reason reason);
void         job_take_back(struct queue *q, postern_job *j, const char *why);

/* outcome.c */
void job_finish(struct queue *q, postern_job *j); /* every recipient is settled */
void job_record(struct queue *q, postern_job *j); /* some are, and others let wait for themselves */
void rcpt_fail(struct queue *q, struct qmsg *m, struct qrcpt *r, const char *rcpt,
               const char *text, const uint16_t status[3]);

/* dest.c */
struct qdest *dest_get(struct queue *q, const struct route_decision *d);
int           dest_blocked(const struct qdest *d, int64_t now); /* dead, and not yet to be probed */
void          dest_enqueue(struct queue *q, struct qdest *d, postern_job *j);
void          dest_dispatch(struct queue *q); /* starts what may start */
void          dest_reached(struct queue *q, struct qdest *d);
void          dest_dead(struct queue *q, struct qdest *d, enum wait_reason reason,
                        const char *text);
void          dest_release(struct queue *q,
                           struct qdest *d); /* one job less; forgets an idle one */
void          dest_sweep(struct queue *q);
void          dest_free_all(struct queue *q);

/* bounce.c */
void bounce_start(struct queue *q, struct qmsg *m); /* for its RCPT_FAILED recipients */
void bounce_free_all(struct queue *q);              /* whose spool will not answer any more */

/* quarantine.c */
void quarantine_apply_all(struct queue *q); /* holds messages, or marks them as suspects */
void quarantine_apply(struct queue *q, struct qmsg *m);
int  quarantine_waits(struct queue *q,
                      struct qmsg *m); /* 1: another suspect is in flight; put off */
void quarantine_stay(struct queue *q, struct qmsg *m);  /* it is not in flight after all */
void quarantine_over(struct queue *q, struct qmsg *m);  /* its jobs have ended, and nobody died */
void quarantine_free(struct queue *q);

/* state.c */
void    state_encode(const struct queue *q, const struct qmsg *m, struct buf *out);
int     state_decode(struct queue *q, struct qmsg *m, const void *data, size_t len);
int64_t state_gap(int64_t usec); /* what the wall clock says has passed, as far as it is believed */
/* With jitter. */
int64_t retry_delay(struct queue *q, const struct route_group *g, unsigned tries);
/* usec until a delivery for the group may begin; 0: now. */
int64_t group_wait(const struct route_group *g);
int64_t jittered(struct queue *q, int64_t usec);

#endif
