/* Finding and vetting modules, and what an operator is told of the bad ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../config/scratch.h"
#include "config/load.h"
#include "plugin/plugin.h"
#include "plugin/vet.h"
#include "util/buf.h"

static struct scratch scratch; /* a folder of files that are no modules */
static char *modules;          /* the folder of the real ones */

static const char no_module[] =
    "This is not an ELF file, and long enough that the loader looks at it and does not only say "
    "that it is too short.\n";

/* --- loading --- */

static int load(const char *name, const struct postern_plugin **ret, char *why, size_t size)
{
    struct plugin_catalog *c = plugin_catalog_new();
    const char *path;
    int r = plugin_load(c, name, ret, &path, why, size);

    plugin_catalog_free(&c);
    return r;
}

/* `expected` is how the reason ends; a path comes before it. */
static void refused(const char *name, const char *expected)
{
    const struct postern_plugin *p = NULL;
    char why[512] = "";

    assert_int_equal(load(name, &p, why, sizeof why), -EINVAL);
    assert_null(p);
    if (strlen(why) < strlen(expected) || strcmp(why + strlen(why) - strlen(expected), expected))
        assert_string_equal(why, expected);
}

static void a_sound_module_is_loaded_once(void **state)
{
    struct plugin_catalog *c = plugin_catalog_new();
    const struct postern_plugin *p, *again;
    const char *path, *path_again;
    char why[512];

    (void)state;
    assert_int_equal(plugin_load(c, "sound", &p, &path, why, sizeof why), 0);
    assert_string_equal(p->name, "sound");
    assert_string_equal(p->version, "1.2");
    assert_int_equal(strncmp(path, modules, strlen(modules)), 0);
    assert_int_equal(plugin_load(c, "sound", &again, &path_again, why, sizeof why), 0);
    assert_ptr_equal(p, again);
    assert_ptr_equal(path, path_again);
    plugin_catalog_free(&c);
}

static void a_name_with_a_dash_finds_its_symbol(void **state)
{
    const struct postern_plugin *p;
    char why[512];

    (void)state;
    assert_int_equal(load("sound-ingress", &p, why, sizeof why), 0);
    assert_non_null(p->ingress);
}

static void a_newer_minor_version_is_welcome(void **state)
{
    const struct postern_plugin *p;
    char why[512];

    (void)state;
    assert_int_equal(load("newer-minor", &p, why, sizeof why), 0);
    assert_int_equal(p->abi_minor, 9);
}

static void bad_modules_are_refused_in_words(void **state)
{
    (void)state;
    refused("other-abi", ": built for plugin ABI 2.0, this postern speaks 1.1: rebuild it");
    refused("no-descriptor", ": no Postern plugin: it exports no descriptor (postern_plugin)");
    refused("bad-table",
            ": its descriptor is wrong: option \"port\": its default is wrong: found "
            "70000, expected 1 to 65535");
    refused("bad-params", ": its descriptor is wrong: one of its params has no name");
    refused("misnamed", ": its descriptor is wrong: it calls itself \"somebody-else\"");
    refused("no-capability",
            ": its descriptor is wrong: it offers nothing that this postern knows");
    refused("unresolved", ": undefined symbol: postern_test_function_that_is_nowhere");
}

static void what_is_no_module_is_refused_in_words(void **state)
{
    (void)state;
    scratch_file(&scratch, "text.so", no_module);
    scratch_file(&scratch, "empty.so", "");
    scratch_file(&scratch, "hollow.la", "dlname='gone.so'\n");
    refused("text", "/text.so: cannot be loaded: invalid ELF header");
    refused("empty", "/empty.so: cannot be loaded: file too short");
    refused("hollow", "hollow.so: cannot open shared object file: No such file or directory");
}

static void a_name_that_leads_out_of_the_folder_is_no_name(void **state)
{
    (void)state;
    refused("../sound", "\"../sound\" is no plugin's name");
    refused("", "\"\" is no plugin's name");
    refused("sound/", "\"sound/\" is no plugin's name");
}

static void a_missing_module_names_the_folders_and_the_nearest_name(void **state)
{
    const struct postern_plugin *p;
    char why[512], *expected;

    (void)state;
    assert_int_equal(load("soudn", &p, why, sizeof why), -ENOENT);
    expected = mem_printf("there is no plugin \"soudn\" in %s, %s; did you mean \"sound\"?",
                          scratch.dir, modules);
    assert_string_equal(why, expected);
    free(expected);
    assert_int_equal(load("nothing-like-it", &p, why, sizeof why), -ENOENT);
    expected = mem_printf("there is no plugin \"nothing-like-it\" in %s, %s", scratch.dir, modules);
    assert_string_equal(why, expected);
    free(expected);
}

static void the_list_has_the_good_and_the_bad_in_order(void **state)
{
    struct plugin_catalog *c = plugin_catalog_new();
    const struct plugin_listed *l;
    size_t n, good = 0;

    (void)state;
    scratch_file(&scratch, "text.so", no_module);
    n = plugin_list(c, &l);
    assert_true(n >= 9);
    for (size_t i = 0; i < n; i++) {
        assert_true(!i || strcmp(l[i - 1].name, l[i].name) < 0);
        assert_true(!l[i].descriptor == !!l[i].refused);
        good += l[i].descriptor != NULL;
    }
    assert_int_equal(good, 3);
    assert_int_equal(plugin_list(c, &l), n);
    plugin_catalog_free(&c);
}

/* --- descriptors that no compiler of ours would make --- */

static int nothing_open(postern_host *host, const struct postern_services *services,
                        const void *settings, void **ret_self)
{
    (void)host;
    (void)services;
    (void)settings;
    (void)ret_self;
    return -ENOSYS;
}

static void nothing_close(void *self)
{
    (void)self;
}

static void a_descriptor_is_held_to_the_rules(void **state)
{
    struct postern_ingress_ops in = { .size = sizeof in };
    struct postern_transport_ops out = { .size = sizeof out };
    struct postern_plugin good = {
        .size = sizeof good,
        .option_size = sizeof(struct postern_option),
        .abi_major = POSTERN_ABI_MAJOR,
        .name = "x",
        .version = "1",
        .summary = "X.",
        .open = nothing_open,
        .close = nothing_close,
        .ingress = &in,
    };
    static const struct postern_option own[] = {
        { .key = "enabled", .type = POSTERN_OPT_INT, .doc = "E." },
        { 0 },
    };
    struct postern_plugin p;
    char why[512] = "";

    (void)state;
#define REFUSED(expected, ...) \
    do { \
        p = good; \
        __VA_ARGS__; \
        assert_int_equal(plugin_vet(&p, "x", why, sizeof why), -EINVAL); \
        assert_string_equal(why, "its descriptor is wrong: " expected); \
    } while (0)

    assert_int_equal(plugin_vet(&good, "x", why, sizeof why), 0);
    p = good;
    p.size = offsetof(struct postern_plugin, check_facts); /* as it was in version 1.0 */
    assert_int_equal(plugin_vet(&p, "x", why, sizeof why), 0);
    REFUSED("its size is no size", p.size = 0);
    REFUSED("its size is no size", p.size = (size_t)1 << 40);
    REFUSED("it is smaller than its ABI version allows",
            p.size = offsetof(struct postern_plugin, check_facts) - 8);
    REFUSED("its name is not made of lower case letters, digits and '-'", p.name = NULL);
    REFUSED("its name is not made of lower case letters, digits and '-'", p.name = "X");
    REFUSED("it has no version", p.version = "");
    REFUSED("it has no summary of one line", p.summary = "two\nlines");
    REFUSED("it needs both open and close", p.open = NULL);
    REFUSED("it needs both open and close", p.close = NULL);
    REFUSED("the size of its ingress operations is no size", in.size = 0);
    in.size = sizeof in;
    REFUSED("a transport needs both deliver and cancel", p.transport = &out);
    REFUSED("the size of its transport operations is no size", (out.size = 1, p.transport = &out));
    REFUSED("its settings are larger than 1 MiB", p.settings_size = SIZE_MAX);
    REFUSED("the keys \"plugin\" and \"enabled\" are not its own",
            (p.options = own, p.settings_size = 8));
#undef REFUSED
}

static void a_row_size_of_another_make_is_refused_before_the_rows_are_read(void **state)
{
    char why[512] = "", *expected;
    struct postern_ingress_ops in = { .size = sizeof in };
    const struct postern_plugin p = {
        .size = sizeof p,
        .option_size = 1,
        .abi_major = POSTERN_ABI_MAJOR,
        .name = "x",
        .version = "1",
        .summary = "X.",
        .open = nothing_open,
        .close = nothing_close,
        .ingress = &in,
        .options = (const struct postern_option *)1, /* whoever reads it, falls */
    };

    (void)state;
    assert_int_equal(plugin_vet(&p, "x", why, sizeof why), -EINVAL);
    expected = mem_printf("its descriptor is wrong: a row of its option table is 1 bytes long, "
                          "expected at least %zu",
                          sizeof(struct postern_option));
    assert_string_equal(why, expected);
    free(expected);
}

/* --- instances --- */

/* Resolves this conf.d; `lines` are the errors expected. */
/* The embedded defaults' own instances need plugins that are not built here. */
static void drop_built_in(struct config *cfg)
{
    size_t kept = 0;

    for (size_t i = 0; i < cfg->instance_n; i++) {
        if (strcmp(cfg->instances[i].origin.file, "(built in)"))
            cfg->instances[kept++] = cfg->instances[i];
    }
    cfg->instance_n = kept;
}

static struct config *resolve(const char *json, const char *lines)
{
    struct config_errors errors = { 0 };
    struct plugin_catalog *c = plugin_catalog_new();
    struct config_loader *l = config_loader_new("conf.d", &errors);
    struct config *cfg;
    struct buf all = { 0 };
    int r;

    config_loader_add(l, "a.json", json, strlen(json));
    cfg = config_loader_finish(l, NULL);
    assert_int_equal(errors.n, 0);
    drop_built_in(cfg);
    r = plugin_resolve(c, cfg, &errors);
    for (size_t i = 0; i < errors.n; i++)
        buf_printf(&all, "%s%s", i ? "\n" : "", errors.lines[i]);
    assert_string_equal(all.data ? all.data : "", lines);
    assert_int_equal(r, *lines ? -EINVAL : 0);
    buf_free(&all);
    config_errors_free(&errors);
    plugin_catalog_free(&c);
    return cfg;
}

static void wrong(const char *json, const char *lines)
{
    struct config *cfg = resolve(json, lines);

    config_free(&cfg);
}

struct module_settings { /* as in modules/module.c */
    const char *greeting;
    int64_t port;
};

static void instances_of_one_plugin_have_settings_of_their_own(void **state)
{
    struct config *cfg =
        resolve("{\"ingress\": {\"sound-ingress\": {\"port\": 1}}, \"transports\": "
                "{\"a\": {\"plugin\": \"sound\", \"port\": 7, \"enabled\": false},"
                " \"sound\": {\"$comment\": \"x\", \"greeting\": \"hi\"}}}",
                "");
    const struct module_settings *s;

    (void)state;
    assert_int_equal(cfg->instance_n, 3);
    s = cfg->instances[0].settings;
    assert_int_equal(s->port, 1);
    s = cfg->instances[1].settings;
    assert_int_equal(s->port, 7);
    assert_null(s->greeting);
    s = cfg->instances[2].settings;
    assert_int_equal(s->port, 25);
    assert_string_equal(s->greeting, "hi");
    assert_ptr_equal(cfg->instances[1].descriptor, cfg->instances[2].descriptor);
    config_free(&cfg);
}

static void an_instance_stands_in_the_section_of_what_its_plugin_offers(void **state)
{
    (void)state;
    wrong("{\"ingress\": {\"sound\": {}}, \"transports\": {}}",
          "a.json#/ingress/sound: plugin \"sound\" brings no messages in; it belongs in "
          "/transports");
    wrong("{\"transports\": {\"x\": {\"plugin\": \"sound-ingress\"}}, \"ingress\": {}}",
          "a.json#/transports/x/plugin: plugin \"sound-ingress\" delivers no messages; it belongs "
          "in /ingress");
}

static void settings_are_checked_of_disabled_instances_too(void **state)
{
    (void)state;
    wrong("{\"ingress\": {}, \"transports\": {\"sound\": {\"port\": 70000, \"enabled\": false}}}",
          "a.json#/transports/sound/port: found 70000, expected 1 to 65535");
    wrong("{\"ingress\": {}, \"transports\": {\"sound\": {\"port\": 13}}}",
          "a.json#/transports/sound: port 13 brings bad luck");
    wrong("{\"ingress\": {}, \"transports\": {\"sound\": {\"prot\": 13}}}",
          "a.json#/transports/sound/prot: unknown key; did you mean \"port\"?");
}

static void a_bad_plugin_is_the_instances_error(void **state)
{
    char *expected = mem_printf("a.json#/transports/x/plugin: there is no plugin \"soundd\" in %s, "
                                "%s; did you mean \"sound\"?",
                                scratch.dir, modules);

    (void)state;
    wrong("{\"ingress\": {}, \"transports\": {\"x\": {\"plugin\": \"soundd\"}}}", expected);
    free(expected);
}

/* --- */

static int set_up(void **state)
{
    const char *top = getenv("POSTERN_TOP_BUILDDIR");
    char *path;

    (void)state;
    scratch_init(&scratch);
    modules = mem_printf("%s/tests/unit/plugin/modules", top ? top : ".");
    path = mem_printf("%s:%s", scratch.dir, modules);
    setenv("POSTERN_PLUGIN_PATH", path, 1);
    free(path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_done(&scratch);
    free(modules);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_module_is_loaded_once),
        cmocka_unit_test(a_name_with_a_dash_finds_its_symbol),
        cmocka_unit_test(a_newer_minor_version_is_welcome),
        cmocka_unit_test(bad_modules_are_refused_in_words),
        cmocka_unit_test(what_is_no_module_is_refused_in_words),
        cmocka_unit_test(a_name_that_leads_out_of_the_folder_is_no_name),
        cmocka_unit_test(a_missing_module_names_the_folders_and_the_nearest_name),
        cmocka_unit_test(the_list_has_the_good_and_the_bad_in_order),
        cmocka_unit_test(a_descriptor_is_held_to_the_rules),
        cmocka_unit_test(a_row_size_of_another_make_is_refused_before_the_rows_are_read),
        cmocka_unit_test(instances_of_one_plugin_have_settings_of_their_own),
        cmocka_unit_test(an_instance_stands_in_the_section_of_what_its_plugin_offers),
        cmocka_unit_test(settings_are_checked_of_disabled_instances_too),
        cmocka_unit_test(a_bad_plugin_is_the_instances_error),
    };

    return cmocka_run_group_tests_name("plugin/load", tests, set_up, tear_down);
}
