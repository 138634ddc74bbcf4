/* write.h: all of it, however little the kernel takes at a time. Blocks: for threads. */
#ifndef PLUGINS_COMMON_WRITE_H
#define PLUGINS_COMMON_WRITE_H

#include <stddef.h>

/* 0, or -errno; what was written before stays. */
int write_all(int fd, const char *data, size_t len);

#endif
