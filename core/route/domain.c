/* Domain names in the one form in which they are compared. */
#include "route/pattern.h"

#include <errno.h>
#include <idn2.h>
#include <string.h>

#include "util/text.h"

static int is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] >= 0x80)
            return 0;
    }
    return 1;
}

static int to_a_labels(const char *domain, size_t len, char *ret_domain)
{
    char u_labels[ADDRESS_DOMAIN_MAX + 1];
    uint8_t *a_labels = NULL;
    int r;

    memcpy(u_labels, domain, len);
    u_labels[len] = 0;
    r = idn2_lookup_u8((const uint8_t *)u_labels, &a_labels, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (r != IDN2_OK)
        return -EINVAL;
    len = strlen((const char *)a_labels);
    if (len <= ADDRESS_DOMAIN_MAX)
        memcpy(ret_domain, a_labels, len + 1);
    idn2_free(a_labels);
    return len <= ADDRESS_DOMAIN_MAX ? 0 : -EINVAL;
}

int route_domain_normalize(const char *domain, size_t len, char *ret_domain)
{
    if (len > 0 && domain[len - 1] == '.')
        len--;
    if (len == 0 || len > ADDRESS_DOMAIN_MAX)
        return -EINVAL;
    if (!is_ascii(domain, len))
        return to_a_labels(domain, len, ret_domain);
    memcpy(ret_domain, domain, len);
    ret_domain[len] = 0;
    text_lower_str(ret_domain);
    return 0;
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
