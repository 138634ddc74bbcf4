/* plugin/host.c: instances: opened, given work, drained, closed. */
#include "plugin/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/log.h"
#include "plugin/host_private.h"
#include "util/mem.h"

static uint32_t index_of(const postern_host *h)
{
    return (uint32_t)(h->instance - h->env->config->instances);
}

void host_enter(postern_host *h, uint64_t message)
{
    if (h->instance)
        score_enter(h->env->row, index_of(h), message);
}

void host_leave(postern_host *h)
{
    score_leave(h->env->row);
}

static void stream_enter(struct stream_owner *o)
{
    host_enter(CONTAINER(o, postern_host, streams), 0);
}

static void stream_leave(struct stream_owner *o)
{
    host_leave(CONTAINER(o, postern_host, streams));
}

static postern_host *host_new(struct hosts *hs, const struct config_instance *instance)
{
    postern_host *h = mem_zalloc(sizeof *h);

    h->hosts = hs;
    h->env = &hs->env;
    h->instance = instance;
    h->name = instance ? instance->name : "local";
    h->streams.loop = hs->env.loop;
    h->streams.name = h->name;
    if (hs->env.row) {
        h->streams.enter = stream_enter;
        h->streams.leave = stream_leave;
    }
    h->pending = idmap_new();
    list_init(&h->pending_list);
    list_init(&h->submits);
    list_init(&h->lookups);
    list_add_tail(&hs->all, &h->link);
    return h;
}

static void host_free(postern_host *h)
{
    host_forget_all(h);
    host_submit_free_all(h);
    host_lookups_free(h);
    stream_abort_all(&h->streams);
    for (struct host_listener *l = h->listeners, *next; l; l = next) {
        next = l->next;
        listener_free(&l->listener);
        free(l);
    }
    for (struct host_tls *t = h->tls, *next; t; t = next) {
        next = t->next;
        tls_free(&t->tls);
        free(t);
    }
    idmap_free(&h->pending);
    list_del(&h->link);
    free(h);
}

struct hosts *hosts_new(const struct host_env *env)
{
    struct hosts *hs = mem_zalloc(sizeof *hs);

    hs->env = *env;
    list_init(&hs->all);
    hs->transports = map_new();
    hs->directories = map_new();
    hs->asking = map_new();
    list_init(&hs->questions);
    hs->core = host_new(hs, NULL);
    return hs;
}

postern_host *hosts_core(struct hosts *hs)
{
    return hs->core;
}

static int open_one(struct hosts *hs, const struct config_instance *in, char *why, size_t why_size)
{
    postern_host *h = host_new(hs, in);
    int r = in->descriptor->open(h, &host_services, in->settings, &h->self);

    if (r < 0) {
        snprintf(why, why_size, "%s (%s#%s): plugin %s can't open: %s", in->name, in->origin.file,
                 in->origin.pointer, in->plugin, strerror(-r));
        return r;
    }
    h->opened = 1;
    if (in->kind == CONFIG_TRANSPORT)
        map_set(hs->transports, in->name, h);
    else if (in->kind == CONFIG_DIRECTORY)
        map_set(hs->directories, in->name, h);
    log_event(POSTERN_LOG_DEBUG, h->name, "plugin.open", "plugin=%s version=%s", in->plugin,
              log_q(in->descriptor->version));
    return 0;
}

/* directories: 1: only those. */
static int open_all(struct hosts *hs, int directories, char *why, size_t why_size)
{
    const struct config *cfg = hs->env.config;
    int r = 0;

    for (size_t i = 0; i < cfg->instance_n && !r; i++) {
        const struct config_instance *in = &cfg->instances[i];

        if (in->enabled && (!directories || in->kind == CONFIG_DIRECTORY))
            r = open_one(hs, in, why, why_size);
    }
    return r;
}

int hosts_open(struct hosts *hs, char *why, size_t why_size)
{
    return open_all(hs, 0, why, why_size);
}

int hosts_open_directories(struct hosts *hs, char *why, size_t why_size)
{
    return open_all(hs, 1, why, why_size);
}

void host_listener_start(postern_host *h, struct host_listener *l)
{
    if (h->hosts->accepting && !l->listener)
        l->listener = listener_new(&h->streams, l->fd, l->accept, l->ctx);
}

void hosts_accept(struct hosts *hs, int on)
{
    hs->accepting = on;
    LIST_EACH (&hs->all, it) {
        postern_host *h = CONTAINER(it, postern_host, link);

        for (struct host_listener *l = h->listeners; l; l = l->next) {
            if (on)
                host_listener_start(h, l);
            else
                listener_free(&l->listener);
        }
    }
}

void hosts_drain(struct hosts *hs)
{
    hosts_accept(hs, 0);
    LIST_EACH (&hs->all, it) {
        postern_host *h = CONTAINER(it, postern_host, link);

        if (h->opened && h->instance->descriptor->drain)
            h->instance->descriptor->drain(h->self);
    }
}

void hosts_free(struct hosts **phs)
{
    struct hosts *hs = *phs;

    if (!hs)
        return;
    *phs = NULL;
    hosts_accept(hs, 0);
    LIST_EACH (&hs->all, it) {
        postern_host *h = CONTAINER(it, postern_host, link);

        if (h->opened)
            h->instance->descriptor->close(h->self);
        h->opened = 0;
    }
    /* What was asked of the router ends first: it waits for directories. */
    LIST_EACH (&hs->all, it)
        host_forget_all(CONTAINER(it, postern_host, link));
    hosts_questions_free(hs);
    map_free(&hs->transports, NULL);
    map_free(&hs->directories, NULL);
    map_free(&hs->asking, NULL);
    LIST_EACH_SAFE (&hs->all, it, tmp)
        host_free(CONTAINER(it, postern_host, link));
    free(hs);
}

size_t hosts_streams(const struct hosts *hs)
{
    size_t n = 0;

    LIST_EACH (&hs->all, it)
        n += CONTAINER(it, postern_host, link)->streams.open;
    return n;
}

size_t hosts_submissions(const struct hosts *hs)
{
    size_t n = 0;

    LIST_EACH (&hs->all, it)
        n += CONTAINER(it, postern_host, link)->submissions;
    return n;
}

int hosts_deliver(void *ctx, const char *transport, postern_job *job)
{
    struct hosts *hs = ctx;
    postern_host *h = map_get(hs->transports, transport);
    const struct postern_plugin *d;
    int r;

    if (!h)
        return -ENOENT;
    d = h->instance->descriptor;
    if (!d->transport)
        return -ENOSYS;
    score_fly(h->env->row, index_of(h), queue_job_message(job));
    host_enter(h, queue_job_message(job));
    r = d->transport->deliver(h->self, job);
    host_leave(h);
    return r;
}

static void host_cancel(postern_host *h, postern_job *job)
{
    host_enter(h, queue_job_message(job));
    h->instance->descriptor->transport->cancel(h->self, job);
    host_leave(h);
}

void hosts_cancel(void *ctx, const char *transport, postern_job *job)
{
    struct hosts *hs = ctx;
    postern_host *h = map_get(hs->transports, transport);

    if (h && h->instance->descriptor->transport)
        host_cancel(h, job);
}

int hosts_attach(struct hosts *hs, const char *ingress, int fd)
{
    LIST_EACH (&hs->all, it) {
        postern_host *h = CONTAINER(it, postern_host, link);
        const struct postern_plugin *d = h->instance ? h->instance->descriptor : NULL;
        postern_stream *s;
        int r;

        if (!d || !h->opened || !d->ingress || !POSTERN_HAS(d->ingress, attach) ||
            (ingress && strcmp(ingress, h->name)))
            continue;
        s = stream_from_fd(&h->streams, fd, POSTERN_STREAM_LOCAL);
        r = d->ingress->attach(h->self, s);
        if (r < 0)
            stream_abort(s);
        return r;
    }
    close(fd);
    return -ENOENT;
}
