/* A value from outside, made fit for a pair of a log line: for the core, and for plugins. */
#include <postern/mail.h>

#include <string.h>

static int is_plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '=' || s[i] == '\\')
            return 0;
    }
    return len > 0;
}

/* c as it stands between quotes: its bytes, at most 4. */
static size_t escape(unsigned char c, char out[4])
{
    static const char digits[] = "0123456789abcdef";

    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c >= 0x20 && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[c >> 4];
    out[3] = digits[c & 15];
    return 4;
}

char *postern_log_value(const char *text, size_t len, char *buf, size_t size)
{
    size_t n = 0;

    if (size < 3) { /* not even quotes */
        if (size)
            *buf = '\0';
        return buf;
    }
    if (len < size && is_plain(text, len)) {
        memcpy(buf, text, len);
        buf[len] = '\0';
        return buf;
    }
    buf[n++] = '"';
    for (size_t i = 0; i < len; i++) {
        char one[4];
        size_t more = escape((unsigned char)text[i], one);

        if (n + more + 2 > size)
            break; /* what is escaped is never cut in two */
        memcpy(buf + n, one, more);
        n += more;
    }
    buf[n++] = '"';
    buf[n] = '\0';
    return buf;
}
