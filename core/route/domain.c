/* Domain names in the one form in which they are compared. */
#include "route/pattern.h"

#include <string.h>

#include "util/text.h"

int route_domain_normalize(const char *domain, size_t len, char *ret_domain)
{
    int r = postern_domain_to_ascii(domain, len, ret_domain, ADDRESS_DOMAIN_MAX + 1);

    return r < 0 ? r : 0;
}

int route_address_init(struct route_address *a, const char *text, const char *domain,
                       const char **reterr_why)
{
    const uint32_t allow = POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE;
    size_t len = strnlen(text, POSTERN_ADDRESS_MAX + 1);
    int r = postern_address_parse(text, len, allow, &a->parsed, reterr_why);

    if (r < 0)
        return r;
    r = postern_address_unquote(a->parsed.local, a->parsed.local_len, a->local, sizeof a->local);
    if (r < 0)
        return r; /* cannot be: the parser keeps to the limit */
    a->local_len = (size_t)r;
    text_lower_str(a->local);
    if (!a->parsed.domain) {
        memcpy(a->domain, domain, strlen(domain) + 1);
        return 0;
    }
    r = route_domain_normalize(a->parsed.domain, a->parsed.domain_len, a->domain);
    if (r < 0)
        *reterr_why = "the domain is no valid internationalized name";
    return r;
}
