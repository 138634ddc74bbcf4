/* daemon/control_analyze.c: "queue.analyze": a worker's own shard and those it has adopted, one
 * after the other, in slices; see queue/analyze.h. One analysis at a time; the session waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/control_private.h"
#include "log/log.h"
#include "queue/analyze.h"
#include "util/mem.h"

struct control_analysis {
    struct control_session *session;
    struct control *control;
    struct queue_analysis *running;
    struct spool_report report;
    json_t *shards;
    unsigned next; /* number of the queue's spool to go on with */
    int repair;
};

static void next_shard(struct control_analysis *a);

void control_analyze_free(struct control *c)
{
    struct control_analysis *a = c->analysis;

    if (!a)
        return;
    c->analysis = NULL;
    queue_analysis_free(&a->running);
    spool_report_done(&a->report);
    json_decref(a->shards);
    free(a);
}

/* The asker may have gone: what was found is still his, in the log. */
static void end(struct control_analysis *a, int result)
{
    struct control_session *s = a->session;
    json_t *shards = json_incref(a->shards);

    control_analyze_free(a->control);
    if (result < 0) {
        json_decref(shards);
        control_refuse(s, EX_TEMPFAIL, "the gateway is stopping: the analysis was not finished");
    } else {
        control_answer(s, json_pack("{s:o}", "shards", shards));
    }
    control_resume(s);
}

static const char *shard_name(const struct spool *s)
{
    const char *path = spool_folder(s), *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void on_analysed(void *ctx, int result)
{
    struct control_analysis *a = ctx;
    const struct spool *s = queue_spool(a->control->env.queue, a->next);
    const struct spool_report *r = &a->report;

    queue_analysis_free(&a->running);
    if (result == 0) {
        json_array_append_new(a->shards, queue_analyze_json(shard_name(s), "live", NULL, r));
        log_event(r->faults > r->mended ? POSTERN_LOG_WARNING : POSTERN_LOG_INFO, "spool",
                  "spool.analyzed", "shard=%s faults=%llu repaired=%llu by=\"uid %u\"",
                  shard_name(s), (unsigned long long)r->faults, (unsigned long long)r->mended,
                  (unsigned)a->session->uid);
    }
    spool_report_done(&a->report);
    if (result < 0) {
        end(a, result);
        return;
    }
    a->next++;
    next_shard(a);
}

static void next_shard(struct control_analysis *a)
{
    struct queue_analyze_setup setup = { .loop = a->control->env.loop,
                                         .queue = a->control->env.queue,
                                         .repair = a->repair,
                                         .live = 1,
                                         .owner = geteuid() };

    for (; a->next < QUEUE_ANALYZE_SPOOLS; a->next++) {
        setup.spool = queue_spool(setup.queue, a->next);
        if (setup.spool && queue_analyze(&setup, &a->report, on_analysed, a, &a->running) == 0)
            return;
    }
    end(a, 0);
}

void control_analyze(struct control_session *s, const json_t *request)
{
    struct control_analysis *a;

    if (s->control->analysis) {
        control_refuse(s, EX_TEMPFAIL, "an analysis is under way already; try again later");
        return;
    }
    a = mem_zalloc(sizeof *a);
    a->session = s;
    a->control = s->control;
    a->shards = json_array();
    a->repair = json_is_true(json_object_get(request, "repair"));
    s->control->analysis = a;
    s->waiting = 1;
    stream_pause(s->stream, 1);
    stream_deadline(s->stream, 0); /* a large spool takes its time */
    next_shard(a);
}
