/* net/listener.c: taking connections. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "log/log.h"
#include "net/private.h"
#include "util/mem.h"

#define LISTENER_BURST      64 /* connections taken in a turn: those that are there wait too */
#define LISTENER_PAUSE_USEC 1000000

struct listener {
    struct stream_owner *owner;
    postern_accept_cb *accept;
    void *ctx;
    int fd;
    struct event ev;
    struct loop_timer *pause;
    int busy, dead; /* the plugin is being called; it freed us */
};

static void listener_resume(void *ctx)
{
    struct listener *l = ctx;

    l->pause = NULL;
    event_add(&l->ev, NULL);
}

/* Without descriptors or memory, the connection stays in the backlog, and the loop would spin on
 * it. */
static void listener_pause(struct listener *l, int error)
{
    char words[128];

    log_event(POSTERN_LOG_WARNING, l->owner->name, "listener.pause", "error=%s open=%zu for=1s",
              log_q(net_error_text(error, words, sizeof words)), l->owner->open);
    event_del(&l->ev);
    l->pause = loop_after(l->owner->loop, LISTENER_PAUSE_USEC, listener_resume, l);
}

/* Who may connect is decided by the socket's folder: such a peer is as local as one handed over. */
static int is_unix(int fd)
{
    int family = 0;
    socklen_t len = sizeof family;

    return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) && family == AF_UNIX;
}

static void listener_give(struct listener *l, int fd)
{
    struct stream_owner *o = l->owner;
    postern_stream *s = stream_new(o, fd, is_unix(fd) ? POSTERN_STREAM_LOCAL : 0);

    stream_facts(s);
    stream_hold(s);
    if (o->enter)
        o->enter(o);
    l->accept(l->ctx, s);
    if (o->leave)
        o->leave(o);
    if (s->phase == STREAM_OPEN && !s->cb) {
        log_event(POSTERN_LOG_ERROR, o->name, "listener.unclaimed",
                  "text=\"the plugin took a connection without a callback; it is closed\"");
        stream_destroy(s);
    }
    stream_drop(s);
}

/* Does this failure of accept concern one connection only (accept(2), "Error handling")? */
static int is_passing(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
        return 1;
    default:
        return 0;
    }
}

/* Takes one. 0 when that is enough for now. */
static int listener_take(struct listener *l)
{
    /* cppcheck-suppress nullPointer ; accept4 takes it */
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        listener_give(l, fd);
        return !l->dead;
    }
    if (errno == EAGAIN)
        return 0;
    if (is_passing(errno))
        return 1;
    listener_pause(l, -errno);
    return 0;
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;

    (void)fd;
    (void)what;
    l->busy = 1;
    for (int i = 0; i < LISTENER_BURST; i++) {
        if (!listener_take(l))
            break;
    }
    l->busy = 0;
    if (l->dead)
        free(l);
}

struct listener *listener_new(struct stream_owner *o, int fd, postern_accept_cb *accept, void *ctx)
{
    struct listener *l = mem_zalloc(sizeof *l);

    l->owner = o;
    l->accept = accept;
    l->ctx = ctx;
    l->fd = fd;
    evutil_make_socket_nonblocking(fd);
    event_assign(&l->ev, loop_base(o->loop), fd, EV_READ | EV_PERSIST, on_connection, l);
    event_add(&l->ev, NULL);
    return l;
}

void listener_free(struct listener **pl)
{
    struct listener *l = *pl;

    if (!l)
        return;
    *pl = NULL;
    event_del(&l->ev);
    loop_cancel(&l->pause);
    l->dead = 1;
    if (!l->busy)
        free(l);
}
