/* DECnet addresses: NODE::USER, with hops on the left, and the pseudo-domain that hides them
 * (USER@NODE.dnet.example.com), so that relays which know nothing of VMS leave them alone. */
#include "address/foreign.h"

#include <strings.h>

static int is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int all_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
    }
    return len > 0;
}

/* Names may be longer than Phase IV's six characters (the seeds have a WHARFIN); "1.13" is an
 * address, and "1037" the same one as VMS prints it. */
static int is_node(const char *text, size_t len)
{
    const char *dot = memchr(text, '.', len);

    if (len == 0 || len > ADDRESS_LABEL_MAX)
        return 0;
    if (dot) {
        size_t area = (size_t)(dot - text);

        return all_digits(text, area) && all_digits(dot + 1, len - area - 1);
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_' && text[i] != '$')
            return 0;
    }
    return 1;
}

/* --- taking apart --- */

/* The first "::" outside of quotes, or NULL. */
static const char *find_colons(const char *text, size_t len)
{
    int quoted = 0;

    for (size_t i = 0; i + 1 < len; i++) {
        if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && text[i] == ':' && text[i + 1] == ':')
            return text + i;
    }
    return NULL;
}

int postern_decnet_split(const char *text, size_t len, struct postern_decnet *ret,
                         const char **reterr_why)
{
    struct postern_decnet got = { .size = sizeof got, .node = text };
    const char *colons = find_colons(text, len), *quote;

    if (!colons)
        return address_refuse(reterr_why, "there is no node in it: expected NODE::USER");
    got.node_len = (size_t)(colons - text);
    quote = memchr(text, '"', got.node_len);
    if (quote) {
        size_t behind = got.node_len - (size_t)(quote - text);

        if (behind < 2 || memchr(quote + 1, '"', behind - 1) != colons - 1)
            return address_refuse(reterr_why, "a node is followed by \"user password\", or by ::");
        got.access = quote + 1;
        got.access_len = behind - 2;
        got.node_len -= behind;
    }
    if (!is_node(got.node, got.node_len))
        return address_refuse(reterr_why, "what stands before the :: is no DECnet node");
    got.rest = colons + 2;
    got.rest_len = len - (size_t)(got.rest - text);
    if (got.rest_len == 0)
        return address_refuse(reterr_why, "the user is missing: expected NODE::USER");
    *ret = got;
    return 0;
}

int decnet_has_access(const char *text, size_t len)
{
    struct postern_decnet hop;

    while (postern_decnet_split(text, len, &hop, NULL) == 0) {
        if (hop.access)
            return 1;
        text = hop.rest;
        len = hop.rest_len;
    }
    return 0;
}

/* --- the pseudo-domain --- */

static int is_mrgate(const struct postern_address_site *site, const char *node, size_t len)
{
    const char *mrgate = site->mrgate ? site->mrgate : "MRGATE";

    return strlen(mrgate) == len && strncasecmp(mrgate, node, len) == 0;
}

/* A node that can be a label of a domain: not "1.13", not "A$B". */
static int is_label(const char *node, size_t len)
{
    return !memchr(node, '.', len) && !memchr(node, '$', len) && node[0] != '-' &&
        node[len - 1] != '-';
}

int decnet_hide(const struct postern_address_site *site, const char *text, size_t len, char *buf,
                size_t size)
{
    struct postern_decnet hop;
    char made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);
    size_t domain;

    if (!site->decnet_domain || !*site->decnet_domain ||
        postern_decnet_split(text, len, &hop, NULL) < 0 || hop.access ||
        !is_label(hop.node, hop.node_len) || is_mrgate(site, hop.node, hop.node_len) ||
        !address_is_simple(hop.rest, hop.rest_len) || hop.rest_len > POSTERN_LOCAL_MAX)
        return -EINVAL;
    out_text(&o, hop.rest, hop.rest_len);
    out_char(&o, '@');
    domain = o.len;
    out_text(&o, hop.node, hop.node_len);
    out_char(&o, '.');
    out_text(&o, site->decnet_domain, strlen(site->decnet_domain));
    /* The gateway itself may live there: USER@HQ.dnet is then its own user, not HQ::USER. */
    if (o.full || address_site_has(site, made + domain, o.len - domain))
        return -EINVAL;
    return address_give_parsed(site, "decnet.hide", text, len, POSTERN_ADDRESS_UTF8, &o, buf, size,
                               NULL);
}

/* The node's bytes in front of the DECnet domain; 0: it is another domain. */
static size_t node_of(const char *decnet_domain, const char *domain, size_t len)
{
    size_t below = decnet_domain ? strlen(decnet_domain) : 0;
    size_t node;

    if (len > 0 && domain[len - 1] == '.')
        len--;
    if (below > 0 && decnet_domain[below - 1] == '.')
        below--;
    if (below == 0 || len < below + 2)
        return 0;
    node = len - below - 1;
    if (domain[node] != '.' ||
        !address_domain_equal(domain + node + 1, below, decnet_domain, below))
        return 0;
    return node;
}

/* "user%C%B" at the node A is A::B::C::user. */
static int put_hops(struct out *o, const char *local, size_t len)
{
    const char *percent;

    while ((percent = memrchr(local, '%', len))) {
        size_t hop = len - (size_t)(percent + 1 - local);

        if (!is_node(percent + 1, hop))
            return -EINVAL;
        out_text(o, percent + 1, hop);
        out_text(o, "::", 2);
        len = (size_t)(percent - local);
    }
    out_text(o, local, len);
    return len > 0 ? 0 : -EINVAL;
}

int decnet_unhide(const struct postern_address_site *site, const char *text, size_t len,
                  const struct postern_address *a, char *buf, size_t size, const char **reterr_why)
{
    size_t node = node_of(site->decnet_domain, a->domain, a->domain_len);
    char made[POSTERN_ADDRESS_SIZE], plain[POSTERN_LOCAL_MAX + 1];
    struct out o = out_to(made, sizeof made);
    int n;

    if (node == 0)
        return -ENOENT;
    if (!is_node(a->domain, node) || memchr(a->domain, '.', node))
        return address_refuse(reterr_why,
                              "below the DECnet domain there is more, or less, than a node's name");
    out_text(&o, a->domain, node);
    out_text(&o, "::", 2);
    if (postern_address_hacks(a) & POSTERN_HACK_PERCENT) {
        if (put_hops(&o, a->local, a->local_len) < 0)
            return address_refuse(reterr_why, "a hop of the %-hack is no DECnet node");
    } else {
        n = postern_address_unquote(a->local, a->local_len, plain, sizeof plain);
        if (n <= 0)
            return address_refuse(reterr_why, "the user is missing");
        out_text(&o, plain, (size_t)n);
    }
    return address_give(site, "decnet.unhide", text, len, &o, buf, size, reterr_why);
}
