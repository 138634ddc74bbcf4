/* dns/channel.h: c-ares on the loop: its sockets, its time limits, its answers as ours. */
#ifndef DNS_CHANNEL_H
#define DNS_CHANNEL_H

#include "config/config.h"
#include "dns/message.h"
#include "util/loop.h"

struct channel;

enum channel_status {
    CHANNEL_FOUND,   /* records->n > 0 */
    CHANNEL_NO_DATA, /* the name is there, such records are not; records->ttl */
    CHANNEL_NO_NAME, /* it does not exist; records->ttl */
    CHANNEL_FAILED   /* not known now */
};

typedef void channel_cb(void *ctx, enum channel_status status, const struct dns_records *records);

int  channel_new(struct loop *l, const struct config_dns *cfg, struct channel **ret, char *why,
                 size_t why_size);
void channel_free(struct channel **c); /* what was asked is not answered any more */

/* Asks for records of a type (A, AAAA, MX). May call back before it returns. */
void channel_ask(struct channel *c, const char *name, uint16_t type, channel_cb *cb, void *ctx);

/* Looks into the machine's hosts file. Adds what it finds. */
void channel_hosts(struct channel *c, const char *name, int ipv6, struct dns_records *ret);

#endif
