/* A host without a plugin, on a spool in memory: what asks the core's own services. */
#ifndef TESTS_PLUGIN_KIT_H
#define TESTS_PLUGIN_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/fakespool.h"
#include "plugin/host.h"

static const struct postern_services *const v = &host_services;

struct fixture {
    struct loop *loop;
    struct spool *spool;
    struct config *config;
    struct route_table *routes;
    struct queue *queue;
    struct hosts *hosts;
    postern_host *host;
};

static inline int deliver(void *ctx, const char *transport, postern_job *job)
{
    (void)ctx;
    (void)transport;
    (void)job;
    return 0;
}

static inline void cancel(void *ctx, const char *transport, postern_job *job)
{
    (void)ctx;
    (void)transport;
    (void)job;
}

static inline void load(struct fixture *f, const char *json)
{
    struct config_errors errors = { 0 };
    char dir[] = "/tmp/postern-host-XXXXXX", path[64];
    FILE *out;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.json", dir);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(json, out);
    fclose(out);
    config_load(dir, NULL, &f->config, &errors);
    route_compile(f->config, &f->routes, &errors);
    for (size_t i = 0; i < errors.n; i++)
        fprintf(stderr, "%s\n", errors.lines[i]);
    assert_int_equal(errors.n, 0);
    unlink(path);
    rmdir(dir);
}

/* json: the whole configuration. */
static inline void start_with(struct fixture *f, const char *json)
{
    struct queue_setup setup;
    struct host_env env;

    memset(f, 0, sizeof *f);
    load(f, json);
    f->loop = loop_new(1);
    f->spool = fakespool_new(f->loop);
    setup = (struct queue_setup){ .loop = f->loop,
                                  .spool = f->spool,
                                  .config = f->config,
                                  .routes = f->routes,
                                  .carrier = { f, deliver, cancel } };
    assert_int_equal(queue_new(&setup, &f->queue), 0);
    env = (struct host_env){ .loop = f->loop,
                             .config = f->config,
                             .routes = f->routes,
                             .spool = f->spool,
                             .queue = f->queue };
    f->hosts = hosts_new(&env);
    f->host = hosts_core(f->hosts);
}

static inline void stop(struct fixture *f)
{
    hosts_free(&f->hosts);
    queue_free(&f->queue);
    fakespool_free(&f->spool);
    route_free(&f->routes);
    config_free(&f->config);
    loop_free(&f->loop);
}

static inline void turns(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(f->loop, 0);
}

struct answer {
    int calls, result;
};

static inline void note(void *ctx, int result)
{
    struct answer *a = ctx;

    a->calls++;
    a->result = result;
}

/* Turns until it came, or a second has passed. */
static inline void await(struct fixture *f, const struct answer *a)
{
    for (int i = 0; i < 1000 && !a->calls; i++) {
        loop_turn(f->loop, 0);
        usleep(1000);
    }
    assert_int_equal(a->calls, 1);
}

#endif
