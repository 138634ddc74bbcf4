/* config/origins.c: which file said what, and JSON pointers (RFC 6901). */
#include <stdlib.h>
#include <string.h>

#include "config/engine.h"
#include "util/map.h"

struct config_origins {
    struct arena *arena;
    struct map *by_pointer;
};

struct config_origins *config_origins_new(struct arena *a)
{
    struct config_origins *o = mem_zalloc(sizeof *o);

    o->arena = a;
    o->by_pointer = map_new();
    return o;
}

void config_origins_free(struct config_origins **o)
{
    if (!*o)
        return;
    map_free(&(*o)->by_pointer, NULL);
    free(*o);
    *o = NULL;
}

void config_origins_set(struct config_origins *o, const char *pointer, const char *file,
                        const char *own_pointer)
{
    struct config_origin *origin = arena_alloc(o->arena, sizeof *origin);

    origin->file = arena_strdup(o->arena, file);
    origin->pointer = arena_strdup(o->arena, own_pointer);
    map_set(o->by_pointer, pointer, origin);
}

const struct config_origin *config_origins_get(const struct config_origins *o, const char *pointer)
{
    return map_get(o->by_pointer, pointer);
}

const struct config_origin *config_origins_find(const struct config_origins *o, const char *pointer)
{
    size_t len = strlen(pointer);

    /* The longest part that is known; a pointer is cut at its slashes, which are escaped in
     * keys. */
    while (len) {
        const struct config_origin *known = map_get_n(o->by_pointer, pointer, len);

        if (known) {
            struct config_origin *inside;

            if (!pointer[len])
                return known;
            inside = arena_alloc(o->arena, sizeof *inside);
            inside->file = known->file;
            inside->pointer = arena_printf(o->arena, "%s%s", known->pointer, pointer + len);
            return inside;
        }
        do
            len--;
        while (len && pointer[len] != '/');
    }
    return NULL;
}

size_t config_pointer_push(struct buf *pointer, const char *key)
{
    size_t before = pointer->len;

    buf_addc(pointer, '/');
    for (; *key; key++) {
        if (*key == '~')
            buf_adds(pointer, "~0");
        else if (*key == '/')
            buf_adds(pointer, "~1");
        else
            buf_addc(pointer, *key);
    }
    return before;
}

size_t config_pointer_index(struct buf *pointer, size_t i)
{
    size_t before = pointer->len;

    buf_printf(pointer, "/%zu", i);
    return before;
}

void config_pointer_cut(struct buf *pointer, size_t len)
{
    pointer->len = len;
    if (pointer->data)
        pointer->data[len] = '\0';
}
