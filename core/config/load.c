/* config/load.c: files merged into one tree, and the tree into struct config. */
#include "config/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/engine.h"
#include "config/sections.h"
#include "util/cleanup.h"

struct config_loader {
    struct config *cfg;
    struct config_errors *errors;
};

/* One file on its way into the tree. */
struct merge {
    struct config_loader *l;
    const char *file;
    struct buf pointer; /* in the file, and, but for lists that are joined, in the tree */
};

static const struct {
    const char *name;
    enum config_kind kind;
} kinds[] = {
    { "ingress", CONFIG_INGRESS },
    { "transports", CONFIG_TRANSPORT },
    { "directories", CONFIG_DIRECTORY },
};
#define KINDS (sizeof kinds / sizeof *kinds)

static int is_kind(const char *name)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (!strcmp(name, kinds[i].name))
            return 1;
    }
    return 0;
}

static int is_core(const char *name)
{
    for (const struct config_section *s = config_sections; s->name; s++) {
        if (!strcmp(name, s->name))
            return 1;
    }
    return 0;
}

#define merge_error(m, ...) config_error((m)->l->errors, (m)->file, (m)->pointer.data, __VA_ARGS__)

static void unknown_section(struct merge *m, const char *name)
{
    struct buf pointer = { 0 };
    const char *near = NULL;
    size_t best = SIZE_MAX;

    for (const struct config_section *s = config_sections; s->name; s++) {
        if (config_nearer(name, s->name, &best))
            near = s->name;
    }
    for (size_t i = 0; i < KINDS; i++) {
        if (config_nearer(name, kinds[i].name, &best))
            near = kinds[i].name;
    }
    if (near)
        merge_error(m, "unknown section; did you mean \"%s\"?", near);
    else if (!config_belongs(name, NULL, NULL, &pointer))
        merge_error(m, "unknown section; \"%s\" belongs in %s", name, pointer.data);
    else
        merge_error(m,
                    "unknown section; a plugin is set up in \"ingress\", \"transports\" or "
                    "\"directories\"");
    buf_free(&pointer);
}

/* Lists to which every file may add. */
static int is_joined(const char *section, const char *key)
{
    static const char *const keys[] = { "rules", "gateways", "zones", "queue_groups", "senders" };

    if (strcmp(section, "routing"))
        return 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!strcmp(key, keys[i]))
            return 1;
    }
    return 0;
}

/* Items are concatenated; each remembers its place in its own file. */
static void merge_list(struct merge *m, json_t *section, const char *key, json_t *list)
{
    json_t *merged = json_object_get(section, key), *item;
    char found[128];
    size_t i;

    if (!json_is_array(list)) {
        merge_error(m, "found %s, expected a list of objects",
                    config_found(list, found, sizeof found));
        return;
    }
    if (!merged) {
        merged = json_array();
        json_object_set_new(section, key, merged);
        config_origins_set(m->l->cfg->origins, m->pointer.data, m->file, m->pointer.data);
    }
    json_array_foreach (list, i, item) {
        char *place AUTO_FREE = mem_printf("/routing/%s/%zu", key, json_array_size(merged));
        size_t mark = config_pointer_index(&m->pointer, i);

        config_origins_set(m->l->cfg->origins, place, m->file, m->pointer.data);
        json_array_append(merged, item);
        config_pointer_cut(&m->pointer, mark);
    }
}

static void merge_key(struct merge *m, json_t *section, const char *key, json_t *value)
{
    const struct config_origin *other = config_origins_get(m->l->cfg->origins, m->pointer.data);

    if (other) {
        merge_error(m, "already said in %s#%s; say it in one place", other->file, other->pointer);
        return;
    }
    config_origins_set(m->l->cfg->origins, m->pointer.data, m->file, m->pointer.data);
    json_object_set(section, key, value);
}

/* The section's own entry in the tree, made when it is first spoken of. */
static json_t *section_of(json_t *tree, const char *name)
{
    json_t *section = json_object_get(tree, name);

    if (!section) {
        section = json_object();
        json_object_set_new(tree, name, section);
    }
    return section;
}

static void merge_section(struct merge *m, const char *name, json_t *from)
{
    json_t *section = section_of(m->l->cfg->tree, name), *value;
    char found[128];
    const char *key;

    if (!json_is_object(from)) {
        merge_error(m, "found %s, expected an object", config_found(from, found, sizeof found));
        return;
    }
    json_object_foreach (from, key, value) {
        size_t mark;

        if (config_is_comment(key))
            continue;
        mark = config_pointer_push(&m->pointer, key);
        if (is_joined(name, key))
            merge_list(m, section, key, value);
        else
            merge_key(m, section, key, value);
        config_pointer_cut(&m->pointer, mark);
    }
}

/* It is for editors; all that can be wrong with it is that it is no text. */
static void check_schema_key(struct merge *m, const json_t *value)
{
    char found[128];

    if (!json_is_string(value))
        merge_error(m, "found %s, expected the place of a JSON Schema, in quotes",
                    config_found(value, found, sizeof found));
}

static void merge_file(struct config_loader *l, const char *file, json_t *root)
{
    struct merge m = { .l = l, .file = file };
    const char *name;
    json_t *section;

    json_object_foreach (root, name, section) {
        if (config_is_comment(name))
            continue;
        config_pointer_push(&m.pointer, name);
        if (!strcmp(name, CONFIG_SCHEMA_KEY))
            check_schema_key(&m, section);
        else if (is_core(name) || is_kind(name))
            merge_section(&m, name, section);
        else
            unknown_section(&m, name);
        config_pointer_cut(&m.pointer, 0);
    }
    buf_free(&m.pointer);
}

/* Sections are completed key by key, so that a file that only adds rules keeps the default route,
 * and one that only adds a transport keeps those that the default routes need (a transport does
 * nothing by being there). An ingress does: what the operator wrote of those is all there is. */
static void merge_defaults(struct config_loader *l, const char *state)
{
    json_t *tree = l->cfg->tree;
    json_t *said = json_object_get(json_object_get(tree, "server"), "hostname");
    json_t *root = config_defaults(json_string_value(said), state, l->errors), *section, *value;
    const char *name, *key;
    void *next;

    json_object_foreach_safe(root, next, name, section)
    {
        json_t *have = json_object_get(tree, name);
        void *next_key;

        if (have && is_kind(name) && (!strcmp(name, "ingress") || !json_object_size(have))) {
            json_object_del(root, name);
            continue;
        }
        json_object_foreach_safe(section, next_key, key, value)
        {
            if (json_object_get(have, key))
                json_object_del(section, key);
        }
    }
    merge_file(l, CONFIG_BUILT_IN, root);
    json_decref(root);
}

static void fill_sections(struct config_loader *l)
{
    for (size_t i = 0; config_sections[i].name; i++) {
        const struct config_section *s = &config_sections[i];
        const struct config_origin base = { l->cfg->source,
                                            arena_printf(l->cfg->arena, "/%s", s->name) };
        struct fill f = {
            .arena = l->cfg->arena, .errors = l->errors, .base = &base, .origins = l->cfg->origins
        };

        config_fill_object(&f, s->table, sizeof *s->table, json_object_get(l->cfg->tree, s->name),
                           NULL, 1, 0, (char *)l->cfg + config_places[i].offset);
        buf_free(&f.pointer);
    }
}

struct config_origin config_origin_at(const struct config *cfg, const char *pointer)
{
    const struct config_origin *known =
        cfg->origins ? config_origins_find(cfg->origins, pointer) : NULL;

    return known ? *known : (struct config_origin){ cfg->source, pointer };
}

static struct config_origin origin_of(struct config_loader *l, const char *pointer)
{
    return config_origin_at(l->cfg, arena_strdup(l->cfg->arena, pointer));
}

static struct config_origin *origins_of_list(struct config_loader *l, const char *key, size_t n)
{
    struct config_origin *list = arena_alloc(l->cfg->arena, n * sizeof *list);

    for (size_t i = 0; i < n; i++) {
        char *pointer AUTO_FREE = mem_printf("/routing/%s/%zu", key, i);

        list[i] = origin_of(l, pointer);
    }
    return list;
}

static void note_routing_origins(struct config_loader *l)
{
    static const char *const keys[CONFIG_ROUTING_KEYS] = {
        [CONFIG_AT_SUBSTITUTE_DOMAIN] = "/routing/substitute_domain",
        [CONFIG_AT_LOCAL_DOMAINS_FILES] = "/routing/local_domains_files",
        [CONFIG_AT_HOST_NAMES] = "/routing/host_names",
        [CONFIG_AT_VIRTUAL_DOMAINS] = "/routing/virtual_domains",
        [CONFIG_AT_OWN_ADDRESSES] = "/routing/own_addresses",
        [CONFIG_AT_LOCAL_BY_ADDRESS] = "/routing/local_by_address",
        [CONFIG_AT_DEFAULT_DOMAIN] = "/routing/default_domain",
        [CONFIG_AT_FORWARDERS] = "/routing/forwarders",
    };
    struct config *cfg = l->cfg;
    const struct config_routing *r = &cfg->routing;

    cfg->rule_origins = origins_of_list(l, "rules", r->rules.n);
    cfg->gateway_origins = origins_of_list(l, "gateways", r->gateways.n);
    cfg->zone_origins = origins_of_list(l, "zones", r->zones.n);
    cfg->sender_origins = origins_of_list(l, "senders", r->senders.n);
    cfg->group_origins = origins_of_list(l, "queue_groups", r->queue_groups.n);
    cfg->local_origin = origin_of(l, "/routing/local_domains");
    cfg->default_origin = origin_of(l, "/routing/default");
    for (size_t i = 0; i < CONFIG_ROUTING_KEYS; i++)
        cfg->routing_at[i] = origin_of(l, keys[i]);
}

/* --- instances --- */

struct instance_settings {
    const char *plugin;
    int64_t enabled;
};
/* clang-format off */
const struct postern_option config_instance_table[] = {
    POSTERN_OPT(struct instance_settings, plugin, POSTERN_OPT_STRING,
        .doc = "Name of the plugin; without it, the instance's own name."),
    POSTERN_OPT(struct instance_settings, enabled, POSTERN_OPT_BOOL, .dflt = "true",
        .doc = "A disabled instance is validated and not run."),
    { 0 },
};
/* clang-format on */

#define NAME_RULE "lower case letters, digits and '-', at most 64 of them"

int config_name_valid(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n && n <= CONFIG_NAME_MAX && !name[n];
}

static const struct config_instance *instance_named(const struct config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->instance_n; i++) {
        if (!strcmp(cfg->instances[i].name, name))
            return &cfg->instances[i];
    }
    return NULL;
}

static void check_plugin_name(struct config_loader *l, const struct config_origin *o,
                              const char *name)
{
    char *pointer AUTO_FREE = mem_printf("%s/plugin", o->pointer);

    if (!config_name_valid(name))
        config_error(l->errors, o->file, pointer,
                     "found \"%s\", expected a plugin's name: " NAME_RULE, name);
}

static void fill_instance(struct config_loader *l, struct config_instance *in)
{
    struct instance_settings settings = { 0 };
    struct fill f = {
        .arena = l->cfg->arena, .errors = l->errors, .base = &in->origin, .loose = 1
    };

    config_fill_object(&f, config_instance_table, sizeof *config_instance_table, in->object, NULL,
                       1, 0, &settings);
    buf_free(&f.pointer);
    in->enabled = (int)settings.enabled;
    in->plugin = settings.plugin ? settings.plugin : in->name;
    if (settings.plugin)
        check_plugin_name(l, &in->origin, in->plugin);
}

static void add_instance(struct config_loader *l, enum config_kind kind, const char *name,
                         json_t *object, const struct config_origin *o)
{
    const struct config_instance *other = instance_named(l->cfg, name);
    struct config_instance *in = &l->cfg->instances[l->cfg->instance_n];
    char found[128];

    if (!config_name_valid(name)) {
        config_error(l->errors, o->file, o->pointer, "an instance's name is " NAME_RULE);
    } else if (!json_is_object(object)) {
        config_error(l->errors, o->file, o->pointer, "found %s, expected an object",
                     config_found(object, found, sizeof found));
    } else if (other) {
        config_error(l->errors, o->file, o->pointer,
                     "the name is taken by %s#%s; every instance needs a name of its own",
                     other->origin.file, other->origin.pointer);
    } else if (l->cfg->instance_n == CONFIG_INSTANCES_MAX) {
        config_error(l->errors, o->file, o->pointer, "there are more than %u plugin instances",
                     CONFIG_INSTANCES_MAX);
    } else {
        *in = (struct config_instance){
            .kind = kind, .name = arena_strdup(l->cfg->arena, name), .object = object, .origin = *o
        };
        fill_instance(l, in);
        l->cfg->instance_n++;
    }
}

static void find_instances(struct config_loader *l)
{
    struct buf pointer = { 0 };

    /* One row more than allowed, for the one that is refused. */
    l->cfg->instances =
        arena_alloc(l->cfg->arena, (CONFIG_INSTANCES_MAX + 1) * sizeof *l->cfg->instances);
    for (size_t i = 0; i < KINDS; i++) {
        const char *name;
        json_t *object;

        json_object_foreach (json_object_get(l->cfg->tree, kinds[i].name), name, object) {
            struct config_origin o;

            buf_clear(&pointer);
            config_pointer_push(&pointer, kinds[i].name);
            config_pointer_push(&pointer, name);
            o = origin_of(l, pointer.data);
            add_instance(l, kinds[i].kind, name, object, &o);
        }
    }
    buf_free(&pointer);
}

/* --- the whole --- */

struct config_loader *config_loader_new(const char *source, struct config_errors *errors)
{
    struct config_loader *l = mem_zalloc(sizeof *l);

    l->cfg = mem_zalloc(sizeof *l->cfg);
    l->cfg->arena = arena_new();
    l->cfg->tree = json_object();
    l->cfg->source = arena_strdup(l->cfg->arena, source);
    l->cfg->origins = config_origins_new(l->cfg->arena);
    l->errors = errors;
    return l;
}

void config_loader_add(struct config_loader *l, const char *file, const char *text, size_t len)
{
    json_t *root = config_parse(file, text, len, l->errors);

    l->cfg->file_n++;
    if (!root)
        return;
    merge_file(l, file, root);
    json_decref(root);
}

struct config *config_loader_finish(struct config_loader *l, const char *state)
{
    struct config *cfg = l->cfg;

    merge_defaults(l, state);
    fill_sections(l);
    note_routing_origins(l);
    find_instances(l);
    config_verify(cfg, l->cfg->origins, l->errors);
    free(l);
    return cfg;
}

static void add_to_loader(void *ctx, const char *file, const char *text, size_t len)
{
    config_loader_add(ctx, file, text, len);
}

int config_load(const char *dir, const char *state, struct config **ret,
                struct config_errors *errors)
{
    struct config_loader *l = config_loader_new(dir ? dir : CONFIG_BUILT_IN, errors);
    size_t before = errors->n;
    int any = !dir, r = 0;

    *ret = NULL;
    if (dir)
        r = config_read_folder(dir, add_to_loader, l, errors, &any);
    if (!any) {
        config_free(&l->cfg);
        free(l);
        return r;
    }
    *ret = config_loader_finish(l, state);
    if (!r && errors->n > before)
        r = -EINVAL;
    return r;
}

void config_free(struct config **c)
{
    if (!*c)
        return;
    json_decref((*c)->tree);
    config_origins_free(&(*c)->origins);
    arena_free(&(*c)->arena);
    free(*c);
    *c = NULL;
}
