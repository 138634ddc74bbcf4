/* postern/types.h: the words that the host and its plugins share.
 *
 * Handles are opaque: they are made by the host, passed back to it, and never looked into. */
#ifndef POSTERN_TYPES_H
#define POSTERN_TYPES_H

#include <postern/abi.h>

typedef struct postern_host    postern_host;    /* one plugin instance's door to its worker     */
typedef struct postern_job     postern_job;     /* one message for one next hop, in flight      */
typedef struct postern_submit  postern_submit;  /* one message on its way into the spool        */
typedef struct postern_stream  postern_stream;  /* one connection                               */
typedef struct postern_tls     postern_tls;     /* certificates and policy for streams          */
typedef struct postern_content postern_content; /* the content of a message: headers and body   */
typedef struct postern_lookup  postern_lookup;  /* one question to a directory (since 1.1)      */

/* Completion of an asynchronous call: exactly once, from the loop, never before the call that
 * started it has returned. result is 0 or -errno unless the call says otherwise. */
typedef void postern_done(void *ctx, int result);

/* A watched descriptor is ready; as often as it is. events: POSTERN_READ | POSTERN_WRITE. */
typedef void postern_ready(void *ctx, unsigned events);
#define POSTERN_READ  1u
#define POSTERN_WRITE 2u

enum postern_level {
    POSTERN_LOG_ERROR = 3, /* the numbers are syslog's */
    POSTERN_LOG_WARNING = 4,
    POSTERN_LOG_NOTICE = 5,
    POSTERN_LOG_INFO = 6,
    POSTERN_LOG_DEBUG = 7
};

/* What became of one recipient. There is no fourth fate. */
enum postern_fate { POSTERN_DELIVERED = 1, POSTERN_DEFERRED = 2, POSTERN_FAILED = 3 };

/* Why it was not delivered, for the queue: what else would meet the same wall? */
enum postern_cause {
    POSTERN_CAUSE_NONE = 0,        /* nothing to add                                            */
    POSTERN_CAUSE_RECIPIENT = 1,   /* this recipient only: a reply to RCPT, a full mailbox      */
    POSTERN_CAUSE_MESSAGE = 2,     /* this message: a reply to MAIL or to the content           */
    POSTERN_CAUSE_DESTINATION = 3, /* nobody can reach this next hop now: back off from it      */
    POSTERN_CAUSE_DNS = 4,         /* the same, because names did not resolve                   */
    POSTERN_CAUSE_PLUGIN = 5,      /* this plugin is unwell: back off from it                   */
    POSTERN_CAUSE_HELD = 6         /* deferred until an operator releases it (since 1.1)        */
};

struct postern_outcome {
    size_t      size;      /* sizeof, as the caller was compiled                                */
    uint32_t    fate;      /* enum postern_fate                                                 */
    uint32_t    cause;     /* enum postern_cause                                                */
    uint16_t    status[3]; /* RFC 3463, for example {4, 4, 1}                                   */
    uint16_t    reserved;
    const char *diagnostic; /* one line for log, queue list and DSN; borrowed during the call   */
    const char *remote;     /* who said so ("mx.example.org [192.0.2.1]:25"), or NULL; borrowed */
    const char *protocol;   /* type of the diagnostic (RFC 3464 2.3.6): "smtp", or NULL for a
                               sentence of our own ("X-Postern"); static                        */
};

/* Envelope of a message being submitted. Everything is borrowed during the call. */
struct postern_envelope {
    size_t      size;
    const char *sender;   /* "" for the null reverse-path; no angle brackets                     */
    uint32_t    flags;    /* POSTERN_MAIL_*                                                      */
    uint32_t    reserved;
    uint64_t    size_hint; /* what the peer announced (RFC 1870), 0: nothing                      */
    const char *client;   /* who brought it, for logs: "host.example [192.0.2.7]"; may be NULL   */
    const char *protocol; /* "ESMTP", "local", ...; may be NULL                                  */
    const char *envid;    /* reserved for RFC 3461; NULL                                         */
};
#define POSTERN_MAIL_8BIT 1u /* BODY=8BITMIME was declared, or content has 8-bit bytes           */
#define POSTERN_MAIL_UTF8 2u /* SMTPUTF8 was asked for (RFC 6531)                                */
/* Since 1.1, for plugins that hand one message to many. LIST: its recipients are the operator's own
 * list, so there may be more of them than server.recipients_max: up to 1,000,000. VERP: each
 * recipient has a job of his own, whose sender says who he is: for the sender "owner-x@y" and the
 * recipient "user@domain" it is "owner-x+user=domain@y" (with a local part of at most
 * POSTERN_LOCAL_MAX bytes; else, and for the null sender, it stays as it is). */
#define POSTERN_MAIL_LIST 4u
#define POSTERN_MAIL_VERP 8u
/* Since 1.1, for plugins that bring mail in: it is from one of our own, who may send through this
 * gateway (he may relay, or has proved who he is), and not from the world. The host then does what
 * the operator has set for senders of such mail (routing.senders and the like): the envelope's
 * sender and the header in the spool may differ from what was submitted. An older host takes no
 * notice. */
#define POSTERN_MAIL_TRUSTED 16u

/* What the router says of a recipient, for an ingress that must answer RCPT. */
enum postern_verdict_kind {
    POSTERN_VERDICT_ANYONE = 1, /* ours: accepted from any client                                */
    POSTERN_VERDICT_RELAY = 2,  /* only for clients that may relay                               */
    POSTERN_VERDICT_FAIL = 3    /* a rule refuses it: status and text say why                    */
};
struct postern_verdict {
    size_t   size;
    uint32_t kind;
    uint16_t status[3];
    uint16_t reserved;
    char     text[256]; /* one line, printable ASCII */
};

/* The answer to route_ask. result: 0 with the verdict (borrowed), -EINVAL: rcpt is no address,
 * -EAGAIN: could not be found out now. */
typedef void postern_verdict_cb(void *ctx, int result, const struct postern_verdict *verdict);

/* An exchanger, from resolve_mx. */
struct postern_mx {
    size_t      size;
    uint32_t    preference;
    uint32_t    reserved;
    const char *name;   /* "" alone: the domain takes no mail (null MX, RFC 7505)                 */
    const char *source; /* where it came from: "local mx", "dns mx", "local host", "dns host",
                           "literal"                                                              */
};

#endif
