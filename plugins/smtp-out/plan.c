/* plan.c: see plan.h.
 *
 * The route's next hops in their order; where it names none, the recipients' own domain. A next hop
 * that is there for what can't be resolved is passed over once anything before it could be; that it
 * could not be looked up now counts as well, for who has no name servers hears nothing else.
 *
 * A next hop that the operator named and that does not exist, takes no mail, or is ourselves, is a
 * mistake in the configuration: mending it should mend the mail that waits, so this is deferred
 * (4.3.5) where the same facts about a recipient's own domain are final: then only a next hop that
 * is there for what can't be resolved comes after it. */
#include "plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void plan_start(struct plan *p, struct smtp_out *o, postern_job *job, struct trouble *trouble,
                void (*wake)(void *ctx), void *ctx)
{
    p->o = o;
    p->job = job;
    p->trouble = trouble;
    p->wake = wake;
    p->ctx = ctx;
    p->query = 0;
    p->waiting = 0;
    p->named = o->svc->job_next_hop(job, 0) != NULL;
    p->own = !p->named;
    p->resolved = p->final = 0;
    p->tries = 0;
    p->hop_i = p->mx_n = p->mx_i = p->address_n = p->address_i = 0;
    memset(&p->hop, 0, sizeof p->hop);
    p->hop.size = sizeof p->hop;
}

void plan_stop(struct plan *p)
{
    if (p->waiting)
        p->o->svc->forget(p->o->host, p->query);
    p->waiting = 0;
}

const char *plan_subject(const struct plan *p)
{
    return p->mx_i ? p->mx[p->mx_i - 1] : p->hop.host;
}

/* Something final about a name; see the head of the file. */
POSTERN_PRINTF(3, 4)
static void note_final(struct plan *p, const uint16_t status[3], const char *fmt, ...)
{
    char text[TROUBLE_TEXT_MAX / 2];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!p->own)
        trouble_note(p->trouble, POSTERN_DEFERRED, POSTERN_CAUSE_DNS, STATUS(4, 3, 5), NULL,
                     "next hop %s: %s", p->o->svc->job_next_hop(p->job, p->hop_i - 1), text);
    else
        trouble_note(p->trouble, POSTERN_FAILED, POSTERN_CAUSE_DNS, status, NULL, "%s", text);
    if (p->own && (!p->mx_i || p->hop.no_mx)) /* else it has other exchangers */
        p->final = 1;
}

static void note_unresolved(struct plan *p, const char *name, int result)
{
    trouble_note(p->trouble, POSTERN_DEFERRED, POSTERN_CAUSE_DNS, STATUS(4, 4, 3), NULL,
                 "%s: the name could not be looked up now%s%s", name, result == -EAGAIN ? "" : ": ",
                 result == -EAGAIN ? "" : strerror(-result));
}

/* --- exchangers --- */

/* Compares names without regard to case and to a final dot. */
static int same_host(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);

    la -= la && a[la - 1] == '.';
    lb -= lb && b[lb - 1] == '.';
    return la == lb && !strncasecmp(a, b, la);
}

/* Did somebody say that it is an exchanger, or is it only a host? */
static int is_mx(const struct postern_mx *mx)
{
    return mx->source && (!strcmp(mx->source, "dns mx") || !strcmp(mx->source, "local mx"));
}

/* Is this exchanger we? A next hop that the operator named and that has no MX is taken at his word:
 * "localhost:2525" is another program here. */
static int is_self(const struct plan *p, const struct postern_mx *mx)
{
    if (!p->own && !is_mx(mx))
        return 0;
    return same_host(mx->name, p->o->svc->hostname(p->o->host)) || same_host(mx->name, p->o->helo);
}

/* How many exchangers come before us (RFC 5321 5.1): those of our own preference and worse ones
 * would only send the mail back. */
static size_t before_self(const struct plan *p, const struct postern_mx *mx, size_t n)
{
    uint32_t own = 0;
    size_t i;

    for (i = 0; i < n && !is_self(p, &mx[i]); i++)
        ;
    if (i == n)
        return n;
    own = mx[i].preference;
    for (i = 0; i < n && mx[i].preference < own; i++)
        ;
    return i;
}

static void take_exchangers(struct plan *p, const struct postern_mx *mx, size_t n)
{
    size_t good = before_self(p, mx, n);

    if (n == 1 && !mx[0].name[0]) {
        p->resolved = 1;
        note_final(p, STATUS(5, 1, 10), "%s takes no mail (null MX, RFC 7505)", p->hop.host);
        return;
    }
    if (n && !good) {
        p->resolved = 1;
        note_final(p, STATUS(5, 4, 6), "mail for %s loops back to myself", p->hop.host);
        return;
    }
    for (size_t i = 0; i < good && p->mx_n < PLAN_EXCHANGERS_MAX; i++) {
        size_t len = strlen(mx[i].name);

        if (len && len < HOST_MAX)
            memcpy(p->mx[p->mx_n++], mx[i].name, len + 1);
    }
    if (!p->mx_n)
        note_final(p, STATUS(5, 4, 4), "%s has no usable mail exchanger", p->hop.host);
}

static void got_mx(void *ctx, int result, const struct postern_mx *mx, size_t n)
{
    struct plan *p = ctx;

    p->waiting = 0;
    if (!result)
        take_exchangers(p, mx, n);
    else if (result == -ENOENT)
        note_final(p, STATUS(5, 1, 2), "the domain %s does not exist, or has no mail host",
                   p->hop.host);
    else if (result == -EINVAL)
        note_final(p, STATUS(5, 1, 2), "%s is not a valid domain name", p->hop.host);
    else
        note_unresolved(p, p->hop.host, result);
    p->wake(p->ctx);
}

/* --- addresses --- */

static void take_address(struct plan *p, const char *address)
{
    size_t len = strlen(address);

    if (!len || len >= ADDRESS_MAX || p->address_n == PLAN_ADDRESSES_MAX)
        return;
    memcpy(p->addresses[p->address_n++], address, len + 1);
    p->resolved = 1;
}

static void got_addresses(void *ctx, int result, const char *const *addresses, size_t n)
{
    struct plan *p = ctx;

    p->waiting = 0;
    for (size_t i = 0; !result && i < n; i++)
        take_address(p, addresses[i]);
    if (result && result != -ENOENT && result != -EINVAL)
        note_unresolved(p, plan_subject(p), result);
    else if (!p->address_n)
        note_final(p, STATUS(5, 4, 4), "the host %s has no address", plan_subject(p));
    p->wake(p->ctx);
}

static enum plan_answer look_up_addresses(struct plan *p)
{
    const char *name = p->mx[p->mx_i++];
    int r;

    p->address_n = p->address_i = 0;
    if (p->hop.literal) { /* there is nothing to ask */
        take_address(p, name);
        return 0;
    }
    r = p->o->svc->resolve_host(p->o->host, name, got_addresses, p, &p->query);
    if (r < 0) {
        note_unresolved(p, name, r);
        return 0;
    }
    p->waiting = 1;
    return PLAN_WAIT;
}

/* --- next hops --- */

static const char *next_hop_text(const struct plan *p)
{
    if (p->named)
        return p->o->svc->job_next_hop(p->job, p->hop_i);
    return p->hop_i ? NULL : p->o->svc->job_destination(p->job);
}

/* What is special about next hop i; an older host knows of nothing special. */
static uint32_t next_hop_flags(const struct plan *p, size_t i)
{
    if (!p->named)
        return POSTERN_NEXT_HOP_OWN;
    return POSTERN_HAS(p->o->svc, job_next_hop_flags) ? p->o->svc->job_next_hop_flags(p->job, i)
                                                      : 0;
}

static enum plan_answer look_up_hop(struct plan *p)
{
    const char *text = next_hop_text(p), *why = "";
    uint32_t flags;
    int r;

    if (!text)
        return PLAN_OVER;
    flags = next_hop_flags(p, p->hop_i);
    p->hop_i++;
    if (flags & POSTERN_NEXT_HOP_UNRESOLVED ? p->resolved : p->final)
        return 0;
    p->own = (flags & POSTERN_NEXT_HOP_OWN) != 0;
    p->tries = 0;
    p->mx_n = p->mx_i = p->address_n = p->address_i = 0;
    p->hop.size = sizeof p->hop;
    if (postern_next_hop_parse(text, &p->hop, &why) < 0) {
        note_final(p, STATUS(5, 1, 2), "\"%s\" names no host: %s", text, why);
        return 0;
    }
    if (p->hop.no_mx || p->hop.literal) {
        memcpy(p->mx[p->mx_n++], p->hop.host, HOST_MAX);
        return 0;
    }
    r = p->o->svc->resolve_mx(p->o->host, p->hop.host, got_mx, p, &p->query);
    if (r < 0) {
        note_unresolved(p, p->hop.host, r);
        return 0;
    }
    p->waiting = 1;
    return PLAN_WAIT;
}

static void give_target(struct plan *p, struct target *ret)
{
    p->tries++;
    memcpy(ret->host, p->mx[p->mx_i - 1], HOST_MAX);
    memcpy(ret->address, p->addresses[p->address_i++], ADDRESS_MAX);
    ret->port = p->hop.port ? p->hop.port : (uint16_t)p->o->set->port;
    ret->literal = p->hop.literal;
}

enum plan_answer plan_step(struct plan *p, struct target *ret)
{
    enum plan_answer answer = 0;

    if (p->waiting)
        return PLAN_WAIT;
    while (!answer) {
        if (p->tries >= p->o->set->max_mx_tries) { /* enough of this one */
            p->mx_i = p->mx_n;
            p->address_i = p->address_n;
        }
        if (p->address_i < p->address_n) {
            give_target(p, ret);
            return PLAN_TARGET;
        }
        answer = p->mx_i < p->mx_n ? look_up_addresses(p) : look_up_hop(p);
    }
    return answer;
}
