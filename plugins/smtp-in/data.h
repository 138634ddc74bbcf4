/* data.h: the content behind DATA (RFC 5321 4.1.1.4, 4.5.2), as a pure scanner: takes off the dots
 * of transparency, finds the end, and sees what has no place in a message.
 *
 * End of data is <CRLF>.<CRLF> and nothing else, whoever sends it: a server that also takes
 * <LF>.<LF>, <LF>.<CRLF>, <CRLF>.<LF> or <CR>.<CR> ends a message where others do not, and lets
 * strangers forge the next one (SMTP smuggling). */
#ifndef SMTPIN_DATA_H
#define SMTPIN_DATA_H

#include <stddef.h>
#include <stdint.h>

struct smtpin_data {
    uint8_t  state;
    uint8_t  normalise; /* set by the caller: a bare LF becomes CRLF and is no fault              */
    uint8_t  over;      /* the end was seen; what was not used comes after the message            */
    uint8_t  reserved;
    uint32_t faults; /* SMTPIN_DATA_*, of all so far                                              */
};
#define SMTPIN_DATA_BARE_LF 1u
#define SMTPIN_DATA_BARE_CR 2u
#define SMTPIN_DATA_NUL     4u

void smtpin_data_start(struct smtpin_data *d, int normalise);

/* After a fault the content is not to be used (but for a NUL, which stands for itself): it is only
 * followed to its end.
 *
 * Looks at the next bytes, at least one of them. Returns how many it has used (at least one,
 * perhaps not all: call it again with the rest, unless d->over), and what they mean as content:
 * *ret_out of *ret_len bytes, which may be 0; it points into `in` or to a constant. */
size_t smtpin_data_scan(struct smtpin_data *d, const char *in, size_t len, const char **ret_out,
                        size_t *ret_len);

#endif
