/* A STATE record of a damaged disk: decoded, its counts kept right, and written again as read. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "queue/branch.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void release(struct queue *q, struct qmsg *m)
{
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        rcpt_set(q, &m->rcpts[i], RCPT_DONE, WAIT_NEW);
        intern_unref(q->texts, &m->rcpts[i].text);
        intern_unref(q->texts, &m->rcpts[i].remote);
        intern_unref(q->texts, &m->rcpts[i].decision);
    }
    branch_forget(q, m);
    free(m);
}

static void check_counts(const struct queue *q)
{
    for (int i = 0; i < WAIT_REASONS; i++) {
        if (q->waiting_by[i])
            abort(); /* they have drifted */
    }
}

/* Both have the same places, in the same states. */
static void compare_places(const struct queue *q, const struct qmsg *m, const struct qmsg *again)
{
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        const struct qbranch *a = branch_get(q, m, i), *b = branch_get(q, again, i);

        if (!a != !b || (a && (a->n != b->n || a->whole != b->whole || a->failed != b->failed)))
            abort();
        for (uint32_t k = 0; a && k < a->n; k++) {
            if (a->v[k].key != b->v[k].key || a->v[k].shown != b->v[k].shown ||
                a->v[k].state != b->v[k].state || a->v[k].text != b->v[k].text ||
                a->v[k].owner != b->v[k].owner)
                abort(); /* texts are interned, as below */
        }
    }
}

static struct qmsg *make(struct queue *q, struct envelope *env, uint64_t id)
{
    struct qmsg *m = mem_zalloc(sizeof *m + env->rcpt_n * sizeof m->rcpts[0]);

    m->env = env;
    m->id = id;
    q->waiting_by[WAIT_NEW] += env->rcpt_n;
    return m;
}

/* The first byte says how many recipients the envelope has. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const rcpts[8] = { "a@b", "c@d", "e@f", "g@h", "i@j", "k@l", "m@n", "o@p" };
    struct queue q = { .loop = NULL };
    struct envelope *env;
    struct qmsg *m, *again;
    struct buf out = { 0 };

    if (!size)
        return 0;
    q.texts = intern_new();
    q.loop = loop_new(0);
    env = envelope_new(
        &(struct envelope_new){ .sender = "s@x", .rcpt_n = data[0] & 7, .rcpts = rcpts });
    m = make(&q, env, 1);
    if (state_decode(&q, m, data + 1, size - 1) == 0) {
        state_encode(&q, m, &out);
        again = make(&q, env, 2);
        if (state_decode(&q, again, out.data, out.len) < 0)
            abort(); /* it can't read its own hand */
        for (size_t i = 0; i < env->rcpt_n; i++) {
            if (again->rcpts[i].state != m->rcpts[i].state ||
                again->rcpts[i].tries != m->rcpts[i].tries ||
                again->rcpts[i].text != m->rcpts[i].text)
                abort(); /* texts are interned: the same text is the same pointer */
        }
        compare_places(&q, m, again);
        release(&q, again);
    }
    release(&q, m);
    check_counts(&q);
    branch_free_all(&q);
    buf_free(&out);
    free(env);
    loop_free(&q.loop);
    intern_free(&q.texts);
    return 0;
}
