/* dns/dns.c: see dns.h.
 *
 * An entry is a question, with its answer or with those who wait for it. Answers are handed out
 * at the end of the turn and nowhere else, so neither c-ares nor an asker is ever called from
 * inside the other. */
#include "dns/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dns/answer.h"
#include "dns/channel.h"
#include "dns/local.h"
#include "dns/name.h"
#include "util/clock.h"
#include "util/list.h"
#include "util/map.h"
#include "util/mem.h"

#define KEY_SIZE     (2 + DNS_NAME_SIZE)
#define LITERAL_TTL  1u  /* not cached at all */
#define LOCAL_MX_TTL 60u /* where only the operator knows exchangers */

enum kind { KIND_MX = 'm', KIND_HOST = 'h' }; /* the first letter of an entry's key */

struct dns {
    struct loop *loop;
    struct channel *channel;
    struct dns_local *local;
    struct map *entries;
    struct list lru; /* entries that have an answer, the least used first */
    size_t cached, cache_max;
    struct list ready;     /* queries that have an answer */
    struct list answering; /* those of them whose turn it is */
    struct loop_task task;
    int ipv6;
    uint8_t busy, dead; /* callbacks run; one of them freed us */
    uint64_t dice;
    struct dns_stats stats;
};

struct entry {
    struct dns *dns;
    struct list lru;
    struct list waiting;
    struct dns_answer *answer; /* NULL: being asked */
    int64_t expires;
    unsigned open;              /* questions to the name server that are not answered */
    struct dns_records *found;  /* addresses so far */
    int failed;                 /* one of the questions was */
    uint32_t none_ttl;          /* least time that "there is none" holds */
    struct dns_query *implicit; /* an MX entry's own question for addresses */
    char key[KEY_SIZE];         /* kind, '/', name */
};

struct dns_query {
    struct list link; /* entry's waiting, or ready or answering */
    struct dns *dns;
    enum kind kind;
    postern_mx_cb *mx;
    postern_host_cb *host;
    void *ctx;
    struct entry *implicit; /* the asker is this MX entry */
    struct dns_answer *answer;
};

/* --- entries --- */

static const char *entry_name(const struct entry *e)
{
    return e->key + 2;
}

static void entry_free(struct entry *e)
{
    list_del(&e->lru);
    dns_answer_unref(&e->answer);
    free(e->found);
    free(e);
}

static void cache_forget(struct dns *d, struct entry *e)
{
    list_del(&e->lru);
    dns_answer_unref(&e->answer);
    d->cached--;
}

static void cache_evict(struct dns *d)
{
    while (d->cached > d->cache_max) {
        struct entry *e = CONTAINER(d->lru.next, struct entry, lru);

        cache_forget(d, e);
        map_del(d->entries, e->key);
        entry_free(e);
    }
}

static void query_ready(struct dns_query *q, struct dns_answer *a)
{
    q->answer = a;
    list_add_tail(&q->dns->ready, &q->link);
    loop_note(q->dns->loop, &q->dns->task, LOOP_STAGE_WORK);
}

/* Takes the answer over. The entry may be gone afterwards. */
static void entry_complete(struct entry *e, struct dns_answer *a)
{
    struct dns *d = e->dns;
    struct list *n;

    if (a->result == -EAGAIN)
        d->stats.failures++;
    while ((n = list_pop(&e->waiting)))
        query_ready(CONTAINER(n, struct dns_query, link), dns_answer_ref(a));
    free(e->found);
    e->found = NULL;
    e->answer = a;
    e->expires = clock_mono() + (int64_t)a->ttl * 1000000;
    list_add_tail(&d->lru, &e->lru);
    d->cached++;
    cache_evict(d);
}

/* --- asking for addresses --- */

/* Hosts that are known here: the operator's, else the machine's. */
static void local_hosts(struct dns *d, const char *name, struct dns_records *ret)
{
    dns_local_hosts(d->local, name, d->ipv6, ret);
    if (!ret->n)
        channel_hosts(d->channel, name, d->ipv6, ret);
}

static void note_none(struct entry *e, uint32_t ttl)
{
    if (ttl < e->none_ttl)
        e->none_ttl = ttl;
}

static void host_complete(struct entry *e)
{
    if (e->found->n) {
        /* Half an answer is better than none, but the other half may come soon. */
        if (e->failed && e->found->ttl > 300)
            e->found->ttl = 300;
        entry_complete(e, dns_answer_new(e->found, "dns host"));
    } else {
        entry_complete(e, dns_answer_none(e->failed ? -EAGAIN : -ENOENT, e->none_ttl));
    }
}

static void on_addresses(void *ctx, enum channel_status status, const struct dns_records *r)
{
    struct entry *e = ctx;

    switch (status) {
    case CHANNEL_FOUND:
        if (r->ttl < e->found->ttl)
            e->found->ttl = r->ttl;
        for (size_t i = 0; i < r->n; i++)
            /* The preference puts IPv6 first, whichever answer came first. */
            dns_records_add(e->found, strchr(r->v[i].text, ':') ? 0 : 1, r->v[i].text);
        break;
    case CHANNEL_NO_DATA:
    case CHANNEL_NO_NAME:
        note_none(e, r->ttl);
        break;
    case CHANNEL_FAILED:
        e->failed = 1;
    }
    if (!--e->open)
        host_complete(e);
}

static void host_start(struct entry *e)
{
    struct dns *d = e->dns;

    e->found = mem_zalloc(sizeof *e->found);
    e->found->ttl = UINT32_MAX;
    local_hosts(d, entry_name(e), e->found);
    if (e->found->n) {
        e->found->ttl = 0; /* read the file again soon: it says nothing of times */
        entry_complete(e, dns_answer_new(e->found, "local host"));
        return;
    }
    e->open = d->ipv6 ? 2 : 1; /* counted before asking: the answer may be there at once */
    if (d->ipv6)
        channel_ask(d->channel, entry_name(e), DNS_TYPE_AAAA, on_addresses, e);
    channel_ask(d->channel, entry_name(e), DNS_TYPE_A, on_addresses, e);
}

/* --- asking for exchangers --- */

/* RFC 7505 3: a null MX is one if it stands alone. Beside others it says nothing. */
static void drop_null_mx(struct dns_records *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++) {
        if (r->v[i].text[0])
            r->v[n++] = r->v[i];
    }
    r->n = n ? n : 1;
}

static struct dns_query *query_new(struct dns *d, enum kind kind, void *ctx)
{
    struct dns_query *q = mem_zalloc(sizeof *q);

    q->dns = d;
    q->kind = kind;
    q->ctx = ctx;
    return q;
}

static void entry_ask(struct dns *d, enum kind kind, const char *name, struct dns_query *q);

/* What the operator's table has is joined with what name servers have, of whom it does not matter
 * then that they know nothing or do not answer. */
static void with_local(struct entry *e, const struct dns_records *local,
                       const struct dns_records *found)
{
    static const struct dns_records none = { .ttl = LOCAL_MX_TTL };
    int null_mx = found->n == 1 && !found->v[0].text[0];

    entry_complete(e, dns_answer_mx(local, local->n && (null_mx || !found->n) ? &none : found));
}

/* A name that only this machine knows is no name to name servers. */
static void on_no_name(struct entry *e, uint32_t ttl)
{
    struct dns_records hosts = { .n = 0 };

    local_hosts(e->dns, entry_name(e), &hosts);
    entry_complete(e,
                   hosts.n ? dns_answer_single(entry_name(e), "local host", 0)
                           : dns_answer_none(-ENOENT, ttl));
}

/* A host that the operator tells of is there whether name servers can be asked or not. */
static void on_failure(struct entry *e)
{
    struct dns_records hosts = { .n = 0 };

    dns_local_hosts(e->dns->local, entry_name(e), e->dns->ipv6, &hosts);
    entry_complete(e,
                   hosts.n ? dns_answer_single(entry_name(e), "local host", 0)
                           : dns_answer_none(-EAGAIN, 0));
}

static void on_mx(void *ctx, enum channel_status status, const struct dns_records *r)
{
    struct dns_records local = { .n = 0 }, copy = { .n = 0 };
    struct entry *e = ctx;

    dns_local_mx(e->dns->local, entry_name(e), &local);
    if (status == CHANNEL_FOUND) {
        copy = *r;
        drop_null_mx(&copy);
    }
    if (local.n || copy.n) {
        with_local(e, &local, &copy);
        return;
    }
    switch (status) {
    case CHANNEL_NO_DATA:
        /* The implicit MX of RFC 5321 5.1. */
        e->none_ttl = r->ttl;
        e->implicit = query_new(e->dns, KIND_HOST, NULL);
        e->implicit->implicit = e;
        entry_ask(e->dns, KIND_HOST, entry_name(e), e->implicit);
        return;
    case CHANNEL_NO_NAME:
        on_no_name(e, r->ttl);
        return;
    default:
        on_failure(e);
    }
}

static void implicit_answer(struct entry *e, const struct dns_answer *a)
{
    note_none(e, a->ttl);
    e->implicit = NULL;
    if (a->result)
        entry_complete(e, dns_answer_none(a->result, e->none_ttl));
    else
        entry_complete(e, dns_answer_single(entry_name(e), a->items[0].source, e->none_ttl));
}

/* --- queries --- */

static void entry_start(struct entry *e)
{
    e->failed = 0;
    e->none_ttl = UINT32_MAX;
    if (e->key[0] == KIND_HOST)
        host_start(e);
    else
        channel_ask(e->dns->channel, entry_name(e), DNS_TYPE_MX, on_mx, e);
}

static struct entry *entry_new(struct dns *d, const char *key)
{
    struct entry *e = mem_zalloc(sizeof *e);

    e->dns = d;
    list_init(&e->waiting);
    strcpy(e->key, key);
    map_set(d->entries, key, e);
    return e;
}

/* Gives the query its answer, or makes it wait for one. */
static void entry_ask(struct dns *d, enum kind kind, const char *name, struct dns_query *q)
{
    char key[KEY_SIZE];
    struct entry *e;
    int start = 0;

    snprintf(key, sizeof key, "%c/%s", kind, name);
    e = map_get(d->entries, key);
    if (e && e->answer && e->expires > clock_mono()) {
        d->stats.hits++;
        list_del(&e->lru);
        list_add_tail(&d->lru, &e->lru);
        query_ready(q, dns_answer_ref(e->answer));
        return;
    }
    if (e && e->answer) {
        cache_forget(d, e);
        start = 1;
    } else if (e) {
        d->stats.joined++;
    } else {
        e = entry_new(d, key);
        start = 1;
    }
    list_add_tail(&e->waiting, &q->link);
    if (start)
        entry_start(e);
}

static uint64_t dice(struct dns *d) /* xorshift: load is shared out, no secret kept */
{
    d->dice ^= d->dice << 13;
    d->dice ^= d->dice >> 7;
    d->dice ^= d->dice << 17;
    return d->dice;
}

/* RFC 5321 5.1: exchangers of equal preference are to be tried in random order, by everyone
 * anew. */
static void shuffle(struct dns *d, struct postern_mx *mx, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t same = i + 1, other;
        struct postern_mx swap = mx[i];

        while (same < n && mx[same].preference == mx[i].preference)
            same++;
        other = i + (size_t)(dice(d) % (same - i));
        mx[i] = mx[other];
        mx[other] = swap;
    }
}

static void give_mx(struct dns_query *q)
{
    const struct dns_answer *a = q->answer;
    struct postern_mx mx[DNS_RECORDS_MAX];

    for (size_t i = 0; i < a->n; i++)
        mx[i] = (struct postern_mx){ .size = sizeof *mx,
                                     .preference = a->items[i].preference,
                                     .name = a->items[i].text,
                                     .source = a->items[i].source };
    shuffle(q->dns, mx, a->n);
    q->mx(q->ctx, a->result, a->n ? mx : NULL, a->n);
}

static void give_host(struct dns_query *q)
{
    const struct dns_answer *a = q->answer;
    const char *addresses[DNS_RECORDS_MAX];

    for (size_t i = 0; i < a->n; i++)
        addresses[i] = a->items[i].text;
    q->host(q->ctx, a->result, a->n ? addresses : NULL, a->n);
}

static void query_free(struct dns_query *q)
{
    list_del(&q->link);
    dns_answer_unref(&q->answer);
    free(q);
}

static void query_give(struct dns_query *q)
{
    if (q->implicit)
        implicit_answer(q->implicit, q->answer);
    else if (q->kind == KIND_MX)
        give_mx(q);
    else
        give_host(q);
    query_free(q);
}

static void dns_destroy(struct dns *d);

/* Answers what is ready now. What the answers make ready comes after it, so that one busy asker
 * does not keep the others waiting. */
static void on_turn_end(void *ctx)
{
    struct dns *d = ctx;
    struct list *n;

    while ((n = list_pop(&d->ready)))
        list_add_tail(&d->answering, n);
    d->busy = 1;
    while (!d->dead && (n = list_pop(&d->answering)))
        query_give(CONTAINER(n, struct dns_query, link));
    d->busy = 0;
    if (d->dead)
        dns_destroy(d);
}

static void dns_ask(struct dns *d, struct dns_query *q, const char *text)
{
    char name[DNS_NAME_SIZE];

    d->stats.queries++;
    if (dns_literal(text, name, sizeof name))
        query_ready(q, dns_answer_single(name, "literal", LITERAL_TTL));
    else if (dns_name_normal(text, name))
        query_ready(q, dns_answer_none(-EINVAL, 0));
    else
        entry_ask(d, q->kind, name, q);
}

int dns_mx(struct dns *d, const char *domain, postern_mx_cb *cb, void *ctx, struct dns_query **ret)
{
    struct dns_query *q = query_new(d, KIND_MX, ctx);

    q->mx = cb;
    *ret = q;
    dns_ask(d, q, domain);
    return 0;
}

int dns_host(struct dns *d, const char *name, postern_host_cb *cb, void *ctx,
             struct dns_query **ret)
{
    struct dns_query *q = query_new(d, KIND_HOST, ctx);

    q->host = cb;
    *ret = q;
    dns_ask(d, q, name);
    return 0;
}

void dns_cancel(struct dns_query **pq)
{
    struct dns_query *q = *pq;

    *pq = NULL;
    if (q)
        query_free(q);
}

int dns_new(struct loop *loop, const struct config_dns *cfg, struct dns **ret, char *why,
            size_t why_size)
{
    struct dns_local *local;
    struct channel *channel;
    struct dns *d;
    int r = dns_local_new(cfg, &local, why, why_size);

    if (r)
        return r;
    r = channel_new(loop, cfg, &channel, why, why_size);
    if (r) {
        dns_local_free(&local);
        return r;
    }
    d = mem_zalloc(sizeof *d);
    d->loop = loop;
    d->channel = channel;
    d->local = local;
    d->entries = map_new();
    d->cache_max = cfg->cache_max > 0 ? (size_t)cfg->cache_max : 0;
    d->ipv6 = cfg->ipv6 != 0;
    list_init(&d->lru);
    list_init(&d->ready);
    list_init(&d->answering);
    d->task = (struct loop_task){ .run = on_turn_end, .ctx = d };
    if (getrandom(&d->dice, sizeof d->dice, 0) != (ssize_t)sizeof d->dice || !d->dice)
        d->dice = (uint64_t)clock_wall();
    *ret = d;
    return 0;
}

static void drop_queries(struct list *head)
{
    struct list *n;

    while ((n = list_pop(head)))
        query_free(CONTAINER(n, struct dns_query, link));
}

static void drop_entry(void *value)
{
    struct entry *e = value;

    drop_queries(&e->waiting);
    entry_free(e);
}

static void dns_destroy(struct dns *d)
{
    loop_forget(&d->task);
    channel_free(&d->channel);
    drop_queries(&d->ready);
    drop_queries(&d->answering);
    map_free(&d->entries, drop_entry);
    dns_local_free(&d->local);
    free(d);
}

void dns_free(struct dns **pd)
{
    struct dns *d = *pd;

    *pd = NULL;
    if (!d)
        return;
    d->dead = 1;
    if (!d->busy)
        dns_destroy(d);
}

void dns_stats(const struct dns *d, struct dns_stats *ret)
{
    *ret = d->stats;
    ret->entries = d->cached;
}
