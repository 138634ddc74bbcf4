/* quote.c: see quote.h. */
#include "quote.h"

#include <string.h>

static struct postern_lines *prepared(struct quote *q)
{
    q->lines.size = sizeof q->lines;
    q->lines.flags = q->plain ? 0 : POSTERN_LINES_QUOTE | POSTERN_LINES_GAP;
    return &q->lines;
}

size_t quote_add(struct quote *q, const char *in, size_t len, char *out)
{
    return postern_lines_add(prepared(q), in, len, out);
}

size_t quote_end(struct quote *q, char *out)
{
    size_t n = postern_lines_end(prepared(q), out);

    memset(q, 0, sizeof *q);
    return n;
}
