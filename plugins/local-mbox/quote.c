/* quote.c: see quote.h. The input comes in pieces, cut anywhere; what can't be judged yet is held
 * back.
 *
 * One ">" more before ">>From " is the same as one more behind the first two, so that only "From "
 * itself has to be held back. */
#include "quote.h"

#include <string.h>

static const char from[] = "From ";
#define FROM_LEN ((int)sizeof from - 1)

/* The start of a line, until it is known what it is. Returns bytes taken from the input. */
static size_t line_start(struct quote *q, const char *in, size_t len, char **out)
{
    size_t i = 0;

    for (; i < len && !q->in_line; i++) {
        if (in[i] == '>' && !q->matched) {
            *(*out)++ = '>';
        } else if (in[i] == from[q->matched]) {
            if (++q->matched < FROM_LEN)
                continue;
            *(*out)++ = '>';
            q->in_line = 1;
            i++;
            break;
        } else {
            q->in_line = 1;
            break;
        }
    }
    if (q->in_line) {
        memcpy(*out, from, (size_t)q->matched);
        *out += q->matched;
        q->matched = 0;
    }
    return i;
}

/* The rest of a line. A CR is held back until what follows is known. Returns bytes taken. */
static size_t line_rest(struct quote *q, const char *in, size_t len, char **out)
{
    const char *lf = memchr(in, '\n', len);
    size_t n = lf ? (size_t)(lf - in) : len;

    if (q->cr && n) {
        *(*out)++ = '\r';
        q->cr = 0;
    }
    if (n && in[n - 1] == '\r') {
        q->cr = 1;
        memcpy(*out, in, n - 1);
        *out += n - 1;
    } else {
        memcpy(*out, in, n);
        *out += n;
    }
    if (!lf)
        return n;
    *(*out)++ = '\n';
    q->cr = 0;
    q->in_line = 0;
    return n + 1;
}

size_t quote_add(struct quote *q, const char *in, size_t len, char *out)
{
    char *start = out;
    size_t i = 0;

    while (i < len) {
        if (!q->in_line)
            i += line_start(q, in + i, len - i, &out);
        if (i < len && q->in_line)
            i += line_rest(q, in + i, len - i, &out);
    }
    if (out > start)
        q->last_not_eol = out[-1] != '\n';
    return (size_t)(out - start);
}

size_t quote_end(struct quote *q, char *out)
{
    char *start = out;

    memcpy(out, from, (size_t)q->matched);
    out += q->matched;
    if (q->cr)
        *out++ = '\r';
    if (out > start || q->last_not_eol)
        *out++ = '\n';
    *out++ = '\n';
    memset(q, 0, sizeof *q);
    return (size_t)(out - start);
}
