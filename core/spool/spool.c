/* spool/spool.c: see spool.h. Hands each call to the engine; there is one so far, the journal. */
#include "spool/spool.h"

#include "spool/engine.h"

int spool_open(const struct spool_config *cfg, struct loop *loop, spool_replay_cb *replay,
               void *ctx, struct spool **ret, char *why, size_t why_size)
{
    return journal_open(cfg, loop, replay, ctx, ret, why, why_size);
}

int spool_adopt(const struct spool_config *cfg, struct loop *loop,
                const struct spool_adoption *what, struct spool **ret, char *why, size_t why_size)
{
    return journal_adopt(cfg, loop, what, ret, why, why_size);
}

void spool_close(struct spool **s)
{
    struct spool *was = *s;

    *s = NULL;
    if (was)
        was->ops->close(was);
}

void spool_abandon(struct spool *s)
{
    s->ops->abandon(s);
}

int spool_remove(struct spool **s)
{
    struct spool *was = *s;

    *s = NULL;
    return was ? was->ops->remove(was) : 0;
}

uint64_t spool_new_id(struct spool *s)
{
    return s->ops->new_id(s);
}

int spool_put_new(struct spool *s, uint64_t id, uint64_t size_hint, struct spool_put **ret)
{
    return s->ops->put_new(s, id, size_hint, ret);
}

int spool_put_write(struct spool_put *p, const void *data, size_t len)
{
    return p->spool->ops->put_write(p, data, len);
}

void spool_put_room(struct spool_put *p, postern_done *done, void *ctx)
{
    p->spool->ops->put_room(p, done, ctx);
}

uint64_t spool_put_size(const struct spool_put *p)
{
    return p->spool->ops->put_size(p);
}

const char *spool_put_head(const struct spool_put *p, size_t *ret_len)
{
    return p->spool->ops->put_head(p, ret_len);
}

void spool_put_commit(struct spool_put *p, const void *meta, size_t meta_len, spool_commit_cb *done,
                      void *ctx)
{
    p->spool->ops->put_commit(p, meta, meta_len, done, ctx);
}

void spool_put_free(struct spool_put **p)
{
    struct spool_put *was = *p;

    *p = NULL;
    if (was)
        was->spool->ops->put_free(was);
}

void spool_state(struct spool *s, struct spool_entry *e, const void *state, size_t len, int sync,
                 postern_done *done, void *ctx)
{
    s->ops->state(s, e, state, len, sync, done, ctx);
}

void spool_done(struct spool *s, struct spool_entry *e)
{
    s->ops->done(s, e);
}

postern_content *spool_content(struct spool *s, struct spool_entry *e)
{
    return s->ops->content(s, e);
}

uint64_t spool_entry_id(const struct spool_entry *e)
{
    return e->id;
}

uint64_t spool_entry_size(const struct spool_entry *e)
{
    return e->size;
}

int spool_read_meta(struct spool *s, struct spool_entry *e, void **ret, size_t *ret_len)
{
    return s->ops->read_meta(s, e, ret, ret_len);
}

int spool_read_state(struct spool *s, struct spool_entry *e, void **ret, size_t *ret_len)
{
    return s->ops->read_state(s, e, ret, ret_len);
}

void spool_uncache(struct spool *s, struct spool_entry *e)
{
    s->ops->uncache(s, e);
}

void spool_stats(const struct spool *s, struct spool_stats *ret)
{
    s->ops->stats(s, ret);
}
