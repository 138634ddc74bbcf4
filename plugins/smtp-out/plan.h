/* plan.h: the addresses to try for a job, one after the other: next hops, their exchangers, the
 * addresses of each. Looks names up no earlier than they are needed. */
#ifndef SMTP_OUT_PLAN_H
#define SMTP_OUT_PLAN_H

#include "smtp-out.h"
#include "trouble.h"

#define PLAN_EXCHANGERS_MAX 32u /* of one next hop; what is less preferred is left out */
#define PLAN_ADDRESSES_MAX  16u /* of one exchanger                                    */

struct plan {
    struct smtp_out *o;
    postern_job     *job;
    struct trouble  *trouble;     /* gets what went wrong on the way */
    void           (*wake)(void *ctx); /* ask plan_step again */
    void            *ctx;
    uint64_t         query; /* a look-up under way */
    int              waiting;
    int              named;    /* the operator named next hops */
    int              own;      /* this one is the recipients' own domain */
    int              resolved; /* one so far has an address, or says that it takes no mail */
    int              final;    /* of the own domain it is known that no mail gets there */
    int64_t          tries;   /* addresses of this next hop given out */
    size_t           hop_i;   /* the next hop to look at next */
    struct postern_next_hop hop;
    size_t           mx_n, mx_i, address_n, address_i;
    char             mx[PLAN_EXCHANGERS_MAX][HOST_MAX];
    char             addresses[PLAN_ADDRESSES_MAX][ADDRESS_MAX];
};

enum plan_answer {
    PLAN_TARGET = 1, /* *ret is the next one to try                */
    PLAN_WAIT = 2,   /* names are being looked up; wake will come  */
    PLAN_OVER = 3    /* there is nothing left to try               */
};

void             plan_start(struct plan *p, struct smtp_out *o, postern_job *job,
                            struct trouble *trouble, void (*wake)(void *ctx), void *ctx);
enum plan_answer plan_step(struct plan *p, struct target *ret);
void             plan_stop(struct plan *p);       /* wake will not come any more */
const char      *plan_subject(const struct plan *p); /* the name being looked up */

#endif
