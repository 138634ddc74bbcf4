/* Two ways to name the road in the address: RFC 821's source route "@a,@b:user@c", deprecated
 * by RFC 5321 appendix C, and the %-hack "user%c%b@a" that nobody ever standardised. Both go to
 * a, then to b, then to the user at c. Only an unquoted local part is looked into: quotes make
 * it the last host's own affair (RFC 5321 2.3.11). */
#include "address/foreign.h"

/* A host of the road, without the final dot that could not stand before a '%'. */
static void put_host(struct out *o, const char *host, size_t len)
{
    out_text(o, host, len > 0 && host[len - 1] == '.' ? len - 1 : len);
}

int postern_address_route_to_percent(const struct postern_address_site *site, const char *text,
                                     size_t len, char *buf, size_t size, const char **reterr_why)
{
    struct postern_address a;
    char made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);
    size_t rest;
    int r = postern_address_parse(text, len, POSTERN_ADDRESS_UTF8, &a, reterr_why);

    if (r < 0)
        return r;
    if (!a.route)
        return address_refuse(reterr_why, "there is no source route in it: expected \"@a,@b:\"");
    if (a.flags & POSTERN_ADDRESS_QUOTED)
        return address_refuse(reterr_why, "a quoted local part can't take the %-hack");
    out_text(&o, a.local, a.local_len);
    out_char(&o, '%');
    put_host(&o, a.domain, a.domain_len);
    for (rest = a.route_len; rest > 0;) {
        const char *at = memrchr(a.route, '@', rest);
        size_t host = (size_t)(at + 1 - a.route);

        out_char(&o, at == a.route ? '@' : '%');
        put_host(&o, at + 1, rest - host);
        rest = host > 2 ? host - 2 : 0; /* without the ',' before this one's '@' */
    }
    return address_give_parsed(site, "route.to-percent", text, len, POSTERN_ADDRESS_UTF8, &o, buf,
                               size, reterr_why);
}

/* Parses what may have the %-hack in it. 0, or -EINVAL. */
static int parse_hack(const char *text, size_t len, struct postern_address *ret,
                      const char **reterr_why)
{
    int r = postern_address_parse(text, len, POSTERN_ADDRESS_UTF8, ret, reterr_why);

    if (r == 0 && !(postern_address_hacks(ret) & POSTERN_HACK_PERCENT))
        return address_refuse(reterr_why, "there is no %-hack in it: expected \"user%host@relay\"");
    return r;
}

/* Cuts the last "%host" off the local part. 0, or -EINVAL: what follows the '%' is no host. */
static int cut_hop(const char *local, size_t *len, const char **ret_host, size_t *ret_host_len,
                   const char **reterr_why)
{
    const char *percent = memrchr(local, '%', *len);
    const char *host = percent + 1;
    size_t host_len = *len - (size_t)(host - local);
    struct address_fault fault = { NULL, 0 };

    if (address_domain_check(host, host_len, POSTERN_ADDRESS_UTF8, &fault) < 0)
        return address_refuse(reterr_why, "what follows a '%' is no domain");
    *ret_host = host;
    *ret_host_len = host_len;
    *len = (size_t)(percent - local);
    return 0;
}

int postern_address_percent_to_route(const struct postern_address_site *site, const char *text,
                                     size_t len, char *buf, size_t size, const char **reterr_why)
{
    struct postern_address a;
    char made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);
    const char *host;
    size_t left, host_len;
    int r = parse_hack(text, len, &a, reterr_why);

    if (r < 0)
        return r;
    if (a.route)
        return address_refuse(reterr_why, "it has both a source route and a %-hack");
    host = a.domain;
    host_len = a.domain_len;
    for (left = a.local_len; r == 0 && memchr(a.local, '%', left);) {
        out_char(&o, o.len ? ',' : '@');
        if (o.len > 1)
            out_char(&o, '@');
        out_text(&o, host, host_len);
        r = cut_hop(a.local, &left, &host, &host_len, reterr_why);
    }
    if (r < 0)
        return r;
    out_char(&o, ':');
    out_text(&o, a.local, left);
    out_char(&o, '@');
    out_text(&o, host, host_len);
    return address_give_parsed(site, "percent.to-route", text, len, POSTERN_ADDRESS_UTF8, &o, buf,
                               size, reterr_why);
}

int postern_address_percent_next(const struct postern_address_site *site, const char *text,
                                 size_t len, char *buf, size_t size, const char **reterr_why)
{
    struct postern_address a;
    char made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);
    const char *host;
    size_t left, host_len;
    int r = parse_hack(text, len, &a, reterr_why);

    if (r < 0)
        return r;
    left = a.local_len;
    r = cut_hop(a.local, &left, &host, &host_len, reterr_why);
    if (r < 0)
        return r;
    out_text(&o, a.local, left);
    out_char(&o, '@');
    out_text(&o, host, host_len);
    return address_give_parsed(site, "percent.next", text, len, POSTERN_ADDRESS_UTF8, &o, buf, size,
                               reterr_why);
}
