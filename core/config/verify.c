/* config/verify.c: what the core sections mean beyond what a table can say: durations in lists,
 * names of hosts and name servers, and values that must fit each other. Routing is compiled, and
 * thereby checked, in route/. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "config/engine.h"
#include "config/sections.h"
#include "util/cleanup.h"
#include "util/text.h"

#define HOSTNAME_MAX 253u /* RFC 1035 2.3.4, without the final dot */
#define RETRY_MIN    1000 /* usec: an attempt after no wait at all would be repeated at once */
#define RETRY_MAX    POSTERN_DAYS(364)

struct verify {
    const struct config *cfg;
    const struct config_origins *origins;
    struct config_errors *errors;
};

/* Complains of the value at `pointer` in the merged tree, at the place where it was really said. */
__attribute__((format(printf, 3, 4))) static void complain(struct verify *v, const char *pointer,
                                                           const char *fmt, ...)
{
    const struct config_origin *origin = config_origins_find(v->origins, pointer);
    char *message AUTO_FREE = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        message = NULL;
    va_end(ap);
    config_error(v->errors, origin ? origin->file : v->cfg->source,
                 origin ? origin->pointer : pointer, "%s", message ? message : "");
}

/* Where item i of a list is: a single text may stand for a list of one. */
static void item_pointer(const struct verify *v, const char *section, const char *key, size_t i,
                         char *ret, size_t size)
{
    const json_t *list = json_object_get(json_object_get(v->cfg->tree, section), key);

    if (json_is_array(list))
        snprintf(ret, size, "/%s/%s/%zu", section, key, i);
    else
        snprintf(ret, size, "/%s/%s", section, key);
}

static int hostname_ok(const char *name)
{
    size_t len = strlen(name);

    if (!len || len > HOSTNAME_MAX || *name == '.' || name[len - 1] == '.')
        return 0;
    /* '_' is in no RFC 1123 name, and in many a machine's. */
    return !strstr(name, "..") &&
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == len;
}

static void verify_server(struct verify *v)
{
    const struct config_server *s = &v->cfg->server;

    if (s->hostname && !hostname_ok(s->hostname))
        complain(v, "/server/hostname",
                 "found \"%s\", expected a host name like \"mail.example.com\"", s->hostname);
    if (s->postmaster && (!*s->postmaster || strpbrk(s->postmaster, " \t<>")))
        complain(v, "/server/postmaster", "found \"%s\", expected an address without brackets",
                 s->postmaster);
}

static void verify_queue(struct verify *v)
{
    const struct config_queue *q = &v->cfg->queue;
    char pointer[64], min[32], max[32];

    for (size_t i = 0; i < q->retry.n; i++) {
        int64_t usec;

        item_pointer(v, "queue", "retry", i, pointer, sizeof pointer);
        if (text_duration_parse(q->retry.v[i], &usec) < 0)
            complain(v, pointer, "found \"%s\", expected a duration like \"5m\" or \"1h30m\"",
                     q->retry.v[i]);
        else if (usec < RETRY_MIN || usec > RETRY_MAX)
            complain(v, pointer, "found \"%s\", expected %s to %s", q->retry.v[i],
                     text_duration(RETRY_MIN, min, sizeof min),
                     text_duration(RETRY_MAX, max, sizeof max));
    }
    if (q->dead_max >= q->dead_min)
        return;
    /* At the one that was written; both may have been. */
    text_duration(q->dead_min, min, sizeof min);
    text_duration(q->dead_max, max, sizeof max);
    if (config_origins_get(v->origins, "/queue/dead_max"))
        complain(v, "/queue/dead_max", "found %s, expected at least what dead_min says, %s", max,
                 min);
    else
        complain(v, "/queue/dead_min", "found %s, expected at most what dead_max says, %s", min,
                 max);
}

/* Letters of other alphabets are the resolver's to judge. The dot at the end is the root's. */
static int name_ok(const char *name)
{
    char bare[HOSTNAME_MAX + 1];
    size_t len = strlen(name);

    for (const char *p = name; *p; p++) {
        if ((unsigned char)*p >= 0x80)
            return 1;
    }
    if (len < 2 || len > HOSTNAME_MAX + 1 || name[len - 1] != '.')
        return hostname_ok(name);
    memcpy(bare, name, len - 1);
    bare[len - 1] = '\0';
    return hostname_ok(bare);
}

static int address_ok(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* Each text of a list in item i of dns.KEY. */
static void verify_names(struct verify *v, const char *key, size_t i, const char *member,
                         const struct postern_strings *list, int (*ok)(const char *),
                         const char *expected)
{
    char pointer[96];

    for (size_t k = 0; k < list->n; k++) {
        if (ok(list->v[k]))
            continue;
        snprintf(pointer, sizeof pointer, "/dns/%s/%zu/%s", key, i, member);
        complain(v, pointer, "found \"%s\", expected %s", list->v[k], expected);
    }
}

static int exchanger_ok(const char *text)
{
    return address_ok(text) || name_ok(text);
}

static void verify_local_names(struct verify *v)
{
    const struct config_local_mx *mx = v->cfg->dns.local_mx.v;
    const struct config_host *hosts = v->cfg->dns.hosts.v;

    for (size_t i = 0; i < v->cfg->dns.local_mx.n; i++) {
        verify_names(v, "local_mx", i, "domain", &mx[i].domain, name_ok, "a domain");
        if (mx[i].host)
            verify_names(v, "local_mx", i, "host", &(struct postern_strings){ 1, &mx[i].host },
                         exchanger_ok, "the name of a host");
    }
    for (size_t i = 0; i < v->cfg->dns.hosts.n; i++) {
        verify_names(v, "hosts", i, "name", &hosts[i].name, name_ok, "the name of a host");
        verify_names(v, "hosts", i, "address", &hosts[i].address, address_ok, "an IP address");
    }
}

static void verify_dns(struct verify *v)
{
    const struct postern_strings *s = &v->cfg->dns.servers;
    char pointer[64];
    const char *why;

    for (size_t i = 0; i < s->n; i++) {
        item_pointer(v, "dns", "servers", i, pointer, sizeof pointer);
        if (config_server_check(s->v[i], &why) < 0)
            complain(v, pointer, "found \"%s\", expected \"address\" or \"address:port\": %s",
                     s->v[i], why);
    }
}

/* Lists are not paths to the table, which would make them absolute by itself. */
static void verify_folders(struct verify *v, const char *key, const struct postern_strings *s)
{
    char pointer[64];

    for (size_t i = 0; i < s->n; i++) {
        item_pointer(v, "aliases", key, i, pointer, sizeof pointer);
        if (*s->v[i] != '/')
            complain(v, pointer, "found \"%s\", expected a path that begins with '/'", s->v[i]);
    }
}

static void verify_aliases(struct verify *v)
{
    const struct config_aliases *a = &v->cfg->aliases;
    char pointer[64];

    verify_folders(v, "lists", &a->lists);
    verify_folders(v, "roots", &a->roots);
    for (size_t i = 0; i < a->logicals.n; i++) {
        const char *equals = strchr(a->logicals.v[i], '=');

        item_pointer(v, "aliases", "logicals", i, pointer, sizeof pointer);
        if (!equals || equals == a->logicals.v[i] || equals[1] != '/')
            complain(v, pointer, "found \"%s\", expected \"NAME=/folder\"", a->logicals.v[i]);
    }
    if (a->user_file && (!*a->user_file || *a->user_file == '/' || strstr(a->user_file, "..")))
        complain(v, "/aliases/user_file",
                 "found \"%s\", expected the name of a file in the users' homes", a->user_file);
    if (a->subaddress && *a->subaddress && (a->subaddress[1] || !strchr("+-=#_", *a->subaddress)))
        complain(v, "/aliases/subaddress", "found \"%s\", expected one of + - = # _, or \"\"",
                 a->subaddress);
}

static void verify_paths(struct verify *v)
{
    const char *socket = v->cfg->control.socket;
    size_t room = sizeof((struct sockaddr_un *)0)->sun_path;

    if (socket && strlen(socket) >= room)
        complain(v, "/control/socket", "found a path of %zu bytes, expected at most %zu: %s",
                 strlen(socket), room - 1, socket);
}

void config_verify(const struct config *cfg, const struct config_origins *origins,
                   struct config_errors *errors)
{
    struct verify v = { cfg, origins, errors };

    verify_server(&v);
    verify_queue(&v);
    verify_dns(&v);
    verify_local_names(&v);
    verify_aliases(&v);
    verify_paths(&v);
}
