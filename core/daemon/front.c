/* daemon/front.c: the control socket's door. The first byte says whom the caller wants:
 *
 *   'M'       the supervisor: status, reload
 *   'C', 'S'  any worker: to submit mail, or to speak SMTP
 *   'W' n     worker n, for questions that each must be asked (the queue)
 *
 * What is for a worker is handed over as it is, descriptor and all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/supervisor.h"
#include "log/log.h"
#include "util/cleanup.h"
#include "util/mem.h"

#define FRONT_MAX 128u
#define FRONT_RESERVED \
    32u /* of them for root and the gateway's own user: strangers can't lock them out */
#define FRONT_PAUSE    1000000u /* usec without accepting, when descriptors have run out */
#define FRONT_LINE_MAX 4096u
#define FRONT_PATIENCE 10 /* seconds until it must have said what it wants */

struct front {
    struct list link;
    struct supervisor *sv;
    struct event *ev;
    int fd;
    int asked;    /* 1: an 'M' dialogue */
    int awaiting; /* 1: for the end of a reload; 2: for the end of the one after it */
    struct buf in;
};

static void front_free(struct front *f)
{
    list_del(&f->link);
    f->sv->fronts_n--;
    event_free(f->ev);
    if (f->fd >= 0)
        close(f->fd);
    buf_free(&f->in);
    free(f);
}

/* Answers are small and the socket is local: what does not fit at once is not worth waiting for. */
static void answer(const struct front *f, json_t *value)
{
    AUTO_FREE char *text = json_dumps(value, JSON_COMPACT);
    struct msghdr h = { 0 };
    struct iovec iov[2];

    json_decref(value);
    if (!text)
        return;
    iov[0] = (struct iovec){ text, strlen(text) };
    iov[1] = (struct iovec){ (char[]){ "\n" }, 1 };
    h.msg_iov = iov;
    h.msg_iovlen = 2;
    if (sendmsg(f->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_event(POSTERN_LOG_DEBUG, "supervisor", "control.answer", "why=%s",
                  log_q(strerror(errno)));
}

static void refuse(const struct front *f, int code, const char *why)
{
    answer(f, json_pack("{s:s, s:i}", "error", why, "code", code));
}

static int trusted(const struct supervisor *sv, int fd)
{
    struct ucred who = { .uid = (uid_t)-1 };
    socklen_t len = sizeof who;

    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
    return who.uid == 0 || who.uid == geteuid() || (sv->current && who.uid == sv->current->user);
}

static void ask(struct front *f, const char *line, size_t len)
{
    json_error_t e;
    json_t *request = json_loadb(line, len, 0, &e);
    const char *verb = json_string_value(json_object_get(request, "verb"));

    if (!verb)
        refuse(f, EX_PROTOCOL, "not a request");
    else if (!trusted(f->sv, f->fd))
        refuse(f, EX_NOPERM, "only root and the gateway's own user may ask that");
    else if (!strcmp(verb, "status"))
        answer(f, status_json(f->sv));
    else if (!strcmp(verb, "reload")) {
        f->awaiting = f->sv->next ? 2 : 1;
        reload_begin(f->sv);
    } else
        refuse(f, EX_USAGE, "this gateway does not know that verb; is it an older version?");
    json_decref(request);
}

/* 0: it has gone. */
static int read_more(struct front *f)
{
    char bytes[1024];
    ssize_t n = recv(f->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n > 0)
        buf_add(&f->in, bytes, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void dialogue(struct front *f)
{
    char *end;

    if (!read_more(f) || f->in.len > FRONT_LINE_MAX) {
        front_free(f);
        return;
    }
    while (f->in.len && (end = memchr(f->in.data, '\n', f->in.len))) {
        ask(f, f->in.data, (size_t)(end - f->in.data));
        buf_consume(&f->in, (size_t)(end - f->in.data) + 1);
    }
}

/* Gives the connection to a worker and forgets it. */
static void hand_over(struct front *f, struct child *c, char kind)
{
    if (!c || channel_send(c->channel, CHANNEL_CONNECTION, (uint32_t)kind, 0, NULL, f->fd) < 0) {
        if (kind != 'S')
            refuse(f, EX_TEMPFAIL, "no worker is there to take it; try again");
    }
    front_free(f);
}

static struct child *chosen(struct supervisor *sv, unsigned char index)
{
    struct generation *g = sv->current;

    return g && index < g->n && g->children[index].state == CHILD_READY ? &g->children[index]
                                                                        : NULL;
}

static void on_input(evutil_socket_t fd, short what, void *arg)
{
    struct front *f = arg;
    char kind[2] = { 0 };
    ssize_t n;

    (void)fd;
    if (f->asked) {
        dialogue(f);
        return;
    }
    n = recv(f->fd, kind, 2, MSG_PEEK | MSG_DONTWAIT);
    if (!(what & EV_READ) || n <= 0) {
        front_free(f);
        return;
    }
    if (kind[0] == 'W' && n < 2)
        return; /* the second byte is on its way */
    n = recv(f->fd, kind, kind[0] == 'W' ? 2 : 1, MSG_DONTWAIT);
    if (kind[0] == 'M' && n == 1) {
        f->asked = 1;
        event_free(f->ev); /* from now on without a time limit */
        f->ev = event_new(loop_base(f->sv->loop), f->fd, EV_READ | EV_PERSIST, on_input, f);
        event_add(f->ev, NULL);
    } else if (kind[0] == 'W' && n == 2) {
        hand_over(f, chosen(f->sv, (unsigned char)kind[1]), 'C');
    } else if (kind[0] == 'C' || kind[0] == 'S') {
        hand_over(f, child_pick(f->sv), kind[0]);
    } else {
        front_free(f);
    }
}

/* --- doors --- */

struct door {
    struct supervisor *sv;
    char *path;
    int fd;
    struct event *ev;
    struct loop_timer *pause;
};

static void accept_again(void *ctx)
{
    struct door *d = ctx;

    d->pause = NULL;
    event_add(d->ev, NULL);
}

static void on_knock(evutil_socket_t listener, short what, void *arg)
{
    struct door *d = arg;
    struct supervisor *sv = d->sv;
    struct timeval patience = { FRONT_PATIENCE, 0 };
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct front *f;

    (void)what;
    if (fd < 0) {
        /* Out of descriptors: the connection stays where it is, and would wake us again at once. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            event_del(d->ev);
            d->pause = loop_after(sv->loop, FRONT_PAUSE, accept_again, d);
        }
        return;
    }
    if (sv->fronts_n >= FRONT_MAX - (trusted(sv, fd) ? 0 : FRONT_RESERVED)) {
        close(fd);
        return;
    }
    f = mem_zalloc(sizeof *f);
    f->sv = sv;
    f->fd = fd;
    f->ev = event_new(loop_base(sv->loop), fd, EV_READ | EV_PERSIST, on_input, f);
    event_add(f->ev, &patience);
    list_add_tail(&sv->fronts, &f->link);
    sv->fronts_n++;
}

/* The socket's folder is ours to make (the embedded default is in a folder of its own). */
static void make_parent(const char *path)
{
    AUTO_FREE char *copy = mem_strdup(path);
    char *slash = strrchr(copy, '/');

    if (!slash || slash == copy)
        return;
    *slash = '\0';
    if (mkdir(copy, 0755) < 0 && errno == ENOENT) {
        make_parent(copy);
        mkdir(copy, 0755);
    }
}

static void door_free(struct door **pd)
{
    struct door *d = *pd;

    if (!d)
        return;
    *pd = NULL;
    loop_cancel(&d->pause);
    event_free(d->ev);
    close(d->fd);
    unlink(d->path);
    free(d->path);
    free(d);
}

int front_open(struct supervisor *sv, const struct config *cfg, struct config_errors *errors)
{
    const char *path = cfg->control.socket;
    char why[512];
    struct door *d;
    int fd, r;

    if (sv->door && !strcmp(sv->door->path, path))
        return 0;
    make_parent(path);
    r = control_bind(path, &fd, why, sizeof why);
    if (r < 0) {
        config_error(errors, cfg->source, "/control/socket", "can't listen on %s", why);
        return r == -EACCES || r == -EPERM ? EX_NOPERM : EX_UNAVAILABLE;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    d = mem_zalloc(sizeof *d);
    d->sv = sv;
    d->path = mem_strdup(path);
    d->fd = fd;
    d->ev = event_new(loop_base(sv->loop), fd, EV_READ | EV_PERSIST, on_knock, d);
    event_add(d->ev, NULL);
    sv->next_door = d;
    return 0;
}

/* Who is connected stays so: only where others knock changes. */
void front_settle(struct supervisor *sv, int keep)
{
    if (!keep || !sv->next_door) {
        door_free(&sv->next_door);
        return;
    }
    door_free(&sv->door);
    sv->door = sv->next_door;
    sv->next_door = NULL;
}

void front_close(struct supervisor *sv)
{
    LIST_EACH_SAFE (&sv->fronts, it, tmp)
        front_free(CONTAINER(it, struct front, link));
    door_free(&sv->door);
    door_free(&sv->next_door);
}

void front_reload_done(struct supervisor *sv, int code, const char *text)
{
    LIST_EACH_SAFE (&sv->fronts, it, tmp) {
        struct front *f = CONTAINER(it, struct front, link);

        if (!f->awaiting || --f->awaiting)
            continue;
        if (code)
            refuse(f, code, text ? text : "the reload failed");
        else
            answer(f,
                   json_pack("{s:b, s:I}", "reloaded", 1, "workers", (json_int_t)sv->current->n));
    }
}
