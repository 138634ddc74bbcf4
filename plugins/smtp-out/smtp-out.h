/* smtp-out.h: what the parts of the plugin share: settings and the instance.
 *
 *   smtp-out.c     options, open, deliver, cancel, drain, close
 *   delivery.c     one job, from the first look-up to its last recipient
 *   plan.c         next hops -> exchangers -> addresses, one at a time
 *   session.c      one connection: greeting, EHLO, STARTTLS; its events and its end
 *   transaction.c  one message on a session: MAIL to the reply to the final dot
 *   pool.c         sessions that have nothing to do, by next hop
 *   tlsmem.c       addresses where TLS failed lately
 *   scan.c         looking for 8-bit bytes in a header, on a thread
 *   trouble.c      why nothing worked so far
 *   reply.c ehlo.c fate.c   pure: what the other side said, and what that means
 *
 * Calls go down this list; upwards there are only the delivery_* functions by which a session tells
 * its delivery what came of it. */
#ifndef SMTP_OUT_H
#define SMTP_OUT_H

#include <sys/queue.h>

#include <postern/postern.h>

#include "fate.h"
#include "pool.h"
#include "tlsmem.h"

#define HOST_MAX    256u /* bytes of a name with its NUL, as in struct postern_next_hop */
#define ADDRESS_MAX 64u  /* an address literal, with scope and NUL                      */
#define REMOTE_MAX  336u /* "host [address]:port"                                       */

enum tls_mode { TLS_OPPORTUNISTIC, TLS_REQUIRE, TLS_NEVER };

struct timeouts { /* microseconds */
    int64_t connect, greeting, ehlo, starttls, mail, rcpt, data_init, data_block, data_final;
};

struct settings {
    const char     *helo_name;
    int64_t         port;
    int64_t         tls; /* enum tls_mode */
    int64_t         tls_verify;
    const char     *ca_file, *tls_certificate, *tls_key;
    int64_t         max_mx_tries, idle_timeout, max_messages, max_idle;
    struct timeouts timeouts;
};

struct session;
struct delivery;

LIST_HEAD(session_list, session);
LIST_HEAD(delivery_list, delivery);

struct smtp_out { /* one instance */
    postern_host                 *host;
    const struct postern_services *svc;
    const struct settings        *set;
    const char                   *helo;
    postern_tls                  *tls; /* NULL: never */
    struct pool                   pool;
    struct tlsmem                 tlsmem;
    struct session_list           sessions;
    struct delivery_list          deliveries;
    struct delivery_list          spare; /* done, kept for their memory */
    size_t                        spare_n;
    int                           draining;
};

struct target { /* where to connect to */
    char     host[HOST_MAX];
    char     address[ADDRESS_MAX];
    uint16_t port;
    uint16_t literal; /* 1: the host has no name but its address */
};

#endif
