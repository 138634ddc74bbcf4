/* spool/journal-verify.c: the files of large messages, when the journal was replayed. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "util/crc32c.h"
#include "util/mem.h"

#define READ_BYTES 262144u

/* What the MESSAGE record says of the file. */
static int read_large(struct journal *j, struct journal_entry *e, struct format_large *ret)
{
    unsigned char tail[FORMAT_LARGE_LEN];
    struct journal_file *f = segment_open(j, e->segment);
    int r;

    if (!f)
        return -errno;
    r = journal_pread(j->cfg.io, f->fd, tail, sizeof tail,
                      (uint64_t)e->at + FORMAT_HEADER + FORMAT_WORD + e->meta_len);
    journal_file_unref(&f);
    return r < 0 ? r : format_large_read(tail, ret);
}

int verify_bytes(const struct spool_io *io, int fd, const struct format_large *l)
{
    char *buf;
    uint32_t crc = 0;
    int r = 0;

    if (io->size(io->ctx, fd) != (int64_t)l->size)
        return -EBADMSG;
    buf = mem_alloc(READ_BYTES);
    for (uint64_t at = 0; r == 0 && at < l->size;) {
        size_t n = l->size - at < READ_BYTES ? (size_t)(l->size - at) : READ_BYTES;

        r = journal_pread(io, fd, buf, n, at);
        if (r == 0)
            crc = crc32c(crc, buf, n);
        at += n;
    }
    free(buf);
    return r < 0 ? r : crc == l->crc ? 0 : -EBADMSG;
}

/* What is wrong for good is out of the way of the name; what the disk just won't read may be
 * readable next time, and is left alone. */
static void set_aside(struct journal *j, const char *name)
{
    const struct spool_io *io = j->cfg.io;
    char aside[FORMAT_NAME_LEN + sizeof ".damaged"];

    snprintf(aside, sizeof aside, "%s.damaged", name);
    if (j->loop)
        io->rename(io->ctx, j->content_dir, name, aside);
}

int verify_content(struct journal *j, struct journal_entry *e)
{
    const struct spool_io *io = j->cfg.io;
    struct format_large large;
    char name[FORMAT_NAME_LEN + 1];
    int fd, r = read_large(j, e, &large);

    if (r < 0)
        return r == -EBADMSG || r == -EIO ? 1 : r;
    format_content_name(name, e->base.id);
    if (strcmp(name, large.name) || j->content_dir < 0)
        return 1;
    fd = io->open(io->ctx, j->content_dir, name, O_RDONLY, 0);
    if (fd < 0)
        return fd == -ENOENT || fd == -EIO ? 1 : fd;
    r = verify_bytes(io, fd, &large);
    io->close(io->ctx, fd);
    if (r == -EBADMSG)
        set_aside(j, name);
    return r < 0;
}

struct orphans {
    struct journal *j;
    const struct idmap *live;
    uint64_t *ids;
    size_t n, cap;
};

static void see_name(void *ctx, const char *name)
{
    struct orphans *o = ctx;
    uint64_t id;

    if (format_content_name_read(name, &id) < 0)
        return;
    if (id > o->j->last_id)
        o->j->last_id = id;
    if (idmap_get(o->live, id))
        return;
    if (o->n == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 64;
        o->ids = mem_realloc(o->ids, o->cap * sizeof *o->ids);
    }
    o->ids[o->n++] = id;
}

/* A file without a live message is one that was never finished, or whose message is done. Unless
 * records are damaged: then it may be all that is left of a message. */
void verify_orphans(struct journal *j, const struct idmap *live, int damage)
{
    const struct spool_io *io = j->cfg.io;
    struct orphans o = { .j = j, .live = live };

    if (j->content_dir >= 0)
        io->list(io->ctx, j->content_dir, see_name, &o);
    for (size_t i = 0; i < o.n; i++) {
        char name[FORMAT_NAME_LEN + 1];

        format_content_name(name, o.ids[i]);
        if (damage)
            log_event(POSTERN_LOG_WARNING, "spool", "spool.orphan.kept", "content_file=%s", name);
        else if (j->loop && !j->cfg.keep_orphans)
            io->unlink(io->ctx, j->content_dir, name);
    }
    free(o.ids);
}
