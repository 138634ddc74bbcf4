/* cli/input.c: see input.h.
 *
 * RFC 5322 allows CR and LF only together, and no NUL. What servers make of a lone one differs, and
 * that is how one message becomes two (SMTP smuggling); so it must not leave here.
 *
 * A CR inside of a line is what programs write that draw progress bars, and cron mails their
 * output: in a body it ends the line, as it did on the terminal. In a header that would let whoever
 * has a say in a Subject begin a field of his own; there it becomes a blank, as Postfix does it.
 *
 * A NUL means that this is no text. Leaving it out would change what was sent, so nothing is. */
#include "cli/input.h"

#include <sysexits.h>

#include "cli/cli.h"

struct input {
    struct buf *out;
    size_t line;       /* its number, from 1 */
    size_t line_start; /* where it begins in out */
    size_t crs;        /* CRs read and not yet written: who knows what follows them */
    int in_header;
};

static void put_bare_crs(struct input *s)
{
    for (; s->crs; s->crs--)
        buf_adds(s->out, s->in_header ? " " : "\r\n");
}

/* 1: this line is the lone dot that ends the message; it is taken off. */
static int end_line(struct input *s, int dot_ends)
{
    size_t len = s->out->len - s->line_start;

    if (dot_ends && len == 1 && s->out->data[s->line_start] == '.') {
        s->out->len = s->line_start;
        return 1;
    }
    if (!len)
        s->in_header = 0;
    buf_adds(s->out, "\r\n");
    s->crs = 0; /* they were part of the line's end */
    s->line++;
    s->line_start = s->out->len;
    return 0;
}

static int refuse_nul(const struct input *s)
{
    return cli_error(EX_DATAERR,
                     "line %zu of the message has a NUL byte, which mail can't carry; send such "
                     "data as an encoded attachment",
                     s->line);
}

int input_read(FILE *in, int dot_ends, uint64_t max, struct buf *out)
{
    struct input s = { .out = out, .line = 1, .line_start = out->len, .in_header = 1 };
    int c, ended = 0;

    while (!ended && (c = getc_unlocked(in)) != EOF) {
        if (!c)
            return refuse_nul(&s);
        if (c == '\n') {
            ended = end_line(&s, dot_ends);
        } else if (c == '\r') {
            s.crs++;
        } else {
            put_bare_crs(&s);
            buf_addc(out, (char)c);
        }
        if (max && out->len + s.crs > max)
            return cli_error(EX_DATAERR, "the message is larger than this gateway accepts");
    }
    if (ferror(in))
        return cli_error(EX_IOERR, "standard input can't be read");
    if (!ended && out->len + s.crs > s.line_start)
        end_line(&s, dot_ends);
    return 0;
}
