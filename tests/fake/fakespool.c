/* tests/fake/fakespool.c: see fakespool.h. */
#include "fakespool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/content.h"
#include "util/list.h"
#include "util/mem.h"

struct spool {
    struct loop *loop;
    struct list  live; /* spool_entry */
    size_t       live_n;
    uint64_t     last_id;
    int          put_error, content_error;
};

struct spool_entry {
    struct list  link;
    uint64_t     id;
    struct buf   content, meta, state;
};

struct spool_put {
    struct spool       *spool;
    struct spool_entry *entry;
    spool_commit_cb    *done;
    void               *ctx;
};

struct spool *fakespool_new(struct loop *loop)
{
    struct spool *s = mem_zalloc(sizeof *s);

    s->loop = loop;
    s->last_id = 1000;
    list_init(&s->live);
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
    return list_empty(&s->live) ? NULL : CONTAINER(s->live.prev, struct spool_entry, link)->content.data;
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
    return 0;
}

static void committed(void *arg)
{
    struct spool_put *p = arg;

    p->done(p->ctx, 0, entry_add(p->spool, p->entry));
    free(p);
}

void spool_put_commit(struct spool_put *p, const void *meta, size_t meta_len, spool_commit_cb *done,
                      void *ctx)
{
    buf_add(&p->entry->meta, meta, meta_len);
    p->done = done;
    p->ctx = ctx;
    loop_post(p->spool->loop, committed, p);
}

void spool_put_free(struct spool_put **p)
{
    if (!*p)
        return;
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

postern_content *spool_content(struct spool *s, struct spool_entry *e)
{
    if (s->content_error) {
        errno = -s->content_error;
        return NULL;
    }
    return content_new_memory(mem_strndup(e->content.data, e->content.len), e->content.len);
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
