/* message/dsn.h: delivery status notifications, RFC 3464 in an RFC 6522 multipart/report.
 *
 * Text in, text out: who sends it and where it is kept is the queue's business. */
#ifndef MESSAGE_DSN_H
#define MESSAGE_DSN_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

struct dsn_rcpt {
    const char *rcpt;       /* final recipient (as routed) */
    const char *original;   /* as accepted, or NULL when the same */
    const char *action;     /* "failed", "delayed", ... */
    uint16_t    status[3];
    const char *diagnostic; /* may be NULL */
    const char *diagnostic_type; /* "smtp" or NULL for x-postern */
    const char *remote;     /* Remote-MTA, may be NULL */
    int64_t     last_attempt_usec; /* wall, 0: unknown */
};

/* In notices to the postmaster, so that one that has been on its way through other hosts is known
 * again when it fails: nobody is told of that. */
#define DSN_NOTICE_FIELD "Postern-Notice"

struct dsn {
    const char *hostname;
    const char *from;     /* "MAILER-DAEMON@host" */
    const char *to;       /* whom it is sent to */
    const char *queue_id; /* of the message it is about */
    const char *sender;   /* original sender ("" for null) */
    int64_t     arrived_usec; /* wall */
    int64_t     now_usec;     /* wall */
    int         to_postmaster; /* 1: a double bounce or notice: says so in the text */
    size_t      rcpt_n;
    const struct dsn_rcpt *rcpts;
    const char *head;     /* start of the original content, at least the whole header section */
    size_t      head_len;
    uint64_t    content_size;
    uint64_t    body_max; /* return up to this many bytes of body: the whole message as
                             message/rfc822 when it fits in head, else text/rfc822-headers with the
                             full header section */
    int         utf8;     /* original used SMTPUTF8: message/global types (RFC 6533) */
};

/* Composes the whole message (headers, CRLF lines). */
void dsn_compose(const struct dsn *d, struct buf *out);

#endif
