/* A recipient, taken apart for those who deliver finally. */
#include <postern/delivery.h>

#include <errno.h>
#include <string.h>

int postern_recipient_parse(const char *address, const char *delimiters,
                            struct postern_recipient *ret, const char **reterr_why)
{
    struct postern_address a = { .size = sizeof a };
    struct postern_recipient r = { .size = sizeof r };
    const char *cut;
    size_t user;
    int n;

    if (postern_address_parse(address, strlen(address), POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE,
                              &a, reterr_why) < 0)
        return -EINVAL;
    n = postern_address_unquote(a.local, a.local_len, r.local, sizeof r.local);
    if (n < 0 || memchr(r.local, 0, (size_t)n) || a.domain_len >= sizeof r.domain) {
        *reterr_why = n < 0 ? "the local part is too long" : "there is a NUL character in it";
        return -EINVAL;
    }
    if (a.domain)
        memcpy(r.domain, a.domain, a.domain_len);
    /* A delimiter in the first place begins no extension: then there would be no user. */
    cut = *r.local && delimiters && *delimiters ? strpbrk(r.local + 1, delimiters) : NULL;
    user = cut ? (size_t)(cut - r.local) : (size_t)n;
    memcpy(r.user, r.local, user);
    if (cut)
        memcpy(r.extension, cut + 1, strlen(cut + 1) + 1);
    *ret = r;
    return 0;
}
