/* util/clock.c: see clock.h. */
#include "util/clock.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "util/crc32c.h"

static int64_t clock_read(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

int64_t clock_boot(void)
{
    return clock_read(CLOCK_BOOTTIME);
}

int64_t clock_wall(void)
{
    return clock_read(CLOCK_REALTIME);
}

uint64_t clock_boot_id(void)
{
    char text[36]; /* a UUID */
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (fd >= 0)
        close(fd);
    if (n != (ssize_t)sizeof text)
        return 0;
    return (uint64_t)crc32c(0, text, 18) << 32 | crc32c(0, text + 18, 18);
}
