/* plugin/vet.h: is a descriptor what it says it is? Private to core/plugin/. */
#ifndef PLUGIN_VET_H
#define PLUGIN_VET_H

#include <stddef.h>

#include <postern/plugin.h>

#define PLUGIN_SETTINGS_MAX ((size_t)1 << 20) /* bytes of a settings struct                */
#define PLUGIN_STRUCT_MAX   ((size_t)1 << 16) /* bytes of a descriptor, or of an ops struct */
#define PLUGIN_SUMMARY_MAX  200u              /* bytes of a summary                        */
#define PLUGIN_PARAMS_MAX   64u               /* names in a list of params, and its end    */

/* Looks at data only; no plugin code runs. name: what the module is called. 0, or -EINVAL with a
 * sentence in why. */
int plugin_vet(const struct postern_plugin *p, const char *name, char *why, size_t why_size);

#endif
