/* SMTPfication and its inverse: any foreign address becomes the local part of an address here, with
 * the road that the mail took kept inside, so that replies find back by whatever transport it was.
 * The recipe is UCX's; it escaped only quotes, though, and lost a backslash on the way back: both
 * are escaped here (RFC 5321 4.1.2 quoted-pair). */
#include "address/foreign.h"

/* --- there --- */

static int put_at_domain(const struct postern_address_site *site, const char *local, size_t len,
                         const char *domain, char *buf, size_t size, const char **reterr_why)
{
    char made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);

    out_text(&o, local, len);
    out_char(&o, '@');
    out_text(&o, domain, strlen(domain));
    return address_give_parsed(site, "smtpfy.domain", local, len, POSTERN_ADDRESS_UTF8, &o, buf,
                               size, reterr_why);
}

static int put_quoted(const struct postern_address_site *site, const char *text, size_t len,
                      const char *domain, char *buf, size_t size, const char **reterr_why)
{
    char escaped[POSTERN_LOCAL_MAX + 1], quoted[POSTERN_LOCAL_MAX + 1];
    struct out o = out_to(escaped, sizeof escaped), q = out_to(quoted, sizeof quoted);

    if (address_plain_kind(text, len) < 0)
        return address_refuse(reterr_why,
                              "control characters and what is not UTF-8 can't be in an address");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            out_char(&o, '\\');
        out_char(&o, text[i]);
    }
    out_char(&q, '"');
    out_text(&q, escaped, o.len);
    out_char(&q, '"');
    if (o.full || q.full)
        return address_refuse(reterr_why, "the local part would become too long");
    if (o.len > len)
        address_step(site, "smtpfy.escape", text, len, escaped, o.len);
    address_step(site, "smtpfy.quote", escaped, o.len, quoted, q.len);
    return put_at_domain(site, quoted, q.len, domain, buf, size, reterr_why);
}

/* UCX$SMTP_REWRITE_MTS_FROM: replies to USER come here, and his forwarding sends them on. */
static int put_mts_user(const struct postern_address_site *site, const char *text, size_t len,
                        const char *domain, char *buf, size_t size, const char **reterr_why)
{
    const char *user;
    size_t n = mts_user(site, text, len, &user);

    if (n == 0)
        return 0;
    if ((site->flags & POSTERN_SITE_MTS_HOST) && site->host)
        domain = site->host;
    address_step(site, "smtpfy.mts-user", text, len, user, n);
    return put_at_domain(site, user, n, domain, buf, size, reterr_why);
}

int postern_address_smtpfy(const struct postern_address_site *site, const char *text, size_t len,
                           char *buf, size_t size, const char **reterr_why)
{
    const char *domain = address_site_domain(site);
    int r = 0;

    if (len == 0)
        return address_refuse(reterr_why, "the address is empty");
    if (!domain)
        return address_refuse(reterr_why, "neither a substitute domain nor a host name is known");
    if (decnet_has_access(text, len))
        return address_refuse(reterr_why, "there is a password in it: NODE\"user password\"::");
    if (site->flags & POSTERN_SITE_REWRITE_MTS)
        r = put_mts_user(site, text, len, domain, buf, size, reterr_why);
    if (r != 0)
        return r;
    r = decnet_hide(site, text, len, buf, size);
    if (r != -EINVAL)
        return r;
    if (address_is_simple(text, len))
        return put_at_domain(site, text, len, domain, buf, size, reterr_why);
    return put_quoted(site, text, len, domain, buf, size, reterr_why);
}

/* --- and back --- */

/* The local part as it was before smtpfy: 0 or -errno. */
static int take_quotes_off(const struct postern_address_site *site, const struct postern_address *a,
                           struct out *plain)
{
    const char *inner = a->local + 1;
    size_t inner_len = a->local_len - 2;
    int n = postern_address_unquote(a->local, a->local_len, plain->buf, plain->size);

    if (n < 0)
        return n;
    plain->len = (size_t)n;
    if (!(a->flags & POSTERN_ADDRESS_QUOTED))
        return 0;
    address_step(site, "unsmtpfy.quotes", a->local, a->local_len, inner, inner_len);
    if (inner_len > plain->len)
        address_step(site, "unsmtpfy.escapes", inner, inner_len, plain->buf, plain->len);
    return 0;
}

int postern_address_unsmtpfy(const struct postern_address_site *site, const char *text, size_t len,
                             char *buf, size_t size, const char **reterr_why)
{
    struct postern_address a;
    char made[POSTERN_LOCAL_MAX + 1];
    struct out o = out_to(made, sizeof made);
    int r = postern_address_parse(text, len, POSTERN_ADDRESS_UTF8, &a, reterr_why);

    if (r < 0)
        return r;
    if (address_site_has(site, a.domain, a.domain_len)) {
        address_step(site, "unsmtpfy.domain", text, len, a.local, a.local_len);
        r = take_quotes_off(site, &a, &o);
        if (r < 0)
            return r;
        if (o.len == 0)
            return address_refuse(reterr_why, "the local part is empty");
        if (o.len >= size)
            return -ENOBUFS;
        memcpy(buf, made, o.len);
        buf[o.len] = 0;
        return (int)o.len;
    }
    r = site ? decnet_unhide(site, text, len, &a, buf, size, reterr_why) : -ENOENT;
    if (r == -ENOENT && reterr_why)
        *reterr_why = "the domain is neither ours nor below the DECnet domain";
    return r;
}
