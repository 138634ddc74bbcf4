/* Names of aliases as they are compared: like the router compares recipients. */
#include <errno.h>
#include <string.h>

#include "route/alias-map.h"
#include "util/buf.h"
#include "util/text.h"

int alias_key_make(struct alias_key *k, const char *local, size_t len, const char *domain)
{
    size_t domain_len = domain ? strlen(domain) + 1 : 0; /* with the NUL before it */

    if (len > POSTERN_LOCAL_MAX || domain_len > ADDRESS_DOMAIN_MAX + 1)
        return -ENAMETOOLONG;
    for (size_t i = 0; i < len; i++)
        k->v[i] = text_lower(local[i]);
    k->v[len] = '\0';
    if (domain)
        memcpy(k->v + len + 1, domain, domain_len);
    k->local_len = len;
    k->len = len + domain_len;
    return 0;
}

int alias_domain(const char *domain, size_t len, char *ret_domain, struct address_fault *reterr)
{
    const uint32_t allow = POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_LITERAL;

    if (address_domain_check(domain, len, allow, reterr) < 0)
        return -EINVAL;
    if (route_domain_normalize(domain, len, ret_domain) == 0 &&
        address_domain_check(ret_domain, strlen(ret_domain), POSTERN_ADDRESS_LITERAL, reterr) == 0)
        return 0;
    *reterr = (struct address_fault){ "the domain is no valid internationalized name", 0 };
    return -EINVAL;
}

int alias_key_parse(struct alias_key *k, const char *text, size_t len, struct address_fault *reterr)
{
    char local[POSTERN_LOCAL_MAX + 1], domain[ADDRESS_DOMAIN_MAX + 1];
    struct postern_address a = { .size = sizeof a };
    int n;

    if (address_parse(text, len, POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, reterr) < 0)
        return -EINVAL;
    n = postern_address_unquote(a.local, a.local_len, local, sizeof local);
    if (n < 0 || a.route) {
        *reterr = (struct address_fault){ "a source route is no name", 0 };
        return -EINVAL;
    }
    if (a.domain && alias_domain(a.domain, a.domain_len, domain, reterr) < 0)
        return -EINVAL;
    return alias_key_make(k, local, (size_t)n, a.domain ? domain : NULL);
}

void alias_key_print(const char *key, size_t len, struct buf *out)
{
    char quoted[2 * POSTERN_LOCAL_MAX + 3];
    const char *domain = memchr(key, 0, len);
    size_t local_len = domain ? (size_t)(domain - key) : len;
    int n = postern_address_quote(key, local_len, quoted, sizeof quoted);

    buf_add(out, quoted, n < 0 ? 0 : (size_t)n);
    if (domain)
        buf_printf(out, "@%.*s", (int)(len - local_len - 1), domain + 1);
}
