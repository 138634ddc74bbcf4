/* plugin/submit-sender.c: senders of our own users get the addresses that routing.senders has for
 * them, in the envelope and in the header, with a line in the log for each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "log/log.h"
#include "message/exchange.h"
#include "plugin/submit-private.h"
#include "route/sender.h"
#include "util/mem.h"

#define TOLD_MAX 16u /* addresses of a header that the log tells of one by one */

/* RFC 5322 3.6.2 and 3.6.6; Resent-Reply-To is of RFC 822. */
static const char *const sender_fields[] = { "From",        "Sender",        "Reply-To",
                                             "Resent-From", "Resent-Sender", "Resent-Reply-To",
                                             NULL };

struct senders {
    postern_host *host;
    const char *id;
    size_t told, untold;
};

static void tell(const struct senders *s, const char *in, const char *from,
                 const struct route_sender *to)
{
    struct buf rule = { 0 };

    route_rule_place(to->rule, &rule);
    log_event(POSTERN_LOG_INFO, s->host->name, "sender.rewritten",
              "id=%s in=%s from=%s to=%s rule=%s", s->id, in, log_q(from), log_q(to->address),
              log_q(rule.data));
    buf_free(&rule);
}

static void tell_kept(const struct senders *s, const char *in, const char *address, const char *why)
{
    log_event(POSTERN_LOG_NOTICE, s->host->name, "sender.kept", "id=%s in=%s address=%s why=%s",
              s->id, in, log_q(address), log_q(why));
}

/* malloc'ed, or NULL: it stays. */
static char *become(struct senders *s, const char *in, const char *address, unsigned place)
{
    struct route_sender to;
    int r = route_sender(s->host->env->routes, address, s->host->name, place, &to);

    if (r == 0)
        return NULL;
    if (s->told++ >= TOLD_MAX)
        s->untold++;
    else if (r < 0)
        tell_kept(s, in, address, to.why);
    else
        tell(s, in, address, &to);
    return to.address;
}

/* --- the envelope --- */

char *submit_sender(postern_host *h, const char *id, const char *sender)
{
    struct senders s = { .host = h, .id = id };
    char *to = NULL;

    if (*sender && (route_sender_places(h->env->routes) & ROUTE_SENDER_ENVELOPE))
        to = become(&s, "envelope", sender, ROUTE_SENDER_ENVELOPE);
    return to ? to : mem_strdup(sender);
}

/* --- the header --- */

static char *field_become(void *ctx, const char *field, const char *address)
{
    return become(ctx, field, address, ROUTE_SENDER_HEADER);
}

static void field_kept(void *ctx, const char *field, const char *why)
{
    struct senders *s = ctx;

    if (s->told++ >= TOLD_MAX)
        s->untold++;
    else
        tell_kept(s, field, NULL, why);
}

int submit_sender_fields(postern_host *h, const char *id, const char *data, size_t len,
                         struct buf *out, size_t *ret_end)
{
    struct senders s = { .host = h, .id = id };
    const struct exchange x = {
        .fields = sender_fields, .ctx = &s, .become = field_become, .kept = field_kept
    };
    size_t n;

    if (!(route_sender_places(h->env->routes) & ROUTE_SENDER_HEADER))
        return 0;
    n = exchange_addresses(&x, data, len, out, ret_end);
    if (s.untold)
        log_event(POSTERN_LOG_INFO, h->name, "sender.more", "id=%s addresses=%zu", id, s.untold);
    return n > 0;
}
