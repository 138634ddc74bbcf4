/* route/route.h: where a recipient goes: one ordered decision list, and the trace of walking it.
 *
 * Compiled at load time from everything that decides: the operator's rules, what is local,
 * gateways, zones, forwarders, the default. route_decide is a pure function of the table, the
 * sender and the recipient; the delivery, the answer to RCPT and `postern route` all call it, so
 * the explanation can't drift from the behaviour. It does not allocate without a trace, except when
 * a rule rewrites. */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "config/config.h"
#include "util/buf.h"

struct route_table;

enum route_action {
    ROUTE_TRANSPORT = 1,
    ROUTE_FAIL = 2,
    ROUTE_HOLD = 3,
    ROUTE_DISCARD = 4
};

struct route_rule { /* public view of a row; lives as long as the table */
    size_t                  index;  /* place in the list, from 0 */
    const char             *what;   /* "local domain", "rule", "gateway", "zone", "default", ... */
    size_t                  number; /* among those that are called so, from 1; 0: it is one alone */
    struct config_origin    origin;
    const char             *comment;
};

struct route_hours { /* minutes since midnight, local time; from > to: over midnight */
    uint16_t from, to;
};
struct route_group { /* destinations that share a schedule; lives as long as the table */
    const char               *name;
    struct config_origin      origin;
    size_t                    concurrency; /* 0: nothing said */
    size_t                    retry_n;     /* 0: nothing said */
    const int64_t            *retry;       /* usec */
    size_t                    hours_n;     /* 0: always */
    const struct route_hours *hours;
};
/* Seconds from that minute of the day on until a delivery may begin; 0: now. */
unsigned route_group_wait(const struct route_group *g, unsigned minute_of_day, unsigned second);

struct route_decision {
    enum route_action        action;
    const struct route_rule *rule;      /* the row that decided */
    const char              *transport; /* instance name; for TRANSPORT */
    size_t                   next_hop_n;
    const char *const       *next_hops; /* none: look the recipient's domain up */
    const struct postern_strings *params; /* "name=value" */
    uint16_t                 status[3]; /* FAIL */
    const char              *text;      /* FAIL, HOLD: why, in words */
    int                      anyone;    /* 1: from any client; 0: from those who may relay */
    int                      led; /* 1: a rule, or a road in the address, led on to another */
    int                      no_next_hop; /* 1: the transport asks for none, as far as is known */
    const char              *rcpt;      /* as rewritten, or the caller's own pointer */
    char                    *rewritten; /* malloc'ed when a rule rewrote, else NULL */
    char                     domain[256]; /* of rcpt, lower case, without a final dot; "" if none */
    const struct route_group *group;      /* for TRANSPORT; NULL: none */
};
/* Next hop i as it is for this recipient: words for his own domain are replaced by it. The text is
 * the row's, the decision's, or in buf. */
const char *route_next_hop(const struct route_decision *d, size_t i, char *buf, size_t size);
void route_decision_done(struct route_decision *d);

/* The trace: rows considered, in order, and why each matched or not. In a long table, rows that the
 * index rules out are told of together. */
struct route_step {
    const struct route_rule *rule;
    const struct route_rule *last; /* not NULL: rows from `rule` to this one; none matched */
    int                      matched;
    char                    *text; /* "domain example.com is not in .corp.example" */
};
struct route_trace {
    size_t             n;
    struct route_step *steps;
};
void route_trace_done(struct route_trace *t);

/* Compiles; semantic errors (unknown transport name, no or two actions, bad pattern or next hop,
 * rewrite loop) are added to errors with their origin. */
int  route_compile(const struct config *cfg, struct route_table **ret,
                   struct config_errors *errors);
/* The same, later, of what was found good: alias files and lists that can't be used now are no
 * errors (route_broken). Mail that needs them waits, and they are taken when they are mended. */
int  route_compile_again(const struct config *cfg, struct route_table **ret,
                         struct config_errors *errors);
void route_free(struct route_table **t);

struct route_query {
    const char *sender; /* "" for the null path; NULL: unknown, sender conditions do not match */
    const char *rcpt;
    const char *ingress; /* instance name or NULL: unknown */
    int         keep_local; /* 1: an alias said so: local mail for it goes to no hub */
    int         released;   /* 1: an operator let it go from a rule's hold: none holds it again */
    /* Monotonic usec: personal alias files that were read since then are taken; 0: only those that
     * were read a moment ago. */
    int64_t     asked;
    size_t      budget; /* of route_expand: see expand_walk_step; 0: no end */
    /* For people: what rcpt was before it was put right, and by which rule. NULL: the same. */
    const char *was, *repair;
};
/* 0, or -EINVAL when rcpt is no address (decision: FAIL 5.1.3, rule NULL), or -EAGAIN: it depends
 * on the addresses of ret->domain, which nobody has asked for (answers.h; decision: FAIL 4.4.3).
 * trace may be NULL. Every call must be matched by route_decision_done. */
int route_decide(const struct route_table *t, const struct route_query *q,
                 struct route_decision *ret, struct route_trace *trace);

/* How people read it: rows one a line, indented, "=>" for the decision; colour when asked. And the
 * same as JSON (new reference). */
void    route_explain(const struct route_query *q, const struct route_decision *d,
                      const struct route_trace *t, int colour, struct buf *out);
json_t *route_rule_json(const struct route_rule *rule); /* NULL gives null */
json_t *route_explain_json(const struct route_query *q, const struct route_decision *d,
                           const struct route_trace *t);

/* The decision in one line: "smtp-out via [192.0.2.1]:25, mx.example.org as bob@new.example",
 * "local-mbox", "fail 5.1.1", "hold", "discard". Adds to out. (expect.c) */
void route_outcome(const struct route_query *q, const struct route_decision *d, struct buf *out);

/* --- the table as such (list.c, shadow.c) --- */

size_t route_rows(const struct route_table *t);
/* "rule 3 (90-routing.json#/routing/rules/2)"; adds to out. */
void route_rule_place(const struct route_rule *rule, struct buf *out);
/* One line a row: its place, conditions, action; below it, why it can never match, if so. Returns
 * how many those are. */
size_t  route_list(const struct route_table *t, int colour, struct buf *out);
json_t *route_list_json(const struct route_table *t); /* new reference */

#endif
