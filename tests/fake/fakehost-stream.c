/* fakehost-stream.c: the fake host's streams: two queues of bytes, and the test at their other end.
 *
 * Fed bytes wait "on the wire" until a turn finds the stream reading; then they are the plugin's
 * input. What the plugin writes is queued, and "sent" in the next turn unless the peer stalls. TLS
 * is a flag: the bytes stay as they are, but clear text that meets a handshake breaks it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakehost-internal.h"

#define INPUT_MAX  ((size_t)256 * 1024) /* unconsumed input at which reading stops */
#define PRINTF_MAX 4096

struct postern_tls {
    postern_tls *next;
    uint32_t flags;
};

enum phase { CONNECTING, CLEAR, HANDSHAKING, SECURE, BROKEN };

struct postern_stream {
    struct postern_stream *next;
    struct fakehost *h;
    postern_stream_cb *cb;
    void *ctx;
    enum phase phase;
    enum fakehost_end end;
    int outbound;
    char *peer, *tls_name;
    uint16_t port;
    uint32_t flags, tls_verified;
    uint64_t deadline;

    struct bytes wire;
    int eof_fed, eof_told, error_fed;
    char *input; /* exactly input_len bytes; consumed up to input_at */
    size_t input_len, input_at;
    int paused;

    struct bytes queue, after, sent; /* after: what was written behind the content */
    postern_content *content;
    uint64_t content_at;
    uint32_t content_flags;
    int stalled;
    int wrote; /* DRAINED is owed */
};

/* --- the plugin's side --- */

static void need_standing(const struct postern_stream *s, const char *service)
{
    fake_on_loop(s->h, service);
    if (s->end != FAKEHOST_STANDS)
        fake_complain(s->h, "%s on a stream that the plugin has closed", service);
}

static void tell(struct postern_stream *s, uint32_t event, int error)
{
    if (s->end != FAKEHOST_STANDS)
        return;
    if (!s->cb) {
        fake_complain(s->h, "a stream has no callback (stream_events)");
        return;
    }
    s->cb(s->ctx, s, event, error);
}

static void fake_stream_events(postern_stream *s, postern_stream_cb *cb, void *ctx)
{
    need_standing(s, "stream_events");
    s->cb = cb;
    s->ctx = ctx;
}

static size_t fake_stream_peek(postern_stream *s, const char **ret_data)
{
    need_standing(s, "stream_peek");
    *ret_data = s->input ? s->input + s->input_at : "";
    return s->input_len - s->input_at;
}

static void fake_stream_consume(postern_stream *s, size_t n)
{
    need_standing(s, "stream_consume");
    if (n > s->input_len - s->input_at) {
        fake_complain(s->h, "stream_consume: %zu bytes of %zu", n, s->input_len - s->input_at);
        return;
    }
    s->input_at += n;
}

static int fake_stream_line(postern_stream *s, size_t max, const char **ret_line, size_t *ret_len,
                            int *ret_eol)
{
    size_t have = s->input_len - s->input_at, len;
    const char *line = s->input ? s->input + s->input_at : "";
    const char *lf = have ? memchr(line, '\n', have) : NULL;

    need_standing(s, "stream_line");
    if (!lf) /* one byte more than max may still be the CR of a line that fits */
        return have > max && (have - max > 1 || line[have - 1] != '\r') ? -EMSGSIZE : 0;
    len = (size_t)(lf - line);
    *ret_eol = len && line[len - 1] == '\r' ? 2 : 1;
    len -= (size_t)(*ret_eol - 1);
    if (len > max)
        return -EMSGSIZE;
    *ret_line = line;
    *ret_len = len;
    s->input_at += len + (size_t)*ret_eol;
    return 1;
}

static int fake_stream_write(postern_stream *s, const void *data, size_t len)
{
    int r = fake_failure(s->h, FAKEHOST_STREAM_WRITE);

    need_standing(s, "stream_write");
    if (r < 0)
        return r;
    if (s->phase == BROKEN)
        return -EPIPE;
    if (s->queue.len + s->after.len + len > s->h->output_max)
        return -ENOBUFS;
    bytes_add(s->content ? &s->after : &s->queue, data, len);
    s->wrote = 1;
    return 0;
}

POSTERN_PRINTF(2, 3)
static int fake_stream_printf(postern_stream *s, const char *fmt, ...)
{
    char text[PRINTF_MAX + 1];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || n > PRINTF_MAX) {
        fake_complain(s->h, "stream_printf: %d bytes of at most %d", n, PRINTF_MAX);
        return -EMSGSIZE;
    }
    return fake_stream_write(s, text, (size_t)n);
}

static int fake_stream_content(postern_stream *s, postern_content *c, uint64_t at, uint32_t flags)
{
    int r = fake_failure(s->h, FAKEHOST_STREAM_CONTENT);

    need_standing(s, "stream_content");
    if (r < 0)
        return r;
    if (s->phase == BROKEN)
        return -EPIPE;
    if (s->content)
        return -EBUSY;
    s->content = c;
    s->content_at = at;
    s->content_flags = flags;
    s->wrote = 1;
    return 0;
}

static size_t fake_stream_pending(const postern_stream *s)
{
    need_standing(s, "stream_pending");
    return s->queue.len + s->after.len + (s->content != NULL);
}

static void fake_stream_pause(postern_stream *s, int on)
{
    need_standing(s, "stream_pause");
    s->paused = on != 0;
}

static void fake_stream_set_deadline(postern_stream *s, uint64_t usec)
{
    need_standing(s, "stream_deadline");
    s->deadline = usec ? s->h->clock + usec : 0;
}

static int fake_stream_starttls(postern_stream *s, postern_tls *tls, const char *name)
{
    int r = fake_failure(s->h, FAKEHOST_STARTTLS);

    need_standing(s, "stream_starttls");
    if (r < 0)
        return r;
    if (s->phase != CLEAR)
        return -EINVAL;
    if ((tls->flags & POSTERN_TLS_SERVER) && s->input_at < s->input_len)
        return -EBUSY;
    s->tls_name = name ? fake_strdup(name) : NULL;
    s->phase = HANDSHAKING;
    return 0;
}

static void fake_stream_info(postern_stream *s, struct postern_stream_info *out)
{
    need_standing(s, "stream_info");
    if (out->size < sizeof *out)
        fake_complain(s->h, "stream_info: the struct has no size");
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->flags = s->flags;
    out->peer = s->peer;
    out->peer_port = s->outbound ? s->port : 49152;
    out->local = s->flags & POSTERN_STREAM_LOCAL ? "local" : "192.0.2.1";
    out->local_port = s->outbound ? 49152 : s->port;
    out->tls_version = s->phase == SECURE ? "TLSv1.3" : NULL;
    out->tls_cipher = s->phase == SECURE ? "TLS_AES_256_GCM_SHA384" : NULL;
    out->tls_verified = s->phase == SECURE ? s->tls_verified : 0;
    out->error_text = s->phase == BROKEN ? "broken by the test" : NULL;
}

static void flush_queue(struct postern_stream *s)
{
    bytes_add(&s->sent, s->queue.data, s->queue.len);
    s->queue.len = 0;
}

static void fake_stream_close(postern_stream *s)
{
    if (!s)
        return;
    need_standing(s, "stream_close");
    if (s->phase != BROKEN && !s->stalled) {
        flush_queue(s);
        if (!s->content)
            bytes_add(&s->sent, s->after.data, s->after.len);
    }
    s->end = FAKEHOST_CLOSED;
}

static void fake_stream_abort(postern_stream *s)
{
    if (!s)
        return;
    need_standing(s, "stream_abort");
    s->end = FAKEHOST_ABORTED;
}

static struct postern_stream *stream_new(struct fakehost *h, const char *peer)
{
    struct postern_stream *s = fake_alloc(sizeof *s), **at = &h->streams;

    s->h = h;
    s->peer = fake_strdup(peer);
    s->phase = CLEAR;
    while (*at)
        at = &(*at)->next;
    *at = s;
    return s;
}

static int fake_stream_connect(postern_host *door, const char *address, uint16_t port,
                               uint64_t timeout_usec, postern_stream_cb *cb, void *ctx,
                               postern_stream **ret)
{
    struct fakehost *h = door->fake;
    struct postern_stream *s;
    int r = fake_failure(h, FAKEHOST_CONNECT);

    fake_on_loop(h, "stream_connect");
    if (r < 0)
        return r;
    s = stream_new(h, address);
    s->outbound = 1;
    s->port = port;
    s->phase = CONNECTING;
    s->error_fed = fake_failure(h, FAKEHOST_CONNECTED);
    s->cb = cb;
    s->ctx = ctx;
    s->deadline = timeout_usec ? h->clock + timeout_usec : 0;
    *ret = s;
    return 0;
}

static int fake_listen(postern_host *door, const char *endpoint, postern_accept_cb *accept,
                       void *ctx)
{
    struct fakehost *h = door->fake;
    struct listening *l, **at = &h->listening;
    int r = fake_failure(h, FAKEHOST_LISTEN);

    fake_on_loop(h, "listen");
    if (r < 0)
        return r;
    l = fake_alloc(sizeof *l);
    l->endpoint = fake_strdup(endpoint);
    l->accept = accept;
    l->ctx = ctx;
    while (*at)
        at = &(*at)->next;
    *at = l;
    return 0;
}

static int fake_tls_new(postern_host *door, const struct postern_tls_params *params,
                        postern_tls **ret)
{
    struct fakehost *h = door->fake;
    postern_tls *t;
    int r = fake_failure(h, FAKEHOST_TLS_NEW);

    fake_on_loop(h, "tls_new");
    if (params->size < sizeof *params)
        fake_complain(h, "tls_new: the struct has no size");
    if (r < 0)
        return r;
    t = fake_alloc(sizeof *t);
    t->flags = params->flags;
    t->next = h->tls;
    h->tls = t;
    *ret = t;
    return 0;
}

void fake_stream_services(struct postern_services *v)
{
    v->listen = fake_listen;
    v->stream_connect = fake_stream_connect;
    v->stream_events = fake_stream_events;
    v->stream_peek = fake_stream_peek;
    v->stream_consume = fake_stream_consume;
    v->stream_line = fake_stream_line;
    v->stream_write = fake_stream_write;
    v->stream_printf = fake_stream_printf;
    v->stream_content = fake_stream_content;
    v->stream_pending = fake_stream_pending;
    v->stream_pause = fake_stream_pause;
    v->stream_deadline = fake_stream_set_deadline;
    v->stream_starttls = fake_stream_starttls;
    v->stream_info = fake_stream_info;
    v->stream_close = fake_stream_close;
    v->stream_abort = fake_stream_abort;
    v->tls_new = fake_tls_new;
}

/* --- what happens in a turn --- */

static size_t break_stream(struct postern_stream *s, int err)
{
    s->phase = BROKEN;
    s->deadline = 0;
    s->content = NULL;
    tell(s, POSTERN_STREAM_ERROR, err);
    return 1;
}

/* SMTP transparency (RFC 5321 4.5.2): doubles a dot that begins a line, ends with the final dot. */
static void send_dotted(struct bytes *out, const char *data, size_t len)
{
    int at_line = 1;

    for (size_t i = 0; i < len; i++) {
        if (at_line && data[i] == '.')
            bytes_add(out, ".", 1);
        bytes_add(out, data + i, 1);
        at_line = data[i] == '\n';
    }
    if (!at_line)
        bytes_add(out, "\r\n", 2);
    bytes_add(out, ".\r\n", 3);
}

/* Everything queued goes to the peer. 0 or the error that breaks the stream. */
static int flush(struct postern_stream *s)
{
    size_t len;
    const char *data;
    int r;

    flush_queue(s);
    if (s->content) {
        r = fake_failure(s->h, FAKEHOST_CONTENT_READ);
        if (r < 0)
            return r;
        data = fake_content(s->content, &len);
        data += s->content_at < len ? s->content_at : len;
        len -= s->content_at < len ? (size_t)s->content_at : len;
        if (s->content_flags & POSTERN_CONTENT_DOTS)
            send_dotted(&s->sent, data, len);
        else
            bytes_add(&s->sent, data, len);
        s->content = NULL;
    }
    bytes_add(&s->sent, s->after.data, s->after.len);
    s->after.len = 0;
    return 0;
}

/* Input moves to a block of its exact size in every turn: a pointer kept from stream_peek or
 * stream_line, and a read past the end, are then AddressSanitizer's business. Bytes gained. */
static size_t refill(struct postern_stream *s)
{
    size_t left = s->input_len - s->input_at, more = s->wire.len;
    char *fresh;

    if (s->paused || left >= INPUT_MAX)
        more = 0;
    else if (more > INPUT_MAX - left)
        more = INPUT_MAX - left;
    fresh = left + more ? fake_alloc(left + more) : NULL;
    if (left)
        memcpy(fresh, s->input + s->input_at, left);
    if (more) {
        memcpy(fresh + left, s->wire.data, more);
        s->wire.len -= more;
        memmove(s->wire.data, s->wire.data + more, s->wire.len);
    }
    free(s->input);
    s->input = fresh;
    s->input_len = left + more;
    s->input_at = 0;
    return more;
}

static size_t turn_connecting(struct postern_stream *s)
{
    if (s->h->held[FAKEHOST_CONNECTED])
        return 0;
    if (s->error_fed)
        return break_stream(s, s->error_fed);
    s->phase = CLEAR;
    s->deadline = 0;
    tell(s, POSTERN_STREAM_OPEN, 0);
    return 1;
}

static size_t turn_handshake(struct postern_stream *s)
{
    int err;

    if (s->h->held[FAKEHOST_HANDSHAKE] || s->stalled)
        return 0;
    err = fake_failure(s->h, FAKEHOST_HANDSHAKE);
    if (s->wire.len)
        err = -EPROTO; /* clear text where a handshake should be */
    if (s->error_fed || s->eof_fed)
        err = s->error_fed ? s->error_fed : -ECONNRESET;
    flush_queue(s);
    if (err)
        return break_stream(s, err);
    s->phase = SECURE;
    tell(s, POSTERN_STREAM_SECURE, 0);
    return 1;
}

static size_t turn_open(struct postern_stream *s)
{
    size_t n = 0;
    int err = s->stalled ? 0 : flush(s);

    if (err < 0)
        return break_stream(s, err);
    if (s->wrote && !s->stalled) {
        s->wrote = 0;
        n++;
        tell(s, POSTERN_STREAM_DRAINED, 0);
    }
    if (s->end != FAKEHOST_STANDS || s->phase == HANDSHAKING)
        return n;
    if (refill(s)) {
        n++;
        tell(s, POSTERN_STREAM_INPUT, 0);
    }
    if (s->end != FAKEHOST_STANDS || s->phase == HANDSHAKING || s->wire.len || s->paused)
        return n;
    if (s->error_fed)
        return n + break_stream(s, s->error_fed);
    if (s->eof_fed && !s->eof_told) {
        s->eof_told = 1;
        n++;
        tell(s, POSTERN_STREAM_EOF, 0);
    }
    return n;
}

size_t fake_stream_turn(struct fakehost *h)
{
    size_t n = 0;

    for (struct postern_stream *s = h->streams; s; s = s->next) {
        if (s->end != FAKEHOST_STANDS || s->phase == BROKEN)
            continue;
        if (s->phase == CONNECTING)
            n += turn_connecting(s);
        else if (s->phase == HANDSHAKING)
            n += turn_handshake(s);
        else
            n += turn_open(s);
    }
    return n;
}

uint64_t fake_stream_deadline(const struct fakehost *h)
{
    uint64_t first = 0;

    for (const struct postern_stream *s = h->streams; s; s = s->next) {
        if (s->end == FAKEHOST_STANDS && s->deadline && (!first || s->deadline < first))
            first = s->deadline;
    }
    return first;
}

size_t fake_stream_expire(struct fakehost *h)
{
    size_t n = 0;

    for (struct postern_stream *s = h->streams; s; s = s->next) {
        if (s->end != FAKEHOST_STANDS || !s->deadline || s->deadline > h->clock)
            continue;
        s->deadline = 0;
        n++;
        if (s->phase == CONNECTING)
            break_stream(s, -ETIMEDOUT);
        else
            tell(s, POSTERN_STREAM_TIMEOUT, 0);
    }
    return n;
}

static void stream_free(struct postern_stream *s)
{
    free(s->peer);
    free(s->tls_name);
    free(s->wire.data);
    free(s->input);
    free(s->queue.data);
    free(s->after.data);
    free(s->sent.data);
    free(s);
}

void fake_stream_end(struct fakehost *h)
{
    struct postern_stream *s;
    struct listening *l;
    postern_tls *t;
    size_t left = 0;

    while ((s = h->streams)) {
        h->streams = s->next;
        left += s->end == FAKEHOST_STANDS;
        stream_free(s);
    }
    while ((l = h->listening)) {
        h->listening = l->next;
        free(l->endpoint);
        free(l);
    }
    while ((t = h->tls)) {
        h->tls = t->next;
        free(t);
    }
    if (left)
        fake_complain(h, "%zu streams were left open", left);
}

/* --- the test's side --- */

postern_stream *fakehost_accept(struct fakehost *h, const char *endpoint, const char *peer)
{
    struct listening *l = h->listening;
    struct postern_stream *s;

    while (l && endpoint && strcmp(l->endpoint, endpoint) != 0)
        l = l->next;
    if (!l)
        return NULL;
    s = stream_new(h, peer);
    s->port = 25;
    l->accept(l->ctx, s);
    if (s->end == FAKEHOST_STANDS && !s->cb)
        fake_complain(h, "an accepted stream has no callback (stream_events)");
    return s;
}

postern_stream *fakehost_attach(struct fakehost *h)
{
    struct postern_stream *s = stream_new(h, "local");

    s->flags = POSTERN_STREAM_LOCAL;
    if (h->plugin->ingress->attach(h->self, s) < 0) {
        if (s->end != FAKEHOST_STANDS)
            fake_complain(h, "attach refused a stream and closed it, which is the host's to do");
        s->end = FAKEHOST_CLOSED;
        return NULL;
    }
    return s;
}

postern_stream *fakehost_connected(struct fakehost *h, size_t i, const char **ret_address,
                                   uint16_t *ret_port)
{
    for (struct postern_stream *s = h->streams; s; s = s->next) {
        if (!s->outbound || i--)
            continue;
        if (ret_address)
            *ret_address = s->peer;
        if (ret_port)
            *ret_port = s->port;
        return s;
    }
    return NULL;
}

void fakehost_feed(postern_stream *s, const void *data, size_t len)
{
    if (s->eof_fed || s->error_fed)
        fake_complain(s->h, "fakehost_feed after the end of the stream");
    bytes_add(&s->wire, data, len);
}

void fakehost_feeds(postern_stream *s, const char *text)
{
    fakehost_feed(s, text, strlen(text));
}

void fakehost_feed_eof(postern_stream *s)
{
    s->eof_fed = 1;
}

void fakehost_feed_error(postern_stream *s, int err)
{
    s->error_fed = err;
}

void fakehost_stall(postern_stream *s, int on)
{
    s->stalled = on != 0;
}

const char *fakehost_output(postern_stream *s, size_t *ret_len)
{
    if (ret_len)
        *ret_len = s->sent.len;
    return s->sent.data ? s->sent.data : "";
}

void fakehost_output_clear(postern_stream *s)
{
    s->sent.len = 0;
    bytes_add(&s->sent, "", 0);
}

size_t fakehost_unread(const postern_stream *s)
{
    return s->wire.len + s->input_len - s->input_at;
}

enum fakehost_end fakehost_ended(const postern_stream *s)
{
    return s->end;
}

int fakehost_paused(const postern_stream *s)
{
    return s->paused;
}

int fakehost_secure(const postern_stream *s)
{
    return s->phase == SECURE;
}

const char *fakehost_tls_name(const postern_stream *s)
{
    return s->tls_name;
}

void fakehost_set_info(postern_stream *s, uint32_t flags, uint32_t tls_verified)
{
    s->flags = flags;
    s->tls_verified = tls_verified;
}

void fakehost_output_max(struct fakehost *h, size_t bytes)
{
    h->output_max = bytes;
}
