/* message/envelope.h: who a message is from and to, and what has become of each recipient, in
 * memory and as the bytes that the spool keeps (MESSAGE and STATE records).
 *
 * A million of these may be in memory: one allocation each, strings packed behind the struct. */
#ifndef MESSAGE_ENVELOPE_H
#define MESSAGE_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

#define ENVELOPE_MAX_RCPTS 1000000u

/* flags beside POSTERN_MAIL_8BIT and _UTF8 */
#define ENVELOPE_POSTMASTER 0x100u /* a notice to the postmaster: if it fails it is held */
#define ENVELOPE_BOUNCE     0x200u /* a DSN that we made */

enum rcpt_status {
    RCPT_WAITING = 0,   /* to be tried */
    RCPT_DELIVERED = 1,
    RCPT_FAILED = 2,    /* failed, its DSN is not durable yet */
    RCPT_DONE = 3,      /* failed and reported, or removed, or discarded */
    RCPT_HELD = 4
};

/* The closed list of reasons for which a recipient waits. */
enum wait_reason {
    WAIT_NEW = 0,         /* not tried yet                       */
    WAIT_BACKOFF = 1,     /* deferred, until its next try        */
    WAIT_LIMIT = 2,       /* its destination's concurrency is used up */
    WAIT_HOST_DEAD = 3,   /* its destination is not reachable, until the next probe */
    WAIT_PLUGIN = 4,      /* its transport is down or missing    */
    WAIT_DNS = 5,         /* names did not resolve               */
    WAIT_HELD = 6,        /* on hold: by an operator, a rule, or for safety; the text says which */
    WAIT_IN_FLIGHT = 7,   /* being delivered now                 */
    WAIT_SPOOL = 8,       /* its bounce could not be written yet */
    WAIT_HOURS = 9        /* its queue group delivers at other hours */
};
const char *wait_reason_name(int reason); /* "backoff", "destination limit", ... */

struct envelope {
    int64_t  received_usec; /* wall clock */
    uint32_t flags;         /* POSTERN_MAIL_*, ENVELOPE_* */
    uint32_t rcpt_n;
    uint32_t text_len;      /* of the packed strings */
    uint16_t hops;          /* Received fields counted */
    char     text[];        /* sender, ingress, client, then recipients, each NUL-terminated */
};

struct envelope_new { /* how to make one */
    int64_t            received_usec;
    uint32_t           flags;
    uint16_t           hops;
    const char        *sender, *ingress, *client; /* NULL as "" */
    size_t             rcpt_n;
    const char *const *rcpts;
    const char        *packed; /* instead of rcpts: one behind the other, each with its NUL */
    size_t             packed_len;
};

struct envelope *envelope_new(const struct envelope_new *from); /* caller frees with free() */
const char      *envelope_sender(const struct envelope *e);
const char      *envelope_ingress(const struct envelope *e);
const char      *envelope_client(const struct envelope *e);
const char      *envelope_rcpt(const struct envelope *e, size_t i); /* walks: O(i) */
const char      *envelope_first_rcpt(const struct envelope *e);     /* then envelope_next_text */
const char      *envelope_next_text(const char *s);

void envelope_encode(const struct envelope *e, struct buf *out);
/* 0, -EBADMSG for bytes that envelope_encode cannot have written. */
int envelope_decode(const void *data, size_t len, struct envelope **ret);

#endif
