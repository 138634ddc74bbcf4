/* net/address.c: see address.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

static int parse_unix(const char *path, struct net_address *ret)
{
    size_t len = strlen(path);

    if (path[0] != '/' || len >= sizeof ret->un.sun_path)
        return -EINVAL;
    ret->un.sun_family = AF_UNIX;
    memcpy(ret->un.sun_path, path, len + 1);
    ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return 0;
}

static int parse_v6(const char *text, uint16_t port, struct net_address *ret)
{
    char host[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "%");

    if (len >= sizeof host)
        return -EINVAL;
    memcpy(host, text, len);
    host[len] = '\0';
    if (inet_pton(AF_INET6, host, &ret->in6.sin6_addr) != 1)
        return -EINVAL;
    if (text[len]) {
        ret->in6.sin6_scope_id = if_nametoindex(text + len + 1);
        if (!ret->in6.sin6_scope_id)
            return -EINVAL;
    }
    ret->in6.sin6_family = AF_INET6;
    ret->in6.sin6_port = htons(port);
    ret->len = sizeof ret->in6;
    return 0;
}

int net_address_parse(const char *text, uint16_t port, struct net_address *ret)
{
    struct net_address a = { 0 };
    int r = 0;

    if (!strncmp(text, "unix:", 5)) {
        r = parse_unix(text + 5, &a);
    } else if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = htons(port);
        a.len = sizeof a.in;
    } else {
        r = parse_v6(text, port, &a);
    }
    if (!r)
        *ret = a;
    return r;
}

static int parse_port(const char *text, uint16_t *ret)
{
    unsigned n = 0;

    if (!*text || strlen(text) > 5)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        n = n * 10 + (unsigned)(*text - '0');
    }
    if (n > 65535)
        return -EINVAL;
    *ret = (uint16_t)n;
    return 0;
}

static int refuse(const char **reterr_why, const char *why)
{
    *reterr_why = why;
    return -EINVAL;
}

/* Splits "host:port" or "[host]:port". */
static int split(const char *endpoint, char *host, size_t size, const char **ret_port,
                 const char **reterr_why)
{
    const char *colon = strrchr(endpoint, ':'), *end = colon;

    if (!colon || strchr(colon, ']'))
        return refuse(reterr_why, "the port is missing: write address:port");
    if (*endpoint == '[') {
        if (--end == endpoint || *end != ']')
            return refuse(reterr_why, "write an IPv6 address as [address]:port");
        endpoint++;
    } else if (memchr(endpoint, ':', (size_t)(colon - endpoint))) {
        return refuse(reterr_why, "write an IPv6 address in brackets: [address]:port");
    }
    if ((size_t)(end - endpoint) >= size)
        return refuse(reterr_why, "the address is too long");
    memcpy(host, endpoint, (size_t)(end - endpoint));
    host[end - endpoint] = '\0';
    *ret_port = colon + 1;
    return 0;
}

int net_endpoint_parse(const char *endpoint, struct net_address *ret, const char **reterr_why)
{
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    const char *text;
    uint16_t port;
    int r;

    if (!strncmp(endpoint, "unix:", 5)) {
        if (net_address_parse(endpoint, 0, ret))
            return refuse(reterr_why, "write a unix socket as unix:/path, with at most 107 bytes");
        return 0;
    }
    r = split(endpoint, host, sizeof host, &text, reterr_why);
    if (r)
        return r;
    if (parse_port(text, &port))
        return refuse(reterr_why, "the port is not a number from 0 to 65535");
    if (net_address_parse(host, port, ret) || ret->sa.sa_family == AF_UNIX)
        return refuse(reterr_why,
                      "the address is not an IPv4 or IPv6 address (a name is not enough; "
                      "0.0.0.0 or [::] mean every address of this machine)");
    if ((*endpoint == '[') != (ret->sa.sa_family == AF_INET6))
        return refuse(reterr_why, "brackets are for IPv6 addresses");
    return 0;
}

char *net_address_text(const struct net_address *a, char *buf, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    uint16_t port;

    if (a->sa.sa_family == AF_UNIX) {
        snprintf(buf, size, "unix:%s", a->un.sun_path);
        return buf;
    }
    net_address_host(a, host, sizeof host, &port);
    snprintf(buf, size, a->sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
    return buf;
}

void net_address_host(const struct net_address *a, char *buf, size_t size, uint16_t *ret_port)
{
    const struct in6_addr *v6 = &a->in6.sin6_addr;

    *ret_port = 0;
    switch (a->sa.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &a->in.sin_addr, buf, (socklen_t)size);
        *ret_port = ntohs(a->in.sin_port);
        break;
    case AF_INET6:
        /* A socket that somebody else bound for both families: ::ffff:192.0.2.1 is 192.0.2.1. */
        if (IN6_IS_ADDR_V4MAPPED(v6))
            inet_ntop(AF_INET, &v6->s6_addr[12], buf, (socklen_t)size);
        else
            inet_ntop(AF_INET6, v6, buf, (socklen_t)size);
        *ret_port = ntohs(a->in6.sin6_port);
        break;
    default:
        snprintf(buf, size, "%s", a->sa.sa_family == AF_UNIX ? "local" : "unknown");
    }
}

char *net_error_text(int error, char *buf, size_t size)
{
    const char *words = strerrordesc_np(-error);

    snprintf(buf, size, "%s", words ? words : "unknown error");
    /* "I/O error" and the like keep their capitals. */
    if (buf[0] && buf[1] >= 'a' && buf[1] <= 'z')
        buf[0] = text_lower(buf[0]);
    return buf;
}
