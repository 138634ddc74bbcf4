/* spool/journal-remove.c: the end of a shard that was adopted and is empty now. Otherwise every
 * crash would leave folders behind, each with its reserve. */
#include "spool/journal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

struct remains {
    uint32_t *seqs; /* of segments */
    size_t n, cap;
    int foreign; /* there is something else, and it may be wanted */
};

static void see_name(void *ctx, const char *name)
{
    static const char *const known[] = { "lock", "reserve", "content", JOURNAL_RANGE_NAME };
    struct remains *l = ctx;
    uint32_t seq;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strcmp(name, known[i]))
            return;
    }
    if (format_segment_name_read(name, ".seg", &seq) < 0) {
        l->foreign = 1;
        return;
    }
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->seqs = mem_realloc(l->seqs, l->cap * sizeof *l->seqs);
    }
    l->seqs[l->n++] = seq;
}

static void see_any(void *ctx, const char *name)
{
    (void)name;
    ((struct remains *)ctx)->foreign = 1;
}

static int by_number(const void *pa, const void *pb)
{
    const uint32_t *a = pa, *b = pb;

    return *a < *b ? -1 : *a > *b;
}

/* The oldest first, and each for sure before the next: that has the DONE records of what was in
 * it. */
static int remove_segments(struct journal *j, struct remains *l)
{
    const struct spool_io *io = j->cfg.io;
    int r = 0;

    if (l->n)
        qsort(l->seqs, l->n, sizeof *l->seqs, by_number);
    for (size_t i = 0; i < l->n && r == 0; i++) {
        char name[FORMAT_FILE_NAME];

        format_segment_name(name, l->seqs[i]);
        r = io->unlink(io->ctx, j->dir, name);
        if (r == 0)
            r = io->fsync_dir(io->ctx, j->dir);
    }
    return r;
}

/* The lock is the last that goes: whoever comes while it is there finds it taken. If somebody made
 * himself a new one since, the folder is his. */
static int remove_folder(struct journal *j)
{
    const struct spool_io *io = j->cfg.io;
    const char *slash = strrchr(j->path, '/');
    int parent, r;

    io->unlink(io->ctx, j->dir, JOURNAL_RANGE_NAME);
    io->unlink(io->ctx, j->dir, "reserve");
    r = io->rmdir(io->ctx, j->dir, "content");
    if (r < 0 || !slash || !slash[1])
        return r;
    parent = io->open(io->ctx, j->dir, "..", O_RDONLY | O_DIRECTORY, 0);
    if (parent < 0)
        return parent;
    r = io->unlink(io->ctx, j->dir, "lock");
    if (r == 0)
        r = io->rmdir(io->ctx, parent, slash + 1);
    io->close(io->ctx, parent);
    return r;
}

int remove_shard(struct journal *j)
{
    const struct spool_io *io = j->cfg.io;
    struct remains l = { .n = 0 };
    int r;

    if (!j->loop || j->stats.live_messages || j->stats.damaged_segments)
        return 0;
    r = io->list(io->ctx, j->dir, see_name, &l);
    if (r == 0)
        r = io->list(io->ctx, j->content_dir, see_any, &l);
    if (r == 0 && !l.foreign) {
        r = remove_segments(j, &l);
        if (r == 0)
            r = remove_folder(j);
    }
    free(l.seqs);
    return r == 0 && !l.foreign;
}
