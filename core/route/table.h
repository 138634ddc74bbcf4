/* route/table.h: the compiled table from inside. Private to core/route/.
 *
 * The rows stand in the order in which they are tried, in three stretches:
 *
 *   head    the operator's rules, then what is done with local mail before it is delivered
 *   local   what makes an address local, and delivers it: a row for each domain and the like
 *   tail    what is done with mail that is not local: gateways, zones, forwarders; the default
 *
 * Head and tail are found through one index (index.h); of the local rows at most one counts for an
 * address, and which one is known before the walk begins, because rules may ask. */
#ifndef ROUTE_TABLE_H
#define ROUTE_TABLE_H

#include <netinet/in.h>

#include "route/alias.h"
#include "route/index.h"
#include "route/pattern.h"
#include "route/route.h"
#include "util/map.h"

#define ROUTE_REWRITES_MAX  10u  /* of one recipient in one decision */
#define ROUTE_TRACE_ALL_MAX 100u /* rows of a table whose trace tells of each by itself */

enum row_kind {
    ROW_RULE,
    /* of local mail only */
    ROW_ALIAS,         /* its look-up is a function of the address; see compile_head */
    ROW_LOCAL_FORWARD, /* to the hub for local mail */
    /* what is local */
    ROW_SUBSTITUTE,
    ROW_LOCAL,
    ROW_HOST_NAME,
    ROW_VIRTUAL,
    ROW_OWN_ADDRESS, /* the table's set of addresses, not a pattern */
    ROW_OWN_HOST,    /* domains with such an address */
    ROW_UNQUALIFIED,
    /* of mail that is not local */
    ROW_GATEWAY,
    ROW_SHORT,     /* hosts without a dot: rewrites, see route_complete_domain */
    ROW_ZONE,      /* what is inside of it */
    ROW_ZONE_GATE, /* its gateway, for what is outside */
    ROW_FORWARDER,
    ROW_DEFAULT,
    ROW_KINDS
};

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
    int                     local_only; /* 1: for local recipients */
    struct address_patterns recipient, sender;
    struct domain_patterns  domain;
    struct postern_strings  ingress;
    struct domain_patterns  except; /* not these, though all the above holds */
    struct address_patterns except_users;
    /* what it does: `rewrite`, or an action */
    const char               *rewrite;
    enum route_action         action;
    const char               *transport;
    struct postern_strings    next_hops, params;
    const struct route_group *group; /* whatever the domain; NULL: by the domain */
    uint16_t                  status[3];
    const char               *text;
    int                       anyone;
    int                       no_next_hop; /* as in route_decision */
};

/* Senders are rewritten before the walk (sender.h), by rows of their own. */
struct sender_row {
    struct route_rule       rule; /* its index is that among these rows */
    struct address_patterns sender;
    struct postern_strings  ingress;
    const char             *rewrite;
    unsigned                places; /* ROUTE_SENDER_* */
};

struct route_table {
    struct arena     *arena;
    char              hostname[ADDRESS_DOMAIN_MAX + 1]; /* for addresses without a domain */
    size_t            head_n, local_n, row_n; /* the tail begins at head_n + local_n */
    struct route_row *rows;
    struct route_index index;
    int               roads; /* routing.roads: 1 "user%c@us", 2 "c!user@us" as well */
    struct map       *local; /* exact local domains to their rows */
    size_t            pattern_n; /* local rows with wildcards, tried in turn */
    const uint32_t   *patterns;
    struct map       *own;     /* addresses that are ours, "192.0.2.1", to where we know it from */
    int               own_interfaces; /* 1: those of the interfaces are among them */
    size_t            own_row; /* the row for them */
    size_t            own_host_row; /* the row for domains that have one; 0: this is not asked */
    size_t            group_n;
    struct route_group *groups;
    struct map       *group_of; /* exact domains to groups */
    size_t            group_pattern_n;
    const struct group_pattern *group_patterns; /* others, tried in turn */
    size_t sender_n;
    const struct sender_row *senders;
    unsigned sender_places; /* those of all rows */
    /* Of the section "aliases"; the set is the one thing that changes in a table (expand.h). NULL:
     * there are none. They borrow from the configuration. */
    struct alias_set    *aliases;
    struct alias_users  *alias_users;
    const char          *alias_pipe, *alias_file, *alias_list; /* transports; NULL: none is set */
    struct config_errors warnings, broken;
    /* Directories, by name: who is asked for aliases, who knows the users. NULL and none: nobody.
     * */
    struct route_answers  *answers;
    struct postern_strings directories, users;
    char                   subaddress;   /* of aliases.subaddress, or 0 */
    const char            *unknown_user; /* an address for mail to nobody here, or NULL */
    const char            *postmaster;   /* server.postmaster */
};

struct group_pattern {
    struct domain_pattern     pattern;
    const struct route_group *group;
};

static inline const struct route_row *route_default(const struct route_table *t)
{
    return &t->rows[t->row_n - 1];
}

static inline int row_is_local(const struct route_row *row)
{
    return row->kind >= ROW_SUBSTITUTE && row->kind <= ROW_UNQUALIFIED;
}

/* --- local.c --- */

/* The row that makes a domain local, or NULL. */
const struct route_row *route_local(const struct route_table *t, const char *domain);
/* The row for addresses without a domain. */
const struct route_row *route_unqualified(const struct route_table *t);
/* The group of mail for a domain, or NULL. */
const struct route_group *route_group_of(const struct route_table *t, const char *domain);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]": 1, and the address as the table writes it. Else 0. */
int route_literal(const char *domain, char *ret, size_t size);

/* --- own.c --- */

/* Where we know the address from that a domain is: "[192.0.2.1]", "[IPv6:2001:db8::1]", and also
 * 192.0.2.1 without brackets. NULL: it is none, or not ours. */
const char *route_own_literal(const struct route_table *t, const char *domain);

/* Is a domain ours because one of its addresses is? */
enum own_state {
    OWN_OFF,     /* it does not matter, or is not asked */
    OWN_UNASKED, /* it has not mattered yet */
    OWN_YES,
    OWN_NO,
    OWN_WANTED, /* nobody has looked its addresses up yet */
    OWN_FAILED  /* they can't be looked up */
};
struct route_own { /* texts are borrowed from the answers */
    char        address[INET6_ADDRSTRLEN]; /* YES: the one that is ours */
    const char *from;                      /* YES: where we know it from */
    const char *addresses; /* NO: all of them; NULL: there are none */
    const char *why;       /* FAILED */
};
enum own_state route_own(const struct route_table *t, const char *domain, struct route_own *ret);

/* --- one walk (decide.c), as match.c, index.c and trace.c see it --- */

enum route_condition {
    COND_NONE,
    COND_LOCAL,
    COND_DOMAIN,
    COND_RECIPIENT,
    COND_SENDER,
    COND_INGRESS,
    COND_EXCEPT,
    COND_SHORT,
    COND_RELEASED /* it would hold what has been released */
};

struct route_walk {
    const struct route_table *t;
    const struct route_query *q;
    struct route_trace       *trace; /* may be NULL */
    struct route_address      rcpt;  /* as it is now */
    const struct route_row   *local; /* the row that makes rcpt local, or NULL */
    enum own_state            own;   /* UNASKED: local is NULL, but that may change */
    struct route_own          own_how;
    struct route_address      sender;
    int                       sender_state; /* enum sender_state */
};
enum sender_state { SENDER_UNPARSED, SENDER_UNKNOWN, SENDER_NULL, SENDER_BAD, SENDER_ADDRESS };

struct route_match { /* how a rule did or did not match; NULLs where it says nothing */
    enum route_condition          failed;
    const struct domain_pattern  *domain;
    const struct address_pattern *recipient, *sender;
    const char                   *ingress;
    const char                   *except; /* what spares it */
};
/* Does the rule match? *ret says how, or which condition did not hold. */
int route_row_match(const struct route_row *row, struct route_walk *w, struct route_match *ret);
/* Finds out whether rcpt is local by its addresses, once; only when that matters. */
void route_walk_own(struct route_walk *w);
/* Then nothing more can be said of the recipient now. */
static inline int route_walk_is_stuck(const struct route_walk *w)
{
    return w->own >= OWN_WANTED;
}
/* Parses the sender, once; only when somebody asks. */
enum sender_state route_walk_sender(struct route_walk *w);

/* Adds a step; nothing happens without a trace. */
void route_trace_rule(struct route_walk *w, const struct route_row *row, int matched,
                      const struct route_match *m);
/* Rows [from, to), which the index rules out. */
void route_trace_skipped(struct route_walk *w, size_t from, size_t to);
void route_trace_rewrite(struct route_walk *w, const char *to); /* completes the last step */
void route_trace_local(struct route_walk *w);
void route_trace_own(struct route_walk *w); /* what its addresses have to do with it */
void route_trace_default(struct route_walk *w);

/* " is none of a, b and c", behind what is not. */
void route_why_not_addresses(struct buf *out, const struct address_patterns *p);
void route_why_not_texts(struct buf *out, const struct postern_strings *p);

/* What a template makes of an address that matched the pattern, or the domain's where that is NULL.
 * malloc'ed; NULL with *reterr_why when the result is no address. */
char *route_rewrite(const char *template, const struct address_pattern *pattern,
                    const struct domain_pattern *domain, const struct route_address *address,
                    const char **reterr_why);
/* Likewise, of a row for hosts without a dot: the address with the domain behind it. */
char *route_complete_domain(const struct route_row *row, const struct route_address *rcpt,
                            const char **reterr_why);
/* What a template makes of "x" in the place of all that is captured, to try it out. */
char *route_rewrite_example(const char *template, const char **reterr_why);
/* The largest N of the "$N" in a template; 0: there is none. */
unsigned route_rewrite_captures(const char *template);

/* Might whoever gets it read on in the local part? "user%host", "host!user", or, once the quotes
 * are gone, "user@host". */
int route_maybe_road(const struct route_address *a);

/* --- users.c --- */

struct route_user { /* asks who is here; texts are the arena's */
    const struct route_table *t;
    struct arena             *arena;
    void (*told)(void *told_ctx, const struct route_need *n, const struct route_answer *answer);
    void             *told_ctx;
    struct route_need need;
    const char       *why;
};
/* 0: he is known; -ENOENT: to none of the directories; -EAGAIN: see need; -EIO: not to those that
 * can say, and why. virtual: in a domain with users of its own. */
int route_user_lookup(struct route_user *u, const struct route_decision *d, int virtual);
/* Who gets his mail, if he is unknown: malloc'ed, or NULL: nobody. *ret_fixed (may be NULL): 1 when
 * his name is not in it, so that whoever wrote it has no say in where it goes. */
char *route_user_instead(const struct route_table *t, const struct route_decision *d,
                         int *ret_fixed);
/* Is he the postmaster, whose mail nobody may refuse (RFC 5321 4.5.1)? 2: he is server.postmaster
 * himself, and has a mailbox, whoever knows of it. */
int route_user_is_postmaster(const struct route_table *t, const struct route_decision *d);

#endif
