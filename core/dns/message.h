/* dns/message.h: reading what a name server says (RFC 1035 4). The bytes come from outside:
 * nothing in them is trusted, and every length in them is checked. */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

#define DNS_TYPE_A     1u
#define DNS_TYPE_CNAME 5u
#define DNS_TYPE_SOA   6u
#define DNS_TYPE_MX    15u
#define DNS_TYPE_AAAA  28u

#define DNS_RECORDS_MAX 64u /* kept of one answer: the preferred ones */
#define DNS_ALIASES_MAX 16u /* CNAMEs followed within a message       */

struct dns_record {
    uint32_t preference;          /* of an MX; else 0 */
    char     text[DNS_NAME_SIZE]; /* exchanger, "" for the root; or an address */
};

struct dns_records {
    uint32_t ttl; /* seconds: least of all used; without records, how long that holds (RFC 2308)
                     as the SOA says, 0 when there is none */
    uint32_t odd; /* records left out because they are malformed */
    size_t   n;
    struct dns_record v[DNS_RECORDS_MAX]; /* ascending by preference, else as they came */
};

/* Finds the records of `type` (A, AAAA or MX) that the message's question has, over aliases. 0, or
 * -EBADMSG. */
int dns_message_read(const void *data, size_t len, uint16_t type, struct dns_records *ret);

void dns_records_add(struct dns_records *r, uint32_t preference, const char *text);

#endif
