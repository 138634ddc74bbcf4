/* net/private.h: the inside of a stream, for the files of this folder that together make one:
 *
 *   stream.c   life and death, events, facts    connect.c   connections that we ask for
 *   input.c    what comes in                    secure.c    TLS on it (tls.c: certificates)
 *   output.c   what goes out                    deadline.c  time
 *
 * A stream is referenced by its owner's handle (until it is really closed) and by each function
 * that calls back while it still needs the stream. Whoever calls stream_emit or stream_fail
 * returns right after it, or looks at what stream_emit said. */
#ifndef NET_PRIVATE_H
#define NET_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>

#include "net/address.h"
#include "net/outgoing.h"
#include "net/stream.h"
#include "net/window.h"

#define STREAM_INPUT_MAX   (256u * 1024u)
#define STREAM_OUTPUT_MAX  (1024u * 1024u)
#define STREAM_IDLE_KEEP   4096u    /* buffer memory that an empty direction may keep            */
#define STREAM_CLOSE_USEC  10000000 /* how long a closed stream may flush                        */
#define STREAM_LINGER_USEC 2000000  /* how long it then waits for a peer that still talks        */

enum stream_phase {
    STREAM_CONNECTING = 1,
    STREAM_OPEN,
    STREAM_FAILED,    /* ERROR was given; waits for its owner to close it     */
    STREAM_CLOSING,   /* closed by its owner; what is queued still goes out   */
    STREAM_LINGERING, /* our side is shut; what still comes in is thrown away */
    STREAM_GONE
};

enum stream_secure {
    SECURE_NONE,
    SECURE_ASKED, /* what is queued in the clear goes first */
    SECURE_HANDSHAKE,
    SECURE_ON
};

struct postern_tls {
    unsigned    refs; /* a stream that flushes may outlive the plugin that made this */
    uint32_t    flags;
    SSL_CTX    *ctx;
    BIO_METHOD *bio;
};

struct postern_stream {
    struct stream_owner *owner;
    struct list          link; /* owner.all */
    postern_stream_cb   *cb;
    void                *ctx;
    unsigned             refs;
    int                  fd;
    uint8_t              phase, secure; /* enum stream_phase, enum stream_secure */

    struct event read_ev, write_ev, timer_ev;
    uint8_t      reading, writing; /* these two are added */

    /* input.c */
    struct window in;
    size_t        in_scanned; /* bytes of `in` known to hold no LF */
    size_t        in_last;    /* size of the last read */
    uint8_t       paused, eof;

    /* output.c: out, then the content, then after */
    struct window    out, after;
    struct outgoing *content;
    struct loop_task flush;
    uint8_t          drain_due; /* something was queued since DRAINED was said */

    /* deadline.c: 0 is never */
    int64_t deadline; /* the owner's */
    int64_t limit;    /* ours: for connecting and closing */
    int64_t armed;    /* when timer_ev fires */

    /* secure.c */
    struct postern_tls *tls;
    SSL                *ssl;
    const char         *tls_version, *tls_cipher; /* static strings of OpenSSL's */
    uint8_t             tls_verified, tls_named;
    uint8_t             tls_dry;         /* the socket was found empty since it was last readable */
    uint8_t             tls_eof;         /* it was found at its end */
    uint8_t             tls_more;        /* reading stopped because the buffer was full */
    uint8_t             tls_read_waits;  /* reading waits until it can write */
    uint8_t             tls_write_waits; /* and the other way round */

    uint32_t           info_flags;
    struct net_address remote; /* of connecting streams, for messages; family 0 else */
    uint16_t           peer_port, local_port;
    char               peer[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];
    char              *error_text;
    int                connect_error; /* -errno to be told in a moment */
};

/* --- stream.c --- */
postern_stream *stream_new(struct stream_owner *o, int fd, uint32_t info_flags);
void            stream_set_fd(postern_stream *s, int fd);
void            stream_facts(postern_stream *s); /* asks the socket who is there */
void            stream_hold(postern_stream *s);
void            stream_drop(postern_stream *s);
/* Tells the owner. 1: it still has the stream; 0: it closed it meanwhile, or had no callback. */
int  stream_emit(postern_stream *s, uint32_t event, int error);
/* ERROR, after which the stream does nothing any more. A stream that is being closed just goes. */
void stream_fail(postern_stream *s, int error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Everything queued has left: says goodbye and goes, at once or after lingering. */
void stream_finish(postern_stream *s);
void stream_destroy(postern_stream *s);

/* --- input.c --- */
size_t stream_input_max(const postern_stream *s);
void   input_ready(postern_stream *s);  /* the socket is readable */
void   input_update(postern_stream *s); /* something changed that may let reading go on */
void   input_stop(postern_stream *s);
void   input_last(postern_stream *s); /* takes what lies in the socket before the stream fails */
void   input_discard(postern_stream *s);

/* --- output.c --- */
int  output_left(const postern_stream *s);
void output_flush(postern_stream *s);
void output_wait(postern_stream *s, int on); /* for the socket to be writable */
void output_note(postern_stream *s);         /* flush at the end of this turn */
void output_free(postern_stream *s);

/* --- deadline.c --- */
void deadline_fired(postern_stream *s);
void deadline_limit(postern_stream *s, uint64_t usec);

/* --- connect.c --- */
void connect_ready(postern_stream *s);

/* --- secure.c --- */
void    secure_begin(postern_stream *s);
void    secure_handshake(postern_stream *s);
int     secure_receive(postern_stream *s); /* into `in`; 0, or -errno for stream_fail */
ssize_t secure_send(postern_stream *s, const struct iovec *iov, int n); /* bytes taken, or -errno */
int     secure_pending(const postern_stream *s); /* decrypted or undecrypted bytes in OpenSSL */
void    secure_goodbye(postern_stream *s);
void    secure_free(postern_stream *s);
char   *secure_error(char *buf, size_t size); /* OpenSSL's error queue in words; empties it */

/* --- tls.c --- */
void tls_unref(struct postern_tls **t);

/* --- bio.c --- */
BIO_METHOD *bio_method_new(void);

#endif
