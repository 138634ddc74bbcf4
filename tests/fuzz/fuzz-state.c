/* A STATE record of a damaged disk: decoded, its counts kept right, and written again as read. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "queue/private.h"
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
    for (int i = 0; i < WAIT_REASONS; i++) {
        if (q->waiting_by[i])
            abort(); /* the counts have drifted */
    }
    free(m);
}

static struct qmsg *make(struct queue *q, struct envelope *env)
{
    struct qmsg *m = mem_zalloc(sizeof *m + env->rcpt_n * sizeof m->rcpts[0]);

    m->env = env;
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
    m = make(&q, env);
    if (state_decode(&q, m, data + 1, size - 1) == 0) {
        state_encode(&q, m, &out);
        again = make(&q, env);
        if (state_decode(&q, again, out.data, out.len) < 0)
            abort(); /* it can't read its own hand */
        for (size_t i = 0; i < env->rcpt_n; i++) {
            if (again->rcpts[i].state != m->rcpts[i].state ||
                again->rcpts[i].tries != m->rcpts[i].tries ||
                again->rcpts[i].text != m->rcpts[i].text)
                abort(); /* texts are interned: the same text is the same pointer */
            rcpt_set(&q, &again->rcpts[i], RCPT_DONE, WAIT_NEW);
            intern_unref(q.texts, &again->rcpts[i].text);
            intern_unref(q.texts, &again->rcpts[i].remote);
            intern_unref(q.texts, &again->rcpts[i].decision);
        }
        free(again);
    }
    release(&q, m);
    buf_free(&out);
    free(env);
    loop_free(&q.loop);
    intern_free(&q.texts);
    return 0;
}
