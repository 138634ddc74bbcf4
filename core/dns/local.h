/* dns/local.h: what the operator knows of names: exchangers and hosts of his own (dns.local_mx,
 * dns.hosts). Two of the four sources of a look-up; name servers are the others. */
#ifndef DNS_LOCAL_H
#define DNS_LOCAL_H

#include "config/config.h"
#include "dns/message.h"

struct dns_local;

/* 0, or -EINVAL with a sentence in why. */
int  dns_local_new(const struct config_dns *cfg, struct dns_local **ret, char *why,
                   size_t why_size);
void dns_local_free(struct dns_local **l);

/* Both add what there is to *ret; name is normal (dns_name_normal). */
void dns_local_mx(const struct dns_local *l, const char *name, struct dns_records *ret);
void dns_local_hosts(const struct dns_local *l, const char *name, int ipv6,
                     struct dns_records *ret);

#endif
