/* util/scoreboard.c: see scoreboard.h. */
#include "util/scoreboard.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/clock.h"

struct scoreboard *scoreboard_map(int fd)
{
    void *p = mmap(NULL, sizeof(struct scoreboard), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        return NULL;
    return p;
}

struct scoreboard *scoreboard_new(int *ret_fd)
{
    int fd = memfd_create("postern-scoreboard", MFD_CLOEXEC);
    struct scoreboard *s;

    if (fd < 0)
        return NULL;
    s = ftruncate(fd, sizeof *s) < 0 ? NULL : scoreboard_map(fd);
    if (!s) {
        int saved = errno;

        close(fd);
        errno = saved;
        return NULL;
    }
    *ret_fd = fd;
    return s;
}

void scoreboard_free(struct scoreboard **s)
{
    if (*s)
        munmap(*s, sizeof **s);
    *s = NULL;
}

#define SET(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)
#define GET(field)        atomic_load_explicit(&(field), memory_order_relaxed)

void score_enter(struct score_row *row, uint32_t instance, uint64_t message)
{
    if (!row)
        return;
    SET(row->since, clock_mono());
    SET(row->message, message);
    SET(row->instance, instance + 1);
}

void score_leave(struct score_row *row)
{
    if (!row)
        return;
    SET(row->instance, 0);
    SET(row->message, 0);
}

void score_fly(struct score_row *row, uint32_t instance, uint64_t message)
{
    for (unsigned i = 0; row && i < SCORE_FLYING; i++) {
        if (GET(row->flying[i].message))
            continue;
        SET(row->flying[i].instance, instance);
        SET(row->flying[i].since, clock_mono());
        SET(row->flying[i].message, message);
        return;
    }
}

void score_land(struct score_row *row, uint64_t message)
{
    for (unsigned i = 0; row && i < SCORE_FLYING; i++) {
        if (GET(row->flying[i].message) != message)
            continue;
        SET(row->flying[i].message, 0);
        return;
    }
}

void score_clear(struct score_row *row)
{
    score_leave(row);
    SET(row->beat, 0);
    SET(row->sandbox, 0);
    for (unsigned i = 0; i < SCORE_COUNTS; i++)
        SET(row->counts[i], 0);
    for (unsigned i = 0; i < SCORE_FLYING; i++)
        SET(row->flying[i].message, 0);
}
