/* The cent-sign hack. VMS MAIL (before V7) takes an Internet address only in quotes, and takes no
 * quotes inside of quotes; so UCX wrote each one as a cent sign, and read it back on replies. Users
 * may type the sign themselves. It is 0xA2 in DEC MCS and Latin-1, U+00A2 elsewhere. */
#include "address/foreign.h"
#include "address/utf8.h"

#define CENT_UTF8   "\xc2\xa2"
#define CENT_LATIN1 ((char)0xa2)

int postern_address_mask(const struct postern_address_site *site, const char *text, size_t len,
                         char *buf, size_t size, const char **reterr_why)
{
    const int latin1 = site && (site->flags & POSTERN_SITE_LATIN1);
    char made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);

    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_char(text + i, len - i);
        if (n == 0)
            return address_refuse(reterr_why, "this is not valid UTF-8");
        if (n == 2 && memcmp(text + i, CENT_UTF8, 2) == 0)
            return address_refuse(reterr_why,
                                  "a cent sign in the address can't be told from a masked quote");
        if (n > 1 && latin1)
            return address_refuse(reterr_why, "only ASCII can be masked for Latin-1");
        if (text[i] != '"')
            out_text(&o, text + i, n);
        else if (latin1)
            out_char(&o, CENT_LATIN1);
        else
            out_text(&o, CENT_UTF8, 2);
    }
    return address_give(site, "cent.mask", text, len, &o, buf, size, reterr_why);
}

/* A byte 0xA2 inside of a well-formed character ("a with circumflex" ends in one) is no sign. */
int postern_address_unmask(const struct postern_address_site *site, const char *text, size_t len,
                           char *buf, size_t size, const char **reterr_why)
{
    char made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);

    for (size_t i = 0, n; i < len; i += n) {
        int cent;

        n = utf8_char(text + i, len - i);
        cent = n == 0 ? text[i] == CENT_LATIN1 : n == 2 && memcmp(text + i, CENT_UTF8, 2) == 0;
        if (n == 0)
            n = 1;
        if (cent)
            out_char(&o, '"');
        else
            out_text(&o, text + i, n);
    }
    return address_give(site, "cent.unmask", text, len, &o, buf, size, reterr_why);
}
