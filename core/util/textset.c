/* util/textset.c: see textset.h. The hash is keyed: who chooses texts cannot choose collisions. */
#include "util/textset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/map.h"
#include "util/mem.h"

#define SLOTS_MIN 16u

static const char *folded(const struct textset *s, const char *text, size_t len, char *buf)
{
    if (!s->fold || len >= TEXTSET_FOLD_MAX)
        return text;
    memcpy(buf, text, len + 1);
    s->fold(buf, len);
    return buf;
}

static int is_at(const struct textset *s, uint32_t slot, const char *key)
{
    const char *text = s->text.data + slot - 1;
    char buf[TEXTSET_FOLD_MAX];

    return !strcmp(s->fold ? folded(s, text, strlen(text), buf) : text, key);
}

/* Where the text stands, or the free slot where it would. */
static uint32_t *find(const struct textset *s, const char *text, size_t len)
{
    char buf[TEXTSET_FOLD_MAX];
    const char *key = folded(s, text, len, buf);
    size_t i = (size_t)siphash13(key, len, s->key) & (s->slot_n - 1);

    while (s->slots[i] && !is_at(s, s->slots[i], key))
        i = (i + 1) & (s->slot_n - 1);
    return &s->slots[i];
}

int textset_has(const struct textset *s, const char *text)
{
    return s->n && *find(s, text, strlen(text));
}

/* At most half of them are taken. */
static void grow(struct textset *s)
{
    size_t at = 0;

    if (s->n * 2 < s->slot_n)
        return;
    if (!s->slot_n)
        siphash_key(s->key);
    s->slot_n = s->slot_n ? s->slot_n * 2 : SLOTS_MIN;
    free(s->slots);
    s->slots = mem_zalloc(s->slot_n * sizeof *s->slots);
    for (size_t i = 0; i < s->n; i++) {
        const char *text = s->text.data + at;
        size_t len = strlen(text);

        *find(s, text, len) = (uint32_t)at + 1;
        at += len + 1;
    }
}

int textset_add(struct textset *s, const char *text)
{
    size_t len = strlen(text);

    if (len >= UINT32_MAX / 2 - s->text.len)
        return -E2BIG;
    grow(s);
    *find(s, text, len) = (uint32_t)s->text.len + 1;
    buf_add(&s->text, text, len + 1);
    s->n++;
    return 0;
}

void textset_done(struct textset *s)
{
    buf_free(&s->text);
    free(s->slots);
    memset(s, 0, sizeof *s);
}
