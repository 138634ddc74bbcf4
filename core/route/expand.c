/* Table and aliases together; see expand.h. */
#include "route/expand-private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-set.h"
#include "route/answers.h"
#include "route/table.h"
#include "util/buf.h"
#include "util/clock.h"

#define PERSONAL_MAX_AGE 5000000 /* usec that a personal alias file is believed unseen */
#define ROUNDS_MAX       10u     /* rules, one after the other, that lead to another alias */

/* An address that a rule leads on from, while what it leads to is looked at. */
struct open {
    const struct open *above;
    const char *key;
    unsigned depth;
};

/* --- directories --- */

const char *expansion_text(struct expansion *x, const char *text)
{
    return text ? arena_strdup(x->out->arena, text) : NULL;
}

/* A line for people. */
static void tell(struct expansion *x, const char *text)
{
    struct route_expansion *e = x->out;

    for (size_t i = 0; i < e->asked_n; i++) {
        if (!strcmp(e->asked[i], text)) /* said already */
            return;
    }
    e->asked = mem_realloc(e->asked, (e->asked_n + 1) * sizeof *e->asked);
    e->asked[e->asked_n++] = arena_strdup(e->arena, text);
}

static void told(void *ctx, const struct route_need *n, const struct route_answer *answer)
{
    struct buf text = { 0 };

    route_answer_text(n, answer, &text);
    tell(ctx, text.data);
    buf_free(&text);
}

/* 0, or -EAGAIN: these are enough for once. */
static int take_need(struct expansion *x, const struct route_need *n)
{
    struct route_expansion *e = x->out;

    x->lacks = 1;
    if (!e->need_arena)
        e->need_arena = arena_new();
    if (!e->needs)
        e->needs = arena_alloc(e->need_arena, ROUTE_NEEDS_MAX * sizeof *e->needs);
    e->needs[e->need_n++] = (struct route_need){ n->kind, arena_strdup(e->need_arena, n->source),
                                                 arena_strdup(e->need_arena, n->key),
                                                 arena_strdup(e->need_arena, n->local),
                                                 arena_strdup(e->need_arena, n->domain) };
    return e->need_n == ROUTE_NEEDS_MAX ? -EAGAIN : 0;
}

void expansion_take_needs(struct expansion *x, const struct alias_expansion *from)
{
    struct route_expansion *e = x->out;

    for (size_t i = 0; i < from->need_n && e->need_n < ROUTE_NEEDS_MAX; i++)
        take_need(x, &from->needs[i]);
    if (!from->wanted)
        return;
    if (!e->need_arena)
        e->need_arena = arena_new();
    e->wanted =
        memcpy(arena_alloc(e->need_arena, from->wanted_len), from->wanted, from->wanted_len);
    e->wanted_len = from->wanted_len;
}

/* They are answered. */
void expansion_forget_needs(struct route_expansion *e)
{
    arena_free(&e->need_arena);
    e->needs = NULL;
    e->need_n = 0;
    e->wanted = NULL;
    e->wanted_len = 0;
}

/* The table has to know the addresses of a domain. 0, -EAGAIN as take_need. */
int expansion_take_addresses(struct expansion *x, const char *domain)
{
    const struct route_need n = route_need_addresses(domain);
    struct route_expansion *e = x->out;

    x->lacks = 1;
    for (size_t i = 0; i < e->need_n; i++) {
        if (e->needs[i].kind == n.kind && !strcmp(e->needs[i].key, domain))
            return 0;
    }
    return take_need(x, &n);
}

/* --- leaves --- */

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

void expansion_leaf_done(struct route_leaf *leaf)
{
    route_trace_done(&leaf->trace);
    route_decision_done(&leaf->decision);
}

/* The same place by another way? It is one from now on. */
static int has_leaf(struct expansion *x, const char *key)
{
    if (map_set(x->keys, key, x))
        return 1;
    if (x->fresh_n == x->fresh_cap) {
        x->fresh_cap = x->fresh_cap ? 2 * x->fresh_cap : 8;
        x->fresh = mem_realloc(x->fresh, x->fresh_cap * sizeof *x->fresh);
    }
    x->fresh[x->fresh_n++] = key; /* all are in the arena */
    return 0;
}

/* Whom bounces go to. What has no sender keeps having none: nobody is told what became of a bounce,
 * or the telling may never end. */
static const char *owner_in(struct expansion *x, const struct alias_leaf *from)
{
    return x->q->sender && !*x->q->sender ? NULL : expansion_text(x, from->owner);
}

/* Where in the alias files it was said, as the rule that decided. */
static const struct route_rule *alias_rule(struct expansion *x, const char *file, uint32_t line)
{
    struct route_rule *rule = arena_alloc(x->out->arena, sizeof *rule);

    *rule = (struct route_rule){ .what = "alias" };
    rule->origin.file = expansion_text(x, file ? file : "(built in)");
    rule->origin.pointer = file ? arena_printf(x->out->arena, "line %u", line) : "";
    return rule;
}

static void decide_fail(struct expansion *x, struct route_decision *d, const uint16_t status[3],
                        const char *text)
{
    d->action = ROUTE_FAIL;
    memcpy(d->status, status, sizeof d->status);
    d->text = expansion_text(x, text);
}

/* A decision that no row of the table made. rcpt: what the place is called in the table. */
static void decide_alias(struct expansion *x, const struct alias_leaf *from, const char *rcpt,
                         struct route_leaf *leaf)
{
    struct route_decision *d = &leaf->decision;
    static const struct postern_strings none;

    d->rule = alias_rule(x, from->file ? from->file : x->out->alias_file,
                         from->file ? from->line : x->out->alias_line);
    d->rcpt = expansion_text(x, rcpt);
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
        return expansion_text(x, from->text);
    for (const char *w = from->text; w < from->text + from->len; w += strlen(w) + 1) {
        buf_adds(&out, out.len ? " \"" : "\"");
        for (const char *p = w; *p; p++) {
            if (*p == '"' || *p == '\\')
                buf_adds(&out, "\\");
            buf_add(&out, p, 1);
        }
        buf_adds(&out, "\"");
    }
    r = expansion_text(x, out.data ? out.data : "");
    buf_free(&out);
    return r;
}

static void add_place(struct expansion *x, const struct alias_leaf *from, const char *sign,
                      const char *what, const char *transport, const char *param, const char *value)
{
    /* A file that is named by its month is the same place in the next month; a list and its owner
     * are two. */
    const char *key = arena_printf(x->out->arena, "%s%s", sign,
                                   from->kind == ALIAS_FILE       ? from->text
                                       : from->kind == ALIAS_LIST ? from->rcpt
                                                                  : value);
    struct postern_strings *params = arena_alloc(x->out->arena, sizeof *params);
    struct route_leaf *leaf;

    if (has_leaf(x, key))
        return;
    leaf = leaf_new(x, key);
    leaf->shown = arena_printf(x->out->arena, "%s%s", sign, value);
    leaf->chain = expansion_text(x, from->chain);
    leaf->sender = owner_in(x, from);
    decide_alias(x, from, from->rcpt ? from->rcpt : x->out->first.rcpt, leaf);
    params->v = arena_alloc(x->out->arena, 4 * sizeof *params->v);
    params->n = 0;
    add_param(x, params, param, value);
    if (from->kind == ALIAS_LIST) {
        add_param(x, params, "members", from->members);
        if (from->owner)
            add_param(x, params, "owner", from->owner);
        leaf->sender = NULL; /* the list sees to that itself */
        leaf->shown = leaf->decision.rcpt;
    }
    leaf->decision.params = params;
    to_transport(x, leaf, transport, what);
}

/* No transport has to be there for what nobody wants. */
static void add_discard(struct expansion *x, const struct alias_leaf *from)
{
    static const char key[] = ">" ALIAS_DEV_NULL;
    struct route_leaf *leaf;

    if (has_leaf(x, key))
        return;
    leaf = leaf_new(x, key);
    leaf->shown = key;
    leaf->chain = expansion_text(x, from->chain);
    decide_alias(x, from, x->out->first.rcpt, leaf);
    leaf->decision.action = ROUTE_DISCARD;
}

static void add_file(struct expansion *x, const struct alias_leaf *from)
{
    char path[ALIAS_TEXT_MAX + 16];
    const char *file =
        alias_file_name(from->text, from->flags, clock_wall() / 1000000, path, sizeof path);

    if (!strcmp(from->text, ALIAS_DEV_NULL)) {
        add_discard(x, from);
        return;
    }
    add_place(x, from, ">", "file", x->t->alias_file, "file", file ? file : from->text);
}

static void add_error(struct expansion *x, const struct alias_leaf *from)
{
    const char *key = arena_printf(x->out->arena, "!%s", from->error);
    struct route_leaf *leaf;

    if (has_leaf(x, key))
        return;
    leaf = leaf_new(x, key);
    leaf->shown = expansion_text(x, from->text);
    leaf->chain = expansion_text(x, from->chain);
    leaf->sender = owner_in(x, from);
    decide_alias(x, from, x->out->first.rcpt, leaf);
    if (!from->file && x->out->first.rule) /* no alias led here */
        leaf->decision.rule = x->out->first.rule;
    decide_fail(x, &leaf->decision, from->status, from->error);
}

/* --- addresses --- */

static int expand_aliases(struct expansion *x, const char *address, const struct alias_leaf *above);

/* Is this local mail that aliases may speak of? A rule of the operator's comes before them. */
int expansion_is_ours(const struct expansion *x, const struct route_decision *d)
{
    enum row_kind kind;

    if (!d->rule || (d->action == ROUTE_FAIL && d->status[1] == 4))
        return 0;
    kind = x->t->rows[d->rule->index].kind;
    return kind == ROW_LOCAL_FORWARD || row_is_local(&x->t->rows[d->rule->index]);
}

/* Would a user get it, as far as the table is concerned? */
static int is_delivery(const struct expansion *x, const struct route_decision *d)
{
    return x->t->users.n && d->rule && d->action == ROUTE_TRANSPORT &&
        row_is_local(&x->t->rows[d->rule->index]);
}

/* Nobody here knows the postmaster; his mail is taken all the same. 0, or -ENOENT as judge_user. */
static int judge_postmaster(struct expansion *x, const struct route_decision *d)
{
    int himself = route_user_is_postmaster(x->t, d) == 2;

    if (!x->trace)
        return himself ? 0 : -ENOENT;
    if (himself)
        tell(x, arena_printf(x->out->arena, "%s is unknown, and is never refused", d->rcpt));
    else
        tell(x,
             arena_printf(x->out->arena,
                          "%s is unknown, and is never refused: server.postmaster, %s, gets it",
                          d->rcpt, x->t->postmaster));
    return himself ? 0 : -ENOENT;
}

/* 0: it is known what becomes of it: delivery, or the decision says now why not; or it will be
 * known when what is in needs is there; -EAGAIN: there is no more room in needs; -ENOENT: he is
 * unknown, and somebody else gets his mail. */
static int judge_user(struct expansion *x, struct route_leaf *leaf)
{
    static const uint16_t unknown[3] = { 5, 1, 1 }, later[3] = { 4, 4, 3 };
    struct route_decision *d = &leaf->decision;
    struct route_user u = {
        .t = x->t, .arena = x->out->arena, .told = x->trace ? told : NULL, .told_ctx = x
    };
    int r;

    if (!is_delivery(x, d) || x->is_instead || x->within_instead)
        return 0;
    if (!x->out->arena)
        u.arena = x->out->arena = arena_new();
    r = route_user_lookup(&u, d, x->t->rows[d->rule->index].kind == ROW_VIRTUAL);
    if (r == -EAGAIN)
        return take_need(x, &u.need);
    if (r == -EIO)
        decide_fail(x, d, later, u.why);
    else if (r == -ENOENT && x->t->unknown_user)
        return r;
    else if (r == -ENOENT && route_user_is_postmaster(x->t, d))
        return judge_postmaster(x, d);
    else if (r == -ENOENT)
        decide_fail(x, d, unknown, "no such user here");
    return 0;
}

/* The table's word on a leaf. What is no address says so. 0, -EAGAIN as take_need. */
static int decide(struct expansion *x, struct route_leaf *leaf)
{
    int r = route_decide(x->t, &leaf->query, &leaf->decision, x->trace ? &leaf->trace : NULL);

    return r == -EAGAIN ? expansion_take_addresses(x, leaf->decision.domain) : 0;
}

/* An address as addresses are compared. */
static const char *address_key(struct expansion *x, const char *address)
{
    struct route_address a;
    const char *why;

    if (route_address_init(&a, address, x->t->hostname, &why) < 0)
        return expansion_text(x, address);
    return arena_printf(x->out->arena, "%s@%s", a.local, a.domain);
}

/* Rules and aliases that lead nowhere: told, or the mail would be lost. */
static void add_endless(struct expansion *x, const struct alias_leaf *from, const char *why)
{
    struct alias_leaf endless = *from;

    endless.error = arena_printf(x->out->arena, "%s: %s", why, from->chain);
    memcpy(endless.status, (const uint16_t[3]){ 5, 4, 6 }, sizeof endless.status);
    add_error(x, &endless);
}

/* 1: somebody led here before; the same place once more, or a circle. */
static int met_before(struct expansion *x, const struct alias_leaf *from, const char *key)
{
    if (!has_leaf(x, key))
        return 0;
    for (const struct open *o = x->open; o; o = o->above) {
        if (!strcmp(o->key, key)) {
            add_endless(x, from, "aliases and rules go round in circles");
            break;
        }
    }
    return 1;
}

static const char *shown_address(struct expansion *x, const struct alias_leaf *from)
{
    const char *at = strrchr(from->text, '@');

    return from->folder ? arena_printf(x->out->arena, "%.*s+%s%s", (int)(at - from->text),
                                       from->text, from->folder, at)
                        : expansion_text(x, from->text);
}

static struct route_leaf *address_leaf(struct expansion *x, const struct alias_leaf *from,
                                       const char *key, const char *shown)
{
    struct route_leaf *leaf = leaf_new(x, key);

    leaf->shown = leaf->query.rcpt = shown;
    /* Said without a domain it is local, whatever the name of this host. */
    if (from->flags & ALIAS_UNQUALIFIED)
        leaf->query.rcpt =
            arena_strndup(x->out->arena, shown, (size_t)(strrchr(shown, '@') - shown));
    leaf->chain = expansion_text(x, from->chain);
    leaf->sender = owner_in(x, from);
    leaf->query.sender = x->q->sender;
    leaf->query.ingress = x->q->ingress;
    leaf->query.released = x->q->released;
    leaf->query.keep_local = from->kind == ALIAS_LOCAL;
    return leaf;
}

/* The last leaf was rewritten to an address of ours, which may be an alias after all. */
static int follow_rule(struct expansion *x, const struct alias_leaf *from)
{
    struct route_leaf kept = x->out->leaves[--x->out->n];
    struct open open = { x->open, kept.key, x->open ? x->open->depth + 1 : 1 };
    int r = 0;

    if (open.depth > ROUNDS_MAX) {
        add_endless(x, from, "aliases and rules lead on and on");
    } else {
        x->open = &open;
        r = expand_aliases(x, kept.decision.rcpt, from);
        x->open = open.above;
    }
    if (r == 1) { /* no alias: the leaf stands */
        x->out->leaves[x->out->n++] = kept;
        return 1;
    }
    expansion_leaf_done(&kept);
    return r;
}

/* The last leaf is a user whom an alias names, and whom nobody knows: who gets his mail instead may
 * be an alias, or get that of others already. As for a recipient, nobody is asked about him. */
static int decide_instead(struct expansion *x, const struct alias_leaf *from)
{
    struct route_leaf *leaf = &x->out->leaves[x->out->n - 1];
    char *instead = route_user_instead(x->t, &leaf->decision, NULL);
    int r;

    leaf->query.rcpt = expansion_text(x, instead);
    free(instead);
    expansion_leaf_done(leaf);
    r = decide(x, leaf);
    if (r < 0 || !leaf->decision.rule)
        return r;
    if (has_leaf(x, address_key(x, leaf->decision.rcpt))) {
        expansion_leaf_done(&x->out->leaves[--x->out->n]);
        return 0;
    }
    if (!expansion_is_ours(x, &leaf->decision))
        return 0;
    x->within_instead++;
    r = follow_rule(x, from);
    x->within_instead--;
    return r == 1 ? 0 : r;
}

/* The last leaf goes where the table says, if a user has to be known for that and is. */
static int finish_leaf(struct expansion *x, const struct alias_leaf *from)
{
    int r = judge_user(x, &x->out->leaves[x->out->n - 1]);

    return r == -ENOENT ? decide_instead(x, from) : r;
}

/* That its domain is ours was not known when it was looked for among the aliases. */
static int is_ours_now(const struct expansion *x, const struct route_leaf *leaf)
{
    return x->later_now && x->t->own_host_row && leaf->decision.rule->index == x->t->own_host_row;
}

/* An address that aliases led to, and no alias itself: the table says where it goes. When a rule
 * leads on from it, that may be an alias after all, or a place that was there before. */
static int add_address(struct expansion *x, const struct alias_leaf *from)
{
    const char *shown = shown_address(x, from), *plain = address_key(x, shown), *to;
    const char *key =
        from->kind == ALIAS_LOCAL ? arena_printf(x->out->arena, "%s here", plain) : plain;
    struct route_leaf *leaf;
    int r, led;

    if (met_before(x, from, key))
        return 0;
    leaf = address_leaf(x, from, key, shown);
    r = decide(x, leaf);
    if (r < 0 || !leaf->decision.rule)
        return r;
    to = address_key(x, leaf->decision.rcpt);
    led = strcmp(to, plain) != 0;
    if (from->kind == ALIAS_LOCAL || (!led && !is_ours_now(x, leaf)))
        return finish_leaf(x, from);
    r = expansion_is_ours(x, &leaf->decision) ? follow_rule(x, from) : 1;
    if (r == 1 && led && x->out->leaves[x->out->n - 1].decision.action == ROUTE_TRANSPORT &&
        has_leaf(x, to)) {
        expansion_leaf_done(&x->out->leaves[--x->out->n]);
        return 0;
    }
    return r == 1 ? finish_leaf(x, from) : r;
}

static int domain_kind(void *ctx, const char *domain)
{
    const struct route_table *t = ctx;
    const struct route_row *row = route_local(t, domain);
    struct route_own how;

    /* What is not known of its addresses yet, the table will want to know. */
    if (!row)
        return route_own(t, domain, &how) == OWN_YES ? ALIAS_DOMAIN_LOCAL : 0;
    return row->kind == ROW_VIRTUAL ? ALIAS_DOMAIN_VIRTUAL : ALIAS_DOMAIN_LOCAL;
}

static int add_leaf(struct expansion *x, const struct alias_leaf *from)
{
    if (from->error) {
        add_error(x, from);
        return 0;
    }
    switch (from->kind) {
    case ALIAS_PIPE:
        add_place(x, from, "|", "pipe", x->t->alias_pipe, "command", command_text(x, from));
        return 0;
    case ALIAS_FILE:
        add_file(x, from);
        return 0;
    case ALIAS_LIST:
        add_place(x, from, "list ", "list", x->t->alias_list, "list", from->text);
        return 0;
    default:
        return add_address(x, from);
    }
}

/* Nothing is said of it, by any alias: it is itself. */
int expansion_is_itself(const struct alias_expansion *e)
{
    return e->n == 1 && !e->leaves[0].error && !e->leaves[0].file &&
        e->leaves[0].kind == ALIAS_ADDRESS;
}

/* Who has asked for personal files takes what he got, however long that took. */
static int64_t personal_age(const struct route_query *q)
{
    int64_t since = q->asked ? clock_mono() - q->asked : 0;

    return since > PERSONAL_MAX_AGE ? since : PERSONAL_MAX_AGE;
}

struct alias_expand expansion_how(const struct expansion *x)
{
    return (struct alias_expand){ .set = x->t->aliases,
                                  .users = x->t->alias_users,
                                  .max_age = personal_age(x->q),
                                  .hostname = x->t->hostname,
                                  .domain = domain_kind,
                                  .ctx = (void *)(uintptr_t)x->t,
                                  .answers = x->t->answers,
                                  .directories = &x->t->directories,
                                  .told = x->trace ? told : NULL,
                                  .told_ctx = (void *)(uintptr_t)x,
                                  .keep_lists = x->t->alias_list != NULL };
}

/* A leaf may be named in a file of members, far from the alias. */
int expansion_take_leaf(struct expansion *x, const struct alias_expansion *e,
                        const struct alias_leaf *leaf)
{
    if (!x->out->aliased && leaf->file) {
        x->out->aliased = 1;
        x->out->alias_file = expansion_text(x, e->found ? e->file : leaf->file);
        x->out->alias_line = e->found ? e->line : leaf->line;
    }
    return add_leaf(x, leaf);
}

/* Where a rule has led, above which is what led there. 1: it is no alias; 0: its leaves are added;
 * -EAGAIN, -E2BIG. */
static int expand_aliases(struct expansion *x, const char *address, const struct alias_leaf *above)
{
    struct alias_expand how = expansion_how(x);
    struct alias_expansion e;
    int r = alias_expand(&how, address, &e);

    expansion_take_needs(x, &e);
    if (r == -EINVAL || (r >= 0 && expansion_is_itself(&e)))
        r = 1; /* what the table took is an address, or what it says of it stands */
    x->looked += e.n;
    if (!r && x->looked > (size_t)x->t->aliases->cfg->expansion_max)
        r = -E2BIG;
    for (size_t i = 0; r == 0 && i < e.n; i++) {
        struct alias_leaf *leaf = &e.leaves[i];

        if (!leaf->owner)
            leaf->owner = above->owner;
        leaf->chain = arena_printf(x->out->arena, "%s -> %s", above->chain, leaf->chain);
        r = expansion_take_leaf(x, &e, leaf);
    }
    alias_expansion_done(&e);
    return r;
}

/* --- the whole --- */

void expansion_leaves_done(struct route_expansion *e)
{
    for (size_t i = 0; i < e->n; i++)
        expansion_leaf_done(&e->leaves[i]);
    e->n = 0;
}

/* Not a circle, where each address comes up once: the limit is what has to be mended, and the mail
 * waits for that. */
void expansion_too_many(struct expansion *x)
{
    static const uint16_t later[3] = { 4, 3, 5 };
    struct route_leaf *leaf;

    expansion_leaves_done(x->out);
    leaf = leaf_new(x, "");
    leaf->shown = leaf->query.rcpt = x->out->first.rcpt;
    leaf->decision.rcpt = x->out->first.rcpt;
    leaf->decision.rule = alias_rule(x, x->out->alias_file, x->out->alias_line);
    decide_fail(x, &leaf->decision, later,
                arena_printf(x->out->arena,
                             "%s stands for more than %lld targets, which is "
                             "aliases.expansion_max: raise it, or mend the alias",
                             x->out->first.rcpt, (long long)x->t->aliases->cfg->expansion_max));
}

/* The only leaf: the table's own decision, moved. */
void expansion_leaf_of_first(struct expansion *x)
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
const char *expansion_alias_name(struct expansion *x)
{
    const struct route_decision *d = &x->out->first;
    const char *at = strrchr(d->rcpt, '@');

    if (x->t->rows[d->rule->index].kind != ROW_UNQUALIFIED || !at)
        return d->rcpt;
    return arena_strndup(x->out->arena, d->rcpt, (size_t)(at - d->rcpt));
}

/* The recipient itself is the only place, if he is known. */
int expansion_only_first(struct expansion *x)
{
    int r;

    expansion_leaf_of_first(x);
    r = judge_user(x, &x->out->leaves[0]);
    if (r == -ENOENT) {
        char *instead = route_user_instead(x->t, &x->out->leaves[0].decision, &x->is_fixed);

        x->instead = *x->q;
        x->instead.rcpt = expansion_text(x, instead);
        free(instead);
    }
    return r;
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

void route_personal(const struct route_table *t, const char *users, size_t len,
                    struct alias_report *report)
{
    for (size_t at = 0; t->alias_users && at < len; at += strlen(users + at) + 1)
        alias_users_load(t->alias_users, users + at, report);
}

int route_expansion_accepted(const struct route_table *t, const struct route_expansion *e)
{
    int behind = e->aliased || !e->n || (e->first.rule && !route_has_users(t));

    return (behind ? &e->first : &e->leaves[0].decision)->action != ROUTE_FAIL;
}

const struct config_errors *route_broken(const struct route_table *t)
{
    return &t->broken;
}

int route_aliases_whole(const struct route_table *t)
{
    return !t->aliases || alias_set_whole(t->aliases);
}

const struct config_errors *route_warnings(const struct route_table *t)
{
    return &t->warnings;
}
