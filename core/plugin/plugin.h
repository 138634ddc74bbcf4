/* plugin/plugin.h: finding, vetting and listing plugins. Running them is plugin/host.h. */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include "config/config.h"

/* What came later than minor 0. */
static inline const struct postern_directory_ops *plugin_directory(const struct postern_plugin *p)
{
    return POSTERN_HAS(p, directory) ? p->directory : NULL;
}

/* The folders searched: POSTERN_PLUGIN_PATH (colon list) if set, else PLUGINDIR. */
struct plugin_catalog;

struct plugin_catalog *plugin_catalog_new(void);
void                   plugin_catalog_free(struct plugin_catalog **c); /* unloads nothing */
const char *plugin_folder(const struct plugin_catalog *c, size_t i); /* of those; NULL: no more */

/* Loads module `name` (RTLD_NOW | RTLD_LOCAL through libltdl) and vets its descriptor before any
 * plugin code runs: ABI version, sizes, names, option table. 0; -ENOENT no such file; -EINVAL
 * refused; the reason in words in why ("built for plugin ABI 2, this is postern 0.1.0 with ABI 1:
 * rebuild it"). */
int plugin_load(struct plugin_catalog *c, const char *name, const struct postern_plugin **ret,
                const char **ret_path, char *why, size_t why_size);

/* Loads the plugin of each instance, fills in and checks its settings. Errors are added. */
int plugin_resolve(struct plugin_catalog *c, struct config *cfg, struct config_errors *errors);

/* Everything that is there, loaded or refused, sorted by name. */
struct plugin_listed {
    const char                  *name, *path;
    const struct postern_plugin *descriptor; /* NULL: refused */
    const char                  *refused;    /* why */
};
size_t plugin_list(struct plugin_catalog *c, const struct plugin_listed **ret);

#endif
