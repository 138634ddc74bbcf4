/* Local parts with and without their quotes (RFC 5321 4.1.2 Quoted-string). For every plain text
 * that quote() takes, unquote(quote(text)) is that text. */
#include <postern/mail.h>

#include <errno.h>
#include <limits.h>

#include "address/address.h"
#include "address/utf8.h"

/* A writer that keeps room for the NUL; `full` once something did not fit. */
struct out {
    char *buf;
    size_t len, size;
    int full;
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size && o->len < INT_MAX)
        o->buf[o->len++] = c;
    else
        o->full = 1;
}

static int put_end(struct out *o)
{
    if (o->full || o->size == 0)
        return -ENOBUFS;
    o->buf[o->len] = 0;
    return (int)o->len;
}

int postern_address_unquote(const char *local, size_t len, char *buf, size_t size)
{
    struct out o = { buf, 0, size, 0 };
    int quoted = len > 0 && local[0] == '"';

    for (size_t i = quoted ? 1 : 0; i < len; i++) {
        if (quoted && local[i] == '"')
            break;
        if (quoted && local[i] == '\\' && i + 1 < len)
            i++;
        put(&o, local[i]);
    }
    return put_end(&o);
}

/* 1: a dot-string as it stands; 0: needs quotes; -EINVAL: cannot be written at all. */
static int plain_kind(const char *plain, size_t len)
{
    int dot_string = len > 0 && plain[0] != '.' && plain[len - 1] != '.';

    for (size_t i = 0; i < len;) {
        size_t n = utf8_char(plain + i, len - i);

        if (!n || utf8_is_control(plain + i, n))
            return -EINVAL;
        if (plain[i] == '.')
            dot_string &= i + 1 < len && plain[i + 1] != '.';
        else if (n == 1)
            dot_string &= address_is_atext(plain[i]);
        i += n;
    }
    return dot_string;
}

int postern_address_quote(const char *plain, size_t len, char *buf, size_t size)
{
    struct out o = { buf, 0, size, 0 };
    int kind = plain_kind(plain, len);

    if (kind < 0)
        return kind;
    if (!kind)
        put(&o, '"');
    for (size_t i = 0; i < len; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            put(&o, '\\');
        put(&o, plain[i]);
    }
    if (!kind)
        put(&o, '"');
    return put_end(&o);
}
