/* util/content.c: see content.h. */
#include "util/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/mem.h"

postern_content *content_new_memory(char *data, uint64_t size)
{
    postern_content *c = mem_zalloc(sizeof *c);

    atomic_init(&c->refs, 1);
    c->data = data;
    c->size = size;
    c->fd = -1;
    return c;
}

postern_content *content_ref(postern_content *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void content_unref(postern_content **pc)
{
    postern_content *c = *pc;

    *pc = NULL;
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (c->release) {
        c->release(c);
        return;
    }
    free(c->data);
    free(c);
}

int64_t content_read(const postern_content *c, uint64_t at, void *buf, size_t len)
{
    ssize_t n;

    if (at >= c->size)
        return 0;
    if (len > c->size - at)
        len = (size_t)(c->size - at);
    if (c->data) {
        memcpy(buf, c->data + at, len);
        return (int64_t)len;
    }
    do
        n = pread(c->fd, buf, len, (off_t)(c->offset + at));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return -EIO; /* the file is shorter than the record that names it said */
    return n < 0 ? -errno : n;
}
