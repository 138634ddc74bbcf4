/* route/pattern.h: addresses made ready to be compared, and the patterns they are compared with.
 *
 * Everything compares without regard to ASCII case, the local part too: an operator who names a
 * mailbox means it however it is typed. Domains are compared as A-labels. */
#ifndef ROUTE_PATTERN_H
#define ROUTE_PATTERN_H

#include <stddef.h>

#include <postern/mail.h>

#include "address/address.h"
#include "util/mem.h"

/* --- addresses --- */

struct route_address {
    struct postern_address parsed; /* borrows the text */
    size_t                 local_len;
    char                   local[POSTERN_LOCAL_MAX + 1];   /* without quotes, lower case          */
    char                   domain[ADDRESS_DOMAIN_MAX + 1]; /* A-labels, lower case, no final dot  */
};

/* Lower case, without a final dot, U-labels as A-labels (allocates for those only). ret_domain has
 * ADDRESS_DOMAIN_MAX + 1 bytes. 0, or -EINVAL: not a domain name that IDNA knows. */
int route_domain_normalize(const char *domain, size_t len, char *ret_domain);

/* Parses; an address without domain gets `domain` (normalized). 0, or -EINVAL with *reterr_why. */
int route_address_init(struct route_address *a, const char *text, const char *domain,
                       const char **reterr_why);

/* --- patterns --- */

enum domain_kind {
    DOMAIN_ANY,   /* "*"                                                         */
    DOMAIN_EXACT, /* "example.com"                                               */
    DOMAIN_BELOW, /* ".example.com", "*.example.com": all below it, not itself   */
    DOMAIN_GLOB
};
struct domain_pattern {
    enum domain_kind kind;
    const char      *text;  /* as written */
    const char      *lower; /* normalized; for BELOW from the dot on */
    size_t           len;
};

struct address_pattern {
    const char           *text;
    const char           *local; /* lower case glob; NULL: any */
    struct domain_pattern domain;
    int                   null; /* "<>": the null path, and nothing else */
};

/* Strings live in the arena. 0, or -EINVAL with a static sentence. */
int domain_pattern_parse(struct arena *a, const char *text, struct domain_pattern *ret,
                         const char **reterr_why);
int domain_pattern_match(const struct domain_pattern *p, const char *domain);
/* 1: some label of it stands for itself; 0: it is all '*' and '?', as "*", "*.*" and "?x*" are. */
int domain_pattern_names(const struct domain_pattern *p);

/* "user@example.com", "user@", "@example.com", ".example.com", "*", and "<>" (senders). */
int address_pattern_parse(struct arena *a, const char *text, struct address_pattern *ret,
                          const char **reterr_why);
int address_pattern_match(const struct address_pattern *p, const struct route_address *address);

/* What the n-th '*' of a pattern that matched stands for, counted from 1 and from the left: those
 * of the local part (which is one '*' when the pattern leaves it open), then those of the domain,
 * where ".name" has one. Without any, the first is the whole local part. The text is the address's,
 * as typed but without quotes. p NULL: an open local part, with the domain's pattern. buf has
 * ADDRESS_CAPTURE_SIZE bytes. 0, or -ENOENT: the pattern has not so many. */
#define ADDRESS_CAPTURE_SIZE (POSTERN_LOCAL_MAX + 1)
int address_pattern_capture(const struct address_pattern *p, const struct domain_pattern *domain,
                            const struct route_address *address, unsigned n, char *buf);
/* How many there are. p and domain as above. */
unsigned address_pattern_captures(const struct address_pattern *p,
                                  const struct domain_pattern *domain);

#endif
