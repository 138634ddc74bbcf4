/* Jackets: how VMS MAIL is told that an address is another transport's. UCX and TCPware write
 * SMTP%"user@host", PMDF IN%"'Name' <user@host>", Message Exchange MX%"<user@host>"; gateways to
 * MAIL-11 without a transport's name leave just the quotes. */
#include "address/foreign.h"

#include <strings.h>

int postern_address_jacket(const struct postern_address_site *site, const char *text, size_t len,
                           char *buf, size_t size, const char **reterr_why)
{
    struct postern_address parsed;
    char masked[POSTERN_ADDRESS_SIZE], made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);
    struct postern_address_site quiet = { .size = sizeof quiet, .flags = site ? site->flags : 0 };
    int n;

    if (postern_address_parse(text, len, ADDRESS_ANY, &parsed, reterr_why) < 0)
        return -EINVAL;
    n = postern_address_mask(memchr(text, '"', len) ? site : &quiet, text, len, masked,
                             sizeof masked, reterr_why);
    if (n < 0)
        return n;
    out_text(&o, "SMTP%\"", 6);
    out_text(&o, masked, (size_t)n);
    out_char(&o, '"');
    return address_give(site, "jacket.wrap", masked, (size_t)n, &o, buf, size, reterr_why);
}

/* --- out of it --- */

struct piece {
    const char *text;
    size_t len;
};

static int wears_quotes(struct piece p, size_t n)
{
    if (p.len < 2 * n)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (p.text[i] != '"' || p.text[p.len - 1 - i] != '"')
            return 0;
    }
    return 1;
}

static struct piece without_ends(struct piece p, size_t n)
{
    return (struct piece){ p.text + n, p.len - 2 * n };
}

/* Takes "SMTP%" off. 1, or 0: there is none. */
static int take_transport(struct piece *p)
{
    static const char *const names[] = { "SMTP%", "IN%", "MX%" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i]);

        if (p->len > n && strncasecmp(p->text, names[i], n) == 0) {
            *p = (struct piece){ p->text + n, p->len - n };
            return 1;
        }
    }
    return 0;
}

/* Takes our own node off: HQ::SMTP%"..." is for the mailer on HQ. 0, or -EINVAL: another's. */
static int take_node(const struct postern_address_site *site, struct piece *p,
                     const char **reterr_why)
{
    struct postern_decnet hop;

    if (postern_decnet_split(p->text, p->len, &hop, NULL) < 0)
        return 0;
    if (!site || !site->node || strlen(site->node) != hop.node_len ||
        strncasecmp(site->node, hop.node, hop.node_len) != 0)
        return address_refuse(reterr_why, "the jacket, if it is one, is at another node");
    *p = (struct piece){ hop.rest, hop.rest_len };
    return 0;
}

/* "'Name' <user@host>" is user@host; DCL's doubled quotes (SMTP%"""user@host""") are taken off. */
static struct piece take_quotes(struct piece p)
{
    const char *angle;

    if (wears_quotes(p, 3))
        p = without_ends(p, 3);
    else if (wears_quotes(p, 1))
        p = without_ends(p, 1);
    angle = memrchr(p.text, '<', p.len);
    if (angle && p.text[p.len - 1] == '>') {
        size_t at = (size_t)(angle + 1 - p.text);

        p = (struct piece){ angle + 1, p.len - at - 1 };
    }
    return p;
}

static int contains_cent(struct piece p)
{
    return memchr(p.text, 0xa2, p.len) != NULL;
}

/* The address itself: its quotes unmasked, and sound. */
static int give_inner(const struct postern_address_site *site, struct piece p, uint32_t allow,
                      char *buf, size_t size, const char **reterr_why)
{
    char plain[POSTERN_ADDRESS_SIZE], sound[POSTERN_ADDRESS_SIZE];
    struct postern_address parsed;
    int n;

    if (contains_cent(p)) {
        n = postern_address_unmask(site, p.text, p.len, plain, sizeof plain, reterr_why);
        if (n < 0)
            return n;
        p = (struct piece){ plain, (size_t)n };
    }
    n = postern_address_repair(site, p.text, p.len, sound, sizeof sound, reterr_why);
    if (n < 0 || postern_address_parse(sound, (size_t)n, allow, &parsed, reterr_why) < 0)
        return -EINVAL;
    if ((size_t)n >= size)
        return -ENOBUFS;
    memcpy(buf, sound, (size_t)n + 1);
    return n;
}

int postern_address_unjacket(const struct postern_address_site *site, const char *text, size_t len,
                             char *buf, size_t size, const char **reterr_why)
{
    struct piece p = { text, len }, inner;
    uint32_t allow = ADDRESS_ANY;

    if (len > POSTERN_ADDRESS_MAX)
        return address_refuse(reterr_why, "the address is too long");
    if (take_node(site, &p, reterr_why) < 0)
        return -EINVAL;
    if (!take_transport(&p)) {
        if (!wears_quotes(p, 1))
            return address_refuse(reterr_why, "there is no jacket: expected SMTP%\"user@host\"");
        allow = POSTERN_ADDRESS_UTF8; /* "jones" alone is somebody's local part, not a jacket */
    }
    inner = take_quotes(p);
    address_step(site, "jacket.take-off", text, len, inner.text, inner.len);
    return give_inner(site, inner, allow, buf, size, reterr_why);
}
