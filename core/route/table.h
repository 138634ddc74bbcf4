/* route/table.h: the compiled table from inside. Private to core/route/.
 *
 * The rows stand in the order in which they are tried: the operator's rules, the local domains (a
 * row each, then one for addresses without a domain), the default. */
#ifndef ROUTE_TABLE_H
#define ROUTE_TABLE_H

#include "route/pattern.h"
#include "route/route.h"
#include "util/map.h"

#define ROUTE_REWRITES_MAX 10u /* of one recipient in one decision */

enum row_kind { ROW_RULE, ROW_LOCAL, ROW_UNQUALIFIED, ROW_DEFAULT };

struct address_patterns {
    size_t                  n;
    struct address_pattern *v;
};
struct domain_patterns {
    size_t                 n;
    struct domain_pattern *v;
};

struct route_row {
    struct route_rule       rule;
    enum row_kind           kind;
    struct address_patterns recipient, sender;
    struct domain_patterns  domain;
    struct postern_strings  ingress;
    /* what it does: `rewrite`, or an action */
    const char            *rewrite;
    enum route_action      action;
    const char            *transport;
    struct postern_strings next_hops, params;
    uint16_t               status[3];
    const char            *text;
    int                    anyone;
};

struct route_table {
    struct arena     *arena;
    char              hostname[ADDRESS_DOMAIN_MAX + 1]; /* for addresses without a domain */
    size_t            rule_n, local_n, row_n;
    struct route_row *rows; /* rule_n rules, local_n local domains, ROW_UNQUALIFIED, ROW_DEFAULT */
    struct map       *local; /* exact local domains to their rows; the others are tried in turn */
};

static inline const struct route_row *route_unqualified(const struct route_table *t)
{
    return &t->rows[t->row_n - 2];
}

static inline const struct route_row *route_default(const struct route_table *t)
{
    return &t->rows[t->row_n - 1];
}

/* The row that makes a domain local, or NULL. */
const struct route_row *route_local(const struct route_table *t, const char *domain);

/* --- one walk (decide.c), as match.c and trace.c see it --- */

enum route_condition { COND_NONE, COND_DOMAIN, COND_RECIPIENT, COND_SENDER, COND_INGRESS };

struct route_walk {
    const struct route_table *t;
    const struct route_query *q;
    struct route_trace       *trace; /* may be NULL */
    struct route_address      rcpt;  /* as it is now */
    const struct route_row   *local; /* the row that makes rcpt local, or NULL */
    struct route_address      sender;
    int                       sender_state; /* enum sender_state */
};
enum sender_state { SENDER_UNPARSED, SENDER_UNKNOWN, SENDER_NULL, SENDER_BAD, SENDER_ADDRESS };

struct route_match { /* how a rule did or did not match; NULLs where it says nothing */
    enum route_condition          failed;
    const struct domain_pattern  *domain;
    const struct address_pattern *recipient, *sender;
    const char                   *ingress;
};
/* Does the rule match? *ret says how, or which condition did not hold. */
int route_row_match(const struct route_row *row, struct route_walk *w, struct route_match *ret);

/* Adds a step; nothing happens without a trace. */
void route_trace_rule(struct route_walk *w, const struct route_row *row, int matched,
                      const struct route_match *m);
void route_trace_rewrite(struct route_walk *w, const char *to); /* completes the last step */
void route_trace_local(struct route_walk *w);
void route_trace_default(struct route_walk *w);

/* What a rewriting rule makes of the address that it matched. malloc'ed; NULL with *reterr_why when
 * the result is no address. */
char *route_rewrite(const struct route_row *row, const struct route_match *m,
                    const struct route_address *rcpt, const char **reterr_why);
/* The same with "x" for what '*' stands for, to try a rule out. */
char *route_rewrite_example(const struct route_row *row, const char **reterr_why);

#endif
