/* turns.c: see turns.h. */
#include "turns.h"

#include <errno.h>

void turns_init(struct turns *t, postern_host *host, const struct postern_services *svc,
                const struct turns_ops *ops, void *self, int64_t max)
{
    *t = (struct turns){ .host = host, .svc = svc, .ops = ops, .self = self, .max = max };
    STAILQ_INIT(&t->line);
}

static void refuse(struct turns *t, struct turn *q, const char *why)
{
    t->svc->lookup_answer(q->lookup, -EAGAIN, &why, 1);
    t->ops->free(q);
}

static struct turn *take(struct turns *t)
{
    struct turn *q = STAILQ_FIRST(&t->line);

    STAILQ_REMOVE_HEAD(&t->line, link);
    t->waiting--;
    return q;
}

static void run_waiting(struct turns *t);

static void finished(void *ctx, int result)
{
    struct turn *q = ctx;
    struct turns *t = q->turns;

    t->running--;
    t->ops->done(q, result);
    run_waiting(t);
}

static int start(struct turns *t, struct turn *q)
{
    int r;

    q->now = t->svc->now(t->host);
    r = t->svc->offload(t->host, t->ops->work, finished, q);
    t->running += !r;
    return r;
}

static const char *is_pausing(const struct turns *t)
{
    return t->ops->pause ? t->ops->pause(t->self) : NULL;
}

static void run_waiting(struct turns *t)
{
    while (!STAILQ_EMPTY(&t->line)) {
        const char *why = is_pausing(t);
        struct turn *q;

        if (!why && t->running >= t->max)
            return;
        q = take(t);
        if (!why && start(t, q) < 0)
            why = "there is no thread to ask it with";
        if (why)
            refuse(t, q, why);
    }
}

int turns_ask(struct turns *t, struct turn *q)
{
    q->turns = t;
    if (t->running < t->max)
        return start(t, q);
    if (t->waiting == TURNS_WAITING_MAX)
        return -EBUSY;
    STAILQ_INSERT_TAIL(&t->line, q, link);
    t->waiting++;
    return 0;
}

void turns_done(struct turns *t)
{
    while (!STAILQ_EMPTY(&t->line))
        refuse(t, take(t), "the gateway ends");
}
