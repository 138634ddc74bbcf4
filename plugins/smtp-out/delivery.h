/* delivery.h: one job: which of its recipients are settled, and where it stands. */
#ifndef SMTP_OUT_DELIVERY_H
#define SMTP_OUT_DELIVERY_H

#include "plan.h"
#include "scan.h"
#include "smtp-out.h"
#include "trouble.h"

#define DELIVERY_SPARE_MAX 32u  /* structs kept for the next jobs */
#define DELIVERY_NOTE_MAX  256u

enum rcpt_state { RCPT_WAITING, RCPT_ACCEPTED, RCPT_SETTLED };

struct delivery {
    LIST_ENTRY(delivery) link;
    struct smtp_out *o;
    postern_job     *job;
    struct session  *session; /* NULL while names are looked up */
    struct plan      plan;
    int              planned;   /* plan_start was called */
    struct trouble   trouble;
    size_t           n, left;   /* recipients; those not settled */
    unsigned char   *rcpts;     /* enum rcpt_state of each */
    size_t           rcpts_cap;
    char            *key;       /* of the pool */
    size_t           key_cap;
    struct scan     *scan;
    int              header_8bit; /* -1: not known */
    struct target    target;      /* tried now */
    char             note[DELIVERY_NOTE_MAX]; /* how TLS failed, for the diagnostics */
};

/* Takes a job; settles everything in the end. 0, or -ENOMEM with nothing done. */
int delivery_new(struct smtp_out *o, postern_job *job);
void delivery_cancel(struct delivery *d);
void delivery_free_spare(struct smtp_out *o);

/* --- what a session tells. After each but delivery_accept, d may be gone: then it has let go of
 * its session (s->d is NULL), which goes on without it. --- */

/* The session s is ready for a message. */
void delivery_ready(struct delivery *d, struct session *s);
/* The session is gone before it did anything for us, and why is noted: try elsewhere. */
void delivery_advance(struct delivery *d);
/* The session is gone, and TLS was to blame: the same address once more, in the clear. */
void delivery_without_tls(struct delivery *d, const char *why);
/* The session needs to know whether the header is 8-bit; transaction_begin is called again then. */
void delivery_scan(struct delivery *d);
void delivery_accept(struct delivery *d, size_t i);
/* Settle one recipient, or all that are left. 1 when that was the end of d. Where the outcome has
 * no remote it is the session's. */
int delivery_settle(struct delivery *d, size_t i, const struct postern_outcome *outcome);
int delivery_settle_rest(struct delivery *d, const struct postern_outcome *outcome);

/* The first recipient at or after i that waits, or n. */
size_t delivery_next(const struct delivery *d, size_t i);

#endif
