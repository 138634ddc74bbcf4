/* net/connect.c: connections that we ask for.
 *
 * Whatever goes wrong after the address was understood is told as an ERROR event, also when the
 * kernel says so at once: callers have one way to fail. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net/private.h"

static const char *connect_hint(int error)
{
    switch (error) {
    case -EAFNOSUPPORT:
        return " (this machine does not speak that kind of address)";
    case -EMFILE:
    case -ENFILE:
        return " (no descriptor left for another connection)";
    default:
        return "";
    }
}

static void connect_failed(postern_stream *s, int error)
{
    char to[NET_ADDRESS_TEXT], words[128];

    stream_fail(s, error, "connect to %s: %s%s", net_address_text(&s->remote, to, sizeof to),
                net_error_text(error, words, sizeof words), connect_hint(error));
}

/* 0 when it is under way; writable is how the end of that is told. */
static int connect_begin(postern_stream *s)
{
    int fd = socket(s->remote.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    stream_set_fd(s, fd);
    if (connect(fd, &s->remote.sa, s->remote.len) && errno != EINPROGRESS)
        return -errno;
    output_wait(s, 1);
    return 0;
}

int stream_connect(struct stream_owner *o, const char *address, uint16_t port,
                   uint64_t timeout_usec, postern_stream_cb *cb, void *ctx, postern_stream **ret)
{
    struct net_address remote;
    postern_stream *s;

    if (net_address_parse(address, port, &remote))
        return -EINVAL;
    s = stream_new(o, -1, 0);
    s->phase = STREAM_CONNECTING;
    s->remote = remote;
    s->cb = cb;
    s->ctx = ctx;
    net_address_host(&remote, s->peer, sizeof s->peer, &s->peer_port);
    s->connect_error = connect_begin(s);
    if (s->connect_error)
        event_active(&s->write_ev, EV_WRITE, 1); /* not from here: nobody is called back yet */
    else
        deadline_limit(s, timeout_usec);
    *ret = s;
    return 0;
}

void connect_ready(postern_stream *s)
{
    int error = -s->connect_error;
    socklen_t len = sizeof error;

    if (!error && getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len))
        error = errno;
    if (error) {
        connect_failed(s, -error);
        return;
    }
    s->phase = STREAM_OPEN;
    s->limit = 0;
    stream_facts(s);
    input_update(s);
    output_wait(s, 0);
    if (output_left(s))
        output_note(s);
    stream_emit(s, POSTERN_STREAM_OPEN, 0);
}
