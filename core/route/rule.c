/* One rule, from what the operator said to a row of the table. */
#include "route/compile.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config/table.h"
#include "util/text.h"

#define BOUNCE_INGRESS "bounce" /* where the queue's own notifications say they come from */
#define LOCAL_INGRESS  "local"  /* where `postern send` does */
#define ACTIONS        "transport, rewrite, fail, hold, discard"

/* --- names of instances --- */

static int is_builtin(const char *name)
{
    return text_casecmp(name, "fail") == 0 || text_casecmp(name, "hold") == 0 ||
        text_casecmp(name, "discard") == 0;
}

static const char *nearest(const struct config *cfg, enum config_kind kind, const char *name)
{
    const char *found = NULL;
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < cfg->instance_n; i++) {
        if (cfg->instances[i].kind == kind && config_nearer(name, cfg->instances[i].name, &best))
            found = cfg->instances[i].name;
    }
    return found;
}

static void unknown_instance(struct compile *c, const struct config_origin *origin, const char *key,
                             size_t i, size_t n, enum config_kind kind, const char *name)
{
    static const char *const kinds[] = { [CONFIG_INGRESS] = "ingress",
                                         [CONFIG_TRANSPORT] = "transport",
                                         [CONFIG_DIRECTORY] = "directory" };
    const char *what = kinds[kind];
    const char *near = nearest(c->cfg, kind, name);

    if (kind == CONFIG_TRANSPORT && is_builtin(name))
        compile_error(c, origin, key, i, n, "\"%s\" is an action of its own: \"%s\": %s", name,
                      name, text_casecmp(name, "discard") == 0 ? "true" : "\"why\"");
    else if (near)
        compile_error(c, origin, key, i, n, "unknown %s \"%s\"; did you mean \"%s\"?", what, name,
                      near);
    else
        compile_error(c, origin, key, i, n, "unknown %s \"%s\"", what, name);
}

const char *compile_instance(struct compile *c, const struct config_origin *origin, const char *key,
                             size_t i, size_t n, enum config_kind kind, const char *name)
{
    for (size_t k = 0; k < c->cfg->instance_n; k++) {
        const struct config_instance *instance = &c->cfg->instances[k];

        if (instance->kind != kind || text_casecmp(instance->name, name) != 0)
            continue;
        if (instance->enabled)
            return arena_strdup(c->t->arena, instance->name);
        compile_error(c, origin, key, i, n, "\"%s\" is not enabled", name);
        return NULL;
    }
    unknown_instance(c, origin, key, i, n, kind, name);
    return NULL;
}

/* --- conditions --- */

void compile_domains(struct compile *c, const struct config_origin *origin, const char *key,
                     const struct postern_strings *from, struct domain_patterns *ret)
{
    const char *why;

    ret->v = arena_alloc(c->t->arena, from->n * sizeof *ret->v);
    ret->n = from->n;
    for (size_t i = 0; i < from->n; i++) {
        if (domain_pattern_parse(c->t->arena, from->v[i], &ret->v[i], &why) < 0)
            compile_error(c, origin, key, i, from->n,
                          "found \"%s\", expected a pattern of domains: %s", from->v[i], why);
    }
}

void compile_addresses(struct compile *c, const struct config_origin *origin, const char *key,
                       int null_too, const struct postern_strings *from,
                       struct address_patterns *ret)
{
    const char *why;

    ret->v = arena_alloc(c->t->arena, from->n * sizeof *ret->v);
    ret->n = from->n;
    for (size_t i = 0; i < from->n; i++) {
        if (address_pattern_parse(c->t->arena, from->v[i], &ret->v[i], &why) < 0)
            compile_error(c, origin, key, i, from->n,
                          "found \"%s\", expected a pattern of addresses: %s", from->v[i], why);
        else if (ret->v[i].null && !null_too)
            compile_error(c, origin, key, i, from->n,
                          "\"<>\" is never a recipient; it is the null sender");
    }
}

struct postern_strings compile_ingress(struct compile *c, const struct config_origin *origin,
                                       const struct postern_strings *from)
{
    for (size_t i = 0; i < from->n; i++) {
        if (text_casecmp(from->v[i], BOUNCE_INGRESS) != 0 &&
            text_casecmp(from->v[i], LOCAL_INGRESS) != 0)
            compile_instance(c, origin, "ingress", i, from->n, CONFIG_INGRESS, from->v[i]);
    }
    return compile_copy_strings(c->t->arena, from);
}

static void compile_conditions(struct compile *c, const struct config_rule *rule,
                               struct route_row *row)
{
    size_t n = rule->recipient.n + rule->domain.n + rule->sender.n + rule->ingress.n;

    if (row->kind == ROW_DEFAULT && n > 0) {
        compile_error(c, &row->rule.origin, NULL, 0, 0,
                      "the default takes no conditions: write a rule in /routing/rules");
        return;
    }
    if (row->kind == ROW_RULE && n == 0) {
        compile_error(c, &row->rule.origin, NULL, 0, 0,
                      "no condition: for every domain that is not local say \"domain\": \"*\", for "
                      "every recipient \"recipient\": \"*\"");
        return;
    }
    compile_domains(c, &row->rule.origin, "domain", &rule->domain, &row->domain);
    compile_addresses(c, &row->rule.origin, "recipient", 0, &rule->recipient, &row->recipient);
    compile_addresses(c, &row->rule.origin, "sender", 1, &rule->sender, &row->sender);
    row->ingress = compile_ingress(c, &row->rule.origin, &rule->ingress);
}

/* --- actions --- */

void compile_params(struct compile *c, const struct postern_strings *from, struct route_row *row)
{
    row->params = compile_copy_strings(c->t->arena, from);
    for (size_t i = 0; i < from->n; i++) {
        const char *equals = strchr(from->v[i], '=');

        if (!equals || equals == from->v[i])
            compile_error(c, &row->rule.origin, "params", i, from->n,
                          "found \"%s\", expected \"name=value\"", from->v[i]);
    }
}

static void compile_transport(struct compile *c, const struct config_rule *rule,
                              struct route_row *row)
{
    row->action = ROUTE_TRANSPORT;
    row->transport = compile_instance(c, &row->rule.origin, "transport", 0, 1, CONFIG_TRANSPORT,
                                      rule->transport);
    row->next_hops =
        compile_hops(c, &row->rule.origin, "next_hops", &rule->next_hops, CONFIG_RESOLVE_MX);
    compile_params(c, &rule->params, row);
    if (rule->queue_group)
        row->group = compile_group(c, &row->rule.origin, "queue_group", rule->queue_group);
}

/* "5.7.1 text" or "text". */
static void compile_fail(struct compile *c, const struct config_rule *rule, struct route_row *row)
{
    const char *text = rule->fail;
    size_t n = postern_status_parse(text, row->status);

    row->action = ROUTE_FAIL;
    if (n > 0 && row->status[0] == 2) {
        compile_error(c, &row->rule.origin, "fail", 0, 1,
                      "found \"%s\", expected a status that begins with 5 or 4", text);
    } else if (n == 0 && strspn(text, "0123456789") == 3 && (text[3] == ' ' || text[3] == 0)) {
        compile_error(c, &row->rule.origin, "fail", 0, 1,
                      "found \"%s\", expected a status as in \"5.7.1 text\", not a reply code",
                      text);
    } else if (n == 0) {
        memcpy(row->status, (const uint16_t[]){ 5, 7, 1 }, sizeof row->status);
    }
    text += n;
    text += strspn(text, " ");
    row->text =
        arena_strdup(c->t->arena, *text ? text : "not accepted by the rules of this gateway");
}

/* The fewest texts that one of the patterns captures, whichever of them it is that matches. */
static unsigned least_captures(const struct address_patterns *addresses,
                               const struct domain_patterns *domains)
{
    unsigned least = UINT_MAX;

    for (size_t i = 0; i < addresses->n; i++) {
        unsigned n = address_pattern_captures(&addresses->v[i], NULL);

        least = n < least ? n : least;
    }
    for (size_t i = 0; i < domains->n && !addresses->n; i++) {
        unsigned n = address_pattern_captures(NULL, &domains->v[i]);

        least = n < least ? n : least;
    }
    return least == UINT_MAX ? 1 : least;
}

/* Tries it out: what makes no address of "x@x" makes none of anything. */
const char *compile_template(struct compile *c, const struct config_origin *origin,
                             const char *template, const struct address_patterns *addresses,
                             const struct domain_patterns *domains)
{
    unsigned wanted = route_rewrite_captures(template), have = least_captures(addresses, domains);
    const char *why = "no '@' in it";
    char *result = strchr(template, '@') ? route_rewrite_example(template, &why) : NULL;

    if (!result)
        compile_error(c, origin, "rewrite", 0, 1,
                      "found \"%s\", expected an address, \"*\" allowed in it: %s", template, why);
    else if (wanted > have)
        compile_error(c, origin, "rewrite", 0, 1,
                      "found \"%s\": $%u stands for nothing, the conditions leave %u place%s open",
                      template, wanted, have, have == 1 ? "" : "s");
    free(result);
    return arena_strdup(c->t->arena, template);
}

static void compile_rewrite(struct compile *c, const struct config_rule *rule,
                            struct route_row *row)
{
    row->rewrite =
        compile_template(c, &row->rule.origin, rule->rewrite, &row->recipient, &row->domain);
    if (row->kind == ROW_DEFAULT)
        compile_error(c, &row->rule.origin, "rewrite", 0, 1,
                      "the default cannot rewrite: it would never end");
}

/* Are there domains that the recipient has to be in, one of which the operator has in mind? */
static int names_domains(const struct route_row *row)
{
    size_t recipients = 0, domains = 0;

    for (size_t i = 0; i < row->recipient.n; i++)
        recipients += domain_pattern_names(&row->recipient.v[i].domain) != 0;
    for (size_t i = 0; i < row->domain.n; i++)
        domains += domain_pattern_names(&row->domain.v[i]) != 0;
    return (row->recipient.n && recipients == row->recipient.n) ||
        (row->domain.n && domains == row->domain.n);
}

/* Does what strangers send leave for where they say? Not when it ends here, or with the one whom
 * the rule names. */
static int is_relay(const struct route_row *row)
{
    if (row->rewrite)
        return strpbrk(row->rewrite, "*$") != NULL;
    return row->action != ROUTE_FAIL && row->action != ROUTE_DISCARD;
}

void compile_anyone(struct compile *c, int accept_from, struct route_row *row)
{
    row->anyone = accept_from != 0;
    if (row->anyone && row->ingress.n == 0 && is_relay(row) && !names_domains(row))
        compile_error(c, &row->rule.origin, "accept_from", 0, 1,
                      "\"anyone\" without naming domains makes an open relay: name the recipients' "
                      "domains, or the ingress");
}

static void compile_action(struct compile *c, const struct config_rule *rule, struct route_row *row)
{
    int n = !!rule->transport + !!rule->rewrite + !!rule->fail + !!rule->hold + !!rule->discard;

    if (n != 1) {
        compile_error(c, &row->rule.origin, NULL, 0, 0, "%s: expected exactly one of " ACTIONS,
                      n ? "several actions" : "no action");
        return;
    }
    if (!rule->transport && rule->next_hops.n)
        compile_error(c, &row->rule.origin, "next_hops", 0, 1, "makes sense with a transport only");
    if (!rule->transport && rule->queue_group)
        compile_error(c, &row->rule.origin, "queue_group", 0, 1,
                      "makes sense with a transport only");
    if (!rule->transport && rule->params.n)
        compile_error(c, &row->rule.origin, "params", 0, 1, "makes sense with a transport only");
    if (rule->transport) {
        compile_transport(c, rule, row);
    } else if (rule->rewrite) {
        compile_rewrite(c, rule, row);
    } else if (rule->fail) {
        compile_fail(c, rule, row);
    } else if (rule->hold) {
        row->action = ROUTE_HOLD;
        row->text = arena_strdup(c->t->arena, *rule->hold ? rule->hold : "held by a rule");
    } else {
        row->action = ROUTE_DISCARD;
    }
}

void compile_rule(struct compile *c, const struct config_rule *rule, struct route_row *row)
{
    row->rule.comment = rule->comment ? arena_strdup(c->t->arena, rule->comment) : NULL;
    compile_conditions(c, rule, row);
    compile_action(c, rule, row);
    compile_anyone(c, (int)rule->accept_from, row);
}
