/* config/schema.c: see schema.h.
 *
 * What a table can't say, a schema can't either: what options mean together, and how long a
 * duration is, is left to `postern check`. A schema never refuses what the loader takes; since a
 * section may be spread over several files, no section has to be complete in one. */
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

#include "config/engine.h"
#include "config/load.h"
#include "config/sections.h"

#define DRAFT            "http://json-schema.org/draft-07/schema#"
#define COMMENT_KEYS     "^\\$comment"
#define NAME_PATTERN     "^[a-z0-9-]{1,64}$"
/* As text_duration_parse, text_size_parse and config_listen_check take them. */
#define DURATION_PATTERN "^([0-9]+(us|ms|s|m|h|d|w))+$"
#define SIZE_PATTERN     "^[0-9]+([KkMmGgTt]([Ii]?[Bb])?|[Bb])?$"
#define LISTEN_PATTERN   "^(unix:/.*|[0-9.]+:[0-9]+|\\[[0-9A-Fa-f:.]+\\]:[0-9]+)$"
#define CLOCK_PATTERN    "(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)"
#define HOURS_PATTERN    "^" CLOCK_PATTERN "-" CLOCK_PATTERN "$"
#define TEXT_PATTERN     "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$" /* no control characters */

static json_t *typed(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static json_t *matching(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *reference(const char *kind, const char *name)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/definitions/%s%s", kind, name));
}

static json_t *either(json_t *a, json_t *b)
{
    return json_pack("{s:[o, o]}", "anyOf", a, b);
}

/* An object of these properties and of comments, and of nothing else. */
static json_t *closed(json_t *properties)
{
    return json_pack("{s:s, s:o, s:{s:{}}, s:b}", "type", "object", "properties", properties,
                     "patternProperties", COMMENT_KEYS, "additionalProperties", 0);
}

static void set_bounds(json_t *schema, const struct postern_option *row, const char *min,
                       const char *max)
{
    if (row->min == row->max)
        return;
    if (row->min != INT64_MIN)
        json_object_set_new(schema, min, json_integer(row->min));
    if (row->max != INT64_MAX)
        json_object_set_new(schema, max, json_integer(row->max));
}

static json_t *integer(const struct postern_option *row)
{
    json_t *schema = typed("integer");

    set_bounds(schema, row, "minimum", "maximum");
    return schema;
}

static json_t *size(const struct postern_option *row)
{
    json_t *number = integer(row);

    if (!json_object_get(number, "minimum"))
        json_object_set_new(number, "minimum", json_integer(0));
    return either(matching(SIZE_PATTERN), number);
}

static json_t *choice(const char *p)
{
    json_t *list = json_array();

    while (p) {
        size_t n = strcspn(p, "|");

        json_array_append_new(list, json_stringn(p, n));
        p = p[n] ? p + n + 1 : NULL;
    }
    return json_pack("{s:o}", "enum", list);
}

static json_t *array_of(const struct postern_option *row, json_t *item)
{
    json_t *schema = json_pack("{s:s, s:o}", "type", "array", "items", item);

    set_bounds(schema, row, "minItems", "maxItems");
    return schema;
}

/* A list, or its only item: which is not enough where two are asked for. */
static json_t *strings(const struct postern_option *row, const char *pattern)
{
    json_t *list = array_of(row, matching(pattern));

    if (row->min != row->max && row->min > 1)
        return list;
    return either(matching(pattern), list);
}

static json_t *secret_in(const char *key)
{
    json_t *schema = closed(json_pack("{s:{s:s, s:i}}", key, "type", "string", "minLength", 1));

    json_object_set_new(schema, "required", json_pack("[s]", key));
    return schema;
}

static json_t *secret(void)
{
    return json_pack("{s:[o, o, o]}", "anyOf", typed("string"), secret_in("file"),
                     secret_in("env"));
}

static json_t *table_schema(const struct postern_option *table, size_t step, int required,
                            unsigned depth);

static json_t *nested(const struct postern_option *row, size_t step, unsigned depth)
{
    return depth < CONFIG_TABLE_DEPTH_MAX ? table_schema(row->sub, step, 1, depth + 1)
                                          : typed("object");
}

static const char *pattern_of(const struct postern_option *row)
{
    if (row->flags & CONFIG_OPT_DURATIONS)
        return DURATION_PATTERN;
    return row->flags & CONFIG_OPT_HOURS ? HOURS_PATTERN : TEXT_PATTERN;
}

static json_t *value_schema(const struct postern_option *row, size_t step, unsigned depth)
{
    json_t *schema;

    switch (row->type) {
    case POSTERN_OPT_STRING:
        return matching(TEXT_PATTERN);
    case POSTERN_OPT_INT:
        return integer(row);
    case POSTERN_OPT_BOOL:
        return typed("boolean");
    case POSTERN_OPT_DURATION:
        return matching(DURATION_PATTERN);
    case POSTERN_OPT_SIZE:
        return size(row);
    case POSTERN_OPT_CHOICE:
        return choice(row->choices);
    case POSTERN_OPT_STRINGS:
        return strings(row, pattern_of(row));
    case POSTERN_OPT_LISTEN:
        return strings(row, LISTEN_PATTERN);
    case POSTERN_OPT_PATH:
        schema = matching(TEXT_PATTERN);
        json_object_set_new(schema, "minLength", json_integer(1));
        return schema;
    case POSTERN_OPT_SECRET:
        return secret();
    case POSTERN_OPT_OBJECT:
        return nested(row, step, depth);
    case POSTERN_OPT_OBJECTS:
        return array_of(row, nested(row, step, depth));
    default:
        return json_object(); /* of a type that we do not know anything goes */
    }
}

/* What an editor shows beside the pointer: type, range and default; and the sentence. */
static json_t *row_schema(const struct postern_option *row, size_t step, unsigned depth)
{
    json_t *schema = value_schema(row, step, depth), *dflt = config_default_json(row);
    struct buf title = { 0 };

    config_row_facts(row, &title);
    json_object_set_new(schema, "title", config_text_json(title.data));
    buf_free(&title);
    if (row->doc)
        json_object_set_new(schema, "description", config_text_json(row->doc));
    if (dflt)
        json_object_set_new(schema, "default", dflt);
    return schema;
}

/* What an action looks like that was said; a BOOL counts when it is true. */
static json_t *action_schema(const struct postern_option *row)
{
    json_t *schema = json_pack("{s:[s]}", "required", row->key);

    if (row->type == POSTERN_OPT_BOOL)
        json_object_set_new(schema, "properties", json_pack("{s:{s:b}}", row->key, "const", 1));
    return schema;
}

/* required: are REQUIRED rows asked for? */
static json_t *table_schema(const struct postern_option *table, size_t step, int required,
                            unsigned depth)
{
    json_t *properties = json_object(), *needed = json_array(), *actions = json_array(), *schema;
    struct postern_option row;

    for (size_t i = 0; config_row(table, step, i, &row); i++) {
        json_object_set_new(properties, row.key, row_schema(&row, step, depth));
        if (required && (row.flags & POSTERN_OPT_REQUIRED))
            json_array_append_new(needed, json_string(row.key));
        if (row.flags & CONFIG_OPT_ACTION)
            json_array_append_new(actions, action_schema(&row));
    }
    schema = closed(properties);
    if (json_array_size(needed))
        json_object_set(schema, "required", needed);
    if (json_array_size(actions))
        json_object_set(schema, "oneOf", actions);
    json_decref(needed);
    json_decref(actions);
    return schema;
}

/* --- plugins --- */

static int stands_in(const struct config_schema_plugin *p, enum config_kind kind)
{
    const int where[] = { [CONFIG_INGRESS] = p->ingress,
                          [CONFIG_TRANSPORT] = p->transport,
                          [CONFIG_DIRECTORY] = p->directory };

    return where[kind];
}

/* An instance of one plugin: its own keys, and those that every instance has. */
static json_t *plugin_schema(const struct config_schema_plugin *p)
{
    json_t *schema = table_schema(p->table, p->step, 1, 0);
    json_t *properties = json_object_get(schema, "properties");
    struct postern_option row;

    for (size_t i = 0; config_row(config_instance_table, sizeof row, i, &row); i++)
        json_object_set_new(properties, row.key, row_schema(&row, sizeof row, 0));
    json_object_set_new(schema, "title", config_text_json(p->name));
    json_object_set_new(schema, "description", config_text_json(p->summary));
    return schema;
}

/* An instance whose "plugin" says what it is. */
static json_t *any_instance(enum config_kind kind, const struct config_schema_plugin *plugins,
                            size_t n)
{
    json_t *names = json_array(), *branches = json_array(), *schema;

    for (size_t i = 0; i < n; i++) {
        if (!stands_in(&plugins[i], kind))
            continue;
        json_array_append_new(names, json_string(plugins[i].name));
        json_array_append_new(branches,
                              json_pack("{s:{s:{s:{s:s}}, s:[s]}, s:o}", "if", "properties",
                                        "plugin", "const", plugins[i].name, "required", "plugin",
                                        "then", reference("plugin-", plugins[i].name)));
    }
    schema = json_pack("{s:s, s:{s:{s:o, s:s}}, s:[s]}", "type", "object", "properties", "plugin",
                       "enum", names, "description", "Name of the plugin.", "required", "plugin");
    if (json_array_size(branches)) /* an empty list would be no schema */
        json_object_set(schema, "allOf", branches);
    json_decref(branches);
    return schema;
}

static const char *const kind_names[] = {
    [CONFIG_INGRESS] = "ingress",
    [CONFIG_TRANSPORT] = "transports",
    [CONFIG_DIRECTORY] = "directories",
};
static const char *const kind_docs[] = {
    [CONFIG_INGRESS] = "Instances of plugins that bring messages in, by name.",
    [CONFIG_TRANSPORT] = "Instances of plugins that deliver messages, by name.",
    [CONFIG_DIRECTORY] = "Instances of plugins that know users and aliases, by name.",
};

/* An instance named like a plugin need not say that it is one. */
static json_t *instances(enum config_kind kind, const struct config_schema_plugin *plugins,
                         size_t n)
{
    json_t *properties = json_object(), *schema;

    for (size_t i = 0; i < n; i++) {
        if (stands_in(&plugins[i], kind))
            json_object_set_new(properties, plugins[i].name,
                                json_pack("{s:{s:[s]}, s:o, s:o}", "if", "required", "plugin",
                                          "then", reference("instance-", kind_names[kind]), "else",
                                          reference("plugin-", plugins[i].name)));
    }
    schema = closed(properties);
    json_object_set_new(schema, "propertyNames",
                        json_pack("{s:s}", "pattern", COMMENT_KEYS "|" NAME_PATTERN));
    json_object_set_new(schema, "additionalProperties", reference("instance-", kind_names[kind]));
    json_object_set_new(schema, "description", json_string(kind_docs[kind]));
    return schema;
}

/* --- the whole --- */

static json_t *definitions(const struct config_schema_plugin *plugins, size_t n)
{
    json_t *all = json_object();
    char name[CONFIG_NAME_MAX + 16];

    for (int kind = CONFIG_INGRESS; kind <= CONFIG_DIRECTORY; kind++) {
        snprintf(name, sizeof name, "instance-%s", kind_names[kind]);
        json_object_set_new(all, name, any_instance((enum config_kind)kind, plugins, n));
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "plugin-%s", plugins[i].name);
        json_object_set_new(all, name, plugin_schema(&plugins[i]));
    }
    return all;
}

json_t *config_schema(const struct config_schema_plugin *plugins, size_t n)
{
    json_t *properties = json_object(), *schema;

    json_object_set_new(properties, CONFIG_SCHEMA_KEY, typed("string"));
    for (const struct config_section *s = config_sections; s->name; s++) {
        json_t *section = table_schema(s->table, sizeof *s->table, 0, 0);

        json_object_set_new(section, "title", json_string(s->name));
        json_object_set_new(properties, s->name, section);
    }
    for (int kind = CONFIG_INGRESS; kind <= CONFIG_DIRECTORY; kind++)
        json_object_set_new(properties, kind_names[kind],
                            instances((enum config_kind)kind, plugins, n));
    schema = json_pack("{s:s, s:s, s:s}", "$schema", DRAFT, "title", "Postern", "description",
                       "A file of Postern's conf.d; see postern.conf(5).");
    json_object_update_new(schema, closed(properties));
    json_object_set_new(schema, "definitions", definitions(plugins, n));
    return schema;
}
