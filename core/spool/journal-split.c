/* spool/journal-split.c: gives a part of a long shard to others, without moving a message.
 *
 * A split happens right after the journal was read, when its lock is held, nothing of it is known
 * to anybody else, and no segment is being written. The live messages are cut by id into parts. A
 * part is a shard of its own: a folder with the same segments (and its own content files) under
 * further names, and a file `range` that says which ids are its own. Nobody ever writes to a
 * segment of an earlier life, so many may read it; each shard drops its name when nothing of its
 * own is in it, and with the last name the file goes.
 *
 *   split.new/range      what will be this shard's own range
 *   split.new/01/ ...    the parts; everything in it is made durable
 *   split/               the same, renamed: that is the moment at which the split has happened
 *   range                then the range takes effect here,
 *   ../shard-NN/         and the parts go to where shards are looked for
 *
 * A crash before the rename leaves rubbish that the next who has the lock removes; a crash after it
 * leaves work that he finishes before he reads anything. So at any time each message is in exactly
 * one shard that somebody may open. */
#include "spool/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/mem.h"

#define STAGING   SPOOL_SPLIT ".new"
#define NEW_RANGE JOURNAL_RANGE_NAME ".new"
#define TREE_DEEP 4u /* split.new/01/content/ID, and no deeper */

/* --- folders --- */

struct names {
    char **v;
    size_t n, cap;
};

static void add_name(void *ctx, const char *name)
{
    struct names *l = ctx;

    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->v = mem_realloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = mem_strdup(name);
}

static void names_free(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
}

static int open_dir(const struct spool_io *io, int at, const char *name)
{
    return io->open(io->ctx, at, name, O_RDONLY | O_DIRECTORY, 0);
}

/* A folder that is not there yet. */
static int make_dir(const struct spool_io *io, int at, const char *name)
{
    int r = io->mkdir(io->ctx, at, name, 0700);

    return r < 0 ? r : open_dir(io, at, name);
}

static int sync_close(const struct spool_io *io, int dir, int r)
{
    if (r == 0)
        r = io->fsync_dir(io->ctx, dir);
    io->close(io->ctx, dir);
    return r;
}

/* Names only: nothing in it is the last name of anything but what was made for it. */
static int remove_tree(const struct spool_io *io, int at, const char *name, unsigned deep)
{
    struct names l = { NULL, 0, 0 };
    int dir = open_dir(io, at, name), r;

    if (dir < 0)
        return dir == -ENOENT ? 0 : dir;
    r = deep ? io->list(io->ctx, dir, add_name, &l) : -ELOOP;
    for (size_t i = 0; i < l.n && r == 0; i++) {
        r = io->unlink(io->ctx, dir, l.v[i]);
        if (r == -EISDIR)
            r = remove_tree(io, dir, l.v[i], deep - 1);
    }
    names_free(&l);
    io->close(io->ctx, dir);
    return r < 0 ? r : io->rmdir(io->ctx, at, name);
}

/* --- numbers --- */

void spool_shard_name(char out[SPOOL_SHARD_NAME], unsigned number)
{
    snprintf(out, SPOOL_SHARD_NAME, "shard-%02u", number % SPOOL_SHARDS);
}

static int is_free(const struct spool_io *io, int folder, unsigned number)
{
    char name[SPOOL_SHARD_NAME];
    int fd;

    spool_shard_name(name, number);
    fd = open_dir(io, folder, name);
    if (fd >= 0)
        io->close(io->ctx, fd);
    return fd == -ENOENT;
}

static int enough_numbers(const struct journal *j, unsigned wanted)
{
    const struct spool_io *io = j->cfg.io;
    int folder = open_dir(io, j->dir, "..");
    unsigned n = 0;

    for (unsigned i = 0; folder >= 0 && i < SPOOL_SHARDS && n < wanted; i++)
        n += (unsigned)is_free(io, folder, i);
    if (folder >= 0)
        io->close(io->ctx, folder);
    return n >= wanted;
}

/* From the end, since workers take theirs from the beginning. The number, or -errno. */
static int move_out(const struct spool_io *io, int split, const char *part, int folder)
{
    char name[SPOOL_SHARD_NAME];

    for (unsigned i = SPOOL_SHARDS; i-- > 0;) {
        int r;

        if (!is_free(io, folder, i))
            continue;
        spool_shard_name(name, i);
        r = io->move(io->ctx, split, part, folder, name);
        if (r == 0)
            return (int)i;
        if (r != -EEXIST && r != -ENOTEMPTY) /* somebody was quicker */
            return r;
    }
    return -EMFILE;
}

/* --- what was decided is done --- */

static int take_range(struct journal *j, int split)
{
    const struct spool_io *io = j->cfg.io;
    int r = io->move(io->ctx, split, JOURNAL_RANGE_NAME, j->dir, NEW_RANGE);

    /* Each step may have been done before. */
    if (r == 0 || r == -ENOENT)
        r = io->rename(io->ctx, j->dir, NEW_RANGE, JOURNAL_RANGE_NAME);
    if (r == 0 || r == -ENOENT)
        r = io->fsync_dir(io->ctx, j->dir);
    return r < 0 ? r : io->fsync_dir(io->ctx, split);
}

static int move_parts(struct journal *j, int split, const struct names *parts)
{
    const struct spool_io *io = j->cfg.io;
    int folder = open_dir(io, j->dir, ".."), r = folder < 0 ? folder : 0;

    for (size_t i = 0; i < parts->n && r >= 0; i++) {
        if (strspn(parts->v[i], "0123456789") != strlen(parts->v[i]))
            continue;
        r = move_out(io, split, parts->v[i], folder);
        if (r < 0)
            break;
        log_event(POSTERN_LOG_NOTICE, "spool", "shard.part", "from=%s shard=%d", log_q(j->path), r);
        if (j->parts_n < SPOOL_PARTS_MAX)
            j->parts[j->parts_n++].number = (unsigned)r;
        r = 0;
    }
    if (folder >= 0)
        r = sync_close(io, folder, r);
    return r < 0 ? r : io->fsync_dir(io->ctx, split);
}

static int publish(struct journal *j)
{
    const struct spool_io *io = j->cfg.io;
    struct names parts = { NULL, 0, 0 };
    int split = open_dir(io, j->dir, SPOOL_SPLIT), r;

    if (split < 0)
        return split == -ENOENT ? 0 : split;
    r = take_range(j, split);
    if (r == 0)
        r = io->list(io->ctx, split, add_name, &parts);
    if (r == 0)
        r = move_parts(j, split, &parts);
    names_free(&parts);
    io->close(io->ctx, split);
    if (r == 0)
        r = io->rmdir(io->ctx, j->dir, SPOOL_SPLIT);
    return r < 0 ? r : io->fsync_dir(io->ctx, j->dir);
}

int split_finish(struct journal *j)
{
    const struct spool_io *io = j->cfg.io;
    int split, r;

    if (j->loop) {
        r = publish(j);
        if (r == 0)
            r = remove_tree(io, j->dir, STAGING, TREE_DEEP);
        return r < 0 ? r : range_read(io, j->dir, JOURNAL_RANGE_NAME, &j->range);
    }
    /* Who only looks takes the range from where it stands. */
    split = open_dir(io, j->dir, SPOOL_SPLIT);
    r = split < 0 ? 0 : range_read(io, split, JOURNAL_RANGE_NAME, &j->range);
    if (split >= 0 && r == 0 && !j->range.n)
        r = range_read(io, j->dir, NEW_RANGE, &j->range);
    if (r == 0 && !j->range.n)
        r = range_read(io, j->dir, JOURNAL_RANGE_NAME, &j->range);
    if (split >= 0)
        io->close(io->ctx, split);
    return r;
}

/* --- deciding --- */

struct part {
    struct journal_entry **v; /* ascending by id */
    size_t n;
};

static struct part part_of(const struct replay_found *found, unsigned k, unsigned parts)
{
    size_t from = found->n / parts * k, to = k + 1 < parts ? found->n / parts * (k + 1) : found->n;

    return (struct part){ found->v + from, to - from };
}

/* All from the first in which the part has something: what is behind may have DONE records. */
static int link_segments(struct journal *j, const struct part *p, int dir)
{
    const struct spool_io *io = j->cfg.io;
    uint32_t lowest = UINT32_MAX;
    int r = 0;

    for (size_t i = 0; i < p->n; i++) {
        const struct journal_entry *e = p->v[i];

        if (e->segment->seq < lowest)
            lowest = e->segment->seq;
        if (e->state_segment && e->state_segment->seq < lowest)
            lowest = e->state_segment->seq;
    }
    LIST_EACH (&j->segments, n) {
        const struct segment *s = CONTAINER(n, const struct segment, link);
        char name[FORMAT_FILE_NAME];

        if (s->seq < lowest || r < 0)
            continue;
        format_segment_name(name, s->seq);
        r = io->link(io->ctx, j->dir, name, dir, name);
    }
    return r;
}

static int link_content(struct journal *j, const struct part *p, int dir)
{
    const struct spool_io *io = j->cfg.io;
    int content = make_dir(io, dir, "content"), r = content < 0 ? content : 0;

    for (size_t i = 0; i < p->n && r == 0; i++) {
        char name[FORMAT_NAME_LEN + 1];

        if (!p->v[i]->large)
            continue;
        format_content_name(name, p->v[i]->base.id);
        r = io->link(io->ctx, j->content_dir, name, content, name);
    }
    return content < 0 ? content : sync_close(io, content, r);
}

static int write_range(const struct journal *j, const struct part *p, uint32_t upto, int dir)
{
    struct range range = j->range;
    int r = range_add(&range, upto, p->v[0]->base.id, p->v[p->n - 1]->base.id);

    return r < 0 ? r : range_write(j->cfg.io, dir, &range);
}

/* Whoever looks for shards that nobody has looks for a lock that nobody holds. */
static int make_lock(const struct spool_io *io, int dir)
{
    int fd = io->open(io->ctx, dir, "lock", O_RDWR | O_CREAT, 0600);

    if (fd < 0)
        return fd;
    io->close(io->ctx, fd);
    return 0;
}

static int stage_part(struct journal *j, const struct replay_found *found, unsigned k,
                      unsigned parts, int staging)
{
    const struct spool_io *io = j->cfg.io;
    struct part p = part_of(found, k, parts);
    char name[16];
    int dir, r;

    snprintf(name, sizeof name, "%02u", k);
    dir = make_dir(io, staging, name);
    if (dir < 0)
        return dir;
    r = link_segments(j, &p, dir);
    if (r == 0)
        r = link_content(j, &p, dir);
    if (r == 0)
        r = write_range(j, &p, found->end.last_seq, dir);
    if (r == 0)
        r = make_lock(io, dir);
    return sync_close(io, dir, r);
}

static int stage(struct journal *j, const struct replay_found *found, unsigned parts)
{
    const struct spool_io *io = j->cfg.io;
    struct part own = part_of(found, 0, parts);
    int staging = make_dir(io, j->dir, STAGING), r;

    if (staging < 0)
        return staging;
    r = write_range(j, &own, found->end.last_seq, staging);
    for (unsigned k = 1; k < parts && r == 0; k++)
        r = stage_part(j, found, k, parts, staging);
    return sync_close(io, staging, r);
}

/* What is another's now leaves the books. */
static void forget_given(struct journal *j, struct replay_found *found, unsigned parts)
{
    const struct spool_io *io = j->cfg.io;
    size_t keep = part_of(found, 0, parts).n;

    for (size_t i = keep; i < found->n; i++) {
        struct journal_entry *e = found->v[i];
        char name[FORMAT_NAME_LEN + 1];

        format_content_name(name, e->base.id);
        if (e->large)
            io->unlink(io->ctx, j->content_dir, name);
        idmap_del(found->ids, e->base.id);
        entry_free(j, e);
    }
    found->n = keep;
}

static int commit(struct journal *j)
{
    const struct spool_io *io = j->cfg.io;
    int r = io->rename(io->ctx, j->dir, STAGING, SPOOL_SPLIT);

    return r < 0 ? r : io->fsync_dir(io->ctx, j->dir);
}

/* Evidence of damage is kept in one place; and what could not be synced is better not built on. */
static int is_sound(const struct journal *j, const struct replay_found *found)
{
    return !found->aside && !found->end.bad_from && !j->stats.damaged_records &&
        !j->stats.damaged_segments;
}

int journal_split(struct journal *j, struct replay_found *found, unsigned parts)
{
    unsigned before = j->parts_n;
    int r;

    if (parts > SPOOL_PARTS_MAX)
        parts = SPOOL_PARTS_MAX;
    if (parts > found->n)
        parts = (unsigned)found->n;
    if (parts < 2 || !is_sound(j, found) || j->range.n == JOURNAL_RULES_MAX ||
        !enough_numbers(j, parts))
        return 0;
    r = stage(j, found, parts);
    if (r < 0) {
        log_event(POSTERN_LOG_WARNING, "spool", "shard.split", "shard=%s why=%s", log_q(j->path),
                  log_q(strerror(-r)));
        return remove_tree(j->cfg.io, j->dir, STAGING, TREE_DEEP);
    }
    r = commit(j);
    if (r == 0)
        r = publish(j);
    if (r == 0)
        r = range_read(j->cfg.io, j->dir, JOURNAL_RANGE_NAME, &j->range);
    if (r < 0)
        return r; /* it has happened, or may have: the next who opens the shard sees to it */
    for (unsigned k = 1; k < parts && before < j->parts_n; k++)
        j->parts[before++].messages = part_of(found, k, parts).n;
    forget_given(j, found, parts);
    return 0;
}
