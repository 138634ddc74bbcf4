/* wire.h: an address as this server can be told it. */
#ifndef SMTP_OUT_WIRE_H
#define SMTP_OUT_WIRE_H

#include <postern/mail.h>

/* utf8: the server takes SMTPUTF8. An international domain is written as A-labels for others; a
 * final dot, which no domain has in SMTP (RFC 5321 4.1.2), is left out for all. address itself, or
 * buf (POSTERN_ADDRESS_SIZE bytes); NULL: it can't be written for this server. */
const char *wire_address(const char *address, int utf8, char *buf);

int wire_is_8bit(const char *text);

#endif
