/* What the translations of foreign addresses share: see foreign.h. */
#include "address/foreign.h"

int address_give(const struct postern_address_site *site, const char *rule, const char *before,
                 size_t before_len, const struct out *o, char *buf, size_t size,
                 const char **reterr_why)
{
    if (o->full || o->len > POSTERN_ADDRESS_MAX)
        return address_refuse(reterr_why, "the address would become too long");
    if (o->len >= size)
        return -ENOBUFS;
    memcpy(buf, o->buf, o->len);
    buf[o->len] = 0;
    address_step(site, rule, before, before_len, o->buf, o->len);
    return (int)o->len;
}

int address_give_parsed(const struct postern_address_site *site, const char *rule,
                        const char *before, size_t before_len, uint32_t flags, struct out *o,
                        char *buf, size_t size, const char **reterr_why)
{
    struct postern_address parsed;

    if (o->full)
        return address_refuse(reterr_why, "the address would become too long");
    if (postern_address_parse(o->buf, o->len, flags, &parsed, reterr_why) < 0)
        return -EINVAL;
    return address_give(site, rule, before, before_len, o, buf, size, reterr_why);
}

const char *address_site_domain(const struct postern_address_site *site)
{
    if (!site)
        return NULL;
    return site->domain && *site->domain ? site->domain : site->host;
}

int address_site_has(const struct postern_address_site *site, const char *domain, size_t len)
{
    if (!site)
        return 0;
    return (site->domain &&
            address_domain_equal(domain, len, site->domain, strlen(site->domain))) ||
        (site->host && address_domain_equal(domain, len, site->host, strlen(site->host)));
}

int address_is_simple(const char *text, size_t len)
{
    return address_plain_kind(text, len) == 1 && !memchr(text, '%', len) && !memchr(text, '!', len);
}

int address_domain_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
    char a_labels[ADDRESS_DOMAIN_MAX + 1], b_labels[ADDRESS_DOMAIN_MAX + 1];
    int n = postern_domain_to_ascii(a, a_len, a_labels, sizeof a_labels);
    int m = postern_domain_to_ascii(b, b_len, b_labels, sizeof b_labels);

    return n >= 0 && n == m && memcmp(a_labels, b_labels, (size_t)n) == 0;
}
