/* Local parts with and without their quotes (RFC 5321 4.1.2 Quoted-string). For every plain text
 * that quote() takes, unquote(quote(text)) is that text. */
#include <postern/mail.h>

#include <errno.h>

#include "address/address.h"
#include "address/out.h"
#include "address/utf8.h"

int postern_address_unquote(const char *local, size_t len, char *buf, size_t size)
{
    struct out o = out_to(buf, size);
    int quoted = len > 0 && local[0] == '"';

    for (size_t i = quoted ? 1 : 0; i < len; i++) {
        if (quoted && local[i] == '"')
            break;
        if (quoted && local[i] == '\\' && i + 1 < len)
            i++;
        out_char(&o, local[i]);
    }
    return out_end(&o);
}

int address_plain_kind(const char *plain, size_t len)
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
    struct out o = out_to(buf, size);
    int kind = address_plain_kind(plain, len);

    if (kind < 0)
        return kind;
    if (!kind)
        out_char(&o, '"');
    for (size_t i = 0; i < len; i++) {
        if (plain[i] == '"' || plain[i] == '\\')
            out_char(&o, '\\');
        out_char(&o, plain[i]);
    }
    if (!kind)
        out_char(&o, '"');
    return out_end(&o);
}
