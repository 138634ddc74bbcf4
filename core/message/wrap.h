/* message/wrap.h: text of any origin as lines that every mail program takes: CRLF, without control
 * characters, broken at blanks where that is possible, and never longer than RFC 5322 2.1.1
 * allows. */
#ifndef MESSAGE_WRAP_H
#define MESSAGE_WRAP_H

#include <stddef.h>

#include "util/buf.h"

#define WRAP_WIDTH 76u  /* where people like lines to end                  */
#define WRAP_HARD  990u /* where a word is cut: 998 without CRLF, and spare */

struct wrap {
    const char *first, *rest; /* what the first line and the others begin with */
    size_t      width;        /* WRAP_WIDTH, or WRAP_HARD to leave lines alone  */
    int         utf8;         /* 1: valid UTF-8 stays, 0: becomes '?'           */
};
/* Adds one paragraph. Line ends and tabs in the text count as blanks. */
void wrap_add(struct buf *out, const struct wrap *w, const char *text);

#endif
