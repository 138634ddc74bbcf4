/* queue/queue.c: the life of a message between the spool's word that it is durable and the spool's
 * being told that it is done. */
#include "queue/branch.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/text.h"

#define SWEEP_USEC    60000000u
#define GIVE_BACK_MIN 10000u /* messages */

static void queue_work(void *ctx);
static void arm_sweep(struct queue *q);

int queue_check(const struct config *cfg, struct config_errors *errors)
{
    size_t before = errors->n;
    int64_t usec;

    for (size_t i = 0; i < cfg->queue.retry.n; i++) {
        if (text_duration_parse(cfg->queue.retry.v[i], &usec) < 0 || usec <= 0)
            config_error(errors, cfg->source, "/queue/retry",
                         "found \"%s\", expected durations like \"30m\"", cfg->queue.retry.v[i]);
    }
    return errors->n == before ? 0 : -EINVAL;
}

/* Noted behind the output stage: the messages of this turn become the next turn's work. By id,
 * since one may have gone again meanwhile. */
static void on_fresh(void *ctx)
{
    struct queue *q = ctx;

    for (size_t at = 0; at < q->fresh_ids.len; at += sizeof(uint64_t)) {
        struct qmsg *m;
        uint64_t id;

        memcpy(&id, q->fresh_ids.data + at, sizeof id);
        m = index_get(&q->by_id, id);
        if (m && !m->due.slot)
            heap_push(&q->due, &m->due, loop_now(q->loop));
    }
    buf_clear(&q->fresh_ids);
    queue_kick(q);
}

int queue_new(const struct queue_setup *setup, struct queue **ret)
{
    struct queue *q = mem_zalloc(sizeof *q);

    q->loop = setup->loop;
    q->spools[0] = setup->spool;
    q->config = setup->config;
    q->routes = setup->routes;
    q->carrier = setup->carrier;
    q->ask = setup->ask;
    q->row = setup->row;
    q->retry_n = q->config->queue.retry.n;
    q->retry = mem_zalloc((q->retry_n + 1) * sizeof *q->retry);
    for (size_t i = 0; i < q->retry_n; i++) {
        if (text_duration_parse(q->config->queue.retry.v[i], &q->retry[i]) < 0) {
            free(q->retry);
            free(q);
            return -EINVAL;
        }
    }
    q->texts = intern_new();
    q->marked = idmap_new();
    q->bulk = idmap_new();
    q->walk_by = idmap_new();
    list_init(&q->walks);
    list_init(&q->walks_asking);
    list_init(&q->bulks);
    q->dests = map_new();
    q->groups = map_new();
    list_init(&q->messages);
    list_init(&q->ready);
    list_init(&q->parking);
    list_init(&q->adoptions);
    q->own.queue = q;
    list_add_tail(&q->adoptions, &q->own.link);
    list_init(&q->flying);
    list_init(&q->finished);
    list_init(&q->early);
    list_init(&q->bounces);
    q->work.run = queue_work;
    q->work.ctx = q;
    q->fresh.run = on_fresh;
    q->fresh.ctx = q;
    q->seed = (unsigned)clock_mono();
    q->boot = clock_boot_id();
    *ret = q;
    return 0;
}

static void msg_free(struct queue *q, struct qmsg *m)
{
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        rcpt_set(q, &m->rcpts[i], RCPT_DONE, WAIT_NEW);
        intern_unref(q->texts, &m->rcpts[i].text);
        intern_unref(q->texts, &m->rcpts[i].remote);
        intern_unref(q->texts, &m->rcpts[i].decision);
    }
    branch_forget(q, m);
    bulk_forget(q, m);
    heap_remove(&q->due, &m->due);
    LIST_EACH (&q->adoptions, it) {
        struct queue_adoption *a = CONTAINER(it, struct queue_adoption, link);

        if (a->last == &m->link)
            a->last = m->link.prev;
    }
    list_del(&m->link);
    index_remove(&q->by_id, m);
    q->count--;
    free(m);
}

void queue_free(struct queue **pq)
{
    struct queue *q = *pq;

    if (!q)
        return;
    *pq = NULL;
    loop_forget(&q->work);
    loop_forget(&q->fresh);
    loop_cancel(&q->timer);
    loop_cancel(&q->sweep);
    dest_free_all(q);
    bounce_free_all(q);
    walk_free_all(q);
    LIST_EACH_SAFE (&q->messages, it, tmp)
        msg_free(q, CONTAINER(it, struct qmsg, link));
    heap_free(&q->due);
    index_free(&q->by_id);
    buf_free(&q->fresh_ids);
    quarantine_free(q);
    branch_free_all(q);
    map_free(&q->dests, NULL);
    idmap_free(&q->bulk);
    idmap_free(&q->walk_by);
    map_free(&q->groups, free);
    intern_free(&q->texts);
    free(q->retry);
    free(q);
}

void queue_set_spool(struct queue *q, struct spool *spool)
{
    q->spools[0] = spool;
}

int queue_adopt_begin(struct queue *q, struct spool *spool, struct queue_adoption **ret)
{
    struct queue_adoption *a;
    unsigned i = 1;

    while (i < QUEUE_SPOOLS && q->spools[i])
        i++;
    if (i == QUEUE_SPOOLS)
        return -EMFILE;
    q->spools[i] = spool;
    a = mem_zalloc(sizeof *a);
    a->queue = q;
    a->spool = i;
    list_add_tail(&q->adoptions, &a->link);
    quarantine_apply_all(q);
    *ret = a;
    return 0;
}

void queue_adopt_end(struct queue_adoption **pa)
{
    struct queue_adoption *a = *pa;

    if (!a)
        return;
    *pa = NULL;
    list_del(&a->link);
    free(a);
}

void queue_spool_forget(struct queue *q, struct spool *spool)
{
    for (unsigned i = 1; i < QUEUE_SPOOLS; i++) {
        if (q->spools[i] == spool)
            q->spools[i] = NULL;
    }
}

struct spool *msg_spool(const struct queue *q, const struct qmsg *m)
{
    return q->spools[m->spool];
}

void queue_set_carrier(struct queue *q, void *ctx)
{
    q->carrier.ctx = ctx;
}

/* The one place where a recipient's state changes, so that the counts can't drift. */
void rcpt_set(struct queue *q, struct qrcpt *r, enum rcpt_status state, enum wait_reason reason)
{
    int waited = r->state == RCPT_WAITING || r->state == RCPT_HELD || r->state == RCPT_FAILED;
    int waits = state == RCPT_WAITING || state == RCPT_HELD || state == RCPT_FAILED;

    q->waiting_by[r->reason] -= (uint64_t)waited;
    r->state = (uint8_t)state;
    r->reason = (uint8_t)reason;
    q->waiting_by[r->reason] += (uint64_t)waits;
}

void rcpt_hold(struct queue *q, struct qrcpt *r, unsigned by)
{
    rcpt_set(q, r, RCPT_HELD, WAIT_HELD);
    r->held = by & 3u;
}

void rcpt_text(struct queue *q, struct qrcpt *r, const char *text, const uint16_t status[3])
{
    const char *fresh;
    char cut[QUEUE_TEXT_MAX];

    postern_text_clean(text ? text : "", text ? strlen(text) : 0, cut, sizeof cut);
    fresh = intern_ref(q->texts, cut);
    intern_unref(q->texts, &r->text);
    r->text = fresh;
    memcpy(r->status, status, sizeof r->status);
    rcpt_said(q, r, NULL, 0);
}

void rcpt_said(struct queue *q, struct qrcpt *r, const char *remote, int smtp)
{
    const char *fresh = intern_ref(q->texts, remote);

    intern_unref(q->texts, &r->remote);
    r->remote = fresh;
    r->smtp = (uint8_t)smtp;
}

/* One try more has failed: when is the next? */
void rcpt_defer(struct queue *q, struct qrcpt *r, enum wait_reason reason,
                const struct route_group *g)
{
    rcpt_set(q, r, RCPT_WAITING, reason);
    if (r->tries < UINT16_MAX)
        r->tries++;
    r->tried = (uint32_t)(clock_wall() / 1000000);
    r->next_try = loop_now(q->loop) + retry_delay(q, g, r->tries);
    q->deferred++;
}

/* A wall clock that was set back since must not make a message younger than new, nor a broken one
 * (or a damaged disk) overflow anything. */
int64_t envelope_age(const struct envelope *env, int64_t wall)
{
    int64_t age;

    if (__builtin_sub_overflow(wall, env->received_usec, &age) || age < 0)
        return 0;
    return age;
}

static int64_t lifetime_of(const struct queue *q, const struct envelope *env)
{
    return *envelope_sender(env) ? q->config->queue.lifetime : q->config->queue.bounce_lifetime;
}

int64_t msg_expires(const struct queue *q, const struct qmsg *m)
{
    return m->born + lifetime_of(q, m->env);
}

/* In the order of ids, which is nearly that of arrival: a few steps back from the end, or from the
 * last one of the same shard when one is taken over. */
static void list_insert(struct queue *q, struct qmsg *m, struct list *last)
{
    struct list *after = last ? last : q->messages.prev;

    while (after->next != &q->messages && CONTAINER(after->next, struct qmsg, link)->id < m->id)
        after = after->next;
    while (after != &q->messages && CONTAINER(after, struct qmsg, link)->id > m->id)
        after = after->prev;
    list_add_head(after, &m->link);
}

/* a: it is told of a spool that was there before; NULL: it is new, and in the worker's own. */
static struct qmsg *msg_new(struct queue *q, uint64_t id, struct queue_adoption *a,
                            struct spool_entry *entry, struct envelope *env)
{
    size_t own = sizeof(struct qmsg) + env->rcpt_n * sizeof(struct qrcpt);
    size_t len = sizeof *env + env->text_len;
    struct qmsg *m = mem_alloc(own + len);

    memset(m, 0, own);
    m->id = id;
    m->entry = entry;
    m->spool = a ? (uint8_t)a->spool : 0;
    m->env = memcpy((char *)m + own, env, len);
    free(env);
    env = m->env;
    m->born = loop_now(q->loop);
    q->waiting_by[WAIT_NEW] += env->rcpt_n;
    list_insert(q, m, a ? a->last : NULL);
    if (a)
        a->last = &m->link;
    index_add(&q->by_id, m);
    if (++q->count > q->most)
        q->most = q->count;
    return m;
}

void queue_add(struct queue *q, uint64_t id, struct spool_entry *entry, struct envelope *env)
{
    struct qmsg *m = msg_new(q, id, NULL, entry, env);

    q->accepted++;
    /* Due in the next turn: first the client's 250 leaves. A plugin that dies of this message must
     * not make the client send it again. */
    buf_add(&q->fresh_ids, &m->id, sizeof m->id);
    loop_note(q->loop, &q->fresh, LOOP_STAGE_DISK);
}

/* Nobody waits for it any more. Jobs of it may still wait for their turn, to find that out. */
int msg_is_over(const struct qmsg *m)
{
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        if (m->rcpts[i].state != RCPT_DELIVERED && m->rcpts[i].state != RCPT_DONE)
            return 0;
    }
    return 1;
}

/* Where is its next event? Nowhere while a job or a DSN of it is under way: they end here again. */
void msg_schedule(struct queue *q, struct qmsg *m)
{
    int64_t at = INT64_MAX, expires = INT64_MAX;

    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        const struct qrcpt *r = &m->rcpts[i];

        if (r->routed || (r->state != RCPT_WAITING && r->state != RCPT_FAILED))
            continue;
        if (r->state == RCPT_FAILED && m->jobs)
            continue;                 /* one DSN for all: it waits for the others */
        if (r->state == RCPT_WAITING) /* who has failed does not expire: his report waits */
            expires = msg_expires(q, m);
        if (r->next_try < at)
            at = r->next_try;
    }
    if (!m->jobs && !(m->env->flags & ENVELOPE_POSTMASTER) && branch_report_at(q, m) < at)
        at = branch_report_at(q, m); /* also when its recipient is held, or is to wait longer */
    if (branch_write_at(q, m) < at)
        at = branch_write_at(q, m);
    if (msg_is_over(m) && !m->jobs)
        at = 0; /* all outcomes were written, but not that it is done */
    if (at == INT64_MAX || m->bouncing) {
        heap_remove(&q->due, &m->due);
        return;
    }
    heap_move(&q->due, &m->due, at < expires || at <= loop_now(q->loop) ? at : expires);
}

/* NULL: it can't be queued, and stays in the spool. */
static struct qmsg *told(struct queue_adoption *a, uint64_t id, struct spool_entry *entry,
                         const void *meta, size_t meta_len)
{
    struct envelope *env;
    char text[16];

    /* It can't be in two shards. If it is, it is delivered from one. */
    if (index_get(&a->queue->by_id, id)) {
        log_event(POSTERN_LOG_ERROR, "queue", "replay.twice",
                  "id=%s why=\"it is in another shard too; this copy stays in the spool\"",
                  text_id(id, text, sizeof text));
        return NULL;
    }
    if (envelope_decode(meta, meta_len, &env) < 0) {
        log_event(POSTERN_LOG_ERROR, "queue", "replay.envelope",
                  "id=%s why=\"the envelope can't be read; the message stays in the spool\"",
                  text_id(id, text, sizeof text));
        return NULL;
    }
    return msg_new(a->queue, id, a, entry, env);
}

static struct qmsg *replay(struct queue_adoption *a, uint64_t id, struct spool_entry *entry,
                           const void *meta, size_t meta_len, const void *state, size_t state_len)
{
    struct queue *q = a->queue;
    struct qmsg *m = told(a, id, entry, meta, meta_len);
    char text[16];

    if (!m)
        return NULL;
    m->born -= state_gap(envelope_age(m->env, clock_wall()));
    if (state && state_decode(q, m, state, state_len) < 0)
        log_event(POSTERN_LOG_ERROR, "queue", "replay.state",
                  "id=%s why=\"the state can't be read; every recipient is tried again\"",
                  text_id(id, text, sizeof text));
    msg_schedule(q, m);
    return m;
}

void queue_replay(void *ctx, uint64_t id, struct spool_entry *entry, const void *meta,
                  size_t meta_len, const void *state, size_t state_len, uint64_t content_size)
{
    struct queue *q = ctx;

    (void)content_size;
    replay(&q->own, id, entry, meta, meta_len, state, state_len);
}

void queue_adopt(void *ctx, uint64_t id, struct spool_entry *entry, const void *meta,
                 size_t meta_len, const void *state, size_t state_len, uint64_t content_size)
{
    struct queue_adoption *a = ctx;
    struct qmsg *m = replay(a, id, entry, meta, meta_len, state, state_len);

    (void)content_size;
    if (m)
        quarantine_apply(a->queue, m);
    queue_kick(a->queue);
}

void queue_kick(struct queue *q)
{
    loop_note(q->loop, &q->work, LOOP_STAGE_WORK);
}

static void on_timer(void *ctx)
{
    struct queue *q = ctx;

    q->timer = NULL;
    q->timer_at = 0;
    queue_kick(q);
}

/* One timer for everything that has a time. It may fire early, which costs a look, never late. */
static void arm(struct queue *q)
{
    struct heap_node *top = heap_top(&q->due);
    int64_t at = top ? top->key : INT64_MAX, now = loop_now(q->loop);

    if (!list_empty(&q->flying)) {
        const postern_job *j = CONTAINER(q->flying.next, postern_job, link);

        if (j->deadline < at)
            at = j->deadline;
    }
    if (!list_empty(&q->early)) {
        const postern_job *j = CONTAINER(q->early.next, postern_job, early);

        if (j->early_at < at)
            at = j->early_at;
    }
    if ((q->turn_started >= QUEUE_STARTS_PER_TURN && !list_empty(&q->ready)) || park_ready(q) ||
        walk_ready(q))
        at = now; /* enough for this turn */
    if (at == INT64_MAX || !q->running || (q->timer && q->timer_at <= at))
        return;
    loop_cancel(&q->timer);
    q->timer_at = at;
    q->timer = loop_after(q->loop, at > now ? (uint64_t)(at - now) : 0, on_timer, q);
}

static void route_due(struct queue *q)
{
    int64_t now = loop_now(q->loop);

    while (q->turn_routed < QUEUE_DUE_PER_TURN) {
        struct heap_node *top = heap_top(&q->due);

        if (!top || top->key > now)
            return;
        q->turn_routed++;
        heap_remove(&q->due, top);
        msg_route(q, CONTAINER(top, struct qmsg, due));
    }
}

static void record_early(struct queue *q)
{
    while (!list_empty(&q->early)) {
        postern_job *j = CONTAINER(q->early.next, postern_job, early);

        if (j->early_at > loop_now(q->loop))
            return;
        list_del(&j->early);
        job_record(q, j);
    }
}

static void expire_deadlines(struct queue *q)
{
    int64_t now = loop_now(q->loop);

    while (!list_empty(&q->flying)) {
        postern_job *j = CONTAINER(q->flying.next, postern_job, link);

        if (j->deadline > now)
            return;
        log_event(POSTERN_LOG_ERROR, "queue", "job.deadline",
                  "id=%s transport=%s why=\"not settled in time, taken back\"", j->id,
                  j->dest->transport);
        job_take_back(q, j, "the transport did not finish in time");
    }
}

static void queue_work(void *ctx)
{
    struct queue *q = ctx;
    struct list *n;

    if (q->turn != loop_now(q->loop)) {
        q->turn = loop_now(q->loop);
        q->turn_routed = q->turn_started = q->turn_walked = 0;
    }
    while ((n = list_pop(&q->finished)))
        job_finish(q, CONTAINER(n, postern_job, link));
    record_early(q);
    if (q->running) {
        park_work(q);
        walk_work(q);
        route_due(q);
        dest_dispatch(q);
    }
    expire_deadlines(q);
    arm(q);
}

void queue_start(struct queue *q)
{
    quarantine_apply_all(q);
    q->running = 1;
    arm_sweep(q);
    queue_kick(q);
}

void queue_counts(const struct queue *q, struct queue_counts *ret)
{
    *ret = (struct queue_counts){ .messages = q->count,
                                  .in_flight = q->in_flight,
                                  .accepted = q->accepted,
                                  .delivered = q->delivered,
                                  .deferred = q->deferred,
                                  .failed = q->failed,
                                  .bounced = q->bounced };
}

/* What a long queue took, the allocator keeps: pages in between others are not returned by free().
 * It costs some milliseconds for each 100,000 messages that were there, so only after a large
 * change. */
static void give_back(struct queue *q)
{
    if (q->most < GIVE_BACK_MIN || q->count > q->most / 2)
        return;
    malloc_trim(0);
    q->most = q->count;
}

static void on_sweep(void *ctx)
{
    struct queue *q = ctx;

    q->sweep = NULL;
    dest_sweep(q);
    give_back(q);
    arm_sweep(q);
}

static void arm_sweep(struct queue *q)
{
    q->sweep = loop_after(q->loop, SWEEP_USEC, on_sweep, q);
}

void msg_save(struct queue *q, struct qmsg *m)
{
    struct buf b = { 0 };

    state_encode(q, m, &b);
    spool_state(msg_spool(q, m), m->entry, b.data, b.len, 0, NULL, NULL);
    buf_free(&b);
}

/* From now on states are written at once (branch_may_write). */
void queue_stop(struct queue *q)
{
    q->running = 0;
    bulk_save_all(q);
    LIST_EACH (&q->messages, it) {
        struct qmsg *m = CONTAINER(it, struct qmsg, link);

        if (branch_write_at(q, m) != INT64_MAX && branch_may_write(q, m))
            msg_save(q, m);
    }
}

size_t queue_in_flight(const struct queue *q)
{
    return q->in_flight;
}

void queue_cancel_all(struct queue *q)
{
    while (!list_empty(&q->flying)) {
        postern_job *j = CONTAINER(q->flying.next, postern_job, link);

        j->stopped = 1;
        job_take_back(q, j, "the gateway is stopping");
    }
    queue_work(q);
}

/* Recipients of m changed (or a job or DSN of it ended): what now? */
void msg_settled(struct queue *q, struct qmsg *m, int changed)
{
    size_t failed = 0;

    if (bulk_settled(q, m, changed))
        return;
    for (size_t i = 0; i < m->env->rcpt_n; i++)
        failed += m->rcpts[i].state == RCPT_FAILED;
    /* Places that a recipient stands for are told of at once; a notice to the postmaster is kept
     * as a whole. */
    if (!(m->env->flags & ENVELOPE_POSTMASTER))
        failed += branch_failed(q, m);
    /* A job whose recipients were all removed while it waited ends here too, when its turn
     * comes. */
    if (msg_is_over(m) && !m->jobs) {
        spool_done(msg_spool(q, m), m->entry);
        msg_free(q, m);
        return;
    }
    if ((changed || bulk_unsaved(q, m) || branch_write_at(q, m) != INT64_MAX) &&
        branch_may_write(q, m))
        bulk_save(q, m);
    if (failed && !m->jobs && !m->bouncing)
        bounce_start(q, m);
    else if (!m->bouncing)
        msg_schedule(q, m);
}
