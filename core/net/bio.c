/* net/bio.c: how OpenSSL reaches the socket of a stream.
 *
 * Its own socket BIO would do but for two things: it writes without MSG_NOSIGNAL, so a peer that
 * hangs up could end the process; and it asks an empty socket again, which costs a system call a
 * record. */
#include <errno.h>
#include <sys/socket.h>

#include "net/private.h"

#define BIO_TYPE_STREAM (BIO_TYPE_SOURCE_SINK | 0x7f)

static int stream_bio_write(BIO *b, const char *data, int len)
{
    const postern_stream *s = BIO_get_data(b);
    ssize_t n = send(s->fd, data, (size_t)len, MSG_NOSIGNAL);

    BIO_clear_retry_flags(b);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(b);
    return (int)n;
}

static int stream_bio_read(BIO *b, char *data, int len)
{
    postern_stream *s = BIO_get_data(b);
    ssize_t n;

    BIO_clear_retry_flags(b);
    if (s->tls_dry) {
        BIO_set_retry_read(b);
        errno = EAGAIN;
        return -1;
    }
    n = recv(s->fd, data, (size_t)len, 0);
    s->tls_dry = n < len;
    s->tls_eof = n == 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(b);
    return (int)n;
}

static long stream_bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    const postern_stream *s = BIO_get_data(b);

    (void)num;
    (void)ptr;
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return s->tls_eof;
    default:
        return 0;
    }
}

BIO_METHOD *bio_method_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_STREAM, "postern stream");

    if (!m)
        return NULL;
    BIO_meth_set_write(m, stream_bio_write);
    BIO_meth_set_read(m, stream_bio_read);
    BIO_meth_set_ctrl(m, stream_bio_ctrl);
    return m;
}
