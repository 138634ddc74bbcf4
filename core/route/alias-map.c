/* Packed records and their index. The bytes of a record:
 *
 *   u32 line, u32 size of the whole, u16 length of the name, u16 flags, u32 targets,
 *   name, NUL, targets: u8 kind, u8 flags, u16 length, text, NUL
 *
 * in the machine's own order and without padding: it never leaves this process. */
#include "route/alias-map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/map.h"
#include "util/mem.h"

#define SLOTS_MIN   16u
#define TARGET_HEAD 4u

struct head {
    uint32_t line, size;
    uint16_t name_len, flags;
    uint32_t target_n;
};

void alias_map_init(struct alias_map *m)
{
    memset(m, 0, sizeof *m);
    siphash_key(m->key);
}

void alias_map_done(struct alias_map *m)
{
    free(m->data);
    free(m->slots);
    memset(m, 0, sizeof *m);
}

/* Room for `more` bytes, or -E2BIG. */
static int reserve(struct alias_map *m, size_t more)
{
    size_t want, cap = m->cap;

    if (more > ALIAS_MAP_BYTES_MAX - m->len)
        return -E2BIG;
    want = m->len + more;
    if (want <= cap)
        return 0;
    cap += cap / 2 + 4096;
    if (cap < want)
        cap = want;
    if (cap > ALIAS_MAP_BYTES_MAX)
        cap = ALIAS_MAP_BYTES_MAX;
    m->data = mem_realloc(m->data, cap);
    m->cap = (uint32_t)cap;
    return 0;
}

static void put(struct alias_map *m, const void *data, size_t len)
{
    if (len)
        memcpy(m->data + m->len, data, len);
    m->len += (uint32_t)len;
}

static void get_record(const struct alias_map *m, size_t at, struct head *h,
                       struct alias_record *ret)
{
    memcpy(h, m->data + at, sizeof *h);
    *ret = (struct alias_record){
        .line = h->line,
        .flags = h->flags,
        .name = m->data + at + sizeof *h,
        .name_len = h->name_len,
        .target_n = h->target_n,
        .targets = m->data + at + sizeof *h + h->name_len + 1,
    };
}

/* --- the index --- */

static uint32_t hash_of(const struct alias_map *m, const char *name, size_t len)
{
    return (uint32_t)siphash13(name, len, m->key);
}

static struct alias_slot *find_slot(const struct alias_map *m, const char *name, size_t len,
                                    uint32_t hash)
{
    uint32_t mask = m->slot_n - 1, i = hash & mask;
    struct alias_record rec;
    struct head h;

    for (; m->slots[i].at; i = (i + 1) & mask) {
        if (m->slots[i].hash != hash)
            continue;
        get_record(m, m->slots[i].at - 1, &h, &rec);
        if (rec.name_len == len && memcmp(rec.name, name, len) == 0)
            break;
    }
    return &m->slots[i];
}

static void grow_index(struct alias_map *m)
{
    struct alias_slot *old = m->slots;
    uint32_t n = m->slot_n, mask;

    if (m->record_n < n / 4 * 3)
        return;
    m->slot_n = n ? 2 * n : SLOTS_MIN;
    m->slots = mem_zalloc(m->slot_n * sizeof *m->slots);
    mask = m->slot_n - 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = old[i].hash & mask;

        if (!old[i].at)
            continue;
        while (m->slots[k].at)
            k = (k + 1) & mask;
        m->slots[k] = old[i];
    }
    free(old);
}

/* --- writing --- */

int alias_map_begin(struct alias_map *m, const char *name, size_t len, uint32_t line,
                    unsigned flags, uint32_t *ret_line)
{
    struct head h = { line, (uint32_t)(sizeof h + len + 1), (uint16_t)len, (uint16_t)flags, 0 };
    struct alias_slot *slot;
    struct alias_record rec;
    uint32_t hash;

    m->open = 0;
    if (len > ALIAS_KEY_MAX || reserve(m, h.size) < 0)
        return -E2BIG;
    if (len) { /* members of a list have no names */
        grow_index(m);
        hash = hash_of(m, name, len);
        slot = find_slot(m, name, len, hash);
        if (slot->at) {
            get_record(m, slot->at - 1, &h, &rec);
            *ret_line = rec.line;
            return -EEXIST;
        }
        *slot = (struct alias_slot){ hash, m->len + 1 };
        m->addresses |= memchr(name, 0, len) != NULL;
        m->owners |= len > 6 && memcmp(name, "owner-", 6) == 0;
    }
    m->open = m->len + 1;
    m->record_n++;
    put(m, &h, sizeof h);
    put(m, name, len);
    put(m, "", 1);
    return 0;
}

int alias_map_add(struct alias_map *m, enum alias_kind kind, unsigned flags, const char *text,
                  size_t len)
{
    size_t size = TARGET_HEAD + len + 1;
    uint16_t len16 = (uint16_t)len;
    struct head h;

    if (!m->open)
        return 0; /* a second alias of the name: dropped */
    memcpy(&h, m->data + m->open - 1, sizeof h);
    if (len > ALIAS_TEXT_MAX || h.target_n >= ALIAS_TARGETS_MAX || reserve(m, size) < 0)
        return -E2BIG;
    put(m, &(uint8_t){ (uint8_t)kind }, 1);
    put(m, &(uint8_t){ (uint8_t)flags }, 1);
    put(m, &len16, sizeof len16);
    put(m, text, len);
    put(m, "", 1);
    h.size += (uint32_t)size;
    h.target_n++;
    memcpy(m->data + m->open - 1, &h, sizeof h);
    m->target_n++;
    m->files |= kind == ALIAS_INCLUDE || kind == ALIAS_FILE;
    return 0;
}

void alias_map_seal(struct alias_map *m)
{
    m->open = 0;
    if (m->len < m->cap) {
        m->data = mem_realloc(m->data, m->len);
        m->cap = m->len;
    }
}

/* --- reading --- */

int alias_map_find(const struct alias_map *m, const char *name, size_t len,
                   struct alias_record *ret)
{
    const struct alias_slot *slot;
    struct head h;

    if (!m->slot_n)
        return 0;
    slot = find_slot(m, name, len, hash_of(m, name, len));
    if (!slot->at)
        return 0;
    get_record(m, slot->at - 1, &h, ret);
    return 1;
}

int alias_map_next(const struct alias_map *m, size_t *at, struct alias_record *ret)
{
    struct head h;

    if (*at >= m->len)
        return 0;
    get_record(m, *at, &h, ret);
    *at += h.size;
    return 1;
}

const char *alias_map_target(const char *p, struct alias_target *ret)
{
    uint16_t len;

    memcpy(&len, p + 2, sizeof len);
    *ret = (struct alias_target){
        .kind = (enum alias_kind)(uint8_t)p[0],
        .flags = (uint8_t)p[1],
        .text = p + TARGET_HEAD,
        .len = len,
    };
    return p + TARGET_HEAD + len + 1;
}
