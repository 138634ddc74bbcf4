/* config/kept.c: text files that the configuration names, and that count as a part of it.
 *
 * Who validates a configuration reads them first, and hands them on behind the snapshot: a worker
 * that comes back days later has what was found good, whatever stands on the disk by then. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/read.h"
#include "util/cleanup.h"

static const struct config_kept *find(const struct config *cfg, const char *path)
{
    const struct config_kept *k = cfg->kept;

    while (k && strcmp(k->path, path) != 0)
        k = k->next;
    return k;
}

void config_keep(struct config *cfg, const char *path, const char *text, size_t len)
{
    struct config_kept *k = arena_alloc(cfg->arena, sizeof *k);

    *k = (struct config_kept){ cfg->kept, arena_strdup(cfg->arena, path),
                               arena_strndup(cfg->arena, text, len), len };
    cfg->kept = k;
}

void config_keep_files(struct config *cfg)
{
    const char *said_in = cfg->routing_at[CONFIG_AT_LOCAL_DOMAINS_FILES].file;
    const struct postern_strings *files = &cfg->routing.local_domains_files;

    for (size_t i = 0; i < files->n; i++) {
        const char *path = config_path_from(cfg->arena, said_in, files->v[i]);
        char *text AUTO_FREE = NULL;
        size_t len;

        /* What can't be read is told by who needs it. */
        if (!find(cfg, path) && config_read_file(AT_FDCWD, path, CONFIG_KEPT_MAX, &text, &len) == 0)
            config_keep(cfg, path, text, len);
    }
}

int config_read_kept(const struct config *cfg, const char *path, char **ret, size_t *ret_len)
{
    const struct config_kept *k = find(cfg, path);

    if (!k)
        return config_read_file(AT_FDCWD, path, CONFIG_KEPT_MAX, ret, ret_len);
    *ret = mem_alloc(k->len + 1);
    memcpy(*ret, k->text, k->len);
    (*ret)[k->len] = '\0';
    *ret_len = k->len;
    return 0;
}
