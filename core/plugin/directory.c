/* plugin/directory.c: see directory.h.
 *
 * A question goes to the plugin at the end of the turn in which it came up, and what it said is
 * told at the end of the turn in which it said it: so nobody is called back before his call
 * returned. One that gets no answer is given up, but the plugin may keep its handle: it stays until
 * the plugin answers, or is closed. */
#include "plugin/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "plugin/host_private.h"
#include "plugin/plugin.h"
#include "util/mem.h"
#include "util/text.h"

enum question_state { QUESTION_NEW, QUESTION_ASKED, QUESTION_ANSWERED };

struct directory_wait {
    struct list link; /* directory_question.waits */
    void (*done)(void *ctx);
    void *ctx;
};

struct directory_question {
    struct list link; /* hosts.questions */
    struct hosts *hosts;
    enum question_state state;
    struct route_need need;  /* texts behind it */
    char *key;               /* in hosts.asking */
    postern_lookup *lookup;  /* while the plugin has it */
    struct dns_query *query; /* while the resolver has it */
    struct list waits;
    struct loop_timer *deadline;
    struct loop_task task;
    struct arena *arena;
};

struct postern_lookup {
    struct list link; /* postern_host.lookups */
    postern_host *host;
    struct directory_question *question; /* NULL: it was given up, or is answered */
    struct route_need need;
    struct arena *arena;
    int answered;
    struct loop_task task; /* to free it, when the plugin has returned */
};

/* --- lookups: what the plugin sees --- */

static void copy_need(struct arena *a, const struct route_need *from, struct route_need *to)
{
    *to =
        (struct route_need){ from->kind, arena_strdup(a, from->source), arena_strdup(a, from->key),
                             arena_strdup(a, from->local), arena_strdup(a, from->domain) };
}

static void lookup_free(void *ctx)
{
    postern_lookup *l = ctx;

    loop_forget(&l->task);
    list_del(&l->link);
    arena_free(&l->arena);
    free(l);
}

static postern_lookup *lookup_new(postern_host *h, struct directory_question *q)
{
    postern_lookup *l = mem_zalloc(sizeof *l);

    l->host = h;
    l->question = q;
    l->arena = arena_new();
    l->task.run = lookup_free;
    l->task.ctx = l;
    copy_need(l->arena, &q->need, &l->need);
    list_add_tail(&h->lookups, &l->link);
    return l;
}

uint32_t host_lookup_kind(const postern_lookup *l)
{
    return l->need.kind;
}

const char *host_lookup_key(const postern_lookup *l)
{
    return l->need.key;
}

const char *host_lookup_local(const postern_lookup *l)
{
    return l->need.local;
}

const char *host_lookup_domain(const postern_lookup *l)
{
    return l->need.domain;
}

static struct route_answers *answers_of(const struct hosts *hs)
{
    return route_answers_of(hs->env.routes);
}

static void answered(struct directory_question *q)
{
    q->state = QUESTION_ANSWERED;
    q->lookup = NULL;
    loop_cancel(&q->deadline);
    loop_note(q->hosts->env.loop, &q->task, LOOP_STAGE_WORK);
}

void host_lookup_answer(postern_lookup *l, int result, const char *const *values, size_t n)
{
    struct directory_question *q = l->question;
    const struct postern_plugin *p = l->host->instance->descriptor;
    int commands = (plugin_directory(p)->flags & POSTERN_DIRECTORY_COMMANDS) != 0;

    if (l->answered) {
        log_event(POSTERN_LOG_ERROR, l->host->name, "directory.twice",
                  "plugin=%s key=%s why=\"it answered twice, which is the plugin's bug\"", p->name,
                  log_q(l->need.key));
        return;
    }
    l->answered = 1;
    l->question = NULL;
    loop_note(l->host->env->loop, &l->task, LOOP_STAGE_WORK);
    if (!q)
        return; /* too late */
    route_answers_put(answers_of(q->hosts), &q->need, result, values, n, commands);
    answered(q);
}

/* --- questions --- */

static void fail(struct directory_question *q, const char *why)
{
    route_answers_fail(answers_of(q->hosts), &q->need, why);
    if (q->lookup)
        q->lookup->question = NULL;
    answered(q);
}

static void on_deadline(void *ctx)
{
    struct directory_question *q = ctx;
    const char *plugin = q->lookup->host->instance->plugin;
    char after[32], why[256];

    q->deadline = NULL;
    text_duration(q->hosts->env.config->lookups.deadline, after, sizeof after);
    log_event(POSTERN_LOG_WARNING, q->need.source, "directory.silent", "plugin=%s key=%s after=%s",
              plugin, log_q(q->need.key), after);
    snprintf(why, sizeof why, "plugin %s has not answered within %s", plugin, after);
    fail(q, why);
}

/* Of addresses. The resolver has time limits of its own. */
static void on_addresses(void *ctx, int result, const char *const *addresses, size_t n)
{
    struct directory_question *q = ctx;

    q->query = NULL;
    route_answers_put_addresses(answers_of(q->hosts), &q->need, result, addresses, n);
    answered(q);
}

static void resolve(struct directory_question *q)
{
    q->state = QUESTION_ASKED;
    if (q->hosts->env.dns)
        dns_host(q->hosts->env.dns, q->need.key, on_addresses, q, &q->query);
    else
        fail(q, "there is no resolver");
}

static void start(struct directory_question *q)
{
    postern_host *h = map_get(q->hosts->directories, q->need.source);
    const struct postern_directory_ops *ops;
    char why[256];
    int r;

    q->state = QUESTION_ASKED;
    if (!h || !h->opened) {
        fail(q, "it is not open");
        return;
    }
    ops = plugin_directory(h->instance->descriptor);
    q->lookup = lookup_new(h, q);
    q->deadline = loop_after(q->hosts->env.loop, (uint64_t)q->hosts->env.config->lookups.deadline,
                             on_deadline, q);
    h->asked++;
    host_enter(h, 0);
    r = ops->lookup(h->self, q->lookup);
    host_leave(h);
    if (r >= 0 || q->state != QUESTION_ASKED)
        return;
    lookup_free(q->lookup);
    q->lookup = NULL;
    snprintf(why, sizeof why, "plugin %s does not take the question: %s", h->instance->plugin,
             strerror(-r));
    fail(q, why);
}

static void question_free(struct directory_question *q)
{
    loop_cancel(&q->deadline);
    dns_cancel(&q->query);
    loop_forget(&q->task);
    list_del(&q->link);
    map_del(q->hosts->asking, q->key);
    arena_free(&q->arena);
    free(q);
}

/* Those who wait may ask something new, or forget another one who waits here. */
static void tell(struct directory_question *q)
{
    struct list *it;

    map_del(q->hosts->asking, q->key); /* who asks the same now, asks anew */
    while ((it = list_pop(&q->waits))) {
        struct directory_wait *w = CONTAINER(it, struct directory_wait, link);
        void (*done)(void *) = w->done;
        void *ctx = w->ctx;

        free(w);
        done(ctx);
    }
}

static void run_question(void *ctx)
{
    struct directory_question *q = ctx;

    if (q->state == QUESTION_NEW && q->need.kind == ROUTE_NEED_ADDRESSES) {
        resolve(q);
    } else if (q->state == QUESTION_NEW) {
        start(q);
    } else if (q->state == QUESTION_ANSWERED) {
        tell(q);
        question_free(q);
    }
}

static struct directory_question *question_new(struct hosts *hs, const struct route_need *n,
                                               const char *key)
{
    struct directory_question *q = mem_zalloc(sizeof *q);

    q->hosts = hs;
    q->arena = arena_new();
    copy_need(q->arena, n, &q->need);
    q->key = arena_strdup(q->arena, key);
    list_init(&q->waits);
    q->task.run = run_question;
    q->task.ctx = q;
    list_add_tail(&hs->questions, &q->link);
    map_set(hs->asking, key, q);
    loop_note(hs->env.loop, &q->task, LOOP_STAGE_WORK);
    return q;
}

struct directory_wait *directory_ask(struct hosts *hs, const struct route_need *n,
                                     void (*done)(void *ctx), void *ctx)
{
    struct directory_wait *w = mem_zalloc(sizeof *w);
    struct directory_question *q;
    struct buf key = { 0 };

    route_need_key(n, &key);
    q = map_get(hs->asking, key.data);
    if (!q)
        q = question_new(hs, n, key.data);
    buf_free(&key);
    w->done = done;
    w->ctx = ctx;
    list_add_tail(&q->waits, &w->link);
    return w;
}

void hosts_ask(void *ctx, const struct route_need *need, void (*done)(void *ctx), void *done_ctx)
{
    directory_ask(ctx, need, done, done_ctx);
}

void directory_forget(struct directory_wait **w)
{
    if (!*w)
        return;
    list_del(&(*w)->link);
    free(*w);
    *w = NULL;
}

/* --- the end --- */

void host_lookups_free(postern_host *h)
{
    LIST_EACH_SAFE (&h->lookups, it, tmp)
        lookup_free(CONTAINER(it, postern_lookup, link));
}

/* The plugins are closed. Who still waits is told, to let go of what he holds. */
void hosts_questions_free(struct hosts *hs)
{
    struct list *it;

    while ((it = list_pop(&hs->questions))) {
        struct directory_question *q = CONTAINER(it, struct directory_question, link);

        if (q->lookup)
            q->lookup->question = NULL;
        tell(q);
        question_free(q);
    }
}

/* --- status --- */

json_t *directory_status(struct hosts *hs)
{
    struct route_answers *answers = hs->env.routes ? answers_of(hs) : NULL;
    struct route_answers_stats s;
    json_t *asked;

    if (!answers)
        return NULL;
    route_answers_stats(answers, &s);
    asked = json_object();
    LIST_EACH (&hs->all, it) {
        postern_host *h = CONTAINER(it, postern_host, link);

        if (h->instance && h->instance->kind == CONFIG_DIRECTORY)
            json_object_set_new(asked, h->name, json_integer((json_int_t)h->asked));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "entries", (json_int_t)s.entries, "hits",
                     (json_int_t)s.hits, "misses", (json_int_t)s.misses, "failures",
                     (json_int_t)s.failures, "asked", asked);
}
