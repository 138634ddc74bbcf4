/* tests/unit/net/kit.h: what the tests of core/net share: a loop, an owner, a plugin that writes
 * down what it is told, and the other end of its connection. */
#ifndef TESTS_NET_KIT_H
#define TESTS_NET_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/content.h"
#include "util/mem.h"

struct kit;

struct told { /* what the plugin's callback saw */
    struct kit *kit;
    postern_stream *stream;
    char log[256]; /* a letter an event: O I D S E T X */
    size_t n;
    int error;
    char error_text[256];
    uint32_t close_on;  /* close the stream when this event comes */
    uint32_t abort_on;
    uint32_t write_on;  /* write "again" when it comes */
    int take;           /* take all input into `got` */
    int pause_on_input;
    struct buf got;
    void (*also)(struct told *, uint32_t event);
};

struct kit {
    struct loop *loop;
    struct stream_owner owner;
    struct stream_config config;
    int inside; /* between enter and leave */
    int entered;
    struct told told;
    int peer; /* the other end */
};

static inline void kit_enter(struct stream_owner *o)
{
    struct kit *k = CONTAINER(o, struct kit, owner);

    assert_int_equal(k->inside, 0);
    k->inside = 1;
    k->entered++;
}

static inline void kit_leave(struct stream_owner *o)
{
    struct kit *k = CONTAINER(o, struct kit, owner);

    assert_int_equal(k->inside, 1);
    k->inside = 0;
}

static inline void told_take(struct told *t, postern_stream *s)
{
    const char *data;
    size_t n = stream_peek(s, &data);

    buf_add(&t->got, data, n);
    stream_consume(s, n);
}

static inline void told_event(void *ctx, postern_stream *s, uint32_t event, int error)
{
    struct told *t = ctx;

    assert_int_equal(t->kit->inside, 1);
    assert_true(event >= 1 && event <= 7);
    assert_true(t->n < sizeof t->log - 1);
    t->log[t->n++] = "?OIDSETX"[event];
    if (event == POSTERN_STREAM_ERROR) {
        struct postern_stream_info i = { .size = sizeof i };

        t->error = error;
        stream_info(s, &i);
        assert_non_null(i.error_text);
        snprintf(t->error_text, sizeof t->error_text, "%s", i.error_text);
    } else {
        assert_int_equal(error, 0);
    }
    if (event == POSTERN_STREAM_INPUT && t->take)
        told_take(t, s);
    if (event == POSTERN_STREAM_INPUT && t->pause_on_input)
        stream_pause(s, 1);
    if (t->write_on == event)
        stream_write(s, "again", 5);
    if (t->also)
        t->also(t, event);
    if (t->close_on == event) {
        stream_close(s);
        t->stream = NULL;
    }
    if (t->abort_on == event) {
        stream_abort(s);
        t->stream = NULL;
    }
}

static inline int told_saw(const struct told *t, char event)
{
    int n = 0;

    for (size_t i = 0; i < t->n; i++)
        n += t->log[i] == event;
    return n;
}

static inline void kit_init(struct kit *k)
{
    memset(k, 0, sizeof *k);
    signal(SIGPIPE, SIG_DFL); /* a write to a closed socket must not need it ignored */
    k->loop = loop_new(2);
    k->owner.loop = k->loop;
    k->owner.name = "test";
    k->owner.enter = kit_enter;
    k->owner.leave = kit_leave;
    k->owner.config = &k->config;
    k->told.kit = k;
    k->peer = -1;
}

/* With a plugin's stream at one end of a socket pair and us at the other. */
static inline void kit_pair(struct kit *k)
{
    int fd[2];

    kit_init(k);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    k->peer = fd[1];
    fcntl(k->peer, F_SETFL, O_NONBLOCK);
    k->told.stream = stream_from_fd(&k->owner, fd[0], 0);
    stream_events(k->told.stream, told_event, &k->told);
}

static inline void kit_done(struct kit *k)
{
    stream_abort(k->told.stream);
    assert_int_equal(k->owner.open, 0);
    assert_int_equal(k->inside, 0);
    if (k->peer >= 0)
        close(k->peer);
    buf_free(&k->told.got);
    loop_free(&k->loop);
}

/* Runs turns until `usec` have passed without anything to do, or *until becomes true. */
static inline void kit_run(struct kit *k, int64_t usec, int (*until)(struct kit *))
{
    int64_t end = clock_mono() + usec;

    do {
        loop_turn(k->loop, 0);
        if (until && until(k))
            return;
        if (until)
            usleep(200);
    } while (clock_mono() < end);
    if (until)
        fail_msg("what was waited for did not happen; events: %s", k->told.log);
}

static inline void kit_turns(struct kit *k, int n)
{
    while (n-- > 0)
        loop_turn(k->loop, 0);
}

static inline size_t peer_read(struct kit *k, void *data, size_t size)
{
    ssize_t n = read(k->peer, data, size);

    return n > 0 ? (size_t)n : 0;
}

static inline void peer_write(struct kit *k, const void *data, size_t n)
{
    assert_int_equal(write(k->peer, data, n), (ssize_t)n);
}

static inline void peer_says(struct kit *k, const char *text)
{
    peer_write(k, text, strlen(text));
    kit_turns(k, 2);
}

/* Does the other end see the connection's end? */
static inline int peer_at_end(struct kit *k)
{
    char c;

    return read(k->peer, &c, 1) == 0;
}

/* Reads what comes until there is `n` of it (or the end, for n of SIZE_MAX), turning the loop. */
static inline void peer_collect(struct kit *k, struct buf *into, size_t n)
{
    int64_t end = clock_mono() + 10000000;
    static char data[65536];

    while (into->len < n) {
        ssize_t r;

        loop_turn(k->loop, 0);
        r = read(k->peer, data, sizeof data);
        if (r == 0 && n == SIZE_MAX)
            return;
        if (r > 0)
            buf_add(into, data, (size_t)r);
        if (clock_mono() > end)
            fail_msg("%zu bytes came, not %zu; events: %s", into->len, n, k->told.log);
    }
}

static inline int saw_error(struct kit *k)
{
    return told_saw(&k->told, 'X');
}

static inline int saw_input(struct kit *k)
{
    return told_saw(&k->told, 'I');
}

static inline int saw_end(struct kit *k)
{
    return told_saw(&k->told, 'E');
}

static inline int saw_drained(struct kit *k)
{
    return told_saw(&k->told, 'D');
}

static inline int saw_open(struct kit *k)
{
    return told_saw(&k->told, 'O');
}

static inline int saw_timeout(struct kit *k)
{
    return told_saw(&k->told, 'T');
}

static inline int saw_secure(struct kit *k)
{
    return told_saw(&k->told, 'S');
}

static inline int all_closed(struct kit *k)
{
    return k->owner.open == 0;
}

#endif
