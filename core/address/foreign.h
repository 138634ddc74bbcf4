/* address/foreign.h: what the translations of foreign addresses share. */
#ifndef ADDRESS_FOREIGN_H
#define ADDRESS_FOREIGN_H

#include <string.h>

#include "address/address.h"
#include "address/out.h"

#define ADDRESS_ANY (POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE)

static inline int address_refuse(const char **reterr_why, const char *why)
{
    if (reterr_why)
        *reterr_why = why;
    return -EINVAL;
}

/* Tells the site's listener of a step, if there is one. */
static inline void address_step(const struct postern_address_site *site, const char *rule,
                                const char *before, size_t before_len, const char *after,
                                size_t after_len)
{
    if (site && site->step)
        site->step(site->ctx, rule, before, before_len, after, after_len);
}

/* Hands out what `rule` made of before, and tells of the step. Bytes, -ENOBUFS, or -EINVAL: it has
 * outgrown POSTERN_ADDRESS_MAX. */
int address_give(const struct postern_address_site *site, const char *rule, const char *before,
                 size_t before_len, const struct out *o, char *buf, size_t size,
                 const char **reterr_why);
/* The same, when that parses as an address (flags: what to allow). */
int address_give_parsed(const struct postern_address_site *site, const char *rule,
                        const char *before, size_t before_len, uint32_t flags, struct out *o,
                        char *buf, size_t size, const char **reterr_why);

/* The domain that smtpfied addresses get: the substitute domain, else the host's. Or NULL. */
const char *address_site_domain(const struct postern_address_site *site);
/* Is it the substitute domain or the host's name? */
int address_site_has(const struct postern_address_site *site, const char *domain, size_t len);

/* Does the text stand as a local part without quotes, and mean nothing but itself there? "JONES",
 * "Beth.Jones"; but not "DSN%X" or "a!b". */
int address_is_simple(const char *text, size_t len);

/* Same domain, however its case, final dot and international labels are written. */
int address_domain_equal(const char *a, size_t a_len, const char *b, size_t b_len);

/* NODE::USER and USER@NODE.decnet_domain. hide: bytes written, or -EINVAL: this one must go the
 * long way. unhide: of an address that parsed; -ENOENT: not below the DECnet domain. */
int decnet_hide(const struct postern_address_site *site, const char *text, size_t len, char *buf,
                size_t size);
int decnet_unhide(const struct postern_address_site *site, const char *text, size_t len,
                  const struct postern_address *a, char *buf, size_t size,
                  const char **reterr_why);
/* Is there an access control string (NODE"user password"::) in any of its hops? */
int decnet_has_access(const char *text, size_t len);

/* Of an address that goes through Message Router, the user at its end, if that is a simple name:
 * his bytes, borrowed from text; else 0. */
size_t mts_user(const struct postern_address_site *site, const char *text, size_t len,
                const char **ret);

#endif
