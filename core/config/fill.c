/* config/fill.c: a JSON object and an option table make a settings struct.
 *
 * Rows are worked off one by one: the value, or the default through the very same code. What is
 * wrong is said and the default stands in, so that one look finds every error and later checks see
 * sane settings. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/engine.h"
#include "util/cleanup.h"

int config_fill_error(struct fill *f, const char *fmt, ...)
{
    const struct config_origin *origin = NULL;
    char *message AUTO_FREE = NULL, *pointer AUTO_FREE = NULL;
    va_list ap;

    f->bad = 1;
    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        message = NULL;
    va_end(ap);
    if (f->why) {
        if (!*f->why)
            snprintf(f->why, f->why_size, "%s", message ? message : "");
        return -EINVAL;
    }
    pointer = mem_printf("%s%s", f->base->pointer, f->pointer.len ? f->pointer.data : "");
    if (f->origins)
        origin = config_origins_find(f->origins, pointer);
    config_error(f->errors, origin ? origin->file : f->base->file,
                 origin ? origin->pointer : pointer, "%s", message ? message : "");
    return -EINVAL;
}

const char *config_fill_file(struct fill *f)
{
    const struct config_origin *origin = NULL;

    if (f->origins) {
        char *pointer AUTO_FREE =
            mem_printf("%s%s", f->base->pointer, f->pointer.len ? f->pointer.data : "");

        origin = config_origins_find(f->origins, pointer);
    }
    return origin ? origin->file : f->base->file;
}

static int is_one_of(const char *key, const char *const *list)
{
    for (; list && *list; list++) {
        if (!strcmp(key, *list))
            return 1;
    }
    return 0;
}

static int table_has(const struct postern_option *table, size_t step, const char *key)
{
    struct postern_option row;

    for (size_t i = 0; config_row(table, step, i, &row); i++) {
        if (!strcmp(row.key, key))
            return 1;
    }
    return 0;
}

static void check_keys(struct fill *f, const struct postern_option *table, size_t step,
                       json_t *object, const char *const *skip)
{
    const char *key;
    json_t *value;

    json_object_foreach (object, key, value) {
        size_t mark;

        if (config_is_comment(key) || is_one_of(key, skip) || table_has(table, step, key))
            continue;
        mark = config_pointer_push(&f->pointer, key);
        config_fill_unknown(f, table, step, key);
        config_pointer_cut(&f->pointer, mark);
    }
}

/* What an absent row becomes. Required keys inside an object that was not written are not missed:
 * it is the object that is optional. */
static void fill_default(struct fill *f, const struct postern_option *row, size_t step,
                         unsigned depth, void *member)
{
    json_t *value;

    if (row->type == POSTERN_OPT_OBJECT) {
        if (depth < CONFIG_TABLE_DEPTH_MAX)
            config_fill_object(f, row->sub, step, NULL, NULL, 0, depth + 1, member);
        return;
    }
    value = config_default_json(row);
    if (!value)
        return;
    config_fill_value(f, row, step, value, depth, member);
    json_decref(value);
}

int config_fill_object(struct fill *f, const struct postern_option *table, size_t step,
                       json_t *object, const char *const *skip, int required, unsigned depth,
                       void *settings)
{
    struct postern_option row;
    int r = 0;

    if (object && !f->loose)
        check_keys(f, table, step, object, skip);
    for (size_t i = 0; config_row(table, step, i, &row); i++) {
        void *member = (char *)settings + row.offset;
        json_t *value = json_object_get(object, row.key);
        size_t mark;

        if (!value && required && (row.flags & POSTERN_OPT_REQUIRED))
            config_fill_error(f, "the required key \"%s\" is missing", row.key);
        mark = config_pointer_push(&f->pointer, row.key);
        if (!value || config_fill_value(f, &row, step, value, depth, member) < 0) {
            fill_default(f, &row, step, depth, member);
            if (required && (row.flags & POSTERN_OPT_REQUIRED))
                r = -EINVAL;
        }
        config_pointer_cut(&f->pointer, mark);
    }
    return r;
}

int config_fill_hinted(struct arena *a, const struct postern_option *table, size_t step,
                       json_t *object, const struct config_origin *origin, const char *const *skip,
                       const struct config_hint *hints, void *settings,
                       struct config_errors *errors)
{
    struct fill f = { .arena = a, .errors = errors, .base = origin, .hints = hints };

    config_fill_object(&f, table, step, object, skip, 1, 0, settings);
    buf_free(&f.pointer);
    return f.bad ? -EINVAL : 0;
}

int config_fill(struct arena *a, const struct postern_option *table, size_t step, json_t *object,
                const struct config_origin *origin, const char *const *skip, void *settings,
                struct config_errors *errors)
{
    return config_fill_hinted(a, table, step, object, origin, skip, NULL, settings, errors);
}
