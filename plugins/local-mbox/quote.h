/* quote.h: what changes in a message that becomes part of an mbox: CRLF becomes LF, lines that look
 * like a separator are quoted ("mboxrd"), and an empty line ends it. See postern/delivery.h. */
#ifndef LOCAL_MBOX_QUOTE_H
#define LOCAL_MBOX_QUOTE_H

#include <postern/delivery.h>

struct quote { /* all zero, but for plain, at the start of a message */
    struct postern_lines lines;
    int plain; /* 1: it is to be a file of its own; only line ends change */
};

/* Room that quote_add needs for len bytes of input, and quote_end for its end. */
#define QUOTE_ROOM(len) POSTERN_LINES_ROOM(len)

/* Converts the next len bytes of a message into out, which has QUOTE_ROOM(len). Bytes written. */
size_t quote_add(struct quote *q, const char *in, size_t len, char *out);
/* The end of the message: what was held back, a line end if one is missing, and the empty line. */
size_t quote_end(struct quote *q, char *out);

#endif
