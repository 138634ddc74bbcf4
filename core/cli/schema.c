/* cli/schema.c: `postern check --schema`: what may stand in a file of conf.d, for editors. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "config/schema.h"
#include "plugin/plugin.h"
#include "util/mem.h"

/* One that is refused can't be configured either; the operator is told why it is not there. */
static size_t usable(const struct plugin_listed *l, size_t n, struct config_schema_plugin *ret)
{
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        const struct postern_plugin *p = l[i].descriptor;

        if (p)
            ret[used++] = (struct config_schema_plugin){
                .name = p->name,
                .summary = p->summary,
                .ingress = p->ingress != NULL,
                .transport = p->transport != NULL,
                .directory = plugin_directory(p) != NULL,
                .table = p->options,
                .step = p->option_size,
            };
        else
            fprintf(stderr, "postern: without the plugin %s: %s: %s\n", l[i].name, l[i].path,
                    l[i].refused);
    }
    return used;
}

int cli_schema(void)
{
    struct plugin_catalog *catalog = plugin_catalog_new();
    const struct plugin_listed *l;
    size_t n = plugin_list(catalog, &l);
    struct config_schema_plugin *plugins = mem_zalloc((n + 1) * sizeof *plugins);
    json_t *schema = config_schema(plugins, usable(l, n, plugins));
    int failed;

    json_dumpf(schema, stdout, JSON_INDENT(2));
    putchar('\n');
    failed = fflush(stdout) || ferror(stdout);
    json_decref(schema);
    free(plugins);
    plugin_catalog_free(&catalog);
    return failed ? cli_error(EX_IOERR, "cannot write the schema") : EX_OK;
}
