/* Text of unknown encoding to UTF-8. */
#include <postern/mail.h>

#include <errno.h>
#include <string.h>

#include "address/utf8.h"

static int is_utf8(const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_char(text + i, len - i);
        if (!n)
            return 0;
    }
    return 1;
}

/* DEC MCS is Latin-1 with other letters in five places, and nothing in some where Latin-1 has
 * something; those are read as Latin-1. All of it takes two bytes of UTF-8. */
static unsigned mcs_char(unsigned char c)
{
    switch (c) {
    case 0xa8:
        return 0xa4; /* currency sign */
    case 0xd7:
        return 0x152; /* OE */
    case 0xdd:
        return 0x178; /* Y with diaeresis */
    case 0xf7:
        return 0x153; /* oe */
    case 0xfd:
        return 0xff; /* y with diaeresis */
    default:
        return c;
    }
}

int postern_text_decode(const char *text, size_t len, char *buf, size_t size)
{
    int utf8 = is_utf8(text, len);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned c = utf8 ? (unsigned char)text[i] : mcs_char((unsigned char)text[i]);
        int whole = utf8 || c < 0x80;

        if (n + (whole ? 1 : 2) >= size)
            return -ENOBUFS;
        if (whole) {
            buf[n++] = text[i];
        } else {
            buf[n++] = (char)(0xc0 | c >> 6);
            buf[n++] = (char)(0x80 | (c & 0x3f));
        }
    }
    if (n >= size)
        return -ENOBUFS;
    buf[n] = '\0';
    return (int)n;
}
