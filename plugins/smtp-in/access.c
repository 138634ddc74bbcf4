/* access.c: see access.h. */
#include "access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BITS 96u /* of ::ffff:0:0/96, where IPv4 lives */

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* 0 with *ret_family, or -EINVAL. */
static int parse_address(const char *text, unsigned char address[16], int *ret_family)
{
    unsigned char v6[16];

    memcpy(address, mapped, sizeof mapped);
    if (inet_pton(AF_INET, text, address + 12) == 1) {
        *ret_family = AF_INET;
        return 0;
    }
    if (inet_pton(AF_INET6, text, v6) != 1)
        return -EINVAL;
    memcpy(address, v6, sizeof v6);
    *ret_family = AF_INET6;
    return 0;
}

void smtpin_client_init(struct smtpin_client *c, const struct postern_stream_info *info)
{
    int family;

    memset(c, 0, sizeof *c);
    c->local = (info->flags & POSTERN_STREAM_LOCAL) != 0;
    /* An unreadable address stays "::", which nobody comes from. */
    if (c->local || !info->peer || parse_address(info->peer, c->address, &family) < 0)
        memset(c->address, 0, sizeof c->address);
}

static int has_prefix(const unsigned char *address, const unsigned char *network, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    unsigned mask = rest ? 0xff00u >> rest & 0xffu : 0;

    if (memcmp(address, network, whole) != 0)
        return 0;
    return !rest || (address[whole] & mask) == (network[whole] & mask);
}

static int prefix_is_all(const struct smtpin_network *n)
{
    for (unsigned bit = n->bits; bit < 128; bit++) {
        if (n->address[bit / 8] & (0x80u >> bit % 8))
            return 0;
    }
    return 1;
}

static int parse_bits(const char *text, unsigned max, unsigned *ret)
{
    unsigned bits = 0;

    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        bits = bits * 10 + (unsigned)(*text - '0');
        if (bits > max)
            return -EINVAL;
    }
    *ret = bits;
    return 0;
}

/* Splits "[::1]/128" and the like; the address goes to buf. *ret_bits is NULL without a prefix. */
static int split(const char *text, char *buf, size_t size, const char **ret_bits)
{
    size_t open = *text == '[';
    size_t len = strcspn(text + open, open ? "]" : "/");
    const char *rest = text + open + len;

    if (len >= size || (open && *rest != ']'))
        return -EINVAL;
    memcpy(buf, text + open, len);
    buf[len] = 0;
    rest += open;
    if (*rest && *rest != '/')
        return -EINVAL;
    *ret_bits = *rest ? rest + 1 : NULL;
    return 0;
}

int smtpin_network_parse(const char *text, struct smtpin_network *ret, const char **reterr_why)
{
    struct smtpin_network n = { .bits = 128 };
    char address[INET6_ADDRSTRLEN];
    const char *bits;
    unsigned base;
    int family;

    if (strcmp(text, "local") == 0) {
        *ret = (struct smtpin_network){ .local = 1 };
        return 0;
    }
    *reterr_why = "expected an address, a network like \"192.0.2.0/24\", or \"local\"";
    if (split(text, address, sizeof address, &bits) < 0 ||
        parse_address(address, n.address, &family) < 0)
        return -EINVAL;
    base = family == AF_INET ? MAPPED_BITS : 0;
    if (bits) {
        *reterr_why = "the length of the prefix is not right";
        if (parse_bits(bits, 128 - base, &n.bits) < 0)
            return -EINVAL;
        n.bits += base;
    }
    *reterr_why = "the address has bits beyond the prefix: a smaller network, or a slip?";
    if (!prefix_is_all(&n))
        return -EINVAL;
    *ret = n;
    return 0;
}

int smtpin_access_init(struct smtpin_access *a, const struct postern_strings *list,
                       const char **reterr_item, const char **reterr_why)
{
    memset(a, 0, sizeof *a);
    if (!list->n)
        return 0;
    a->networks = calloc(list->n, sizeof *a->networks);
    if (!a->networks) {
        *reterr_item = NULL;
        return -ENOMEM;
    }
    for (; a->n < list->n; a->n++) {
        if (smtpin_network_parse(list->v[a->n], &a->networks[a->n], reterr_why) < 0) {
            *reterr_item = list->v[a->n];
            smtpin_access_done(a);
            return -EINVAL;
        }
    }
    return 0;
}

void smtpin_access_done(struct smtpin_access *a)
{
    free(a->networks);
    memset(a, 0, sizeof *a);
}

int smtpin_access_has(const struct smtpin_access *a, const struct smtpin_client *c)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct smtpin_network *n = &a->networks[i];

        if (n->local != c->local)
            continue;
        if (n->local || has_prefix(c->address, n->address, n->bits))
            return 1;
    }
    return 0;
}

int smtpin_access_is_everyone(const struct smtpin_access *a)
{
    static const unsigned char v6[16];

    for (size_t i = 0; i < a->n; i++) {
        const struct smtpin_network *n = &a->networks[i];

        if (n->local)
            continue;
        if (n->bits == 0 && memcmp(n->address, v6, sizeof v6) == 0)
            return 1;
        if (n->bits == MAPPED_BITS && memcmp(n->address, mapped, sizeof mapped) == 0)
            return 1;
    }
    return 0;
}
