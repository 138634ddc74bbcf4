/* message/exchange.h: addresses in the fields of a header section, exchanged in place.
 *
 * Nothing but the addresses changes: names, comments, groups, folding and all other bytes stay. An
 * address with comments in the midst of it loses none of them; a source route goes. What can't be
 * read without doubt stays, and so does a field in which a line would become too long. */
#ifndef MESSAGE_EXCHANGE_H
#define MESSAGE_EXCHANGE_H

#include <stddef.h>

#include "util/buf.h"

#define EXCHANGE_MAX      1000u /* addresses of one header section that are looked at */
#define EXCHANGE_LINE_MAX 998u  /* bytes of a line (RFC 5322 2.1.1) */

struct exchange {
    const char *const *fields; /* their names, in which addresses are; ends with NULL */
    void              *ctx;
    /* What the address becomes: malloc'ed; NULL: it stays. field: the name, as in fields. */
    char *(*become)(void *ctx, const char *field, const char *address);
    /* Something stays for another reason: why, in words. */
    void (*kept)(void *ctx, const char *field, const char *why);
};

/* Adds the header section with the addresses exchanged to out; or nothing, when none is. Returns
 * how many are. data may go on behind the section; only what is before *ret_end is in out. */
size_t exchange_addresses(const struct exchange *x, const char *data, size_t len, struct buf *out,
                          size_t *ret_end);

#endif
