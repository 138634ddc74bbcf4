/* tests/fake/fakespool.c: see fakespool.h. */
#include "fakespool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/content.h"
#include "util/list.h"
#include "util/mem.h"

struct spool {
    struct loop *loop;
    struct list live; /* spool_entry */
    size_t live_n;
    uint64_t last_id;
    int put_error, content_error, commit_error, behind, on_disk;
    struct list wanting;    /* spool_put that wait for room */
    struct list committing; /* spool_put that are on their way to the disk */
};

struct spool_entry {
    struct list link;
    uint64_t id;
    struct buf content, meta, state;
};

struct spool_put {
    struct list link; /* spool.wanting or spool.committing */
    postern_done *room;
    void *room_ctx;
    struct spool *spool;
    struct spool_entry *entry;
    spool_commit_cb *done;
    void *ctx;
};

struct spool *fakespool_new(struct loop *loop)
{
    struct spool *s = mem_zalloc(sizeof *s);

    s->loop = loop;
    s->last_id = 1000;
    list_init(&s->live);
    list_init(&s->wanting);
    list_init(&s->committing);
    return s;
}

static void entry_free(struct spool_entry *e)
{
    buf_free(&e->content);
    buf_free(&e->meta);
    buf_free(&e->state);
    free(e);
}

void fakespool_free(struct spool **s)
{
    struct list *n;

    while ((n = list_pop(&(*s)->live)))
        entry_free(CONTAINER(n, struct spool_entry, link));
    while ((n = list_pop(&(*s)->committing))) {
        struct spool_put *p = CONTAINER(n, struct spool_put, link);

        entry_free(p->entry);
        free(p);
    }
    free(*s);
    *s = NULL;
}

static struct spool_entry *entry_add(struct spool *s, struct spool_entry *e)
{
    list_add_tail(&s->live, &e->link);
    s->live_n++;
    return e;
}

struct spool_entry *fakespool_add(struct spool *s, uint64_t id, const char *content)
{
    struct spool_entry *e = mem_zalloc(sizeof *e);

    e->id = id;
    buf_adds(&e->content, content);
    return entry_add(s, e);
}

size_t fakespool_live(const struct spool *s)
{
    return s->live_n;
}

const char *fakespool_newest(const struct spool *s)
{
    return list_empty(&s->live) ? NULL
                                : CONTAINER(s->live.prev, struct spool_entry, link)->content.data;
}

struct spool_entry *fakespool_first(const struct spool *s)
{
    return CONTAINER(s->live.next, struct spool_entry, link);
}

const struct buf *fakespool_state(const struct spool_entry *e)
{
    return &e->state;
}

void fakespool_fail_puts(struct spool *s, int err)
{
    s->put_error = err;
}

void fakespool_fail_content(struct spool *s, int err)
{
    s->content_error = err;
}

void fakespool_fail_commits(struct spool *s, int err)
{
    s->commit_error = err;
}

void fakespool_on_disk(struct spool *s, int on)
{
    s->on_disk = on;
}

static void tell_room(void *arg)
{
    struct spool *s = arg;
    struct list *n;

    while (!s->behind && (n = list_pop(&s->wanting))) {
        struct spool_put *p = CONTAINER(n, struct spool_put, link);

        p->room(p->room_ctx, 0);
    }
}

void fakespool_behind(struct spool *s, int on)
{
    s->behind = on;
    if (!on)
        loop_post(s->loop, tell_room, s);
}

struct envelope *fakespool_envelope(const struct spool *s)
{
    const struct spool_entry *e = CONTAINER(s->live.prev, struct spool_entry, link);
    struct envelope *env = NULL;

    return list_empty(&s->live) || envelope_decode(e->meta.data, e->meta.len, &env) < 0 ? NULL
                                                                                        : env;
}

/* --- the spool's own calls --- */

uint64_t spool_new_id(struct spool *s)
{
    return ++s->last_id;
}

int spool_put_new(struct spool *s, uint64_t id, uint64_t size_hint, struct spool_put **ret)
{
    (void)size_hint;
    if (s->put_error)
        return s->put_error;
    *ret = mem_zalloc(sizeof **ret);
    (*ret)->spool = s;
    (*ret)->entry = mem_zalloc(sizeof *(*ret)->entry);
    (*ret)->entry->id = id;
    return 0;
}

int spool_put_write(struct spool_put *p, const void *data, size_t len)
{
    buf_add(&p->entry->content, data, len);
    return p->spool->behind;
}

void spool_put_room(struct spool_put *p, postern_done *done, void *ctx)
{
    p->room = done;
    p->room_ctx = ctx;
    list_del(&p->link);
    list_add_tail(&p->spool->wanting, &p->link);
    loop_post(p->spool->loop, tell_room, p->spool);
}

uint64_t spool_put_size(const struct spool_put *p)
{
    return p->entry->content.len;
}

const char *spool_put_head(const struct spool_put *p, size_t *ret_len)
{
    *ret_len = p->entry->content.len;
    return p->entry->content.data ? p->entry->content.data : "";
}

static void committed(void *arg)
{
    struct spool_put *p = arg;

    list_del(&p->link);
    if (p->spool->commit_error) {
        entry_free(p->entry);
        p->done(p->ctx, p->spool->commit_error, NULL);
    } else {
        p->done(p->ctx, 0, entry_add(p->spool, p->entry));
    }
    free(p);
}

void spool_put_commit(struct spool_put *p, const void *meta, size_t meta_len, spool_commit_cb *done,
                      void *ctx)
{
    buf_add(&p->entry->meta, meta, meta_len);
    p->done = done;
    p->ctx = ctx;
    list_del(&p->link);
    list_add_tail(&p->spool->committing, &p->link);
    loop_post(p->spool->loop, committed, p);
}

void spool_put_free(struct spool_put **p)
{
    if (!*p)
        return;
    list_del(&(*p)->link);
    entry_free((*p)->entry);
    free(*p);
    *p = NULL;
}

void spool_state(struct spool *s, struct spool_entry *e, const void *state, size_t len, int sync,
                 postern_done *done, void *ctx)
{
    (void)s;
    (void)sync;
    (void)done;
    (void)ctx;
    buf_clear(&e->state);
    buf_add(&e->state, state, len);
}

void spool_done(struct spool *s, struct spool_entry *e)
{
    list_del(&e->link);
    s->live_n--;
    entry_free(e);
}

static void file_release(postern_content *c)
{
    close(c->fd);
    free(c);
}

static postern_content *content_in_file(const struct buf *b)
{
    postern_content *c = content_new_memory(NULL, b->len);

    c->fd = memfd_create("content", MFD_CLOEXEC);
    c->offset = 7;
    c->release = file_release;
    if (c->fd < 0 || pwrite(c->fd, b->data, b->len, (off_t)c->offset) != (ssize_t)b->len)
        abort();
    return c;
}

postern_content *spool_content(struct spool *s, struct spool_entry *e)
{
    if (s->content_error) {
        errno = -s->content_error;
        return NULL;
    }
    return s->on_disk
        ? content_in_file(&e->content)
        : content_new_memory(mem_strndup(e->content.data, e->content.len), e->content.len);
}

uint64_t spool_entry_id(const struct spool_entry *e)
{
    return e->id;
}

uint64_t spool_entry_size(const struct spool_entry *e)
{
    return e->content.len;
}

void spool_uncache(struct spool *s, struct spool_entry *e)
{
    (void)s;
    (void)e;
}

void spool_stats(const struct spool *s, struct spool_stats *ret)
{
    *ret = (struct spool_stats){ .live_messages = s->live_n };
}
