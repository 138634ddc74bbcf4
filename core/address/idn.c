/* Domains and IDNA 2008 (RFC 5890 to 5892), by libidn2: non-transitional, as browsers do it. */
#include <postern/mail.h>

#include <errno.h>
#include <idn2.h>
#include <string.h>

#include "address/address.h"
#include "address/out.h"

static int is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] >= 0x80)
            return 0;
    }
    return 1;
}

/* What IDNA makes of a domain must be one, too: characters that are mapped to nothing can leave
 * empty labels behind, and what comes out is shown on terminals. */
static int give_labels(uint8_t *labels, char *buf, size_t size)
{
    const uint32_t allow = POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_LITERAL;
    struct address_fault fault = { NULL, 0 };
    struct out o = out_to(buf, size);
    size_t len = strlen((const char *)labels);
    int r = -EINVAL;

    if (address_domain_check((const char *)labels, len, allow, &fault) == 0) {
        if (labels[len - 1] == '.') /* was an ideographic one */
            len--;
        out_text(&o, (const char *)labels, len);
        r = out_end(&o);
    }
    idn2_free(labels);
    return r;
}

/* The domain without its final dot, as C text. U-labels may be longer than what they become. */
static int copy_domain(const char *domain, size_t len, char ret[POSTERN_ADDRESS_MAX + 1])
{
    if (len > 0 && domain[len - 1] == '.')
        len--;
    if (len == 0 || len > POSTERN_ADDRESS_MAX || memchr(domain, 0, len))
        return -EINVAL;
    memcpy(ret, domain, len);
    ret[len] = 0;
    return (int)len;
}

int postern_domain_to_ascii(const char *domain, size_t len, char *buf, size_t size)
{
    struct out o = out_to(buf, size);
    char copy[POSTERN_ADDRESS_MAX + 1];
    uint8_t *labels = NULL;
    int n = copy_domain(domain, len, copy);

    if (n < 0)
        return n;
    if (is_ascii(copy, (size_t)n)) {
        if (n > ADDRESS_DOMAIN_MAX)
            return -EINVAL;
        for (int i = 0; i < n; i++)
            out_char(&o, copy[i] >= 'A' && copy[i] <= 'Z' ? (char)(copy[i] | 0x20) : copy[i]);
        return out_end(&o);
    }
    if (idn2_lookup_u8((const uint8_t *)copy, &labels, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
        IDN2_OK)
        return -EINVAL;
    return give_labels(labels, buf, size);
}

int postern_domain_to_unicode(const char *domain, size_t len, char *buf, size_t size)
{
    char ascii[ADDRESS_DOMAIN_MAX + 1];
    char *labels = NULL;
    int n = postern_domain_to_ascii(domain, len, ascii, sizeof ascii);

    if (n < 0)
        return n;
    if (idn2_to_unicode_8z8z(ascii, &labels, IDN2_NONTRANSITIONAL) != IDN2_OK)
        return -EINVAL;
    return give_labels((uint8_t *)labels, buf, size);
}
