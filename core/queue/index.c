/* queue/index.c: see index.h. Open addressing with linear probing; removal shifts back, so there
 * are no tombstones. When the queue has become short, so does the table: a million messages that
 * were here once need no room for ever. */
#include "queue/index.h"

#include <stdlib.h>

#include "queue/private.h"
#include "util/mem.h"

#define INDEX_MIN 64u

/* Ids are ours, not a peer's: a multiplicative hash spreads them well enough. */
static size_t home(const struct msg_index *x, uint64_t id)
{
    return (size_t)((id * 0x9e3779b97f4a7c15u) >> 20) & (x->cap - 1);
}

/* The slot that has it, or the free one where it would be. */
static size_t slot_of(const struct msg_index *x, uint64_t id)
{
    size_t i = home(x, id);

    while (x->v[i] && x->v[i]->id != id)
        i = (i + 1) & (x->cap - 1);
    return i;
}

static void resize(struct msg_index *x, size_t cap)
{
    struct msg_index old = *x;

    x->cap = cap;
    x->v = mem_zalloc(cap * sizeof *x->v);
    for (size_t i = 0; i < old.cap; i++) {
        if (old.v[i])
            x->v[slot_of(x, old.v[i]->id)] = old.v[i];
    }
    free(old.v);
}

struct qmsg *index_get(const struct msg_index *x, uint64_t id)
{
    return x->cap ? x->v[slot_of(x, id)] : NULL;
}

void index_add(struct msg_index *x, struct qmsg *m)
{
    if ((x->n + 1) * 4 > x->cap * 3)
        resize(x, x->cap ? x->cap * 2 : INDEX_MIN);
    x->v[slot_of(x, m->id)] = m;
    x->n++;
}

void index_remove(struct msg_index *x, const struct qmsg *m)
{
    size_t hole, i;

    if (!x->cap)
        return;
    hole = slot_of(x, m->id);
    if (x->v[hole] != m)
        return;
    x->n--;
    for (i = (hole + 1) & (x->cap - 1); x->v[i]; i = (i + 1) & (x->cap - 1)) {
        size_t from_home = (i - home(x, x->v[i]->id)) & (x->cap - 1);

        /* It may go back into the hole unless its home lies between the hole and here. */
        if (from_home >= ((i - hole) & (x->cap - 1))) {
            x->v[hole] = x->v[i];
            hole = i;
        }
    }
    x->v[hole] = NULL;
    if (x->cap > INDEX_MIN && x->n * 8 < x->cap)
        resize(x, x->cap / 2);
}

void index_free(struct msg_index *x)
{
    free(x->v);
    *x = (struct msg_index){ 0 };
}
