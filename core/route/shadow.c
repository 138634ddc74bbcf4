/* Rows that can never match, because one before them takes all that they would.
 *
 * It is said only of what is certain: patterns that are the same, or a domain or user that a wider
 * pattern holds. Rows that could be in the way are found through the index, with an example of what
 * the later row takes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "route/shadow.h"
#include "util/text.h"

#define NOBODY "\x01" /* in no pattern, so that it stands for anything */

/* --- patterns --- */

/* head: "*" means what is not local there; after it nothing else comes. */
static int domain_covers(const struct route_table *t, int head, const struct domain_pattern *a,
                         const struct domain_pattern *b)
{
    switch (a->kind) {
    case DOMAIN_ANY:
        return !head || b->kind == DOMAIN_ANY ||
            (b->kind == DOMAIN_EXACT && !t->own_host_row && !route_local(t, b->lower));
    case DOMAIN_EXACT:
        return b->kind == DOMAIN_EXACT && strcmp(a->lower, b->lower) == 0;
    case DOMAIN_BELOW:
        return (b->kind == DOMAIN_EXACT || b->kind == DOMAIN_BELOW) && b->len >= a->len &&
            strcmp(a->lower, b->lower + b->len - a->len) == 0 &&
            (b->kind == DOMAIN_BELOW || b->len > a->len);
    default:
        return (b->kind == DOMAIN_EXACT && text_glob(a->lower, b->lower)) ||
            (b->kind == DOMAIN_GLOB && strcmp(a->lower, b->lower) == 0);
    }
}

static int local_covers(const char *a, const char *b)
{
    if (!a)
        return 1;
    if (!b)
        return 0;
    return strcmp(a, b) == 0 || (!b[strcspn(b, "*?")] && text_glob(a, b));
}

static int address_covers(const struct route_table *t, const struct address_pattern *a,
                          const struct address_pattern *b)
{
    if (a->null || b->null)
        return a->null && b->null;
    return local_covers(a->local, b->local) && domain_covers(t, 0, &a->domain, &b->domain);
}

static int domains_cover(const struct route_table *t, int head, const struct domain_patterns *a,
                         const struct domain_pattern *b)
{
    for (size_t i = 0; i < a->n; i++) {
        if (domain_covers(t, head, &a->v[i], b))
            return 1;
    }
    return 0;
}

static int addresses_cover(const struct route_table *t, const struct address_patterns *a,
                           const struct address_pattern *b)
{
    for (size_t i = 0; i < a->n; i++) {
        if (address_covers(t, &a->v[i], b))
            return 1;
    }
    return 0;
}

/* --- conditions --- */

/* b's domains, or those of its recipients, are all among a's. */
static int domain_condition(const struct route_table *t, int head, const struct route_row *a,
                            const struct route_row *b)
{
    if (!a->domain.n)
        return 1;
    for (size_t i = 0; i < b->domain.n; i++) {
        if (!domains_cover(t, head, &a->domain, &b->domain.v[i]))
            return 0;
    }
    for (size_t i = 0; i < b->recipient.n && !b->domain.n; i++) {
        if (b->recipient.v[i].domain.kind == DOMAIN_ANY ||
            !domains_cover(t, head, &a->domain, &b->recipient.v[i].domain))
            return 0;
    }
    return b->domain.n || b->recipient.n;
}

static int recipient_condition(const struct route_table *t, const struct route_row *a,
                               const struct route_row *b)
{
    if (!a->recipient.n)
        return 1;
    for (size_t i = 0; i < b->recipient.n; i++) {
        if (!addresses_cover(t, &a->recipient, &b->recipient.v[i]))
            return 0;
    }
    for (size_t i = 0; i < b->domain.n && !b->recipient.n; i++) {
        const struct address_pattern all = { .domain = b->domain.v[i] };

        if (!addresses_cover(t, &a->recipient, &all))
            return 0;
    }
    return b->recipient.n || b->domain.n;
}

static int sender_condition(const struct route_table *t, const struct route_row *a,
                            const struct route_row *b)
{
    for (size_t i = 0; i < b->sender.n; i++) {
        if (a->sender.n && !addresses_cover(t, &a->sender, &b->sender.v[i]))
            return 0;
    }
    return !a->sender.n || b->sender.n;
}

static int has_text(const struct postern_strings *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++) {
        if (text_casecmp(list->v[i], text) == 0)
            return 1;
    }
    return 0;
}

static int ingress_condition(const struct route_row *a, const struct route_row *b)
{
    for (size_t i = 0; i < b->ingress.n; i++) {
        if (a->ingress.n && !has_text(&a->ingress, b->ingress.v[i]))
            return 0;
    }
    return !a->ingress.n || b->ingress.n;
}

static int row_covers(const struct route_table *t, const struct route_row *a,
                      const struct route_row *b)
{
    int head = a->rule.index < t->head_n;

    return a->kind != ROW_SHORT && !a->except.n && !a->except_users.n &&
        (!a->local_only || b->local_only) && domain_condition(t, head, a, b) &&
        recipient_condition(t, a, b) && sender_condition(t, a, b) && ingress_condition(a, b);
}

/* --- finding --- */

/* An address that the row would take: what a pattern leaves open is filled with NOBODY. */
static void example_of(const struct route_row *row, struct route_address *ret)
{
    const struct address_pattern *p = row->recipient.n ? &row->recipient.v[0] : NULL;
    const struct domain_pattern *d = row->domain.n ? &row->domain.v[0] : p ? &p->domain : NULL;
    const char *local = p && p->local && !p->local[strcspn(p->local, "*?")] ? p->local : NOBODY;

    memset(ret, 0, sizeof *ret);
    snprintf(ret->local, sizeof ret->local, "%s", local);
    ret->local_len = strlen(ret->local);
    if (d && d->kind == DOMAIN_EXACT)
        snprintf(ret->domain, sizeof ret->domain, "%s", d->lower);
    else if (d && d->kind == DOMAIN_BELOW && d->len + 1 < sizeof ret->domain)
        snprintf(ret->domain, sizeof ret->domain, NOBODY "%s", d->lower);
    else
        snprintf(ret->domain, sizeof ret->domain, NOBODY);
}

/* What makes a domain local comes before the whole tail. */
static const struct route_row *local_before(const struct route_table *t,
                                            const struct route_row *row)
{
    const struct route_row *local = NULL;

    if (row->domain.n == 1 && row->domain.v[0].kind == DOMAIN_EXACT)
        local = route_local(t, row->domain.v[0].lower);
    return local != row ? local : NULL;
}

const struct route_row *route_shadow(const struct route_table *t, const struct route_row *row)
{
    const struct route_query q = { .sender = NULL };
    size_t first = row->rule.index < t->head_n ? 0 : t->head_n + t->local_n;
    struct route_walk w = { .t = t, .q = &q };
    struct index_cursor c;

    if (row->rule.index >= t->head_n) {
        const struct route_row *local = local_before(t, row);

        if (local || row_is_local(row))
            return local;
    }
    example_of(row, &w.rcpt);
    route_index_seek(&t->index, &w, &c);
    for (size_t i = route_index_next(&c, first); i < row->rule.index;
         i = route_index_next(&c, i + 1)) {
        if (row_covers(t, &t->rows[i], row))
            return &t->rows[i];
    }
    return NULL;
}
