/* config/read.h: a whole file into memory, bounded. */
#ifndef CONFIG_READ_H
#define CONFIG_READ_H

#include <stddef.h>

/* Reads a regular file of at most max bytes; a NUL follows the bytes. 0, -errno, -EFBIG: larger,
 * -EISDIR, -EINVAL: a folder, or something else that is no regular file. *ret is malloc'ed. */
int config_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len);

/* The same of an open file, which stays open. */
int config_read_fd(int fd, size_t max, char **ret, size_t *ret_len);

/* Why they failed, in words: static, or the thread's until the next call. */
const char *config_read_why(int r);

/* path, absolute, against the folder of the file that said it. */
struct arena;
const char *config_path_from(struct arena *a, const char *file, const char *path);

#endif
