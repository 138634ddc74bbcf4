/* Next hops as operators write them: postern/mail.h lists the forms. */
#include <postern/mail.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "address/address.h"

#define NEXT_HOP_TEXT_MAX 300 /* a domain, brackets, "IPv6:" and a port */

static int is_ip(int family, const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(family, text, address) == 1;
}

/* ":25" or nothing. */
static int parse_port(const char *text, uint16_t *ret, const char **reterr_why)
{
    unsigned port = 0;

    *ret = 0;
    if (!*text)
        return 0;
    if (*text != ':') {
        *reterr_why = "only a ':' and a port may follow the host";
        return -EINVAL;
    }
    for (text++; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++)
        port = port * 10 + (unsigned)(*text - '0');
    if (*text || port == 0 || port > UINT16_MAX) {
        *reterr_why = "the port is not a number from 1 to 65535";
        return -EINVAL;
    }
    *ret = (uint16_t)port;
    return 0;
}

static int parse_host(struct postern_next_hop *hop, const char **reterr_why)
{
    struct address_fault fault = { NULL, 0 };
    size_t len = strlen(hop->host);

    hop->literal = is_ip(AF_INET, hop->host) || is_ip(AF_INET6, hop->host);
    if (hop->literal) {
        hop->no_mx = 1;
        return 0;
    }
    if (memchr(hop->host, ':', len)) {
        *reterr_why = "this is no valid IPv6 address";
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)hop->host[i] >= 0x80) {
            *reterr_why = "an internationalized name is written in its \"xn--\" form here";
            return -EINVAL;
        }
    }
    if (address_domain_check(hop->host, len, 0, &fault) < 0) {
        *reterr_why = fault.why;
        return -EINVAL;
    }
    /* "host." and "host" are one destination. */
    if (hop->host[len - 1] == '.')
        hop->host[len - 1] = 0;
    return 0;
}

/* The host's text, without brackets and "IPv6:"; *ret_rest is what follows it. */
static int cut_host(const char *text, struct postern_next_hop *hop, const char **ret_rest,
                    const char **reterr_why)
{
    const char *start = text, *end;

    if (*text == '[') {
        end = strchr(++start, ']');
        if (!end) {
            *reterr_why = "the closing ']' is missing";
            return -EINVAL;
        }
        if (strncasecmp(start, "IPv6:", 5) == 0)
            start += 5;
        hop->no_mx = 1;
        *ret_rest = end + 1;
    } else {
        end = start + strcspn(start, ":");
        if (*end && strchr(end + 1, ':')) {
            *reterr_why = "an IPv6 address needs brackets: \"[2001:db8::1]:25\"";
            return -EINVAL;
        }
        *ret_rest = end;
    }
    if (end == start) {
        *reterr_why = "the host is missing";
        return -EINVAL;
    }
    if ((size_t)(end - start) >= sizeof hop->host) {
        *reterr_why = "the host is too long";
        return -EINVAL;
    }
    memcpy(hop->host, start, (size_t)(end - start));
    return 0;
}

int postern_next_hop_parse(const char *text, struct postern_next_hop *ret, const char **reterr_why)
{
    struct postern_next_hop hop = { .size = sizeof hop };
    const char *rest, *unused;
    int r;

    if (!reterr_why)
        reterr_why = &unused;
    if (strnlen(text, NEXT_HOP_TEXT_MAX + 1) > NEXT_HOP_TEXT_MAX) {
        *reterr_why = "the next hop is too long";
        return -EINVAL;
    }
    r = cut_host(text, &hop, &rest, reterr_why);
    if (r < 0)
        return r;
    r = parse_host(&hop, reterr_why);
    if (r < 0)
        return r;
    r = parse_port(rest, &hop.port, reterr_why);
    if (r < 0)
        return r;
    *ret = hop;
    return 0;
}

unsigned next_hop_flags(const char *text, const char **ret_hop)
{
    unsigned flags = 0;

    if (*text == '?') {
        flags |= NEXT_HOP_UNRESOLVED;
        text++;
    }
    *ret_hop = text;
    if (strcmp(text, "*") == 0)
        return flags | NEXT_HOP_OWN;
    if (strcmp(text, "[*]") == 0)
        return flags | NEXT_HOP_OWN | NEXT_HOP_OWN_HOST;
    return flags;
}
