/* cli/list.c: `postern list`: the mailing lists, what was posted, who bounces.
 *
 * It asks the plugin that keeps them, for every instance in the configuration; no gateway has to
 * run for that (postern_plugin.inspect). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "cli/cli.h"
#include "plugin/plugin.h"

#define LIST_PLUGIN "list"

struct answers {
    json_t *all;
    const char *instance;
    int broken;
};

static void gather(void *ctx, const char *json, size_t len)
{
    struct answers *a = ctx;
    json_t *one = json_loadb(json, len, 0, NULL);

    if (!json_is_object(one)) {
        a->broken = 1;
        json_decref(one);
        return;
    }
    json_object_set_new(one, "transport", json_string(a->instance));
    json_array_append_new(a->all, one);
}

/* 0, or a sysexits code, printed. */
static int ask_instance(const struct config_instance *i, const char *what, struct answers *a)
{
    const struct postern_plugin *p = i->descriptor;
    int r;

    if (!p || !i->settings || !i->enabled || strcmp(p->name, LIST_PLUGIN) != 0 ||
        !POSTERN_HAS(p, inspect))
        return EX_OK;
    a->instance = i->name;
    r = p->inspect(i->settings, what, gather, a);
    if (r < 0)
        return cli_error(EX_NOINPUT, "transport %s: its lists cannot be read: %s", i->name,
                         strerror(-r));
    if (a->broken)
        return cli_error(EX_SOFTWARE, "transport %s: it gave an answer that is no JSON object",
                         i->name);
    return EX_OK;
}

static int ask_all(const struct cli_common *common, const char *what, struct answers *a)
{
    struct plugin_catalog *catalog = plugin_catalog_new();
    struct config_errors errors = { 0 };
    struct config *cfg = NULL;
    int code = cli_load_config(common, &cfg);

    if (!code && plugin_resolve(catalog, cfg, &errors) < 0)
        code = cli_print_errors(&errors);
    for (size_t i = 0; !code && i < cfg->instance_n; i++)
        code = ask_instance(&cfg->instances[i], what, a);
    config_errors_free(&errors);
    config_free(&cfg);
    plugin_catalog_free(&catalog);
    return code;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static json_int_t number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static const char *when(json_int_t at, char *buf, size_t size)
{
    time_t t = (time_t)at;
    struct tm tm;

    if (!at || !localtime_r(&t, &tm) || !strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm))
        snprintf(buf, size, "never");
    return buf;
}

static size_t disabled_in(const json_t *bounces)
{
    size_t i, n = 0;
    json_t *b;

    json_array_foreach (bounces, i, b)
        n += json_is_true(json_object_get(b, "disabled"));
    return n;
}

static void print_line(const json_t *list)
{
    const json_t *bounces = json_object_get(list, "bounces"), *n = json_object_get(list, "members");
    char members[32] = "?", last[32];

    if (json_is_integer(n))
        snprintf(members, sizeof members, "%" JSON_INTEGER_FORMAT, json_integer_value(n));
    printf("%-32s %-12s %8s members  last post %-19s  %zu with bounces, %zu disabled\n",
           text_of(list, "list"), text_of(list, "transport"), members,
           when(number_of(list, "last_post"), last, sizeof last), json_array_size(bounces),
           disabled_in(bounces));
    if (json_is_string(json_object_get(list, "problem")))
        printf("    %s\n", text_of(list, "problem"));
    if (number_of(list, "bad_lines"))
        printf("    %" JSON_INTEGER_FORMAT " line%s of %s cannot be read: nobody gets mail by %s\n",
               number_of(list, "bad_lines"), number_of(list, "bad_lines") == 1 ? "" : "s",
               text_of(list, "file"), number_of(list, "bad_lines") == 1 ? "it" : "them");
}

static void print_details(const json_t *list)
{
    const json_t *bounces = json_object_get(list, "bounces");
    char last[32];
    size_t i;
    json_t *b;

    if (*text_of(list, "file"))
        printf("    members in %s\n", text_of(list, "file"));
    if (number_of(list, "last_post"))
        printf("    %" JSON_INTEGER_FORMAT " posts, the last as %s to %" JSON_INTEGER_FORMAT
               " members\n",
               number_of(list, "posts"), text_of(list, "last_id"), number_of(list, "last_members"));
    json_array_foreach (bounces, i, b)
        printf("    %-40s %3" JSON_INTEGER_FORMAT " bounces, last %s  %s %s%s\n",
               text_of(b, "member"), number_of(b, "count"),
               when(number_of(b, "last"), last, sizeof last), text_of(b, "status"),
               text_of(b, "reason"),
               json_is_true(json_object_get(b, "disabled")) ? "  (gets no mail)" : "");
}

static void print(const struct cli_common *common, const char *what, const json_t *all)
{
    size_t i;
    json_t *list;

    if (common->json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
        return;
    }
    json_array_foreach (all, i, list) {
        print_line(list);
        if (what)
            print_details(list);
    }
    if (!json_array_size(all) && !what)
        puts("no mailing lists");
}

int cli_list(int argc, char **argv)
{
    struct answers a = { 0 };
    struct cli_common common;
    const char *what = NULL;
    int code;

    cli_common_init(&common);
    for (int i = 1; i < argc; i++) {
        int taken = cli_common_option(&common, argc, argv, &i);

        if (taken < 0)
            return EX_USAGE;
        if (taken)
            continue;
        if (what || argv[i][0] == '-')
            return cli_usage("list", "say \"list\" or \"list NAME\", and --json if you like");
        what = argv[i];
    }
    a.all = json_array();
    code = ask_all(&common, what, &a);
    if (!code)
        print(&common, what, a.all);
    if (!code && what && !json_array_size(a.all))
        code = cli_error(EX_NOUSER, "there is no list \"%s\"; \"postern list\" shows all", what);
    json_decref(a.all);
    return code;
}
