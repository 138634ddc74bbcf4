/* route/answers.h: what directories and the resolver have answered, kept for a while.
 *
 * The router is a pure function of its table, the question and this. When it needs an answer that
 * is not here it says which (struct route_need in alias.h); whoever called it asks who knows, puts
 * the answer here, and calls again. Failures are answers too: until they grow old the router
 * says "not now" without asking again. */
#ifndef ROUTE_ANSWERS_H
#define ROUTE_ANSWERS_H

#include <postern/directory.h>

#include "route/alias.h"

/* usec that a failure counts, any answer at least, and what the resolver said, which remembers it
 * for itself as long as that holds */
#define ROUTE_ANSWER_RETRY 5000000

struct route_answer { /* borrowed until something is put here */
    int         result; /* 0, -ENOENT, -EAGAIN */
    const char *why;    /* -EAGAIN: a sentence that begins with who was asked */
    struct alias_source *source; /* of an ALIAS that was found: one record, of that name */
    const char *addresses; /* of ADDRESSES that were found: literals, with blanks between them */
};

static inline struct route_need route_need_addresses(const char *domain)
{
    return (struct route_need){ ROUTE_NEED_ADDRESSES, "dns", domain, "", domain };
}

/* Adds to out what tells one question from another: all that the directory is asked, with the case
 * of the letters, for it may go by any of that. */
void route_need_key(const struct route_need *n, struct buf *out);

struct route_answers;
struct route_answers *route_answers_new(const struct config_lookups *cfg);
void                  route_answers_free(struct route_answers **a);

/* 1, or 0: it has to be asked. */
int  route_answers_get(struct route_answers *a, const struct route_need *n,
                       struct route_answer *ret);
/* result as lookup_answer's. Values of an alias that make no sense, and, unless commands is 1,
 * those that are more than addresses, make it a failure. */
void route_answers_put(struct route_answers *a, const struct route_need *n, int result,
                       const char *const *values, size_t value_n, int commands);
/* What the resolver said of ADDRESSES: postern_host_cb in postern/services.h. */
void route_answers_put_addresses(struct route_answers *a, const struct route_need *n, int result,
                                 const char *const *addresses, size_t address_n);
/* It could not be asked. why: without the directory's name. */
void route_answers_fail(struct route_answers *a, const struct route_need *n, const char *why);
void route_answers_forget(struct route_answers *a); /* everything */

struct route_answers_stats {
    uint64_t entries, hits, misses, failures;
};
void route_answers_stats(const struct route_answers *a, struct route_answers_stats *ret);

/* For people: "directory people: alias ann@example.com: bob@example.com, eve". */
void route_answer_text(const struct route_need *n, const struct route_answer *answer,
                       struct buf *out);

#endif
