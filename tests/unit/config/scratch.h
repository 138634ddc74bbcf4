/* A folder of files for one test, and its end. */
#ifndef TEST_CONFIG_SCRATCH_H
#define TEST_CONFIG_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mem.h"

struct scratch {
    char dir[64];
};

static inline void scratch_init(struct scratch *s)
{
    strcpy(s->dir, "/tmp/postern-test-XXXXXX");
    if (!mkdtemp(s->dir))
        abort();
}

/* malloc'ed. */
static inline char *scratch_path(const struct scratch *s, const char *name)
{
    return mem_printf("%s/%s", s->dir, name);
}

static inline void scratch_bytes(const struct scratch *s, const char *name, const void *data,
                                 size_t len)
{
    char *path = scratch_path(s, name);
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(data, 1, len, file) != len || fclose(file))
        abort();
    free(path);
}

static inline void scratch_file(const struct scratch *s, const char *name, const char *text)
{
    scratch_bytes(s, name, text, strlen(text));
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void scratch_done(struct scratch *s)
{
    nftw(s->dir, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
