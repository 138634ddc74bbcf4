/* A queue for tests: against a spool in memory and a transport that does what each test tells
 * it. */
#ifndef TESTS_QUEUE_KIT_H
#define TESTS_QUEUE_KIT_H

#include <errno.h>
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
#include "log/log.h"
#include "queue/private.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/text.h"

#define MAX_JOBS 4096

struct fixture {
    struct loop *loop;
    struct spool *spool;
    struct config *config;
    struct route_table *routes;
    struct queue *queue;
    postern_job *jobs[MAX_JOBS]; /* delivered to the transport and not settled yet */
    size_t n, delivered_calls, cancels;
    int refuse; /* deliver answers this */
    uint64_t next_id;
    char dir[64];
};

static inline int deliver(void *ctx, const char *transport, postern_job *job)
{
    struct fixture *f = ctx;

    f->delivered_calls++;
    if (f->refuse)
        return f->refuse;
    if (!strcmp(transport, "gone"))
        return -ENOENT;
    assert_true(f->n < MAX_JOBS);
    f->jobs[f->n++] = job;
    return 0;
}

static inline void cancel(void *ctx, const char *transport, postern_job *job)
{
    struct fixture *f = ctx;

    (void)transport;
    f->cancels++;
    for (size_t i = 0; i < f->n; i++) {
        if (f->jobs[i] == job)
            f->jobs[i] = f->jobs[--f->n];
    }
    /* Settles nothing, as a bad plugin would: the queue must cope. */
}

static inline void turns(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(f->loop, 0);
}

static inline void turns_until_tried(struct fixture *f)
{
    for (int i = 0; i < 5000 && !f->n; i++) {
        usleep(1000);
        turns(f, 1);
    }
    assert_int_equal(f->n, 1);
}

static inline void load(struct fixture *f, const char *json)
{
    struct config_errors errors = { 0 };
    char path[128];
    FILE *out;

    snprintf(f->dir, sizeof f->dir, "/tmp/postern-queue-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(path, sizeof path, "%s/a.json", f->dir);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(json, out);
    fclose(out);
    config_load(f->dir, NULL, &f->config, &errors);
    route_compile(f->config, &f->routes, &errors);
    for (size_t i = 0; i < errors.n; i++)
        fprintf(stderr, "%s\n", errors.lines[i]);
    assert_int_equal(errors.n, 0);
    unlink(path);
    rmdir(f->dir);
}

#define CONFIG(queue, routing) \
    "{\"server\":{\"hostname\":\"gw.test\"},\"queue\":{" queue "}," \
    "\"transports\":{\"out\":{\"plugin\":\"x\"},\"gone\":{\"plugin\":\"x\"}," \
    "\"local-mbox\":{\"plugin\":\"x\"}},\"routing\":{" routing \
    "\"default\":{\"transport\":\"out\"}}}"

static inline void start(struct fixture *f, const char *json)
{
    struct queue_setup setup = { 0 };

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
    queue_start(f->queue);
    f->next_id = 1;
}

static inline void stop(struct fixture *f)
{
    queue_free(&f->queue);
    fakespool_free(&f->spool);
    route_free(&f->routes);
    config_free(&f->config);
    loop_free(&f->loop);
}

static inline void add_text(struct fixture *f, const char *sender, size_t n,
                            const char *const *rcpts, const char *text)
{
    struct envelope *e = envelope_new(&(struct envelope_new){ .received_usec = clock_wall(),
                                                              .sender = sender,
                                                              .ingress = "smtp-in",
                                                              .rcpt_n = n,
                                                              .rcpts = rcpts });
    uint64_t id = f->next_id++;

    queue_add(f->queue, id, fakespool_add(f->spool, id, text), e);
}

static inline void add(struct fixture *f, const char *sender, size_t n, const char *const *rcpts)
{
    add_text(f, sender, n, rcpts, "Subject: x\r\nX-Keep: yes\r\n\r\nbody\r\n");
}

static inline void add1(struct fixture *f, const char *sender, const char *rcpt)
{
    add(f, sender, 1, &rcpt);
}

static inline void settle(struct fixture *f, size_t job, size_t i, uint32_t fate, uint32_t cause,
                   const char *text)
{
    struct postern_outcome o = { .size = sizeof o,
                                 .fate = fate,
                                 .cause = cause,
                                 .status = { fate == POSTERN_FAILED         ? 5
                                                 : fate == POSTERN_DEFERRED ? 4
                                                                            : 2,
                                             1, 1 },
                                 .diagnostic = text,
                                 .remote = "mx.test [192.0.2.1]:25",
                                 .protocol = "smtp" };

    queue_job_settle(f->jobs[job], i, &o);
}

/* Settles every recipient of every job that the transport holds. */
static inline void settle_all(struct fixture *f, uint32_t fate, uint32_t cause, const char *text)
{
    size_t n = f->n;

    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0, rcpts = queue_job_rcpts(f->jobs[j]); i < rcpts; i++)
            settle(f, j, i, fate, cause, text);
    }
    memmove(f->jobs, f->jobs + n, (f->n - n) * sizeof f->jobs[0]);
    f->n -= n;
}

static inline json_int_t count(struct fixture *f, const char *what)
{
    json_t *s = queue_status(f->queue);
    json_int_t n = json_integer_value(json_object_get(s, what));

    json_decref(s);
    return n;
}

static inline json_int_t waiting(struct fixture *f, enum wait_reason reason)
{
    json_t *s = queue_status(f->queue);
    json_int_t n = json_integer_value(
        json_object_get(json_object_get(s, "waiting"), wait_reason_name(reason)));

    json_decref(s);
    return n;
}

/* Until all were looked at. */
static inline size_t act(struct fixture *f, const struct queue_filter *filter,
                         enum queue_action action, const char *why)
{
    uint64_t from = 0;
    size_t n = 0;

    do
        n += queue_act(f->queue, filter, action, why, "test", from, &from);
    while (from);
    return n;
}

#endif
