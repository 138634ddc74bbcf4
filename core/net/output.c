/* net/output.c: what goes out.
 *
 * What a turn queues leaves at its end in one system call. Only when the socket takes less than
 * that does the stream wait for it to be writable. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "net/private.h"

#define OUTPUT_PIECES     256
#define OUTPUT_BATCH      (256u * 1024u)  /* content offered to one system call */
#define OUTPUT_TURN_MAX   (1024u * 1024u) /* sent before other streams have their turn */
#define OUTPUT_PRINTF_MAX 4096u

int output_left(const postern_stream *s)
{
    return s->out.len || s->content || s->after.len;
}

size_t stream_pending(const postern_stream *s)
{
    return s->out.len + s->after.len + (s->content ? 1 : 0);
}

void output_note(postern_stream *s)
{
    if (s->phase == STREAM_OPEN || s->phase == STREAM_CLOSING)
        loop_note(s->owner->loop, &s->flush, LOOP_STAGE_OUTPUT);
}

void output_wait(postern_stream *s, int on)
{
    if (on && !s->writing)
        event_add(&s->write_ev, NULL);
    else if (!on && s->writing)
        event_del(&s->write_ev);
    s->writing = on != 0;
}

void output_free(postern_stream *s)
{
    window_free(&s->out);
    window_free(&s->after);
    outgoing_free(&s->content);
}

/* May something be queued? Between asking for TLS and having it, nothing may: whether it went in
 * the clear or not would depend on chance. */
static int output_allowed(const postern_stream *s)
{
    if (s->phase != STREAM_CONNECTING && s->phase != STREAM_OPEN)
        return -EPIPE;
    if (s->secure == SECURE_ASKED || s->secure == SECURE_HANDSHAKE)
        return -EBUSY;
    return 0;
}

static size_t output_max(const postern_stream *s)
{
    const struct stream_config *cfg = s->owner->config;

    return cfg && cfg->output_max ? cfg->output_max : STREAM_OUTPUT_MAX;
}

int stream_write(postern_stream *s, const void *data, size_t len)
{
    size_t queued = s->out.len + s->after.len, max = output_max(s);
    int r = output_allowed(s);

    if (r)
        return r;
    if (len > max || queued > max - len)
        return -ENOBUFS;
    if (!len)
        return 0;
    window_add(s->content ? &s->after : &s->out, data, len);
    s->drain_due = 1;
    output_note(s);
    return 0;
}

int stream_printf(postern_stream *s, const char *fmt, ...)
{
    char text[OUTPUT_PRINTF_MAX + 1];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text)
        return -EMSGSIZE;
    return stream_write(s, text, (size_t)n);
}

/* A piece came from the disk. */
static void content_ready(void *ctx)
{
    postern_stream *s = ctx;

    stream_hold(s);
    if (!s->writing)
        output_flush(s);
    stream_drop(s);
}

int stream_content(postern_stream *s, postern_content *c, uint64_t at, uint32_t flags)
{
    int r = output_allowed(s);

    if (r)
        return r;
    if (s->content)
        return -EBUSY;
    if (at > c->size)
        return -EINVAL;
    s->content = outgoing_new(s->owner->loop, c, at, flags, content_ready, s);
    s->drain_due = 1;
    output_note(s);
    return 0;
}

/* What to send next, as pieces; *ret_first is the first of the content's. Their number or
 * -errno. */
static int output_gather(postern_stream *s, struct iovec *iov, int *ret_first, int *ret_content)
{
    int n = 0, last = 1;

    if (s->out.len)
        iov[n++] = (struct iovec){ window_bytes(&s->out), s->out.len };
    *ret_first = n;
    *ret_content = 0;
    if (s->content) {
        *ret_content =
            outgoing_fill(s->content, iov + n, OUTPUT_PIECES - n - 1, OUTPUT_BATCH, &last);
        if (*ret_content < 0)
            return *ret_content;
        n += *ret_content;
    }
    if (last && s->after.len)
        iov[n++] = (struct iovec){ window_bytes(&s->after), s->after.len };
    return n;
}

/* n bytes of what was gathered have left. */
static void output_took(postern_stream *s, const struct iovec *content, int pieces, size_t n)
{
    size_t m = n < s->out.len ? n : s->out.len;

    window_drop(&s->out, m);
    n -= m;
    if (s->content) {
        n -= outgoing_took(s->content, content, pieces, n);
        if (outgoing_done(s->content)) {
            struct window empty = s->out;

            outgoing_free(&s->content);
            s->out = s->after;
            s->after = empty;
            window_trim(&s->after, 0);
            window_drop(&s->out, n);
        }
    }
}

static ssize_t output_send(postern_stream *s, struct iovec *iov, int n)
{
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)n };
    ssize_t sent;

    if (s->secure == SECURE_ON)
        return secure_send(s, iov, n);
    sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    return sent;
}

static size_t output_size(const struct iovec *iov, int n)
{
    size_t size = 0;

    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    return size;
}

static void output_failed(postern_stream *s, int error)
{
    char words[256];

    if (s->secure == SECURE_ON && error == -EPROTO) {
        stream_fail(s, error, "TLS: %s", secure_error(words, sizeof words));
        return;
    }
    input_last(s);
    stream_fail(s, error, "%s", net_error_text(error, words, sizeof words));
}

static void output_drained(postern_stream *s)
{
    output_wait(s, 0);
    window_trim(&s->out, STREAM_IDLE_KEEP);
    if (s->phase == STREAM_CLOSING) {
        stream_finish(s);
        return;
    }
    if (s->drain_due) {
        s->drain_due = 0;
        if (!stream_emit(s, POSTERN_STREAM_DRAINED, 0))
            return;
    }
    if (s->phase == STREAM_OPEN && s->secure == SECURE_ASKED)
        secure_begin(s);
}

/* Sends one batch. 1: there may be room for more; 0: nothing can be sent now, or the stream
 * failed. */
static int output_batch(postern_stream *s, size_t *budget)
{
    struct iovec iov[OUTPUT_PIECES];
    int first, pieces, n = output_gather(s, iov, &first, &pieces);
    char words[128];
    ssize_t sent;
    size_t size;

    if (n < 0) {
        stream_fail(s, n, "the content can't be read: %s", net_error_text(n, words, sizeof words));
        return 0;
    }
    if (!n && s->content && outgoing_done(s->content)) { /* there was nothing in it */
        output_took(s, iov, 0, 0);
        return 1;
    }
    if (!n) {
        output_wait(s, 0); /* content_ready comes when the disk has answered */
        return 0;
    }
    size = output_size(iov, n);
    sent = output_send(s, iov, n);
    if (sent < 0) {
        output_failed(s, (int)sent);
        return 0;
    }
    output_took(s, iov + first, pieces, (size_t)sent);
    if ((size_t)sent < size || *budget < (size_t)sent) {
        output_wait(s, output_left(s) && !s->tls_write_waits);
        return !output_left(s);
    }
    *budget -= (size_t)sent;
    return 1;
}

void output_flush(postern_stream *s)
{
    size_t budget = OUTPUT_TURN_MAX;

    if ((s->phase != STREAM_OPEN && s->phase != STREAM_CLOSING) || s->secure == SECURE_HANDSHAKE)
        return;
    while (output_left(s)) {
        if (!output_batch(s, &budget))
            return;
    }
    output_drained(s);
}
