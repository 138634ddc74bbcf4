/* util/heap.h: a binary min-heap of intrusive nodes keyed by a 64-bit number (a time). */
#ifndef UTIL_HEAP_H
#define UTIL_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t  key;
    uint32_t slot; /* 1-based place in the heap; 0: not in it */
};

struct heap {
    struct heap_node **v;
    uint32_t           n, cap;
};

void              heap_push(struct heap *h, struct heap_node *node, int64_t key);
/* A node that is not in it: move pushes it, remove does nothing. */
void              heap_move(struct heap *h, struct heap_node *node, int64_t key);
void              heap_remove(struct heap *h, struct heap_node *node);
struct heap_node *heap_top(const struct heap *h); /* NULL when empty */
void              heap_free(struct heap *h);

#endif
