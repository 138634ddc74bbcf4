/* pool.c: see pool.h. */
#include "pool.h"

#include <string.h>

#include "session.h"

static uint32_t hash_of(const char *key) /* FNV-1a */
{
    uint32_t h = 2166136261u;

    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 16777619u;
    return h;
}

void pool_init(struct pool *p, size_t max)
{
    memset(p, 0, sizeof *p);
    TAILQ_INIT(&p->ages);
    p->max = max;
}

void pool_remove(struct pool *p, struct session *s)
{
    if (!s->pool.in)
        return;
    LIST_REMOVE(s, pool.bucket);
    TAILQ_REMOVE(&p->ages, s, pool.age);
    s->pool.in = 0;
    p->n--;
}

struct session *pool_take(struct pool *p, const char *key)
{
    uint32_t hash = hash_of(key);
    struct session *s = LIST_FIRST(&p->buckets[hash % POOL_BUCKETS]);

    while (s && (s->pool.hash != hash || strcmp(s->key, key) != 0))
        s = LIST_NEXT(s, pool.bucket);
    if (s)
        pool_remove(p, s);
    return s;
}

struct session *pool_put(struct pool *p, struct session *s)
{
    struct session *oldest = NULL;

    if (!p->max)
        return s;
    if (p->n >= p->max) {
        oldest = TAILQ_FIRST(&p->ages);
        pool_remove(p, oldest);
    }
    s->pool.hash = hash_of(s->key);
    LIST_INSERT_HEAD(&p->buckets[s->pool.hash % POOL_BUCKETS], s, pool.bucket);
    TAILQ_INSERT_TAIL(&p->ages, s, pool.age);
    s->pool.in = 1;
    p->n++;
    return oldest;
}
