/* Does a rule match? Conditions are tried cheapest first; an empty list is no condition. */
#include "route/table.h"

#include <string.h>

#include "util/text.h"

static int match_domain(const struct route_row *row, const struct route_walk *w,
                        struct route_match *m)
{
    for (size_t i = 0; i < row->domain.n; i++) {
        const struct domain_pattern *p = &row->domain.v[i];

        /* A bare "*" means the world outside: nobody who writes it wants to lose his own mail. */
        if (p->kind == DOMAIN_ANY && w->local)
            continue;
        if (domain_pattern_match(p, w->rcpt.domain)) {
            m->domain = p;
            return 1;
        }
    }
    return row->domain.n == 0;
}

static const struct address_pattern *find_address(const struct address_patterns *list,
                                                  const struct route_address *a)
{
    for (size_t i = 0; i < list->n; i++) {
        if (address_pattern_match(&list->v[i], a))
            return &list->v[i];
    }
    return NULL;
}

static int match_recipient(const struct route_row *row, const struct route_walk *w,
                           struct route_match *m)
{
    m->recipient = find_address(&row->recipient, &w->rcpt);
    return m->recipient || row->recipient.n == 0;
}

enum sender_state route_walk_sender(struct route_walk *w)
{
    const char *why;

    if (w->sender_state != SENDER_UNPARSED)
        return w->sender_state;
    if (!w->q->sender)
        w->sender_state = SENDER_UNKNOWN;
    else if (!*w->q->sender)
        w->sender_state = SENDER_NULL;
    else if (route_address_init(&w->sender, w->q->sender, w->t->hostname, &why) < 0)
        w->sender_state = SENDER_BAD;
    else
        w->sender_state = SENDER_ADDRESS;
    return w->sender_state;
}

static int match_sender(const struct route_row *row, struct route_walk *w, struct route_match *m)
{
    enum sender_state state;

    if (row->sender.n == 0)
        return 1;
    state = route_walk_sender(w);
    for (size_t i = 0; i < row->sender.n; i++) {
        const struct address_pattern *p = &row->sender.v[i];

        if (state == SENDER_ADDRESS ? address_pattern_match(p, &w->sender)
                                    : state == SENDER_NULL && p->null) {
            m->sender = p;
            return 1;
        }
    }
    return 0;
}

static int match_ingress(const struct route_row *row, const struct route_walk *w,
                         struct route_match *m)
{
    for (size_t i = 0; i < row->ingress.n && w->q->ingress; i++) {
        if (text_casecmp(row->ingress.v[i], w->q->ingress) == 0) {
            m->ingress = row->ingress.v[i];
            return 1;
        }
    }
    return row->ingress.n == 0;
}

static int is_spared(const struct route_row *row, const struct route_walk *w, struct route_match *m)
{
    const struct address_pattern *user = find_address(&row->except_users, &w->rcpt);

    if (row->kind == ROW_LOCAL_FORWARD && w->q->keep_local)
        m->except = "an alias that keeps it here";
    else if (user)
        m->except = user->text;
    for (size_t i = 0; i < row->except.n && !m->except; i++) {
        if (domain_pattern_match(&row->except.v[i], w->rcpt.domain))
            m->except = row->except.v[i].text;
    }
    return m->except != NULL;
}

/* Of a host without a dot that is not said to be a whole name ("host."). */
static int is_short(const struct route_address *a)
{
    const struct postern_address *p = &a->parsed;

    return a->domain[0] != '[' && !strchr(a->domain, '.') && p->domain_len &&
        p->domain[p->domain_len - 1] != '.';
}

/* local_open: whether the recipient is local is not known, and not looked at. */
static int match(const struct route_row *row, struct route_walk *w, int local_open,
                 struct route_match *ret)
{
    *ret = (struct route_match){ .failed = COND_NONE };
    if (row->local_only && !w->local && !local_open)
        ret->failed = COND_LOCAL;
    else if (row->kind == ROW_SHORT && !is_short(&w->rcpt))
        ret->failed = COND_SHORT;
    else if (!match_domain(row, w, ret))
        ret->failed = COND_DOMAIN;
    else if (!match_recipient(row, w, ret))
        ret->failed = COND_RECIPIENT;
    else if (!match_sender(row, w, ret))
        ret->failed = COND_SENDER;
    else if (!match_ingress(row, w, ret))
        ret->failed = COND_INGRESS;
    else if (is_spared(row, w, ret))
        ret->failed = COND_EXCEPT;
    else if (w->q->released && !row->rewrite && row->action == ROUTE_HOLD)
        ret->failed = COND_RELEASED;
    return ret->failed == COND_NONE;
}

/* Asking for addresses comes last: when all else holds, and only that would make a difference. */
int route_row_match(const struct route_row *row, struct route_walk *w, struct route_match *ret)
{
    int matched = match(row, w, w->own == OWN_UNASKED, ret);

    if (!matched || w->own != OWN_UNASKED ||
        !(row->local_only || (ret->domain && ret->domain->kind == DOMAIN_ANY)))
        return matched;
    route_walk_own(w);
    return match(row, w, 0, ret);
}
