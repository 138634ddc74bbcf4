/* UUCP's bang paths (RFC 976): "b!c!user@a" goes to a, then to b, then to c, where the user is: '@'
 * binds first. Nobody agrees about paths that mix '!' and '%', so those are refused. */
#include "address/foreign.h"

/* "c!user" of "b!c!user": the hosts before the user, the last first. */
static void put_path(struct out *o, const char *path, size_t len, int last_is_domain)
{
    const char *bang = memrchr(path, '!', len);

    out_text(o, bang + 1, len - (size_t)(bang + 1 - path));
    while (bang) {
        const char *before = memrchr(path, '!', (size_t)(bang - path));
        const char *host = before ? before + 1 : path;

        out_char(o, !before && last_is_domain ? '@' : '%');
        out_text(o, host, (size_t)(bang - host));
        bang = before;
    }
}

int postern_address_bang_to_percent(const struct postern_address_site *site, const char *text,
                                    size_t len, char *buf, size_t size, const char **reterr_why)
{
    struct postern_address a;
    struct address_fault fault = { NULL, 0 };
    char made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);
    uint32_t hacks;
    int r = postern_address_parse(text, len, ADDRESS_ANY, &a, reterr_why);

    if (r < 0)
        return r;
    hacks = postern_address_hacks(&a);
    if (!(hacks & POSTERN_HACK_BANG))
        return address_refuse(reterr_why, "there is no bang path in it: expected \"host!user\"");
    if (hacks != POSTERN_HACK_BANG)
        return address_refuse(reterr_why,
                              "a bang path with a %-hack or a source route has no one meaning");
    for (const char *p = a.local, *end = a.local + a.local_len, *bang;
         (bang = memchr(p, '!', (size_t)(end - p))); p = bang + 1) {
        if (address_domain_check(p, (size_t)(bang - p), POSTERN_ADDRESS_UTF8, &fault) < 0)
            return address_refuse(reterr_why, "what stands before a '!' is no host");
    }
    if (a.local[a.local_len - 1] == '!')
        return address_refuse(reterr_why, "the user is missing: expected \"host!user\"");
    put_path(&o, a.local, a.local_len, !a.domain);
    if (a.domain) {
        out_char(&o, '@');
        out_text(&o, a.domain, a.domain_len);
    }
    return address_give_parsed(site, "bang.to-percent", text, len, POSTERN_ADDRESS_UTF8, &o, buf,
                               size, reterr_why);
}
