/* reply.h: one SMTP reply, read line by line (RFC 5321 4.2). Pure: bytes in, facts out. */
#ifndef SMTP_OUT_REPLY_H
#define SMTP_OUT_REPLY_H

#include <stddef.h>
#include <stdint.h>

#define REPLY_LINE_MAX  4096u /* bytes; RFC 5321 4.5.3.1.5 asks for 512, real servers send more */
#define REPLY_LINES_MAX 100u
#define REPLY_TEXT_MAX  1024u /* what is kept of the whole reply, for diagnostics */

struct reply {
    uint16_t    code;      /* 200 to 599; 0 before the first line */
    uint16_t    lines;     /* taken so far */
    uint16_t    status[3]; /* RFC 2034, of the first line; 0: none, or it contradicts the code */
    uint16_t    reserved;
    size_t      text_len;
    char        text[REPLY_TEXT_MAX]; /* all lines as one, clean: "550 5.1.1 no such user; bye" */
    const char *line; /* the last line's text after the code; borrowed from the caller */
    size_t      line_len;
};

void reply_reset(struct reply *r);

/* Takes one line without its terminator. 1: the reply is complete; 0: more lines follow; -EPROTO:
 * this is no SMTP reply; -E2BIG: it has too many lines; -EMSGSIZE: the line is too long. */
int reply_line(struct reply *r, const char *line, size_t len);

#endif
