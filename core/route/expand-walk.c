/* route/expand-walk.c: an expansion, in one go or step by step; see expand.h.
 *
 * First all that the aliases name, then what the table says of each. What asks for something is put
 * off until the answers are there, and the rest goes on meanwhile. */
#include "route/expand-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void walk_done(struct expansion *x)
{
    alias_walk_free(&x->walk);
    x->all = NULL;
    map_free(&x->keys, NULL);
    free(x->later);
    x->later = NULL;
    x->at = x->later_at = x->later_end = x->later_n = x->later_cap = 0;
    free(x->fresh);
    x->fresh = NULL;
    x->fresh_n = x->fresh_cap = 0;
}

/* A leaf that asks for something is looked at again when that is there, as if for the first
 * time. */
static void put_off(struct expansion *x, size_t i, size_t n, size_t looked)
{
    while (x->out->n > n)
        expansion_leaf_done(&x->out->leaves[--x->out->n]);
    while (x->fresh_n)
        map_del(x->keys, x->fresh[--x->fresh_n]);
    x->looked = looked;
    if (x->later_n == x->later_cap) {
        x->later_cap = x->later_cap ? 2 * x->later_cap : ROUTE_NEEDS_MAX;
        x->later = mem_realloc(x->later, x->later_cap * sizeof *x->later);
    }
    x->later[x->later_n++] = i;
}

static int look_at_leaf(struct expansion *x, size_t i)
{
    size_t n = x->out->n, looked = x->looked;
    int r;

    x->fresh_n = 0;
    x->lacks = 0;
    r = expansion_take_leaf(x, x->all, &x->all->leaves[i]);
    if (r == -EAGAIN || x->lacks)
        put_off(x, i, n, looked);
    return x->out->need_n < ROUTE_NEEDS_MAX && r == -EAGAIN ? 0 : r;
}

/* 1: *ret is the next of the leaves, those first that were put off. */
static int next_leaf(struct expansion *x, size_t *ret)
{
    x->later_now = x->later_at < x->later_end;
    if (x->later_now)
        *ret = x->later[x->later_at++];
    else if (x->at < x->all->n)
        *ret = x->at++;
    else
        return 0;
    return 1;
}

static int look_at_leaves(struct expansion *x)
{
    size_t i;
    int r = 0;

    while (!r) {
        if (!x->budget)
            return -EINPROGRESS;
        x->budget--;
        if (!next_leaf(x, &i))
            return x->out->need_n || x->out->wanted ? -EAGAIN : 0;
        r = look_at_leaf(x, i);
    }
    return r;
}

static void leaves_answered(struct expansion *x)
{
    memmove(x->later, x->later + x->later_at, (x->later_n - x->later_at) * sizeof *x->later);
    x->later_n -= x->later_at;
    x->later_at = 0;
    x->later_end = x->later_n;
}

/* 1: it is no alias. */
static int go_on(struct expansion *x)
{
    struct route_expansion *e = x->out;
    const struct alias_expansion *found;
    int r;

    if (!x->all) {
        r = alias_walk_step(x->walk, &x->budget, &found);
        e->aliased = found->found && (r == -EAGAIN || r == -EINPROGRESS);
        if (r == -EAGAIN)
            expansion_take_needs(x, found);
        if (r == -EINVAL || (r >= 0 && expansion_is_itself(found)))
            return 1; /* what the table took is an address, or what it says of it stands */
        if (r < 0)
            return r;
        e->aliased = 0;
        x->all = found;
        x->looked = found->n;
    }
    if (x->later_at < x->later_n && x->result == -EAGAIN)
        leaves_answered(x);
    return look_at_leaves(x);
}

static int expand_query(struct expansion *x)
{
    struct route_expansion *e = x->out;
    struct alias_expand how;
    int r;

    if (!x->walk) {
        r = route_decide(x->t, x->q, &e->first, x->trace ? &e->trace : NULL);
        if (r == -EAGAIN) {
            expansion_take_addresses(x, e->first.domain);
            return r;
        }
        if (r < 0) {
            expansion_leaf_of_first(x);
            return r;
        }
        if (!x->t->aliases || !expansion_is_ours(x, &e->first))
            return expansion_only_first(x);
        if (!e->arena)
            e->arena = arena_new();
        x->keys = map_new();
        how = expansion_how(x);
        x->walk = alias_walk_new(&how, expansion_alias_name(x));
    }
    r = go_on(x);
    if (r == 1) {
        walk_done(x);
        e->aliased = 0;
        return expansion_only_first(x);
    }
    if (r == -E2BIG)
        expansion_too_many(x);
    return r;
}

/* Is what a stranger has made up, and somebody else is to get mail by, a name and nothing more? */
static int is_plain_name(const struct expansion *x)
{
    struct route_address a;
    const char *why;

    return route_address_init(&a, x->instead.rcpt, x->t->hostname, &why) == 0 &&
        !route_maybe_road(&a);
}

/* Who gets an unknown user's mail takes it from anyone, too: but a name that a stranger has made up
 * leads nowhere further, by a road in it or by a rule, where he may not send himself. */
static void mark_instead(struct expansion *x)
{
    struct route_expansion *e = x->out;
    int plain = is_plain_name(x);

    e->first.anyone |= x->is_fixed || (plain && !e->first.led);
    for (size_t i = 0; i < e->n; i++) {
        struct route_decision *d = &e->leaves[i].decision;

        d->anyone |= x->is_fixed || (plain && !d->led);
    }
    if (!e->aliased && e->n && !e->leaves[0].decision.rewritten) {
        struct route_decision *d = &e->leaves[0].decision;

        d->rcpt = d->rewritten = mem_strdup(x->instead.rcpt);
    }
}

static int step(struct expansion *x)
{
    int r;

    if (x->result == -EAGAIN)
        expansion_forget_needs(x->out);
    if (!x->walk) { /* from the beginning */
        expansion_leaves_done(x->out);
        route_trace_done(&x->out->trace);
        route_decision_done(&x->out->first);
    }
    r = expand_query(x);
    if (r == -ENOENT) { /* everything once more, for somebody else */
        expansion_leaves_done(x->out);
        x->q = &x->instead;
        x->is_instead = 1;
        r = expand_query(x);
    }
    if (!r && x->out->need_n)
        r = -EAGAIN;
    if (x->is_instead && r != -EAGAIN && r != -EINPROGRESS)
        mark_instead(x);
    if (r != -EAGAIN && r != -EINPROGRESS)
        walk_done(x);
    x->result = r;
    return r;
}

int route_expand(const struct route_table *t, const struct route_query *q, int trace,
                 struct route_expansion *ret)
{
    struct expansion x = {
        .t = t, .q = q, .out = ret, .trace = trace, .budget = q->budget ? q->budget : SIZE_MAX
    };

    *ret = (struct route_expansion){ 0 };
    step(&x);
    walk_done(&x);
    return x.result;
}

void route_expansion_done(struct route_expansion *e)
{
    expansion_leaves_done(e);
    free(e->leaves);
    free(e->asked);
    route_trace_done(&e->trace);
    route_decision_done(&e->first);
    arena_free(&e->need_arena);
    arena_free(&e->arena);
    *e = (struct route_expansion){ 0 };
}

struct expand_walk {
    struct expansion x;
    struct route_query q;
    struct route_expansion out;
};

struct expand_walk *expand_walk_new(const struct route_table *t, const struct route_query *q,
                                    int trace)
{
    struct expand_walk *w = mem_zalloc(sizeof *w);

    w->x = (struct expansion){
        .t = t, .q = &w->q, .out = &w->out, .trace = trace, .result = -EINPROGRESS
    };
    w->out.arena = arena_new();
    w->q = *q;
    w->q.sender = expansion_text(&w->x, q->sender);
    w->q.rcpt = expansion_text(&w->x, q->rcpt);
    w->q.ingress = expansion_text(&w->x, q->ingress);
    return w;
}

int expand_walk_step(struct expand_walk *w, size_t budget, const struct route_expansion **ret)
{
    *ret = &w->out;
    w->x.budget = budget;
    return w->x.result == -EINPROGRESS || w->x.result == -EAGAIN ? step(&w->x) : w->x.result;
}

void expand_walk_take(struct expand_walk **w, struct route_expansion *ret)
{
    *ret = (*w)->out;
    (*w)->out = (struct route_expansion){ 0 };
    expand_walk_free(w);
}

void expand_walk_free(struct expand_walk **pw)
{
    struct expand_walk *w = *pw;

    if (!w)
        return;
    *pw = NULL;
    walk_done(&w->x);
    route_expansion_done(&w->out);
    free(w);
}
