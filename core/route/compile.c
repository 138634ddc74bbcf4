/* From configuration to table: everything is copied, so a table stands alone, and everything that
 * can be wrong with it is said here, before any mail depends on it. */
#include "route/compile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/answers.h"
#include "route/expand.h"
#include "util/buf.h"
#include "util/text.h"

void compile_error(struct compile *c, const struct config_origin *origin, const char *key, size_t i,
                   size_t n, const char *fmt, ...)
{
    struct buf pointer = { 0 }, text = { 0 };
    va_list ap;

    buf_adds(&pointer, origin->pointer ? origin->pointer : "");
    if (key)
        buf_printf(&pointer, "/%s", key);
    if (n > 1)
        buf_printf(&pointer, "/%zu", i);
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    config_error(c->errors, origin->file, pointer.data, "%s", text.data);
    c->bad = 1;
    buf_free(&pointer);
    buf_free(&text);
}

const char *compile_copy(struct arena *a, const char *text)
{
    return text ? arena_strdup(a, text) : NULL;
}

struct postern_strings compile_copy_strings(struct arena *a, const struct postern_strings *from)
{
    const char **v = arena_alloc(a, from->n * sizeof *v);

    for (size_t i = 0; i < from->n; i++)
        v[i] = arena_strdup(a, from->v[i]);
    return (struct postern_strings){ from->n, v };
}

struct config_origin compile_copy_origin(struct arena *a, const struct config_origin *from)
{
    return (struct config_origin){ arena_strdup(a, from->file ? from->file : "(built in)"),
                                   arena_strdup(a, from->pointer ? from->pointer : "") };
}

/* --- rows --- */

static const struct {
    const char *what;
    int single; /* 1: there is one at most, and it needs no number */
} kinds[ROW_KINDS] = {
    [ROW_RULE] = { "rule", 0 },
    [ROW_ALIAS] = { "alias", 1 },
    [ROW_LOCAL_FORWARD] = { "local forwarder", 1 },
    [ROW_SUBSTITUTE] = { "substitute domain", 1 },
    [ROW_LOCAL] = { "local domain", 0 },
    [ROW_HOST_NAME] = { "host name", 0 },
    [ROW_VIRTUAL] = { "virtual domain", 0 },
    [ROW_OWN_ADDRESS] = { "own address", 1 },
    [ROW_OWN_HOST] = { "own host", 1 },
    [ROW_UNQUALIFIED] = { "local domain", 1 },
    [ROW_GATEWAY] = { "gateway", 0 },
    [ROW_SHORT] = { "default domain", 1 },
    [ROW_ZONE] = { "zone", 0 },
    [ROW_ZONE_GATE] = { "zone gateway", 0 },
    [ROW_FORWARDER] = { "forwarder", 1 },
    [ROW_DEFAULT] = { "default", 1 },
};

/* Rows of one file follow each other, so the last one's name of the file is the next one's too. */
static struct config_origin copy_origin(struct compile *c, const struct config_origin *o)
{
    const char *file = o->file ? o->file : "(built in)";
    const struct route_row *last = c->t->row_n ? &c->t->rows[c->t->row_n - 1] : NULL;

    if (!last || strcmp(last->rule.origin.file, file) != 0)
        file = arena_strdup(c->t->arena, file);
    else
        file = last->rule.origin.file;
    return (struct config_origin){ file, arena_strdup(c->t->arena, o->pointer ? o->pointer : "") };
}

struct route_row *compile_row(struct compile *c, enum row_kind kind,
                              const struct config_origin *origin)
{
    struct config_origin copy = copy_origin(c, origin);
    struct route_table *t = c->t;
    struct route_row *row;

    if (t->row_n == c->row_cap) {
        c->row_cap = c->row_cap ? c->row_cap * 2 : 64;
        t->rows = mem_realloc(t->rows, c->row_cap * sizeof *t->rows);
    }
    row = &t->rows[t->row_n];
    *row = (struct route_row){ .kind = kind };
    row->rule.index = t->row_n++;
    row->rule.what = kinds[kind].what;
    row->rule.number = kinds[kind].single ? 0 : ++c->numbers[kind];
    row->rule.origin = copy;
    return row;
}

/* --- checks of the whole --- */

/* The names of actions are spoken for. */
static void check_instance_names(struct compile *c)
{
    static const char *const taken[] = { "fail", "hold", "discard" };

    for (size_t i = 0; i < c->cfg->instance_n; i++) {
        const struct config_instance *instance = &c->cfg->instances[i];

        for (size_t k = 0; k < sizeof taken / sizeof taken[0]; k++) {
            if (instance->kind == CONFIG_TRANSPORT && text_casecmp(instance->name, taken[k]) == 0)
                compile_error(c, &instance->origin, NULL, 0, 0,
                              "\"%s\" is built in: give the transport another name", taken[k]);
        }
    }
}

/* Sends an example through the table: one that cannot end for "x" is better told now than in a
 * bounce. Rules that ask for a sender or an ingress are seen only by real mail. */
static void check_rewrite_loop(struct compile *c, const struct route_row *row)
{
    const char *why;
    char *example = route_rewrite_example(row->rewrite, &why);
    struct route_query query = { .rcpt = example };
    struct route_decision d;

    if (!example)
        return; /* compile_rule has said so */
    if (route_decide(c->t, &query, &d, NULL) == 0 && d.action == ROUTE_FAIL &&
        c->t->rows[d.rule->index].rewrite)
        compile_error(c, &row->rule.origin, "rewrite", 0, 1, "%s", d.text);
    route_decision_done(&d);
    free(example);
}

static void check_rewrite_loops(struct compile *c)
{
    for (size_t i = 0; i < c->t->head_n; i++) {
        if (c->t->rows[i].rewrite)
            check_rewrite_loop(c, &c->t->rows[i]);
    }
}

/* --- the whole --- */

/* The operator's rules, and what is done with local mail before it is delivered. Aliases
 * (ROW_ALIAS) stand between the two: they may name users that the hub is not to get. */
static void compile_head(struct compile *c)
{
    const struct config_rule *rules = c->cfg->routing.rules.v;

    for (size_t i = 0; i < c->cfg->routing.rules.n; i++)
        compile_rule(c, &rules[i], compile_row(c, ROW_RULE, &c->cfg->rule_origins[i]));
    compile_local_forward(c);
    c->t->head_n = c->t->row_n;
}

static void compile_default(struct compile *c)
{
    struct route_row *row = compile_row(c, ROW_DEFAULT, &c->cfg->default_origin);

    compile_rule(c, &c->cfg->routing.dflt, row);
    if (row->action == ROUTE_TRANSPORT && row->next_hops.n == 0)
        row->next_hops = compile_direct(c, 0);
}

/* The enabled transport of that name, or NULL. */
static const struct config_instance *transport_named(const struct config *cfg, const char *name)
{
    for (size_t i = 0; name && i < cfg->instance_n; i++) {
        const struct config_instance *instance = &cfg->instances[i];

        if (instance->kind == CONFIG_TRANSPORT && instance->enabled &&
            text_casecmp(instance->name, name) == 0)
            return instance;
    }
    return NULL;
}

/* Gateways and the like leave by the road that mail leaves by anyway. */
static const char *remote_transport(const struct config *cfg)
{
    const struct config_instance *in = transport_named(cfg, cfg->routing.dflt.transport);

    return in ? in->name : NULL;
}

/* Where mail leaves for no next hop, nothing is to be said of one. */
static void note_ends(struct compile *c)
{
    for (size_t i = 0; i < c->t->row_n; i++) {
        struct route_row *row = &c->t->rows[i];
        const struct config_instance *in = transport_named(c->cfg, row->transport);
        const struct postern_plugin *p = in ? in->descriptor : NULL;

        row->no_next_hop = p && POSTERN_HAS(p, flags) && (p->flags & POSTERN_PLUGIN_NO_NEXT_HOP);
    }
}

static void compile_rows(struct compile *c)
{
    struct route_table *t = c->t;

    c->remote_transport = compile_copy(t->arena, remote_transport(c->cfg));
    compile_groups(c);
    compile_head(c);
    compile_local_rows(c);
    t->local_n = t->row_n - t->head_n;
    compile_remote_rows(c);
    compile_default(c);
    check_instance_names(c);
    compile_senders(c);
    note_ends(c);
}

/* Only now do the rows stay where they are. */
static void file_rows(struct route_table *t)
{
    uint32_t *patterns = arena_alloc(t->arena, t->local_n * sizeof *patterns);

    t->patterns = patterns;
    for (size_t i = 0; i + 1 < t->row_n; i++) {
        struct route_row *row = &t->rows[i];

        if (!row_is_local(row))
            route_index_add(&t->index, row);
        else if (row->domain.n && row->domain.v[0].kind != DOMAIN_EXACT)
            patterns[t->pattern_n++] = (uint32_t)i;
        else if (row->domain.n && !map_get(t->local, row->domain.v[0].lower))
            map_set(t->local, row->domain.v[0].lower, row);
    }
}

static struct route_table *table_new(const struct config *cfg)
{
    const char *hostname = config_own_name(cfg);
    struct route_table *t = mem_zalloc(sizeof *t);

    t->arena = arena_new();
    t->local = map_new();
    t->own = map_new();
    t->group_of = map_new();
    route_index_init(&t->index);
    t->roads = (int)cfg->routing.roads;
    if (!hostname || route_domain_normalize(hostname, strlen(hostname), t->hostname) < 0)
        snprintf(t->hostname, sizeof t->hostname, "localhost");
    return t;
}

/* --- aliases --- */

static int has_aliases(const struct config_aliases *a)
{
    return a->files.n || a->lists.n || a->user_file || a->full_names || a->directories.n;
}

static void take_lines(struct config_errors *to, const struct config_errors *from)
{
    for (size_t i = 0; i < from->n; i++)
        config_error(to, NULL, NULL, "%s", from->lines[i]);
}

static int takes_param(const struct postern_plugin *p, const char *param)
{
    for (size_t i = 0; POSTERN_HAS(p, params) && p->params[i]; i++) {
        if (strcmp(p->params[i], param) == 0)
            return 1;
    }
    return 0;
}

/* A transport that knows nothing of the param would send the mail to wherever it sends mail. */
static const char *alias_transport(struct compile *c, const char *pointer, const char *name,
                                   const char *param, const char *usual)
{
    const struct config_origin origin = config_origin_at(c->cfg, pointer);
    const struct config_instance *in;

    if (!name)
        return NULL;
    name = compile_instance(c, &origin, NULL, 0, 1, CONFIG_TRANSPORT, name);
    in = name ? transport_named(c->cfg, name) : NULL;
    if (in && in->descriptor && !takes_param(in->descriptor, param))
        compile_error(c, &origin, NULL, 0, 1,
                      "found \"%s\", whose plugin \"%s\" takes no %s; expected an instance of the "
                      "plugin \"%s\"",
                      name, in->plugin, param, usual);
    return name; /* as it is written itself, whatever the case here */
}

static void compile_alias_transports(struct compile *c)
{
    const struct config_aliases *cfg = &c->cfg->aliases;

    c->t->alias_pipe =
        alias_transport(c, "/aliases/pipe_transport", cfg->pipe_transport, "command", "pipe");
    c->t->alias_file =
        alias_transport(c, "/aliases/file_transport", cfg->file_transport, "file", "file");
    c->t->alias_list =
        alias_transport(c, "/aliases/list_transport", cfg->list_transport, "list", "list");
}

/* Files that are broken from the start are errors like any other; later, the version read before
 * stays (expand.h). Who has none before him, and has to start, starts without. */
static void compile_aliases(struct compile *c)
{
    const struct config_aliases *cfg = &c->cfg->aliases;
    struct alias_report report = { 0 };

    compile_alias_transports(c);
    if (!has_aliases(cfg))
        return;
    alias_set_load(cfg, NULL, &c->t->aliases, &report);
    if (cfg->user_file)
        c->t->alias_users = alias_users_new(cfg, NULL, NULL);
    take_lines(c->again ? &c->t->broken : c->errors, &report.errors);
    take_lines(&c->t->warnings, &report.warnings);
    c->bad |= report.errors.n && !c->again;
    alias_report_done(&report);
}

/* --- directories --- */

static void compile_directories(struct compile *c, const char *pointer,
                                const struct postern_strings *from, struct postern_strings *ret)
{
    const struct config_origin origin = config_origin_at(c->cfg, pointer);
    const char **v = arena_alloc(c->t->arena, (from->n + 1) * sizeof *v);

    for (size_t i = 0; i < from->n; i++)
        v[i] = compile_instance(c, &origin, NULL, i, from->n, CONFIG_DIRECTORY, from->v[i]);
    *ret = (struct postern_strings){ from->n, v };
}

/* Any name may come to stand in the template. */
static void compile_unknown_user(struct compile *c)
{
    const char *template = c->cfg->routing.unknown_user, *why = NULL;
    const struct config_origin origin = config_origin_at(c->cfg, "/routing/unknown_user");
    struct route_address a;
    char *sample;

    if (!template)
        return;
    sample = route_unknown_user(template, "x");
    if (route_address_init(&a, sample, c->t->hostname, &why) < 0 || !a.parsed.domain)
        compile_error(c, &origin, NULL, 0, 1,
                      "found \"%s\", expected an address like \"*@hub.example.com\"%s%s", template,
                      why ? ": " : "", why ? why : "");
    else if (!c->cfg->routing.users.n)
        compile_error(c, &origin, NULL, 0, 1, "without \"users\" nobody can say who is unknown");
    free(sample);
    c->t->unknown_user = arena_strdup(c->t->arena, template);
}

/* Where mail goes that nobody may refuse. */
static void compile_postmaster(struct compile *c)
{
    const char *postmaster = c->cfg->server.postmaster, *why;
    const struct config_origin origin = config_origin_at(c->cfg, "/server/postmaster");
    struct route_address a;

    if (!postmaster)
        postmaster = "postmaster";
    if (c->cfg->routing.users.n && route_address_init(&a, postmaster, c->t->hostname, &why) < 0)
        compile_error(c, &origin, NULL, 0, 1, "found \"%s\", expected an address: %s", postmaster,
                      why);
    c->t->postmaster = arena_strdup(c->t->arena, postmaster);
}

static void compile_lookups(struct compile *c)
{
    compile_directories(c, "/aliases/directories", &c->cfg->aliases.directories,
                        &c->t->directories);
    compile_directories(c, "/routing/users", &c->cfg->routing.users, &c->t->users);
    compile_unknown_user(c);
    compile_postmaster(c);
    c->t->subaddress = c->cfg->aliases.subaddress ? *c->cfg->aliases.subaddress : '\0';
    if (c->t->directories.n || c->t->users.n || c->t->own_host_row)
        c->t->answers = route_answers_new(&c->cfg->lookups);
}

static int compile(const struct config *cfg, int again, struct route_table **ret,
                   struct config_errors *errors)
{
    struct route_table *t = table_new(cfg);
    struct compile c = { .cfg = cfg, .t = t, .errors = errors, .again = again };

    compile_rows(&c);
    file_rows(t);
    compile_aliases(&c);
    compile_lookups(&c);
    if (!c.bad) {
        check_rewrite_loops(&c);
        compile_senders_warn(&c);
    }
    if (c.bad) {
        route_free(&t);
        return -EINVAL;
    }
    *ret = t;
    return 0;
}

int route_compile(const struct config *cfg, struct route_table **ret, struct config_errors *errors)
{
    return compile(cfg, 0, ret, errors);
}

int route_compile_again(const struct config *cfg, struct route_table **ret,
                        struct config_errors *errors)
{
    return compile(cfg, 1, ret, errors);
}

void route_free(struct route_table **t)
{
    if (!*t)
        return;
    map_free(&(*t)->local, NULL);
    map_free(&(*t)->own, NULL);
    map_free(&(*t)->group_of, NULL);
    route_index_done(&(*t)->index);
    alias_set_unref(&(*t)->aliases);
    alias_users_free(&(*t)->alias_users);
    route_answers_free(&(*t)->answers);
    config_errors_free(&(*t)->warnings);
    config_errors_free(&(*t)->broken);
    free((*t)->rows);
    arena_free(&(*t)->arena);
    free(*t);
    *t = NULL;
}
