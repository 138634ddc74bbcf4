/* config/endpoint.c: is this an address to listen on, or a name server's? Syntax only. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "config/engine.h"

#define PORT_MAX 65535

/* Digits to the end of the text. Port 0 is for tests: the kernel picks one. */
static int port_check(const char *text, const char **reterr_why)
{
    long port = 0;

    if (!*text) {
        *reterr_why = "the port is missing";
        return -EINVAL;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            *reterr_why = "the port is not a number";
            return -EINVAL;
        }
        port = port * 10 + (*text - '0');
        if (port > PORT_MAX) {
            *reterr_why = "the port is larger than 65535";
            return -EINVAL;
        }
    }
    return 0;
}

static int literal_check(int family, const char *text, size_t len, const char **reterr_why)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char parsed[sizeof(struct in6_addr)];

    if (len < sizeof copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        if (inet_pton(family, copy, parsed) == 1)
            return 0;
    }
    *reterr_why = family == AF_INET6 ? "that is not an IPv6 address between the brackets"
                                     : "that is not an IPv4 address before the port "
                                       "(for all addresses: \"0.0.0.0:PORT\" or \"[::]:PORT\")";
    return -EINVAL;
}

static int unix_check(const char *path, const char **reterr_why)
{
    if (*path != '/') {
        *reterr_why = "the path of a unix: socket must be absolute";
        return -EINVAL;
    }
    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        *reterr_why = "the path of a unix: socket is limited to 107 bytes";
        return -EINVAL;
    }
    return 0;
}

static int inet_check(const char *text, int port_needed, const char **reterr_why)
{
    int v6 = *text == '[';
    const char *address = v6 ? text + 1 : text, *end = strchr(address, v6 ? ']' : ':');
    const char *colon = v6 && end ? end + 1 : end;
    int r;

    if (v6 && !end) {
        *reterr_why = "the closing bracket is missing";
        return -EINVAL;
    }
    if (!end)
        end = colon = address + strlen(address);
    if (!v6 && *colon && strchr(colon + 1, ':')) {
        *reterr_why = "an IPv6 address wants brackets: \"[2001:db8::1]:25\"";
        return -EINVAL;
    }
    r = literal_check(v6 ? AF_INET6 : AF_INET, address, (size_t)(end - address), reterr_why);
    if (r < 0)
        return r;
    if (!*colon && !port_needed)
        return 0;
    if (*colon != ':') {
        *reterr_why = "the port is missing";
        return -EINVAL;
    }
    return port_check(colon + 1, reterr_why);
}

int config_listen_check(const char *text, const char **reterr_why)
{
    if (!strncmp(text, "unix:", 5))
        return unix_check(text + 5, reterr_why);
    return inet_check(text, 1, reterr_why);
}

int config_server_check(const char *text, const char **reterr_why)
{
    unsigned char parsed[sizeof(struct in6_addr)];

    /* Without a port there is nothing to confuse a bare IPv6 address with. */
    if (inet_pton(AF_INET6, text, parsed) == 1)
        return 0;
    return inet_check(text, 0, reterr_why);
}
