/* The closure: all the places where mail for an address ends up.
 *
 * Addresses are the nodes of a graph, and what they stand for its edges. Breadth first, each
 * address is asked once, so that nobody gets a message twice. Afterwards the graph is walked for
 * circles: a circle can be closed from anywhere, not just by an address naming its own ancestor,
 * and an address that leads only into one must be told, not lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-set.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text.h"

#define NOBODY       UINT32_MAX
#define CIRCLE_SHOWN 20u /* addresses of a circle that are told */

struct node {
    const char *text;  /* with its domain */
    const char *owner; /* the nearest list's, or NULL */
    const char *file;  /* of the alias that named it */
    const char *alias; /* what it was looked up as, without a folder; NULL: it is none */
    uint32_t line, parent, depth;
    unsigned flags;  /* ALIAS_UNQUALIFIED */
    unsigned known;  /* of directories: see alias_directory */
    uint32_t *edges; /* malloc'ed */
    uint32_t edge_n;
    /* of the walk for circles */
    uint32_t next_edge;
    int state; /* 0 not seen, 1 on the way, 2 done */
};

/* What one node is, while its targets are looked at. */
struct current {
    uint32_t index;
    struct route_address address;
    struct alias_answer answer;
    struct alias_source *source; /* keeps the answer alive; may be NULL */
    const char *owner;           /* for what it leads to */
    struct alias_target include; /* whose members are looked at; kind 0: none */
    struct alias_answer members;
    int empty;     /* none of them was met so far */
    size_t before; /* leaves and duplicates when it began */
};

struct alias_walk {
    struct alias_expand how; /* holds the set */
    const struct config_aliases *cfg;
    struct alias_expansion out;
    struct arena *arena;
    struct arena *need_arena; /* until the next step */
    struct node *nodes;
    uint32_t node_n, node_cap;
    struct map *seen;   /* key of an address to 1 + its node */
    struct map *leaves; /* kind and text of leaves that are no addresses */
    struct buf wanted;  /* users whose files must be read first, each with a NUL */
    size_t target_n;
    size_t leaf_cap;
    size_t *budget;
    int result;          /* of the step before */
    int64_t since;       /* when it began: what was read since then is new enough */
    struct current open; /* its targets are being looked at, */
    int is_open;         /* or else it is the next one's turn: */
    uint32_t at;         /* that is this node, */
    /* behind those that asked for something when they were visited: nodes from unknown_at on, of
     * which those before unknown_end may know more now. */
    uint32_t *unknown;
    size_t unknown_at, unknown_end, unknown_n, unknown_cap;
};

/* --- nodes --- */

/* "local@domain" as addresses are compared. */
static char *key_of(struct alias_walk *x, const struct route_address *a)
{
    return arena_printf(x->arena, "%s@%s", a->local, a->domain);
}

/* Adds a node for an address that was not met before. */
static uint32_t add_node(struct alias_walk *x, const char *key, const struct node *node)
{
    if (x->node_n == x->node_cap) {
        x->node_cap = x->node_cap ? 2 * x->node_cap : 16;
        x->nodes = mem_realloc(x->nodes, x->node_cap * sizeof *x->nodes);
    }
    x->nodes[x->node_n] = *node;
    map_set(x->seen, key, (void *)(uintptr_t)(x->node_n + 1));
    return x->node_n++;
}

static void add_edge(struct alias_walk *x, uint32_t from, uint32_t to)
{
    struct node *n = &x->nodes[from];

    if (!(n->edge_n & (n->edge_n - 1))) /* 0, and powers of two */
        n->edges = mem_realloc(n->edges, (n->edge_n ? 2 * n->edge_n : 1) * sizeof *n->edges);
    n->edges[n->edge_n++] = to;
}

/* --- leaves --- */

static void add_chain(const struct alias_walk *x, uint32_t index, struct buf *out)
{
    if (x->nodes[index].parent != NOBODY)
        add_chain(x, x->nodes[index].parent, out); /* at most as deep as aliases.depth */
    buf_printf(out, "%s%s", out->len ? " -> " : "", x->nodes[index].text);
}

static const char *chain_of(struct alias_walk *x, uint32_t index, const char *last)
{
    struct buf chain = { 0 };
    const char *r;

    add_chain(x, index, &chain);
    if (last)
        buf_printf(&chain, " -> %s", last);
    r = arena_strdup(x->arena, chain.data);
    buf_free(&chain);
    return r;
}

static struct alias_leaf *add_leaf(struct alias_walk *x, const struct alias_leaf *leaf)
{
    struct alias_expansion *e = &x->out;

    if (e->n == x->leaf_cap) {
        x->leaf_cap = x->leaf_cap ? 2 * x->leaf_cap : 8;
        e->leaves = mem_realloc(e->leaves, x->leaf_cap * sizeof *e->leaves);
    }
    e->leaves[e->n] = *leaf;
    return &e->leaves[e->n++];
}

static void set_error(struct alias_leaf *leaf, uint16_t class, uint16_t subject, uint16_t detail,
                      const char *error)
{
    leaf->error = error;
    leaf->status[0] = class;
    leaf->status[1] = subject;
    leaf->status[2] = detail;
}

static struct alias_leaf *add_node_leaf(struct alias_walk *x, uint32_t index, enum alias_kind kind)
{
    const struct node *n = &x->nodes[index];
    struct alias_leaf leaf = { .kind = kind,
                               .flags = n->flags,
                               .text = n->text,
                               .len = strlen(n->text),
                               .owner = n->owner,
                               .chain = chain_of(x, index, NULL),
                               .file = n->file,
                               .line = n->line };

    return add_leaf(x, &leaf);
}

/* Was there a leaf of this kind and text before? There is from now on. A command may be words, each
 * followed by a NUL; no text has a line's end in it. */
static int seen_leaf(struct alias_walk *x, enum alias_kind kind, const char *text, size_t len)
{
    struct buf key = { 0 };
    int again;

    buf_printf(&key, "%d", kind);
    buf_add(&key, text, len);
    for (size_t i = 0; i < key.len; i++) {
        if (!key.data[i])
            key.data[i] = '\n';
    }
    again = map_set(x->leaves, key.data, x) != NULL;
    buf_free(&key);
    x->out.duplicates += (size_t)again;
    return again;
}

/* A leaf below the current node that is no address to ask again; NULL: it has been there. */
static struct alias_leaf *add_target_leaf(struct alias_walk *x, const struct current *c,
                                          const struct alias_target *t, const char *text,
                                          size_t len)
{
    struct alias_leaf leaf = { .kind = t->kind,
                               .flags = t->flags,
                               .len = len,
                               .owner = c->owner,
                               .file = t->file,
                               .line = t->line };

    if (seen_leaf(x, t->kind, text, len))
        return NULL;
    leaf.text = arena_strndup(x->arena, text, len);
    leaf.chain = chain_of(x, c->index, leaf.text);
    return add_leaf(x, &leaf);
}

/* --- targets --- */

/* The user that the current node is: without the folder that was taken off. */
static size_t own_len(const struct current *c)
{
    return c->answer.folder_at ? c->answer.folder_at - 1 : c->address.local_len;
}

static void add_local(struct alias_walk *x, const struct current *c, const struct alias_target *t,
                      const char *local, size_t len)
{
    char quoted[2 * POSTERN_LOCAL_MAX + 3], *text;
    int own = len == own_len(c) && !memcmp(local, c->address.local, len);
    struct alias_leaf *leaf;
    int n = postern_address_quote(local, len, quoted, sizeof quoted);

    if (n < 0)
        return; /* it was an address when it was read */
    text = mem_printf("%s@%s", quoted, c->address.domain);
    leaf = add_target_leaf(x, c, t, text, strlen(text));
    free(text);
    if (leaf)
        leaf->flags |= x->nodes[c->index].flags & ALIAS_UNQUALIFIED;
    if (leaf && own && c->answer.folder_at)
        leaf->folder = arena_strdup(x->arena, c->address.local + c->answer.folder_at);
}

static void add_user(struct alias_walk *x, const struct current *c, const struct alias_target *t)
{
    char local[POSTERN_LOCAL_MAX + 1];
    int n;

    if (t->flags & ALIAS_OWN) {
        add_local(x, c, t, c->address.local, own_len(c));
        return;
    }
    n = postern_address_unquote(t->text, t->len, local, sizeof local);
    if (n < 0)
        return; /* nor this */
    for (int i = 0; i < n; i++)
        local[i] = text_lower(local[i]);
    add_local(x, c, t, local, (size_t)n);
}

/* Does the alias name itself? Then it is a delivery, as it is with every other mailer. */
static int is_self(const struct current *c, const struct route_address *a)
{
    return a->local_len == own_len(c) && !memcmp(a->local, c->address.local, a->local_len) &&
        strcmp(a->domain, c->address.domain) == 0;
}

/* Is the member of a list the list? By its name it is that in all local domains. */
static int is_list_itself(const struct alias_walk *x, const struct current *c,
                          const struct route_address *a)
{
    struct alias_answer again;
    struct alias_query q = {
        .local = a->local,
        .local_len = a->local_len,
        .domain = a->domain,
        .local_domain =
            !a->parsed.domain || x->how.domain(x->how.ctx, a->domain) & ALIAS_DOMAIN_LOCAL,
    };

    if (a->local_len != own_len(c) || memcmp(a->local, c->address.local, a->local_len))
        return 0;
    return is_self(c, a) ||
        (c->answer.how != ALIAS_BY_ADDRESS && alias_lookup(x->how.set, &q, &again) > 0 &&
         again.how == c->answer.how && again.line == c->answer.line &&
         !strcmp(again.file, c->answer.file));
}

/* Does the alias name a folder of itself, and is this the address of that? */
static int is_own_folder(const struct current *c, const struct route_address *a)
{
    return c->answer.folder_at && a->local_len == c->address.local_len &&
        !memcmp(a->local, c->address.local, a->local_len) &&
        strcmp(a->domain, c->address.domain) == 0;
}

/* A name is the same alias in all domains. */
static const char *alias_domain_of(const struct current *c)
{
    return c->answer.how == ALIAS_BY_ADDRESS ? c->address.domain : "";
}

/* The alias that named the node is the one that it would be once more, but for the folder. */
static int is_folder_of_parent(const struct alias_walk *x, const struct current *c)
{
    const struct node *node = &x->nodes[c->index];
    const char *parent = node->parent == NOBODY ? NULL : x->nodes[node->parent].alias;
    size_t len = own_len(c);

    return parent && c->answer.folder_at && !strncmp(parent, c->address.local, len) &&
        parent[len] == '@' && !strcmp(parent + len + 1, alias_domain_of(c));
}

static void add_own_folder(struct alias_walk *x, const struct current *c, const char *file,
                           uint32_t line)
{
    char quoted[2 * POSTERN_LOCAL_MAX + 3];
    char *key AUTO_FREE = mem_printf("%s@%s", c->address.local, c->address.domain);
    struct alias_leaf *leaf;

    if (postern_address_quote(c->address.local, own_len(c), quoted, sizeof quoted) < 0 ||
        seen_leaf(x, ALIAS_LOCAL, key, strlen(key)))
        return;
    leaf = add_node_leaf(x, c->index, ALIAS_LOCAL);
    leaf->text = arena_printf(x->arena, "%s@%s", quoted, c->address.domain);
    leaf->len = strlen(leaf->text);
    leaf->folder = arena_strdup(x->arena, c->address.local + c->answer.folder_at);
    leaf->owner = c->owner;
    leaf->file = file;
    leaf->line = line;
}

static const char *full_text(struct alias_walk *x, const struct route_address *a, const char *text)
{
    return a->parsed.domain ? arena_strdup(x->arena, text)
                            : arena_printf(x->arena, "%s@%s", text, x->how.hostname);
}

static void add_address(struct alias_walk *x, const struct current *c, const struct alias_target *t)
{
    struct node node = { .file = t->file, .line = t->line, .parent = c->index };
    struct alias_target self = { .kind = ALIAS_LOCAL, .file = t->file, .line = t->line };
    struct route_address a;
    const char *why, *key;
    uint32_t index;

    if (route_address_init(&a, t->text, x->how.hostname, &why) < 0)
        return; /* the reader took it: cannot be */
    if ((c->include.kind || c->answer.members) && is_list_itself(x, c, &a))
        return; /* no list is its own member */
    if (is_self(c, &a)) {
        add_local(x, c, &self, a.local, a.local_len);
        return;
    }
    if (is_own_folder(c, &a)) {
        add_own_folder(x, c, t->file, t->line);
        return;
    }
    node.flags = a.parsed.domain ? 0 : ALIAS_UNQUALIFIED;
    key = key_of(x, &a);
    index = (uint32_t)(uintptr_t)map_get(x->seen, key);
    if (index) {
        x->out.duplicates++;
        x->nodes[index - 1].flags |= node.flags;
        add_edge(x, c->index, index - 1);
        return;
    }
    node.text = full_text(x, &a, t->text);
    node.owner = c->owner;
    node.depth = x->nodes[c->index].depth + 1;
    add_edge(x, c->index, add_node(x, key, &node));
}

/* --- lists --- */

static void add_error_leaf(struct alias_walk *x, const struct current *c,
                           const struct alias_target *t, const char *why)
{
    struct alias_leaf *leaf = add_target_leaf(x, c, t, t->text, t->len);

    if (leaf)
        set_error(leaf, 4, 3, 5,
                  arena_printf(x->arena, "\"%s\" (%s:%u): %s", t->text, t->file, t->line, why));
}

static int count_target(struct alias_walk *x)
{
    return x->target_n++ < (size_t)x->cfg->expansion_max ? 0 : -E2BIG;
}

static void add_members(struct alias_walk *x, struct current *c, const struct alias_target *t)
{
    const char *why;

    if (alias_members(x->how.set, t, &c->members, &why) < 0) {
        add_error_leaf(x, c, t, why);
        return;
    }
    c->include = *t;
    c->empty = 1;
}

/* 0, when all were looked at; -E2BIG; -EINPROGRESS. */
static int look_at_members(struct alias_walk *x, struct current *c)
{
    struct alias_target member;

    for (;;) {
        if (!*x->budget)
            return -EINPROGRESS;
        --*x->budget;
        if (!alias_answer_next(&c->members, &member))
            break;
        if (count_target(x) < 0)
            return -E2BIG;
        add_address(x, c, &member);
        c->empty = 0;
    }
    if (c->empty)
        add_error_leaf(x, c, &c->include, "the list has no members");
    c->include.kind = 0;
    return 0;
}

static void add_file(struct alias_walk *x, const struct current *c, const struct alias_target *t)
{
    const char *why;
    char *path = alias_path(x->cfg, t->file, t->text, &why);

    if (path)
        add_target_leaf(x, c, t, path, strlen(path));
    else
        add_error_leaf(x, c, t, why);
    free(path);
}

static void add_target(struct alias_walk *x, struct current *c, const struct alias_target *t)
{
    switch (t->kind) {
    case ALIAS_LOCAL:
        add_user(x, c, t);
        break;
    case ALIAS_PIPE:
        add_target_leaf(x, c, t, t->text, t->len);
        break;
    case ALIAS_FILE:
        add_file(x, c, t);
        break;
    case ALIAS_INCLUDE:
        add_members(x, c, t);
        break;
    default:
        add_address(x, c, t);
        break;
    }
}

/* The list's owner as an address with a domain; if there is none, what it was. */
static const char *owner_of(struct alias_walk *x, const struct current *c)
{
    const struct alias_target *owner = &c->answer.owner;
    struct route_address a;
    const char *why;

    if (!owner->kind || route_address_init(&a, owner->text, x->how.hostname, &why) < 0)
        return x->nodes[c->index].owner;
    return full_text(x, &a, owner->text);
}

/* The list's address: the node's own, or that of the list whose owner it is. */
static const char *list_address(struct alias_walk *x, const struct current *c)
{
    const struct alias_answer *a = &c->answer;
    char quoted[2 * POSTERN_LOCAL_MAX + 3];
    int owner = a->how == ALIAS_BY_OWNER;
    int n = postern_address_quote(c->address.local + (owner ? a->name_at : 0),
                                  owner ? a->name_len : own_len(c), quoted, sizeof quoted);

    return n < 0 ? x->nodes[c->index].text
                 : arena_printf(x->arena, "%s@%s", quoted, c->address.domain);
}

/* 1: the list is a leaf. */
static int keep_list(struct alias_walk *x, const struct current *c)
{
    char *members = alias_answer_file(x->how.set, &c->answer);
    struct alias_leaf *leaf;

    if (!members)
        return 0;
    leaf = add_node_leaf(x, c->index, ALIAS_LIST);
    leaf->rcpt = leaf->text;
    leaf->text = list_address(x, c);
    leaf->len = strlen(leaf->text);
    leaf->owner = c->owner;
    leaf->members = arena_strdup(x->arena, members);
    leaf->file = c->answer.file;
    leaf->line = c->answer.line;
    free(members);
    return 1;
}

static void close_node(struct alias_walk *x)
{
    alias_source_unref(&x->open.source);
    x->is_open = 0;
}

static void open_targets(struct alias_walk *x, struct current *c)
{
    if (!c->index) {
        x->out.found = 1;
        x->out.file = arena_strdup(x->arena, c->answer.file);
        x->out.line = c->answer.line;
    }
    if (is_folder_of_parent(x, c)) {
        c->owner = x->nodes[c->index].owner;
        add_own_folder(x, c, x->nodes[c->index].file, x->nodes[c->index].line);
        close_node(x);
        return;
    }
    if (alias_subaddress(x->cfg))
        x->nodes[c->index].alias = arena_printf(x->arena, "%.*s@%s", (int)own_len(c),
                                                c->address.local, alias_domain_of(c));
    c->owner = owner_of(x, c);
    c->before = x->out.n + x->out.duplicates;
    if (c->answer.list && x->how.keep_lists && keep_list(x, c))
        close_node(x);
}

/* 0, when all of the open one were looked at; -E2BIG; -EINPROGRESS. */
static int look_at_targets(struct alias_walk *x)
{
    struct current *c = &x->open;
    struct alias_target t;
    int r;

    for (;;) {
        r = c->include.kind ? look_at_members(x, c) : 0;
        if (r)
            return r;
        if (!*x->budget)
            return -EINPROGRESS;
        --*x->budget;
        if (!alias_answer_next(&c->answer, &t))
            break;
        if (count_target(x) < 0)
            return -E2BIG;
        add_target(x, c, &t);
    }
    if (x->out.n + x->out.duplicates == c->before && !x->nodes[c->index].edge_n)
        set_error(add_node_leaf(x, c->index, ALIAS_LIST), 4, 3, 5, "the list has no members");
    close_node(x);
    return 0;
}

/* --- the walk --- */

/* It is asked again when what it needs is there. */
static void put_off(struct alias_walk *x, uint32_t index)
{
    if (x->unknown_n == x->unknown_cap) {
        x->unknown_cap = x->unknown_cap ? 2 * x->unknown_cap : ROUTE_NEEDS_MAX;
        x->unknown = mem_realloc(x->unknown, x->unknown_cap * sizeof *x->unknown);
    }
    x->unknown[x->unknown_n++] = index;
}

static void add_need(struct alias_walk *x, const struct route_need *need)
{
    struct alias_expansion *e = &x->out;

    if (!e->needs)
        e->needs = mem_alloc(ROUTE_NEEDS_MAX * sizeof *e->needs);
    e->needs[e->need_n++] = *need;
}

/* 1 with the answer, 0: it is a leaf, -EAGAIN: not known yet; *ret_why with -EIO: a directory can't
 * say, or -ENODATA: a file that can't be read. */
static int ask(struct alias_walk *x, struct current *c, const char **ret_why)
{
    int domain = x->how.domain(x->how.ctx, c->address.domain), r;
    int unqualified = !!(x->nodes[c->index].flags & ALIAS_UNQUALIFIED);
    struct alias_query q = {
        .local = c->address.local,
        .local_len = c->address.local_len,
        .domain = c->address.domain,
        .local_domain = unqualified || (domain & ALIAS_DOMAIN_LOCAL),
        .virtual_domain = !!(domain & ALIAS_DOMAIN_VIRTUAL),
        .keep_lists = x->how.keep_lists,
    };
    struct alias_directory directory = { .arena = x->need_arena,
                                         .known = x->nodes[c->index].known };
    char *user, *at;

    r = alias_lookup(x->how.set, &q, &c->answer);
    if (r < 0)
        *ret_why = arena_printf(x->arena, "the aliases can't be looked up: %s", c->answer.why);
    if (r)
        return r < 0 ? -ENODATA : r;
    r = alias_directory_lookup(&x->how, &q, &c->answer, &directory);
    c->source = directory.source;
    x->nodes[c->index].known = directory.known;
    if (r == -EIO)
        *ret_why = arena_strdup(x->arena, directory.why);
    if (r == -EAGAIN)
        add_need(x, &directory.need);
    if (r > 0)
        c->answer.file = arena_strdup(x->arena, c->answer.file);
    if (r)
        return r;
    if (!x->how.users || !q.local_domain)
        return 0;
    user = arena_strdup(x->arena, c->address.local);
    at = alias_subaddress(x->cfg) && *user ? strchr(user + 1, alias_subaddress(x->cfg)) : NULL;
    if (at)
        *at = '\0';
    r = alias_users_lookup(x->how.users, user, &q, x->how.max_age, &c->answer, &c->source);
    if (r == -EAGAIN) /* the others may want something too: all is asked for at once */
        buf_add(&x->wanted, user, strlen(user) + 1);
    if (r > 0) /* what is borrowed from his file must last: texts are copied, this is not */
        c->answer.file = arena_strdup(x->arena, c->answer.file);
    return r;
}

/* Nothing is known of the address: so mail for it goes there. The same user may have been named as
 * local before: he gets it once. */
static void add_address_leaf(struct alias_walk *x, const struct current *c)
{
    const struct route_address *a = &c->address;
    int local = x->nodes[c->index].flags & ALIAS_UNQUALIFIED ||
        x->how.domain(x->how.ctx, a->domain) & ALIAS_DOMAIN_LOCAL;
    char quoted[2 * POSTERN_LOCAL_MAX + 3], *key;
    int again, n = postern_address_quote(a->local, a->local_len, quoted, sizeof quoted);

    if (local && n > 0) {
        key = mem_printf("%s@%s", quoted, a->domain);
        again = seen_leaf(x, ALIAS_LOCAL, key, strlen(key));
        free(key);
        if (again)
            return;
    }
    add_node_leaf(x, c->index, ALIAS_ADDRESS);
}

static void too_deep(struct alias_walk *x, uint32_t index)
{
    struct alias_leaf *leaf = add_node_leaf(x, index, ALIAS_ADDRESS);

    set_error(leaf, 5, 4, 6,
              arena_printf(x->arena, "aliases nest deeper than %lld: %s", (long long)x->cfg->depth,
                           leaf->chain));
}

/* What the node is; if it is an alias, it is open now. */
static void visit(struct alias_walk *x, uint32_t index)
{
    struct current *c = &x->open; /* an answer borrows from itself: it stays in its place */
    const char *why;
    int r;

    if (x->nodes[index].depth > (uint32_t)x->cfg->depth) {
        too_deep(x, index);
        return;
    }
    c->index = index;
    c->source = NULL;
    c->include.kind = 0;
    x->is_open = 1;
    if (route_address_init(&c->address, x->nodes[index].text, x->how.hostname, &why) < 0) {
        struct alias_leaf *leaf = add_node_leaf(x, index, ALIAS_ADDRESS);

        set_error(leaf, 5, 1, 3, arena_printf(x->arena, "%s is no address: %s", leaf->text, why));
        close_node(x);
        return;
    }
    r = ask(x, c, &why);
    if (r > 0) {
        open_targets(x, c);
        return;
    }
    if (r == -EIO)
        set_error(add_node_leaf(x, index, ALIAS_ADDRESS), 4, 4, 3, why);
    else if (r == -ENODATA)
        set_error(add_node_leaf(x, index, ALIAS_ADDRESS), 4, 3, 5, why);
    else if (r == -EAGAIN)
        put_off(x, index);
    else
        add_address_leaf(x, c);
    close_node(x);
}

/* --- circles --- */

static void report_circle(struct alias_walk *x, const uint32_t *path, uint32_t path_n,
                          uint32_t back)
{
    struct alias_leaf *leaf;
    struct buf text = { 0 };
    uint32_t i = 0;

    while (path[i] != back)
        i++;
    for (uint32_t shown = 0; i < path_n && shown < CIRCLE_SHOWN; i++, shown++)
        buf_printf(&text, "%s -> ", x->nodes[path[i]].text);
    if (i < path_n)
        buf_printf(&text, "(%u more) -> ", path_n - i);
    buf_adds(&text, x->nodes[back].text);
    leaf = add_node_leaf(x, back, ALIAS_ADDRESS);
    set_error(leaf, 5, 4, 6, arena_printf(x->arena, "aliases go round in circles: %s", text.data));
    buf_free(&text);
}

/* Depth first, on a path of its own: the graph may be deeper than our stack would like. */
static void find_circles(struct alias_walk *x)
{
    uint32_t *path = mem_alloc(x->node_n * sizeof *path), n = 1;

    path[0] = 0;
    x->nodes[0].state = 1;
    while (n) {
        struct node *node = &x->nodes[path[n - 1]];
        uint32_t to;

        if (node->next_edge == node->edge_n) {
            node->state = 2;
            n--;
            continue;
        }
        to = node->edges[node->next_edge++];
        if (x->nodes[to].state == 1) {
            report_circle(x, path, n, to);
        } else if (!x->nodes[to].state) {
            x->nodes[to].state = 1;
            path[n++] = to;
        }
    }
    free(path);
}

/* --- the whole --- */

static int begin(struct alias_walk *x, const char *address)
{
    struct node root = { .parent = NOBODY };
    struct route_address a;
    const char *why;

    if (route_address_init(&a, address, x->how.hostname, &why) < 0)
        return -EINVAL;
    root.text = full_text(x, &a, a.parsed.route ? a.parsed.local : address);
    root.flags = a.parsed.domain ? 0 : ALIAS_UNQUALIFIED;
    add_node(x, key_of(x, &a), &root);
    return -EINPROGRESS;
}

/* 1: *ret is to be visited; first come those that were put off. */
static int next_node(struct alias_walk *x, uint32_t *ret)
{
    if (x->unknown_at < x->unknown_end)
        *ret = x->unknown[x->unknown_at++];
    else if (x->at < x->node_n)
        *ret = x->at++;
    else
        return 0;
    return 1;
}

static int walk(struct alias_walk *x)
{
    uint32_t index;
    int r;

    for (;;) {
        r = x->is_open ? look_at_targets(x) : 0;
        if (r)
            return r;
        if (!*x->budget)
            return -EINPROGRESS;
        --*x->budget;
        if (x->out.need_n == ROUTE_NEEDS_MAX) /* that is enough for once */
            return -EAGAIN;
        if (!next_node(x, &index))
            break;
        visit(x, index);
    }
    if (x->out.need_n || x->wanted.len)
        return -EAGAIN;
    find_circles(x);
    return 0;
}

/* What was asked for is there: those who asked are the next. */
static void answered(struct alias_walk *x)
{
    memmove(x->unknown, x->unknown + x->unknown_at,
            (x->unknown_n - x->unknown_at) * sizeof *x->unknown);
    x->unknown_n -= x->unknown_at;
    x->unknown_at = 0;
    x->unknown_end = x->unknown_n;
    x->out.need_n = 0;
    x->out.wanted = NULL;
    x->out.wanted_len = 0;
    buf_clear(&x->wanted);
    arena_free(&x->need_arena);
    x->need_arena = arena_new();
}

struct alias_walk *alias_walk_new(const struct alias_expand *how, const char *address)
{
    struct alias_walk *x = mem_zalloc(sizeof *x);

    x->how = *how;
    x->how.set = alias_set_ref((struct alias_set *)(uintptr_t)how->set);
    x->cfg = how->set->cfg;
    x->out.arena = x->arena = arena_new();
    x->need_arena = arena_new();
    x->seen = map_new();
    x->leaves = map_new();
    x->since = clock_mono();
    x->result = begin(x, address);
    return x;
}

int alias_walk_step(struct alias_walk *x, size_t *budget, const struct alias_expansion **ret)
{
    *ret = &x->out;
    if (x->result != -EAGAIN && x->result != -EINPROGRESS)
        return x->result;
    if (x->result == -EAGAIN && x->unknown_n)
        answered(x);
    if (clock_mono() - x->since > x->how.max_age)
        x->how.max_age = clock_mono() - x->since;
    x->budget = budget;
    x->result = walk(x);
    if (x->result == -EAGAIN && x->wanted.len) {
        x->out.wanted =
            memcpy(arena_alloc(x->need_arena, x->wanted.len), x->wanted.data, x->wanted.len);
        x->out.wanted_len = x->wanted.len;
    }
    return x->result;
}

/* All but what it has found. */
static void walk_done(struct alias_walk *x)
{
    struct alias_set *set = (struct alias_set *)(uintptr_t)x->how.set;

    close_node(x);
    buf_free(&x->wanted);
    for (uint32_t i = 0; i < x->node_n; i++)
        free(x->nodes[i].edges);
    free(x->nodes);
    free(x->unknown);
    map_free(&x->seen, NULL);
    map_free(&x->leaves, NULL);
    alias_set_unref(&set);
    free(x);
}

void alias_walk_free(struct alias_walk **w)
{
    struct alias_walk *x = *w;

    if (!x)
        return;
    *w = NULL;
    arena_free(&x->need_arena);
    alias_expansion_done(&x->out);
    walk_done(x);
}

int alias_expand(const struct alias_expand *how, const char *address, struct alias_expansion *ret)
{
    struct alias_walk *x = alias_walk_new(how, address);
    const struct alias_expansion *found;
    size_t budget = SIZE_MAX;
    int r = alias_walk_step(x, &budget, &found);

    *ret = *found;
    ret->need_arena = STEAL_PTR(x->need_arena);
    if (r < 0)
        ret->n = 0;
    walk_done(x);
    return r;
}

void alias_expansion_done(struct alias_expansion *e)
{
    free(e->leaves);
    free(e->needs);
    arena_free(&e->need_arena);
    arena_free(&e->arena);
    *e = (struct alias_expansion){ 0 };
}
