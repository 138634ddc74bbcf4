/* address/utf8.h: what a well-formed UTF-8 character is (RFC 3629 4). */
#ifndef ADDRESS_UTF8_H
#define ADDRESS_UTF8_H

#include <stddef.h>

/* Bytes of the character at text, of which len bytes are there; 0 when it is not well-formed: no
 * overlong forms, no surrogates, nothing above U+10FFFF, nothing cut short. len is at least 1. */
static inline size_t utf8_char(const char *text, size_t len)
{
    const unsigned char *c = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xbf;
    size_t n;

    if (c[0] < 0x80)
        return 1;
    if (c[0] < 0xc2 || c[0] > 0xf4)
        return 0;
    n = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    if (len < n)
        return 0;
    if (c[0] == 0xe0)
        low = 0xa0;
    else if (c[0] == 0xed)
        high = 0x9f;
    else if (c[0] == 0xf0)
        low = 0x90;
    else if (c[0] == 0xf4)
        high = 0x8f;
    if (c[1] < low || c[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

/* The characters that drive terminals: C0, DEL, and C1 (U+0080 to U+009F) in UTF-8. */
static inline int utf8_is_control(const char *text, size_t n)
{
    const unsigned char *c = (const unsigned char *)text;

    return n == 1 ? c[0] < 0x20 || c[0] == 0x7f : n == 2 && c[0] == 0xc2 && c[1] < 0xa0;
}

#endif
