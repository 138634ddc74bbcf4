/* message/dsn-human.h: the part of a DSN that is read by people. */
#ifndef MESSAGE_DSN_HUMAN_H
#define MESSAGE_DSN_HUMAN_H

#include "message/dsn.h"

enum dsn_kind { DSN_FAILED, DSN_DELAYED, DSN_OTHER };

enum dsn_kind dsn_kind(const struct dsn *d); /* the worst that it reports */
const char   *dsn_subject(const struct dsn *d);
/* The text, CRLF lines. whole: the original follows whole, not only its headers. */
void dsn_human(const struct dsn *d, int whole, struct buf *out);

#endif
