/* wire.c: an address as this server can be told it (RFC 5321 4.1.2, RFC 6531 3.2, RFC 5890). */
#include "wire.h"

#include <string.h>

int wire_is_8bit(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text >= 0x80)
            return 1;
    }
    return 0;
}

static const char *without_dot(const char *address, size_t len, char *buf)
{
    if (len >= POSTERN_ADDRESS_SIZE)
        return address;
    memcpy(buf, address, len - 1);
    buf[len - 1] = '\0';
    return buf;
}

/* The local part is ASCII: only the domain is to be put otherwise. */
static const char *a_labels(const char *address, const char *domain, char *buf)
{
    size_t local = (size_t)(domain - address);
    int n;

    if (local >= POSTERN_ADDRESS_SIZE)
        return NULL;
    n = postern_domain_to_ascii(domain, strlen(domain), buf + local, POSTERN_ADDRESS_SIZE - local);
    if (n < 0 || local + (size_t)n >= POSTERN_ADDRESS_SIZE)
        return NULL;
    memcpy(buf, address, local);
    buf[local + (size_t)n] = '\0';
    return buf;
}

const char *wire_address(const char *address, int utf8, char *buf)
{
    const char *at = strrchr(address, '@');
    size_t len = strlen(address);

    if (!utf8 && wire_is_8bit(address)) {
        for (const char *p = address; at && p < at; p++) {
            if ((unsigned char)*p >= 0x80)
                return NULL;
        }
        return at ? a_labels(address, at + 1, buf) : NULL;
    }
    return at && address[len - 1] == '.' && at + 2 < address + len ? without_dot(address, len, buf)
                                                                   : address;
}
