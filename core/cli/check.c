/* cli/check.c: `postern check`: is the configuration good? Nothing is bound, made or sent. With
 * --routes also: does mail go where a file of the operator's says that it should? */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/check.h"
#include "cli/cli.h"
#include "cli/routes.h"
#include "config/read.h"
#include "config/table.h"
#include "plugin/plugin.h"
#include "route/expand.h"
#include "util/cleanup.h"

#define PAGE_MAX 1048576u

struct checked {
    size_t files, plugins, rules;
    const char *expected; /* a file of expectations; NULL: none */
    json_t *results;      /* of those, with --json */
    int code;             /* of those */
    struct config_errors errors;
    json_t *warnings; /* what is strange, but refuses nothing */
    int unreadable;   /* 1: it is not what is written that is wrong, but that it can't be read */
};

static size_t enabled_instances(const struct config *cfg)
{
    size_t n = 0;

    for (size_t i = 0; i < cfg->instance_n; i++)
        n += cfg->instances[i].enabled != 0;
    return n;
}

static void take_warnings(const struct config_errors *w, size_t from, struct checked *c)
{
    for (size_t i = from; i < w->n; i++)
        json_array_append_new(c->warnings, config_text_json(w->lines[i]));
}

static void check_user(struct config *cfg, const struct route_table *routes, struct checked *c)
{
    const struct config_errors *known = route_warnings(routes);
    struct config_errors warnings = { 0 };

    for (size_t i = 0; i < known->n; i++)
        config_error(&warnings, NULL, NULL, "%s", known->lines[i]);
    cli_check_user(cfg, &c->errors, &warnings);
    take_warnings(&warnings, known->n, c);
    config_errors_free(&warnings);
}

static int check_routes(struct config *cfg, const struct route_table *routes,
                        const struct checked *c)
{
    struct cli_lookup *lookup = cli_lookup_new(cfg, routes);
    int code = cli_check_routes(routes, lookup, c->expected, c->results);

    cli_lookup_free(&lookup);
    return code;
}

static void check(const struct cli_common *common, struct checked *c)
{
    struct config *cfg = NULL;
    int r = config_load(common->config_dir, common->state, &cfg, &c->errors);

    c->unreadable = r < 0 && r != -EINVAL;
    if (cfg) {
        struct plugin_catalog *catalog = plugin_catalog_new();
        struct route_table *routes = NULL;

        plugin_resolve(catalog, cfg, &c->errors);
        route_compile(cfg, &routes, &c->errors);
        c->files = cfg->file_n;
        c->plugins = enabled_instances(cfg);
        c->rules = cfg->routing.rules.n;
        if (routes)
            take_warnings(route_warnings(routes), 0, c);
        if (routes && !c->errors.n)
            check_user(cfg, routes, c);
        if (routes && !c->errors.n && c->expected)
            c->code = check_routes(cfg, routes, c);
        route_free(&routes);
        config_free(&cfg);
        plugin_catalog_free(&catalog);
    }
}

static void print_json(const struct checked *c)
{
    json_t *errors = json_array(), *r;

    for (size_t i = 0; i < c->errors.n; i++)
        json_array_append_new(errors, config_text_json(c->errors.lines[i]));
    r = json_pack("{s:b, s:I, s:I, s:I, s:o, s:O}", "ok", !c->errors.n && !c->code, "files",
                  (json_int_t)c->files, "plugins", (json_int_t)c->plugins, "rules",
                  (json_int_t)c->rules, "errors", errors, "warnings", c->warnings);
    if (c->results)
        json_object_set(r, "routes", c->results);
    json_dumpf(r, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(r);
}

static void print_text(const struct checked *c)
{
    for (size_t i = 0; i < c->errors.n; i++)
        fprintf(stderr, "%s\n", c->errors.lines[i]);
    for (size_t i = 0; i < json_array_size(c->warnings); i++)
        fprintf(stderr, "warning: %s\n", json_string_value(json_array_get(c->warnings, i)));
    if (!c->errors.n)
        printf("configuration is good: %zu file%s, %zu plugin%s, %zu rule%s\n", c->files,
               c->files == 1 ? "" : "s", c->plugins, c->plugins == 1 ? "" : "s", c->rules,
               c->rules == 1 ? "" : "s");
}

/* Prints a reference page with its option tables made anew. For who changes the tables. */
static int refresh(const char *path)
{
    char why[256], *text AUTO_FREE = NULL;
    struct buf out = { 0 };
    size_t len;
    int r = config_read_file(AT_FDCWD, path, PAGE_MAX, &text, &len);

    if (r < 0)
        return cli_error(EX_NOINPUT, "%s: %s", path, config_read_why(r));
    if (config_markdown_refresh(text, &out, why, sizeof why) < 0)
        r = cli_error(EX_DATAERR, "%s: %s", path, why);
    else
        fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return r;
}

int cli_check(int argc, char **argv)
{
    struct cli_common common;
    struct checked c = { 0 };
    int r;

    cli_common_init(&common);
    for (int i = 1; i < argc; i++) {
        const char *page = NULL;
        int taken = cli_value("--options-markdown", argc, argv, &i, &page);

        if (page)
            return refresh(page);
        if (!strcmp(argv[i], "--schema"))
            return cli_schema();
        if (!taken)
            taken = cli_value("--routes", argc, argv, &i, &c.expected);
        if (!taken)
            taken = cli_common_option(&common, argc, argv, &i);
        if (taken < 0)
            return EX_USAGE;
        if (!taken)
            return cli_usage(
                "check",
                "\"%s\" is not understood; it takes --config DIR, --routes FILE, --json, and "
                "--schema",
                argv[i]);
    }
    if (c.expected && common.json)
        c.results = json_array();
    c.warnings = json_array();
    check(&common, &c);
    if (common.json)
        print_json(&c);
    else
        print_text(&c);
    r = !c.errors.n ? c.code : c.unreadable ? EX_NOINPUT : EX_CONFIG;
    json_decref(c.results);
    json_decref(c.warnings);
    config_errors_free(&c.errors);
    return r;
}
