/* queue/attempt.c: a message is due: route its recipients and make jobs of them.
 *
 * Nothing of an earlier decision is used: mending the configuration mends the mail that waits. */
#include "queue/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "route/answers.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/text.h"

#define ASK_AGAIN_USEC 1000000

#define JOB_STEPS_MAX 16u /* jobs for one destination that are looked at for one with room */

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

static int same_sender(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* Of this attempt, and for that destination: the newest first, as indexes + 1; 0: no more. */
static size_t newest_job(const struct attempt *a, const struct qdest *dest)
{
    return dest->attempt == a->serial ? dest->newest + 1 : 0;
}

static postern_job *add_job(struct attempt *a, struct qdest *dest, const struct route_decision *d,
                            const char *decision)
{
    postern_job *j = job_new(a->q, a->m, dest, d, decision);

    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 4;
        a->jobs = mem_realloc(a->jobs, a->cap * sizeof *a->jobs);
    }
    j->before = newest_job(a, dest);
    dest->attempt = a->serial;
    dest->newest = a->n;
    return a->jobs[a->n++] = j;
}

/* The job of this attempt that goes the same way and has room, or a new one. leaf: the one that it
 * is for, or NULL. */
static postern_job **job_for(struct attempt *a, struct qdest *dest, const struct route_decision *d,
                             const char *rcpt, const char *decision, const struct route_leaf *leaf)
{
    const char *sender = leaf ? leaf->sender : NULL;
    int alone = !sender && (a->m->env->flags & POSTERN_MAIL_VERP);
    size_t at = alone ? 0 : newest_job(a, dest);
    postern_job *j;

    for (unsigned steps = 0; at && steps < JOB_STEPS_MAX; steps++, at = a->jobs[at - 1]->before) {
        j = a->jobs[at - 1];
        if (same_params(j->params, d->params) && same_sender(j->sender, sender) &&
            j->n < QUEUE_JOB_RCPTS)
            return &a->jobs[at - 1];
    }
    j = add_job(a, dest, d, decision);
    if (leaf)
        job_own(j, d->params, sender);
    if (alone)
        job_verp(j, rcpt);
    return &a->jobs[a->n - 1];
}

/* Behind the probe, and not all at once. */
static int64_t after_probe(struct queue *q, const struct qdest *dest)
{
    return dest->dead_until + llabs(jittered(q, dest->dead_for) - dest->dead_for);
}

static void park(struct attempt *a, struct qrcpt *r, struct qdest *dest)
{
    park_add(a->q, dest, a->m->id);
    r->routed = ROUTED_PARKED;
    a->m->jobs += !a->m->parked;
    a->m->parked = 1;
}

static void to_transport(struct attempt *a, size_t i, const char *rcpt, struct route_decision *d)
{
    struct queue *q = a->q;
    struct qrcpt *r = &a->m->rcpts[i];
    struct qdest *dest;
    int64_t wait = group_wait(d->group);

    if (wait) {
        rcpt_set(q, r, RCPT_WAITING, WAIT_HOURS);
        r->next_try = loop_now(q->loop) + wait;
        return;
    }
    dest = dest_get(q, d);
    if (dest_blocked(dest, loop_now(q->loop))) {
        rcpt_set(q, r, RCPT_WAITING, dest->reason);
        r->next_try = after_probe(q, dest);
        if (!r->text)
            r->text = intern_ref(q->texts, dest->text);
        return;
    }
    if (!a->unparked && park_wanted(q, dest)) {
        park(a, r, dest);
    } else {
        job_add(job_for(a, dest, d, rcpt, r->decision, NULL), i, rcpt, STEAL_PTR(d->rewritten),
                NULL);
        r->routed = ROUTED_JOB;
    }
    rcpt_set(q, r, RCPT_WAITING, WAIT_LIMIT);
}

static const uint16_t HELD[3] = { 4, 7, 0 };

static void rule_holds(struct attempt *a, const char *rcpt, const struct route_decision *d,
                       char text[QUEUE_TEXT_MAX])
{
    char id[16];

    snprintf(text, QUEUE_TEXT_MAX, "held by %s %zu (%s#%s): %s", d->rule->what, d->rule->index + 1,
             d->rule->origin.file, d->rule->origin.pointer, d->text ? d->text : "no reason given");
    a->changed = 1;
    log_event(POSTERN_LOG_NOTICE, "queue", "deliver.held", "id=%s to=%s why=%s",
              text_id(a->m->id, id, sizeof id), log_q(rcpt), log_q(text));
}

static void hold(struct attempt *a, struct qrcpt *r, const char *rcpt,
                 const struct route_decision *d)
{
    char text[QUEUE_TEXT_MAX];

    rule_holds(a, rcpt, d, text);
    rcpt_text(a->q, r, text, HELD);
    rcpt_hold(a->q, r, HOLD_RULE);
}

/* A rule's "fail" with a 4.x.x status means: not now. */
static void refuse(struct attempt *a, struct qrcpt *r, const char *rcpt,
                   const struct route_decision *d)
{
    char id[16];

    a->changed = 1;
    if (d->status[0] != 4) {
        rcpt_fail(a->q, a->m, r, rcpt, d->text, d->status);
        return;
    }
    rcpt_text(a->q, r, d->text, d->status);
    rcpt_defer(a->q, r, WAIT_BACKOFF, d->group);
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

/* What the table says of one address. */
static void follow(struct attempt *a, size_t i, const char *rcpt, struct route_decision *d)
{
    struct queue *q = a->q;
    struct qrcpt *r = &a->m->rcpts[i];

    intern_unref(q->texts, &r->decision);
    if (d->rule)
        r->decision = decision_text(q, d);
    switch (d->action) {
    case ROUTE_TRANSPORT:
        to_transport(a, i, rcpt, d);
        break;
    case ROUTE_HOLD:
        hold(a, r, rcpt, d);
        break;
    case ROUTE_DISCARD:
        discard(a, r, rcpt, d);
        break;
    case ROUTE_FAIL:
        refuse(a, r, rcpt, d);
        break;
    }
}

/* --- who has waited too long --- */

static const uint16_t EXPIRED[3] = { 4, 4, 7 };

static void expired_text(const struct attempt *a, const char *remote, const char *said,
                         char text[QUEUE_TEXT_MAX])
{
    const struct config *cfg = a->q->config;
    char age[32];

    text_duration(*envelope_sender(a->m->env) ? cfg->queue.lifetime : cfg->queue.bounce_lifetime,
                  age, sizeof age);
    snprintf(text, QUEUE_TEXT_MAX, "not delivered within %s; the last try: %s%s%s", age,
             remote ? remote : "", remote ? " said: " : "", said ? said : "there was none");
}

static void expire_whole(struct attempt *a, struct qrcpt *r, const char *rcpt)
{
    char text[QUEUE_TEXT_MAX];

    expired_text(a, r->remote, r->text, text);
    a->q->expired++;
    a->changed = 1;
    rcpt_fail(a->q, a->m, r, rcpt, text, EXPIRED);
}

/* --- recipients that stand for several places --- */

static void leaf_to_transport(struct attempt *a, struct qbranch *b, struct qleaf *to,
                              const char *rcpt, const struct route_leaf *leaf)
{
    const struct route_decision *d = &leaf->decision;
    struct queue *q = a->q;
    struct qrcpt *r = &a->m->rcpts[b->index];
    struct qdest *dest;
    int64_t wait;
    char id[16];

    if (branch_shares(q, a->m, b, to)) {
        log_event(POSTERN_LOG_INFO, "queue", "deliver.shared", "id=%s to=%s place=%s",
                  text_id(a->m->id, id, sizeof id), log_q(rcpt), log_q(leaf->shown));
        a->changed |= to->state == LEAF_DELIVERED;
        return;
    }
    wait = group_wait(d->group);
    if (wait) {
        branch_put_off(b, WAIT_HOURS, loop_now(q->loop) + wait);
        return;
    }
    dest = dest_get(q, d);
    if (dest_blocked(dest, loop_now(q->loop))) {
        branch_put_off(b, dest->reason, after_probe(q, dest));
        if (!r->text)
            r->text = intern_ref(q->texts, dest->text);
        return;
    }
    if (!a->unparked && park_wanted(q, dest)) {
        park(a, r, dest);
        return;
    }
    job_add(job_for(a, dest, d, rcpt, r->decision, leaf), b->index, rcpt, mem_strdup(d->rcpt),
            leaf->key);
    branch_takes(q, a->m, b, to);
}

static void leaf_refuse(struct attempt *a, struct qbranch *b, struct qleaf *to,
                        const struct route_leaf *leaf)
{
    static const uint16_t none[3] = { 5, 1, 3 };
    const struct route_decision *d = &leaf->decision;
    const uint16_t *status = d->rule || d->status[0] ? d->status : none;
    const char *text = d->text ? d->text : "no valid address";
    char id[16];

    log_event(POSTERN_LOG_INFO, "queue", status[0] == 4 ? "deliver.deferred" : "deliver.failed",
              "id=%s to=%s status=%u.%u.%u why=%s", text_id(a->m->id, id, sizeof id),
              log_q(leaf->shown), status[0], status[1], status[2], log_q(text));
    a->changed = 1;
    if (status[0] != 4) {
        leaf_fail(a->q, b, to, text, NULL, 0, status);
        a->q->failed++;
        return;
    }
    rcpt_text(a->q, &a->m->rcpts[b->index], text, status);
    leaf_said(a->q, to, text, NULL, 0, status);
    b->deferred = 1;
    b->reason = WAIT_BACKOFF;
}

/* It stays so until it is released, and the others are served meanwhile. */
static void leaf_hold(struct attempt *a, struct qbranch *b, struct qleaf *to, unsigned by,
                      const struct route_leaf *leaf)
{
    char text[QUEUE_TEXT_MAX];

    if (!(to->held & by)) {
        rule_holds(a, leaf->shown, &leaf->decision, text);
        leaf_said(a->q, to, text, NULL, 0, HELD);
    }
    to->held |= (uint8_t)by;
    to->attempt = b->attempt;
    b->held |= (uint8_t)by;
}

/* A transport that holds it need not be asked again. */
static int is_held(const struct qrcpt *r, const struct qleaf *to)
{
    return to->held & HOLD_TRANSPORT & ~(unsigned)r->released;
}

static void leaf_expire(struct attempt *a, struct qbranch *b, struct qleaf *to,
                        const struct route_leaf *leaf)
{
    const struct qrcpt *r = &a->m->rcpts[b->index];
    char text[QUEUE_TEXT_MAX], id[16];

    if (to->text)
        expired_text(a, to->remote, to->text, text);
    else
        expired_text(a, r->remote, r->text, text);
    log_event(POSTERN_LOG_INFO, "queue", "deliver.failed", "id=%s to=%s status=4.4.7 why=%s",
              text_id(a->m->id, id, sizeof id), log_q(leaf->shown), log_q(text));
    leaf_fail(a->q, b, to, text, NULL, 0, EXPIRED);
    a->q->expired++;
    a->q->failed++;
    a->changed = 1;
}

static void leaf_follow(struct attempt *a, struct qbranch *b, const char *rcpt,
                        const struct route_leaf *leaf)
{
    struct qleaf *to = branch_leaf(a->q, b, leaf->key, leaf->shown);
    char id[16];

    if (!branch_wants(b, to))
        return; /* it has it, or will have */
    intern_unref(a->q->texts, &to->owner);
    to->owner = intern_ref(a->q->texts, leaf->sender);
    if (leaf->decision.action == ROUTE_TRANSPORT && is_held(&a->m->rcpts[b->index], to)) {
        leaf_hold(a, b, to, HOLD_TRANSPORT, leaf);
        return;
    }
    if (b->expires && leaf->decision.action != ROUTE_HOLD) {
        leaf_expire(a, b, to, leaf);
        return;
    }
    switch (leaf->decision.action) {
    case ROUTE_TRANSPORT:
        leaf_to_transport(a, b, to, rcpt, leaf);
        break;
    case ROUTE_HOLD:
        leaf_hold(a, b, to, HOLD_RULE, leaf);
        break;
    case ROUTE_DISCARD:
        log_event(POSTERN_LOG_INFO, "queue", "deliver.discarded", "id=%s to=%s",
                  text_id(a->m->id, id, sizeof id), log_q(leaf->shown));
        to->state = LEAF_DONE;
        a->q->discarded++;
        a->changed = 1;
        break;
    case ROUTE_FAIL:
        leaf_refuse(a, b, to, leaf);
        break;
    }
}

void branch_start(struct attempt *a, size_t i, const char *rcpt, const struct route_expansion *e)
{
    struct qbranch *b = branch_make(a->q, a->m, i);
    struct qrcpt *r = &a->m->rcpts[i];
    char text[QUEUE_TEXT_MAX], where[QUEUE_TEXT_MAX / 2], line[16] = "", id[16];

    if (e->alias_line) /* a directory has none */
        snprintf(line, sizeof line, ":%u", e->alias_line);
    snprintf(where, sizeof where, "%s%s", e->alias_file, line);
    snprintf(text, sizeof text, "alias (%s): %zu place%s", where, e->n, e->n == 1 ? "" : "s");
    intern_unref(a->q->texts, &r->decision);
    r->decision = intern_ref(a->q->texts, text);
    log_event(POSTERN_LOG_INFO, "queue", "deliver.alias", "id=%s to=%s alias=%s places=%zu",
              text_id(a->m->id, id, sizeof id), log_q(rcpt), log_q(where), e->n);
    b->whole = 0;
    if (b->expires)
        b->goes_on = 0; /* what was deferred a moment ago fails, too */
    branch_begin(b);
}

void branch_follow(struct attempt *a, size_t i, const char *rcpt, const struct route_expansion *e,
                   size_t *at, size_t n)
{
    struct qbranch *b = branch_get(a->q, a->m, i);

    for (; *at < e->n && n; ++*at, n--)
        leaf_follow(a, b, rcpt, &e->leaves[*at]);
    a->changed |= b->deferred;
}

void branch_end(struct attempt *a, size_t i, int parked)
{
    struct qbranch *b = branch_get(a->q, a->m, i);
    struct qrcpt *r = &a->m->rcpts[i];

    b->goes_on = parked != 0;
    if (b->out && !b->goes_on)
        r->routed = ROUTED_JOB;
    if (r->routed)
        rcpt_set(a->q, r, RCPT_WAITING, b->flying ? WAIT_IN_FLIGHT : WAIT_LIMIT);
    branch_conclude(a->q, a->m, b);
    a->changed |= r->state != RCPT_WAITING;
}

static void branch(struct attempt *a, size_t i, const char *rcpt, const struct route_expansion *e)
{
    size_t at = 0;

    branch_start(a, i, rcpt, e);
    branch_follow(a, i, rcpt, e, &at, e->n);
    branch_end(a, i, a->m->rcpts[i].routed == ROUTED_PARKED);
}

/* --- what has to be known first --- */

static int question_work(void *ctx)
{
    struct question *question = ctx;

    route_personal(question->q->routes, question->users, question->len, &question->report);
    return 0;
}

static void question_done(void *ctx, int result)
{
    struct question *question = ctx;
    struct qmsg *m = index_get(&question->q->by_id, question->id);

    (void)result;
    for (size_t i = 0; i < question->report.errors.n; i++)
        log_event(POSTERN_LOG_WARNING, "queue", "alias.personal", "why=%s",
                  log_q(question->report.errors.lines[i]));
    if (question->walk)
        walk_answered(question->q, question->walk);
    else if (m)
        msg_answered(question->q, m, question->asked, question->unparked);
    alias_report_done(&question->report);
    free(question);
}

struct question *question_new(struct queue *q, const char *users, size_t len)
{
    struct question *question = mem_zalloc(sizeof *question + len);

    question->q = q;
    question->len = len;
    if (len)
        memcpy(question->users, users, len);
    return question;
}

void question_read(struct question *question)
{
    loop_offload(question->q->loop, question_work, question_done, question);
}

static void directory_done(void *ctx)
{
    question_done(ctx, 0);
}

int question_ask(struct question *question, const struct route_need *need)
{
    struct queue *q = question->q;

    if (q->ask) {
        q->ask(q->carrier.ctx, need, directory_done, question);
        return 0;
    }
    free(question);
    route_answers_fail(route_answers_of(q->routes), need, "nobody is asked here");
    return -ENOSYS;
}

/* All who are asked for a message are waited for together. */
static struct question *of_message(struct attempt *a, struct qrcpt *r, const char *users,
                                   size_t len)
{
    struct question *question = question_new(a->q, users, len);

    question->id = a->m->id;
    question->asked = a->asked ? a->asked : loop_now(a->q->loop);
    question->unparked = a->unparked;
    r->routed = ROUTED_ASKING;
    a->m->jobs++;
    a->m->asking++;
    return question;
}

static void not_asked(struct attempt *a, struct qrcpt *r)
{
    r->routed = ROUTED_NOT;
    a->m->jobs--;
    a->m->asking--;
    r->next_try = loop_now(a->q->loop) + ASK_AGAIN_USEC;
}

static void ask(struct attempt *a, struct qrcpt *r, const struct route_expansion *e)
{
    if (a->m->asking + (e->wanted ? 1 : e->need_n) > UINT8_MAX) {
        r->routed = ROUTED_ASKING; /* its turn comes when those that are asked have answered */
        return;
    }
    r->asked = 1;
    if (e->wanted)
        question_read(of_message(a, r, e->wanted, e->wanted_len));
    for (size_t i = 0; !e->wanted && i < e->need_n; i++) {
        if (question_ask(of_message(a, r, NULL, 0), &e->needs[i]) < 0)
            not_asked(a, r);
    }
}

/* Nothing more is begun for it before those leaves are back that are out. */
static void await_leaves(struct qrcpt *r, struct qbranch *b)
{
    r->routed = ROUTED_JOB;
    b->goes_on = 1;
}

struct route_query attempt_query(const struct attempt *a, size_t i, const char *rcpt)
{
    return (struct route_query){ .sender = envelope_sender(a->m->env),
                                 .rcpt = rcpt,
                                 .ingress = envelope_ingress(a->m->env),
                                 .released = a->m->rcpts[i].released & HOLD_RULE,
                                 .asked = a->asked,
                                 .budget = ROUTE_BUDGET };
}

void attempt_follow(struct attempt *a, size_t i, const char *rcpt, int err,
                    const struct route_expansion *e)
{
    static const uint16_t bad[3] = { 5, 1, 3 };
    struct qbranch *b = branch_get(a->q, a->m, i);
    struct qrcpt *r = &a->m->rcpts[i];

    if (e->aliased) {
        branch(a, i, rcpt, e);
        return;
    }
    if (b && b->out) {
        await_leaves(r, b);
    } else if (b && b->expires) {
        expire_whole(a, r, rcpt);
    } else if (err == -EINVAL) {
        rcpt_fail(a->q, a->m, r, rcpt, "the recipient is not a valid address", bad);
        a->changed = 1;
    } else {
        follow(a, i, rcpt, &e->leaves[0].decision);
    }
    if (!b)
        return;
    b->whole = 1; /* what its leaves came to does not say what it comes to */
    b->expires = 0;
}

static void route_rcpt(struct attempt *a, size_t i, const char *rcpt)
{
    struct route_query query = attempt_query(a, i, rcpt);
    struct qrcpt *r = &a->m->rcpts[i];
    struct route_expansion e;
    int err, again = r->asked;

    r->asked = 0;
    if (a->places >= ROUTE_BUDGET) { /* enough for one turn */
        walk_begin(a, i, rcpt);
        return;
    }
    err = route_expand(a->q->routes, &query, 0, &e);
    /* What was asked for may be forgotten again by the time that the rest is there: a walk keeps
     * it. */
    if (err == -EINPROGRESS || (err == -EAGAIN && (again || e.need_n == ROUTE_NEEDS_MAX)))
        walk_begin(a, i, rcpt);
    else if (err == -EAGAIN)
        ask(a, r, &e);
    else
        attempt_follow(a, i, rcpt, err, &e);
    a->places += e.aliased ? e.n : 0;
    route_expansion_done(&e);
}

/* Of several places each that is left fails for itself: who they are is found out once more. */
static void expire(struct attempt *a, size_t i, const char *rcpt)
{
    struct qrcpt *r = &a->m->rcpts[i];
    struct qbranch *b = branch_get(a->q, a->m, i);

    if (!b || b->whole) {
        expire_whole(a, r, rcpt);
    } else if (b->out) {
        await_leaves(r, b);
    } else {
        b->expires = 1;
        route_rcpt(a, i, rcpt);
    }
}

/* 1: something was done about it. */
static int route_due(struct attempt *a, size_t i, const char *rcpt)
{
    struct qrcpt *r = &a->m->rcpts[i];
    int64_t now = loop_now(a->q->loop);
    int expired = msg_expires(a->q, a->m) <= now;

    if (r->state != RCPT_WAITING || r->routed)
        return 0;
    if (r->next_try <= now && !(expired && r->tries)) {
        struct qbranch *b = branch_get(a->q, a->m, i);

        if (b)
            b->expires = 0; /* it was let go meanwhile */
        route_rcpt(a, i, rcpt);
        return 1;
    }
    if (!expired)
        return 0;
    expire(a, i, rcpt);
    return 1;
}

void attempt_begin(struct attempt *a, struct queue *q, struct qmsg *m)
{
    *a = (struct attempt){ .q = q, .m = m, .serial = ++q->attempts };
}

void attempt_end(struct attempt *a)
{
    a->m->jobs += (uint32_t)a->n;
    for (size_t k = 0; k < a->n; k++)
        dest_enqueue(a->q, a->jobs[k]->dest, a->jobs[k]);
    free(a->jobs);
    if (!a->m->jobs)
        quarantine_stay(a->q, a->m);
}

static void route(struct queue *q, struct qmsg *m, int unparked, int64_t asked)
{
    struct qbulk *b = bulk_get(q, m);
    struct attempt a;
    const char *rcpt;
    size_t i, routed = 0;

    attempt_begin(&a, q, m);
    a.unparked = unparked;
    a.asked = asked;
    if (quarantine_waits(q, m))
        return;
    for (bulk_begin(b, m, &i, &rcpt); i < m->env->rcpt_n; i++, rcpt = envelope_next_text(rcpt)) {
        int full = bulk_is_full(b, m, a.n);

        if (full || (b && routed >= QUEUE_BULK_STEP)) {
            bulk_stop(b, m, i, rcpt, full);
            break;
        }
        routed += (size_t)route_due(&a, i, rcpt);
    }
    if (i == m->env->rcpt_n)
        bulk_end(b);
    attempt_end(&a);
    msg_settled(q, m, a.changed);
}

void msg_route(struct queue *q, struct qmsg *m)
{
    route(q, m, 0, 0);
}

/* Those parked elsewhere as well: they go there again, with what they then find. */
void msg_unpark(struct queue *q, struct qmsg *m)
{
    if (!m->parked)
        return;
    m->parked = 0;
    m->jobs--;
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        if (m->rcpts[i].routed == ROUTED_PARKED)
            m->rcpts[i].routed = ROUTED_NOT;
    }
    route(q, m, 1, 0);
}

void msg_answered(struct queue *q, struct qmsg *m, int64_t asked, int unparked)
{
    m->jobs--;
    if (--m->asking)
        return; /* the others are asked together with it */
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        if (m->rcpts[i].routed == ROUTED_ASKING)
            m->rcpts[i].routed = ROUTED_NOT;
    }
    if (q->running)
        route(q, m, unparked, asked);
    else
        msg_schedule(q, m);
    queue_kick(q);
}
