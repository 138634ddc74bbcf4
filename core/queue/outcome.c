/* queue/outcome.c: what a finished job means for its recipients and its destination. */
#include "queue/branch.h"

#include <stdio.h>
#include <string.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/text.h"

static const char *delay_text(const struct qmsg *m, char *buf, size_t size)
{
    snprintf(buf, size, "%.3fs", (double)envelope_age(m->env, clock_wall()) / 1e6);
    return buf;
}

static void log_fate(const postern_job *j, const struct job_rcpt *r, const char *event, int level)
{
    char delay[32];

    if (!log_enabled(level))
        return;
    log_event(level, j->dest->transport, event,
              "id=%s to=%s%s%s remote=%s status=%u.%u.%u delay=%s reply=%s", j->id, log_q(r->rcpt),
              r->addr ? " as=" : "", r->addr ? log_q(r->addr) : "", log_q(r->remote), r->status[0],
              r->status[1], r->status[2], delay_text(j->msg, delay, sizeof delay),
              log_q(r->diagnostic));
}

/* Who said what, for list and DSN. */
static void keep_text(struct queue *q, struct qrcpt *to, const struct job_rcpt *r)
{
    rcpt_text(q, to, r->diagnostic ? r->diagnostic : "no reason given", r->status);
    rcpt_said(q, to, r->remote, r->smtp);
    to->tried = (uint32_t)(clock_wall() / 1000000);
}

void rcpt_fail(struct queue *q, struct qmsg *m, struct qrcpt *r, const char *rcpt, const char *text,
               const uint16_t status[3])
{
    char id[16];

    rcpt_text(q, r, text, status);
    rcpt_set(q, r, RCPT_FAILED, WAIT_BACKOFF);
    r->next_try = 0;
    q->failed++;
    log_event(POSTERN_LOG_INFO, "queue", "deliver.failed", "id=%s to=%s status=%u.%u.%u why=%s",
              text_id(m->id, id, sizeof id), log_q(rcpt), status[0], status[1], status[2],
              log_q(text));
}

static const struct route_group *group_of(const postern_job *j)
{
    return j->dest->group ? j->dest->group->settings : NULL;
}

static enum wait_reason reason_of(const struct job_rcpt *from)
{
    return from->cause == POSTERN_CAUSE_DNS   ? WAIT_DNS
        : from->cause == POSTERN_CAUSE_PLUGIN ? WAIT_PLUGIN
                                              : WAIT_BACKOFF;
}

static const char *event_of(const struct job_rcpt *from)
{
    return from->cause == POSTERN_CAUSE_HELD ? "deliver.held" : "deliver.deferred";
}

static void settle_deferred(struct queue *q, postern_job *j, struct job_rcpt *from, struct qrcpt *r)
{
    log_fate(j, from, event_of(from), POSTERN_LOG_INFO);
    if (j->stopped) { /* the next gateway goes on where this one was stopped */
        rcpt_set(q, r, RCPT_WAITING, r->tries ? WAIT_BACKOFF : WAIT_NEW);
        r->next_try = 0;
        return;
    }
    keep_text(q, r, from);
    if (from->cause == POSTERN_CAUSE_HELD) {
        rcpt_hold(q, r, HOLD_TRANSPORT);
        return;
    }
    rcpt_defer(q, r, reason_of(from), group_of(j));
    /* Who was refused together tries again together, as one job. */
    if (j->again && j->again_tries == r->tries)
        r->next_try = j->again;
    j->again = r->next_try;
    j->again_tries = r->tries;
    spool_uncache(msg_spool(q, j->msg), j->msg->entry);
}

/* It is tried again, or when somebody lets it go. */
static void leaf_put_back(struct queue *q, const postern_job *j, const struct job_rcpt *from,
                          struct qbranch *b, struct qleaf *leaf)
{
    leaf->attempt = b->attempt;
    leaf_said(q, leaf, from->diagnostic ? from->diagnostic : "no reason given", from->remote,
              from->smtp, from->status);
    if (from->cause == POSTERN_CAUSE_HELD) {
        leaf->held |= HOLD_TRANSPORT;
        b->held |= HOLD_TRANSPORT;
        return;
    }
    b->deferred = 1;
    b->reason = (uint8_t)reason_of(from);
    b->group = group_of(j);
}

/* What a leaf has come to, for the recipient that stands for it. */
static void take_outcome(struct queue *q, postern_job *j, const struct job_rcpt *from,
                         struct qbranch *b, struct qleaf *leaf)
{
    struct qrcpt *r = &j->msg->rcpts[b->index];
    /* What is said of the recipient is why it waits, or, since the last, who holds it. */
    int silent = r->state != RCPT_WAITING;

    if (from->fate == POSTERN_DELIVERED) {
        if (!silent && !b->deferred)
            keep_text(q, r, from);
        leaf_said(q, leaf, NULL, NULL, 0, from->status);
        leaf->state = LEAF_DELIVERED;
    } else if (from->fate == POSTERN_FAILED) {
        leaf_fail(q, b, leaf, from->diagnostic, from->remote, from->smtp, from->status);
    } else if (j->stopped) {
        leaf->attempt = b->attempt;
        branch_put_off(b, WAIT_BACKOFF, 0);
    } else {
        leaf_put_back(q, j, from, b, leaf);
        if (!silent && (!b->deferred || from->cause != POSTERN_CAUSE_HELD))
            keep_text(q, r, from);
    }
}

static void log_leaf(struct queue *q, const postern_job *j, const struct job_rcpt *from)
{
    if (from->fate == POSTERN_DELIVERED) {
        log_fate(j, from, "deliver.delivered", POSTERN_LOG_INFO);
        q->delivered++;
    } else if (from->fate == POSTERN_FAILED) {
        log_fate(j, from, "deliver.failed", POSTERN_LOG_INFO);
        q->failed++;
    } else {
        log_fate(j, from, event_of(from), POSTERN_LOG_INFO);
        spool_uncache(msg_spool(q, j->msg), j->msg->entry);
    }
}

/* One of the places that a recipient stands for: what it comes to is known when the last one is in
 * (branch.h). Others may stand for it, too. */
static void settle_leaf(struct queue *q, postern_job *j, struct job_rcpt *from, struct qbranch *b)
{
    struct qleaf *leaf = branch_leaf(q, b, from->leaf, from->leaf), *follower;
    struct qbranch *other;

    b->out--;
    b->flying--;
    leaf->state = LEAF_NEW;
    log_leaf(q, j, from);
    take_outcome(q, j, from, b, leaf);
    branch_conclude(q, j->msg, b);
    while ((other = branch_next_follower(q, j->msg, leaf, &follower))) {
        take_outcome(q, j, from, other, follower);
        branch_conclude(q, j->msg, other);
    }
}

static void settle_one(struct queue *q, postern_job *j, struct job_rcpt *from)
{
    struct qrcpt *r = &j->msg->rcpts[from->index];
    struct qbranch *b;

    if (!from->settled || from->recorded)
        return;
    from->recorded = 1;
    b = from->leaf ? branch_get(q, j->msg, from->index) : NULL;
    if (b) {
        settle_leaf(q, j, from, b);
        return;
    }
    r->routed = 0;
    switch (from->fate) {
    case POSTERN_DELIVERED:
        log_fate(j, from, "deliver.delivered", POSTERN_LOG_INFO);
        keep_text(q, r, from); /* not what an earlier try met */
        rcpt_set(q, r, RCPT_DELIVERED, WAIT_NEW);
        q->delivered++;
        break;
    case POSTERN_FAILED:
        log_fate(j, from, "deliver.failed", POSTERN_LOG_INFO);
        keep_text(q, r, from);
        rcpt_set(q, r, RCPT_FAILED, WAIT_BACKOFF);
        r->next_try = 0;
        q->failed++;
        break;
    default:
        settle_deferred(q, j, from, r);
        break;
    }
}

/* What the job says of its destination: one recipient that was answered shows that somebody is
 * there. */
static void judge_dest(struct queue *q, postern_job *j)
{
    const struct job_rcpt *wall = NULL;
    char text[QUEUE_TEXT_MAX];

    for (size_t i = 0; i < j->n; i++) {
        const struct job_rcpt *r = &j->r[i];

        if (r->fate != POSTERN_DEFERRED || r->cause < POSTERN_CAUSE_DESTINATION ||
            r->cause == POSTERN_CAUSE_HELD) {
            dest_reached(q, j->dest);
            return;
        }
        wall = r;
    }
    if (!wall)
        return;
    snprintf(text, sizeof text, "%s%s%s", wall->remote ? wall->remote : "",
             wall->remote ? ": " : "", wall->diagnostic ? wall->diagnostic : "not reachable");
    dest_dead(q, j->dest,
              wall->cause == POSTERN_CAUSE_DNS          ? WAIT_DNS
                  : wall->cause == POSTERN_CAUSE_PLUGIN ? WAIT_PLUGIN
                                                        : WAIT_HOST_DEAD,
              text);
}

void job_record(struct queue *q, postern_job *j)
{
    for (size_t i = 0; i < j->n; i++)
        settle_one(q, j, &j->r[i]);
    j->again = 0; /* who is deferred later waits as long as these */
    msg_settled(q, j->msg, 1);
}

void job_finish(struct queue *q, postern_job *j)
{
    struct qmsg *m = j->msg;

    if (!j->stopped)
        judge_dest(q, j);
    for (size_t i = 0; i < j->n; i++)
        settle_one(q, j, &j->r[i]);
    m->jobs--;
    score_land(q->row, m->id);
    if (!m->jobs)
        quarantine_over(q, m);
    dest_release(q, j->dest); /* it may be gone now */
    job_free(&j);
    msg_settled(q, m, 1);
}
