/* plugins/smtp-out: delivers to the next hop by SMTP (RFC 5321).
 *
 * One idea: a connection is a thing that outlives a message. A job takes one that stands from the
 * pool, or plans its way to a new one; the connection goes back when the message is through.
 *
 * With 8BITMIME, PIPELINING, SIZE, SMTPUTF8, STARTTLS, ENHANCEDSTATUSCODES. Known gaps: no AUTH, no
 * DSN extension (RFC 3461), no DANE or MTA-STS, no choice of the source address. */
#include "smtp-out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery.h"
#include "session.h"

/* clang-format off */
#define TIMEOUT(member, default_value, text)                                                       \
    POSTERN_OPT(struct timeouts, member, POSTERN_OPT_DURATION, .dflt = default_value,              \
                .min = POSTERN_SECONDS(1), .max = POSTERN_HOURS(1), .doc = text)

static const struct postern_option timeout_options[] = {
    TIMEOUT(connect,    "30s", "For a connection to stand."),
    TIMEOUT(greeting,   "5m",  "For the greeting (RFC 5321 4.5.3.2.1)."),
    TIMEOUT(ehlo,       "5m",  "For the reply to EHLO or HELO."),
    TIMEOUT(starttls,   "1m",  "For the reply to STARTTLS, and again for the TLS handshake."),
    TIMEOUT(mail,       "5m",  "For the reply to MAIL (RFC 5321 4.5.3.2.2)."),
    TIMEOUT(rcpt,       "5m",  "For each reply to RCPT (RFC 5321 4.5.3.2.3)."),
    TIMEOUT(data_init,  "2m",  "For the reply to DATA (RFC 5321 4.5.3.2.4)."),
    TIMEOUT(data_block, "3m",  "How long the server may take none of the content "
                               "(RFC 5321 4.5.3.2.5)."),
    TIMEOUT(data_final, "10m", "For the reply to the end of data (RFC 5321 4.5.3.2.6). Too short a "
                               "time here makes duplicates."),
    {.key = NULL},
};

#define OPT(member, type, ...) POSTERN_OPT(struct settings, member, POSTERN_OPT_##type, __VA_ARGS__)

static const struct postern_option options[] = {
    OPT(port, INT, .dflt = "25", .min = 1, .max = 65535,
        .doc = "Port of the next hop, where the route names none."),
    OPT(helo_name, STRING,
        .doc = "The name we give in EHLO. Default: server.hostname."),
    OPT(tls, CHOICE, .choices = "opportunistic|require|never", .dflt = "opportunistic",
        .doc = "Whether to use STARTTLS: where it is offered and works, always (a message waits "
               "rather than go in the clear), or never."),
    OPT(tls_verify, BOOL, .dflt = "false",
        .doc = "Accept only a certificate that is valid for the exchanger's name. Needs "
               "\"tls\": \"require\"."),
    OPT(ca_file, PATH,
        .doc = "PEM file of the authorities that tls_verify trusts. Default: the system's."),
    OPT(tls_certificate, PATH,
        .doc = "PEM file with a certificate to show to servers that ask for one."),
    OPT(tls_key, PATH,
        .doc = "PEM file with its key. Default: in the certificate's file."),
    OPT(max_mx_tries, INT, .dflt = "10", .min = 1, .max = 100,
        .doc = "How many addresses of a next hop are tried for one message before it waits, or "
               "goes on to the next hop."),
    OPT(idle_timeout, DURATION, .dflt = "10s", .min = 0, .max = POSTERN_MINUTES(5),
        .doc = "How long a connection is kept for the next message to the same next hop. \"0s\": "
               "not at all."),
    OPT(max_messages, INT, .dflt = "1000", .min = 0, .max = 1000000,
        .doc = "How many messages go over one connection. 0: any number."),
    OPT(max_idle, INT, .dflt = "100", .min = 0, .max = 10000,
        .doc = "How many idle connections are kept, in each worker."),
    OPT(timeouts, OBJECT, .sub = timeout_options, .sub_size = sizeof(struct timeouts),
        .doc = "How long the other side is waited for, step by step."),
    {.key = NULL},
};
/* clang-format on */

static int check(const void *settings, char *why, size_t why_size)
{
    const struct settings *set = settings;

    if (set->tls_verify && set->tls != TLS_REQUIRE) {
        snprintf(
            why, why_size,
            "tls_verify without \"tls\": \"require\" would protect nothing: where verification "
            "fails the message would go in the clear");
        return -EINVAL;
    }
    if (set->ca_file && !set->tls_verify) {
        snprintf(why, why_size, "ca_file has no use without tls_verify");
        return -EINVAL;
    }
    if (set->tls_key && !set->tls_certificate) {
        snprintf(why, why_size, "tls_key without tls_certificate");
        return -EINVAL;
    }
    if (set->tls == TLS_NEVER && set->tls_certificate) {
        snprintf(why, why_size, "tls_certificate has no use with \"tls\": \"never\"");
        return -EINVAL;
    }
    return 0;
}

static int load_tls(struct smtp_out *o)
{
    struct postern_tls_params params = {
        .size = sizeof params,
        .flags = o->set->tls_verify ? POSTERN_TLS_VERIFY : 0,
        .certificate = o->set->tls_certificate,
        .key = o->set->tls_key,
        .ca_file = o->set->ca_file,
    };

    if (o->set->tls == TLS_NEVER)
        return 0;
    return o->svc->tls_new(o->host, &params, &o->tls);
}

static int smtp_out_open(postern_host *host, const struct postern_services *svc,
                         const void *settings, void **ret_self)
{
    struct smtp_out *o = calloc(1, sizeof *o);
    int r;

    if (!o)
        return -ENOMEM;
    o->host = host;
    o->svc = svc;
    o->set = settings;
    o->helo = o->set->helo_name ? o->set->helo_name : svc->hostname(host);
    pool_init(&o->pool, (size_t)o->set->max_idle);
    LIST_INIT(&o->sessions);
    LIST_INIT(&o->deliveries);
    LIST_INIT(&o->spare);
    r = load_tls(o);
    if (r < 0) {
        free(o);
        return r;
    }
    *ret_self = o;
    return 0;
}

static int deliver(void *self, postern_job *job)
{
    return delivery_new(self, job);
}

static void cancel(void *self, postern_job *job)
{
    struct smtp_out *o = self;
    struct delivery *d = LIST_FIRST(&o->deliveries);

    while (d && d->job != job)
        d = LIST_NEXT(d, link);
    if (d)
        delivery_cancel(d);
}

static void drain(void *self)
{
    struct smtp_out *o = self;
    struct session *s;

    o->draining = 1;
    while ((s = TAILQ_FIRST(&o->pool.ages)))
        session_quit(s);
}

static void smtp_out_close(void *self)
{
    struct smtp_out *o = self;
    struct session *s;

    while ((s = TAILQ_FIRST(&o->pool.ages)))
        session_quit(s);
    while ((s = LIST_FIRST(&o->sessions)))
        session_abort(s);
    delivery_free_spare(o);
    free(o);
}

static const struct postern_transport_ops transport = {
    .size = sizeof transport,
    .deliver = deliver,
    .cancel = cancel,
};

POSTERN_PLUGIN(smtp_out, .name = "smtp-out", .version = "0.1.0",
               .summary = "delivers to the next hop by SMTP", .options = options,
               .settings_size = sizeof(struct settings), .check = check, .open = smtp_out_open,
               .drain = drain, .close = smtp_out_close, .transport = &transport,
               .flags = POSTERN_PLUGIN_PATHS);
