/* dns/channel.c: see channel.h. */
#include "dns/channel.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/buf.h"
#include "util/list.h"

#define CHANNEL_TIMEOUT_USEC 5000000
#define CHANNEL_TRIES        3
#define CHANNEL_UDP_SIZE     1232 /* fits everywhere without fragments (DNS flag day 2020) */

struct channel {
    ares_channel ares;
    struct loop *loop;
    struct list sockets;
    struct event *timer;
    int closing;
};

struct socket { /* one of c-ares' */
    struct list link;
    struct channel *channel;
    ares_socket_t fd;
    struct event *ev;
};

struct question {
    struct channel *channel;
    uint16_t type;
    channel_cb *cb;
    void *ctx;
};

/* c-ares has one earliest time limit at any time; we wait for that one. */
static void channel_arm(struct channel *c)
{
    struct timeval tv;

    if (ares_timeout(c->ares, NULL, &tv))
        event_add(c->timer, &tv);
    else
        event_del(c->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct channel *c = arg;

    (void)fd;
    (void)what;
    ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    channel_arm(c);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct channel *c = ((struct socket *)arg)->channel; /* arg may go in what follows */

    ares_process_fd(c->ares, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    channel_arm(c);
}

static void socket_free(struct socket *s)
{
    list_del(&s->link);
    event_free(s->ev);
    free(s);
}

static struct socket *socket_find(struct channel *c, ares_socket_t fd)
{
    LIST_EACH (&c->sockets, it) {
        struct socket *s = CONTAINER(it, struct socket, link);

        if (s->fd == fd)
            return s;
    }
    return NULL;
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0) | EV_PERSIST);
    struct channel *c = data;
    struct socket *s = socket_find(c, fd);

    if (!readable && !writable) {
        if (s)
            socket_free(s);
        return;
    }
    if (s) {
        event_free(s->ev);
    } else {
        s = mem_zalloc(sizeof *s);
        s->channel = c;
        s->fd = fd;
        list_add_tail(&c->sockets, &s->link);
    }
    s->ev = event_new(loop_base(c->loop), fd, what, on_socket, s);
    event_add(s->ev, NULL);
}

static int channel_servers(struct channel *c, const struct postern_strings *servers, char *why,
                           size_t why_size)
{
    struct buf csv = { 0 };
    int status;

    if (!servers->n)
        return 0;
    for (size_t i = 0; i < servers->n; i++) {
        if (i)
            buf_addc(&csv, ',');
        buf_adds(&csv, servers->v[i]);
    }
    status = ares_set_servers_ports_csv(c->ares, csv.data);
    if (status != ARES_SUCCESS)
        snprintf(why, why_size, "dns servers \"%s\": %s; write \"address:port\"", csv.data,
                 ares_strerror(status));
    buf_free(&csv);
    return status == ARES_SUCCESS ? 0 : -EINVAL;
}

static int channel_open(struct channel *c, const struct config_dns *cfg, char *why, size_t why_size)
{
    int64_t usec = cfg->timeout > 0 ? cfg->timeout : CHANNEL_TIMEOUT_USEC;
    struct ares_options o = {
        /* Names in mail are whole: neither a search domain nor HOSTALIASES is to be tried. */
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
        .timeout = usec / 1000 < INT32_MAX ? (int)(usec / 1000) : INT32_MAX,
        .tries = cfg->tries > 0 && cfg->tries < 100 ? (int)cfg->tries : CHANNEL_TRIES,
        .ednspsz = CHANNEL_UDP_SIZE,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = c,
    };
    int status = ares_init_options(&c->ares, &o,
                                   ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                       ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);

    if (status != ARES_SUCCESS) {
        snprintf(why, why_size, "the resolver can't start: %s", ares_strerror(status));
        c->ares = NULL;
        return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
    }
    return channel_servers(c, &cfg->servers, why, why_size);
}

int channel_new(struct loop *l, const struct config_dns *cfg, struct channel **ret, char *why,
                size_t why_size)
{
    struct channel *c = mem_zalloc(sizeof *c);
    int r;

    ares_library_init(ARES_LIB_INIT_ALL); /* counts; channel_free is the other side */
    c->loop = l;
    list_init(&c->sockets);
    c->timer = event_new(loop_base(l), -1, 0, on_timer, c);
    r = channel_open(c, cfg, why, why_size);
    if (r)
        channel_free(&c);
    else
        *ret = c;
    return r;
}

void channel_free(struct channel **pc)
{
    struct channel *c = *pc;

    if (!c)
        return;
    *pc = NULL;
    c->closing = 1;
    if (c->ares)
        ares_destroy(c->ares); /* calls on_answer for all that is open, and on_socket_state */
    while (!list_empty(&c->sockets))
        socket_free(CONTAINER(c->sockets.next, struct socket, link));
    event_free(c->timer);
    free(c);
    ares_library_cleanup();
}

static enum channel_status status_of(int status, const struct dns_records *r)
{
    switch (status) {
    case ARES_SUCCESS:
        /* An alias that leads to nothing is no data. Records that all are malformed are no
         * answer. */
        return r->n ? CHANNEL_FOUND : r->odd ? CHANNEL_FAILED : CHANNEL_NO_DATA;
    case ARES_ENODATA:
        return CHANNEL_NO_DATA;
    case ARES_ENOTFOUND:
        return CHANNEL_NO_NAME;
    default:
        return CHANNEL_FAILED;
    }
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *data, int len)
{
    struct question *q = arg;
    struct dns_records records = { .n = 0 };
    int bad = 0;

    (void)timeouts;
    if (!q->channel->closing) {
        if (data && len > 0)
            bad = dns_message_read(data, (size_t)len, q->type, &records);
        q->cb(q->ctx, bad ? CHANNEL_FAILED : status_of(status, &records), &records);
    }
    free(q);
}

void channel_ask(struct channel *c, const char *name, uint16_t type, channel_cb *cb, void *ctx)
{
    struct question *q = mem_alloc(sizeof *q);

    *q = (struct question){ c, type, cb, ctx };
    ares_query(c->ares, name, 1, type, on_answer, q);
    channel_arm(c);
}

static void add_hosts(struct channel *c, const char *name, int family, struct dns_records *ret)
{
    char text[INET6_ADDRSTRLEN];
    struct hostent *h;

    if (ares_gethostbyname_file(c->ares, name, family, &h) != ARES_SUCCESS)
        return;
    for (char **a = h->h_addr_list; *a; a++) {
        if (inet_ntop(family, *a, text, sizeof text))
            dns_records_add(ret, 0, text);
    }
    ares_free_hostent(h);
}

void channel_hosts(struct channel *c, const char *name, int ipv6, struct dns_records *ret)
{
    if (ipv6)
        add_hosts(c, name, AF_INET6, ret);
    add_hosts(c, name, AF_INET, ret);
}
