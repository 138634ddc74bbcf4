/* queue/job.c: one message for one next hop, from its first wait to its last settled recipient. */
#include "queue/branch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <postern/delivery.h>
#include <postern/services.h>

#include "address/address.h"
#include "log/log.h"
#include "util/content.h"
#include "util/mem.h"
#include "util/text.h"

/* "[*]" among the next hops is this, for as long as the job lives. */
static void note_own_host(postern_job *j, const struct route_decision *r)
{
    char own[sizeof r->domain + 2];
    const char *text;

    for (size_t i = 0; i < r->next_hop_n && !j->own_host; i++) {
        if (next_hop_flags(r->next_hops[i], &text) & NEXT_HOP_OWN_HOST)
            j->own_host = intern_ref(j->queue->texts, route_next_hop(r, i, own, sizeof own));
    }
}

postern_job *job_new(struct queue *q, struct qmsg *m, struct qdest *d,
                     const struct route_decision *r, const char *decision)
{
    postern_job *j = mem_zalloc(sizeof *j + sizeof j->r[0]);

    j->cap = 1;
    j->queue = q;
    j->msg = m;
    j->dest = d;
    j->decision = intern_ref(q->texts, decision);
    j->next_hops = r->next_hops;
    j->next_hop_n = r->next_hop_n;
    j->params = r->params;
    j->domain = intern_ref(q->texts, r->domain);
    note_own_host(j, r);
    text_id(m->id, j->id, sizeof j->id);
    return j;
}

void job_own(postern_job *j, const struct postern_strings *params, const char *sender)
{
    size_t size = sizeof *params + params->n * sizeof *params->v;
    const char **v;
    char *text;

    for (size_t i = 0; i < params->n; i++)
        size += strlen(params->v[i]) + 1;
    j->own_params = mem_alloc(size);
    v = (const char **)(j->own_params + 1);
    text = (char *)(v + params->n);
    *j->own_params = (struct postern_strings){ params->n, v };
    for (size_t i = 0; i < params->n; i++) {
        v[i] = strcpy(text, params->v[i]);
        text += strlen(text) + 1;
    }
    j->params = j->own_params;
    j->sender = intern_ref(j->queue->texts, sender);
}

void job_add(postern_job **pj, size_t index, const char *rcpt, char *rewritten, const char *leaf)
{
    postern_job *j = *pj;

    if (j->n == j->cap) {
        j->cap = (uint16_t)(j->cap * 2u < QUEUE_JOB_RCPTS ? j->cap * 2u : QUEUE_JOB_RCPTS);
        j = *pj = mem_realloc(j, sizeof *j + j->cap * sizeof j->r[0]);
    }
    j->r[j->n++] = (struct job_rcpt){ .index = (uint32_t)index,
                                      .rcpt = rcpt,
                                      .addr = rewritten,
                                      .leaf = intern_ref(j->queue->texts, leaf) };
    j->unsettled++;
}

static void job_rcpt_done(postern_job *j, struct job_rcpt *r)
{
    intern_unref(j->queue->texts, &r->leaf);
    free(r->addr);
    free(r->diagnostic);
    free(r->remote);
}

/* "owner-x@y" becomes "owner-x+user=domain@y"; what does not fit stays as it is. */
void job_verp(postern_job *j, const char *rcpt)
{
    struct postern_recipient from = { .size = sizeof from }, to = { .size = sizeof to };
    char local[2 * POSTERN_LOCAL_MAX + POSTERN_ADDRESS_MAX + 8], text[2 * sizeof local];
    const char *why;
    int n;

    if (postern_recipient_parse(envelope_sender(j->msg->env), "", &from, &why) < 0 ||
        postern_recipient_parse(rcpt, "", &to, &why) < 0 || !*from.domain || !*to.domain)
        return;
    n = snprintf(local, sizeof local, "%s+%s=%s", from.local, to.local, to.domain);
    if (n > (int)POSTERN_LOCAL_MAX)
        return;
    n = postern_address_quote(local, (size_t)n, text, sizeof text);
    if (n < 0)
        return;
    snprintf(text + n, sizeof text - (size_t)n, "@%s", from.domain);
    j->sender = intern_ref(j->queue->texts, text);
}

void job_free(postern_job **pj)
{
    postern_job *j = *pj;

    if (!j)
        return;
    *pj = NULL;
    list_del(&j->early);
    for (size_t i = 0; i < j->n; i++)
        job_rcpt_done(j, &j->r[i]);
    intern_unref(j->queue->texts, &j->sender);
    free(j->own_params);
    intern_unref(j->queue->texts, &j->decision);
    intern_unref(j->queue->texts, &j->domain);
    intern_unref(j->queue->texts, &j->own_host);
    content_unref(&j->content);
    free(j);
}

/* The recipient is not in this job any more; a leaf of it leaves, and the others may be elsewhere.
 * Returns its branch, or NULL; *ret: the leaf. */
static struct qbranch *leave(struct queue *q, postern_job *j, const struct job_rcpt *from,
                             struct qleaf **ret)
{
    struct qbranch *b = from->leaf ? branch_get(q, j->msg, from->index) : NULL;

    if (!b) {
        j->msg->rcpts[from->index].routed = ROUTED_NOT;
        return NULL;
    }
    *ret = branch_leaf(q, b, from->leaf, from->leaf);
    if ((*ret)->state == LEAF_OUT)
        (*ret)->state = LEAF_NEW;
    b->out--;
    return b;
}

/* A leaf that never got to start waits again, and its recipient with it. */
static void put_off(struct queue *q, struct qmsg *m, struct qbranch *b, int64_t next_try,
                    enum wait_reason reason)
{
    branch_put_off(b, reason, next_try);
    branch_conclude(q, m, b);
}

/* So do those that would have got what it came to. */
static void put_off_followers(struct queue *q, struct qmsg *m, struct qleaf *leaf, int64_t next_try,
                              enum wait_reason reason)
{
    struct qbranch *b;
    struct qleaf *follower;

    while ((b = branch_next_follower(q, m, leaf, &follower)))
        put_off(q, m, b, next_try, reason);
}

/* It never got to start: its recipients wait again. */
void job_unstart(struct queue *q, postern_job *j, int64_t next_try, enum wait_reason reason)
{
    struct qmsg *m = j->msg;

    for (size_t i = 0; i < j->n; i++) {
        struct qrcpt *r = &m->rcpts[j->r[i].index];
        struct qleaf *leaf;
        struct qbranch *b = leave(q, j, &j->r[i], &leaf);

        if (r->state == RCPT_WAITING && !r->text)
            r->text = intern_ref(q->texts, j->dest->text);
        if (b) {
            put_off(q, m, b, next_try, reason);
            put_off_followers(q, m, leaf, next_try, reason);
        } else if (r->state == RCPT_WAITING) {
            rcpt_set(q, r, RCPT_WAITING, reason);
            r->next_try = next_try;
        }
    }
    m->jobs--;
    job_free(&j);
    msg_settled(q, m, 0);
}

/* While it waited an operator may have held or removed some of its recipients. */
static void drop_withdrawn(postern_job *j)
{
    size_t kept = 0;

    for (size_t i = 0; i < j->n; i++) {
        struct qrcpt *r = &j->msg->rcpts[j->r[i].index];

        if (r->state != RCPT_WAITING) {
            struct qleaf *leaf;
            struct qbranch *b = leave(j->queue, j, &j->r[i], &leaf);

            if (b) { /* another recipient may still be meant to get it */
                branch_conclude(j->queue, j->msg, b);
                put_off_followers(j->queue, j->msg, leaf, 0, WAIT_LIMIT);
            }
            job_rcpt_done(j, &j->r[i]);
            continue;
        }
        if (kept != i)
            j->r[kept] = j->r[i];
        kept++;
    }
    j->n = j->unsettled = (uint16_t)kept;
}

static void settle_all(postern_job *j, uint32_t fate, uint32_t cause, uint16_t subject,
                       uint16_t detail, const char *text)
{
    struct postern_outcome o = { .size = sizeof o,
                                 .fate = fate,
                                 .cause = cause,
                                 .status = { 4, subject, detail },
                                 .diagnostic = text };

    for (size_t i = 0; i < j->n; i++) {
        if (!j->r[i].settled)
            queue_job_settle(j, i, &o);
    }
}

/* Content that can't be read now may be readable later: it is tried again, loudly. */
static int job_load(struct queue *q, postern_job *j)
{
    char text[128];

    j->content = spool_content(msg_spool(q, j->msg), j->msg->entry);
    if (j->content)
        return 0;
    snprintf(text, sizeof text, "the message can't be read from the spool: %s", strerror(errno));
    log_event(POSTERN_LOG_ERROR, "queue", "job.content", "id=%s why=%s", j->id, log_q(text));
    settle_all(j, POSTERN_DEFERRED, POSTERN_CAUSE_MESSAGE, 3, 0, text);
    return -EIO;
}

void job_start(struct queue *q, postern_job *j)
{
    char text[160];
    int r;

    drop_withdrawn(j);
    j->started = loop_now(q->loop);
    j->deadline = j->started + q->config->server.delivery_deadline;
    list_add_tail(&q->flying, &j->link);
    for (size_t i = 0; i < j->n; i++) {
        struct qbranch *b = j->r[i].leaf ? branch_get(q, j->msg, j->r[i].index) : NULL;

        rcpt_set(q, &j->msg->rcpts[j->r[i].index], RCPT_WAITING, WAIT_IN_FLIGHT);
        if (b)
            b->flying++;
    }
    if (!j->n) {
        list_del(&j->link);
        list_add_tail(&q->finished, &j->link);
        queue_kick(q);
        return;
    }
    if (job_load(q, j) < 0)
        return;
    r = q->carrier.deliver(q->carrier.ctx, j->dest->transport, j);
    if (r >= 0)
        return;
    snprintf(text, sizeof text, "transport %s %s", j->dest->transport,
             r == -ENOENT ? "is not there" : strerror(-r));
    settle_all(j, POSTERN_DEFERRED, POSTERN_CAUSE_PLUGIN, 3, 5, text);
}

void job_take_back(struct queue *q, postern_job *j, const char *why)
{
    q->carrier.cancel(q->carrier.ctx, j->dest->transport, j);
    settle_all(j, POSTERN_DEFERRED, POSTERN_CAUSE_MESSAGE, 4, 7, why);
}

/* --- services --- */

uint64_t queue_job_message(const postern_job *j)
{
    return j->msg->id;
}

const char *queue_job_id(const postern_job *j)
{
    return j->id;
}

const char *queue_job_sender(const postern_job *j)
{
    return j->sender ? j->sender : envelope_sender(j->msg->env);
}

size_t queue_job_rcpts(const postern_job *j)
{
    return j->n;
}

const char *queue_job_rcpt(const postern_job *j, size_t i)
{
    if (i >= j->n)
        return NULL;
    return j->r[i].addr ? j->r[i].addr : j->r[i].rcpt;
}

const char *queue_job_destination(const postern_job *j)
{
    return j->domain;
}

const char *queue_job_next_hop(const postern_job *j, size_t i)
{
    const char *text;
    unsigned flags;

    if (i >= j->next_hop_n)
        return NULL;
    flags = next_hop_flags(j->next_hops[i], &text);
    if (!(flags & NEXT_HOP_OWN))
        return text;
    return flags & NEXT_HOP_OWN_HOST ? j->own_host : j->domain;
}

uint32_t queue_job_next_hop_flags(const postern_job *j, size_t i)
{
    const char *text;
    unsigned flags = i < j->next_hop_n ? next_hop_flags(j->next_hops[i], &text) : 0;

    return (flags & NEXT_HOP_OWN ? POSTERN_NEXT_HOP_OWN : 0) |
        (flags & NEXT_HOP_UNRESOLVED ? POSTERN_NEXT_HOP_UNRESOLVED : 0);
}

const char *queue_job_param(const postern_job *j, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; j->params && i < j->params->n; i++) {
        if (!strncmp(j->params->v[i], name, len) && j->params->v[i][len] == '=')
            return j->params->v[i] + len + 1;
    }
    return NULL;
}

const char *queue_job_client(const postern_job *j)
{
    return envelope_client(j->msg->env);
}

const char *queue_job_original(const postern_job *j, size_t i)
{
    return i < j->n ? j->r[i].rcpt : NULL;
}

int queue_job_released(const postern_job *j, size_t i)
{
    return i < j->n && (j->msg->rcpts[j->r[i].index].released & HOLD_TRANSPORT);
}

uint32_t queue_job_flags(const postern_job *j)
{
    return j->msg->env->flags & (POSTERN_MAIL_8BIT | POSTERN_MAIL_UTF8);
}

postern_content *queue_job_content(const postern_job *j)
{
    return j->content;
}

static int outcome_is_sane(const struct postern_outcome *o)
{
    return o && o->size >= offsetof(struct postern_outcome, protocol) &&
        o->fate >= POSTERN_DELIVERED && o->fate <= POSTERN_FAILED;
}

/* The class of a status says what the fate is (RFC 3463 3.1); a peer's may say otherwise ("550
 * 4.7.1"), and a plugin's may be missing. */
static void status_of(const struct postern_outcome *o, uint16_t ret[3])
{
    static const uint16_t classes[] = {
        [POSTERN_DELIVERED] = 2, [POSTERN_DEFERRED] = 4, [POSTERN_FAILED] = 5
    };

    memcpy(ret, o->status, sizeof o->status);
    if (!ret[0])
        ret[1] = ret[2] = 0;
    ret[0] = classes[o->fate];
}

/* Others may take as long as they are allowed to; until then a crash would repeat what was done. */
static void settled_early(postern_job *j)
{
    struct queue *q = j->queue;

    if (!list_empty(&j->early))
        return;
    j->early_at = loop_now(q->loop) + QUEUE_EARLY_USEC;
    list_add_tail(&q->early, &j->early);
    queue_kick(q);
}

void queue_job_settle(postern_job *j, size_t i, const struct postern_outcome *o)
{
    static const struct postern_outcome nonsense = {
        .size = sizeof nonsense,
        .fate = POSTERN_DEFERRED,
        .cause = POSTERN_CAUSE_MESSAGE,
        .status = { 4, 3, 5 },
        .diagnostic = "the transport gave an outcome that makes no sense"
    };
    struct job_rcpt *r;

    if (i >= j->n || j->r[i].settled) {
        log_event(POSTERN_LOG_ERROR, "queue", "job.settle",
                  "id=%s transport=%s rcpt=%zu why=\"settled twice, or never its own: a bug of the "
                  "plugin; ignored\"",
                  j->id, j->dest->transport, i);
        return;
    }
    if (!outcome_is_sane(o))
        o = &nonsense;
    r = &j->r[i];
    r->settled = 1;
    r->fate = (uint8_t)o->fate;
    /* A cause that a newer plugin may know and we do not adds nothing. */
    r->cause = o->cause <= POSTERN_CAUSE_HELD ? (uint8_t)o->cause : POSTERN_CAUSE_NONE;
    r->smtp = POSTERN_HAS(o, protocol) && !strcmp(o->protocol, "smtp");
    status_of(o, r->status);
    r->diagnostic = o->diagnostic ? mem_strdup(o->diagnostic) : NULL;
    r->remote = o->remote ? mem_strdup(o->remote) : NULL;
    if (--j->unsettled) {
        settled_early(j);
        return;
    }
    list_del(&j->early);
    list_del(&j->link);
    list_add_tail(&j->queue->finished, &j->link);
    queue_kick(j->queue);
}
