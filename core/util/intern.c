/* util/intern.c: see intern.h. The count stands in front of the text that is handed out. */
#include "util/intern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/list.h"
#include "util/map.h"
#include "util/mem.h"

struct interned {
    uint64_t refs;
    char text[];
};

struct intern {
    struct map *texts; /* text to struct interned */
};

struct intern *intern_new(void)
{
    struct intern *t = mem_zalloc(sizeof *t);

    t->texts = map_new();
    return t;
}

void intern_free(struct intern **t)
{
    if (!*t)
        return;
    map_free(&(*t)->texts, free);
    free(*t);
    *t = NULL;
}

const char *intern_ref(struct intern *t, const char *text)
{
    struct interned *i;

    if (!text)
        return NULL;
    i = map_get(t->texts, text);
    if (!i) {
        size_t len = strlen(text) + 1;

        i = mem_alloc(sizeof *i + len);
        i->refs = 0;
        memcpy(i->text, text, len);
        map_set(t->texts, text, i);
    }
    i->refs++;
    return i->text;
}

void intern_unref(struct intern *t, const char **text)
{
    struct interned *i;

    if (!*text)
        return;
    i = (struct interned *)(uintptr_t)(*text - offsetof(struct interned, text));
    *text = NULL;
    if (--i->refs)
        return;
    map_del(t->texts, i->text);
    free(i);
}
