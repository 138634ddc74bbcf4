/* util/list.h: an intrusive doubly linked ring. A node not on any list points to itself or NULL. */
#ifndef UTIL_LIST_H
#define UTIL_LIST_H

#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define CONTAINER(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline int list_empty(const struct list *l)
{
    return l->next == l || !l->next;
}

static inline void list_add_tail(struct list *head, struct list *n)
{
    n->prev = head->prev;
    n->next = head;
    head->prev->next = n;
    head->prev = n;
}

static inline void list_add_head(struct list *head, struct list *n)
{
    list_add_tail(head->next, n);
}

static inline void list_del(struct list *n) /* safe on a node that is on no list */
{
    if (!n->next)
        return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = n;
}

static inline struct list *list_pop(struct list *head) /* NULL when empty */
{
    struct list *n = head->next;

    if (n == head)
        return NULL;
    list_del(n);
    return n;
}

#define LIST_EACH(head, it) for (struct list *it = (head)->next; it != (head); it = it->next)
#define LIST_EACH_SAFE(head, it, tmp)                                                              \
    for (struct list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

#endif
