/* util/map.c: see map.h. Open addressing with linear probing; deletion shifts back, so there are no
 * tombstones and a table that lived long is as fast as a new one. */
#include "util/map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/mem.h"

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = ROTL(v[1], 13) ^ v[0];
    v[0] = ROTL(v[0], 32);
    v[2] += v[3];
    v[3] = ROTL(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTL(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTL(v[1], 17) ^ v[2];
    v[2] = ROTL(v[2], 32);
}

/* SipHash (Aumasson, Bernstein 2012) with one compression and three finalisation rounds. */
uint64_t siphash13(const void *data, size_t len, const uint64_t key[2])
{
    const unsigned char *p = data;
    uint64_t v[4] = { 0x736f6d6570736575u ^ key[0], 0x646f72616e646f6du ^ key[1],
                      0x6c7967656e657261u ^ key[0], 0x7465646279746573u ^ key[1] };
    uint64_t last = (uint64_t)len << 56, m;

    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&m, p, 8);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void siphash_key(uint64_t ret_key[2])
{
    if (getrandom(ret_key, 2 * sizeof *ret_key, GRND_NONBLOCK) != (ssize_t)(2 * sizeof *ret_key)) {
        /* Too early in boot: addresses are random enough to keep a peer guessing. */
        ret_key[0] = (uint64_t)(uintptr_t)ret_key;
        ret_key[1] = (uint64_t)(uintptr_t)&siphash_key;
    }
}

struct map_slot {
    uint64_t hash;
    char *key; /* NULL: free */
    void *value;
};

struct map {
    uint64_t key[2];
    size_t n, cap; /* cap is a power of two */
    struct map_slot *v;
};

struct map *map_new(void)
{
    struct map *m = mem_zalloc(sizeof *m);

    siphash_key(m->key);
    m->cap = 16;
    m->v = mem_zalloc(m->cap * sizeof *m->v);
    return m;
}

void map_free(struct map **m, void (*free_value)(void *))
{
    if (!*m)
        return;
    for (size_t i = 0; i < (*m)->cap; i++) {
        if (!(*m)->v[i].key)
            continue;
        if (free_value)
            free_value((*m)->v[i].value);
        free((*m)->v[i].key);
    }
    free((*m)->v);
    free(*m);
    *m = NULL;
}

static size_t map_find(const struct map *m, const char *key, size_t len, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);

    while (m->v[i].key) {
        if (m->v[i].hash == hash && !strncmp(m->v[i].key, key, len) && !m->v[i].key[len])
            break;
        i = (i + 1) & (m->cap - 1);
    }
    return i;
}

void *map_get_n(const struct map *m, const char *key, size_t len)
{
    size_t i = map_find(m, key, len, siphash13(key, len, m->key));

    return m->v[i].key ? m->v[i].value : NULL;
}

void *map_get(const struct map *m, const char *key)
{
    return map_get_n(m, key, strlen(key));
}

static void map_grow(struct map *m)
{
    struct map_slot *old = m->v;
    size_t cap = m->cap;

    m->cap = cap * 2;
    m->v = mem_zalloc(m->cap * sizeof *m->v);
    for (size_t i = 0; i < cap; i++) {
        size_t j;

        if (!old[i].key)
            continue;
        for (j = old[i].hash & (m->cap - 1); m->v[j].key; j = (j + 1) & (m->cap - 1))
            ;
        m->v[j] = old[i];
    }
    free(old);
}

void *map_set(struct map *m, const char *key, void *value)
{
    size_t len = strlen(key);
    uint64_t hash = siphash13(key, len, m->key);
    size_t i = map_find(m, key, len, hash);
    void *old;

    if (m->v[i].key) {
        old = m->v[i].value;
        m->v[i].value = value;
        return old;
    }
    if ((m->n + 1) * 4 > m->cap * 3) {
        map_grow(m);
        i = map_find(m, key, len, hash);
    }
    m->v[i] = (struct map_slot){ hash, mem_strndup(key, len), value };
    m->n++;
    return NULL;
}

void *map_del(struct map *m, const char *key)
{
    size_t len = strlen(key), i = map_find(m, key, len, siphash13(key, len, m->key)), j;
    void *value;

    if (!m->v[i].key)
        return NULL;
    value = m->v[i].value;
    free(m->v[i].key);
    m->n--;
    for (j = (i + 1) & (m->cap - 1); m->v[j].key; j = (j + 1) & (m->cap - 1)) {
        size_t home = m->v[j].hash & (m->cap - 1);

        /* Move j back into the hole unless its home lies between the hole and j. */
        if (((j - home) & (m->cap - 1)) >= ((j - i) & (m->cap - 1))) {
            m->v[i] = m->v[j];
            i = j;
        }
    }
    m->v[i] = (struct map_slot){ 0 };
    return value;
}

size_t map_count(const struct map *m)
{
    return m->n;
}

void map_each(const struct map *m, void (*each)(void *ctx, const char *key, void *value), void *ctx)
{
    /* Deleting the entry just given may shift a later one into its place: look at the slot again
     * until it holds what was there, or nothing new. Entries that wrap around the end may be shown
     * twice only if deleted and re-added, which the contract forbids. */
    for (size_t i = 0; i < m->cap; i++) {
        const char *seen = NULL;

        while (m->v[i].key && m->v[i].key != seen) {
            seen = m->v[i].key;
            each(ctx, seen, m->v[i].value);
        }
    }
}

struct idmap_slot {
    uint64_t id;
    void *value; /* NULL: free */
};

struct idmap {
    size_t n, cap;
    struct idmap_slot *v;
};

/* Ids are ours, not a peer's: a multiplicative hash spreads them well enough. */
static size_t idmap_home(const struct idmap *m, uint64_t id)
{
    return (size_t)((id * 0x9e3779b97f4a7c15u) >> 20) & (m->cap - 1);
}

struct idmap *idmap_new(void)
{
    struct idmap *m = mem_zalloc(sizeof *m);

    m->cap = 64;
    m->v = mem_zalloc(m->cap * sizeof *m->v);
    return m;
}

void idmap_free(struct idmap **m)
{
    if (!*m)
        return;
    free((*m)->v);
    free(*m);
    *m = NULL;
}

static size_t idmap_find(const struct idmap *m, uint64_t id)
{
    size_t i = idmap_home(m, id);

    while (m->v[i].value && m->v[i].id != id)
        i = (i + 1) & (m->cap - 1);
    return i;
}

void *idmap_get(const struct idmap *m, uint64_t id)
{
    return m->v[idmap_find(m, id)].value;
}

void idmap_set(struct idmap *m, uint64_t id, void *value)
{
    size_t i = idmap_find(m, id);

    if (!m->v[i].value && (m->n + 1) * 4 > m->cap * 3) {
        struct idmap_slot *old = m->v;
        size_t cap = m->cap;

        m->cap = cap * 2;
        m->v = mem_zalloc(m->cap * sizeof *m->v);
        for (size_t k = 0; k < cap; k++) {
            if (old[k].value)
                m->v[idmap_find(m, old[k].id)] = old[k];
        }
        free(old);
        i = idmap_find(m, id);
    }
    if (!m->v[i].value)
        m->n++;
    m->v[i] = (struct idmap_slot){ id, value };
}

void *idmap_del(struct idmap *m, uint64_t id)
{
    size_t i = idmap_find(m, id), j;
    void *value = m->v[i].value;

    if (!value)
        return NULL;
    m->n--;
    for (j = (i + 1) & (m->cap - 1); m->v[j].value; j = (j + 1) & (m->cap - 1)) {
        size_t home = idmap_home(m, m->v[j].id);

        if (((j - home) & (m->cap - 1)) >= ((j - i) & (m->cap - 1))) {
            m->v[i] = m->v[j];
            i = j;
        }
    }
    m->v[i] = (struct idmap_slot){ 0 };
    return value;
}

void idmap_each(const struct idmap *m, void (*each)(void *value))
{
    for (size_t i = 0; i < m->cap; i++) {
        if (m->v[i].value)
            each(m->v[i].value);
    }
}

size_t idmap_count(const struct idmap *m)
{
    return m->n;
}
