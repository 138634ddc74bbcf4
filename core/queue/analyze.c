/* queue/analyze.c: see analyze.h. */
#include "queue/analyze.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/log.h"
#include "queue/private.h"
#include "util/mem.h"
#include "util/text.h"

#define CHUNK_BYTES 1048576u /* of a lost message's content, read at a time */

struct queue_analysis {
    struct queue_analyze_setup setup;
    struct spool_report *report;
    struct spool_analysis *spool;
    void (*done)(void *ctx, int result);
    void *ctx;
    int stop;

    /* the lost message that is being rebuilt */
    struct spool_lost *lost;
    struct spool_salvage salvage;
    struct spool_put *put;
    uint64_t id, at;
    char *chunk;
    int64_t chunk_len;
};

_Static_assert(QUEUE_ANALYZE_SPOOLS == QUEUE_SPOOLS, "as many as a queue can have");

struct spool *queue_spool(const struct queue *q, unsigned i)
{
    return i < QUEUE_SPOOLS ? q->spools[i] : NULL;
}

/* --- what the spool asks --- */

static enum spool_check check(const void *meta, size_t meta_len, const void *state,
                              size_t state_len)
{
    struct queue q = { .texts = NULL };
    enum spool_check r = SPOOL_CHECK_OK;
    struct envelope *env;
    struct qmsg *m;

    if (envelope_decode(meta, meta_len, &env) < 0)
        return SPOOL_CHECK_META;
    if (state) {
        q.texts = intern_new();
        m = mem_zalloc(sizeof *m + env->rcpt_n * sizeof m->rcpts[0]);
        m->env = env;
        if (state_decode(&q, m, state, state_len) < 0)
            r = SPOOL_CHECK_STATE;
        intern_free(&q.texts);
        free(m);
    }
    free(env);
    return r;
}

static int holds(void *ctx, uint64_t id)
{
    const struct queue_analysis *a = ctx;

    return index_get(&a->setup.queue->by_id, id) != NULL;
}

static int enqueue(void *ctx, struct spool_entry *e, const void *meta, size_t meta_len,
                   const void *state, size_t state_len)
{
    const struct queue_analysis *a = ctx;
    struct queue *q = a->setup.queue;
    struct queue_adoption one = { .queue = q };
    uint64_t id = spool_entry_id(e);

    while (q->spools[one.spool] != a->setup.spool)
        one.spool++;
    queue_adopt(&one, id, e, meta, meta_len, state, state_len, spool_entry_size(e));
    return index_get(&q->by_id, id) ? 0 : -EBADMSG;
}

static int hold(void *ctx, uint64_t id, const char *why)
{
    const struct queue_analysis *a = ctx;
    const struct qmsg *m = index_get(&a->setup.queue->by_id, id);
    char text[16];
    struct queue_filter f = { .id = text_id(id, text, sizeof text) };
    uint64_t next;

    if (!m)
        return -ENOENT;
    queue_act(a->setup.queue, &f, QUEUE_HOLD, why, "queue analyze", 0, &next);
    m = index_get(&a->setup.queue->by_id, id);
    for (size_t i = 0; m && i < m->env->rcpt_n; i++) {
        if (m->rcpts[i].state == RCPT_WAITING)
            return -EBUSY; /* it is being delivered */
    }
    return 0;
}

/* --- rebuilding --- */

static void next_lost(struct queue_analysis *a);
static void feed(struct queue_analysis *a);

static void finish(struct queue_analysis *a, int result)
{
    void (*done)(void *, int) = a->done;

    spool_analysis_free(&a->spool);
    done(a->ctx, result);
}

static int stopped(const struct queue_analysis *a)
{
    return a->stop || (a->setup.live && !a->setup.queue->running);
}

static void settle(struct queue_analysis *a, uint64_t as, int err)
{
    spool_lost_settle(a->spool, a->lost, as,
                      err == -ENODATA      ? "no envelope can be made out"
                          : err == -ENOENT ? "its content is not there"
                                           : strerror(-err));
    spool_put_free(&a->put);
    spool_salvage_done(&a->salvage);
    next_lost(a);
}

static void on_durable(void *ctx, int result, struct spool_entry *entry)
{
    struct queue_analysis *a = ctx;
    const struct spool_salvage *s = &a->salvage;
    char why[200], id[14];

    if (result == 0)
        result = enqueue(a, entry, s->meta, s->meta_len, s->state, s->state_len);
    if (result == 0) {
        snprintf(
            why, sizeof why,
            "rebuilt by queue analyze from a damaged record (%s): its envelope and content may "
            "be wrong",
            s->from);
        hold(a, a->id, why);
        log_event(POSTERN_LOG_WARNING, "queue", "message.rebuilt", "id=%s from=%s",
                  text_id(a->id, id, sizeof id), log_q(s->from));
    }
    settle(a, result ? 0 : a->id, result);
}

static int read_chunk(void *ctx)
{
    struct queue_analysis *a = ctx;
    ssize_t n = pread(a->salvage.fd, a->chunk, CHUNK_BYTES, (off_t)a->at);

    a->chunk_len = n < 0 ? -errno : n;
    return 0;
}

static void on_room(void *ctx, int result)
{
    (void)result;
    feed(ctx);
}

static void on_chunk(void *ctx, int unused)
{
    struct queue_analysis *a = ctx;
    int r;

    (void)unused;
    if (a->chunk_len <= 0 && a->at < a->salvage.size) {
        settle(a, 0, a->chunk_len < 0 ? (int)a->chunk_len : -EIO);
        return;
    }
    r = spool_put_write(a->put, a->chunk, (size_t)a->chunk_len);
    a->at += (uint64_t)a->chunk_len;
    if (r < 0)
        settle(a, 0, r);
    else if (r > 0)
        spool_put_room(a->put, on_room, a);
    else
        feed(a);
}

static void feed(struct queue_analysis *a)
{
    struct spool_put *put;

    if (!a->salvage.content && a->at < a->salvage.size) {
        loop_offload(a->setup.loop, read_chunk, on_chunk, a);
        return;
    }
    put = a->put;
    a->put = NULL;
    spool_put_commit(put, a->salvage.meta, a->salvage.meta_len, on_durable, a);
}

static int read_lost(void *ctx)
{
    struct queue_analysis *a = ctx;

    return spool_lost_read(a->spool, a->lost, &a->salvage);
}

static void on_lost_read(void *ctx, int result)
{
    struct queue_analysis *a = ctx;
    const struct spool_salvage *s = &a->salvage;

    a->at = 0;
    if (result == 0) {
        a->id = spool_new_id(a->setup.spool);
        result = spool_put_new(a->setup.spool, a->id, s->size, &a->put);
    }
    if (result == 0 && s->content && s->size)
        result = spool_put_write(a->put, s->content, (size_t)s->size);
    if (result < 0)
        settle(a, 0, result);
    else
        feed(a);
}

static void next_lost(struct queue_analysis *a)
{
    a->lost = stopped(a) ? NULL : spool_analysis_next_lost(a->spool);
    if (a->lost)
        loop_offload(a->setup.loop, read_lost, on_lost_read, a);
    else
        finish(a, stopped(a) ? -ECANCELED : 0);
}

/* --- slices --- */

static int slice(void *ctx)
{
    struct queue_analysis *a = ctx;

    return spool_analysis_work(a->spool);
}

static void on_slice(void *ctx, int unused)
{
    struct queue_analysis *a = ctx;

    (void)unused;
    if (stopped(a))
        finish(a, -ECANCELED);
    else if (spool_analysis_prepare(a->spool))
        loop_offload(a->setup.loop, slice, on_slice, a);
    else
        next_lost(a);
}

int queue_analyze(const struct queue_analyze_setup *setup, struct spool_report *report,
                  void (*done)(void *ctx, int result), void *ctx, struct queue_analysis **ret)
{
    struct queue_analysis *a = mem_zalloc(sizeof *a);
    struct spool_analyze_setup spool = { .ctx = a,
                                         .repair = setup->repair,
                                         .owner = setup->owner,
                                         .check = check,
                                         .holds = holds,
                                         .enqueue = enqueue,
                                         .hold = hold };
    int r = spool_analysis_new(setup->spool, &spool, report, &a->spool);

    if (r < 0) {
        free(a);
        return r;
    }
    a->setup = *setup;
    a->report = report;
    a->done = done;
    a->ctx = ctx;
    a->salvage.fd = -1;
    a->chunk = mem_alloc(CHUNK_BYTES);
    spool_analysis_prepare(a->spool); /* there is always something: the folders at least */
    loop_offload(setup->loop, slice, on_slice, a);
    *ret = a;
    return 0;
}

void queue_analysis_stop(struct queue_analysis *a)
{
    a->stop = 1;
}

void queue_analysis_free(struct queue_analysis **pa)
{
    struct queue_analysis *a = *pa;

    if (!a)
        return;
    *pa = NULL;
    spool_put_free(&a->put);
    spool_salvage_done(&a->salvage);
    spool_analysis_free(&a->spool);
    free(a->chunk);
    free(a);
}

int queue_analyze_reading(struct spool *spool, uid_t owner, struct spool_report *report)
{
    struct spool_analyze_setup setup = { .owner = owner, .check = check };
    struct spool_analysis *a;
    int r = spool_analysis_new(spool, &setup, report, &a);

    if (r < 0)
        return r;
    while (spool_analysis_prepare(a))
        spool_analysis_work(a);
    spool_analysis_free(&a);
    return 0;
}

/* --- in JSON --- */

static json_t *finding_json(const struct spool_finding *f)
{
    static const char *const states[] = { "note", "found", "repaired" };
    json_t *o =
        json_pack("{s:s, s:s, s:s}", "kind", f->kind, "state", states[f->state], "file", f->file);
    char id[16];

    if (f->at >= 0)
        json_object_set_new(o, "offset", json_integer((json_int_t)f->at));
    if (f->bytes)
        json_object_set_new(o, "bytes", json_integer((json_int_t)f->bytes));
    if (f->id)
        json_object_set_new(o, "id", json_string(text_id(f->id, id, sizeof id)));
    json_object_set_new(o, "found", json_string(f->found));
    json_object_set_new(o, "expected", json_string(f->expected));
    json_object_set_new(o, "repair", json_string(f->repair));
    return o;
}

static json_t *facts_json(const struct spool_facts *f)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = { { "segments", f->segments },
                 { "segment_bytes", f->segment_bytes },
                 { "live_messages", f->live_messages },
                 { "live_bytes", f->live_bytes },
                 { "reclaimable_bytes", f->reclaimable_bytes },
                 { "message_records", f->messages },
                 { "state_records", f->states },
                 { "done_records", f->dones },
                 { "damaged_bytes", f->damaged_bytes },
                 { "torn_bytes", f->torn_bytes },
                 { "content_files", f->content_files },
                 { "content_bytes", f->content_bytes },
                 { "set_aside_files", f->aside_files },
                 { "set_aside_bytes", f->aside_bytes },
                 { "lost_found_files", f->lost_files },
                 { "lost_found_bytes", f->lost_bytes } };
    json_t *o = json_object();

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_object_set_new(o, rows[i].name, json_integer((json_int_t)rows[i].value));
    return o;
}

json_t *queue_analyze_json(const char *shard, const char *state, const char *why,
                           const struct spool_report *report)
{
    json_t *o = json_pack("{s:s, s:s}", "shard", shard, "state", state), *findings = json_array();

    if (why)
        json_object_set_new(o, "why", json_string(why));
    for (size_t i = 0; i < report->n; i++)
        json_array_append_new(findings, finding_json(&report->v[i]));
    json_object_set_new(o, "faults", json_integer((json_int_t)report->faults));
    json_object_set_new(o, "repaired", json_integer((json_int_t)report->mended));
    json_object_set_new(o, "untold", json_integer((json_int_t)report->untold));
    json_object_set_new(o, "facts", facts_json(&report->facts));
    json_object_set_new(o, "findings", findings);
    return o;
}
