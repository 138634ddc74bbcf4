/* The rows of routing.senders, and the substitute domain's behind them. */
#include "route/compile.h"

#include <stdlib.h>
#include <string.h>

#include "route/sender.h"
#include "util/text.h"

/* --- the operator's rows --- */

static void check_patterns(struct compile *c, const struct config_origin *origin,
                           const struct address_patterns *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->v[i].null)
            compile_error(c, origin, "sender", i, p->n,
                          "\"<>\", the null sender, is never rewritten");
    }
}

/* Bounces come in by no door of ours. */
static void check_ingress(struct compile *c, const struct config_origin *origin,
                          const struct postern_strings *ingress)
{
    for (size_t i = 0; i < ingress->n; i++) {
        if (text_casecmp(ingress->v[i], "bounce") == 0)
            compile_error(c, origin, "ingress", i, ingress->n,
                          "senders of the gateway's own notifications are never rewritten");
    }
}

static void compile_one(struct compile *c, const struct config_sender *from, size_t i,
                        struct sender_row *row)
{
    static const unsigned places[] = {
        [CONFIG_SENDER_BOTH] = ROUTE_SENDER_ENVELOPE | ROUTE_SENDER_HEADER,
        [CONFIG_SENDER_ENVELOPE] = ROUTE_SENDER_ENVELOPE,
        [CONFIG_SENDER_HEADER] = ROUTE_SENDER_HEADER,
    };
    const struct config_origin *origin = &c->cfg->sender_origins[i];
    static const struct domain_patterns none;

    row->rule = (struct route_rule){ .index = i,
                                     .what = "sender",
                                     .number = i + 1,
                                     .origin = compile_copy_origin(c->t->arena, origin),
                                     .comment = compile_copy(c->t->arena, from->comment) };
    row->places = places[from->in];
    compile_addresses(c, origin, "sender", 1, &from->sender, &row->sender);
    check_patterns(c, origin, &row->sender);
    row->ingress = compile_ingress(c, origin, &from->ingress);
    check_ingress(c, origin, &from->ingress);
    row->rewrite = compile_template(c, origin, from->rewrite, &row->sender, &none);
}

/* --- the substitute domain --- */

static int is_domain(const char *text, const char **reterr_why)
{
    char *sample = mem_printf("x@%s", text);
    struct route_address a;
    int r = route_address_init(&a, sample, "", reterr_why);

    free(sample);
    return r == 0;
}

/* This host's own names, as patterns. What is none of them the local rows have complained of. */
static struct address_patterns own_names(struct compile *c)
{
    const struct config_routing *r = &c->cfg->routing;
    const struct postern_strings own = { 1, (const char *[]){ c->t->hostname } };
    const struct postern_strings *names = r->host_names.n ? &r->host_names : &own;
    struct address_patterns p = { 0, arena_alloc(c->t->arena, names->n * sizeof *p.v) };
    const char *why;

    for (size_t i = 0; i < names->n; i++) {
        char *text = mem_printf("@%s", names->v[i]);

        if (address_pattern_parse(c->t->arena, text, &p.v[p.n], &why) == 0)
            p.n++;
        free(text);
    }
    return p;
}

static void compile_substitute(struct compile *c, struct sender_row *row)
{
    const struct config_origin *origin = &c->cfg->routing_at[CONFIG_AT_SUBSTITUTE_DOMAIN];
    const char *domain = c->cfg->routing.substitute_domain, *why = NULL;

    if (!is_domain(domain, &why)) {
        if (!c->bad) /* else the row that makes it local has said so */
            compile_error(c, origin, NULL, 0, 0, "found \"%s\", expected a domain: %s", domain,
                          why);
        return;
    }
    row->rule = (struct route_rule){ .index = c->t->sender_n,
                                     .what = "substitute domain",
                                     .origin = compile_copy_origin(c->t->arena, origin) };
    row->places = ROUTE_SENDER_ENVELOPE | ROUTE_SENDER_HEADER;
    row->sender = own_names(c);
    row->rewrite = arena_printf(c->t->arena, "*@%s", domain);
    c->t->sender_n++;
}

void compile_senders(struct compile *c)
{
    const struct config_routing *r = &c->cfg->routing;
    const struct config_sender *from = r->senders.v;
    struct sender_row *rows = arena_alloc(c->t->arena, (r->senders.n + 1) * sizeof *rows);

    memset(rows, 0, (r->senders.n + 1) * sizeof *rows);
    c->t->senders = rows;
    for (size_t i = 0; i < r->senders.n; i++) {
        if (!from[i].rewrite || !from[i].sender.n)
            continue; /* required, and missed by who read the configuration */
        compile_one(c, &from[i], i, &rows[c->t->sender_n++]);
    }
    if (r->substitute_domain)
        compile_substitute(c, &rows[c->t->sender_n]);
    for (size_t i = 0; i < c->t->sender_n; i++)
        c->t->sender_places |= rows[i].places;
}

/* --- warnings --- */

/* Would an answer come back to us, or through us? Asked with an example; where the domain depends
 * on the sender's, nothing is known. */
static void warn_of_answers(struct compile *c, const struct sender_row *row)
{
    const char *domain = strrchr(row->rewrite, '@') + 1, *why;
    char *example;
    struct route_decision d;

    if (strchr(domain, '*') || strchr(domain, '$'))
        return;
    example = route_rewrite_example(row->rewrite, &why);
    if (example && route_decide(c->t, &(struct route_query){ .rcpt = example }, &d, NULL) == 0 &&
        !d.anyone)
        config_error(&c->t->warnings, row->rule.origin.file, row->rule.origin.pointer,
                     "%s is not local here: answers to \"%s\" go elsewhere", domain, row->rewrite);
    if (example)
        route_decision_done(&d);
    free(example);
}

/* Of the substitute domain it is the operator's word (substitute_inbound) whether it is local. */
void compile_senders_warn(struct compile *c)
{
    for (size_t i = 0; i < c->t->sender_n; i++) {
        if (c->t->senders[i].rule.number)
            warn_of_answers(c, &c->t->senders[i]);
    }
}
