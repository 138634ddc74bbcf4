/* route/index.c: see index.h. */
#include "route/index.h"

#include <stdlib.h>
#include <string.h>

#include "route/table.h"
#include "util/mem.h"

static void side_init(struct index_side *s)
{
    s->domain = map_new();
    s->local = map_new();
    s->address = map_new();
}

void route_index_init(struct route_index *x)
{
    *x = (struct route_index){ .sender_n = 0 };
    side_init(&x->rcpt);
    side_init(&x->sender);
}

static void free_list(void *value)
{
    struct index_list *list = value;

    free(list->v);
    free(list);
}

static void side_done(struct index_side *s)
{
    map_free(&s->domain, free_list);
    map_free(&s->local, free_list);
    map_free(&s->address, free_list);
}

void route_index_done(struct route_index *x)
{
    side_done(&x->rcpt);
    side_done(&x->sender);
    free(x->null_sender.v);
    free(x->always.v);
}

/* --- filing --- */

/* A row of several patterns may come to the same list more than once. */
static void list_add(struct index_list *list, uint32_t row)
{
    if (list->n && list->v[list->n - 1] == row)
        return;
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 1;
        list->v = mem_realloc(list->v, list->cap * sizeof *list->v);
    }
    list->v[list->n++] = row;
}

static void file_under(struct map *m, const char *key, uint32_t row)
{
    struct index_list *list = map_get(m, key);

    if (!list) {
        list = mem_zalloc(sizeof *list);
        map_set(m, key, list);
    }
    list_add(list, row);
}

static int is_exact(const char *text)
{
    return !text[strcspn(text, "*?")];
}

static int domain_is_filed(const struct domain_pattern *p)
{
    return p->kind == DOMAIN_EXACT || p->kind == DOMAIN_BELOW;
}

static int address_is_filed(const struct address_pattern *p)
{
    return !p->null && (domain_is_filed(&p->domain) || (p->local && is_exact(p->local)));
}

/* By the sharpest of what the pattern says. */
static void file_address(struct index_side *s, const struct address_pattern *p, uint32_t row)
{
    char key[POSTERN_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];
    int local = p->local && is_exact(p->local);

    if (local && p->domain.kind == DOMAIN_EXACT) {
        size_t len = strlen(p->local);

        memcpy(key, p->local, len);
        key[len] = '@';
        memcpy(key + len + 1, p->domain.lower, p->domain.len + 1);
        file_under(s->address, key, row);
    } else if (local) {
        file_under(s->local, p->local, row);
    } else {
        file_under(s->domain, p->domain.lower, row);
    }
}

static int all_domains_filed(const struct domain_patterns *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!domain_is_filed(&p->v[i]))
            return 0;
    }
    return p->n > 0;
}

static int all_addresses_filed(const struct address_patterns *p, int null_too)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!address_is_filed(&p->v[i]) && !(null_too && p->v[i].null))
            return 0;
    }
    return p->n > 0;
}

static void file_senders(struct route_index *x, const struct address_patterns *p, uint32_t row)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->v[i].null)
            list_add(&x->null_sender, row);
        else
            file_address(&x->sender, &p->v[i], row);
    }
    x->sender_n++;
}

void route_index_add(struct route_index *x, const struct route_row *row)
{
    uint32_t number = (uint32_t)row->rule.index;

    if (all_addresses_filed(&row->recipient, 0)) {
        for (size_t i = 0; i < row->recipient.n; i++)
            file_address(&x->rcpt, &row->recipient.v[i], number);
    } else if (all_domains_filed(&row->domain)) {
        for (size_t i = 0; i < row->domain.n; i++)
            file_under(x->rcpt.domain, row->domain.v[i].lower, number);
    } else if (all_addresses_filed(&row->sender, 1)) {
        file_senders(x, &row->sender, number);
    } else {
        list_add(&x->always, number);
    }
}

/* --- finding --- */

static void take(struct index_cursor *c, const struct index_list *list)
{
    if (!list || !list->n || c->n == INDEX_LISTS_MAX)
        return;
    c->v[c->n].at = list->v;
    c->v[c->n++].end = list->v + list->n;
}

static void seek_side(const struct index_side *s, const struct route_address *a,
                      struct index_cursor *c)
{
    char key[POSTERN_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2];
    size_t local_len = a->local_len, domain_len = strlen(a->domain);

    take(c, map_get_n(s->domain, a->domain, domain_len));
    for (const char *dot = strchr(a->domain, '.'); dot; dot = strchr(dot + 1, '.'))
        take(c, map_get(s->domain, dot));
    if (map_count(s->local))
        take(c, map_get(s->local, a->local));
    if (!map_count(s->address))
        return;
    memcpy(key, a->local, local_len);
    key[local_len] = '@';
    memcpy(key + local_len + 1, a->domain, domain_len + 1);
    take(c, map_get(s->address, key));
}

void route_index_seek(const struct route_index *x, struct route_walk *w, struct index_cursor *ret)
{
    ret->n = 0;
    take(ret, &x->always);
    seek_side(&x->rcpt, &w->rcpt, ret);
    if (!x->sender_n)
        return;
    switch (route_walk_sender(w)) {
    case SENDER_ADDRESS:
        seek_side(&x->sender, &w->sender, ret);
        break;
    case SENDER_NULL:
        take(ret, &x->null_sender);
        break;
    default:
        break;
    }
}

size_t route_index_next(struct index_cursor *c, size_t from)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < c->n; i++) {
        while (c->v[i].at < c->v[i].end && *c->v[i].at < from)
            c->v[i].at++;
        if (c->v[i].at < c->v[i].end && *c->v[i].at < best)
            best = *c->v[i].at;
    }
    return best;
}
