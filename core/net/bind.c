/* net/bind.c: sockets that listen. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/address.h"
#include "net/stream.h"
#include "util/cleanup.h"

int net_endpoint_check(const char *endpoint, const char **reterr_why)
{
    struct net_address a;

    return net_endpoint_parse(endpoint, &a, reterr_why);
}

static const char *bind_hint(int error, const struct net_address *a)
{
    if (error == -EACCES && a->sa.sa_family != AF_UNIX)
        return " (ports below 1024 are for root or CAP_NET_BIND_SERVICE)";
    if (error == -EADDRNOTAVAIL)
        return " (no interface of this machine has that address)";
    if (error == -EADDRINUSE)
        return " (another program listens there)";
    return "";
}

/* Is the unix socket a left-over, with nobody behind it? */
static int is_stale(const struct net_address *a)
{
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct stat st;

    if (fd < 0 || lstat(a->un.sun_path, &st) || !S_ISSOCK(st.st_mode))
        return 0;
    return connect(fd, &a->sa, a->len) && errno == ECONNREFUSED;
}

static int bind_to(int fd, const struct net_address *a)
{
    if (!bind(fd, &a->sa, a->len))
        return 0;
    if (errno != EADDRINUSE || a->sa.sa_family != AF_UNIX)
        return -errno;
    if (!is_stale(a))
        return -EADDRINUSE;
    if (unlink(a->un.sun_path))
        return -errno;
    return bind(fd, &a->sa, a->len) ? -errno : 0;
}

static int set_options(int fd, const struct net_address *a)
{
    int on = 1;

    if (a->sa.sa_family == AF_UNIX)
        return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
        return -errno;
    /* [::] means IPv6 only, so that 0.0.0.0 beside it is no contradiction, whatever the sysctl
     * says. */
    if (a->sa.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on))
        return -errno;
    return 0;
}

static int listen_on(const struct net_address *a, int *ret_fd)
{
    AUTO_CLOSE int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return -errno;
    r = set_options(fd, a);
    if (!r)
        r = bind_to(fd, a);
    if (!r && listen(fd, SOMAXCONN))
        r = -errno;
    if (!r)
        *ret_fd = STEAL_FD(fd);
    return r;
}

int net_bind(const char *endpoint, int *ret_fd, char *why, size_t why_size)
{
    struct net_address a;
    const char *wrong;
    char words[128];
    int r = net_endpoint_parse(endpoint, &a, &wrong);

    if (r) {
        snprintf(why, why_size, "%s: %s", endpoint, wrong);
        return r;
    }
    r = listen_on(&a, ret_fd);
    if (r)
        snprintf(why, why_size, "%s: %s%s", endpoint, net_error_text(r, words, sizeof words),
                 bind_hint(r, &a));
    return r;
}
