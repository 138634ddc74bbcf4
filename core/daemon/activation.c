/* daemon/activation.c: see activation.h.
 *
 * A socket that a listener has let go of at a reload goes back to the others: the manager keeps it
 * open, so nobody else could bind its address, and a later reload may want it again. */
#include "daemon/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log/log.h"
#include "net/address.h"
#include "util/cleanup.h"
#include "util/mem.h"

/* --- taking --- */

/* A number that is all of the text; -1: it is none. */
static long number_of(const char *text)
{
    char *end;
    long n;

    errno = 0;
    n = strtol(text, &end, 10);
    return errno || end == text || *end || n < 0 ? -1 : n;
}

/* How many there are for us. */
static unsigned count(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    long n;

    if (!pid || !fds || number_of(pid) != (long)getpid())
        return 0;
    n = number_of(fds);
    if (n < 0 || n > INT_MAX - ACTIVATION_FIRST)
        log_event(POSTERN_LOG_WARNING, "supervisor", "listener.passed",
                  "text=\"LISTEN_FDS is no number of sockets; none is taken\" found=%s",
                  log_q(fds));
    else if (n > (long)ACTIVATION_MAX)
        log_event(POSTERN_LOG_WARNING, "supervisor", "listener.passed",
                  "text=\"more sockets than can be taken\" found=%ld most=%u", n, ACTIVATION_MAX);
    return n < 0 ? 0 : n > (long)ACTIVATION_MAX ? ACTIVATION_MAX : (unsigned)n;
}

static char *address_of(int fd, char *buf, size_t size)
{
    struct net_address a = { .len = sizeof a.any };

    if (getsockname(fd, &a.sa, &a.len))
        return strcpy(buf, "?");
    return net_address_text(&a, buf, size);
}

static int int_option(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -1 : value;
}

static void take(struct listeners *l, int fd, const char *name)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        log_event(POSTERN_LOG_WARNING, "supervisor", "listener.passed",
                  "name=%s text=\"there is no such descriptor\" fd=%d", log_q(name), fd);
        return;
    }
    if (int_option(fd, SO_TYPE) != SOCK_STREAM || int_option(fd, SO_ACCEPTCONN) != 1) {
        log_event(POSTERN_LOG_WARNING, "supervisor", "listener.passed",
                  "name=%s text=\"no listening stream socket; the unit needs ListenStream= and "
                  "Accept=no\"",
                  log_q(name));
        close(fd);
        return;
    }
    listeners_pass(l, name, fd);
}

void activation_take(struct listeners *l)
{
    const char *said = getenv("LISTEN_FDNAMES");
    char *names AUTO_FREE = mem_strdup(said ? said : ""), *next = names;
    unsigned n = count();

    for (unsigned i = 0; i < n; i++) {
        char *name = next ? strsep(&next, ":") : NULL;

        take(l, ACTIVATION_FIRST + (int)i, name && *name ? name : "unknown");
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

/* --- matching --- */

static const char *item(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static int same_address(const struct net_address *a, const struct net_address *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return 0;
    switch (a->sa.sa_family) {
    case AF_INET:
        return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    case AF_INET6:
        return a->in6.sin6_port == b->in6.sin6_port &&
            a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
            !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr);
    case AF_UNIX:
        return !strncmp(a->un.sun_path, b->un.sun_path, sizeof a->un.sun_path);
    default:
        return 0;
    }
}

struct search {
    const char *name; /* NULL: by address */
    struct net_address address;
    int fd, found;
};

static void look(void *ctx, const char *name, int fd)
{
    struct search *s = ctx;
    struct net_address a = { .len = sizeof a.any };

    if (s->name ? strcmp(name, s->name) != 0
                : getsockname(fd, &a.sa, &a.len) || !same_address(&a, &s->address))
        return;
    s->fd = fd;
    s->found++;
}

static void claim(struct listeners *l, const char *endpoint, int fd)
{
    char text[NET_ADDRESS_TEXT];

    log_event(POSTERN_LOG_INFO, "supervisor", "listener.passed", "endpoint=%s address=%s",
              log_q(endpoint), log_q(address_of(fd, text, sizeof text)));
    listeners_claim(l, endpoint, fd);
}

static void match_address(struct listeners *l, const char *endpoint)
{
    struct search s = { .fd = -1 };
    const char *wrong;

    if (listeners_fd(l, endpoint) >= 0 || net_endpoint_parse(endpoint, &s.address, &wrong))
        return;
    listeners_passed(l, look, &s);
    if (s.found)
        claim(l, endpoint, s.fd);
}

static size_t left_of(const struct listeners *l, const json_t *listen, const char *instance)
{
    size_t n = 0, i;
    json_t *w;

    json_array_foreach (listen, i, w)
        n += !strcmp(item(w, "instance"), instance) &&
            listeners_fd((void *)l, item(w, "endpoint")) < 0;
    return n;
}

/* Which socket is whose would be a guess, if there were several of either. */
static void match_name(struct listeners *l, const json_t *listen, const json_t *wanted)
{
    struct search s = { .name = item(wanted, "instance"), .fd = -1 };

    if (listeners_fd(l, item(wanted, "endpoint")) >= 0 || left_of(l, listen, s.name) != 1)
        return;
    listeners_passed(l, look, &s);
    if (s.found == 1)
        claim(l, item(wanted, "endpoint"), s.fd);
}

void activation_match(struct listeners *l, const json_t *listen, int by_name)
{
    json_t *w;
    size_t i;

    json_array_foreach (listen, i, w)
        match_address(l, item(w, "endpoint"));
    json_array_foreach (listen, i, w) {
        if (by_name)
            match_name(l, listen, w);
    }
}

static void complain(void *ctx, const char *name, int fd)
{
    char text[NET_ADDRESS_TEXT];

    (void)ctx;
    log_event(POSTERN_LOG_WARNING, "supervisor", "listener.unmatched",
              "name=%s address=%s text=\"a socket was passed that is no listener's: none has its "
              "address and port, or its name; it is closed\"",
              log_q(name), log_q(address_of(fd, text, sizeof text)));
}

void activation_over(struct listeners *l)
{
    listeners_passed(l, complain, NULL);
    listeners_forget_passed(l);
}
