/* address/address.h: the address parser as core sees it. Beside what postern/mail.h gives to
 * plugins it tells where in the text it stumbled. Like those it is pure: without state or
 * allocation. */
#ifndef ADDRESS_ADDRESS_H
#define ADDRESS_ADDRESS_H

#include <postern/mail.h>

#define ADDRESS_DOMAIN_MAX 255 /* RFC 5321 4.5.3.1.2 */
#define ADDRESS_LABEL_MAX  63  /* RFC 1035 2.3.4 */

struct address_fault {
    const char *why; /* a static sentence */
    size_t      at;  /* offset in the text, may be its length */
};

/* postern_address_parse with a fault instead of a sentence. */
int address_parse(const char *text, size_t len, uint32_t flags, struct postern_address *ret,
                  struct address_fault *reterr);

/* Is all of it a domain: labels or, with POSTERN_ADDRESS_LITERAL in flags, an address literal?
 * POSTERN_ADDRESS_UTF8 allows U-labels. 0, or -EINVAL. */
int address_domain_check(const char *text, size_t len, uint32_t flags,
                         struct address_fault *reterr);

/* "the domain is empty: found the end at position 5"; positions count from 1. Returns buf. */
char *address_fault_text(const struct address_fault *fault, const char *text, size_t len, char *buf,
                         size_t size);

/* What may stand in a dot-string (RFC 5321 4.1.2 atext, without the dot): ASCII only. */
int address_is_atext(char c);

/* Words that next hops of routes have beside what postern_next_hop_parse knows: "*" and "[*]", the
 * recipient's own domain by MX and by host, and "?" before a next hop that counts only when nothing
 * before it can be resolved. *ret_hop is the text without "?". */
#define NEXT_HOP_OWN        1u
#define NEXT_HOP_OWN_HOST   2u /* with NEXT_HOP_OWN */
#define NEXT_HOP_UNRESOLVED 4u
unsigned next_hop_flags(const char *text, const char **ret_hop);

/* Of a local part without its quotes: 1: a dot-string as it stands; 0: needs quotes; -EINVAL:
 * cannot be written at all (control characters, no UTF-8). */
int address_plain_kind(const char *plain, size_t len);

#endif
