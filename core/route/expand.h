/* route/expand.h: all the places where mail for one recipient goes: the table and the aliases
 * together.
 *
 * The table decides first. What it finds to be local, and no rule of the operator's sends
 * elsewhere, is asked of the aliases; each address that they name is decided by the table again,
 * for itself. Nothing is kept of an expansion between two attempts but which of its leaves have
 * been served, by their keys. */
#ifndef ROUTE_EXPAND_H
#define ROUTE_EXPAND_H

#include "route/alias.h"
#include "route/route.h"

struct route_leaf {
    struct route_query    query;    /* the one of the table that gave the decision */
    struct route_decision decision; /* texts are the table's, or live as long as the expansion */
    const char *key;    /* the same place at the next attempt has the same; "": the only one */
    const char *shown;  /* for people: an address, "|command", ">file" */
    const char *chain;  /* "sales@example.com -> ann@example.com"; NULL: no alias led here */
    const char *sender; /* whom bounces go to: a list's owner; NULL: the message's sender */
    struct route_trace    trace;
};

struct route_expansion {
    struct arena      *arena, *need_arena;
    size_t             n;
    struct route_leaf *leaves;
    /* When an alias was found, also if not all of it is known yet: the walk that led to it, and, if
     * it is, where it stands. */
    int                   aliased;
    struct route_decision first;
    struct route_trace    trace;
    const char           *alias_file;
    uint32_t              alias_line;
    /* With -EAGAIN: users for route_personal, each followed by a NUL, or NULL; and questions for
     * directories and the resolver, whose answers are put into route_answers_of the table. */
    const char        *wanted;
    size_t             wanted_len;
    size_t             need_n; /* ROUTE_NEEDS_MAX: there may be many more */
    struct route_need *needs;
    size_t             asked_n; /* with a trace: what directories have said, a line each */
    const char       **asked;
};

/* The route, but all of it. 0: at least one leaf; -EINVAL: rcpt is no address (one leaf, that says
 * so); -EAGAIN: see wanted and needs, then ask again; -E2BIG: more than aliases.expansion_max
 * targets (one leaf that says so: fail 5.4.6); -EINPROGRESS: more than q->budget. Every call must
 * be matched by route_expansion_done. Takes nothing from the heap when there is no alias and no
 * trace, except what route_decide takes. */
int  route_expand(const struct route_table *t, const struct route_query *q, int trace,
                  struct route_expansion *ret);
void route_expansion_done(struct route_expansion *e);
/* Is RCPT answered with yes (to those who may)? What stands behind an alias, and where no users are
 * looked up all that the aliases say, is found out only when the message is there. */
int  route_expansion_accepted(const struct route_table *t, const struct route_expansion *e);

/* The same in steps, for what stands for a great many: a step looks at `budget` things at most
 * (targets, addresses, places), a microsecond or so each. Results as above, where -EINPROGRESS and
 * -EAGAIN go on with the next step: what is known stays known, whether the table's aliases and
 * answers change meanwhile or not. *ret is the walk's. q is copied. */
struct expand_walk;
struct expand_walk *expand_walk_new(const struct route_table *t, const struct route_query *q,
                                  int trace);
int                expand_walk_step(struct expand_walk *w, size_t budget,
                                   const struct route_expansion **ret);
/* What it has found is the caller's, for route_expansion_done, and the walk is over. */
void               expand_walk_take(struct expand_walk **w, struct route_expansion *ret);
void               expand_walk_free(struct expand_walk **w);

/* Like route_explain, for an expansion. */
void    route_expansion_explain(const struct route_query *q, const struct route_expansion *e,
                                int colour, struct buf *out);
json_t *route_expansion_json(const struct route_query *q, const struct route_expansion *e);

/* A text that may hold anything: what is not UTF-8 becomes '?'. NULL gives null. */
json_t *route_text_json(const char *text);
/* Parts of route_explain: the address, the steps, and "=> transport ...". */
void    route_explain_head(const struct route_query *q, struct buf *out);
void    route_explain_steps(const struct route_trace *t, int colour, struct buf *out);
json_t *route_steps_json(const struct route_trace *t); /* new reference */
void route_explain_decision(const struct route_query *q, const struct route_decision *d, int colour,
                            struct buf *out);

/* --- the aliases of a table --- */

int route_has_aliases(const struct route_table *t);
/* Blocks; for a thread: reads what has changed. 1: *ret is new, for route_aliases_swap; 0: nothing
 * has. What is wrong with the files is in the report, which is the caller's. */
int  route_aliases_load(const struct route_table *t, struct alias_set **ret,
                        struct alias_report *report);
void route_aliases_swap(struct route_table *t, struct alias_set **fresh); /* on the loop */
/* Blocks; for a thread: reads the personal alias files of users, as an expansion wants them. */
void route_personal(const struct route_table *t, const char *users, size_t len,
                    struct alias_report *report);
/* What its directories have said; NULL: it has none. */
struct route_answers *route_answers_of(const struct route_table *t);
/* Does the answer to RCPT need them? */
int route_has_users(const struct route_table *t);
/* "*@hub.example" with the name, quoted where it has to be, in the place of the '*'. malloc'ed. */
char *route_unknown_user(const char *template, const char *name);

/* What was strange about the files when the table was compiled: nothing that refuses mail. */
const struct config_errors *route_warnings(const struct route_table *t);
/* What was wrong with them, if the table was compiled all the same. */
const struct config_errors *route_broken(const struct route_table *t);
/* 0: as alias_set_whole. */
int route_aliases_whole(const struct route_table *t);

#endif
