/* spool/journal-range.c: the file `range`, by which a shard that shares its segments with others
 * knows its own messages.
 *
 * A shard that was split (journal-split.c) and the parts that were made of it have the same
 * segments, as files with several names. Each has a rule: of the segments up to number `upto` only
 * the messages from id `first` to `last` are mine. A part may be split again, so there may be
 * several rules, and a message must please all that are about its segment.
 *
 * Without its file a shard would deliver what is another's. So a damaged one is not read as well as
 * can be, but refused. */
#include "spool/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/crc32c.h"

#define RANGE_TITLE "postern range 1\n"
#define RANGE_MAX   1024u /* bytes of the file */

int range_has(const struct range *r, uint32_t seq, uint64_t id)
{
    for (unsigned i = 0; i < r->n; i++) {
        if (seq <= r->v[i].upto && (id < r->v[i].first || id > r->v[i].last))
            return 0;
    }
    return 1;
}

void range_forget(struct range *r, uint32_t lowest)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < r->n; i++) {
        if (r->v[i].upto >= lowest)
            r->v[kept++] = r->v[i];
    }
    r->n = kept;
}

int range_add(struct range *r, uint32_t upto, uint64_t first, uint64_t last)
{
    if (r->n == JOURNAL_RULES_MAX)
        return -E2BIG;
    r->v[r->n++] = (struct range_rule){ upto, first, last };
    return 0;
}

/* --- the file --- */

static void encode(const struct range *r, struct buf *out)
{
    buf_adds(out, RANGE_TITLE);
    for (unsigned i = 0; i < r->n; i++)
        buf_printf(out, "%08" PRIu32 " %016" PRIx64 " %016" PRIx64 "\n", r->v[i].upto,
                   r->v[i].first, r->v[i].last);
    buf_printf(out, "crc %08" PRIx32 "\n", crc32c(0, out->data, out->len));
}

static int decode_rule(const char *line, struct range *r)
{
    uint64_t first, last;
    uint32_t upto;
    int end = 0;

    if (sscanf(line, "%" SCNu32 " %" SCNx64 " %" SCNx64 "\n%n", &upto, &first, &last, &end) != 3 ||
        !end || first > last)
        return -EBADMSG;
    return range_add(r, upto, first, last) < 0 ? -EBADMSG : 0;
}

/* Good is what encode() would have made, byte for byte. */
static int decode(const char *text, struct range *ret)
{
    struct range r = { .n = 0 };
    struct buf again = { 0 };
    const char *line = text + strlen(RANGE_TITLE);
    int err = 0;

    if (strncmp(text, RANGE_TITLE, strlen(RANGE_TITLE)))
        return -EBADMSG;
    while (!err && line && strncmp(line, "crc ", 4)) {
        err = decode_rule(line, &r);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (err)
        return err;
    encode(&r, &again);
    err = strcmp(again.data, text) ? -EBADMSG : 0;
    buf_free(&again);
    if (!err)
        *ret = r;
    return err;
}

int range_read(const struct spool_io *io, int dir, const char *name, struct range *ret)
{
    char text[RANGE_MAX + 1];
    int fd = io->open(io->ctx, dir, name, O_RDONLY, 0), r;
    int64_t size;

    if (fd < 0) {
        if (fd == -ENOENT)
            ret->n = 0;
        return fd == -ENOENT ? 0 : fd;
    }
    size = io->size(io->ctx, fd);
    if (size < 0)
        r = (int)size;
    else if (size > RANGE_MAX)
        r = -EBADMSG;
    else
        r = journal_pread(io, fd, text, (size_t)size, 0);
    io->close(io->ctx, fd);
    if (r < 0)
        return r;
    text[size] = '\0';
    return decode(text, ret);
}

int range_write(const struct spool_io *io, int dir, const struct range *r)
{
    struct buf text = { 0 };
    struct iovec iov;
    ssize_t n;
    int err, fd = io->open(io->ctx, dir, JOURNAL_RANGE_NAME, O_WRONLY | O_CREAT | O_EXCL, 0600);

    if (fd < 0)
        return fd;
    encode(r, &text);
    iov = (struct iovec){ text.data, text.len };
    n = io->pwritev(io->ctx, fd, &iov, 1, 0);
    /* So short a file is taken whole, or something is wrong. */
    err = n < 0 ? (int)n : (size_t)n < text.len ? -EIO : io->fdatasync(io->ctx, fd);
    io->close(io->ctx, fd);
    buf_free(&text);
    return err;
}
