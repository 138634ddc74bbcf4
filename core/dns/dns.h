/* dns/dns.h: names to exchangers and addresses, by c-ares on the loop, with a cache.
 *
 * Four sources, in this order: the operator's exchangers (dns.local_mx) joined with MX records;
 * where neither has any, the operator's hosts and the machine's hosts file, then addresses in DNS.
 *
 * Semantics of the answers: postern/services.h (resolve_mx, resolve_host). The cache is bounded,
 * keeps answers for their TTL (at least 1 s, at most 1 day; negative ones as the SOA says, at most
 * 5 min; temporary failures 5 s), and joins equal questions that are under way. Literals are
 * answered without asking. All answers come later, from the loop. */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include "config/config.h"
#include "util/loop.h"

#include <postern/services.h>

struct dns;
struct dns_query;

int  dns_new(struct loop *loop, const struct config_dns *cfg, struct dns **ret, char *why,
             size_t why_size);
void dns_free(struct dns **d); /* drops all queries without answers */

int  dns_mx(struct dns *d, const char *domain, postern_mx_cb *cb, void *ctx,
            struct dns_query **ret);
int  dns_host(struct dns *d, const char *name, postern_host_cb *cb, void *ctx,
              struct dns_query **ret);
void dns_cancel(struct dns_query **q); /* no answer comes any more; clears *q, which may be NULL */

struct dns_stats {
    uint64_t queries, hits, joined, failures, entries;
};
void dns_stats(const struct dns *d, struct dns_stats *ret);

#endif
