/* net/input.c: what comes in.
 *
 * The socket is read once each time it is readable. The idle buffer is small, but a read may
 * bring much, so it reads into the buffer and, behind it, into 64 KiB of the stack: one system
 * call whatever comes, and no memory held by streams that have nothing to say. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "net/private.h"

#define INPUT_ROOM    2048u /* what a read finds at least, before the stack begins */
#define INPUT_SCRATCH 65536u

size_t stream_input_max(const postern_stream *s)
{
    const struct stream_config *cfg = s->owner->config;

    return cfg && cfg->input_max ? cfg->input_max : STREAM_INPUT_MAX;
}

/* May we read now? Not while the plugin does not want it, nor beyond what we are ready to hold. */
static int input_wanted(const postern_stream *s)
{
    return s->phase == STREAM_OPEN && s->cb && !s->paused && !s->eof &&
        (s->secure == SECURE_NONE || s->secure == SECURE_ON) && s->in.len < stream_input_max(s);
}

void input_stop(postern_stream *s)
{
    if (s->reading)
        event_del(&s->read_ev);
    s->reading = 0;
}

/* The opposite, input_stop, is only called once the socket is readable and nobody wants it: a pause
 * in which nothing comes, as between DATA and its reply, costs no system call. */
void input_update(postern_stream *s)
{
    if (!input_wanted(s))
        return;
    if (!s->reading)
        event_add(&s->read_ev, NULL);
    s->reading = 1;
    if (s->tls_more) {
        /* The socket may have nothing more, but OpenSSL has: nobody else will wake us. */
        s->tls_more = 0;
        event_active(&s->read_ev, EV_READ, 1);
    }
}

/* A peer in full flow gets a buffer that takes it all without copying. */
static size_t input_want(const postern_stream *s, size_t max)
{
    size_t want = s->in_last >= INPUT_SCRATCH / 4 ? INPUT_SCRATCH : INPUT_ROOM;

    return want < max ? want : max;
}

/* Reads once. Bytes, 0 for the end or -errno. */
static ssize_t input_receive(postern_stream *s)
{
    char scratch[INPUT_SCRATCH];
    size_t max = stream_input_max(s) - s->in.len, room;
    struct iovec iov[2];
    ssize_t n;

    iov[0].iov_base = window_room(&s->in, input_want(s, max), &room);
    iov[0].iov_len = room < max ? room : max;
    iov[1].iov_base = scratch;
    max -= iov[0].iov_len;
    iov[1].iov_len = max < sizeof scratch ? max : sizeof scratch;
    n = readv(s->fd, iov, iov[1].iov_len ? 2 : 1);
    if (n < 0)
        return -errno;
    s->in_last = (size_t)n;
    if ((size_t)n <= iov[0].iov_len) {
        s->in.len += (size_t)n;
    } else {
        s->in.len += iov[0].iov_len;
        window_add(&s->in, scratch, (size_t)n - iov[0].iov_len);
    }
    return n;
}

/* 0, or -errno for stream_fail. Sets s->eof. */
static int input_take(postern_stream *s)
{
    ssize_t n;

    if (s->secure == SECURE_ON)
        return secure_receive(s);
    n = input_receive(s);
    if (n == -EAGAIN || n == -EINTR)
        return 0;
    s->eof = n == 0;
    return n < 0 ? (int)n : 0;
}

static void input_fail(postern_stream *s, int error)
{
    char words[256];

    if (s->secure == SECURE_ON && error == -EPROTO)
        stream_fail(s, error, "TLS: %s", secure_error(words, sizeof words));
    else
        stream_fail(s, error, "%s", net_error_text(error, words, sizeof words));
}

void input_ready(postern_stream *s)
{
    size_t before = s->in.len;
    int r;

    if (!input_wanted(s)) {
        input_stop(s);
        return;
    }
    r = input_take(s);
    if (s->eof)
        input_stop(s);
    if (s->in.len > before && !stream_emit(s, POSTERN_STREAM_INPUT, 0))
        return;
    if (r)
        input_fail(s, r);
    else if (s->eof && s->phase == STREAM_OPEN)
        stream_emit(s, POSTERN_STREAM_EOF, 0);
}

/* Writing failed: the peer may have said why before it hung up ("421 ..."), so read that first. */
void input_last(postern_stream *s)
{
    size_t before = s->in.len;

    if (!input_wanted(s))
        return;
    s->tls_dry = 0;
    input_take(s);
    if (s->in.len > before)
        stream_emit(s, POSTERN_STREAM_INPUT, 0);
}

void input_discard(postern_stream *s)
{
    char scratch[INPUT_SCRATCH];
    ssize_t n = recv(s->fd, scratch, sizeof scratch, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        stream_destroy(s);
}

size_t stream_peek(postern_stream *s, const char **ret_data)
{
    *ret_data = s->in.len ? window_bytes(&s->in) : "";
    return s->in.len;
}

/* The bytes stay where they are until the next read, since a line just given points to them. */
static void input_drop(postern_stream *s, size_t n)
{
    window_drop(&s->in, n);
    s->in_scanned = s->in_scanned > n ? s->in_scanned - n : 0;
    if (!s->in.len && s->in.cap > STREAM_IDLE_KEEP)
        output_note(s); /* the end of the turn frees it */
    input_update(s);
}

void stream_consume(postern_stream *s, size_t n)
{
    input_drop(s, n < s->in.len ? n : s->in.len);
}

int stream_line(postern_stream *s, size_t max, const char **ret_line, size_t *ret_len, int *ret_eol)
{
    const char *data, *lf;
    size_t have = stream_peek(s, &data), len;

    lf = memchr(data + s->in_scanned, '\n', have - s->in_scanned);
    if (!lf) {
        s->in_scanned = have;
        /* One more than max may still be the CR of a line that fits. A buffer that is full can't
         * get an end of line either, whatever max says. */
        if ((have > max && (have - max > 1 || data[have - 1] != '\r')) ||
            have >= stream_input_max(s))
            return -EMSGSIZE;
        return 0;
    }
    len = (size_t)(lf - data);
    *ret_eol = len && lf[-1] == '\r' ? 2 : 1;
    len -= (size_t)*ret_eol - 1;
    if (len > max)
        return -EMSGSIZE;
    *ret_line = data;
    *ret_len = len;
    input_drop(s, (size_t)(lf - data) + 1);
    return 1;
}

void stream_pause(postern_stream *s, int on)
{
    s->paused = on != 0;
    input_update(s);
}
