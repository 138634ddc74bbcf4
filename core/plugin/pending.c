/* plugin/pending.c: what a plugin has asked for and will be called back about: timers, watches, DNS
 * queries, routes. Each has an id; forgetting an id that is over is harmless. */
#include <errno.h>
#include <stdlib.h>

#include "plugin/host_private.h"
#include "util/mem.h"

enum pending_kind { PENDING_TIMER, PENDING_WATCH, PENDING_QUERY, PENDING_ASK };

struct host_pending {
    struct list link;
    postern_host *host;
    uint64_t id;
    enum pending_kind kind;
    struct loop_timer *timer;
    struct event *event;
    struct dns_query *query;
    struct host_ask *ask;
    union {
        postern_done *done;
        postern_ready *ready;
        postern_mx_cb *mx;
        postern_host_cb *host;
        postern_verdict_cb *verdict;
    } cb;
    void *ctx;
};

static struct host_pending *pending_new(postern_host *h, enum pending_kind kind, void *ctx)
{
    struct host_pending *p = mem_zalloc(sizeof *p);

    p->host = h;
    p->id = ++h->last_id;
    p->kind = kind;
    p->ctx = ctx;
    list_add_tail(&h->pending_list, &p->link);
    idmap_set(h->pending, p->id, p);
    return p;
}

static void pending_free(struct host_pending *p)
{
    list_del(&p->link);
    idmap_del(p->host->pending, p->id);
    loop_cancel(&p->timer);
    if (p->event)
        event_free(p->event);
    dns_cancel(&p->query);
    host_ask_free(&p->ask);
    free(p);
}

/* It has happened. What is to be called stays: the plugin may ask for the next thing at once. */
static struct host_pending pending_end(struct host_pending *p)
{
    const struct host_pending was = *p;

    p->timer = NULL;
    p->query = NULL;
    pending_free(p);
    return was;
}

static void give_id(const struct host_pending *p, uint64_t *ret_id)
{
    if (ret_id)
        *ret_id = p->id;
}

static void on_timer(void *arg)
{
    const struct host_pending was = pending_end(arg);

    host_enter(was.host, 0);
    was.cb.done(was.ctx, 0);
    host_leave(was.host);
}

int host_after(postern_host *h, uint64_t usec, postern_done *done, void *ctx, uint64_t *ret_id)
{
    struct host_pending *p = pending_new(h, PENDING_TIMER, ctx);

    p->cb.done = done;
    p->timer = loop_after(h->env->loop, usec, on_timer, p);
    give_id(p, ret_id);
    return 0;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct host_pending *p = arg;
    postern_host *h = p->host;

    (void)fd;
    host_enter(h, 0);
    p->cb.ready(p->ctx,
                ((what & EV_READ) ? POSTERN_READ : 0u) | ((what & EV_WRITE) ? POSTERN_WRITE : 0u));
    host_leave(h);
}

int host_watch(postern_host *h, int fd, unsigned events, postern_ready *ready, void *ctx,
               uint64_t *ret_id)
{
    short what = EV_PERSIST;
    struct host_pending *p;

    if (!(events & (POSTERN_READ | POSTERN_WRITE)))
        return -EINVAL;
    what = (short)(what | ((events & POSTERN_READ) ? EV_READ : 0) |
                   ((events & POSTERN_WRITE) ? EV_WRITE : 0));
    p = pending_new(h, PENDING_WATCH, ctx);
    p->cb.ready = ready;
    p->event = event_new(loop_base(h->env->loop), fd, what, on_ready, p);
    if (!p->event || event_add(p->event, NULL) < 0) {
        pending_free(p);
        return -EBADF;
    }
    give_id(p, ret_id);
    return 0;
}

/* The question is under way, or was refused (r < 0). */
static int asked(struct host_pending *p, int r, uint64_t *ret_id)
{
    if (r < 0) {
        p->query = NULL;
        pending_free(p);
        return r;
    }
    give_id(p, ret_id);
    return 0;
}

static void on_mx(void *arg, int result, const struct postern_mx *mx, size_t n)
{
    const struct host_pending was = pending_end(arg);

    host_enter(was.host, 0);
    was.cb.mx(was.ctx, result, mx, n);
    host_leave(was.host);
}

int host_resolve_mx(postern_host *h, const char *domain, postern_mx_cb *cb, void *ctx,
                    uint64_t *ret_id)
{
    struct host_pending *p = pending_new(h, PENDING_QUERY, ctx);

    p->cb.mx = cb;
    return asked(p, dns_mx(h->env->dns, domain, on_mx, p, &p->query), ret_id);
}

static void on_host(void *arg, int result, const char *const *addresses, size_t n)
{
    const struct host_pending was = pending_end(arg);

    host_enter(was.host, 0);
    was.cb.host(was.ctx, result, addresses, n);
    host_leave(was.host);
}

int host_resolve_host(postern_host *h, const char *name, postern_host_cb *cb, void *ctx,
                      uint64_t *ret_id)
{
    struct host_pending *p = pending_new(h, PENDING_QUERY, ctx);

    p->cb.host = cb;
    return asked(p, dns_host(h->env->dns, name, on_host, p, &p->query), ret_id);
}

int host_route_ask(postern_host *h, const char *sender, const char *rcpt, postern_verdict_cb *cb,
                   void *ctx, uint64_t *ret_id)
{
    struct host_pending *p = pending_new(h, PENDING_ASK, ctx);

    p->cb.verdict = cb;
    p->ask = host_ask_new(h, p, sender, rcpt);
    give_id(p, ret_id);
    return 0;
}

void host_ask_over(struct host_pending *p, int result, const struct postern_verdict *verdict)
{
    const struct host_pending was = pending_end(p);

    host_enter(was.host, 0);
    was.cb.verdict(was.ctx, result, result < 0 ? NULL : verdict);
    host_leave(was.host);
}

void host_forget(postern_host *h, uint64_t id)
{
    struct host_pending *p = id ? idmap_get(h->pending, id) : NULL;

    if (p)
        pending_free(p);
}

void host_forget_all(postern_host *h)
{
    LIST_EACH_SAFE (&h->pending_list, it, tmp)
        pending_free(CONTAINER(it, struct host_pending, link));
}
