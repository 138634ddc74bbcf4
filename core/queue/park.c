/* queue/park.c: when more is due for one destination than it will take soon.
 *
 * After an outage that may be the whole queue, and a job for each would take half as much memory
 * again as the messages do. So only a window of them is made, and the others stand in line as ids.
 * When there is room in the window, they are routed once more and become jobs; if the destination
 * has died meanwhile, they go back to the heap by the same road.
 *
 * A message may be parked at several destinations. It leaves all of them when its turn comes at one
 * of them; the ids that stay behind are then met in vain. */
#include "queue/private.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define PARK_MIN      1024u /* ids */
/* Of QUEUE_DUE_PER_TURN: neither those in line nor those newly due wait for all of the others. */
#define PARK_PER_TURN (QUEUE_DUE_PER_TURN / 2)

static size_t window(const struct queue *q)
{
    size_t twice = 2 * (size_t)q->config->queue.destination_concurrency;

    return twice > QUEUE_WINDOW ? twice : QUEUE_WINDOW;
}

/* In line is in line, even if there is room again: first come, first served. */
int park_wanted(const struct queue *q, const struct qdest *d)
{
    return d->parked.n || d->waiting_n >= window(q);
}

static void grow(struct qdest *d)
{
    size_t cap = d->parked.cap ? d->parked.cap * 2 : PARK_MIN, head = d->parked.cap - d->parked.at;
    uint64_t *v = mem_alloc(cap * sizeof *v);

    if (d->parked.n) { /* it is full: from `at` to the end, and from the beginning */
        memcpy(v, d->parked.v + d->parked.at, head * sizeof *v);
        memcpy(v + head, d->parked.v, d->parked.at * sizeof *v);
    }
    free(d->parked.v);
    d->parked.v = v;
    d->parked.at = 0;
    d->parked.cap = cap;
}

void park_add(struct queue *q, struct qdest *d, uint64_t id)
{
    if (d->parked.n == d->parked.cap)
        grow(d);
    /* Several recipients of one message: once is enough. */
    if (d->parked.n && d->parked.v[(d->parked.at + d->parked.n - 1) % d->parked.cap] == id)
        return;
    d->parked.v[(d->parked.at + d->parked.n++) % d->parked.cap] = id;
    if (list_empty(&d->parking))
        list_add_tail(&q->parking, &d->parking);
}

void park_free(struct qdest *d)
{
    list_del(&d->parking);
    free(d->parked.v);
    memset(&d->parked, 0, sizeof d->parked);
}

static uint64_t take(struct qdest *d)
{
    uint64_t id = d->parked.v[d->parked.at];

    d->parked.at = (d->parked.at + 1) % d->parked.cap;
    if (!--d->parked.n)
        park_free(d);
    return id;
}

/* Half a window: it is filled up in one go rather than one by one. */
static int has_room(const struct queue *q, const struct qdest *d)
{
    return d->waiting_n < window(q) / 2 || dest_blocked(d, loop_now(q->loop));
}

int park_ready(const struct queue *q)
{
    LIST_EACH (&q->parking, it) {
        if (has_room(q, CONTAINER(it, const struct qdest, parking)))
            return 1;
    }
    return 0;
}

static struct qdest *next_ready(struct queue *q)
{
    LIST_EACH (&q->parking, it) {
        struct qdest *d = CONTAINER(it, struct qdest, parking);

        if (!has_room(q, d))
            continue;
        list_del(&d->parking);
        list_add_tail(&q->parking, &d->parking); /* the others are before it next time */
        return d;
    }
    return NULL;
}

void park_work(struct queue *q)
{
    struct qdest *d;

    while (q->turn_routed < PARK_PER_TURN && (d = next_ready(q))) {
        struct qmsg *m = index_get(&q->by_id, take(d));

        q->turn_routed++;
        if (m)
            msg_unpark(q, m);
    }
}
