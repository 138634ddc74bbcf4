/* quote.h: what changes in a message that becomes part of an mbox: CRLF becomes LF, and lines that
 * look like a separator (">*From ") get one ">" more ("mboxrd", which can be undone exactly).
 * Pure. */
#ifndef LOCAL_MBOX_QUOTE_H
#define LOCAL_MBOX_QUOTE_H

#include <stddef.h>

struct quote {        /* all zero at the start of a message */
    int in_line;      /* past what may be ">*From "         */
    int matched;      /* bytes of "From " held back         */
    int cr;           /* a CR is held back                  */
    int last_not_eol; /* the output does not end in LF      */
};

/* Room that quote_add needs for len bytes of input, and quote_end for its end. */
#define QUOTE_ROOM(len) (2 * (len) + 8)

/* Converts the next len bytes of a message into out, which has QUOTE_ROOM(len). Bytes written. */
size_t quote_add(struct quote *q, const char *in, size_t len, char *out);
/* The end of the message: what was held back, a line end if one is missing, and the empty line. */
size_t quote_end(struct quote *q, char *out);

#endif
