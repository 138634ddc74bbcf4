/* queue/admin.c: what operators ask of the queue, and tell it to do. */
#include "queue/branch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/text.h"

#define STATUS_DESTINATIONS 50u
#define LIST_LOOKS_MAX \
    20000u /* messages looked at for one answer: a filter must not hold the loop */
#define ACT_LOOKS_MAX  5000u  /* likewise, for one part of an action, which costs more */
#define LIST_RCPTS_MAX 20000u /* recipients in one answer: its size must not grow without limit */

static const char *const state_names[] = { "waiting", "delivered", "failed", "done", "held" };

json_t *queue_text_json(const char *s)
{
    json_t *v = s ? json_string(s) : json_null();

    /* Addresses may hold bytes that are not UTF-8; they are shown, not believed. */
    if (!v) {
        char clean[QUEUE_TEXT_MAX];

        v = json_string(postern_text_clean(s, strlen(s), clean, sizeof clean));
    }
    return v;
}

static json_t *rcpt_json(const struct qrcpt *r, const char *rcpt, int64_t now_mono,
                         int64_t now_wall)
{
    json_t *o = json_object();
    char time[40], status[24];

    json_object_set_new(o, "recipient", queue_text_json(rcpt));
    json_object_set_new(o, "state", json_string(state_names[r->state]));
    json_object_set_new(o, "tries", json_integer(r->tries));
    if (r->state == RCPT_WAITING || r->state == RCPT_HELD || r->state == RCPT_FAILED)
        json_object_set_new(o, "reason", json_string(wait_reason_name(r->reason)));
    if (r->state == RCPT_WAITING && r->reason != WAIT_IN_FLIGHT && r->reason != WAIT_LIMIT) {
        int64_t in = r->next_try > now_mono ? r->next_try - now_mono : 0;

        json_object_set_new(o, "next_try",
                            json_string(text_time(now_wall + in, time, sizeof time)));
        json_object_set_new(o, "next_try_in", json_real((double)in / 1e6));
    }
    if (r->status[0]) {
        snprintf(status, sizeof status, "%u.%u.%u", r->status[0], r->status[1], r->status[2]);
        json_object_set_new(o, "status", json_string(status));
    }
    if (r->text)
        json_object_set_new(o, "text", queue_text_json(r->text));
    if (r->remote)
        json_object_set_new(o, "remote", queue_text_json(r->remote));
    if (r->decision)
        json_object_set_new(o, "decision", queue_text_json(r->decision));
    return o;
}

static json_t *rcpt_of_json(const struct queue *q, const struct qmsg *m, size_t i, const char *rcpt,
                            int64_t now_mono, int64_t now_wall)
{
    json_t *o = rcpt_json(&m->rcpts[i], rcpt, now_mono, now_wall), *places = branch_json(q, m, i);

    if (places)
        json_object_set_new(o, "places", places);
    return o;
}

static json_t *msg_json(const struct queue *q, const struct qmsg *m, uint64_t size,
                        int64_t now_mono, int64_t now_wall)
{
    json_t *o = json_object(), *rcpts = json_array();
    const char *rcpt = envelope_first_rcpt(m->env);
    char id[16], time[40];

    json_object_set_new(o, "id", json_string(text_id(m->id, id, sizeof id)));
    json_object_set_new(o, "sender", queue_text_json(envelope_sender(m->env)));
    json_object_set_new(o, "received",
                        json_string(text_time(m->env->received_usec, time, sizeof time)));
    json_object_set_new(o, "age", json_real((double)envelope_age(m->env, now_wall) / 1e6));
    json_object_set_new(o, "size", json_integer((json_int_t)size));
    json_object_set_new(o, "ingress", queue_text_json(envelope_ingress(m->env)));
    json_object_set_new(o, "client", queue_text_json(envelope_client(m->env)));
    if (m->env->flags & ENVELOPE_BOUNCE)
        json_object_set_new(o, "bounce", json_true());
    for (size_t i = 0; i < m->env->rcpt_n; i++, rcpt = envelope_next_text(rcpt))
        json_array_append_new(rcpts, rcpt_of_json(q, m, i, rcpt, now_mono, now_wall));
    json_object_set_new(o, "recipients", rcpts);
    return o;
}

static int sender_matches(const char *pattern, const char *sender)
{
    if (!strcmp(pattern, "<>"))
        return !*sender;
    return text_glob(pattern, sender);
}

static int rcpt_matches(const struct queue_filter *f, const char *rcpt)
{
    const char *at = strrchr(rcpt, '@');

    if (f->recipient && !text_glob(f->recipient, rcpt))
        return 0;
    return !f->domain || text_glob(f->domain, at ? at + 1 : "");
}

static int msg_matches(const struct queue_filter *f, const struct qmsg *m)
{
    const char *rcpt = envelope_first_rcpt(m->env);
    uint64_t id;

    if (f->id && (text_id_parse(f->id, &id) < 0 || id != m->id))
        return 0;
    if (f->sender && !sender_matches(f->sender, envelope_sender(m->env)))
        return 0;
    if (!f->recipient && !f->domain && !f->held)
        return 1;
    for (size_t i = 0; i < m->env->rcpt_n; i++, rcpt = envelope_next_text(rcpt)) {
        if (rcpt_matches(f, rcpt) && (!f->held || m->rcpts[i].state == RCPT_HELD))
            return 1;
    }
    return 0;
}

/* The first message with that id or a greater one. Normally it is still there; if it has gone, the
 * ring is searched. */
static struct list *from_id(struct queue *q, uint64_t from)
{
    struct qmsg *m = from ? index_get(&q->by_id, from) : NULL;

    if (m)
        return &m->link;
    LIST_EACH (&q->messages, it) {
        if (CONTAINER(it, struct qmsg, link)->id >= from)
            return it;
    }
    return &q->messages;
}

static struct list *after_id(struct queue *q, uint64_t after)
{
    struct list *it = from_id(q, after);

    return it != &q->messages && CONTAINER(it, struct qmsg, link)->id == after ? it->next : it;
}

json_t *queue_list(struct queue *q, const struct queue_filter *f, uint64_t after, size_t limit,
                   uint64_t *ret_next)
{
    json_t *out = json_array();
    int64_t mono = loop_now(q->loop), wall = clock_wall();
    unsigned looks = 0, rcpts = 0;

    *ret_next = 0;
    if (f->id) { /* one look instead of a search */
        uint64_t id;
        struct qmsg *m = text_id_parse(f->id, &id) < 0 ? NULL : index_get(&q->by_id, id);

        if (m && !after && msg_matches(f, m))
            json_array_append_new(out, msg_json(q, m, spool_entry_size(m->entry), mono, wall));
        return out;
    }
    for (struct list *it = after_id(q, after); it != &q->messages; it = it->next) {
        struct qmsg *m = CONTAINER(it, struct qmsg, link);

        if (!msg_is_over(m) && msg_matches(f, m)) {
            json_array_append_new(out, msg_json(q, m, spool_entry_size(m->entry), mono, wall));
            rcpts += m->env->rcpt_n;
        }
        if ((json_array_size(out) >= limit || rcpts >= LIST_RCPTS_MAX ||
             ++looks >= LIST_LOOKS_MAX) &&
            it->next != &q->messages) {
            *ret_next = m->id;
            break;
        }
    }
    return out;
}

/* Who is let go is tried once more, however old the message has become meanwhile. */
static void release(struct queue *q, const struct qmsg *m, struct qrcpt *r)
{
    if (msg_expires(q, m) <= loop_now(q->loop))
        r->tries = 0;
    rcpt_set(q, r, RCPT_WAITING, r->tries ? WAIT_BACKOFF : WAIT_NEW);
    r->next_try = 0;
    r->released |= r->held;
    r->held = 0;
}

static int act_rcpt(struct queue *q, const struct qmsg *m, struct qrcpt *r,
                    enum queue_action action, const char *why)
{
    static const uint16_t held[3] = { 4, 7, 0 };
    int in_flight = r->routed && r->reason == WAIT_IN_FLIGHT;

    switch (action) {
    case QUEUE_RETRY:
        if (r->state == RCPT_FAILED && r->reason == WAIT_SPOOL)
            return 1; /* his report is written now */
        if (r->state != RCPT_WAITING || r->routed)
            return 0;
        r->next_try = 0;
        return 1;
    case QUEUE_HOLD:
        if (r->state != RCPT_WAITING || in_flight)
            return 0;
        rcpt_text(q, r, why, held);
        rcpt_hold(q, r, 0);
        return 1;
    case QUEUE_RELEASE:
        if (r->state != RCPT_HELD)
            return 0;
        release(q, m, r);
        return 1;
    case QUEUE_REMOVE:
        if ((r->state != RCPT_WAITING && r->state != RCPT_HELD && r->state != RCPT_FAILED) ||
            in_flight)
            return 0;
        rcpt_set(q, r, RCPT_DONE, WAIT_NEW);
        q->removed++;
        return 1;
    }
    return 0;
}

static size_t act_msg(struct queue *q, struct qmsg *m, const struct queue_filter *f,
                      enum queue_action action, const char *why, const char *who)
{
    static const char *const names[] = { "queue.retry", "queue.hold", "queue.release",
                                         "queue.remove" };
    const char *rcpt = envelope_first_rcpt(m->env);
    size_t n = 0;
    char id[16];

    if (m->bouncing)
        return 0; /* its DSN is being written: in a moment it is gone or waits again */
    for (size_t i = 0; i < m->env->rcpt_n; i++, rcpt = envelope_next_text(rcpt)) {
        if (!rcpt_matches(f, rcpt) || (f->held && m->rcpts[i].state != RCPT_HELD))
            continue;
        if (!act_rcpt(q, m, &m->rcpts[i], action, why))
            continue;
        n++;
        log_event(POSTERN_LOG_NOTICE, "queue", names[action], "id=%s to=%s by=%s why=%s",
                  text_id(m->id, id, sizeof id), log_q(rcpt), log_q(who), log_q(why));
    }
    if (n) /* impatience forgotten in a crash does no harm, and it may be for all */
        msg_settled(q, m, action != QUEUE_RETRY);
    return n;
}

static void revive(void *ctx, const char *key, void *value)
{
    struct qdest *d = value;

    (void)key;
    if (d->dead_until)
        d->dead_until = *(int64_t *)ctx; /* one job may probe now */
}

static size_t act_one(struct queue *q, const struct queue_filter *f, enum queue_action action,
                      const char *why, const char *who)
{
    uint64_t id;
    struct qmsg *m = text_id_parse(f->id, &id) < 0 ? NULL : index_get(&q->by_id, id);

    return m && msg_matches(f, m) ? act_msg(q, m, f, action, why, who) : 0;
}

static size_t act_from(struct queue *q, const struct queue_filter *f, enum queue_action action,
                       const char *why, const char *who, uint64_t from, uint64_t *ret_next)
{
    struct list *it = from_id(q, from), *next;
    unsigned looks = 0;
    size_t n = 0;

    for (; it != &q->messages && looks++ < ACT_LOOKS_MAX; it = next) {
        struct qmsg *m = CONTAINER(it, struct qmsg, link);

        next = it->next; /* it may go */
        if (msg_matches(f, m))
            n += act_msg(q, m, f, action, why, who);
    }
    if (it != &q->messages)
        *ret_next = CONTAINER(it, struct qmsg, link)->id;
    return n;
}

size_t queue_act(struct queue *q, const struct queue_filter *f, enum queue_action action,
                 const char *why, const char *who, uint64_t from, uint64_t *ret_next)
{
    int64_t now = loop_now(q->loop);
    size_t n;

    *ret_next = 0;
    /* An operator who says "retry" knows something: dead destinations are probed at once. */
    if (action == QUEUE_RETRY && !from)
        map_each(q->dests, revive, &now);
    if (!why)
        why = action == QUEUE_HOLD ? "held by an operator" : NULL;
    n = f->id ? act_one(q, f, action, why, who) : act_from(q, f, action, why, who, from, ret_next);
    queue_kick(q);
    return n;
}

struct dest_top { /* the largest destinations, in order */
    const struct qdest *v[STATUS_DESTINATIONS];
    size_t n;
};

static size_t dest_size(const struct qdest *d)
{
    return d->waiting_n + d->parked.n + d->in_flight;
}

static void top_add(void *ctx, const char *key, void *value)
{
    struct dest_top *top = ctx;
    const struct qdest *d = value;
    size_t i;

    (void)key;
    if (top->n < STATUS_DESTINATIONS)
        top->n++;
    else if (dest_size(top->v[top->n - 1]) >= dest_size(d))
        return;
    for (i = top->n - 1; i > 0 && dest_size(top->v[i - 1]) < dest_size(d); i--)
        top->v[i] = top->v[i - 1];
    top->v[i] = d;
}

static json_t *dest_json(const struct qdest *d, int64_t now)
{
    json_t *o = json_object();
    int64_t probe_in = d->dead_until > now ? d->dead_until - now : 0;

    json_object_set_new(o, "transport", queue_text_json(d->transport));
    json_object_set_new(o, "destination", queue_text_json(d->name));
    json_object_set_new(o, "waiting", json_integer((json_int_t)(d->waiting_n + d->parked.n)));
    json_object_set_new(o, "in_flight", json_integer((json_int_t)d->in_flight));
    if (!d->dead_until)
        return o;
    json_object_set_new(o, "dead", queue_text_json(d->text ? d->text : ""));
    json_object_set_new(o, "probe_in", json_real((double)probe_in / 1e6));
    return o;
}

json_t *queue_status(struct queue *q)
{
    json_t *waiting = json_object(), *dests = json_array();
    struct dest_top top = { .n = 0 };

    for (int i = 0; i < WAIT_REASONS; i++)
        json_object_set_new(waiting, wait_reason_name(i),
                            json_integer((json_int_t)q->waiting_by[i]));
    map_each(q->dests, top_add, &top);
    for (size_t i = 0; i < top.n; i++)
        json_array_append_new(dests, dest_json(top.v[i], loop_now(q->loop)));
    return json_pack("{s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "messages",
                     (json_int_t)q->count, "waiting", waiting, "in_flight",
                     (json_int_t)q->in_flight, "accepted", (json_int_t)q->accepted, "delivered",
                     (json_int_t)q->delivered, "deferred", (json_int_t)q->deferred, "failed",
                     (json_int_t)q->failed, "bounced", (json_int_t)q->bounced, "expired",
                     (json_int_t)q->expired, "removed", (json_int_t)q->removed, "discarded",
                     (json_int_t)q->discarded, "destinations", dests);
}

/* --- without a daemon --- */

json_t *queue_describe(uint64_t id, const struct envelope *env, const void *state, size_t state_len,
                       uint64_t content_size)
{
    struct queue q = { .texts = intern_new() };
    struct qmsg *m = mem_zalloc(sizeof *m + env->rcpt_n * sizeof m->rcpts[0]);
    json_t *o;

    m->id = id;
    m->env = (struct envelope *)env; /* only read */
    if (state)
        state_decode(&q, m, state, state_len);
    o = msg_json(&q, m, content_size, clock_mono(), clock_wall());
    branch_forget(&q, m);
    branch_free_all(&q);
    intern_free(&q.texts);
    free(m);
    return o;
}

int queue_filter_match(const struct queue_filter *f, const json_t *described)
{
    const char *id = json_string_value(json_object_get(described, "id"));
    const char *sender = json_string_value(json_object_get(described, "sender"));
    json_t *rcpts = json_object_get(described, "recipients"), *r;
    size_t i;

    if (f->id && text_casecmp(f->id, id))
        return 0;
    if (f->sender && !sender_matches(f->sender, sender))
        return 0;
    json_array_foreach (rcpts, i, r) {
        int held = !strcmp(json_string_value(json_object_get(r, "state")), "held");

        if (rcpt_matches(f, json_string_value(json_object_get(r, "recipient"))) &&
            (!f->held || held))
            return 1;
    }
    return 0;
}
