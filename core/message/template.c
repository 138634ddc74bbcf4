/* Text with placeholders. One pass: what a value brings is never looked at again, so that nobody
 * outside can put a placeholder into somebody else's template. */
#include <postern/delivery.h>

#include <errno.h>
#include <string.h>

struct out {
    char *buf;
    size_t size, len; /* of buf; the NUL has its place kept */
};

static int put(struct out *o, const char *text, size_t len)
{
    if (!o->buf)
        return 0;
    if (len >= o->size - o->len)
        return -ENOBUFS;
    memcpy(o->buf + o->len, text, len);
    o->len += len;
    return 0;
}

/* The placeholder at p ("{..."). Bytes of it, or -errno. */
static int one(const char *p, postern_template_cb *value, void *ctx, struct out *o)
{
    char name[POSTERN_TEMPLATE_NAME_MAX], thrown_away[4096], *argument;
    const char *end = strchr(p, '}');
    size_t len = end ? (size_t)(end - p - 1) : 0;
    int n;

    if (!len || len >= sizeof name)
        return -EINVAL;
    memcpy(name, p + 1, len);
    name[len] = '\0';
    argument = strchr(name, ':');
    if (argument)
        *argument++ = '\0';
    if (!o->buf) {
        n = value(ctx, name, argument, thrown_away, sizeof thrown_away);
        return n < 0 ? n : (int)len + 2;
    }
    n = value(ctx, name, argument, o->buf + o->len, o->size - o->len - 1);
    if (n < 0 || (size_t)n >= o->size - o->len)
        return n < 0 ? n : -ENOBUFS;
    o->len += (size_t)n;
    return (int)len + 2;
}

int postern_template_expand(const char *text, postern_template_cb *value, void *ctx, char *buf,
                            size_t size, const char **reterr_at)
{
    struct out o = { .buf = buf, .size = size };
    const char *p = text;
    int r = buf && !size ? -ENOBUFS : 0;

    while (!r && *p) {
        size_t plain = strcspn(p, "{");

        if (plain) {
            r = put(&o, p, plain);
            p += r ? 0 : plain;
        } else if (p[1] == '{') {
            r = put(&o, "{", 1);
            p += r ? 0 : 2;
        } else {
            int n = one(p, value, ctx, &o);

            r = n < 0 ? n : 0;
            p += n < 0 ? 0 : n;
        }
    }
    if (r < 0) {
        if (reterr_at)
            *reterr_at = p;
        return r;
    }
    if (buf)
        buf[o.len] = '\0';
    return (int)o.len;
}
