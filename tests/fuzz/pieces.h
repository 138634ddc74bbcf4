/* What targets share that are given several texts at once: the input's lines, each a string in
 * memory of its own, so that a sanitizer sees who reads past its end; and a file with the rest. */
#ifndef TESTS_FUZZ_PIECES_H
#define TESTS_FUZZ_PIECES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECES_MAX 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct pieces {
    char *v[PIECES_MAX]; /* "" for those that are not there */
};

static inline void require(int ok)
{
    if (!ok)
        abort();
}

/* Not strndup: the input does not end with a NUL, and a strict sanitizer wants one. */
static inline char *piece_new(const uint8_t *data, size_t len)
{
    const uint8_t *nul = len ? memchr(data, 0, len) : NULL;
    char *p;

    len = nul ? (size_t)(nul - data) : len;
    p = malloc(len + 1);
    require(p != NULL);
    if (len)
        memcpy(p, data, len);
    p[len] = '\0';
    return p;
}

/* n lines; the last one has all that is left, line ends too. Strings end at a NUL. */
static inline struct pieces pieces_new(const uint8_t *data, size_t size, size_t n)
{
    struct pieces p;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *end = size && i + 1 < n ? memchr(data, '\n', size) : NULL;
        size_t len = end ? (size_t)(end - data) : size;

        p.v[i] = piece_new(data, len);
        len += end != NULL;
        data += len;
        size -= len;
    }
    for (size_t i = n; i < PIECES_MAX; i++)
        p.v[i] = NULL;
    return p;
}

static inline void pieces_free(struct pieces *p)
{
    for (size_t i = 0; i < PIECES_MAX; i++)
        free(p->v[i]);
}

/* A file in memory, and a path to it: made once, filled for each input. */
struct memory_file {
    int fd;
    char path[64];
};

static inline void memory_file_fill(struct memory_file *f, const void *data, size_t size)
{
    if (!*f->path) {
        f->fd = memfd_create("fuzz", MFD_CLOEXEC);
        require(f->fd >= 0);
        snprintf(f->path, sizeof f->path, "/proc/self/fd/%d", f->fd);
    }
    require(ftruncate(f->fd, 0) == 0);
    require(pwrite(f->fd, data, size, 0) == (ssize_t)size);
}

#endif
