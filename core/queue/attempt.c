/* queue/attempt.c: a message is due: route its recipients and make jobs of them.
 *
 * Nothing of an earlier decision is used: mending the configuration mends the mail that waits. */
#include "queue/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/text.h"

struct attempt { /* jobs made for one message in one go */
    struct queue *q;
    struct qmsg *m;
    postern_job **jobs;
    size_t n, cap;
    int changed; /* a recipient's durable state changed */
};

/* "rule 3 (90-routing.json#/routing/rules/2): smtp-out via [192.0.2.1]:25" */
static const char *decision_text(struct queue *q, const struct route_decision *d)
{
    char text[QUEUE_TEXT_MAX], own[sizeof d->domain + 2];
    size_t len = 0;
    int n =
        snprintf(text, sizeof text, "%s %zu (%s#%s): %s", d->rule->what, d->rule->index + 1,
                 d->rule->origin.file, d->rule->origin.pointer, d->transport ? d->transport : "-");

    len = n > 0 ? (size_t)n : 0;
    for (size_t i = 0; i < d->next_hop_n && len < sizeof text; i++) {
        n = snprintf(text + len, sizeof text - len, "%s%s", i ? ", " : " via ",
                     route_next_hop(d, i, own, sizeof own));
        len += n > 0 ? (size_t)n : 0;
    }
    if (d->rewritten && len < sizeof text)
        snprintf(text + len, sizeof text - len, ", rewritten to %s", d->rcpt);
    return intern_ref(q->texts, text);
}

/* Rows that say the same, for other domains, are one way. */
static int same_params(const struct postern_strings *a, const struct postern_strings *b)
{
    if (a == b)
        return 1;
    if (a->n != b->n)
        return 0;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->v[i], b->v[i]) != 0)
            return 0;
    }
    return 1;
}

/* The job of this attempt that goes the same way and has room, or a new one. */
static postern_job **job_for(struct attempt *a, struct qdest *dest, const struct route_decision *d,
                             const char *decision)
{
    for (size_t i = a->n; i-- > 0;) {
        postern_job *j = a->jobs[i];

        if (j->dest == dest && same_params(j->params, d->params) && j->n < QUEUE_JOB_RCPTS)
            return &a->jobs[i];
    }
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 4;
        a->jobs = mem_realloc(a->jobs, a->cap * sizeof *a->jobs);
    }
    a->jobs[a->n] = job_new(a->q, a->m, dest, d, decision);
    return &a->jobs[a->n++];
}

static void to_transport(struct attempt *a, size_t i, const char *rcpt, struct route_decision *d)
{
    struct queue *q = a->q;
    struct qrcpt *r = &a->m->rcpts[i];
    struct qdest *dest = dest_get(q, d);
    int64_t now = loop_now(q->loop);

    if (dest_blocked(dest, now)) {
        rcpt_set(q, r, RCPT_WAITING, dest->reason);
        /* Behind the probe, and not all at once. */
        r->next_try = dest->dead_until + llabs(jittered(q, dest->dead_for) - dest->dead_for);
        if (!r->text)
            r->text = intern_ref(q->texts, dest->text);
        return;
    }
    job_add(job_for(a, dest, d, r->decision), i, rcpt, STEAL_PTR(d->rewritten));
    r->routed = 1;
    rcpt_set(q, r, RCPT_WAITING, WAIT_LIMIT);
}

static void hold(struct attempt *a, struct qrcpt *r, const char *rcpt,
                 const struct route_decision *d)
{
    static const uint16_t none[3] = { 4, 7, 0 };
    char text[QUEUE_TEXT_MAX], id[16];

    snprintf(text, sizeof text, "held by %s %zu (%s#%s): %s", d->rule->what, d->rule->index + 1,
             d->rule->origin.file, d->rule->origin.pointer, d->text ? d->text : "no reason given");
    rcpt_text(a->q, r, text, none);
    rcpt_set(a->q, r, RCPT_HELD, WAIT_HELD);
    a->changed = 1;
    log_event(POSTERN_LOG_NOTICE, "queue", "deliver.held", "id=%s to=%s why=%s",
              text_id(a->m->id, id, sizeof id), log_q(rcpt), log_q(text));
}

/* A rule's "fail" with a 4.x.x status means: not now. */
static void refuse(struct attempt *a, struct qrcpt *r, const char *rcpt,
                   const struct route_decision *d)
{
    char id[16];

    a->changed = 1;
    if (d->status[0] != 4) {
        rcpt_fail(a->q, a->m, r, d->text, d->status);
        return;
    }
    rcpt_text(a->q, r, d->text, d->status);
    rcpt_defer(a->q, r, WAIT_BACKOFF);
    log_event(POSTERN_LOG_INFO, "queue", "deliver.deferred", "id=%s to=%s status=%u.%u.%u why=%s",
              text_id(a->m->id, id, sizeof id), log_q(rcpt), d->status[0], d->status[1],
              d->status[2], log_q(d->text));
}

static void discard(struct attempt *a, struct qrcpt *r, const char *rcpt,
                    const struct route_decision *d)
{
    char id[16];

    log_event(POSTERN_LOG_INFO, "queue", "deliver.discarded", "id=%s to=%s rule=%s#%s",
              text_id(a->m->id, id, sizeof id), log_q(rcpt), d->rule->origin.file,
              d->rule->origin.pointer);
    rcpt_set(a->q, r, RCPT_DONE, WAIT_NEW);
    a->q->discarded++;
    a->changed = 1;
}

static void route_rcpt(struct attempt *a, size_t i, const char *rcpt)
{
    struct queue *q = a->q;
    struct qrcpt *r = &a->m->rcpts[i];
    struct route_query query = { envelope_sender(a->m->env), rcpt, envelope_ingress(a->m->env) };
    struct route_decision d;
    int err = route_decide(q->routes, &query, &d, NULL);

    if (err < 0) {
        static const uint16_t bad[3] = { 5, 1, 3 };

        rcpt_fail(q, a->m, r, "the recipient is not a valid address", bad);
        a->changed = 1;
        return;
    }
    intern_unref(q->texts, &r->decision);
    if (d.rule)
        r->decision = decision_text(q, &d);
    switch (d.action) {
    case ROUTE_TRANSPORT:
        to_transport(a, i, rcpt, &d);
        break;
    case ROUTE_HOLD:
        hold(a, r, rcpt, &d);
        break;
    case ROUTE_DISCARD:
        discard(a, r, rcpt, &d);
        break;
    case ROUTE_FAIL:
        refuse(a, r, rcpt, &d);
        break;
    }
    route_decision_done(&d);
}

static void expire(struct queue *q, struct qmsg *m, struct qrcpt *r)
{
    static const uint16_t expired[3] = { 4, 4, 7 };
    char text[QUEUE_TEXT_MAX], age[32];

    text_duration(*envelope_sender(m->env) ? q->config->queue.lifetime
                                           : q->config->queue.bounce_lifetime,
                  age, sizeof age);
    snprintf(text, sizeof text, "not delivered within %s; the last try: %s%s%s", age,
             r->remote ? r->remote : "", r->remote ? " said: " : "",
             r->text ? r->text : "there was none");
    q->expired++;
    rcpt_fail(q, m, r, text, expired);
}

void msg_route(struct queue *q, struct qmsg *m)
{
    struct attempt a = { .q = q, .m = m };
    int64_t now = loop_now(q->loop), expires = msg_expires(q, m);
    const char *rcpt = envelope_first_rcpt(m->env);

    if (quarantine_waits(q, m))
        return;
    for (size_t i = 0; i < m->env->rcpt_n; i++, rcpt = envelope_next_text(rcpt)) {
        struct qrcpt *r = &m->rcpts[i];

        if (r->state != RCPT_WAITING || r->routed)
            continue;
        if (expires <= now && r->tries) {
            expire(q, m, r);
            a.changed = 1;
        } else if (r->next_try <= now) {
            route_rcpt(&a, i, rcpt);
        } else if (expires <= now) {
            expire(q, m, r);
            a.changed = 1;
        }
    }
    m->jobs += (uint32_t)a.n;
    for (size_t i = 0; i < a.n; i++)
        dest_enqueue(q, a.jobs[i]->dest, a.jobs[i]);
    free(a.jobs);
    if (!m->jobs)
        quarantine_stay(q, m);
    msg_settled(q, m, a.changed);
}
