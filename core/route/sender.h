/* route/sender.h: what senders become in mail of our own users (routing.senders, and the substitute
 * domain behind them).
 *
 * A function of the table, the address and the ingress, like routing itself; who may have his
 * address rewritten, and where addresses stand in a message, is the caller's business. There is one
 * round: what a row has made of an address is not looked at again. */
#ifndef ROUTE_SENDER_H
#define ROUTE_SENDER_H

#include "route/route.h"

#define ROUTE_SENDER_ENVELOPE 1u
#define ROUTE_SENDER_HEADER   2u

struct route_sender {
    char                    *address; /* what it becomes, malloc'ed                               */
    const struct route_rule *rule;    /* the row that matched, or NULL; as long as the table      */
    const char              *why;     /* with -EINVAL, in words                                   */
};

/* The places (ROUTE_SENDER_*) for which there are rows; 0: nobody need ask. */
unsigned route_sender_places(const struct route_table *t);

/* place: one of ROUTE_SENDER_*. ingress: an instance's name, or NULL: unknown. 1: *ret says what
 * the address becomes; 0: it stays as it is; -EINVAL: it is no address, or the row (see rule) makes
 * none of it. The null sender is not for here. */
int route_sender(const struct route_table *t, const char *address, const char *ingress,
                 unsigned place, struct route_sender *ret);

/* Both places at once, told row by row; to be ended by route_trace_done. */
void route_sender_trace(const struct route_table *t, const char *address, const char *ingress,
                        struct route_trace *ret);
/* The same for people, and as JSON (new reference): the rows, and what the sender becomes. */
void    route_sender_explain(const struct route_table *t, const char *address, const char *ingress,
                             int colour, struct buf *out);
json_t *route_sender_json(const struct route_table *t, const char *address, const char *ingress);

/* "envelope", "header", "envelope and header" */
const char *route_sender_places_text(unsigned places);

#endif
