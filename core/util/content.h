/* util/content.h: the content of a message, in memory or on disk, shared by reference.
 *
 * It is written once (by a submission) and constant ever after; references are counted atomically,
 * so the loop, the disk thread and the offload pool may hold it together. */
#ifndef UTIL_CONTENT_H
#define UTIL_CONTENT_H

#include <postern/types.h>

#include <stdatomic.h>
#include <stdint.h>

struct postern_content {
    atomic_int refs;
    char      *data;   /* all of it, or NULL: then it is in fd at offset */
    uint64_t   size;
    int        fd;     /* borrowed from whoever gave `release` */
    uint64_t   offset; /* of the content's first byte in fd */
    void (*release)(struct postern_content *); /* called at the last unref, frees everything; NULL:
                                                  plain free of data and of the struct */
    void *owner;                               /* release's own */
};

postern_content *content_new_memory(char *data, uint64_t size); /* takes malloc'ed data */
postern_content *content_ref(postern_content *c);
void             content_unref(postern_content **c); /* clears *c; NULL is fine; any thread */

/* Up to len bytes from offset `at`. Bytes copied, 0 at the end, -errno. Blocks when on disk. */
int64_t content_read(const postern_content *c, uint64_t at, void *buf, size_t len);

/* The bytes, when they are in memory; NULL when not. */
static inline const char *content_memory(const postern_content *c)
{
    return c->data;
}

#endif
