/* data.c: see data.h.
 *
 * The unit of work is a stretch: as many bytes as mean themselves, over any number of lines, up to
 * the next dot at the start of a line. Content is looked through by memchr, never byte by byte; the
 * state is only for what may be cut by the end of the buffer: a line's start, a dot, a CR.
 *
 * After a bare LF that is normalised, a dot at the start of the line is transparency's if more
 * follows on the line, and content if it stands alone: it cannot be the end of data there. */
#include "data.h"

#include <string.h>

enum {
    LINE,      /* after CRLF, or at the very start                                                */
    LINE_LF,   /* after a bare LF                                                                 */
    MIDDLE,    /* in a line                                                                       */
    MIDDLE_CR, /* in a line, after a CR that is out already                                       */
    DOT,       /* after CRLF "."; the dot is held back                                            */
    DOT_CR,    /* after CRLF "." CR; dot and CR are held back                                     */
    DOT_LF,    /* after a bare LF and "."                                                         */
    DOT_LF_CR  /* after a bare LF and "." CR                                                      */
};

void smtpin_data_start(struct smtpin_data *d, int normalise)
{
    /* DATA's own line end is the CRLF before the first line: an empty message is "." CRLF. */
    *d = (struct smtpin_data){ .state = LINE, .normalise = (uint8_t)(normalise != 0) };
}

static size_t give(const char **ret_out, size_t *ret_len, const char *out, size_t len, size_t used)
{
    *ret_out = out;
    *ret_len = len;
    return used;
}

static void bare_cr(struct smtpin_data *d)
{
    d->faults |= SMTPIN_DATA_BARE_CR;
}

static void bare_lf(struct smtpin_data *d)
{
    if (!d->normalise)
        d->faults |= SMTPIN_DATA_BARE_LF;
}

/* Does this line have a CR before its CRLF or bare LF at `end`? */
static void look_for_cr(struct smtpin_data *d, const char *line, const char *end)
{
    if (memchr(line, '\r', (size_t)(end - line)))
        bare_cr(d);
}

/* The last line of the buffer, whose end has not come yet. */
static void open_line(struct smtpin_data *d, const char *line, const char *end)
{
    int cr = end[-1] == '\r';

    look_for_cr(d, line, end - cr);
    d->state = cr ? MIDDLE_CR : MIDDLE;
}

/* From the middle of a line (not behind a CR, not at a held dot) as far as it goes. */
static size_t stretch(struct smtpin_data *d, const char *in, size_t len)
{
    const char *p = in, *end = in + len, *lf;

    while ((lf = memchr(p, '\n', (size_t)(end - p)))) {
        if (lf == p || lf[-1] != '\r') {
            look_for_cr(d, p, lf);
            bare_lf(d);
            /* What stands before it goes out first, it is written as CRLF in the next call. */
            if (d->normalise) {
                d->state = MIDDLE;
                return (size_t)(lf - in);
            }
            d->state = LINE_LF;
        } else {
            look_for_cr(d, p, lf - 1);
            d->state = LINE;
        }
        p = lf + 1;
        if (p == end || *p == '.')
            return (size_t)(p - in);
    }
    open_line(d, p, end);
    return len;
}

/* The first byte decides what was held back. Returns how many bytes were used, with their meaning;
 * or 0 when the byte is the first of a stretch. */
static size_t first_byte(struct smtpin_data *d, char c, const char **ret_out, size_t *ret_len)
{
    switch (d->state) {
    case LINE:
    case LINE_LF:
        if (c != '.')
            break;
        d->state = d->state == LINE ? DOT : DOT_LF;
        return give(ret_out, ret_len, "", 0, 1);
    case MIDDLE_CR:
        if (c == '\n') {
            d->state = LINE;
            return give(ret_out, ret_len, "\n", 1, 1);
        }
        bare_cr(d);
        break;
    case DOT:
    case DOT_LF:
        if (c == '\r') {
            d->state = d->state == DOT ? DOT_CR : DOT_LF_CR;
            return give(ret_out, ret_len, "", 0, 1);
        }
        if (c != '\n')
            break;
        bare_lf(d);
        d->state = LINE_LF;
        return give(ret_out, ret_len, ".\r\n", 3, 1);
    case DOT_CR:
    case DOT_LF_CR:
        if (c == '\n') {
            d->over = d->state == DOT_CR;
            d->state = LINE;
            return give(ret_out, ret_len, ".\r\n", d->over ? 0 : 3, 1);
        }
        bare_cr(d);
        break;
    default:
        break;
    }
    if (c == '\n') { /* an empty line, or the rest of one, with a bare LF */
        bare_lf(d);
        d->state = LINE_LF;
        return give(ret_out, ret_len, "\r\n", 2, 1);
    }
    return 0;
}

size_t smtpin_data_scan(struct smtpin_data *d, const char *in, size_t len, const char **ret_out,
                        size_t *ret_len)
{
    size_t used = first_byte(d, *in, ret_out, ret_len);

    if (used)
        return used;
    used = stretch(d, in, len);
    if (memchr(in, 0, used))
        d->faults |= SMTPIN_DATA_NUL;
    return give(ret_out, ret_len, in, used, used);
}
