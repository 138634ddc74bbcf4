/* queue/attempt.h: routing what is due, in parts. Private to core/queue/. */
#ifndef QUEUE_ATTEMPT_H
#define QUEUE_ATTEMPT_H

#include "queue/branch.h"

#define ROUTE_BUDGET 5000u /* of route_expand in one turn: some milliseconds */

struct attempt { /* jobs made for one message in one go */
    struct queue *q;
    struct qmsg  *m;
    postern_job **jobs;
    size_t        n, cap;
    uint64_t      serial;
    size_t        places;   /* that aliases of it stood for so far */
    int           changed;  /* a recipient's durable state changed */
    int           unparked; /* it has waited for a place in line, and has it now */
    int64_t asked; /* personal files that were read since are new enough; 0: nobody has asked */
};
void attempt_begin(struct attempt *a, struct queue *q, struct qmsg *m);
void attempt_end(struct attempt *a); /* its jobs wait for their turn; msg_settled is to follow */

struct route_query attempt_query(const struct attempt *a, size_t i, const char *rcpt);
/* What came of a query for recipient i, other than -EAGAIN or -EINPROGRESS. */
void attempt_follow(struct attempt *a, size_t i, const char *rcpt, int err,
                    const struct route_expansion *e);

/* Of recipient i, which stands for several places: a new attempt, or it goes on; some of them, from
 * *at on, n at most; all were seen, and some are parked or not. */
void branch_start(struct attempt *a, size_t i, const char *rcpt, const struct route_expansion *e);
void branch_follow(struct attempt *a, size_t i, const char *rcpt, const struct route_expansion *e,
                   size_t *at, size_t n);
void branch_end(struct attempt *a, size_t i, int parked);

/* What has to be known first: users is a list as route_personal wants it, need is a question to a
 * directory. walk: whose serial it is, or 0: the message's. */
struct question {
    struct queue       *q;
    uint64_t            id, walk;
    int64_t             asked;
    int                 unparked;
    struct alias_report report;
    size_t              len;
    char                users[];
};
struct question *question_new(struct queue *q, const char *users, size_t len);
void             question_read(struct question *question); /* his answer comes from a thread */
/* -ENOSYS: there is nobody to ask; that is the answer, and question is freed. */
int question_ask(struct question *question, const struct route_need *need);

/* walk.c: recipient i, which stands for more than may be looked at in one turn. */
void walk_begin(struct attempt *a, size_t i, const char *rcpt);
void walk_answered(struct queue *q, uint64_t serial);

#endif
