/* plugin/services.c: the services table: the one way from a plugin to the world. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "plugin/host_private.h"
#include "route/expand.h"
#include "util/content.h"
#include "util/mem.h"

POSTERN_PRINTF(4, 5)
static void service_log(postern_host *h, int level, const char *event, const char *fmt, ...)
{
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    log_vevent(level, h->name, event, fmt, ap);
    va_end(ap);
}

static uint64_t service_now(postern_host *h)
{
    return (uint64_t)loop_now(h->env->loop);
}

static int service_offload(postern_host *h, int (*work)(void *ctx), postern_done *done, void *ctx)
{
    loop_offload(h->env->loop, work, done, ctx);
    return 0;
}

static uint64_t service_content_size(const postern_content *c)
{
    return c->size;
}

static void verdict_fail(const struct route_decision *d, struct postern_verdict *ret)
{
    ret->kind = POSTERN_VERDICT_FAIL;
    memcpy(ret->status, d->status, sizeof ret->status);
    snprintf(ret->text, sizeof ret->text, "%s", d->text ? d->text : "refused by a rule");
    /* It goes into a reply, and those are ASCII (RFC 5321 4.2). */
    for (char *p = ret->text; *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?';
    }
}

void host_verdict(const struct route_decision *d, struct postern_verdict *ret)
{
    ret->text[0] = '\0';
    if (d->action == ROUTE_FAIL)
        verdict_fail(d, ret);
    else
        ret->kind = d->anyone ? POSTERN_VERDICT_ANYONE : POSTERN_VERDICT_RELAY;
}

static int service_route_check(postern_host *h, const char *sender, const char *rcpt,
                               struct postern_verdict *ret)
{
    struct route_query q = { .sender = sender, .rcpt = rcpt, .ingress = h->name };
    struct route_decision d;
    int r;

    if (route_has_users(h->env->routes))
        return host_verdict_known(h, &q, ret);
    r = route_decide(h->env->routes, &q, &d, NULL);
    if (r == 0)
        host_verdict(&d, ret);
    route_decision_done(&d);
    return r;
}

static const char *service_hostname(postern_host *h)
{
    return h->env->config->server.hostname;
}

static const char *service_instance(postern_host *h)
{
    return h->name;
}

static uint64_t service_size_limit(postern_host *h)
{
    int64_t max = h->env->config->server.message_size_max;

    return max > 0 ? (uint64_t)max : 0;
}

static int service_listen(postern_host *h, const char *endpoint, postern_accept_cb *accept,
                          void *ctx)
{
    int fd = h->env->listener_fd(h->env->listener_ctx, endpoint);
    struct host_listener *l;

    if (fd < 0)
        return -ENOENT; /* not one of its LISTEN options */
    l = mem_zalloc(sizeof *l);
    l->fd = fd;
    l->accept = accept;
    l->ctx = ctx;
    l->next = h->listeners;
    h->listeners = l;
    host_listener_start(h, l);
    return 0;
}

static int service_connect(postern_host *h, const char *address, uint16_t port,
                           uint64_t timeout_usec, postern_stream_cb *cb, void *ctx,
                           postern_stream **ret)
{
    return stream_connect(&h->streams, address, port, timeout_usec, cb, ctx, ret);
}

static int service_tls_new(postern_host *h, const struct postern_tls_params *p, postern_tls **ret)
{
    struct host_tls *t = mem_zalloc(sizeof *t);
    char why[512];
    int r = tls_new(p, &t->tls, why, sizeof why);

    if (r < 0) {
        log_event(POSTERN_LOG_ERROR, h->name, "tls.load", "why=%s", log_q(why));
        free(t);
        return r;
    }
    t->next = h->tls;
    h->tls = t;
    *ret = t->tls;
    return 0;
}

const struct postern_services host_services = {
    .size = sizeof host_services,
    .log = service_log,
    .after = host_after,
    .now = service_now,
    .watch = host_watch,
    .offload = service_offload,
    .forget = host_forget,
    .job_id = queue_job_id,
    .job_sender = queue_job_sender,
    .job_rcpts = queue_job_rcpts,
    .job_rcpt = queue_job_rcpt,
    .job_destination = queue_job_destination,
    .job_next_hop = queue_job_next_hop,
    .job_param = queue_job_param,
    .job_flags = queue_job_flags,
    .job_released = queue_job_released,
    .job_content = queue_job_content,
    .job_settle = queue_job_settle,
    .content_size = service_content_size,
    .content_read = content_read,
    .submit_new = host_submit_new,
    .submit_id = host_submit_id,
    .submit_rcpt = host_submit_rcpt,
    .submit_write = host_submit_write,
    .submit_room = host_submit_room,
    .submit_commit = host_submit_commit,
    .submit_free = host_submit_free,
    .route_check = service_route_check,
    .hostname = service_hostname,
    .instance = service_instance,
    .size_limit = service_size_limit,
    .listen = service_listen,
    .stream_connect = service_connect,
    .stream_events = stream_events,
    .stream_peek = stream_peek,
    .stream_consume = stream_consume,
    .stream_line = stream_line,
    .stream_write = stream_write,
    .stream_printf = stream_printf,
    .stream_content = stream_content,
    .stream_pending = stream_pending,
    .stream_pause = stream_pause,
    .stream_deadline = stream_deadline,
    .stream_starttls = stream_starttls,
    .stream_info = stream_info,
    .stream_close = stream_close,
    .stream_abort = stream_abort,
    .tls_new = service_tls_new,
    .resolve_mx = host_resolve_mx,
    .resolve_host = host_resolve_host,
    .job_client = queue_job_client,
    .job_original = queue_job_original,
    .job_next_hop_flags = queue_job_next_hop_flags,
    .lookup_kind = host_lookup_kind,
    .lookup_key = host_lookup_key,
    .lookup_local = host_lookup_local,
    .lookup_domain = host_lookup_domain,
    .lookup_answer = host_lookup_answer,
    .route_ask = host_route_ask,
    .submit_sender = host_submit_sender,
    .submit_rcpts = host_submit_rcpts,
};
