/* spool/journal-content.c: content for readers: from the bounded cache of what was just received,
 * else backed by the file; and meta and state for operators' questions. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

struct disk_content {
    postern_content content; /* first member */
    struct journal_file *file;
};

static void release_cached(postern_content *c)
{
    free(c->data);
    free(CONTAINER(c, struct cached, content));
}

static void release_disk(postern_content *c)
{
    struct disk_content *d = CONTAINER(c, struct disk_content, content);

    journal_file_unref(&d->file);
    free(d);
}

struct cached *cached_new(char *data, uint64_t size)
{
    struct cached *c = mem_zalloc(sizeof *c);

    atomic_init(&c->content.refs, 1);
    c->content.data = data;
    c->content.size = size;
    c->content.fd = -1;
    c->content.release = release_cached;
    return c;
}

/* --- the cache --- */

static void forget(struct journal *j, struct cached *c)
{
    postern_content *content = &c->content;

    list_del(&c->lru);
    j->stats.cache_bytes -= content->size;
    c->entry->cached = NULL;
    c->entry = NULL;
    content_unref(&content);
}

void cache_put(struct journal *j, struct journal_entry *e, struct cached *c)
{
    c->entry = e;
    e->cached = c;
    list_add_tail(&j->lru, &c->lru);
    j->stats.cache_bytes += c->content.size;
    while (j->stats.cache_bytes > j->cfg.cache_bytes)
        forget(j, CONTAINER(j->lru.next, struct cached, lru));
}

void cache_drop(struct journal *j, struct journal_entry *e)
{
    if (e->cached)
        forget(j, e->cached);
}

void journal_uncache(struct spool *s, struct spool_entry *base)
{
    cache_drop(CONTAINER(s, struct journal, spool), CONTAINER(base, struct journal_entry, base));
}

/* --- reading --- */

int journal_pread(const struct spool_io *io, int fd, void *buf, size_t len, uint64_t at)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = io->pread(io->ctx, fd, (char *)buf + done, len - done, (off_t)(at + done));

        if (n < 0)
            return (int)n;
        if (n == 0)
            return -EIO; /* shorter than it was */
        done += (size_t)n;
    }
    return 0;
}

int journal_write_all(const struct spool_io *io, int fd, struct iovec *iov, int n, uint64_t at)
{
    while (n > 0) {
        ssize_t done = io->pwritev(io->ctx, fd, iov, n, (off_t)at);

        if (done < 0)
            return (int)done;
        if (done == 0)
            return -EIO; /* no progress is no success */
        at += (uint64_t)done;
        for (; n > 0 && (size_t)done >= iov->iov_len; iov++, n--)
            done -= (ssize_t)iov->iov_len;
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + done;
            iov->iov_len -= (size_t)done;
        }
    }
    return 0;
}

struct journal_file *journal_open_content(struct journal *j, const struct journal_entry *e)
{
    const struct spool_io *io = j->cfg.io;
    char name[FORMAT_NAME_LEN + 1];
    int fd;

    format_content_name(name, e->base.id);
    fd = io->open(io->ctx, j->content_dir, name, O_RDONLY, 0);
    if (fd < 0) {
        errno = -fd;
        return NULL;
    }
    return journal_file_new(io, fd);
}

postern_content *journal_content(struct spool *s, struct spool_entry *base)
{
    struct journal *j = CONTAINER(s, struct journal, spool);
    struct journal_entry *e = CONTAINER(base, struct journal_entry, base);
    struct journal_file *f;
    struct disk_content *d;

    if (e->cached) {
        list_del(&e->cached->lru);
        list_add_tail(&j->lru, &e->cached->lru);
        return content_ref(&e->cached->content);
    }
    f = e->large ? journal_open_content(j, e) : segment_open(j, e->segment);
    if (!f)
        return NULL;
    d = mem_zalloc(sizeof *d);
    atomic_init(&d->content.refs, 1);
    d->content.size = base->size;
    d->content.fd = f->fd;
    if (!e->large)
        d->content.offset = (uint64_t)e->at + FORMAT_HEADER + FORMAT_WORD + e->meta_len;
    d->content.release = release_disk;
    d->file = f;
    return &d->content;
}

static int read_piece(struct journal *j, struct segment *s, uint64_t at, size_t len, void **ret,
                      size_t *ret_len)
{
    struct journal_file *f = segment_open(j, s);
    char *p;
    int r;

    if (!f)
        return -errno;
    p = malloc(len + 1);
    r = p ? journal_pread(j->cfg.io, f->fd, p, len, at) : -ENOMEM;
    journal_file_unref(&f);
    if (r < 0) {
        free(p);
        return r;
    }
    p[len] = '\0'; /* for those who know that it is text */
    *ret = p;
    *ret_len = len;
    return 0;
}

int journal_read_meta(struct spool *s, struct spool_entry *base, void **ret, size_t *ret_len)
{
    struct journal_entry *e = CONTAINER(base, struct journal_entry, base);

    return read_piece(CONTAINER(s, struct journal, spool), e->segment,
                      (uint64_t)e->at + FORMAT_HEADER + FORMAT_WORD, e->meta_len, ret, ret_len);
}

/* The newest state may not be on the disk yet: it is with the disk thread, or waits for that. */
int journal_read_state(struct spool *s, struct spool_entry *base, void **ret, size_t *ret_len)
{
    struct journal *j = CONTAINER(s, struct journal, spool);
    struct journal_entry *e = CONTAINER(base, struct journal_entry, base);
    const struct request *r = e->busy ? idmap_get(j->states, e->base.id) : NULL;
    char *p;

    if (r && r->u.state.after)
        r = r->u.state.after;
    if (!r || r->result) {
        if (!e->state_segment)
            return -ENODATA;
        return read_piece(j, e->state_segment, (uint64_t)e->state_at + FORMAT_HEADER, e->state_len,
                          ret, ret_len);
    }
    *ret_len = r->head_len - FORMAT_HEADER;
    p = malloc(*ret_len + 1);
    if (!p)
        return -ENOMEM;
    memcpy(p, r->head + FORMAT_HEADER, *ret_len);
    p[*ret_len] = '\0';
    *ret = p;
    return 0;
}
