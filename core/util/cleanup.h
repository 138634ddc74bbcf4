/* util/cleanup.h: locals that clean up after themselves. */
#ifndef UTIL_CLEANUP_H
#define UTIL_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_freep(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_closep(const int *fd)
{
    if (*fd >= 0) {
        int saved = errno;

        close(*fd);
        errno = saved;
    }
}

#define AUTO(f)    __attribute__((cleanup(f)))
#define AUTO_FREE  AUTO(cleanup_freep)
#define AUTO_CLOSE AUTO(cleanup_closep)

static inline int cleanup_steal_fd(int *fd)
{
    int r = *fd;

    *fd = -1;
    return r;
}

#define STEAL_FD(fd) cleanup_steal_fd(&(fd))
#define STEAL_PTR(p)                                                                               \
    ({                                                                                             \
        __typeof__(p) steal_ = (p);                                                                \
        (p) = NULL;                                                                                \
        steal_;                                                                                    \
    })

#endif
