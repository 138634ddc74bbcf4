/* session.h: one connection to a server, over many messages.
 *
 * A session works for one delivery or for none: then it is in the pool, or it reads the replies
 * that are still due after the delivery's last recipient was settled. It tells its delivery what
 * comes of it through delivery_*; after such a call the delivery may be gone, and s->d NULL. */
#ifndef SMTP_OUT_SESSION_H
#define SMTP_OUT_SESSION_H

#include "ehlo.h"
#include "smtp-out.h"

struct transaction {      /* one message on its way; all zero between messages */
    enum step step;       /* the next command to send: STEP_RSET to STEP_DATA, STEP_IDLE: no more */
    size_t    rcpt;       /* its recipient, for STEP_RCPT                    */
    size_t    rcpt_reply; /* recipient of the next reply to RCPT             */
    unsigned  rset, mail, rcpts, data; /* replies due, in this order         */
    size_t    accepted;   /* recipients, so far                              */
    int       answered;   /* the reply to MAIL is here                       */
    int       utf8;       /* needs SMTPUTF8                                  */
};

struct session {
    LIST_ENTRY(session) link; /* among all of the instance */
    struct pool_link  pool;
    struct smtp_out  *o;
    postern_stream   *stream;
    struct delivery  *d;
    char             *key; /* of its next hop */
    struct target     target;
    char              remote[REMOTE_MAX];
    enum step         step; /* what we wait for */
    struct reply      reply;
    struct ehlo       ehlo;
    struct transaction t;
    int64_t           used;      /* messages begun */
    int               reused;    /* came out of the pool for this message */
    int               need_rset; /* the last transaction was left open */
    int               in_clear;  /* TLS failed here a moment ago: do without */
    int               secure;
    int               busy, dead; /* inside its own event; to be freed after it */
    size_t            pending;    /* at STEP_CONTENT: output queued when we last looked */
    uint64_t          moved;      /* when it last changed */
};

/* Connects on behalf of d. 0 or -errno; then nothing has happened. */
int session_open(struct smtp_out *o, struct delivery *d, const struct target *target, int in_clear,
                 struct session **ret);

/* Sends d's message over a session from the pool. */
void session_reuse(struct session *s, struct delivery *d);

/* The transaction is over, the session is fit for more: into the pool with it, or away. */
void session_idle(struct session *s);

/* Ends it, politely or at once. The struct is gone when the session's event is over. */
void session_quit(struct session *s);
void session_abort(struct session *s);

/* Ends it at once because it can't go on; the delivery tries elsewhere, or again, or is settled,
 * depending on how far it came. The sentence is completed with the step and the remote. */
void session_fail(struct session *s, const uint16_t status[3], const char *fmt, ...)
    POSTERN_PRINTF(3, 4);

/* The same, because of a 421 (or another reply that ends it). */
void session_refused(struct session *s);

/* Waits for the reply to (or the end of) step, as long as that may take. */
void session_expect(struct session *s, enum step step);

/* --- transaction.c --- */
void transaction_begin(struct session *s); /* s->d is to be sent */
void transaction_reply(struct session *s); /* s->reply is complete, step is STEP_RSET or later */
void transaction_drained(struct session *s);
int  transaction_stalled(struct session *s); /* at a timeout: 0 when content did move lately */

#endif
