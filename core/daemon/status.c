/* daemon/status.c: what the supervisor knows of its workers, from the scoreboard: who they are,
 * what they have done, and what each is doing now. */
#include <stdlib.h>
#include <unistd.h>

#include "daemon/supervisor.h"
#include "util/clock.h"
#include "util/text.h"

#define STATUS_HOLDING \
    8u /* deliveries shown of each worker: the oldest, which are what one seeks */

static json_t *seconds_since(int64_t when)
{
    int64_t past = clock_mono() - when;

    return json_real(past > 0 ? (double)past / 1e6 : 0);
}

/* The callback that is running; an idle worker is in none. It is read while it is written: a moment
 * later all may be different, and so may the parts of one answer. */
static json_t *doing_json(const struct child *c, const struct score_row *row)
{
    uint32_t in = atomic_load(&row->instance);
    uint64_t message = atomic_load(&row->message);
    json_t *o;
    char id[16];

    if (!in)
        return json_null();
    o = json_pack("{s:s, s:o}", "plugin", child_instance(c, in - 1), "seconds",
                  seconds_since(atomic_load(&row->since)));
    if (message)
        json_object_set_new(o, "id", json_string(text_id(message, id, sizeof id)));
    return o;
}

struct held { /* a copy: what is being sorted must not change */
    uint64_t message;
    int64_t since;
    uint32_t instance;
};

static int by_age(const void *a, const void *b)
{
    const struct held *x = a, *y = b;

    return (x->since > y->since) - (x->since < y->since);
}

/* Messages that plugins hold: their delivery is under way. */
static json_t *holding_json(const struct child *c, const struct score_row *row)
{
    json_t *list = json_array();
    struct held held[SCORE_FLYING];
    char id[16];
    size_t n = 0;

    for (unsigned i = 0; i < SCORE_FLYING; i++) {
        const struct score_flying *f = &row->flying[i];

        held[n] = (struct held){ atomic_load(&f->message), atomic_load(&f->since),
                                 atomic_load(&f->instance) };
        n += held[n].message != 0;
    }
    qsort(held, n, sizeof *held, by_age);
    for (size_t i = 0; i < n && i < STATUS_HOLDING; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o}", "id",
                                        text_id(held[i].message, id, sizeof id), "plugin",
                                        child_instance(c, held[i].instance), "seconds",
                                        seconds_since(held[i].since)));
    return list;
}

static json_t *child_json(const struct child *c)
{
    static const char *const states[] = { "down", "starting", "ready", "draining" };
    static const char *const names[SCORE_COUNTS] = { "accepted",  "delivered",  "deferred",
                                                     "failed",    "bounced",    "messages",
                                                     "in_flight", "connections" };
    json_t *o = json_pack("{s:i, s:s, s:i, s:i}", "pid", (int)c->pid, "state", states[c->state],
                          "generation", (int)c->gen->number, "shard", (int)c->shard);
    const struct score_row *row = &c->gen->sv->board->rows[c->row];

    if (!c->pid)
        return o;
    for (unsigned i = 0; i < SCORE_COUNTS; i++)
        json_object_set_new(o, names[i], json_integer((json_int_t)atomic_load(&row->counts[i])));
    json_object_set_new(o, "up", seconds_since(c->started));
    json_object_set_new(o, "sandbox", json_integer(atomic_load(&row->sandbox)));
    json_object_set_new(o, "doing", doing_json(c, row));
    json_object_set_new(o, "holding", holding_json(c, row));
    return o;
}

static const char *reloading(const struct supervisor *sv)
{
    if (!sv->current || !sv->next)
        return "no";
    return sv->next->probe ? "validating" : "starting";
}

json_t *status_json(const struct supervisor *sv)
{
    json_t *workers = json_array(), *draining = json_array();

    for (size_t i = 0; sv->current && i < sv->current->n; i++)
        json_array_append_new(workers, child_json(&sv->current->children[i]));
    LIST_EACH (&sv->old, it) {
        struct generation *g = CONTAINER(it, struct generation, link);

        for (size_t i = 0; i < g->n; i++) {
            if (g->children[i].pid)
                json_array_append_new(draining, child_json(&g->children[i]));
        }
    }
    return json_pack(
        "{s:s, s:i, s:f, s:I, s:I, s:s, s:s, s:I, s:b, s:o, s:o}", "version", POSTERN_VERSION,
        "pid", (int)getpid(), "up", (double)(clock_mono() - sv->started) / 1e6, "crashes",
        (json_int_t)sv->crashes, "reloads", (json_int_t)sv->reloads, "reloading", reloading(sv),
        "last_reload_error", sv->last_error, "unread_shards", (json_int_t)adopt_unread(sv),
        "looking_for_shards", !sv->looked, "workers", workers, "draining", draining);
}
