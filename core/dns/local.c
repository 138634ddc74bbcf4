/* dns/local.c: see local.h. */
#include "dns/local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"
#include "util/map.h"
#include "util/mem.h"

struct known { /* of one name */
    size_t n;
    struct dns_item *v;
};

struct dns_local {
    struct map *mx, *hosts; /* names to struct known */
};

static void free_known(void *value)
{
    struct known *k = value;

    for (size_t i = 0; i < k->n; i++)
        free((char *)k->v[i].text);
    free(k->v);
    free(k);
}

void dns_local_free(struct dns_local **pl)
{
    struct dns_local *l = *pl;

    *pl = NULL;
    if (!l)
        return;
    map_free(&l->mx, free_known);
    map_free(&l->hosts, free_known);
    free(l);
}

static void add(struct map *m, const char *name, uint32_t preference, const char *text)
{
    struct known *k = map_get(m, name);

    if (!k) {
        k = mem_zalloc(sizeof *k);
        map_set(m, name, k);
    }
    k->v = mem_realloc(k->v, (k->n + 1) * sizeof *k->v);
    k->v[k->n++] = (struct dns_item){ .preference = preference, .text = mem_strdup(text) };
}

static int bad(char *why, size_t size, const char *place, size_t i, const char *key,
               const char *found, const char *expected)
{
    snprintf(why, size, "/dns/%s/%zu/%s: found \"%s\", expected %s", place, i, key, found,
             expected);
    return -EINVAL;
}

/* An exchanger may be an address, too: the operator's own table need not obey RFC 5321 5.1. */
static int load_mx(struct dns_local *l, const struct config_local_mx *from, size_t i, char *why,
                   size_t why_size)
{
    char domain[DNS_NAME_SIZE], host[DNS_NAME_SIZE];

    if (!from->host ||
        (!dns_literal(from->host, host, sizeof host) && dns_name_normal(from->host, host) < 0))
        return bad(why, why_size, "local_mx", i, "host", from->host ? from->host : "",
                   "the name of a host");
    for (size_t k = 0; k < from->domain.n; k++) {
        if (dns_name_normal(from->domain.v[k], domain) < 0)
            return bad(why, why_size, "local_mx", i, "domain", from->domain.v[k], "a domain");
        add(l->mx, domain, (uint32_t)from->preference, host);
    }
    return 0;
}

static int load_host(struct dns_local *l, const struct config_host *from, size_t i, char *why,
                     size_t why_size)
{
    char name[DNS_NAME_SIZE], address[DNS_NAME_SIZE];

    for (size_t k = 0; k < from->address.n; k++) {
        if (!dns_literal(from->address.v[k], address, sizeof address))
            return bad(why, why_size, "hosts", i, "address", from->address.v[k], "an IP address");
        for (size_t j = 0; j < from->name.n; j++) {
            if (dns_name_normal(from->name.v[j], name) < 0)
                return bad(why, why_size, "hosts", i, "name", from->name.v[j], "a host's name");
            add(l->hosts, name, 0, address);
        }
    }
    return 0;
}

int dns_local_new(const struct config_dns *cfg, struct dns_local **ret, char *why, size_t why_size)
{
    const struct config_local_mx *mx = cfg->local_mx.v;
    const struct config_host *hosts = cfg->hosts.v;
    struct dns_local *l = mem_zalloc(sizeof *l);
    int r = 0;

    l->mx = map_new();
    l->hosts = map_new();
    for (size_t i = 0; !r && i < cfg->local_mx.n; i++)
        r = load_mx(l, &mx[i], i, why, why_size);
    for (size_t i = 0; !r && i < cfg->hosts.n; i++)
        r = load_host(l, &hosts[i], i, why, why_size);
    if (r)
        dns_local_free(&l);
    else
        *ret = l;
    return r;
}

void dns_local_mx(const struct dns_local *l, const char *name, struct dns_records *ret)
{
    const struct known *k = map_get(l->mx, name);

    for (size_t i = 0; k && i < k->n; i++)
        dns_records_add(ret, k->v[i].preference, k->v[i].text);
}

void dns_local_hosts(const struct dns_local *l, const char *name, int ipv6, struct dns_records *ret)
{
    const struct known *k = map_get(l->hosts, name);

    for (size_t i = 0; k && i < k->n; i++) {
        if (ipv6 || !strchr(k->v[i].text, ':'))
            dns_records_add(ret, 0, k->v[i].text);
    }
}
