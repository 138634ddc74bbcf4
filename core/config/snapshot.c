/* config/snapshot.c: the bytes of a configuration as they are at one moment.
 *
 * The supervisor validates a snapshot and gives the very same one to its workers, also to those
 * that replace a crashed one days later, while an operator may be half way through editing the
 * files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/load.h"

#define SNAPSHOT_MAGIC 0x50534e31u

static void add_file(void *ctx, const char *file, const char *text, size_t len)
{
    struct buf *b = ctx;

    buf_put_str(b, file);
    buf_put_u32(b, (uint32_t)len);
    buf_add(b, text, len);
}

int config_snapshot(const char *dir, const char *state, struct buf *ret,
                    struct config_errors *errors)
{
    int any = !dir, r = 0;

    buf_put_u32(ret, SNAPSHOT_MAGIC);
    buf_put_str(ret, dir ? dir : CONFIG_BUILT_IN);
    buf_put_str(ret, state);
    if (dir)
        r = config_read_folder(dir, add_file, ret, errors, &any);
    return r;
}

static char *read_string(struct rd *in)
{
    size_t len;
    const char *s = rd_bytes(in, &len);

    return mem_strndup(s, len);
}

static void load_files(struct config_loader *l, struct rd *in)
{
    while (!in->bad && in->p < in->end) {
        char *file = read_string(in), *copy;
        size_t len;
        const char *text = rd_bytes(in, &len);

        copy = mem_strndup(text, len); /* the parser wants a NUL behind it */
        if (!in->bad)
            config_loader_add(l, file, copy, len);
        free(copy);
        free(file);
    }
}

int config_load_snapshot(const void *data, size_t len, struct config **ret,
                         struct config_errors *errors)
{
    struct rd in = rd_of(data, len);
    size_t before = errors->n;
    char *source, *state;
    struct config_loader *l;

    *ret = NULL;
    if (rd_u32(&in) != SNAPSHOT_MAGIC)
        return -EBADMSG;
    source = read_string(&in);
    state = read_string(&in);
    l = config_loader_new(source, errors);
    load_files(l, &in);
    *ret = config_loader_finish(l, *state ? state : NULL);
    free(source);
    free(state);
    return in.bad ? -EBADMSG : errors->n > before ? -EINVAL : 0;
}
