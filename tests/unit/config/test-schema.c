/* Option tables as a JSON Schema. That editors' validators and the loader agree about whole files
 * is tests/system/test_schema.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/load.h"
#include "config/schema.h"

struct settings {
    int64_t port, mode, wait, room;
    const char *key;
    struct postern_strings names;
    struct postern_objects peers;
};

/* clang-format off */
static const struct postern_option peer_table[] = {
    { .key = "name", .type = POSTERN_OPT_STRING, .flags = POSTERN_OPT_REQUIRED,
        .doc = "Its name." },
    { 0 },
};

static const struct postern_option table[] = {
    POSTERN_OPT(struct settings, port, POSTERN_OPT_INT, .dflt = "25", .min = 1, .max = 65535,
        .doc = "Port."),
    POSTERN_OPT(struct settings, mode, POSTERN_OPT_CHOICE, .choices = "a|b", .dflt = "b",
        .doc = "This or that."),
    POSTERN_OPT(struct settings, wait, POSTERN_OPT_DURATION, .dflt = "5m", .doc = "Wait."),
    POSTERN_OPT(struct settings, room, POSTERN_OPT_SIZE, .min = 10, .max = INT64_MAX,
        .doc = "Room."),
    POSTERN_OPT(struct settings, key, POSTERN_OPT_SECRET, .doc = "Key."),
    POSTERN_OPT(struct settings, names, POSTERN_OPT_STRINGS, .min = 2, .max = 3, .doc = "Names."),
    POSTERN_OPT(struct settings, peers, POSTERN_OPT_OBJECTS, .sub = peer_table,
        .sub_size = sizeof(const char *), .doc = "Peers."),
    { 0 },
};
/* clang-format on */

static const struct config_schema_plugin plugins[] = {
    { .name = "both",
      .summary = "Does both.",
      .ingress = 1,
      .transport = 1,
      .table = table,
      .step = sizeof *table },
    { .name = "out", .summary = "Delivers.", .transport = 1 },
};

/* The value at a path like "definitions/plugin-both/type". */
static const json_t *at(const json_t *schema, const char *path)
{
    while (schema && *path) {
        size_t n = strcspn(path, "/");

        schema = json_object_getn(schema, path, n);
        path += n + (path[n] == '/');
    }
    return schema;
}

static void expect(const json_t *schema, const char *path, const char *json)
{
    json_t *wanted = json_loads(json, JSON_DECODE_ANY, NULL);
    const json_t *found = at(schema, path);

    assert_non_null(wanted);
    if (!found || !json_equal(found, wanted)) {
        char *text = json_dumps(found, JSON_ENCODE_ANY);

        fail_msg("%s: found %s, expected %s", path, text ? text : "nothing", json);
    }
    json_decref(wanted);
}

#define PLUGIN     "definitions/plugin-both/"
#define PROPERTIES PLUGIN "properties/"

static void rows_become_properties(void **state)
{
    json_t *s = config_schema(plugins, 2);

    (void)state;
    expect(s, PROPERTIES "port",
           "{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 65535, \"default\": 25,"
           " \"title\": \"number; 1 to 65535; default 25\", \"description\": \"Port.\"}");
    expect(s, PROPERTIES "mode/enum", "[\"a\", \"b\"]");
    expect(s, PROPERTIES "mode/default", "\"b\"");
    expect(s, PROPERTIES "wait/default", "\"5m\"");
    expect(s, PROPERTIES "wait/type", "\"string\"");
    expect(s, PROPERTIES "names/minItems", "2"); /* so one text alone will not do */
    expect(s, PROPERTIES "names/type", "\"array\"");
    expect(s, PROPERTIES "peers/items/required", "[\"name\"]");
    expect(s, PROPERTIES "peers/items/additionalProperties", "false");
    assert_null(at(s, PROPERTIES "room/maximum")); /* no bound is no bound */
    assert_int_equal(json_array_size(at(s, PROPERTIES "key/anyOf")), 3);
    json_decref(s);
}

static void an_instance_has_its_plugin_s_keys_and_ours(void **state)
{
    json_t *s = config_schema(plugins, 2);

    (void)state;
    expect(s, PLUGIN "additionalProperties", "false");
    expect(s, PROPERTIES "plugin/type", "\"string\"");
    expect(s, PROPERTIES "enabled/default", "true");
    expect(s, PLUGIN "description", "\"Does both.\"");
    json_decref(s);
}

static void a_plugin_stands_where_it_is_of_use(void **state)
{
    json_t *s = config_schema(plugins, 2);

    (void)state;
    expect(s, "definitions/instance-ingress/properties/plugin/enum", "[\"both\"]");
    expect(s, "definitions/instance-transports/properties/plugin/enum", "[\"both\", \"out\"]");
    assert_null(at(s, "properties/ingress/properties/out"));
    assert_non_null(at(s, "properties/transports/properties/out"));
    json_decref(s);
}

static void without_plugins_it_is_still_a_schema(void **state)
{
    json_t *s = config_schema(NULL, 0);

    (void)state;
    assert_non_null(at(s, "properties/server/properties/hostname"));
    assert_null(at(s, "definitions/instance-ingress/allOf"));
    json_decref(s);
}

static size_t errors_of(const char *text)
{
    struct config_errors errors = { 0 };
    struct config_loader *l = config_loader_new("conf.d", &errors);
    struct config *cfg;
    size_t n;

    config_loader_add(l, "conf.d/a.json", text, strlen(text));
    config_loader_add(l, "conf.d/b.json", text, strlen(text)); /* each file may say so */
    cfg = config_loader_finish(l, NULL);
    n = errors.n;
    config_free(&cfg);
    config_errors_free(&errors);
    return n;
}

static void a_file_may_name_its_schema(void **state)
{
    (void)state;
    assert_int_equal(errors_of("{\"$schema\": \"postern.schema.json\"}"), 0);
    assert_int_equal(errors_of("{\"$schema\": 5}"), 2);
    assert_int_equal(errors_of("{\"queue\": {\"$schema\": \"x\"}}"), 2); /* unknown, said twice */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_properties),
        cmocka_unit_test(an_instance_has_its_plugin_s_keys_and_ours),
        cmocka_unit_test(a_plugin_stands_where_it_is_of_use),
        cmocka_unit_test(without_plugins_it_is_still_a_schema),
        cmocka_unit_test(a_file_may_name_its_schema),
    };

    return cmocka_run_group_tests_name("config/schema", tests, NULL, NULL);
}
