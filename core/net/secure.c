/* net/secure.c: TLS on a stream (RFC 3207 for when it begins). */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "net/private.h"

#define SECURE_RECORD   16384u /* plain bytes in a TLS record, at most */
#define SECURE_NAME_MAX 254u   /* a domain name and its last dot */

char *secure_error(char *buf, size_t size)
{
    unsigned long code = ERR_get_error(); /* the oldest one is the cause */
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    if (ERR_SYSTEM_ERROR(code))
        net_error_text(-ERR_GET_REASON(code), buf, size);
    else
        snprintf(buf, size, "%s", reason ? reason : "unknown error");
    ERR_clear_error();
    return buf;
}

void secure_free(postern_stream *s)
{
    SSL_free(s->ssl);
    s->ssl = NULL;
    tls_unref(&s->tls);
}

/* Whom a client expects. A name goes into SNI as well; RFC 6066 3 keeps addresses out of there. */
static int secure_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    unsigned char address[sizeof(struct in6_addr)];
    char host[SECURE_NAME_MAX + 1];
    size_t len = strlen(name);

    if (!len || len > SECURE_NAME_MAX)
        return -EINVAL;
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) ? 0 : -ENOMEM;
    memcpy(host, name, len + 1);
    if (host[len - 1] == '.')
        host[len - 1] = '\0';
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!X509_VERIFY_PARAM_set1_host(param, host, 0) || !SSL_set_tlsext_host_name(ssl, host))
        return -EINVAL;
    return 0;
}

static int secure_ssl(postern_stream *s, struct postern_tls *tls, const char *name, SSL **ret)
{
    SSL *ssl = SSL_new(tls->ctx);
    BIO *bio = ssl ? BIO_new(tls->bio) : NULL;
    int r = 0;

    if (!bio) {
        SSL_free(ssl);
        ERR_clear_error();
        return -ENOMEM;
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (tls->flags & POSTERN_TLS_SERVER) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        if (name)
            r = secure_name(ssl, name);
    }
    if (r) {
        SSL_free(ssl);
        ERR_clear_error();
        return r;
    }
    *ret = ssl;
    return 0;
}

int stream_starttls(postern_stream *s, postern_tls *tls, const char *name)
{
    int server = (tls->flags & POSTERN_TLS_SERVER) != 0, r;

    if (s->phase != STREAM_OPEN)
        return -ENOTCONN;
    if (s->secure != SECURE_NONE)
        return -EALREADY;
    /* What came in the clear must not be taken for something said under TLS. That goes for a
     * server's commands (RFC 3207 4.2) as well as for replies that a client did not ask for. */
    if (s->in.len)
        return -EBUSY;
    /* A certificate proves nothing to a client that does not know whom it wants to talk to. */
    if (!server && !name && (tls->flags & POSTERN_TLS_VERIFY))
        return -EINVAL;
    r = secure_ssl(s, tls, name, &s->ssl);
    if (r)
        return r;
    tls->refs++;
    s->tls = tls;
    s->tls_named = !server && name;
    s->secure = SECURE_ASKED;
    output_note(s);
    return 0;
}

void secure_begin(postern_stream *s)
{
    s->secure = SECURE_HANDSHAKE;
    s->tls_dry = 1; /* nobody can have answered yet; if somebody has, the loop says so */
    secure_handshake(s);
}

static void secure_done(postern_stream *s)
{
    X509 *peer = SSL_get0_peer_certificate(s->ssl);
    int server = (s->tls->flags & POSTERN_TLS_SERVER) != 0;

    s->secure = SECURE_ON;
    s->tls_version = SSL_get_version(s->ssl);
    s->tls_cipher = SSL_get_cipher_name(s->ssl);
    s->tls_verified =
        peer && SSL_get_verify_result(s->ssl) == X509_V_OK && (server || s->tls_named);
    output_wait(s, 0);
    /* The peer's first words may have come together with the end of the handshake. */
    s->tls_more = secure_pending(s) != 0;
    input_update(s);
    stream_emit(s, POSTERN_STREAM_SECURE, 0);
}

static void secure_failed(postern_stream *s, int why, int system_error)
{
    long verify = SSL_get_verify_result(s->ssl);
    char words[256];

    if (s->tls_eof && why != SSL_ERROR_SSL)
        stream_fail(s, -EPROTO, "TLS handshake: the peer closed the connection");
    else if (why == SSL_ERROR_SYSCALL && system_error)
        stream_fail(s, -EPROTO, "TLS handshake: %s",
                    net_error_text(-system_error, words, sizeof words));
    else if (verify != X509_V_OK && (SSL_get_verify_mode(s->ssl) & SSL_VERIFY_PEER))
        stream_fail(s, -EPROTO, "TLS handshake: the peer's certificate does not hold: %s",
                    X509_verify_cert_error_string(verify));
    else
        stream_fail(s, -EPROTO, "TLS handshake: %s", secure_error(words, sizeof words));
    ERR_clear_error();
}

void secure_handshake(postern_stream *s)
{
    int r, why;

    ERR_clear_error();
    errno = 0;
    r = SSL_do_handshake(s->ssl);
    if (r == 1) {
        secure_done(s);
        return;
    }
    why = SSL_get_error(s->ssl, r);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        secure_failed(s, why, errno);
        return;
    }
    output_wait(s, why == SSL_ERROR_WANT_WRITE);
    if (!s->reading)
        event_add(&s->read_ev, NULL);
    s->reading = 1;
}

int secure_pending(const postern_stream *s)
{
    return SSL_has_pending(s->ssl);
}

/* What OpenSSL's failure means: 0 to wait, 1 that the peer has ended, or -errno. */
static int secure_wants(postern_stream *s, int r, uint8_t *waits, int other)
{
    int system_error = errno;

    switch (SSL_get_error(s->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        if (SSL_get_error(s->ssl, r) == other)
            *waits = 1;
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return 1;
    case SSL_ERROR_SYSCALL:
        return system_error ? -system_error : -ECONNRESET;
    default:
        return -EPROTO;
    }
}

int secure_receive(postern_stream *s)
{
    size_t max = stream_input_max(s), room;

    while (s->in.len < max) {
        char *to = window_room(&s->in, 1, &room);
        int n;

        if (room > max - s->in.len)
            room = max - s->in.len;
        ERR_clear_error();
        errno = 0;
        n = SSL_read(s->ssl, to, (int)room);
        if (n <= 0) {
            int r = secure_wants(s, n, &s->tls_read_waits, SSL_ERROR_WANT_WRITE);

            if (s->tls_read_waits)
                output_wait(s, 1);
            s->eof = r == 1;
            return r < 0 ? r : 0;
        }
        s->in.len += (size_t)n;
    }
    s->tls_more = 1;
    return 0;
}

struct cursor { /* where in the pieces */
    const struct iovec *iov;
    int n;
    size_t off;
};

/* Up to a record's worth of bytes from there on: where they lie if they lie together, else a
 * copy. */
static const char *cursor_record(const struct cursor *c, char *copy, size_t *ret_len)
{
    size_t len = 0, off = c->off;

    if (c->iov->iov_len - off >= SECURE_RECORD || c->n == 1) {
        *ret_len = c->iov->iov_len - off;
        if (*ret_len > SECURE_RECORD)
            *ret_len = SECURE_RECORD;
        return (const char *)c->iov->iov_base + off;
    }
    for (int i = 0; i < c->n && len < SECURE_RECORD; i++, off = 0) {
        size_t m = c->iov[i].iov_len - off;

        if (m > SECURE_RECORD - len)
            m = SECURE_RECORD - len;
        memcpy(copy + len, (const char *)c->iov[i].iov_base + off, m);
        len += m;
    }
    *ret_len = len;
    return copy;
}

static void cursor_skip(struct cursor *c, size_t n)
{
    while (n && n >= c->iov->iov_len - c->off) {
        n -= c->iov->iov_len - c->off;
        c->off = 0;
        c->iov++;
        c->n--;
    }
    c->off += n;
}

/* OpenSSL wants a write that had to wait to be tried again with the same bytes, at least as
 * many. It gets them: what is queued only grows at its end. */
ssize_t secure_send(postern_stream *s, const struct iovec *iov, int n)
{
    struct cursor c = { iov, n, 0 };
    char copy[SECURE_RECORD];
    ssize_t sent = 0;

    while (c.n) {
        size_t len;
        const char *data = cursor_record(&c, copy, &len);
        int w;

        ERR_clear_error();
        errno = 0;
        w = SSL_write(s->ssl, data, (int)len);
        if (w <= 0) {
            int r = secure_wants(s, w, &s->tls_write_waits, SSL_ERROR_WANT_READ);

            if (r)
                return r < 0 ? r : -EPIPE;
            return sent;
        }
        sent += w;
        cursor_skip(&c, (size_t)w);
    }
    return sent;
}

void secure_goodbye(postern_stream *s)
{
    /* One try: RFC 8446 6.1 does not make us wait for the peer's. */
    ERR_clear_error();
    SSL_shutdown(s->ssl);
    ERR_clear_error();
}
