/* config/vet.c: is an option table sound? Asked of every plugin before its code runs, and of our
 * own tables by the tests. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/engine.h"

struct vet {
    size_t step;
    char *why;
    size_t why_size;
};

static int refuse(struct vet *v, const struct postern_option *row, const char *what)
{
    snprintf(v->why, v->why_size, "option \"%s\": %s", row->key, what);
    return -EINVAL;
}

static size_t member_size(const struct postern_option *row)
{
    switch (row->type) {
    case POSTERN_OPT_STRING:
    case POSTERN_OPT_PATH:
    case POSTERN_OPT_SECRET:
        return sizeof(const char *);
    case POSTERN_OPT_STRINGS:
    case POSTERN_OPT_LISTEN:
        return sizeof(struct postern_strings);
    case POSTERN_OPT_OBJECTS:
        return sizeof(struct postern_objects);
    case POSTERN_OPT_OBJECT:
        return row->sub_size;
    default:
        return sizeof(int64_t);
    }
}

static int key_valid(const char *key)
{
    size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_-");

    return n && n <= CONFIG_KEY_MAX && !key[n];
}

/* Such a promise about something that is no path would be kept by nobody. */
static int vet_flags(struct vet *v, const struct postern_option *row)
{
    const uint32_t places = POSTERN_OPT_WRITES | POSTERN_OPT_WRITES_FILE | POSTERN_OPT_READS;

    if (!(row->flags & places) || row->type == POSTERN_OPT_PATH ||
        row->type == POSTERN_OPT_STRING || row->type == POSTERN_OPT_STRINGS)
        return 0;
    return refuse(v, row, "only a path or a text can be what is written or read");
}

static int vet_place(struct vet *v, const struct postern_option *row, size_t settings_size)
{
    if (row->offset % sizeof(int64_t))
        return refuse(v, row, "its place in the settings is not aligned");
    if (row->offset > settings_size || settings_size - row->offset < member_size(row))
        return refuse(v, row, "its place is outside the settings");
    return 0;
}

static int vet_choices(struct vet *v, const struct postern_option *row)
{
    size_t n;

    if (row->type != POSTERN_OPT_CHOICE)
        return row->choices ? refuse(v, row, "choices belong to a choice only") : 0;
    if (!row->choices)
        return refuse(v, row, "a choice without choices");
    for (const char *p = row->choices;; p += n + 1) {
        n = strcspn(p, "|");
        if (!n)
            return refuse(v, row, "an empty choice");
        if (!p[n])
            return 0;
    }
}

/* The default goes the way of any value, into a member of its own. */
static int vet_default(struct vet *v, const struct postern_option *row)
{
    const struct config_origin nowhere = { "", "" };
    char why[256] = "";
    struct fill f = { .base = &nowhere, .why = why, .why_size = sizeof why };
    union {
        const char *text;
        int64_t number;
        struct postern_strings strings;
        struct postern_objects objects;
    } member;
    json_t *value = config_default_json(row);

    if (!value)
        return 0;
    if (row->flags & POSTERN_OPT_REQUIRED) {
        json_decref(value);
        return refuse(v, row, "required, and yet it has a default");
    }
    f.arena = arena_new();
    config_fill_value(&f, row, v->step, value, 0, &member);
    arena_free(&f.arena);
    buf_free(&f.pointer);
    json_decref(value);
    if (!f.bad)
        return 0;
    snprintf(v->why, v->why_size, "option \"%s\": its default is wrong: %s", row->key, why);
    return -EINVAL;
}

static int vet_table(struct vet *v, const struct postern_option *table, size_t settings_size,
                     unsigned depth);

static int vet_sub(struct vet *v, const struct postern_option *row, unsigned depth)
{
    int nests = row->type == POSTERN_OPT_OBJECT || row->type == POSTERN_OPT_OBJECTS;

    if (!nests)
        return row->sub ? refuse(v, row, "a table inside something that is no object") : 0;
    if (!row->sub)
        return refuse(v, row, "an object without a table of its own");
    if (!row->sub_size || row->sub_size % sizeof(int64_t))
        return refuse(v, row, "the size of its struct is missing or odd");
    if (row->dflt)
        return refuse(v, row, "an object takes its defaults from its own table");
    return vet_table(v, row->sub, row->sub_size, depth + 1);
}

static int vet_row(struct vet *v, const struct postern_option *row, size_t settings_size,
                   unsigned depth)
{
    int r;

    if (!key_valid(row->key)) {
        snprintf(v->why, v->why_size,
                 "option \"%.*s\": a key is lower case letters, digits, '_' and '-', at most %u",
                 (int)CONFIG_KEY_MAX, row->key, CONFIG_KEY_MAX);
        return -EINVAL;
    }
    if (!config_type_name(row->type)) {
        snprintf(v->why, v->why_size, "option \"%s\": type %u, which this postern does not know",
                 row->key, row->type);
        return -EINVAL;
    }
    if (!row->doc || !*row->doc)
        return refuse(v, row, "no sentence for operators (doc)");
    if (row->min > row->max)
        return refuse(v, row, "its least value is larger than its largest");
    r = vet_place(v, row, settings_size);
    if (!r)
        r = vet_flags(v, row);
    if (!r)
        r = vet_choices(v, row);
    if (!r)
        r = vet_sub(v, row, depth);
    return r ? r : vet_default(v, row);
}

static int vet_table(struct vet *v, const struct postern_option *table, size_t settings_size,
                     unsigned depth)
{
    struct postern_option row, other;
    size_t n = 0;

    if (depth > CONFIG_TABLE_DEPTH_MAX) {
        snprintf(v->why, v->why_size, "option tables are nested more than %u deep",
                 CONFIG_TABLE_DEPTH_MAX);
        return -EINVAL;
    }
    for (; config_row(table, v->step, n, &row); n++) {
        int r = vet_row(v, &row, settings_size, depth);

        if (r < 0)
            return r;
        for (size_t i = 0; i < n && config_row(table, v->step, i, &other); i++) {
            if (!strcmp(row.key, other.key))
                return refuse(v, &row, "there are two of that key");
        }
    }
    if (n < CONFIG_TABLE_ROWS_MAX)
        return 0;
    snprintf(v->why, v->why_size, "an option table has no end, or more than %u rows",
             CONFIG_TABLE_ROWS_MAX - 1);
    return -EINVAL;
}

int config_table_vet(const struct postern_option *table, size_t step, size_t settings_size,
                     char *why, size_t why_size)
{
    struct vet v = { step, why, why_size };

    /* Rows as of ABI minor 0 are the least there is; pointers in them keep their alignment. */
    if (step < sizeof(struct postern_option) || step > CONFIG_STEP_MAX || step % sizeof(void *)) {
        snprintf(why, why_size,
                 "a row of its option table is %zu bytes long, expected at least %zu", step,
                 sizeof(struct postern_option));
        return -EINVAL;
    }
    return vet_table(&v, table, settings_size, 0);
}
