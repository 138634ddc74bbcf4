/* route/expect.h: what an operator expects of his table, a line each:
 *
 *   from, address -> PLACE [; PLACE ...]
 *   PLACE: [TRANSPORT | fail [STATUS] | hold | discard] [via HOP, ...] [as ADDRESS]
 *
 * from: an address, "<>" for the null sender, "*" or nothing when it does not matter; with nothing
 * the comma may be left out, too. What is not said is not compared. */
#ifndef ROUTE_EXPECT_H
#define ROUTE_EXPECT_H

#include "route/expand.h"

#define ROUTE_EXPECT_LINE_MAX   4096u
#define ROUTE_EXPECT_PLACES_MAX 64u

struct route_place { /* NULL: any */
    const char *action; /* a transport's name, "fail", "hold", "discard" */
    const char *status; /* "5.1.1", "5.1", "5" */
    const char *hops;   /* comma list; "mx": none are named */
    const char *as;     /* the address as rewritten; a command, a file or a list of an alias */
};
struct route_expectation { /* borrows from the line, which is cut into pieces */
    const char        *sender; /* NULL: unknown */
    const char        *rcpt;
    size_t             n; /* at least one */
    struct route_place places[ROUTE_EXPECT_PLACES_MAX];
};

/* Reads a line. 1; 0: nothing but blanks and a comment; -EINVAL with a sentence. */
int route_expect_parse(char *line, struct route_expectation *ret, const char **reterr_why);
/* Is every place where the mail goes one of those that are expected, and is each of these there? */
int route_expect_holds(const struct route_expectation *e, const struct route_expansion *x);

/* All of the places as they are expected, "local-mbox as ann@example.com; smtp-out via [hub]", in
 * the order of the alphabet: the order in an alias means nothing. more: also what can't be
 * expected, the queue group, whom bounces go to and who may send there. Adds to out. */
void route_expansion_outcome(const struct route_query *q, const struct route_expansion *x, int more,
                             struct buf *out);

#endif
