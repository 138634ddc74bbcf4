/* config/read.c: see read.h. */
#include "config/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/mem.h"

static int read_all(int fd, char *data, size_t room, size_t *ret_len)
{
    size_t len = 0;

    while (len < room) {
        ssize_t n = read(fd, data + len, room - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (!n)
            break;
        len += (size_t)n;
    }
    *ret_len = len;
    return 0;
}

int config_read_fd(int fd, size_t max, char **ret, size_t *ret_len)
{
    char *data AUTO_FREE = NULL;
    struct stat st;
    size_t len = 0;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    if (st.st_size < 0 || (uintmax_t)st.st_size > max)
        return -EFBIG;
    /* One byte more than allowed: /proc says 0, and a file may grow meanwhile. */
    data = mem_alloc(max + 1);
    r = read_all(fd, data, max + 1, &len);
    if (r < 0)
        return r;
    if (len > max)
        return -EFBIG;
    data = mem_realloc(data, len + 1);
    data[len] = '\0';
    *ret = STEAL_PTR(data);
    *ret_len = len;
    return 0;
}

const char *config_read_why(int r)
{
    if (r == -EISDIR)
        return "it is a directory, expected a file";
    if (r == -EINVAL)
        return "it is not a regular file";
    return strerror(-r);
}

int config_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
    /* O_NONBLOCK: a FIFO must not keep the program waiting before we see that it is one. */
    int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int r;

    if (fd < 0)
        return -errno;
    r = config_read_fd(fd, max, ret, ret_len);
    close(fd);
    return r;
}
