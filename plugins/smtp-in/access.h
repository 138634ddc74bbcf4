/* access.h: which clients an operator means by a list of networks. */
#ifndef SMTPIN_ACCESS_H
#define SMTPIN_ACCESS_H

#include <stddef.h>

#include <postern/option.h>
#include <postern/stream.h>

/* A client as a value to compare: an IPv6 address, an IPv4 one mapped into it (RFC 4291 2.5.5.2),
 * or a local stream, which has none. */
struct smtpin_client {
    unsigned char address[16];
    int           local;
};

/* From stream_info's facts. A peer whose address cannot be read matches no network. */
void smtpin_client_init(struct smtpin_client *c, const struct postern_stream_info *info);

struct smtpin_network {
    unsigned char address[16];
    unsigned      bits;  /* of 128                                                                */
    int           local; /* "local": streams handed over on this machine                          */
};

struct smtpin_access {
    size_t                 n;
    struct smtpin_network *networks;
};

/* "192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "[::1]", "local". 0, or -EINVAL with a static
 * sentence; bits beyond the prefix must be zero, as they are in what was meant. */
int smtpin_network_parse(const char *text, struct smtpin_network *ret, const char **reterr_why);

/* 0; -EINVAL with *reterr_item and *reterr_why; -ENOMEM with *reterr_item NULL. */
int  smtpin_access_init(struct smtpin_access *a, const struct postern_strings *list,
                        const char **reterr_item, const char **reterr_why);
void smtpin_access_done(struct smtpin_access *a);
int  smtpin_access_has(const struct smtpin_access *a, const struct smtpin_client *c);
/* Does one of the networks hold every IPv4, or every IPv6 address? */
int smtpin_access_is_everyone(const struct smtpin_access *a);

#endif
