/* config/schema.h: the option tables as a JSON Schema (draft-07, which editors know best), so that
 * an editor completes and checks what an operator writes. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <jansson.h>

#include <postern/option.h>

struct config_schema_plugin { /* everything is borrowed during the call */
    const char *name, *summary;
    int ingress, transport, directory; /* bool: where it may stand         */
    const struct postern_option *table; /* NULL: it takes no settings       */
    size_t step;
};

/* The schema of a file of conf.d: our sections, and instances of these plugins, which are sorted
 * by name. New reference. */
json_t *config_schema(const struct config_schema_plugin *plugins, size_t n);

#endif
