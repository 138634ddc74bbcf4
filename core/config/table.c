/* config/table.c: rows of option tables, and what can be said of one row. */
#include "config/table.h"

#include <stdio.h>
#include <string.h>

#include "config/engine.h"
#include "util/text.h"

int config_row(const struct postern_option *table, size_t step, size_t i,
               struct postern_option *ret)
{
    const char *row, *key;

    if (!table || i >= CONFIG_TABLE_ROWS_MAX)
        return 0;
    row = (const char *)table + i * step;
    /* The row that ends a table needs to be no longer than its key. */
    memcpy(&key, row + offsetof(struct postern_option, key), sizeof key);
    if (!key)
        return 0;
    memset(ret, 0, sizeof *ret);
    memcpy(ret, row, step < sizeof *ret ? step : sizeof *ret);
    return 1;
}

const char *config_type_name(uint32_t type)
{
    static const char *const names[] = {
        [POSTERN_OPT_STRING] = "text",
        [POSTERN_OPT_INT] = "number",
        [POSTERN_OPT_BOOL] = "true or false",
        [POSTERN_OPT_DURATION] = "duration",
        [POSTERN_OPT_SIZE] = "size",
        [POSTERN_OPT_CHOICE] = "choice",
        [POSTERN_OPT_STRINGS] = "list of texts",
        [POSTERN_OPT_LISTEN] = "list of endpoints",
        [POSTERN_OPT_PATH] = "path",
        [POSTERN_OPT_SECRET] = "secret",
        [POSTERN_OPT_OBJECT] = "object",
        [POSTERN_OPT_OBJECTS] = "list of objects",
    };

    return type < sizeof names / sizeof *names ? names[type] : NULL;
}

static int is_list(uint32_t type)
{
    return type == POSTERN_OPT_STRINGS || type == POSTERN_OPT_LISTEN || type == POSTERN_OPT_OBJECTS;
}

/* A bound as the operator would write it. */
static void bound(uint32_t type, int64_t v, char *buf, size_t size)
{
    if (type == POSTERN_OPT_DURATION && v >= 0)
        text_duration(v, buf, size);
    else if (type == POSTERN_OPT_SIZE && v >= 0)
        text_size(v, buf, size);
    else
        snprintf(buf, size, "%lld", (long long)v);
}

char *config_range(const struct postern_option *row, char *buf, size_t size)
{
    const char *unit = is_list(row->type) ? " items" : "";
    char min[32], max[32];

    *buf = '\0';
    if (row->min == row->max)
        return buf;
    bound(row->type, row->min, min, sizeof min);
    bound(row->type, row->max, max, sizeof max);
    if (row->max == INT64_MAX)
        snprintf(buf, size, "at least %s%s", min, unit);
    else if (row->min == INT64_MIN)
        snprintf(buf, size, "at most %s%s", max, unit);
    else
        snprintf(buf, size, "%s to %s%s", min, max, unit);
    return buf;
}

static json_t *bound_json(uint32_t type, int64_t v)
{
    char text[32];

    if (type != POSTERN_OPT_DURATION)
        return json_integer(v);
    bound(type, v, text, sizeof text);
    return json_string(text);
}

static json_t *choices_json(const char *p)
{
    json_t *list = json_array();

    while (p) {
        size_t n = strcspn(p, "|");

        json_array_append_new(list, json_stringn(p, n));
        p = p[n] ? p + n + 1 : NULL;
    }
    return list;
}

static json_t *table_json(const struct postern_option *table, size_t step, unsigned depth);

static json_t *row_json(const struct postern_option *row, size_t step, unsigned depth)
{
    const char *type = config_type_name(row->type);
    json_t *r = json_object();

    json_object_set_new(r, "key", json_string(row->key));
    json_object_set_new(r, "type", json_string(type ? type : "unknown"));
    json_object_set_new(r, "required", json_boolean(row->flags & POSTERN_OPT_REQUIRED));
    if (row->flags & (POSTERN_OPT_WRITES | POSTERN_OPT_WRITES_FILE))
        json_object_set_new(r, "writes", json_true());
    if (row->dflt)
        json_object_set_new(r, "default", config_default_json(row));
    if (row->min != row->max && row->min != INT64_MIN)
        json_object_set_new(r, "min", bound_json(row->type, row->min));
    if (row->min != row->max && row->max != INT64_MAX)
        json_object_set_new(r, "max", bound_json(row->type, row->max));
    if (row->choices)
        json_object_set_new(r, "choices", choices_json(row->choices));
    if (row->sub && depth < CONFIG_TABLE_DEPTH_MAX)
        json_object_set_new(r, "options", table_json(row->sub, step, depth + 1));
    if (row->doc)
        json_object_set_new(r, "doc", json_string(row->doc));
    return r;
}

static json_t *table_json(const struct postern_option *table, size_t step, unsigned depth)
{
    json_t *list = json_array();
    struct postern_option row;

    for (size_t i = 0; config_row(table, step, i, &row); i++)
        json_array_append_new(list, row_json(&row, step, depth));
    return list;
}

json_t *config_table_json(const struct postern_option *table, size_t step)
{
    return table_json(table, step, 0);
}

json_t *config_text_json(const char *text)
{
    struct buf quoted = { 0 };
    json_t *r;

    text_json(&quoted, text, strlen(text));
    r = json_loads(quoted.data, JSON_DECODE_ANY, NULL);
    buf_free(&quoted);
    return r;
}
