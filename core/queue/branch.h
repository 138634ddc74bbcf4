/* queue/branch.h: recipients that stand for several places. Private to core/queue/.
 *
 * An alias's recipient is routed afresh at each attempt like any other; what is kept between two
 * attempts is only which of its leaves are served, by their keys (route/expand.h). A leaf that no
 * alias names any more is simply not met again; a new one is served at the next attempt.
 *
 * Few messages have branches, so they stand beside the queue's messages and not in them. */
#ifndef QUEUE_BRANCH_H
#define QUEUE_BRANCH_H

#include "queue/private.h"
#include "route/expand.h"

enum leaf_state {
    LEAF_NEW = 0,      /* to be served */
    LEAF_OUT = 1,      /* in a job, waiting or in flight */
    LEAF_DELIVERED = 2,
    LEAF_FAILED = 3,   /* its DSN is not durable yet */
    LEAF_DONE = 4      /* failed and reported, or discarded */
};

struct qleaf {
    const char *key, *shown; /* interned */
    const char *text, *remote; /* interned; of the last try, or of the failure */
    const char *owner; /* interned: whom its failure is reported to; NULL: the sender */
    uint32_t    attempt; /* of the branch: its try was deferred in that one */
    uint16_t    status[3];
    uint8_t     state, smtp;
    uint8_t     held; /* HOLD_*: by whom it was met on hold */
    /* Another recipient's leaf of that key is out: it gets what that one comes to. */
    uint8_t     follows;
    uint32_t    next; /* of those that follow the same one: 1 + its recipient; 0: the last */
};

struct qbranch { /* of one recipient */
    uint32_t index, n;
    struct qleaf *v;
    struct map *by_key; /* to 1 + index, once they are many; else NULL */
    uint32_t out; /* leaves that are */
    uint32_t flying; /* those of them whose job was started */
    uint32_t failed; /* leaves that are: set by leaf_fail alone */
    uint32_t attempt; /* counts; from 1 */
    uint8_t  goes_on; /* the attempt is not over when all are back: some leaves are not begun */
    /* What this attempt has come to for the leaves that are left: */
    uint8_t deferred, put_off; /* the last try failed; it was none */
    uint8_t held;              /* HOLD_*: somebody holds it */
    uint8_t reason;                  /* enum wait_reason */
    const struct route_group *group; /* whose retry list counts; NULL: the queue's */
    uint8_t expires;  /* nobody is served any more: whoever is left fails, each for himself */
    uint8_t whole;    /* it fails as a whole, whatever its leaves did: it is no alias any more */
    int64_t next_try; /* for put_off */
};

/* The branch of recipient i, or NULL; the same, made if it is not there. Borrowed until the next
 * branch_make for that message. */
struct qbranch *branch_get(const struct queue *q, const struct qmsg *m, size_t i);
struct qbranch *branch_make(struct queue *q, struct qmsg *m, size_t i);
/* The leaf with that key, made if it is not there. Borrowed until the next one is made. */
struct qleaf *branch_leaf(struct queue *q, struct qbranch *b, const char *key, const char *shown);

/* An attempt begins: what the last one came to is forgotten. Or it goes on. */
void branch_begin(struct qbranch *b);
/* 1: its turn in this attempt is still to come. */
int branch_wants(const struct qbranch *b, const struct qleaf *leaf);
/* Each place gets a message once, whichever of its recipients stand for it. The leaf goes out in a
 * job. It need not, since another recipient's has been delivered, or is out: 1. It is back: those
 * that followed it, one after the other, new again; NULL: there are no more. */
void branch_takes(struct queue *q, struct qmsg *m, struct qbranch *b, struct qleaf *leaf);
int  branch_shares(struct queue *q, struct qmsg *m, struct qbranch *b, struct qleaf *leaf);
struct qbranch *branch_next_follower(struct queue *q, struct qmsg *m, struct qleaf *leaf,
                                     struct qleaf **ret);
/* No try was made of a leaf: the next one is not before that time. The earliest counts. */
void branch_put_off(struct qbranch *b, enum wait_reason reason, int64_t next_try);
/* All that could be done now was begun, or a leaf has left its job: if nothing is out, that is what
 * the recipient has come to. */
void branch_conclude(struct queue *q, struct qmsg *m, struct qbranch *b);

/* What was said of it; text NULL: nothing. */
void leaf_said(struct queue *q, struct qleaf *leaf, const char *text, const char *remote, int smtp,
               const uint16_t status[3]);
void leaf_fail(struct queue *q, struct qbranch *b, struct qleaf *leaf, const char *text,
               const char *remote, int smtp, const uint16_t status[3]);

/* Of a message: leaves that failed and are not reported; those of one owner are now; all are to be
 * tried again. */
size_t branch_failed(const struct queue *q, const struct qmsg *m);
void   branch_reported(struct queue *q, struct qmsg *m, const char *owner);
void   branch_again(struct queue *q, struct qmsg *m);
/* 1: recipient i has said all in what its leaves say. */
int branch_tells(const struct queue *q, const struct qmsg *m, size_t i);
/* Whom they are reported to first: NULL is the sender, or there are none. Interned, borrowed. */
const char *branch_owner(const struct queue *q, const struct qmsg *m);
/* When: INT64_MAX when there are none. It could not be done now: not before that time. */
int64_t branch_report_at(const struct queue *q, const struct qmsg *m);
void    branch_report_later(struct queue *q, struct qmsg *m, int64_t at);
/* Calls each for those of recipient i. */
void branch_each_failed(const struct queue *q, const struct qmsg *m, size_t i,
                        void (*each)(void *ctx, const struct qleaf *leaf), void *ctx);

/* What leaves have come to is written as a whole, so of many not each time. 1: it may be written
 * now, and is; 0: not before branch_write_at, if no other outcome comes with it. */
int     branch_may_write(struct queue *q, struct qmsg *m);
/* INT64_MAX: all is written. */
int64_t branch_write_at(const struct queue *q, const struct qmsg *m);

int  branch_any(const struct queue *q, const struct qmsg *m); /* 1: some recipient has one */
void branch_encode(const struct queue *q, const struct qmsg *m, struct buf *out);
int  branch_decode(struct queue *q, struct qmsg *m, struct rd *in); /* -EBADMSG */
json_t *branch_json(const struct queue *q, const struct qmsg *m, size_t i); /* NULL: none */

void branch_forget(struct queue *q, const struct qmsg *m); /* the message goes */
void branch_free_all(struct queue *q);

#endif
