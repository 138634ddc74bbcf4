/* dns/name.h: what is a name, and what is an address already. */
#ifndef DNS_NAME_H
#define DNS_NAME_H

#include <stddef.h>

#define DNS_NAME_MAX   253u /* characters of a name without its last dot (RFC 1035 2.3.4)    */
#define DNS_LABEL_MAX  63u
#define DNS_NAME_SIZE  (DNS_NAME_MAX + 1)
#define DNS_INPUT_MAX  1024u /* bytes of a name as people write it, before IDNA               */

/* Writes the name as it is asked for: A-labels (RFC 5890), lower case, no dot at the end. 0;
 * -EINVAL: not a host name. */
int dns_name_normal(const char *name, char ret[DNS_NAME_SIZE]);

/* "192.0.2.1", "[192.0.2.1]", "2001:db8::1", "[IPv6:2001:db8::1]": 1, and the bare address is
 * written. Else 0. */
int dns_literal(const char *name, char *ret, size_t size);

#endif
