/* net/stream.h: connections behind postern_stream: sockets on the loop, buffers, TLS by OpenSSL,
 * deadlines, content piecemeal. The semantics are those of postern/stream.h and postern/services.h;
 * the functions have the same shapes, so the services table points straight at most of them. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <postern/stream.h>

#include "util/list.h"
#include "util/loop.h"

struct stream_config {
    size_t input_max;  /* bytes of unconsumed input kept before reading pauses; default 256 KiB   */
    size_t output_max; /* bytes of queued output before stream_write says -ENOBUFS; default 1 MiB */
};

/* What each stream of one plugin instance shares. */
struct stream_owner {
    struct loop *loop;
    const char  *name; /* instance, for logs */
    size_t       open; /* streams that stand now, also those that linger in close */
    struct list  all;  /* these streams; made by the first one */
    /* Called before and after each plugin callback, so that the scoreboard knows who is running;
     * both may be NULL. */
    void (*enter)(struct stream_owner *);
    void (*leave)(struct stream_owner *);
    const struct stream_config *config; /* NULL: the defaults */
};

/* A connected or accepted socket becomes a stream; takes fd (made non-blocking). */
postern_stream *stream_from_fd(struct stream_owner *o, int fd, uint32_t info_flags);

int  stream_connect(struct stream_owner *o, const char *address, uint16_t port,
                    uint64_t timeout_usec, postern_stream_cb *cb, void *ctx, postern_stream **ret);
void stream_events(postern_stream *s, postern_stream_cb *cb, void *ctx);
size_t stream_peek(postern_stream *s, const char **ret_data);
void   stream_consume(postern_stream *s, size_t n);
int    stream_line(postern_stream *s, size_t max, const char **ret_line, size_t *ret_len,
                   int *ret_eol);
int    stream_write(postern_stream *s, const void *data, size_t len);
int    stream_printf(postern_stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int    stream_content(postern_stream *s, postern_content *c, uint64_t at, uint32_t flags);
size_t stream_pending(const postern_stream *s);
void   stream_pause(postern_stream *s, int on);
void   stream_deadline(postern_stream *s, uint64_t usec);
int    stream_starttls(postern_stream *s, postern_tls *tls, const char *name);
void   stream_info(postern_stream *s, struct postern_stream_info *out);
void   stream_close(postern_stream *s);
void   stream_abort(postern_stream *s);
void   stream_abort_all(struct stream_owner *o); /* before the owner goes: also those that linger */

int  tls_new(const struct postern_tls_params *p, postern_tls **ret, char *why, size_t why_size);
void tls_free(postern_tls **t);

/* --- listeners --- */

/* Binds "address:port", "[v6]:port" or "unix:/path"; *ret_fd listens. -errno; why in words
 * ("127.0.0.1:25: address already in use"). Port 0 is allowed (tests). */
int net_bind(const char *endpoint, int *ret_fd, char *why, size_t why_size);
int net_endpoint_check(const char *endpoint, const char **reterr_why); /* syntax only */

struct listener;
/* Starts accepting on fd (which stays the caller's). Up to 64 connections a turn; EMFILE and the
 * like pause accepting for a second, with a log line, instead of spinning. */
struct listener *listener_new(struct stream_owner *o, int fd, postern_accept_cb *accept, void *ctx);
void             listener_free(struct listener **l);

#endif
