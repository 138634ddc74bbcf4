/* What is local: the substitute domain, local domains from configuration and from old text files,
 * host names, virtual domains, our own addresses. */
#include "route/compile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "config/read.h"
#include "util/cleanup.h"

#define LINES_MAX  1000000u /* of a file of local domains */
#define SHOWN_SIZE 104u     /* of what is no domain, in an error */

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

/* A gateway may have no mailboxes at all; it says so with an empty list of local domains. */
static const char *local_transport(struct compile *c)
{
    const struct config_routing *routing = &c->cfg->routing;
    const struct config_origin origin = config_origin_at(c->cfg, "/routing/local_transport");

    if (!routing->local_domains.n && !routing->local_domains_files.n && !routing->host_names.n &&
        !routing->virtual_domains.n && !(routing->substitute_domain && routing->substitute_inbound))
        return NULL;
    if (routing->local_transport)
        return compile_instance(c, &origin, NULL, 0, 1, CONFIG_TRANSPORT, routing->local_transport);
    compile_error(c, &origin, NULL, 0, 1,
                  "found nothing, expected the transport for local domains; a gateway without "
                  "mailboxes says \"local_domains\": []");
    return NULL;
}

/* --- one domain, a row --- */

static void bad_domain(struct compile *c, const struct config_origin *origin, size_t i, size_t n,
                       const char *name, const char *why)
{
    char shown[SHOWN_SIZE];

    postern_text_clean(name, strlen(name), shown, sizeof shown);
    compile_error(c, origin, NULL, i, n, "found \"%s%s\", expected a domain: %s", shown,
                  strlen(name) >= sizeof shown ? "..." : "", why);
}

/* Addresses of ours are made of these. */
static int is_name(enum row_kind kind)
{
    return kind == ROW_HOST_NAME || kind == ROW_SUBSTITUTE;
}

static void parse_domain(struct compile *c, enum row_kind kind, const struct config_origin *origin,
                         size_t i, size_t n, const char *name, struct domain_pattern *ret)
{
    const char *why = "it would make every domain local";

    if (domain_pattern_parse(c->t->arena, name, ret, &why) < 0 || ret->kind == DOMAIN_ANY)
        bad_domain(c, origin, i, n, name, why);
    else if (is_name(kind) && ret->kind != DOMAIN_EXACT)
        bad_domain(c, origin, i, n, name,
                   "a pattern completes no address; patterns go into \"local_domains\"");
}

static void local_row(struct compile *c, enum row_kind kind, const struct config_origin *origin,
                      size_t i, size_t n, const char *name, const char *transport)
{
    struct route_row *row = compile_row(c, kind, origin);
    struct domain_pattern *p = arena_alloc(c->t->arena, sizeof *p);

    row->domain = (struct domain_patterns){ 1, p };
    local_action(row, transport);
    parse_domain(c, kind, origin, i, n, name, p);
}

static void local_list(struct compile *c, enum row_kind kind, const struct config_origin *origin,
                       const struct postern_strings *names, const char *transport)
{
    for (size_t i = 0; i < names->n; i++)
        local_row(c, kind, origin, i, names->n, names->v[i], transport);
}

/* --- files: one domain a line, "!" or "#" before a comment --- */

static void read_line(struct compile *c, const char *path, size_t number, char *line,
                      const char *transport)
{
    char *pointer AUTO_FREE = mem_printf("line %zu", number);
    const struct config_origin origin = { path, pointer };
    size_t len;

    line[strcspn(line, "!#")] = 0;
    line += strspn(line, " \t\f");
    len = strlen(line);
    while (len && strchr(" \t\f", line[len - 1]))
        line[--len] = 0;
    if (len)
        local_row(c, ROW_LOCAL, &origin, 0, 0, line, transport);
}

static void read_lines(struct compile *c, const char *path, char *text, const char *transport)
{
    size_t number = 0;

    /* Old editors leave a mark that says UTF-8. */
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (*text && number < LINES_MAX) {
        size_t len = strcspn(text, "\r\n");
        char *next = text + len;

        next += next[0] == '\r' && next[1] == '\n';
        next += *next != 0;
        text[len] = 0;
        read_line(c, path, ++number, text, transport);
        text = next;
    }
    if (*text)
        compile_error(c, &(struct config_origin){ path, "" }, NULL, 0, 0,
                      "there are more than %u lines", LINES_MAX);
}

static void local_files(struct compile *c, const char *transport)
{
    const struct config_origin *origin = &c->cfg->routing_at[CONFIG_AT_LOCAL_DOMAINS_FILES];
    const struct postern_strings *files = &c->cfg->routing.local_domains_files;

    for (size_t i = 0; i < files->n; i++) {
        const char *path = config_path_from(c->t->arena, origin->file, files->v[i]);
        char *text AUTO_FREE = NULL;
        size_t len;
        int r = config_read_kept(c->cfg, path, &text, &len);

        if (r < 0)
            compile_error(c, origin, NULL, i, files->n, "%s: can't be read: %s", path,
                          config_read_why(r));
        else if (memchr(text, 0, len))
            compile_error(c, origin, NULL, i, files->n, "%s: found a NUL, expected a text file",
                          path);
        else
            read_lines(c, path, text, transport);
    }
}

/* --- addresses --- */

static void own(struct compile *c, const char *address, const char *from)
{
    if (!map_get(c->t->own, address))
        map_set(c->t->own, address, arena_strdup(c->t->arena, from));
}

static void own_interfaces(struct compile *c)
{
    struct ifaddrs *all;
    char text[INET6_ADDRSTRLEN];

    if (getifaddrs(&all) < 0) {
        compile_error(c, &c->cfg->routing_at[CONFIG_AT_OWN_ADDRESSES], NULL, 0, 0,
                      "the addresses of the interfaces are not to be had (%s): list them, and say "
                      "\"own_interfaces\": false",
                      strerror(errno));
        return;
    }
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        const void *address = family == AF_INET
            ? (const void *)&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr
            : (const void *)&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;

        if ((family == AF_INET || family == AF_INET6) &&
            inet_ntop(family, address, text, sizeof text))
            own(c, text, i->ifa_name);
    }
    freeifaddrs(all);
}

static void own_addresses(struct compile *c)
{
    const struct config_origin *origin = &c->cfg->routing_at[CONFIG_AT_OWN_ADDRESSES];
    const struct postern_strings *list = &c->cfg->routing.own_addresses;

    for (size_t i = 0; i < list->n; i++) {
        char *literal AUTO_FREE =
            mem_printf(strchr(list->v[i], ':') ? "[IPv6:%s]" : "[%s]", list->v[i]);
        char address[INET6_ADDRSTRLEN];

        if (route_literal(literal, address, sizeof address))
            own(c, address, "own_addresses");
        else
            compile_error(c, origin, NULL, i, list->n,
                          "found \"%s\", expected an IP address, without brackets", list->v[i]);
    }
    c->t->own_interfaces = c->cfg->routing.own_interfaces != 0;
    if (c->t->own_interfaces)
        own_interfaces(c);
}

/* --- the whole --- */

void compile_local_rows(struct compile *c)
{
    static const struct config_origin built_in = { "(built in)", "" };
    const struct config_routing *r = &c->cfg->routing;
    const struct config_origin *at = c->cfg->routing_at;
    const char *transport = local_transport(c);

    if (r->substitute_domain && r->substitute_inbound)
        local_row(c, ROW_SUBSTITUTE, &at[CONFIG_AT_SUBSTITUTE_DOMAIN], 0, 1, r->substitute_domain,
                  transport);
    local_list(c, ROW_LOCAL, &c->cfg->local_origin, &r->local_domains, transport);
    local_files(c, transport);
    local_list(c, ROW_HOST_NAME, &at[CONFIG_AT_HOST_NAMES], &r->host_names, transport);
    local_list(c, ROW_VIRTUAL, &at[CONFIG_AT_VIRTUAL_DOMAINS], &r->virtual_domains, transport);
    own_addresses(c);
    c->t->own_row = c->t->row_n;
    local_action(compile_row(c, ROW_OWN_ADDRESS,
                             r->own_addresses.n ? &at[CONFIG_AT_OWN_ADDRESSES] : &built_in),
                 transport);
    if (r->local_by_address) {
        c->t->own_host_row = c->t->row_n;
        local_action(compile_row(c, ROW_OWN_HOST, &at[CONFIG_AT_LOCAL_BY_ADDRESS]), transport);
    }
    local_action(compile_row(c, ROW_UNQUALIFIED, &built_in), transport);
}
