/* route/expand-private.h: an expansion while it grows. Private to core/route/expand*.c: expand.c
 * knows what one place or address comes to, expand-walk.c in which order they are looked at. */
#ifndef ROUTE_EXPAND_PRIVATE_H
#define ROUTE_EXPAND_PRIVATE_H

#include "route/expand.h"
#include "route/table.h"
#include "util/map.h"

struct open;
struct expansion { /* one call */
    const struct route_table *t;
    const struct route_query *q;
    struct route_expansion *out;
    int trace;
    size_t cap, looked;         /* looked: at leaves, of all aliases together */
    const struct open *open;    /* the innermost; NULL: none */
    struct route_query instead; /* of mail for an unknown user */
    int is_instead;
    int is_fixed; /* the sender has no say in who gets it instead */
    unsigned within_instead; /* likewise of mail for somebody an alias names */
    struct map *keys; /* of the leaves, and of where rules led from them */
    size_t budget;
    int result;                        /* of the step before */
    struct alias_walk *walk;           /* NULL: not begun, or it is no alias */
    const struct alias_expansion *all; /* of the walk; NULL: it is not over */
    /* The next of its leaves to look at; behind those that asked for something: from later_at on,
     * of which those before later_end may know more now. */
    size_t at, *later, later_at, later_end, later_n, later_cap;
    const char **fresh; /* keys that came with this leaf */
    size_t fresh_n, fresh_cap;
    int lacks;     /* this leaf asks for something */
    int later_now; /* it did before, and has it */
};

/* --- expand.c --- */

const char *expansion_text(struct expansion *x, const char *text); /* a copy; NULL gives NULL */

/* What the aliases ask for; the addresses of a domain (0, -EAGAIN: that is enough for once); they
 * are answered. */
void expansion_take_needs(struct expansion *x, const struct alias_expansion *from);
int  expansion_take_addresses(struct expansion *x, const char *domain);
void expansion_forget_needs(struct route_expansion *e);

/* May aliases speak of what the table says so of? How are they asked, and by what name? Nothing was
 * said: it is itself. */
int                 expansion_is_ours(const struct expansion *x, const struct route_decision *d);
struct alias_expand expansion_how(const struct expansion *x);
const char         *expansion_alias_name(struct expansion *x);
int                 expansion_is_itself(const struct alias_expansion *e);

/* One of the leaves that aliases have: 0, with what the table makes of it, or x->lacks; -EAGAIN,
 * -E2BIG. */
int  expansion_take_leaf(struct expansion *x, const struct alias_expansion *e,
                         const struct alias_leaf *leaf);
void expansion_leaf_done(struct route_leaf *leaf);
void expansion_leaves_done(struct route_expansion *e);

/* The only leaf: a failure; the table's own decision; the same, if he is known: 0, -EAGAIN, or
 * -ENOENT: x->instead says who gets it. */
void expansion_too_many(struct expansion *x);
void expansion_leaf_of_first(struct expansion *x);
int  expansion_only_first(struct expansion *x);

#endif
