/* config/hint.c: what an unknown key was probably meant to be, or where. */
#include <errno.h>
#include <string.h>

#include "config/engine.h"
#include "util/text.h"

#define LISTED_MAX 12u /* keys named outright when there is nothing better to say */

int config_nearer(const char *written, const char *candidate, size_t *best)
{
    size_t len = strlen(written), distance = text_distance(written, candidate);
    size_t limit = len / 3 > 2 ? len / 3 : 2;

    /* Two edits turn any two letters into any others: that is not near. */
    if (distance > limit || distance >= len || distance >= strlen(candidate) || distance >= *best)
        return 0;
    *best = distance;
    return 1;
}

static int has_key(const struct postern_option *table, size_t step, const char *key)
{
    struct postern_option row;

    for (size_t i = 0; config_row(table, step, i, &row); i++) {
        if (!strcmp(row.key, key))
            return 1;
    }
    return 0;
}

static int find_in(const struct postern_option *table, size_t step, const char *key,
                   const struct postern_option *own, unsigned depth, struct buf *pointer)
{
    struct postern_option row;

    if (!table || depth > CONFIG_TABLE_DEPTH_MAX)
        return 0;
    if (table != own && has_key(table, step, key))
        return 1;
    for (size_t i = 0; config_row(table, step, i, &row); i++) {
        size_t mark;

        if (!row.sub)
            continue;
        mark = config_pointer_push(pointer, row.key);
        if (find_in(row.sub, step, key, own, depth + 1, pointer))
            return 1;
        config_pointer_cut(pointer, mark);
    }
    return 0;
}

int config_belongs(const char *key, const struct postern_option *own,
                   const struct config_hint *hints, struct buf *ret_pointer)
{
    /* A section's own key is likelier meant than one deep inside of another section. */
    for (const struct config_section *s = config_sections; s->name; s++) {
        buf_clear(ret_pointer);
        buf_printf(ret_pointer, "/%s", s->name);
        if (s->table != own && has_key(s->table, sizeof *s->table, key))
            return 0;
    }
    for (const struct config_section *s = config_sections; s->name; s++) {
        buf_clear(ret_pointer);
        buf_printf(ret_pointer, "/%s", s->name);
        if (find_in(s->table, sizeof *s->table, key, own, 0, ret_pointer))
            return 0;
    }
    for (; hints && hints->pointer; hints++) {
        buf_clear(ret_pointer);
        buf_adds(ret_pointer, hints->pointer);
        if (find_in(hints->table, hints->step, key, own, 0, ret_pointer))
            return 0;
    }
    return -ENOENT;
}

static void list_keys(const struct postern_option *table, size_t step, struct buf *out)
{
    struct postern_option row;
    size_t n = 0;

    while (config_row(table, step, n, &row))
        n++;
    if (!n)
        buf_adds(out, "; nothing can be set here");
    for (size_t i = 0; n <= LISTED_MAX && config_row(table, step, i, &row); i++)
        buf_printf(out, "%s%s", i ? ", " : "; known here: ", row.key);
}

/* Keys that were in one place, and are in another under another name. */
static const char *moved(const char *key)
{
    static const struct {
        const char *key, *to;
    } keys[] = { { "domain_files", "/routing/local_domains_files" } };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!strcmp(keys[i].key, key))
            return keys[i].to;
    }
    return NULL;
}

void config_fill_unknown(struct fill *f, const struct postern_option *table, size_t step,
                         const char *key)
{
    struct buf pointer = { 0 }, keys = { 0 };
    struct postern_option row;
    const char *near = NULL;
    size_t best = SIZE_MAX;

    if (f->errors && f->errors->n > CONFIG_ERRORS_MAX) { /* nobody will see it: save the search */
        f->bad = 1;
        return;
    }
    for (size_t i = 0; config_row(table, step, i, &row); i++) {
        if (config_nearer(key, row.key, &best))
            near = row.key;
    }
    /* One slip of the finger is likelier than a key written in the wrong place. */
    if (near && best <= 1) {
        config_fill_error(f, "unknown key; did you mean \"%s\"?", near);
    } else if (moved(key)) {
        config_fill_error(f, "unknown key; use %s", moved(key));
    } else if (!config_belongs(key, table, f->hints, &pointer)) {
        config_fill_error(f, "unknown key; \"%s\" belongs in %s", key, pointer.data);
    } else if (near) {
        config_fill_error(f, "unknown key; did you mean \"%s\"?", near);
    } else {
        list_keys(table, step, &keys);
        config_fill_error(f, "unknown key%s", keys.len ? keys.data : "");
    }
    buf_free(&pointer);
    buf_free(&keys);
}
