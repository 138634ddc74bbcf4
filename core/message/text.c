/* Status codes, and text from outside made fit for one line of a log, a terminal or a reply. */
#include <postern/mail.h>

#include <string.h>

#include "address/utf8.h"

/* One to three digits: bytes read, or 0. */
static size_t parse_number(const char *text, uint16_t *ret)
{
    size_t n = 0;
    unsigned value = 0;

    while (n < 3 && text[n] >= '0' && text[n] <= '9')
        value = value * 10 + (unsigned)(text[n++] - '0');
    *ret = (uint16_t)value;
    return n;
}

size_t postern_status_parse(const char *text, uint16_t ret_status[3])
{
    uint16_t status[3];
    size_t at = 0;

    if (text[0] != '2' && text[0] != '4' && text[0] != '5')
        return 0;
    for (int i = 0; i < 3; i++) {
        size_t n;

        if (i > 0 && text[at++] != '.')
            return 0;
        n = parse_number(text + at, &status[i]);
        if (n == 0 || (i == 0 && n != 1))
            return 0;
        at += n;
    }
    /* "5.1.1234" and "5.1.1.2" (part of an address, say) are something else. */
    if ((text[at] >= '0' && text[at] <= '9') ||
        (text[at] == '.' && text[at + 1] >= '0' && text[at + 1] <= '9'))
        return 0;
    memcpy(ret_status, status, sizeof status);
    return at;
}

char *postern_text_clean(const char *text, size_t len, char *buf, size_t size)
{
    size_t out = 0;

    if (size == 0)
        return buf;
    for (size_t i = 0; i < len;) {
        size_t n = utf8_char(text + i, len - i);
        int bad = !n || utf8_is_control(text + i, n);
        size_t width = bad ? 1 : n;

        if (out + width >= size)
            break; /* a character is never cut in two */
        if (bad)
            buf[out] = '?';
        else
            memcpy(buf + out, text + i, n);
        out += width;
        i += n ? n : 1;
    }
    buf[out] = 0;
    return buf;
}
