/* config/snapshot.c: the bytes of a configuration as they are at one moment.
 *
 * The supervisor validates a snapshot and gives the very same one to its workers, also to those
 * that replace a crashed one days later, while an operator may be half way through editing the
 * files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/load.h"

#define SNAPSHOT_MAGIC 0x50534e32u

enum part { PART_FILE = 1, PART_KEPT }; /* of conf.d, which comes first; what config.h calls kept */

static void add_part(struct buf *b, enum part part, const char *file, const char *text, size_t len)
{
    buf_put_u8(b, (uint8_t)part);
    buf_put_str(b, file);
    buf_put_u32(b, (uint32_t)len);
    buf_add(b, text, len);
}

static void add_file(void *ctx, const char *file, const char *text, size_t len)
{
    add_part(ctx, PART_FILE, file, text, len);
}

void config_snapshot_kept(const struct config *cfg, struct buf *out)
{
    for (const struct config_kept *k = cfg->kept; k; k = k->next)
        add_part(out, PART_KEPT, k->path, k->text, k->len);
}

int config_snapshot_write(int fd, const struct buf *bytes)
{
    for (size_t at = 0; at < bytes->len;) {
        ssize_t n = write(fd, bytes->data + at, bytes->len - at);

        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
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

static void load_file(struct config_loader *l, struct rd *in)
{
    char *file = read_string(in), *copy;
    size_t len;
    const char *text = rd_bytes(in, &len);

    copy = mem_strndup(text, len); /* the parser wants a NUL behind it */
    if (!in->bad)
        config_loader_add(l, file, copy, len);
    free(copy);
    free(file);
}

static void load_kept(struct config *cfg, struct rd *in)
{
    char *file = read_string(in);
    size_t len;
    const char *text = rd_bytes(in, &len);

    if (!in->bad)
        config_keep(cfg, file, text, len);
    free(file);
}

static int next_is(const struct rd *in, enum part part)
{
    return !in->bad && in->p < in->end && *in->p == (unsigned char)part;
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
    while (next_is(&in, PART_FILE)) {
        rd_u8(&in);
        load_file(l, &in);
    }
    *ret = config_loader_finish(l, *state ? state : NULL);
    while (next_is(&in, PART_KEPT)) {
        rd_u8(&in);
        load_kept(*ret, &in);
    }
    in.bad |= in.p < in.end;
    free(source);
    free(state);
    return in.bad ? -EBADMSG : errors->n > before ? -EINVAL : 0;
}
