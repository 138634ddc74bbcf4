/* net/window.c: see window.h. */
#include "net/window.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define WINDOW_MIN 2048u

static void window_grow(struct window *w, size_t n)
{
    size_t cap = w->cap ? w->cap : WINDOW_MIN;
    char *data;

    if (n > SIZE_MAX / 4 - w->len)
        abort(); /* every caller has a limit far below */
    while (cap - w->len < n || cap < w->len)
        cap *= 2;
    data = mem_alloc(cap);
    if (w->len)
        memcpy(data, window_bytes(w), w->len);
    free(w->data);
    *w = (struct window){ data, 0, w->len, cap };
}

char *window_room(struct window *w, size_t n, size_t *ret_room)
{
    if (w->cap - w->start - w->len < n) {
        /* Moving is worth it only when at least as much was dropped as must be moved. */
        if (w->start >= w->len && w->cap - w->len >= n) {
            if (w->len)
                memcpy(w->data, window_bytes(w), w->len);
            w->start = 0;
        } else {
            window_grow(w, n);
        }
    }
    *ret_room = w->cap - w->start - w->len;
    return w->data ? window_bytes(w) + w->len : NULL;
}

void window_add(struct window *w, const void *data, size_t n)
{
    size_t room;
    char *to;

    if (!n)
        return;
    to = window_room(w, n, &room);
    memcpy(to, data, n);
    w->len += n;
}

void window_drop(struct window *w, size_t n)
{
    w->start += n;
    w->len -= n;
    if (!w->len)
        w->start = 0;
}

void window_trim(struct window *w, size_t keep)
{
    if (!w->len && w->cap > keep)
        window_free(w);
}

void window_free(struct window *w)
{
    free(w->data);
    *w = (struct window){ 0 };
}
