/* config/sections.h: where the core sections live in struct config. Private to core/config/. */
#ifndef CONFIG_SECTIONS_H
#define CONFIG_SECTIONS_H

#include "config/config.h"

struct config_place {
    size_t offset, size; /* of the section's struct in struct config */
};
extern const struct config_place config_places[]; /* as many as config_sections, in its order */

/* The keys of an instance that are ours, not the plugin's. */
extern const char *const config_instance_keys[]; /* NULL ends */
extern const struct postern_option config_instance_table[]; /* load.c: the same, as a table */

/* routing.c: the section "routing". */
extern const struct postern_option config_routing_table[];

/* What the sections mean beyond what a table can say. Errors are added. */
struct config_origins;
void config_verify(const struct config *cfg, const struct config_origins *origins,
                   struct config_errors *errors);

#endif
