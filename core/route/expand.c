/* Table and aliases together; see expand.h. */
#include "route/expand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-set.h"
#include "route/table.h"
#include "util/buf.h"
#include "util/clock.h"

#define PERSONAL_MAX_AGE 5000000 /* usec that a personal alias file is believed unseen */
#define ROUNDS_MAX       10u     /* rules that lead from an alias's target to another alias */

struct expansion { /* one call */
    const struct route_table *t;
    const struct route_query *q;
    struct route_expansion *out;
    int trace;
    size_t cap;
    unsigned round;
    struct map *keys; /* of the leaves */
};

/* --- leaves --- */

static const char *text_in(struct expansion *x, const char *text)
{
    return text ? arena_strdup(x->out->arena, text) : NULL;
}

static struct route_leaf *leaf_new(struct expansion *x, const char *key)
{
    struct route_expansion *e = x->out;

    if (e->n == x->cap) {
        x->cap = x->cap ? 2 * x->cap : 1;
        e->leaves = mem_realloc(e->leaves, x->cap * sizeof *e->leaves);
    }
    e->leaves[e->n] = (struct route_leaf){ .key = key };
    return &e->leaves[e->n++];
}

/* The same place by another way? It is one from now on. */
static int has_leaf(struct expansion *x, const char *key)
{
    return map_set(x->keys, key, x) != NULL;
}

/* Where in the alias files it was said, as the rule that decided. */
static const struct route_rule *alias_rule(struct expansion *x, const char *file, uint32_t line)
{
    struct route_rule *rule = arena_alloc(x->out->arena, sizeof *rule);

    *rule = (struct route_rule){ .what = "alias" };
    rule->origin.file = text_in(x, file ? file : "(built in)");
    rule->origin.pointer = file ? arena_printf(x->out->arena, "line %u", line) : "";
    return rule;
}

static void decide_fail(struct expansion *x, struct route_decision *d, const uint16_t status[3],
                        const char *text)
{
    d->action = ROUTE_FAIL;
    memcpy(d->status, status, sizeof d->status);
    d->text = text_in(x, text);
}

/* A decision that no row of the table made. rcpt: what the place is called in the table. */
static void decide_alias(struct expansion *x, const struct alias_leaf *from, const char *rcpt,
                         struct route_leaf *leaf)
{
    struct route_decision *d = &leaf->decision;
    static const struct postern_strings none;

    d->rule = alias_rule(x, from->file ? from->file : x->out->alias_file,
                         from->file ? from->line : x->out->alias_line);
    d->rcpt = text_in(x, rcpt);
    d->params = &none;
    memcpy(d->domain, x->out->first.domain, sizeof d->domain);
    d->anyone = x->out->first.anyone;
    leaf->query.rcpt = d->rcpt;
}

static void add_param(struct expansion *x, struct postern_strings *params, const char *name,
                      const char *value)
{
    ((const char **)params->v)[params->n++] = arena_printf(x->out->arena, "%s=%s", name, value);
}

/* A place that only a transport can make something of: aliases.NAME_transport. */
static void to_transport(struct expansion *x, struct route_leaf *leaf, const char *transport,
                         const char *what)
{
    static const uint16_t later[3] = { 4, 3, 5 };
    struct route_decision *d = &leaf->decision;

    if (transport) {
        d->action = ROUTE_TRANSPORT;
        d->transport = transport;
        return;
    }
    decide_fail(x, d, later,
                arena_printf(x->out->arena,
                             "%s names a %s, and there is no aliases.%s_transport: set it, or "
                             "mend the alias",
                             leaf->chain, what, what));
}

/* The words of a command as one line, each quoted: what the transport splits again. */
static const char *command_text(struct expansion *x, const struct alias_leaf *from)
{
    struct buf out = { 0 };
    const char *r;

    if (!(from->flags & ALIAS_ARGV))
        return text_in(x, from->text);
    for (const char *w = from->text; w < from->text + from->len; w += strlen(w) + 1) {
        buf_adds(&out, out.len ? " \"" : "\"");
        for (const char *p = w; *p; p++) {
            if (*p == '"' || *p == '\\')
                buf_adds(&out, "\\");
            buf_add(&out, p, 1);
        }
        buf_adds(&out, "\"");
    }
    r = text_in(x, out.data ? out.data : "");
    buf_free(&out);
    return r;
}

static void add_place(struct expansion *x, const struct alias_leaf *from, const char *sign,
                      const char *what, const char *transport, const char *param, const char *value)
{
    const char *key = arena_printf(x->out->arena, "%s%s", sign, value);
    struct postern_strings *params = arena_alloc(x->out->arena, sizeof *params);
    struct route_leaf *leaf;

    if (has_leaf(x, key))
        return;
    leaf = leaf_new(x, key);
    leaf->shown = key;
    leaf->chain = text_in(x, from->chain);
    leaf->sender = text_in(x, from->owner);
    decide_alias(x, from, x->out->first.rcpt, leaf);
    params->v = arena_alloc(x->out->arena, 4 * sizeof *params->v);
    params->n = 0;
    add_param(x, params, param, value);
    if (from->kind == ALIAS_LIST) {
        add_param(x, params, "members", from->members);
        if (from->owner)
            add_param(x, params, "owner", from->owner);
        leaf->sender = NULL; /* the list sees to that itself */
        leaf->shown = text_in(x, from->text);
    }
    leaf->decision.params = params;
    to_transport(x, leaf, transport, what);
}

static void add_file(struct expansion *x, const struct alias_leaf *from)
{
    const struct config_aliases *cfg = x->t->aliases->cfg;
    char path[ALIAS_TEXT_MAX + 16];
    const char *file =
        alias_file_name(from->text, from->flags, clock_wall() / 1000000, path, sizeof path);

    add_place(x, from, ">", "file", cfg->file_transport, "file", file ? file : from->text);
}

static void add_error(struct expansion *x, const struct alias_leaf *from)
{
    const char *key = arena_printf(x->out->arena, "!%s", from->error);
    struct route_leaf *leaf;

    if (has_leaf(x, key))
        return;
    leaf = leaf_new(x, key);
    leaf->shown = text_in(x, from->text);
    leaf->chain = text_in(x, from->chain);
    leaf->sender = text_in(x, from->owner);
    decide_alias(x, from, x->out->first.rcpt, leaf);
    decide_fail(x, &leaf->decision, from->status, from->error);
}

/* --- addresses --- */

static int expand_aliases(struct expansion *x, const char *address, const struct alias_leaf *above);

/* Is this local mail that aliases may speak of? A rule of the operator's comes before them. */
static int is_ours(const struct expansion *x, const struct route_decision *d)
{
    enum row_kind kind;

    if (!d->rule || (d->action == ROUTE_FAIL && d->status[1] == 4))
        return 0;
    kind = x->t->rows[d->rule->index].kind;
    return kind == ROW_LOCAL_FORWARD || row_is_local(&x->t->rows[d->rule->index]);
}

/* An address that aliases led to, and no alias itself: the table says where it goes. When it is
 * rewritten on the way, it may be an alias after all. */
static int add_address(struct expansion *x, const struct alias_leaf *from)
{
    const char *key =
        arena_printf(x->out->arena, "%s%s%s%s", from->text, from->folder ? " folder " : "",
                     from->folder ? from->folder : "", from->kind == ALIAS_LOCAL ? " here" : "");
    struct route_leaf *leaf;
    int r;

    if (has_leaf(x, key))
        return 0;
    leaf = leaf_new(x, key);
    leaf->query.rcpt = from->folder
        ? arena_printf(x->out->arena, "%.*s+%s%s", (int)(strrchr(from->text, '@') - from->text),
                       from->text, from->folder, strrchr(from->text, '@'))
        : text_in(x, from->text);
    leaf->shown = leaf->query.rcpt;
    /* Said without a domain it is local, whatever the name of this host. */
    if (from->flags & ALIAS_UNQUALIFIED)
        leaf->query.rcpt =
            arena_strndup(x->out->arena, leaf->query.rcpt,
                          (size_t)(strrchr(leaf->query.rcpt, '@') - leaf->query.rcpt));
    leaf->chain = text_in(x, from->chain);
    leaf->sender = text_in(x, from->owner);
    leaf->query.sender = x->q->sender;
    leaf->query.ingress = x->q->ingress;
    leaf->query.keep_local = from->kind == ALIAS_LOCAL;
    r = route_decide(x->t, &leaf->query, &leaf->decision, x->trace ? &leaf->trace : NULL);
    if (r < 0 || from->kind == ALIAS_LOCAL || !leaf->decision.rewritten ||
        !is_ours(x, &leaf->decision))
        return 0; /* what is no address after all is a leaf that says so */
    if (++x->round > ROUNDS_MAX)
        return 0;
    {
        struct route_leaf kept = *leaf;
        struct alias_leaf above = *from;

        above.chain = arena_printf(x->out->arena, "%s -> %s", from->chain, kept.decision.rcpt);
        x->out->n--;
        r = expand_aliases(x, kept.decision.rcpt, &above);
        if (r == 1) { /* no alias: the leaf stands */
            x->out->leaves[x->out->n++] = kept;
            return 0;
        }
        route_trace_done(&kept.trace);
        route_decision_done(&kept.decision);
    }
    return r;
}

static int domain_kind(void *ctx, const char *domain)
{
    const struct route_table *t = ctx;
    const struct route_row *row = route_local(t, domain);

    if (!row)
        return 0;
    return row->kind == ROW_VIRTUAL ? ALIAS_DOMAIN_VIRTUAL : ALIAS_DOMAIN_LOCAL;
}

static int add_leaf(struct expansion *x, const struct alias_leaf *from)
{
    const struct config_aliases *cfg = x->t->aliases->cfg;

    if (from->error) {
        add_error(x, from);
        return 0;
    }
    switch (from->kind) {
    case ALIAS_PIPE:
        add_place(x, from, "|", "pipe", cfg->pipe_transport, "command", command_text(x, from));
        return 0;
    case ALIAS_FILE:
        add_file(x, from);
        return 0;
    case ALIAS_LIST:
        add_place(x, from, "list ", "list", cfg->list_transport, "list", from->text);
        return 0;
    default:
        return add_address(x, from);
    }
}

/* Nothing is said of it, by any alias: it is itself. */
static int is_itself(const struct alias_expansion *e)
{
    return e->n == 1 && !e->leaves[0].error && !e->leaves[0].file &&
        e->leaves[0].kind == ALIAS_ADDRESS;
}

/* 1: it is no alias; 0: its leaves are added; -EAGAIN, -E2BIG. above: what led here, or NULL. */
static int expand_aliases(struct expansion *x, const char *address, const struct alias_leaf *above)
{
    struct alias_expand how = { .set = x->t->aliases,
                                .users = x->t->alias_users,
                                .max_age = PERSONAL_MAX_AGE,
                                .hostname = x->t->hostname,
                                .domain = domain_kind,
                                .ctx = (void *)(uintptr_t)x->t,
                                .keep_lists = x->t->aliases->cfg->list_transport != NULL };
    struct alias_expansion e;
    int r = alias_expand(&how, address, &e);

    if (r == -EAGAIN)
        x->out->wanted = text_in(x, e.wanted);
    if (r >= 0 && is_itself(&e))
        r = 1;
    for (size_t i = 0; r == 0 && i < e.n; i++) {
        struct alias_leaf *leaf = &e.leaves[i];

        if (!x->out->aliased && leaf->file) {
            x->out->aliased = 1;
            x->out->alias_file = text_in(x, leaf->file);
            x->out->alias_line = leaf->line;
        }
        if (above && !leaf->owner)
            leaf->owner = above->owner;
        if (above)
            leaf->chain = arena_printf(x->out->arena, "%s -> %s", above->chain, leaf->chain);
        r = add_leaf(x, leaf);
    }
    alias_expansion_done(&e);
    return r;
}

/* --- the whole --- */

static void leaves_done(struct route_expansion *e)
{
    for (size_t i = 0; i < e->n; i++) {
        route_trace_done(&e->leaves[i].trace);
        route_decision_done(&e->leaves[i].decision);
    }
    e->n = 0;
}

static void too_many(struct expansion *x)
{
    static const uint16_t status[3] = { 5, 4, 6 };
    struct route_leaf *leaf;

    leaves_done(x->out);
    leaf = leaf_new(x, "");
    leaf->shown = leaf->query.rcpt = x->out->first.rcpt;
    leaf->decision.rcpt = x->out->first.rcpt;
    leaf->decision.rule = alias_rule(x, x->out->alias_file, x->out->alias_line);
    decide_fail(x, &leaf->decision, status,
                arena_printf(x->out->arena, "%s stands for more than %lld targets",
                             x->out->first.rcpt, (long long)x->t->aliases->cfg->expansion_max));
}

/* The only leaf: the table's own decision, moved. */
static void leaf_of_first(struct expansion *x)
{
    struct route_leaf *leaf = leaf_new(x, "");

    leaf->query = *x->q;
    leaf->shown = x->q->rcpt;
    leaf->decision = x->out->first;
    leaf->trace = x->out->trace;
    x->out->first = (struct route_decision){ 0 };
    x->out->trace = (struct route_trace){ 0 };
}

/* A recipient without a domain is local, whatever the name of this host. */
static const char *alias_name(struct expansion *x)
{
    const struct route_decision *d = &x->out->first;
    const char *at = strrchr(d->rcpt, '@');

    if (x->t->rows[d->rule->index].kind != ROW_UNQUALIFIED || !at)
        return d->rcpt;
    return arena_strndup(x->out->arena, d->rcpt, (size_t)(at - d->rcpt));
}

int route_expand(const struct route_table *t, const struct route_query *q, int trace,
                 struct route_expansion *ret)
{
    struct expansion x = { .t = t, .q = q, .out = ret, .trace = trace };
    int r;

    *ret = (struct route_expansion){ 0 };
    r = route_decide(t, q, &ret->first, trace ? &ret->trace : NULL);
    if (r < 0 || !t->aliases || !is_ours(&x, &ret->first)) {
        leaf_of_first(&x);
        return r;
    }
    ret->arena = arena_new();
    x.keys = map_new();
    r = expand_aliases(&x, alias_name(&x), NULL);
    map_free(&x.keys, NULL);
    if (r == 1) {
        ret->aliased = 0;
        leaf_of_first(&x);
        return 0;
    }
    if (r == -E2BIG)
        too_many(&x);
    return r;
}

void route_expansion_done(struct route_expansion *e)
{
    leaves_done(e);
    free(e->leaves);
    route_trace_done(&e->trace);
    route_decision_done(&e->first);
    arena_free(&e->arena);
    *e = (struct route_expansion){ 0 };
}

/* --- the aliases of a table --- */

int route_has_aliases(const struct route_table *t)
{
    return t->aliases != NULL;
}

int route_aliases_load(const struct route_table *t, struct alias_set **ret,
                       struct alias_report *report)
{
    return t->aliases ? alias_set_load(t->aliases->cfg, t->aliases, ret, report) : 0;
}

void route_aliases_swap(struct route_table *t, struct alias_set **fresh)
{
    alias_set_swap(&t->aliases, fresh);
}

int route_personal(const struct route_table *t, const char *user, struct alias_report *report)
{
    return t->alias_users ? alias_users_load(t->alias_users, user, report) : 0;
}

const struct config_errors *route_warnings(const struct route_table *t)
{
    return &t->warnings;
}
