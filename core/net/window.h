/* net/window.h: bytes that come in at one end and leave at the other, always in one piece.
 *
 * Unlike util/buf.h it drops bytes at the front without moving the rest. All zero is a valid empty
 * window. */
#ifndef NET_WINDOW_H
#define NET_WINDOW_H

#include <stddef.h>

struct window {
    char  *data;
    size_t start, len, cap; /* the bytes are data[start] to data[start + len - 1] */
};

static inline char *window_bytes(const struct window *w)
{
    return w->data + w->start;
}

/* Room for at least n more bytes behind the last one (*ret_room: how many there are). Who fills
 * some of it adds to w->len. Moves the bytes, so earlier pointers into the window are void. */
char *window_room(struct window *w, size_t n, size_t *ret_room);
void  window_add(struct window *w, const void *data, size_t n);
void  window_drop(struct window *w, size_t n); /* moves nothing: pointers stay good */
void  window_trim(struct window *w, size_t keep); /* frees memory beyond `keep` when empty */
void  window_free(struct window *w);

#endif
