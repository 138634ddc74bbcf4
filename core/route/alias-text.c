/* From the bytes of a file to plain text: one encoding, one line end, no control characters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "address/utf8.h"
#include "route/alias-read.h"

static int is_utf8(const char *p, const char *end)
{
    while (p < end) {
        size_t n = utf8_char(p, (size_t)(end - p));

        if (!n)
            return 0;
        p += n;
    }
    return 1;
}

static void widen(struct alias_text *t)
{
    char *out = mem_alloc(2 * t->len + 1);
    int n = postern_text_decode(t->data, t->len, out, 2 * t->len + 1);

    free(t->data);
    t->data = out;
    t->len = (size_t)n; /* there was room */
}

static void one_line_end(struct alias_text *t)
{
    char *q = memchr(t->data, '\r', t->len), *end = t->data + t->len;

    if (!q)
        return;
    for (const char *p = q; p < end; p++) {
        if (*p != '\r')
            *q++ = *p;
        else if (p + 1 == end || p[1] != '\n')
            *q++ = '\n';
    }
    t->len = (size_t)(q - t->data);
    *q = '\0';
}

/* The first control character, or NULL. A form feed between pages of a listing is a blank. */
static const char *find_control(struct alias_text *t)
{
    char *end = t->data + t->len;

    for (char *p = t->data; p < end; p++) {
        unsigned char c = (unsigned char)*p;

        if (c == '\f')
            *p = ' ';
        else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            return p;
        else if (c == 0xc2 && utf8_is_control(p, 2))
            return p;
    }
    return NULL;
}

int alias_text_decode(struct alias_text *t, const char *file, struct alias_report *report)
{
    struct alias_reader r;
    const char *control;
    int mcs;

    while (t->len && !t->data[t->len - 1])
        t->len--; /* VMS fills up the last block */
    if (t->len >= 3 && memcmp(t->data, "\xef\xbb\xbf", 3) == 0)
        memmove(t->data, t->data + 3, t->len -= 3);
    mcs = !is_utf8(t->data, t->data + t->len);
    if (mcs)
        widen(t);
    t->data[t->len] = '\0';
    one_line_end(t);
    control = find_control(t);
    alias_reader_init(&r, file, t, NULL, report);
    if (control) {
        r.p = control;
        for (const char *p = r.start; p < control; p++)
            r.line += *p == '\n';
        return alias_error(&r, control, "found a control character (code %u), expected text",
                           (unsigned char)control[(unsigned char)*control == 0xc2]);
    }
    if (mcs)
        config_error(&report->warnings, file, NULL,
                     "not UTF-8: read as DEC Multinational (Latin-1)");
    return 0;
}
