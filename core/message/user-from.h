/* message/user-from.h: "/FROM=user@domain" as the first line of a body, by which a user says whom
 * his message is from (TCPware's SMTP_ALLOW_USER_FROM). */
#ifndef MESSAGE_USER_FROM_H
#define MESSAGE_USER_FROM_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

#define USER_FROM_LINE_MAX 2048u /* bytes of that line, its end included */

/* Is the line such a one? Case does not matter, and there may be blanks around. 1: *ret is the
 * address, inside of the line; 0: it is not; -EINVAL: but for the address, *reterr_why says why.
 * flags: of postern_address_parse. */
int user_from_parse(const char *line, size_t len, uint32_t flags, const char **ret, size_t *ret_len,
                    const char **reterr_why);

/* Adds the header section, which ends with a line end, to out, with the address in From. What was
 * in From is in Sender then, unless there is one already; of several authors it is the first, for
 * Sender takes but one (RFC 5322 3.6.2). 0, or -EEXIST: there are several From fields, nothing is
 * added. */
int user_from_apply(const char *head, size_t len, const char *address, size_t address_len,
                    struct buf *out);

#endif
