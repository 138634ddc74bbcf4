/* util/heap.c: see heap.h. */
#include "util/heap.h"

#include <stdlib.h>

#include "util/mem.h"

static void place(struct heap *h, uint32_t i, struct heap_node *node)
{
    h->v[i] = node;
    node->slot = i + 1;
}

static void sift_up(struct heap *h, uint32_t i)
{
    struct heap_node *node = h->v[i];

    while (i > 0 && h->v[(i - 1) / 2]->key > node->key) {
        place(h, i, h->v[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(h, i, node);
}

static void sift_down(struct heap *h, uint32_t i)
{
    struct heap_node *node = h->v[i];

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->v[child + 1]->key < h->v[child]->key)
            child++;
        if (h->v[child]->key >= node->key)
            break;
        place(h, i, h->v[child]);
        i = child;
    }
    place(h, i, node);
}

void heap_push(struct heap *h, struct heap_node *node, int64_t key)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 64;
        h->v = mem_realloc(h->v, h->cap * sizeof *h->v);
    }
    node->key = key;
    h->v[h->n++] = node;
    sift_up(h, h->n - 1);
}

void heap_move(struct heap *h, struct heap_node *node, int64_t key)
{
    int64_t old = node->key;

    if (!node->slot) {
        heap_push(h, node, key);
        return;
    }
    node->key = key;
    if (key < old)
        sift_up(h, node->slot - 1);
    else
        sift_down(h, node->slot - 1);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    uint32_t i = node->slot;
    struct heap_node *last;

    if (!i)
        return;
    node->slot = 0;
    last = h->v[--h->n];
    if (last == node)
        return;
    place(h, i - 1, last);
    sift_up(h, i - 1);
    sift_down(h, last->slot - 1);
}

struct heap_node *heap_top(const struct heap *h)
{
    return h->n ? h->v[0] : NULL;
}

void heap_free(struct heap *h)
{
    free(h->v);
    *h = (struct heap){ 0 };
}
