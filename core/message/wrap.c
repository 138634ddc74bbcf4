/* Lines for notices and header fields, from text that nobody has vetted. */
#include "message/wrap.h"

#include <string.h>

#include "address/utf8.h"

/* A copy without anything that could end a line, drive a terminal or spoil a charset. */
static void clean(struct buf *out, const char *text, int utf8)
{
    size_t len = strlen(text);

    buf_reserve(out, len);
    for (size_t i = 0; i < len;) {
        size_t n = utf8_char(text + i, len - i);

        if (strchr(" \t\r\n", text[i]))
            buf_addc(out, ' ');
        else if (!n || (n > 1 && !utf8) || utf8_is_control(text + i, n))
            buf_addc(out, '?');
        else
            buf_add(out, text + i, n);
        i += n ? n : 1;
    }
}

/* How much of the text goes on a line that has room for `room` bytes. */
static size_t line_length(const char *text, size_t len, size_t room, size_t hard)
{
    size_t at;

    if (len <= room)
        return len;
    for (at = room + 1; at > 0; at--) {
        if (text[at - 1] == ' ')
            return at - 1;
    }
    /* A word longer than a line gets a longer line, as far as there is one. */
    for (at = room; at < len && at < hard; at++) {
        if (text[at] == ' ')
            return at;
    }
    if (at == len)
        return at;
    while (at > 1 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--; /* not within a character */
    return at;
}

void wrap_add(struct buf *out, const struct wrap *w, const char *text)
{
    struct buf line = { 0 };
    const char *prefix = w->first;
    size_t at = 0;

    clean(&line, text, w->utf8);
    do {
        size_t used = strlen(prefix), n;
        size_t room = w->width > used ? w->width - used : 1;
        size_t hard = WRAP_HARD > used ? WRAP_HARD - used : 1;

        while (at < line.len && line.data[at] == ' ')
            at++;
        n = line_length(line.data + at, line.len - at, room, hard);
        buf_adds(out, prefix);
        buf_add(out, line.data + at, n);
        buf_adds(out, "\r\n");
        at += n;
        while (at < line.len && line.data[at] == ' ')
            at++;
        prefix = w->rest;
    } while (at < line.len);
    buf_free(&line);
}
