/* postern/stream.h: connections, as events and as facts. The calls are in postern_services.
 *
 * A stream has one event callback. Input stays in the stream's buffer until it is consumed; output
 * is queued, coalesced and sent when the plugin returns to the loop. Nothing here blocks. */
#ifndef POSTERN_STREAM_H
#define POSTERN_STREAM_H

#include <postern/types.h>

enum postern_stream_event {
    POSTERN_STREAM_OPEN = 1,    /* a connection that was asked for stands                         */
    POSTERN_STREAM_INPUT = 2,   /* more input than at the last event; look with stream_peek/line  */
    POSTERN_STREAM_DRAINED = 3, /* all queued output has left for the kernel                      */
    POSTERN_STREAM_SECURE = 4,  /* the TLS handshake is complete; ask stream_info                 */
    POSTERN_STREAM_EOF = 5,     /* the peer ended its side; buffered input is still there         */
    POSTERN_STREAM_TIMEOUT = 6, /* the deadline passed; it is cleared, the stream still stands    */
    POSTERN_STREAM_ERROR = 7    /* last event: `error` is -errno (-EPROTO: TLS); only stream_info
                                   and stream_close are useful now                                */
};

/* The stream's events, from the loop. After stream_close there are none. It is allowed to close the
 * stream, or to write to it, inside the callback. */
typedef void postern_stream_cb(void *ctx, postern_stream *stream, uint32_t event, int error);

/* A listener took a connection. The stream is the plugin's from now on: it must give it a callback
 * with stream_events before it returns, or close it. */
typedef void postern_accept_cb(void *ctx, postern_stream *stream);

#define POSTERN_STREAM_LOCAL 1u /* info flag: a local peer: through a unix socket, or handed over */

/* Filled in by the host up to `size`; the strings live as long as the stream does. */
struct postern_stream_info {
    size_t      size;
    uint32_t    flags;
    uint16_t    peer_port, local_port;
    const char *peer;        /* "192.0.2.1", "2001:db8::1", or "local"                            */
    const char *local;       /* our side, likewise                                                */
    const char *tls_version; /* "TLSv1.3", or NULL when the stream is in the clear                */
    const char *tls_cipher;
    uint32_t    tls_verified; /* 1: the peer's certificate is valid, and for its name             */
    uint32_t    reserved;
    const char *error_text;   /* after POSTERN_STREAM_ERROR: what went wrong, in words            */
};

struct postern_tls_params {
    size_t      size;
    uint32_t    flags;
    uint32_t    reserved;
    const char *certificate; /* PEM chain; NULL for a client without one                          */
    const char *key;         /* PEM; NULL: in the certificate's file                              */
    const char *ca_file;     /* PEM bundle to verify peers with; NULL: the system's               */
};
#define POSTERN_TLS_SERVER 1u
#define POSTERN_TLS_VERIFY 2u /* refuse a peer whose certificate or name does not hold            */

/* stream_content: how content is put on the stream. */
#define POSTERN_CONTENT_DOTS 1u /* SMTP transparency (RFC 5321 4.5.2), CRLF at the end if missing,
                                   and the final ".": a complete end of data                      */

#endif
