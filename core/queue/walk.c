/* queue/walk.c: recipients that stand for a great many places.
 *
 * To find out who they are takes about two microseconds for each, which nobody else's mail should
 * have to wait for: so it is done in steps, one in a turn of the loop, and so is making jobs for
 * them. What was found out in one step is kept for the next, and needs no asking again. */
#include "queue/attempt.h"

#include <errno.h>
#include <stdlib.h>

#include "util/mem.h"

#define LEAVES_PER_STEP 1000u
#define WALKS_AT_ONCE   4u /* in turns: each holds all that it has found, the others nothing */

struct qwalk {
    struct list link; /* queue.walks, or queue.walks_asking */
    struct queue *q;
    struct qmsg *m; /* stays: the walk counts as one of its jobs */
    size_t i;       /* the recipient */
    const char *rcpt;
    uint64_t serial;
    struct expand_walk *walk;
    const struct route_expansion *found; /* the walk's; NULL: not all is known */
    size_t at;                           /* the next of its leaves */
    unsigned waiting;                    /* for answers */
    int unparked, parked;
};

void walk_begin(struct attempt *a, size_t i, const char *rcpt)
{
    struct route_query query = attempt_query(a, i, rcpt);
    struct queue *q = a->q;
    struct qwalk *w = mem_zalloc(sizeof *w);

    w->q = q;
    w->m = a->m;
    w->i = i;
    w->rcpt = rcpt;
    w->serial = ++q->walk_serial;
    w->walk = expand_walk_new(q->routes, &query, 0);
    w->unparked = a->unparked;
    list_add_tail(&q->walks, &w->link);
    idmap_set(q->walk_by, w->serial, w);
    a->m->rcpts[i].routed = ROUTED_WALKING;
    a->m->jobs++;
}

static void walk_free(struct qwalk *w)
{
    list_del(&w->link);
    idmap_del(w->q->walk_by, w->serial);
    expand_walk_free(&w->walk);
    free(w);
}

void walk_free_all(struct queue *q)
{
    LIST_EACH_SAFE (&q->walks, it, tmp)
        walk_free(CONTAINER(it, struct qwalk, link));
    LIST_EACH_SAFE (&q->walks_asking, it, tmp)
        walk_free(CONTAINER(it, struct qwalk, link));
}

/* --- answers --- */

static struct question *question_of(struct qwalk *w, const char *users, size_t len)
{
    struct question *question = question_new(w->q, users, len);

    question->walk = w->serial;
    w->waiting++;
    return question;
}

static void ask(struct qwalk *w, const struct route_expansion *e)
{
    if (e->wanted)
        question_read(question_of(w, e->wanted, e->wanted_len));
    for (size_t i = 0; i < e->need_n; i++) {
        if (question_ask(question_of(w, NULL, 0), &e->needs[i]) < 0)
            w->waiting--;
    }
    if (w->waiting) {
        list_del(&w->link);
        list_add_tail(&w->q->walks_asking, &w->link);
    }
}

void walk_answered(struct queue *q, uint64_t serial)
{
    struct qwalk *w = idmap_get(q->walk_by, serial);

    if (!w || --w->waiting)
        return;
    list_del(&w->link);
    list_add_head(&q->walks, &w->link); /* it holds something already */
    queue_kick(q);
}

/* --- steps --- */

/* The walk is over, and no job of the message any more. */
static void end(struct qwalk *w)
{
    struct qrcpt *r = &w->m->rcpts[w->i];

    if (r->routed == ROUTED_WALKING)
        r->routed = ROUTED_NOT;
    w->m->jobs--;
    walk_free(w);
}

/* An operator has decided otherwise meanwhile. */
static void abandon(struct qwalk *w)
{
    struct qbranch *b = branch_get(w->q, w->m, w->i);

    w->m->rcpts[w->i].routed = ROUTED_NOT;
    if (b) {
        b->goes_on = 0;
        branch_conclude(w->q, w->m, b);
    }
    end(w);
}

/* Its leaves, as many as there is time for. Those that are parked go on when there is room for
 * them; if that was so meanwhile, at once. */
static void follow(struct attempt *a, struct qwalk *w)
{
    struct qrcpt *r = &w->m->rcpts[w->i];

    if (!w->at)
        branch_start(a, w->i, w->rcpt, w->found);
    branch_follow(a, w->i, w->rcpt, w->found, &w->at, LEAVES_PER_STEP);
    w->parked |= r->routed == ROUTED_PARKED;
    r->routed = ROUTED_WALKING;
    if (w->at < w->found->n)
        return;
    r->routed = w->parked && w->m->parked ? ROUTED_PARKED : ROUTED_NOT;
    branch_end(a, w->i, w->parked);
    end(w);
}

static void find_out(struct attempt *a, struct qwalk *w)
{
    const struct route_expansion *e;
    int err = expand_walk_step(w->walk, ROUTE_BUDGET, &e);

    if (err == -EINPROGRESS)
        return;
    if (err == -EAGAIN) {
        ask(w, e);
        return;
    }
    w->found = e;
    if (e->aliased)
        return;
    w->m->rcpts[w->i].routed = ROUTED_NOT;
    attempt_follow(a, w->i, w->rcpt, err, e);
    end(w);
}

static void step(struct qwalk *w)
{
    struct queue *q = w->q;
    struct qmsg *m = w->m;
    struct attempt a;

    attempt_begin(&a, q, m);
    a.unparked = w->unparked;
    if (m->rcpts[w->i].state != RCPT_WAITING)
        abandon(w);
    else if (w->found)
        follow(&a, w);
    else
        find_out(&a, w);
    attempt_end(&a);
    msg_settled(q, m, a.changed);
}

int walk_ready(const struct queue *q)
{
    return !list_empty(&q->walks);
}

/* Behind the others that have begun, before those that have not. */
static void line_up(struct queue *q, struct qwalk *w)
{
    struct list *next = q->walks.next;

    for (unsigned n = 1; n < WALKS_AT_ONCE && next != &q->walks; n++)
        next = next->next;
    list_add_tail(next, &w->link);
}

void walk_work(struct queue *q)
{
    struct qwalk *w;

    if (q->turn_walked || !walk_ready(q))
        return;
    q->turn_walked = 1;
    w = CONTAINER(list_pop(&q->walks), struct qwalk, link);
    line_up(q, w);
    step(w);
}
