/* filter.c: see filter.h. */
#include "filter.h"

#include <errno.h>
#include <string.h>

#include <postern/delivery.h>

/* RFC 4515 3: these five must be escaped; controls and what is not ASCII may be, and so nobody's
 * idea of UTF-8 matters. */
static int must_escape(unsigned char c)
{
    return c < 0x20 || c >= 0x7f || strchr("*()\\", c) != NULL;
}

static int escape(const char *text, char *buf, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (n + 3 > size)
            return -ENOBUFS;
        if (must_escape(c)) {
            buf[n++] = '\\';
            buf[n++] = hex[c >> 4];
            buf[n++] = hex[c & 15];
        } else {
            buf[n++] = (char)c;
        }
    }
    return (int)n;
}

static int placeholder(void *ctx, const char *name, const char *argument, char *buf, size_t size)
{
    const struct filter_values *v = ctx;

    if (argument)
        return -ENOENT;
    if (strcmp(name, "key") == 0)
        return escape(v->key, buf, size);
    if (strcmp(name, "local") == 0)
        return escape(v->local, buf, size);
    if (strcmp(name, "domain") == 0)
        return escape(v->domain, buf, size);
    return -ENOENT;
}

int filter_expand(const char *text, const struct filter_values *v, char *buf, size_t size)
{
    int r = postern_template_expand(text, placeholder, (void *)v, buf, size, NULL);

    return r == -ENOENT ? -EINVAL : r;
}
