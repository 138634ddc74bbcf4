/* Addresses that go through Message Router: what VMS mailers must know of them to leave them alone,
 * to shorten them (UCX$SMTP_REWRITE_MTS_FROM), and to spare old versions of it long senders
 * (UCX$SMTP_MTS_ALLIN1). The terms themselves are Message Router's own. */
#include "address/foreign.h"

#include <strings.h>

/* The next "::" term, without quotes around it: "SITE, then A1, then USER" of "SITE::A1::USER".
 * What is quoted is not skipped, for Message Router's part of the road stands in quotes. */
static const char *next_term(const char **p, const char *end, size_t *ret_len)
{
    const char *term = *p, *colons = memmem(term, (size_t)(end - term), "::", 2);
    const char *stop = colons ? colons : end;

    *p = colons ? colons + 2 : NULL;
    while (term < stop && *term == '"')
        term++;
    while (stop > term && stop[-1] == '"')
        stop--;
    *ret_len = (size_t)(stop - term);
    return term;
}

int postern_address_is_mts(const struct postern_address_site *site, const char *text, size_t len)
{
    const char *mrgate = site && site->mrgate ? site->mrgate : "MRGATE";
    const char *p = text;

    while (p) {
        size_t n;
        const char *term = next_term(&p, text + len, &n);

        /* The last one is a user, not a hop. */
        if (p && n == strlen(mrgate) && strncasecmp(term, mrgate, n) == 0)
            return 1;
    }
    return 0;
}

size_t mts_user(const struct postern_address_site *site, const char *text, size_t len,
                const char **ret)
{
    const char *p = text, *user = text;
    size_t n = 0;

    if (!postern_address_is_mts(site, text, len))
        return 0;
    while (p)
        user = next_term(&p, text + len, &n);
    *ret = user;
    return address_is_simple(user, n) ? n : 0;
}

int postern_address_vms_from(const struct postern_address_site *site, const char *sender,
                             size_t sender_len, const char *rcpt, size_t rcpt_len, char *buf,
                             size_t size, const char **reterr_why)
{
    const char *account = site && site->account ? site->account : "UCX_SMTP";
    struct out o = { (char *)account, strlen(account), strlen(account) + 1, 0 };

    if (!postern_address_is_mts(site, rcpt, rcpt_len) ||
        (site && (site->flags & POSTERN_SITE_MTS_ALLIN1)))
        return postern_address_jacket(site, sender, sender_len, buf, size, reterr_why);
    return address_give(site, "vms-from.account", sender, sender_len, &o, buf, size, reterr_why);
}
