/* cli/plugin.c: `postern plugin`: what is there, and what it can be told. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "config/table.h"
#include "plugin/plugin.h"

#define KINDS_MAX 64u /* bytes of all names of capabilities */

static size_t kinds(const struct postern_plugin *p, const char *ret[3])
{
    size_t n = 0;

    if (p->ingress)
        ret[n++] = "ingress";
    if (p->transport)
        ret[n++] = "transport";
    if (plugin_directory(p))
        ret[n++] = "directory";
    return n;
}

static const char *kind(const struct postern_plugin *p, char *buf, size_t size)
{
    const char *v[3];
    size_t n = kinds(p, v), len = 0;

    for (size_t i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? ", " : "", v[i]);
    return buf;
}

static json_t *kinds_json(const struct postern_plugin *p)
{
    json_t *list = json_array();
    const char *v[3];
    size_t n = kinds(p, v);

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(v[i]));
    return list;
}

static json_t *plugin_json(const struct postern_plugin *p, const char *path)
{
    char abi[32];

    snprintf(abi, sizeof abi, "%u.%u", p->abi_major, p->abi_minor);
    return json_pack("{s:o, s:o, s:o, s:o, s:s, s:o}", "name", config_text_json(p->name), "version",
                     config_text_json(p->version), "summary", config_text_json(p->summary), "path",
                     config_text_json(path), "abi", abi, "capabilities", kinds_json(p));
}

static json_t *listed_json(const struct plugin_listed *l)
{
    if (l->descriptor)
        return plugin_json(l->descriptor, l->path);
    return json_pack("{s:s, s:o, s:o}", "name", l->name, "path", config_text_json(l->path),
                     "refused", config_text_json(l->refused));
}

static void print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(value);
}

static int list(const struct cli_common *common, struct plugin_catalog *catalog)
{
    const struct plugin_listed *l;
    size_t n = plugin_list(catalog, &l);
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++) {
        const struct postern_plugin *p = l[i].descriptor;
        char offers[KINDS_MAX];

        if (common->json)
            json_array_append_new(all, listed_json(&l[i]));
        else if (p)
            printf("%-20s %-10s %-10s %s\n", p->name, p->version, kind(p, offers, sizeof offers),
                   p->summary);
        else
            printf("%-20s refused: %s: %s\n", l[i].name, l[i].path, l[i].refused);
    }
    if (common->json)
        print_json(json_incref(all));
    json_decref(all);
    return EX_OK;
}

static void print_info(const struct postern_plugin *p, const char *path)
{
    struct buf text = { 0 };
    char offers[KINDS_MAX];

    printf("%s %s: %s\n\n", p->name, p->version, p->summary);
    printf("offers:  %s\nABI:     %u.%u\nfile:    %s\n\n", kind(p, offers, sizeof offers),
           p->abi_major, p->abi_minor, path);
    if (p->options)
        config_table_text(p->options, p->option_size, &text);
    if (text.len)
        printf("options:\n%s", text.data);
    else
        printf("options: none\n");
    buf_free(&text);
}

static int info(const struct cli_common *common, struct plugin_catalog *catalog, const char *name)
{
    const struct postern_plugin *p;
    const char *path;
    char why[512];

    if (plugin_load(catalog, name, &p, &path, why, sizeof why) < 0)
        return cli_error(EX_UNAVAILABLE, "%s", why);
    if (common->json) {
        json_t *r = plugin_json(p, path);

        json_object_set_new(r, "options",
                            p->options ? config_table_json(p->options, p->option_size)
                                       : json_array());
        print_json(r);
    } else {
        print_info(p, path);
    }
    return EX_OK;
}

static int usage(void)
{
    return cli_usage("plugin",
                     "say \"plugin list\" or \"plugin info NAME\", and --json if you like");
}

int cli_plugin(int argc, char **argv)
{
    const char *words[2] = { NULL, NULL };
    struct plugin_catalog *catalog;
    struct cli_common common;
    int n = 0, r;

    cli_common_init(&common);
    for (int i = 1; i < argc; i++) {
        int taken = cli_common_option(&common, argc, argv, &i);

        if (taken < 0)
            return EX_USAGE;
        if (taken)
            continue;
        if (n == 2 || argv[i][0] == '-')
            return usage();
        words[n++] = argv[i];
    }
    if (!n || strcmp(words[0], n == 1 ? "list" : "info"))
        return usage();
    catalog = plugin_catalog_new();
    r = n == 1 ? list(&common, catalog) : info(&common, catalog, words[1]);
    plugin_catalog_free(&catalog);
    return r;
}
