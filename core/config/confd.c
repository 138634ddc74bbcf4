/* config/confd.c: the files of a conf.d folder, in the order of their names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "config/engine.h"
#include "config/load.h"
#include "util/cleanup.h"

struct folder {
    const char *dir; /* as the operator wrote it, without a final slash */
    int fd;
    size_t bytes;
    config_file_cb *add;
    void *ctx;
    struct config_errors *errors;
};

/* Hidden files are what editors leave behind. */
static int is_ours(const struct dirent *d)
{
    size_t len = strlen(d->d_name);

    return d->d_name[0] != '.' && len > 5 && !strcmp(d->d_name + len - 5, ".json");
}

/* Not alphasort: the order must not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_one(struct folder *f, const char *name)
{
    char *path AUTO_FREE = mem_printf("%s/%s", f->dir, name), *text AUTO_FREE = NULL;
    size_t len;
    int r = config_read_file(f->fd, name, CONFIG_FILE_MAX, &text, &len);

    if (r == -EFBIG)
        config_error(f->errors, path, NULL, "can't be read: larger than %u MiB",
                     CONFIG_FILE_MAX >> 20);
    else if (r == -EINVAL || r == -EISDIR)
        config_error(f->errors, path, NULL, "can't be read: not a regular file");
    else if (r < 0)
        config_error(f->errors, path, NULL, "can't be read: %s", strerror(-r));
    if (r < 0)
        return r == -EINVAL ? -EISDIR : r; /* -EINVAL is for what was read and is wrong */
    if (len > CONFIG_BYTES_MAX - f->bytes) {
        config_error(f->errors, path, NULL,
                     "can't be read: with this file, there are more than %u MiB",
                     CONFIG_BYTES_MAX >> 20);
        return -EFBIG;
    }
    f->bytes += len;
    f->add(f->ctx, path, text, len);
    return 0;
}

static int read_all(struct folder *f, struct dirent **names, int n)
{
    int first = 0;

    if ((unsigned)n > CONFIG_FILES_MAX) {
        config_error(f->errors, f->dir, NULL, "can't be read: found %d files, expected at most %u",
                     n, CONFIG_FILES_MAX);
        return -EFBIG;
    }
    for (int i = 0; i < n; i++) {
        int r = read_one(f, names[i]->d_name);

        if (!first)
            first = r;
    }
    return first;
}

int config_read_folder(const char *dir, config_file_cb *add, void *ctx,
                       struct config_errors *errors, int *ret_any)
{
    char *trimmed AUTO_FREE = mem_strdup(dir);
    struct folder f = { .dir = trimmed, .fd = -1, .add = add, .ctx = ctx, .errors = errors };
    int fd AUTO_CLOSE = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent **names;
    int n, r;

    for (size_t len = strlen(trimmed); len > 1 && trimmed[len - 1] == '/'; len--)
        trimmed[len - 1] = '\0';
    n = fd < 0 ? -1 : scandirat(fd, ".", &names, is_ours, by_name);
    if (n < 0) {
        r = -errno;
        config_error(errors, trimmed, NULL, "can't be read as a folder of *.json files: %s",
                     strerror(-r));
        return r;
    }
    f.fd = fd;
    *ret_any = 1;
    r = read_all(&f, names, n);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return r;
}
