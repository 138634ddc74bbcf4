/* config/value.c: one JSON value into one member, by the row's type. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/engine.h"
#include "util/text.h"

char *config_found(const json_t *value, char *buf, size_t size)
{
    struct buf quoted = { 0 };

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        snprintf(buf, size, "an object");
        break;
    case JSON_ARRAY:
        snprintf(buf, size, "an array");
        break;
    case JSON_STRING: {
        const char *text = json_string_value(value);
        size_t len = json_string_length(value), shown = len;

        if (shown > CONFIG_FOUND_MAX) /* not in the middle of a UTF-8 character */
            for (shown = CONFIG_FOUND_MAX; (text[shown] & 0xc0) == 0x80;)
                shown--;
        text_json(&quoted, text, shown);
        snprintf(buf, size, "%.*s%s", (int)(size - 8), quoted.data, shown < len ? "..." : "");
        buf_free(&quoted);
        break;
    }
    case JSON_INTEGER:
        snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        snprintf(buf, size, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
        snprintf(buf, size, "true");
        break;
    case JSON_FALSE:
        snprintf(buf, size, "false");
        break;
    case JSON_NULL:
        snprintf(buf, size, "null");
        break;
    }
    return buf;
}

static int expected(struct fill *f, const json_t *value, const char *what)
{
    char found[128];

    return config_fill_error(f, "found %s, expected %s", config_found(value, found, sizeof found),
                             what);
}

static int in_range(const struct postern_option *row, int64_t v)
{
    return row->min == row->max || (v >= row->min && v <= row->max);
}

static int fill_int(struct fill *f, const struct postern_option *row, json_t *value,
                    int64_t *member)
{
    char range[80], what[128];

    if (!json_is_integer(value)) {
        config_range(row, range, sizeof range);
        snprintf(what, sizeof what, "a whole number%s%s", *range ? ", " : "", range);
        return expected(f, value, what);
    }
    if (!in_range(row, json_integer_value(value)))
        return expected(f, value, config_range(row, range, sizeof range));
    *member = json_integer_value(value);
    return 0;
}

static int fill_bool(struct fill *f, json_t *value, int64_t *member)
{
    if (!json_is_boolean(value))
        return expected(f, value, "true or false");
    *member = json_is_true(value);
    return 0;
}

static int fill_duration(struct fill *f, const struct postern_option *row, json_t *value,
                         int64_t *member)
{
    char range[80];
    int64_t usec;

    if (json_is_integer(value))
        return config_fill_error(f,
                                 "found %" JSON_INTEGER_FORMAT
                                 " without a unit, expected a duration "
                                 "like \"30s\", \"5m\", \"1h30m\" or \"3d\"",
                                 json_integer_value(value));
    if (!json_is_string(value) || text_duration_parse(json_string_value(value), &usec) < 0)
        return expected(f, value, "a duration like \"30s\", \"5m\", \"1h30m\" or \"3d\"");
    if (!in_range(row, usec))
        return expected(f, value, config_range(row, range, sizeof range));
    *member = usec;
    return 0;
}

static int fill_size(struct fill *f, const struct postern_option *row, json_t *value,
                     int64_t *member)
{
    char range[80];
    int64_t bytes;

    if (json_is_integer(value) && json_integer_value(value) >= 0)
        bytes = json_integer_value(value);
    else if (!json_is_string(value) || text_size_parse(json_string_value(value), &bytes) < 0)
        return expected(f, value, "a size like \"64K\", \"25M\" or \"2G\", or a number of bytes");
    if (!in_range(row, bytes))
        return expected(f, value, config_range(row, range, sizeof range));
    *member = bytes;
    return 0;
}

static int fill_choice(struct fill *f, const struct postern_option *row, json_t *value,
                       int64_t *member)
{
    const char *text = json_string_value(value), *p = row->choices;
    size_t len = text ? strlen(text) : 0;
    struct buf list = { 0 };

    for (int64_t index = 0; p; index++) {
        size_t n = strcspn(p, "|");

        if (text && n == len && !memcmp(p, text, n)) {
            buf_free(&list);
            *member = index;
            return 0;
        }
        buf_printf(&list, "%s\"%.*s\"", !list.len ? "" : p[n] ? ", " : " or ", (int)n, p);
        p = p[n] ? p + n + 1 : NULL;
    }
    expected(f, value, list.len ? list.data : "nothing");
    buf_free(&list);
    return -EINVAL;
}

/* Line ends in a value would become line ends in headers, replies and logs. */
static int text_ok(struct fill *f, json_t *value, const char *what)
{
    size_t len = json_string_length(value);

    if (!json_is_string(value))
        return expected(f, value, what);
    if (len > CONFIG_STRING_MAX)
        return config_fill_error(f, "found %zu bytes of text, expected at most %u", len,
                                 CONFIG_STRING_MAX);
    for (const char *p = json_string_value(value); *p; p++) {
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
            return config_fill_error(f, "found a control character (code %u), expected plain text",
                                     (unsigned)*p);
    }
    return 0;
}

static int fill_string(struct fill *f, json_t *value, const char **member)
{
    int r = text_ok(f, value, "text in quotes");

    if (!r)
        *member = arena_strdup(f->arena, json_string_value(value));
    return r;
}

const char *config_path_from(struct arena *a, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    char *cwd, *r;

    if (*path == '/')
        return arena_strdup(a, path);
    if (*file == '/')
        return arena_printf(a, "%.*s/%s", (int)(slash - file), file, path);
    cwd = getcwd(NULL, 0);
    if (slash)
        r = arena_printf(a, "%s/%.*s/%s", cwd ? cwd : "", (int)(slash - file), file, path);
    else
        r = arena_printf(a, "%s/%s", cwd ? cwd : "", path);
    free(cwd);
    return r;
}

static int fill_path(struct fill *f, json_t *value, const char **member)
{
    int r = text_ok(f, value, "a path in quotes");

    if (r < 0)
        return r;
    if (!json_string_length(value))
        return expected(f, value, "a path");
    *member = config_path_from(f->arena, config_fill_file(f), json_string_value(value));
    return 0;
}

static int check_item(struct fill *f, const struct postern_option *row, json_t *item)
{
    const char *why;
    char found[128];
    int r = text_ok(f, item, "text in quotes");

    if (r < 0 || row->type != POSTERN_OPT_LISTEN)
        return r;
    if (config_listen_check(json_string_value(item), &why) < 0)
        return config_fill_error(f,
                                 "found %s, expected \"address:port\", \"[v6]:port\" or "
                                 "\"unix:/path\": %s",
                                 config_found(item, found, sizeof found), why);
    return 0;
}

/* A list is held to the row's bounds, and in any case to ours. */
static int check_count(struct fill *f, const struct postern_option *row, size_t n)
{
    char range[80];

    if (n > CONFIG_ITEMS_MAX)
        return config_fill_error(f, "found %zu items, expected at most %u", n, CONFIG_ITEMS_MAX);
    if (!in_range(row, (int64_t)n))
        return config_fill_error(f, "found %zu item%s, expected %s", n, n == 1 ? "" : "s",
                                 config_range(row, range, sizeof range));
    return 0;
}

static int fill_strings(struct fill *f, const struct postern_option *row, json_t *value,
                        struct postern_strings *member)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    const char **v;
    int r = 0;

    if (!json_is_array(value) && !json_is_string(value))
        return expected(f, value, "a list of texts, or one text");
    if (check_count(f, row, n) < 0)
        return -EINVAL;
    v = arena_alloc(f->arena, n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        size_t mark = f->pointer.len;

        if (json_is_array(value))
            config_pointer_index(&f->pointer, i);
        if (check_item(f, row, item) < 0)
            r = -EINVAL;
        else
            v[i] = arena_strdup(f->arena, json_string_value(item));
        config_pointer_cut(&f->pointer, mark);
    }
    if (!r)
        *member = (struct postern_strings){ n, v };
    return r;
}

static int fill_sub(struct fill *f, const struct postern_option *row, size_t step, json_t *value,
                    unsigned depth, void *member)
{
    if (!json_is_object(value))
        return expected(f, value, "an object");
    if (depth >= CONFIG_TABLE_DEPTH_MAX)
        return config_fill_error(f, "nested too deeply");
    return config_fill_object(f, row->sub, step, value, NULL, 1, depth + 1, member);
}

static int fill_objects(struct fill *f, const struct postern_option *row, size_t step,
                        json_t *value, unsigned depth, struct postern_objects *member)
{
    size_t n = json_array_size(value), bytes;
    char *v;
    int r = 0;

    if (!json_is_array(value))
        return expected(f, value, "a list of objects");
    if (check_count(f, row, n) < 0)
        return -EINVAL;
    if (__builtin_mul_overflow(n, row->sub_size, &bytes))
        return config_fill_error(f, "found %zu items, which is too many", n);
    v = arena_alloc(f->arena, bytes);
    for (size_t i = 0; i < n; i++) {
        size_t mark = config_pointer_index(&f->pointer, i);

        if (fill_sub(f, row, step, json_array_get(value, i), depth, v + i * row->sub_size) < 0)
            r = -EINVAL;
        config_pointer_cut(&f->pointer, mark);
    }
    /* Whoever reads it, if only to look for more errors, may rely on what is required. */
    if (!r)
        *member = (struct postern_objects){ n, v };
    return r;
}

int config_fill_value(struct fill *f, const struct postern_option *row, size_t step, json_t *value,
                      unsigned depth, void *member)
{
    switch (row->type) {
    case POSTERN_OPT_STRING:
        return fill_string(f, value, member);
    case POSTERN_OPT_INT:
        return fill_int(f, row, value, member);
    case POSTERN_OPT_BOOL:
        return fill_bool(f, value, member);
    case POSTERN_OPT_DURATION:
        return fill_duration(f, row, value, member);
    case POSTERN_OPT_SIZE:
        return fill_size(f, row, value, member);
    case POSTERN_OPT_CHOICE:
        return fill_choice(f, row, value, member);
    case POSTERN_OPT_STRINGS:
    case POSTERN_OPT_LISTEN:
        return fill_strings(f, row, value, member);
    case POSTERN_OPT_PATH:
        return fill_path(f, value, member);
    case POSTERN_OPT_SECRET:
        return config_fill_secret(f, value, member);
    case POSTERN_OPT_OBJECT:
        /* What is wrong inside is replaced there, member by member. */
        return fill_sub(f, row, step, value, depth, member) < 0 && !json_is_object(value) ? -EINVAL
                                                                                          : 0;
    case POSTERN_OPT_OBJECTS:
        return fill_objects(f, row, step, value, depth, member);
    default:
        return config_fill_error(f, "this option is of a type (%u) that this postern does not know",
                                 row->type);
    }
}
