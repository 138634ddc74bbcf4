/* delivery.c: see delivery.h.
 *
 * The struct of a finished delivery is kept for the next job, so a message over a session from the
 * pool costs no allocation. */
#include "delivery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

/* --- settling --- */

size_t delivery_next(const struct delivery *d, size_t i)
{
    while (i < d->n && d->rcpts[i] != RCPT_WAITING)
        i++;
    return i;
}

void delivery_accept(struct delivery *d, size_t i)
{
    d->rcpts[i] = RCPT_ACCEPTED;
}

static void delivery_free(struct delivery *d)
{
    free(d->rcpts);
    free(d->key);
    free(d);
}

static void finish(struct delivery *d)
{
    struct smtp_out *o = d->o;

    if (d->session)
        d->session->d = NULL;
    d->session = NULL;
    d->job = NULL;
    if (d->planned)
        plan_stop(&d->plan);
    scan_abandon(&d->scan);
    LIST_REMOVE(d, link);
    if (o->spare_n >= DELIVERY_SPARE_MAX) {
        delivery_free(d);
        return;
    }
    LIST_INSERT_HEAD(&o->spare, d, link);
    o->spare_n++;
}

int delivery_settle(struct delivery *d, size_t i, const struct postern_outcome *outcome)
{
    struct postern_outcome full = *outcome;

    if (!full.remote && d->session)
        full.remote = d->session->remote;
    d->rcpts[i] = RCPT_SETTLED;
    d->o->svc->job_settle(d->job, i, &full);
    if (--d->left)
        return 0;
    finish(d);
    return 1;
}

int delivery_settle_rest(struct delivery *d, const struct postern_outcome *outcome)
{
    size_t n = d->n;

    for (size_t i = 0; i < n; i++) {
        if (d->rcpts[i] != RCPT_SETTLED && delivery_settle(d, i, outcome))
            return 1;
    }
    return 0;
}

/* A sentence of our own about all that are left. */
static void defer_rest(struct delivery *d, uint32_t cause, const uint16_t status[3],
                       const char *text)
{
    struct postern_outcome outcome = {
        .size = sizeof outcome,
        .fate = POSTERN_DEFERRED,
        .cause = cause,
        .diagnostic = text,
    };

    memcpy(outcome.status, status, sizeof outcome.status);
    delivery_settle_rest(d, &outcome);
}

/* --- where to --- */

static void wake(void *ctx)
{
    delivery_advance(ctx);
}

static void settle_by_trouble(struct delivery *d)
{
    struct trouble *t = &d->trouble;
    struct postern_outcome outcome;
    size_t len;

    if (!t->fate)
        trouble_note(t, POSTERN_DEFERRED, POSTERN_CAUSE_DNS, STATUS(4, 4, 4), NULL,
                     "there is no address to try");
    len = strlen(t->text);
    if (d->note[0])
        snprintf(t->text + len, sizeof t->text - len, "; before that TLS failed: %s", d->note);
    trouble_outcome(t, &outcome);
    delivery_settle_rest(d, &outcome);
}

/* Connects to d->target. 0, or the trouble is noted. */
static int try_target(struct delivery *d, int in_clear)
{
    int r = session_open(d->o, d, &d->target, in_clear, &d->session);

    if (r < 0)
        trouble_note(&d->trouble, POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, STATUS(4, 4, 1),
                     NULL, "connecting to %s [%s]:%u: %s", d->target.host, d->target.address,
                     d->target.port, strerror(-r));
    return r;
}

void delivery_advance(struct delivery *d)
{
    if (!d->planned)
        plan_start(&d->plan, d->o, d->job, &d->trouble, wake, d);
    d->planned = 1;
    for (;;) {
        switch (plan_step(&d->plan, &d->target)) {
        case PLAN_TARGET:
            if (!try_target(d, 0))
                return;
            break;
        case PLAN_WAIT:
            return;
        case PLAN_OVER:
            settle_by_trouble(d);
            return;
        }
    }
}

void delivery_without_tls(struct delivery *d, const char *why)
{
    snprintf(d->note, sizeof d->note, "%s", why);
    if (try_target(d, 1) < 0)
        delivery_advance(d);
}

void delivery_ready(struct delivery *d, struct session *s)
{
    d->session = s;
    transaction_begin(s);
}

/* --- the header --- */

static void scanned(void *ctx, int result)
{
    struct delivery *d = ctx;
    struct session *s = d->session;

    d->scan = NULL;
    if (result < 0) {
        char text[128];

        snprintf(text, sizeof text, "the content could not be read: %s", strerror(-result));
        defer_rest(d, POSTERN_CAUSE_MESSAGE, STATUS(4, 3, 0), text);
        if (s && s->step == STEP_READY)
            session_idle(s);
        else if (s)
            session_abort(s);
        return;
    }
    d->header_8bit = result;
    if (s && s->step == STEP_READY)
        transaction_begin(s);
}

void delivery_scan(struct delivery *d)
{
    const struct postern_services *svc = d->o->svc;
    int r;

    if (d->scan)
        return; /* on behalf of a session that is gone */
    r = scan_start(d->o->host, svc, svc->job_content(d->job), scanned, d, &d->scan);
    if (r < 0)
        defer_rest(d, POSTERN_CAUSE_PLUGIN, STATUS(4, 3, 0), strerror(-r));
}

/* --- a job comes and goes --- */

/* Room for `need` bytes at *p, which has *cap. */
static int reserve(void *p, size_t *cap, size_t need)
{
    void **at = p;
    void *more;

    if (need <= *cap)
        return 0;
    more = realloc(*at, need);
    if (!more)
        return -ENOMEM;
    *at = more;
    *cap = need;
    return 0;
}

/* What jobs must have in common to share a session: the route's next hops, else the destination. */
static int set_key(struct delivery *d)
{
    const struct postern_services *svc = d->o->svc;
    const char *hop = svc->job_next_hop(d->job, 0);
    const char *text = hop ? hop : svc->job_destination(d->job);
    size_t len = 0, i = 0;

    do {
        size_t n = strlen(text);

        if (reserve(&d->key, &d->key_cap, len + n + 3) < 0)
            return -ENOMEM;
        d->key[len++] = hop ? '>' : '@';
        memcpy(d->key + len, text, n + 1);
        len += n;
        text = hop ? svc->job_next_hop(d->job, ++i) : NULL;
    } while (text);
    return 0;
}

static struct delivery *take_spare(struct smtp_out *o)
{
    struct delivery *d = LIST_FIRST(&o->spare);

    if (!d)
        return calloc(1, sizeof *d);
    LIST_REMOVE(d, link);
    o->spare_n--;
    return d;
}

/* A control character in an address would end the command it stands in. The host lets none pass;
 * that a peer's next command could be ours is reason enough to look again. */
static int is_sendable(const char *address)
{
    const unsigned char *p = (const unsigned char *)address;

    while (*p >= 0x20 && *p != 0x7f)
        p++;
    return !*p && p - (const unsigned char *)address <= (ptrdiff_t)POSTERN_ADDRESS_MAX;
}

/* 1 when that settled everything. */
static int refuse_unsendable(struct delivery *d)
{
    const struct postern_services *svc = d->o->svc;
    struct postern_outcome outcome = {
        .size = sizeof outcome,
        .fate = POSTERN_FAILED,
        .cause = POSTERN_CAUSE_MESSAGE,
        .status = { 5, 1, 7 },
        .diagnostic = "the sender's address cannot be written in SMTP",
    };

    if (!is_sendable(svc->job_sender(d->job)))
        return delivery_settle_rest(d, &outcome);
    outcome.cause = POSTERN_CAUSE_RECIPIENT;
    outcome.status[2] = 3;
    outcome.diagnostic = "the address cannot be written in SMTP";
    for (size_t i = 0; i < d->n; i++) {
        if (!is_sendable(svc->job_rcpt(d->job, i)) && delivery_settle(d, i, &outcome))
            return 1;
    }
    return 0;
}

int delivery_new(struct smtp_out *o, postern_job *job)
{
    struct delivery *d = take_spare(o);
    struct session *s;

    if (!d)
        return -ENOMEM;
    d->o = o;
    d->job = job;
    d->session = NULL;
    d->planned = 0;
    d->trouble.fate = 0;
    d->n = d->left = o->svc->job_rcpts(job);
    d->scan = NULL;
    d->header_8bit = -1;
    d->note[0] = '\0';
    if (set_key(d) < 0 || reserve(&d->rcpts, &d->rcpts_cap, d->n) < 0) {
        delivery_free(d);
        return -ENOMEM;
    }
    memset(d->rcpts, RCPT_WAITING, d->n);
    LIST_INSERT_HEAD(&o->deliveries, d, link);
    if (refuse_unsendable(d))
        return 0;
    s = pool_take(&o->pool, d->key);
    if (s)
        session_reuse(s, d);
    else
        delivery_advance(d);
    return 0;
}

void delivery_cancel(struct delivery *d)
{
    struct session *s = d->session;
    uint32_t cause = POSTERN_CAUSE_DESTINATION;
    char text[REMOTE_MAX + 256];

    if (s) {
        snprintf(text, sizeof text, "delivery took too long: gave up while %s %s%s",
                 step_words(s->step), s->remote,
                 s->step == STEP_FINAL ? "; it may have the message, which will then come twice"
                                       : "");
        if (s->t.answered)
            cause = POSTERN_CAUSE_MESSAGE;
    } else {
        snprintf(text, sizeof text, "delivery took too long: gave up while looking up %s",
                 plan_subject(&d->plan));
        cause = POSTERN_CAUSE_DNS;
    }
    defer_rest(d, cause, STATUS(4, 4, 0), text);
    if (s)
        session_abort(s);
}

void delivery_free_spare(struct smtp_out *o)
{
    struct delivery *d;

    while ((d = LIST_FIRST(&o->spare))) {
        LIST_REMOVE(d, link);
        delivery_free(d);
    }
    o->spare_n = 0;
}
