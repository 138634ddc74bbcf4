/* Addresses printed: one way for all that mean the same. */
#include <postern/mail.h>

#include <errno.h>
#include <string.h>

#include "address/foreign.h"

static int put_domain(struct out *o, const char *domain, size_t len, uint32_t flags)
{
    char ascii[ADDRESS_DOMAIN_MAX + 1];
    int n;

    if (!(flags & POSTERN_PRINT_ASCII)) {
        out_text(o, domain, len);
        return 0;
    }
    n = postern_domain_to_ascii(domain, len, ascii, sizeof ascii);
    if (n < 0)
        return -EINVAL;
    out_text(o, ascii, (size_t)n);
    return 0;
}

/* "@a,@b:" */
static int put_route(struct out *o, const char *route, size_t len, uint32_t flags)
{
    const char *end = route + len;

    while (route < end) {
        const char *comma = memchr(route, ',', (size_t)(end - route));
        const char *stop = comma ? comma : end;

        out_char(o, '@');
        if (route == stop || put_domain(o, route + 1, (size_t)(stop - route - 1), flags) < 0)
            return -EINVAL;
        out_char(o, comma ? ',' : ':');
        route = comma ? comma + 1 : end;
    }
    return 0;
}

/* Quotes that need not be are left away, but not those that keep a '%' or a '!' from being
 * taken for a road: "DSN%X"@a is not DSN%X@a to a host that knows the %-hack. */
static int print_local(const struct postern_address *a, const char *plain, size_t len, char *buf,
                       size_t size)
{
    struct out o = out_to(buf, size);
    int kind = address_plain_kind(plain, len);

    if (kind != 1 || !(a->flags & POSTERN_ADDRESS_QUOTED) || address_is_simple(plain, len))
        return postern_address_quote(plain, len, buf, size);
    out_char(&o, '"');
    out_text(&o, plain, len); /* a dot-string has nothing to escape */
    out_char(&o, '"');
    return out_end(&o);
}

int postern_address_print(const struct postern_address *a, uint32_t flags, char *buf, size_t size)
{
    struct out o = out_to(buf, size);
    char plain[POSTERN_LOCAL_MAX + 1], local[2 * POSTERN_LOCAL_MAX + 3];
    int n = postern_address_unquote(a->local, a->local_len, plain, sizeof plain);

    if (n >= 0)
        n = print_local(a, plain, (size_t)n, local, sizeof local);
    if (n < 0)
        return -EINVAL;
    if ((flags & POSTERN_PRINT_ROUTE) && a->route &&
        put_route(&o, a->route, a->route_len, flags) < 0)
        return -EINVAL;
    out_text(&o, local, (size_t)n);
    if (a->domain) {
        out_char(&o, '@');
        if (put_domain(&o, a->domain, a->domain_len, flags) < 0)
            return -EINVAL;
    }
    return out_end(&o);
}

uint32_t postern_address_hacks(const struct postern_address *a)
{
    uint32_t hacks = a->route ? POSTERN_HACK_ROUTE : 0;

    if (a->flags & POSTERN_ADDRESS_QUOTED)
        return hacks;
    if (memchr(a->local, '%', a->local_len))
        hacks |= POSTERN_HACK_PERCENT;
    if (memchr(a->local, '!', a->local_len))
        hacks |= POSTERN_HACK_BANG;
    return hacks;
}
