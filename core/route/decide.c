/* Walking the table. Pure: nothing is read but the table, with the answers that it has been given,
 * and the query; nothing is kept. The index
 * says which rows are worth a look; the others are mentioned in the trace.
 *
 * A rule that rewrites sends the walk back to the top with the new address, at most
 * ROUTE_REWRITES_MAX times and never to an address where it has been. */
#include "route/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address/address.h"
#include "util/buf.h"

/* The addresses of one walk, the first borrowed from the query. */
struct chain {
    size_t n;
    const char *v[ROUTE_REWRITES_MAX + 2];
    char *owned[ROUTE_REWRITES_MAX + 2];
    int anyone; /* something on the way is open to anyone */
    int led;    /* as in route_decision */
};

static void chain_push(struct chain *c, char *address)
{
    c->owned[c->n] = address;
    c->v[c->n++] = address;
}

static const char *chain_last(const struct chain *c)
{
    return c->v[c->n - 1];
}

/* Hands out the last address, if it is ours, and frees the others. */
static char *chain_done(struct chain *c)
{
    char *last = c->owned[c->n - 1];

    for (size_t i = 0; i + 1 < c->n; i++)
        free(c->owned[i]);
    return last;
}

static void decide(struct route_decision *d, const struct route_row *row)
{
    d->action = row->action;
    d->rule = &row->rule;
    d->transport = row->transport;
    d->next_hop_n = row->next_hops.n;
    d->next_hops = row->next_hops.v;
    d->params = &row->params;
    memcpy(d->status, row->status, sizeof d->status);
    d->text = row->text;
    d->anyone = row->anyone;
    d->no_next_hop = row->no_next_hop;
    d->group = row->group;
}

static void decide_fail(struct route_decision *d, const struct route_row *row, uint16_t subject,
                        uint16_t detail, const char *text)
{
    d->action = ROUTE_FAIL;
    d->rule = row ? &row->rule : NULL;
    d->status[0] = 5;
    d->status[1] = subject;
    d->status[2] = detail;
    d->text = text;
}

/* Makes room for a sentence in the one allocation that a decision owns: behind the address. */
static void keep_text(struct route_decision *d, const char *text)
{
    size_t rcpt_len = strlen(d->rcpt) + 1, text_len = strlen(text) + 1;
    char *both = mem_alloc(rcpt_len + text_len);

    memcpy(both, d->rcpt, rcpt_len);
    memcpy(both + rcpt_len, text, text_len);
    free(d->rewritten);
    d->rewritten = both;
    d->rcpt = both;
    d->text = both + rcpt_len;
}

/* --- rewriting --- */

static int chain_has(const struct chain *c, const char *address)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->v[i], address) == 0)
            return 1;
    }
    return 0;
}

static void chain_text(const struct chain *c, const char *next, struct buf *out)
{
    for (size_t i = 0; i < c->n; i++)
        buf_printf(out, "%s -> ", c->v[i]);
    buf_adds(out, next);
}

/* Ends the walk because of a rule that rewrites. The text is the decision's, once keep_text ran. */
static void fail_rewrite(struct route_walk *w, const struct chain *c, const struct route_row *row,
                         const char *to, const char *why, struct route_decision *d)
{
    struct buf text = { 0 };

    if (to) {
        decide_fail(d, row, 4, 6, NULL);
        buf_printf(&text, "%s: ", why);
        chain_text(c, to, &text);
        route_trace_rewrite(w, to);
    } else {
        decide_fail(d, row, 1, 3, NULL);
        buf_printf(&text, "%s rewritten by a rule is no address: %s", chain_last(c), why);
    }
    d->rcpt = chain_last(c);
    keep_text(d, text.data);
    buf_free(&text);
}

/* 0: the chain has a new address; -ELOOP: decided, the recipient failed. */
static int rewrite(struct route_walk *w, struct chain *c, const struct route_row *row,
                   const struct route_match *m, struct route_decision *d)
{
    const char *why;
    char *to = row->kind == ROW_SHORT
        ? route_complete_domain(row, &w->rcpt, &why)
        : route_rewrite(row->rewrite, m->recipient, m->domain, &w->rcpt, &why);

    if (to && chain_has(c, to))
        why = "rewriting goes round in circles";
    else if (to && c->n > ROUTE_REWRITES_MAX)
        why = "too many rewrites";
    else if (to) {
        route_trace_rewrite(w, to);
        chain_push(c, to);
        c->anyone |= row->anyone;
        c->led |= row->kind != ROW_SHORT; /* that one only completes a name */
        return 0;
    }
    fail_rewrite(w, c, row, to, why, d);
    free(to);
    return -ELOOP;
}

/* The rest of a road that ends with us: "user%c@us" goes to user@c, "c!user@us" too. NULL: there is
 * none, and the local part is a user's name. */
static char *rest_of_road(const struct route_walk *w)
{
    const char *text = w->rcpt.parsed.local, *why;
    char percent[POSTERN_ADDRESS_SIZE], next[POSTERN_ADDRESS_SIZE];
    uint32_t hacks = postern_address_hacks(&w->rcpt.parsed);
    int r;

    if (!w->t->roads || !w->rcpt.parsed.domain)
        return NULL;
    if (w->t->roads > 1 && (hacks & POSTERN_HACK_BANG)) {
        r = postern_address_bang_to_percent(NULL, text, strlen(text), percent, sizeof percent,
                                            &why);
        if (r < 0)
            return NULL;
        text = percent;
    } else if (!(hacks & POSTERN_HACK_PERCENT)) {
        return NULL;
    }
    r = postern_address_percent_next(NULL, text, strlen(text), next, sizeof next, &why);
    return r < 0 ? NULL : mem_strdup(next);
}

int route_maybe_road(const struct route_address *a)
{
    return strpbrk(a->local, "%!@") != NULL;
}

/* That an address is ours does not make the end of its road so: who may not relay may not do it
 * this way either. 0, -ELOOP as rewrite; -ENOENT: there is no road. */
static int follow_road(struct route_walk *w, struct chain *c, struct route_decision *d)
{
    char *to = rest_of_road(w);

    if (!to)
        return -ENOENT;
    c->anyone = 0;
    c->led = 1;
    if (!chain_has(c, to) && c->n <= ROUTE_REWRITES_MAX) {
        route_trace_rewrite(w, to);
        chain_push(c, to);
        return 0;
    }
    fail_rewrite(w, c, w->local, to, "the road in the address goes round in circles", d);
    free(to);
    return -ELOOP;
}

/* --- the walk --- */

/* Whether the recipient is local matters, and can't be said. Never "no": the mail would go out, and
 * may come in again. -EAGAIN: somebody has to ask; -ELOOP as rewrite: the answer is that nobody
 * knows now. */
static int stuck(struct route_walk *w, const struct chain *c, struct route_decision *d)
{
    int wanted = w->own == OWN_WANTED;

    decide_fail(d, &w->t->rows[w->t->own_host_row], 4, 3,
                wanted ? "the addresses of the domain are not known yet" : w->own_how.why);
    d->status[0] = 4;
    d->rcpt = chain_last(c);
    if (wanted)
        return -EAGAIN;
    keep_text(d, d->text);
    return -ELOOP;
}

/* Rows [from, to). 1: decided; 0: rewritten, start again; -ELOOP: decided that it failed; -ENOENT:
 * none of them matched; -EAGAIN: see stuck. */
static int stretch(struct route_walk *w, struct chain *c, struct index_cursor *cursor, size_t from,
                   size_t to, struct route_decision *d)
{
    const struct route_table *t = w->t;
    size_t after = from; /* the last one that was considered */
    struct route_match m;

    for (;;) {
        size_t i = route_index_next(cursor, after);
        const struct route_row *row;
        int matched;

        route_trace_skipped(w, after, i < to ? i : to);
        if (i >= to)
            return -ENOENT;
        row = &t->rows[i];
        matched = route_row_match(row, w, &m);
        if (route_walk_is_stuck(w))
            return stuck(w, c, d);
        route_trace_rule(w, row, matched, &m);
        if (matched && row->rewrite)
            return rewrite(w, c, row, &m, d);
        if (matched) {
            /* The hub believes us, and may go on where we would not. */
            if (row->kind == ROW_LOCAL_FORWARD && route_maybe_road(&w->rcpt))
                c->anyone = 0;
            decide(d, row);
            return 1;
        }
        after = i + 1;
    }
}

/* Once over the table; returns what stretch does, but never -ENOENT. */
static int pass(struct route_walk *w, struct chain *c, struct route_decision *d)
{
    const struct route_table *t = w->t;
    struct index_cursor cursor;
    int r;

    route_index_seek(&t->index, w, &cursor);
    r = stretch(w, c, &cursor, 0, t->head_n, d);
    if (r != -ENOENT)
        return r;
    route_trace_local(w);
    route_walk_own(w);
    if (route_walk_is_stuck(w))
        return stuck(w, c, d);
    if (w->local) {
        r = follow_road(w, c, d);
        if (r != -ENOENT)
            return r;
        decide(d, w->local);
        return 1;
    }
    r = stretch(w, c, &cursor, t->head_n + t->local_n, t->row_n - 1, d);
    if (r != -ENOENT)
        return r;
    route_trace_default(w);
    decide(d, route_default(t));
    return 1;
}

/* Gives an address without domain the gateway's own, and forgets a source route (RFC 5321 F.2).
 * NULL when there is nothing to do. */
static char *complete(const struct route_walk *w)
{
    const struct postern_address *p = &w->rcpt.parsed;

    if (!p->domain)
        return mem_printf("%s@%s", p->local, w->t->hostname);
    return p->route ? mem_strdup(p->local) : NULL;
}

/* Parses the chain's last address into the walk. */
static int load_rcpt(struct route_walk *w, struct chain *c, const char **reterr_why)
{
    int bare, r = route_address_init(&w->rcpt, chain_last(c), w->t->hostname, reterr_why);
    char *whole;

    if (r < 0)
        return r;
    bare = !w->rcpt.parsed.domain;
    whole = complete(w);
    if (whole) {
        /* Only the caller's own address can be like that, so this takes its place. */
        c->v[c->n - 1] = c->owned[c->n - 1] = whole;
        r = route_address_init(&w->rcpt, whole, w->t->hostname, reterr_why);
        if (r < 0)
            return r;
    }
    w->local = route_local(w->t, w->rcpt.domain);
    if (bare && !w->local)
        w->local = route_unqualified(w->t);
    w->own = w->t->own_host_row && !w->local ? OWN_UNASKED : OWN_OFF;
    /* Mail for our own domains is taken from anyone, whatever rule decides where it goes. Not so
     * for those that are ours by their addresses: anybody can give his domain one of ours. */
    c->anyone |= w->local != NULL;
    return 0;
}

int route_decide(const struct route_table *t, const struct route_query *q,
                 struct route_decision *ret, struct route_trace *trace)
{
    struct route_walk w = { .t = t, .q = q, .trace = trace };
    struct chain c = { .n = 1, .v = { q->rcpt } };
    const char *why;
    int r = 0;

    memset(ret, 0, sizeof *ret);
    if (trace)
        memset(trace, 0, sizeof *trace);
    while (r == 0) {
        if (load_rcpt(&w, &c, &why) < 0) {
            /* Rewritten ones are vetted: only the caller's own can be bad, or one whose domain IDNA
             * does not know. */
            decide_fail(ret, NULL, 1, 3, why);
            r = -EINVAL;
            break;
        }
        r = pass(&w, &c, ret);
    }
    if (r != -ELOOP) {
        ret->rcpt = chain_last(&c);
        ret->rewritten = chain_done(&c);
    } else {
        free(chain_done(&c)); /* the decision has a copy, together with its text */
    }
    if (r != -EINVAL) {
        memcpy(ret->domain, w.rcpt.domain, sizeof ret->domain);
        ret->anyone |= c.anyone;
        ret->led = c.led;
    }
    if (r != -EINVAL && ret->action == ROUTE_TRANSPORT && !ret->group)
        ret->group = route_group_of(t, ret->domain);
    return r == -EINVAL || r == -EAGAIN ? r : 0;
}

void route_decision_done(struct route_decision *d)
{
    free(d->rewritten);
    d->rewritten = NULL;
}

const char *route_next_hop(const struct route_decision *d, size_t i, char *buf, size_t size)
{
    const char *hop;
    unsigned flags = next_hop_flags(d->next_hops[i], &hop);

    if (!(flags & NEXT_HOP_OWN))
        return d->next_hops[i];
    if (!(flags & NEXT_HOP_OWN_HOST) || d->domain[0] == '[')
        return d->domain;
    snprintf(buf, size, "[%s]", d->domain);
    return buf;
}
