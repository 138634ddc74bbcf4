/* net/stream.c: the life of a stream; see stream.h and private.h. */
#include "net/stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/private.h"
#include "util/mem.h"

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    postern_stream *s = arg;

    (void)fd;
    (void)what;
    stream_hold(s);
    s->tls_dry = 0;
    if (s->phase == STREAM_LINGERING)
        input_discard(s);
    else if (s->secure == SECURE_HANDSHAKE)
        secure_handshake(s);
    else
        input_ready(s);
    if (s->tls_write_waits && s->phase != STREAM_GONE) {
        s->tls_write_waits = 0;
        output_flush(s);
    }
    stream_drop(s);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    postern_stream *s = arg;

    (void)fd;
    (void)what;
    stream_hold(s);
    if (s->phase == STREAM_CONNECTING) {
        connect_ready(s);
    } else if (s->secure == SECURE_HANDSHAKE) {
        secure_handshake(s);
    } else {
        output_flush(s);
    }
    if (s->tls_read_waits && s->phase == STREAM_OPEN) {
        s->tls_read_waits = 0;
        input_ready(s);
    }
    stream_drop(s);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    postern_stream *s = arg;

    (void)fd;
    (void)what;
    stream_hold(s);
    deadline_fired(s);
    stream_drop(s);
}

static void on_turn_end(void *ctx)
{
    postern_stream *s = ctx;

    stream_hold(s);
    if (!s->writing) /* else the socket is full, and on_writable goes on */
        output_flush(s);
    window_trim(&s->in, STREAM_IDLE_KEEP);
    stream_drop(s);
}

void stream_set_fd(postern_stream *s, int fd)
{
    struct event_base *base = loop_base(s->owner->loop);

    s->fd = fd;
    event_assign(&s->read_ev, base, fd, EV_READ | EV_PERSIST, on_readable, s);
    event_assign(&s->write_ev, base, fd, EV_WRITE | EV_PERSIST, on_writable, s);
}

postern_stream *stream_new(struct stream_owner *o, int fd, uint32_t info_flags)
{
    postern_stream *s = mem_zalloc(sizeof *s);

    s->owner = o;
    s->refs = 1;
    s->phase = STREAM_OPEN;
    s->secure = SECURE_NONE;
    s->info_flags = info_flags;
    s->flush = (struct loop_task){ .run = on_turn_end, .ctx = s };
    event_assign(&s->timer_ev, loop_base(o->loop), -1, 0, on_timer, s);
    stream_set_fd(s, fd);
    o->open++;
    if (!o->all.next)
        list_init(&o->all);
    list_add_tail(&o->all, &s->link);
    return s;
}

void stream_facts(postern_stream *s)
{
    struct net_address a;
    int on = 1;

    memset(&a, 0, sizeof a);
    a.len = sizeof a.any;
    /* A peer that is gone already has no address: family 0, "unknown". */
    if (getpeername(s->fd, &a.sa, &a.len))
        a.sa.sa_family = AF_UNSPEC;
    net_address_host(&a, s->peer, sizeof s->peer, &s->peer_port);
    /* We gather a turn's output ourselves; waiting for more in the kernel could only delay it. */
    if (a.sa.sa_family == AF_INET || a.sa.sa_family == AF_INET6)
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (s->info_flags & POSTERN_STREAM_LOCAL)
        strcpy(s->peer, "local");
    a.len = sizeof a.any;
    if (getsockname(s->fd, &a.sa, &a.len))
        a.sa.sa_family = AF_UNSPEC;
    net_address_host(&a, s->local, sizeof s->local, &s->local_port);
}

postern_stream *stream_from_fd(struct stream_owner *o, int fd, uint32_t info_flags)
{
    postern_stream *s = stream_new(o, fd, info_flags);

    evutil_make_socket_nonblocking(fd);
    stream_facts(s);
    return s;
}

void stream_hold(postern_stream *s)
{
    s->refs++;
}

void stream_drop(postern_stream *s)
{
    if (--s->refs)
        return;
    free(s->error_text);
    free(s);
}

void stream_events(postern_stream *s, postern_stream_cb *cb, void *ctx)
{
    s->cb = cb;
    s->ctx = ctx;
    input_update(s);
}

int stream_emit(postern_stream *s, uint32_t event, int error)
{
    struct stream_owner *o = s->owner;

    if (!s->cb)
        return 0;
    if (o->enter)
        o->enter(o);
    s->cb(s->ctx, s, event, error);
    if (o->leave)
        o->leave(o);
    return s->phase <= STREAM_FAILED;
}

/* Lets go of the socket and of all that is queued. */
static void stream_disconnect(postern_stream *s)
{
    event_del(&s->read_ev);
    event_del(&s->write_ev);
    event_del(&s->timer_ev);
    s->reading = s->writing = 0;
    s->deadline = s->limit = s->armed = 0;
    loop_forget(&s->flush);
    output_free(s);
    secure_free(s);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void stream_destroy(postern_stream *s)
{
    if (s->phase == STREAM_GONE)
        return;
    s->phase = STREAM_GONE;
    s->cb = NULL;
    stream_disconnect(s);
    window_free(&s->in);
    s->owner->open--;
    list_del(&s->link);
    stream_drop(s);
}

void stream_fail(postern_stream *s, int error, const char *fmt, ...)
{
    va_list ap;

    if (s->phase >= STREAM_CLOSING) {
        stream_destroy(s); /* nobody is left to be told */
        return;
    }
    if (s->phase == STREAM_FAILED)
        return;
    va_start(ap, fmt);
    if (vasprintf(&s->error_text, fmt, ap) < 0)
        s->error_text = NULL;
    va_end(ap);
    s->phase = STREAM_FAILED;
    stream_disconnect(s);
    stream_emit(s, POSTERN_STREAM_ERROR, error);
}

void stream_finish(postern_stream *s)
{
    int unread = 0;

    if (s->secure == SECURE_ON)
        secure_goodbye(s);
    if (s->eof || s->phase == STREAM_LINGERING) {
        stream_destroy(s);
        return;
    }
    /* Closing a socket with unread input resets the connection, and the reset may overtake our last
     * words ("421 too many errors") and destroy them. Then shut our side, and let the peer talk. */
    if (!s->in.len && (ioctl(s->fd, FIONREAD, &unread) || !unread)) {
        stream_destroy(s);
        return;
    }
    s->phase = STREAM_LINGERING;
    window_free(&s->in);
    shutdown(s->fd, SHUT_WR);
    if (!s->reading)
        event_add(&s->read_ev, NULL);
    s->reading = 1;
    deadline_limit(s, STREAM_LINGER_USEC);
}

void stream_close(postern_stream *s)
{
    if (!s || s->phase >= STREAM_CLOSING)
        return;
    s->cb = NULL;
    s->deadline = 0;
    if (s->phase != STREAM_OPEN || s->secure == SECURE_HANDSHAKE) {
        stream_destroy(s);
        return;
    }
    stream_hold(s);
    if (output_left(s)) {
        s->phase = STREAM_CLOSING;
        input_stop(s);
        deadline_limit(s, STREAM_CLOSE_USEC);
        output_note(s);
    } else {
        stream_finish(s);
    }
    stream_drop(s);
}

void stream_abort(postern_stream *s)
{
    if (s)
        stream_destroy(s);
}

void stream_abort_all(struct stream_owner *o)
{
    while (!list_empty(&o->all))
        stream_destroy(CONTAINER(o->all.next, postern_stream, link));
}

void stream_info(postern_stream *s, struct postern_stream_info *out)
{
    struct postern_stream_info i = {
        .size = out->size,
        .flags = s->info_flags,
        .peer_port = s->peer_port,
        .local_port = s->local_port,
        .peer = s->peer,
        .local = s->local,
        .tls_version = s->tls_version,
        .tls_cipher = s->tls_cipher,
        .tls_verified = s->tls_verified,
        .error_text = s->error_text,
    };

    memcpy(out, &i, out->size < sizeof i ? out->size : sizeof i);
}
