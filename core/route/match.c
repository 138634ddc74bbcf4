/* Does a rule match? Conditions are tried cheapest first; an empty list is no condition. */
#include "route/table.h"

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

static int match_recipient(const struct route_row *row, const struct route_walk *w,
                           struct route_match *m)
{
    for (size_t i = 0; i < row->recipient.n; i++) {
        if (address_pattern_match(&row->recipient.v[i], &w->rcpt)) {
            m->recipient = &row->recipient.v[i];
            return 1;
        }
    }
    return row->recipient.n == 0;
}

/* Only when a rule asks: most tables never do. */
static void parse_sender(struct route_walk *w)
{
    const char *why;

    if (!w->q->sender)
        w->sender_state = SENDER_UNKNOWN;
    else if (!*w->q->sender)
        w->sender_state = SENDER_NULL;
    else if (route_address_init(&w->sender, w->q->sender, w->t->hostname, &why) < 0)
        w->sender_state = SENDER_BAD;
    else
        w->sender_state = SENDER_ADDRESS;
}

static int match_sender(const struct route_row *row, struct route_walk *w, struct route_match *m)
{
    if (row->sender.n == 0)
        return 1;
    if (w->sender_state == SENDER_UNPARSED)
        parse_sender(w);
    for (size_t i = 0; i < row->sender.n; i++) {
        const struct address_pattern *p = &row->sender.v[i];

        if (w->sender_state == SENDER_ADDRESS ? address_pattern_match(p, &w->sender)
                                              : w->sender_state == SENDER_NULL && p->null) {
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

int route_row_match(const struct route_row *row, struct route_walk *w, struct route_match *ret)
{
    *ret = (struct route_match){ .failed = COND_NONE };
    if (!match_domain(row, w, ret))
        ret->failed = COND_DOMAIN;
    else if (!match_recipient(row, w, ret))
        ret->failed = COND_RECIPIENT;
    else if (!match_sender(row, w, ret))
        ret->failed = COND_SENDER;
    else if (!match_ingress(row, w, ret))
        ret->failed = COND_INGRESS;
    return ret->failed == COND_NONE;
}

const struct route_row *route_local(const struct route_table *t, const char *domain)
{
    const struct route_row *row = map_get(t->local, domain);

    /* Exact names are in the map; this walks over the few that have wildcards. */
    for (size_t i = t->rule_n; !row && i < t->rule_n + t->local_n; i++) {
        const struct domain_pattern *p = &t->rows[i].domain.v[0];

        if (p->kind != DOMAIN_EXACT && domain_pattern_match(p, domain))
            row = &t->rows[i];
    }
    return row;
}
