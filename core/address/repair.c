/* What relays that know nothing of VMS do to "A::MRGATE::\"B::C\""@domain (the UCX
 * documentation lists them): they take off the outer quotes, or the backslashes, or both. A
 * local part with "::" in it can have been nothing else, so it is put right; anything else that
 * does not parse stays refused. */
#include "address/foreign.h"

/* The foreign address in a damaged local part: its own quotes are there, no backslashes, nothing
 * around it. 0, or -EINVAL: its quotes do not pair. */
static int put_plain(struct out *o, const char *local, size_t len)
{
    unsigned quotes = 0;

    for (size_t i = 0; i < len; i++) {
        if (local[i] == '\\' && i + 1 < len && (local[i + 1] == '"' || local[i + 1] == '\\'))
            i++;
        quotes += local[i] == '"';
        out_char(o, local[i]);
    }
    return quotes % 2 ? -EINVAL : 0;
}

/* "smith%systm1::" is UCX's other way to hide a node: not to be had unquoted from any legal
 * address. It is SYSTM1::SMITH. */
static int put_percent_node(struct out *o, const char *local, size_t len)
{
    const char *percent = memrchr(local, '%', len);
    struct postern_decnet hop;
    size_t node;

    if (len < 4 || memcmp(local + len - 2, "::", 2) != 0 || !percent || memchr(local, '"', len) ||
        memmem(local, len - 2, "::", 2))
        return 0;
    node = len - (size_t)(percent + 1 - local);
    out_text(o, percent + 1, node);
    out_text(o, local, (size_t)(percent - local));
    return postern_decnet_split(o->buf, o->len, &hop, NULL) == 0 ? 1 : -EINVAL;
}

/* The rule that mends it, with the foreign address in *o; or NULL. */
static const char *mend(struct out *o, const char *local, size_t len)
{
    const int outer = len >= 2 && local[0] == '"' && local[len - 1] == '"';
    const int escaped = memmem(local, len, "\\\"", 2) != NULL;
    int r;

    r = put_percent_node(o, local, len);
    if (r != 0)
        return r > 0 ? "repair.percent-node" : NULL;
    if (outer) {
        local++;
        len -= 2;
    }
    if (!memmem(local, len, "::", 2) || put_plain(o, local, len) < 0 || o->len == 0)
        return NULL;
    return outer ? "repair.unescaped" : escaped ? "repair.unquoted-escaped" : "repair.unquoted";
}

int postern_address_repair(const struct postern_address_site *site, const char *text, size_t len,
                           char *buf, size_t size, const char **reterr_why)
{
    struct postern_address parsed;
    char plain[POSTERN_LOCAL_MAX + 1], made[POSTERN_ADDRESS_SIZE];
    struct out p = out_to(plain, sizeof plain), o = out_to(made, sizeof made);
    const char *at = memrchr(text, '@', len), *rule, *why;
    int r = postern_address_parse(text, len, ADDRESS_ANY, &parsed, &why);

    if (r == 0) {
        if (len >= size)
            return -ENOBUFS;
        memcpy(buf, text, len);
        buf[len] = 0;
        return (int)len;
    }
    if (!at || len > POSTERN_ADDRESS_MAX)
        return address_refuse(reterr_why, why);
    rule = mend(&p, text, (size_t)(at - text));
    if (!rule || p.full)
        return address_refuse(reterr_why, why);
    r = postern_address_quote(plain, p.len, made, sizeof made);
    if (r < 0)
        return address_refuse(reterr_why, "it is damaged, and could not be repaired");
    o.len = (size_t)r;
    out_text(&o, at, len - (size_t)(at - text));
    return address_give_parsed(site, rule, text, len, POSTERN_ADDRESS_UTF8, &o, buf, size,
                               reterr_why);
}
