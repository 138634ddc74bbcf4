/* address/out.h: a writer into a caller's buffer that keeps room for the NUL. */
#ifndef ADDRESS_OUT_H
#define ADDRESS_OUT_H

#include <errno.h>
#include <limits.h>
#include <stddef.h>

struct out {
    char  *buf;
    size_t len, size;
    int    full; /* once something did not fit */
};

static inline struct out out_to(char *buf, size_t size)
{
    return (struct out){ buf, 0, size, 0 };
}

static inline void out_char(struct out *o, char c)
{
    if (o->len + 1 < o->size && o->len < INT_MAX)
        o->buf[o->len++] = c;
    else
        o->full = 1;
}

static inline void out_text(struct out *o, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out_char(o, text[i]);
}

/* Ends the text. Its bytes, or -ENOBUFS. */
static inline int out_end(struct out *o)
{
    if (o->full || o->size == 0)
        return -ENOBUFS;
    o->buf[o->len] = 0;
    return (int)o->len;
}

#endif
