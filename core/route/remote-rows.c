/* What is done with mail that is not local: gateways, zones, the hub. The hub for local mail is
 * here, too. */
#include "route/compile.h"

#include <stdlib.h>
#include <string.h>

/* Rows of one entry all have its number. */
static struct route_row *entry_row(struct compile *c, enum row_kind kind, size_t i,
                                   const struct config_origin *origin, const char *comment)
{
    struct route_row *row = compile_row(c, kind, origin);

    row->rule.number = i + 1;
    row->rule.comment = compile_copy(c->t->arena, comment);
    return row;
}

static void deliver(struct compile *c, struct route_row *row, const char *transport)
{
    row->action = ROUTE_TRANSPORT;
    row->transport = c->remote_transport;
    if (transport)
        row->transport =
            compile_instance(c, &row->rule.origin, "transport", 0, 1, CONFIG_TRANSPORT, transport);
    else if (!row->transport)
        compile_error(c, &row->rule.origin, "transport", 0, 1,
                      "found nothing, and the default is no transport either");
}

/* --- gateways --- */

struct gate { /* one domain of one gateway */
    size_t gateway, item;
    struct domain_pattern domain;
};

static int specificity(const struct domain_pattern *p)
{
    return p->kind == DOMAIN_EXACT ? 2 : p->kind == DOMAIN_BELOW ? 1 : 0;
}

/* A host before a domain, a longer domain before a shorter one, patterns last; then as written. */
static int compare_gates(const void *a, const void *b)
{
    const struct gate *x = a, *y = b;
    int kind_x = specificity(&x->domain), kind_y = specificity(&y->domain);

    if (kind_x != kind_y)
        return kind_x > kind_y ? -1 : 1;
    if (kind_x == 1 && x->domain.len != y->domain.len)
        return x->domain.len > y->domain.len ? -1 : 1;
    if (x->gateway != y->gateway)
        return x->gateway < y->gateway ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

static void gate_row(struct compile *c, const struct gate *gate)
{
    const struct config_gateway *list = c->cfg->routing.gateways.v, *from = &list[gate->gateway];
    struct route_row *row = entry_row(c, ROW_GATEWAY, gate->gateway,
                                      &c->cfg->gateway_origins[gate->gateway], from->comment);
    struct domain_pattern *p = arena_alloc(c->t->arena, sizeof *p);

    *p = gate->domain;
    row->domain = (struct domain_patterns){ 1, p };
    deliver(c, row, from->transport);
    compile_anyone(c, (int)from->accept_from, row);
    row->next_hops =
        compile_hops(c, &row->rule.origin, "next_hops", &from->next_hops, CONFIG_RESOLVE_MX);
    compile_params(c, &from->params, row);
}

static size_t collect_gates(struct compile *c, struct gate *gates)
{
    const struct config_gateway *from = c->cfg->routing.gateways.v;
    size_t n = 0;

    for (size_t i = 0; i < c->cfg->routing.gateways.n; i++) {
        struct domain_patterns domains;

        compile_domains(c, &c->cfg->gateway_origins[i], "domain", &from[i].domain, &domains);
        for (size_t k = 0; k < domains.n; k++) {
            gates[n++] = (struct gate){ i, k, domains.v[k] };
            if (domains.v[k].text && domains.v[k].kind == DOMAIN_ANY)
                compile_error(c, &c->cfg->gateway_origins[i], "domain", k, domains.n,
                              "found \"*\", expected a host or a domain; for all the rest there is "
                              "/routing/default, a zone, or a forwarder");
        }
    }
    return n;
}

static void compile_gateways(struct compile *c)
{
    const struct config_gateway *from = c->cfg->routing.gateways.v;
    struct gate *gates;
    size_t n = 0;

    for (size_t i = 0; i < c->cfg->routing.gateways.n; i++)
        n += from[i].domain.n;
    if (!n)
        return;
    gates = mem_alloc(n * sizeof *gates);
    n = collect_gates(c, gates);
    qsort(gates, n, sizeof *gates, compare_gates);
    for (size_t i = 0; i < n; i++)
        gate_row(c, &gates[i]);
    free(gates);
}

/* --- hosts without a dot --- */

static void compile_default_domain(struct compile *c)
{
    const struct config_origin *origin = &c->cfg->routing_at[CONFIG_AT_DEFAULT_DOMAIN];
    const char *name = c->cfg->routing.default_domain, *why = "a pattern or an address is none";
    struct domain_pattern p;
    struct route_row *row;

    if (!name)
        return;
    row = compile_row(c, ROW_SHORT, origin);
    if (domain_pattern_parse(c->t->arena, name, &p, &why) < 0 || p.kind != DOMAIN_EXACT ||
        name[0] == '[') {
        compile_error(c, origin, NULL, 0, 0,
                      "found \"%s\", expected a domain like \"example.com\": %s", name, why);
        return;
    }
    row->rewrite = arena_printf(c->t->arena, "*@*.%s", p.lower);
}

/* --- zones --- */

static const struct config_zone *zone_at(const struct compile *c, size_t i)
{
    const struct config_zone *zones = c->cfg->routing.zones.v;

    return &zones[i];
}

/* "example.com" is all of it: the domain itself and what is below. */
static void compile_inside(struct compile *c, struct route_row *row,
                           const struct postern_strings *names)
{
    const char **v = mem_alloc((2 * names->n + 1) * sizeof *v);
    struct postern_strings both = { 0, v };

    compile_domains(c, &row->rule.origin, "zone", names, &row->domain);
    for (size_t i = 0; i < names->n && !c->bad; i++) {
        v[both.n++] = names->v[i];
        if (row->domain.v[i].kind == DOMAIN_EXACT && names->v[i][0] != '[')
            v[both.n++] = arena_printf(c->t->arena, ".%s", names->v[i]);
    }
    if (!c->bad)
        compile_domains(c, &row->rule.origin, "zone", &both, &row->domain);
    free(v);
}

static void inside_row(struct compile *c, size_t i)
{
    const struct config_zone *from = zone_at(c, i);
    struct route_row *row = entry_row(c, ROW_ZONE, i, &c->cfg->zone_origins[i], from->comment);
    const char *dot = strchr(c->cfg->server.hostname ? c->cfg->server.hostname : "", '.');
    const char *parent = dot ? dot + 1 : "";

    if (from->zone.n)
        compile_inside(c, row, &from->zone);
    else if (dot)
        compile_inside(c, row, &(struct postern_strings){ 1, &parent });
    else
        compile_error(c, &row->rule.origin, "zone", 0, 1,
                      "found nothing, and server.hostname has no parent domain to stand for it");
    compile_addresses(c, &row->rule.origin, "sender", 1, &from->sender, &row->sender);
    deliver(c, row, from->transport);
    row->next_hops = compile_direct(c, from->no_mx != 0);
}

static void gate_of_zone(struct compile *c, size_t i)
{
    const struct config_zone *from = zone_at(c, i);
    struct route_row *row = entry_row(c, ROW_ZONE_GATE, i, &c->cfg->zone_origins[i], from->comment);
    const struct postern_strings *gateway = &from->gateway;
    const char **v = arena_alloc(c->t->arena, (gateway->n + 1) * sizeof *v);

    compile_domains(c, &row->rule.origin, "destinations", &from->destinations, &row->domain);
    compile_addresses(c, &row->rule.origin, "sender", 1, &from->sender, &row->sender);
    deliver(c, row, from->transport);
    row->next_hops =
        compile_hops(c, &row->rule.origin, "gateway", gateway, (enum config_resolve)from->resolve);
    if (!from->mx_if_unreachable || !row->next_hops.n)
        return;
    memcpy(v, row->next_hops.v, gateway->n * sizeof *v);
    v[gateway->n] = from->no_mx ? "[*]" : "*";
    row->next_hops = (struct postern_strings){ gateway->n + 1, v };
}

/* A zone that takes everything knows no inside; what is inside of another one may then not have a
 * say before it. */
static void compile_zones(struct compile *c)
{
    size_t n = c->cfg->routing.zones.n;

    for (size_t i = 0; i < n; i++) {
        if (zone_at(c, i)->always)
            gate_of_zone(c, i);
    }
    for (size_t i = 0; i < n; i++) {
        if (!zone_at(c, i)->always)
            inside_row(c, i);
    }
    for (size_t i = 0; i < n; i++) {
        if (!zone_at(c, i)->always)
            gate_of_zone(c, i);
    }
}

/* --- forwarders --- */

static void forward_row(struct compile *c, enum row_kind kind, const char *key,
                        const struct postern_strings *hubs)
{
    const struct config_forwarders *f = &c->cfg->routing.forwarders;
    const struct config_origin *origin = &c->cfg->routing_at[CONFIG_AT_FORWARDERS];
    struct route_row *row = compile_row(c, kind, origin);

    deliver(c, row, f->transport);
    row->next_hops = compile_hops(c, origin, key, hubs, (enum config_resolve)f->resolve);
    compile_domains(c, origin, "except", &f->except, &row->except);
    compile_addresses(c, origin, "except_users", 0, &f->except_users, &row->except_users);
}

void compile_local_forward(struct compile *c)
{
    const struct config_forwarders *f = &c->cfg->routing.forwarders;

    if (!f->local.n)
        return;
    forward_row(c, ROW_LOCAL_FORWARD, "local", &f->local);
    c->t->rows[c->t->row_n - 1].local_only = 1;
}

/* Hubs that are put behind others are not rows: they are checked once, where they are written. */
static void check_hubs(struct compile *c)
{
    const struct config_forwarders *f = &c->cfg->routing.forwarders;
    const struct config_origin *origin = &c->cfg->routing_at[CONFIG_AT_FORWARDERS];

    compile_hops(c, origin, "unresolvable", &f->unresolvable, CONFIG_RESOLVE_MX);
    compile_hops(c, origin, "append_to_mx", &f->append_to_mx, CONFIG_RESOLVE_MX);
    if ((f->except.n || f->except_users.n) && !f->remote.n && !f->local.n)
        compile_error(c, origin, f->except.n ? "except" : "except_users", 0, 1,
                      "there is nothing to be spared from: neither \"remote\" nor \"local\" says "
                      "anything");
}

void compile_remote_rows(struct compile *c)
{
    const struct config_forwarders *f = &c->cfg->routing.forwarders;

    compile_gateways(c);
    compile_default_domain(c);
    compile_zones(c);
    check_hubs(c);
    if (f->remote.n)
        forward_row(c, ROW_FORWARDER, "remote", &f->remote);
}
