/* config/load.h: the steps of config_load, for who has the texts already (tests, the fuzzer). */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/config.h"

#define CONFIG_FILE_MAX      (16u << 20) /* bytes of one file                    */
#define CONFIG_BYTES_MAX     (64u << 20) /* bytes of all files                   */
#define CONFIG_FILES_MAX     1024u       /* files                                */
#define CONFIG_NESTING_MAX   32u         /* brackets inside brackets             */
#define CONFIG_INSTANCES_MAX 256u        /* plugin instances, of both kinds      */

#define CONFIG_BUILT_IN "(built in)"

/* At the top of a file: names its JSON Schema, for editors (config/schema.h). */
#define CONFIG_SCHEMA_KEY "$schema"

struct config_loader;

/* source: the folder, or CONFIG_BUILT_IN. errors is borrowed until config_loader_finish. */
struct config_loader *config_loader_new(const char *source, struct config_errors *errors);
/* Parses one file's text, which is followed by a NUL, and merges it. What is wrong is added to
 * errors; the rest of the file counts. */
void config_loader_add(struct config_loader *l, const char *file, const char *text, size_t len);
/* Adds the defaults, fills and verifies the sections. Consumes the loader. Never NULL. */
struct config *config_loader_finish(struct config_loader *l, const char *state);

/* --- between load.c and its neighbours --- */

/* The object in text, which is followed by a NUL, or NULL with the errors added (config/parse.c).
 * New reference. */
json_t *config_parse(const char *file, const char *text, size_t len, struct config_errors *errors);

/* The embedded defaults, with names and paths put in. hostname: as the operator said, or NULL. New
 * reference (config/defaults.c). */
json_t *config_defaults(const char *hostname, const char *state, struct config_errors *errors);

/* Gives each *.json file of a folder to `add`, in name order (config/confd.c). 0, or the first
 * -errno with which something could not be read, which has been added to errors; -ENOTDIR etc. of
 * the folder itself likewise. *ret_any: 1 when the folder could be read. */
typedef void config_file_cb(void *ctx, const char *file, const char *text, size_t len);
int config_read_folder(const char *dir, config_file_cb *add, void *ctx,
                       struct config_errors *errors, int *ret_any);

#endif
