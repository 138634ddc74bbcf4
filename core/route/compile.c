/* From configuration to table: everything is copied, so a table stands alone, and everything that
 * can be wrong with it is said here, before any mail depends on it. */
#include "route/compile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static struct config_origin copy_origin(struct arena *a, const struct config_origin *o)
{
    return (struct config_origin){ arena_strdup(a, o->file ? o->file : "(built in)"),
                                   arena_strdup(a, o->pointer ? o->pointer : "") };
}

static struct route_row *begin_row(struct compile *c, size_t index, enum row_kind kind,
                                   const struct config_origin *origin)
{
    static const char *const names[] = { "rule", "local domain", "local domain", "default" };
    struct route_row *row = &c->t->rows[index];

    row->kind = kind;
    row->rule.index = index;
    row->rule.what = names[kind];
    row->rule.origin = copy_origin(c->t->arena, origin);
    return row;
}

/* --- local domains --- */

/* What happens to a recipient of ours. */
static void local_action(struct route_row *row, const char *transport)
{
    row->anyone = 1;
    if (transport) {
        row->action = ROUTE_TRANSPORT;
        row->transport = transport;
        return;
    }
    row->action = ROUTE_FAIL;
    memcpy(row->status, (const uint16_t[]){ 5, 1, 1 }, sizeof row->status);
    row->text = "this gateway has no mailboxes of its own";
}

static void compile_local(struct compile *c, size_t i, const char *transport)
{
    const struct postern_strings *names = &c->cfg->routing.local_domains;
    const char *why = "it would make every domain local";
    struct route_row *row = begin_row(c, c->t->rule_n + i, ROW_LOCAL, &c->cfg->local_origin);
    struct domain_pattern *p = arena_alloc(c->t->arena, sizeof *p);

    row->domain = (struct domain_patterns){ 1, p };
    local_action(row, transport);
    if (domain_pattern_parse(c->t->arena, names->v[i], p, &why) < 0 || p->kind == DOMAIN_ANY)
        compile_error(c, &c->cfg->local_origin, NULL, i, names->n,
                      "found \"%s\", expected a domain: %s", names->v[i], why);
    else if (p->kind == DOMAIN_EXACT && !map_get(c->t->local, p->lower))
        map_set(c->t->local, p->lower, row);
}

/* A gateway may have no mailboxes at all; it says so with an empty list of local domains. */
static const char *local_transport(struct compile *c)
{
    const struct config_routing *routing = &c->cfg->routing;
    struct config_origin origin = { c->cfg->local_origin.file, "/routing" };

    if (routing->local_domains.n == 0)
        return NULL;
    if (routing->local_transport)
        return compile_instance(c, &origin, "local_transport", 0, 1, CONFIG_TRANSPORT,
                                routing->local_transport);
    compile_error(c, &origin, "local_transport", 0, 1,
                  "found nothing, expected the transport for local domains; a gateway without "
                  "mailboxes says \"local_domains\": []");
    return NULL;
}

static void compile_locals(struct compile *c)
{
    static const struct config_origin built_in = { "(built in)", "" };
    const char *transport = local_transport(c);

    for (size_t i = 0; i < c->t->local_n; i++)
        compile_local(c, i, transport);
    local_action(begin_row(c, c->t->rule_n + c->t->local_n, ROW_UNQUALIFIED, &built_in), transport);
}

/* --- the whole --- */

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
    char *example = route_rewrite_example(row, &why);
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
    for (size_t i = 0; i < c->t->rule_n; i++) {
        if (c->t->rows[i].rewrite)
            check_rewrite_loop(c, &c->t->rows[i]);
    }
}

static void compile_rows(struct compile *c)
{
    const struct config_routing *routing = &c->cfg->routing;
    const struct config_rule *rules = routing->rules.v;
    struct route_table *t = c->t;

    t->rule_n = routing->rules.n;
    t->local_n = routing->local_domains.n;
    t->row_n = t->rule_n + t->local_n + 2;
    t->rows = arena_alloc(t->arena, t->row_n * sizeof *t->rows);
    for (size_t i = 0; i < t->rule_n; i++)
        compile_rule(c, &rules[i], begin_row(c, i, ROW_RULE, &c->cfg->rule_origins[i]));
    compile_locals(c);
    compile_rule(c, &routing->dflt,
                 begin_row(c, t->row_n - 1, ROW_DEFAULT, &c->cfg->default_origin));
    check_instance_names(c);
}

static struct route_table *table_new(const struct config *cfg)
{
    const char *hostname = cfg->server.hostname;
    struct route_table *t = mem_zalloc(sizeof *t);

    t->arena = arena_new();
    t->local = map_new();
    if (!hostname || route_domain_normalize(hostname, strlen(hostname), t->hostname) < 0)
        snprintf(t->hostname, sizeof t->hostname, "localhost");
    return t;
}

int route_compile(const struct config *cfg, struct route_table **ret, struct config_errors *errors)
{
    struct route_table *t = table_new(cfg);
    struct compile c = { .cfg = cfg, .t = t, .errors = errors };

    compile_rows(&c);
    if (!c.bad)
        check_rewrite_loops(&c);
    if (c.bad) {
        route_free(&t);
        return -EINVAL;
    }
    *ret = t;
    return 0;
}

void route_free(struct route_table **t)
{
    if (!*t)
        return;
    map_free(&(*t)->local, NULL);
    arena_free(&(*t)->arena);
    free(*t);
    *t = NULL;
}
