/* net/tls.c: certificates and policy, shared by streams. */
#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "net/private.h"
#include "util/mem.h"

/* A worker has no terminal to ask for a pass phrase at. */
static int no_password(char *buf, int size, int rwflag, void *ctx)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)ctx;
    return 0;
}

static int refuse(char *why, size_t size, const char *what, const char *file)
{
    char words[256];

    snprintf(why, size, "%s %s: %s", what, file, secure_error(words, sizeof words));
    return -EINVAL;
}

static int load_certificate(SSL_CTX *ctx, const struct postern_tls_params *p, char *why,
                            size_t size)
{
    const char *key = p->key ? p->key : p->certificate;

    if (!p->certificate) {
        if (!(p->flags & POSTERN_TLS_SERVER))
            return 0;
        snprintf(why, size, "a server needs a certificate");
        return -EINVAL;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, p->certificate) != 1)
        return refuse(why, size, "certificate", p->certificate);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return refuse(why, size, "key", key);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return refuse(why, size, "key", key);
    return 0;
}

static int load_roots(SSL_CTX *ctx, const struct postern_tls_params *p, char *why, size_t size)
{
    if (p->ca_file) {
        if (SSL_CTX_load_verify_locations(ctx, p->ca_file, NULL) != 1)
            return refuse(why, size, "ca_file", p->ca_file);
        return 0;
    }
    /* A server that asks for no certificates has nothing to verify. */
    if ((p->flags & (POSTERN_TLS_SERVER | POSTERN_TLS_VERIFY)) == POSTERN_TLS_SERVER)
        return 0;
    if (SSL_CTX_set_default_verify_paths(ctx) != 1)
        return refuse(why, size, "the system's", "certificates");
    return 0;
}

static void set_policy(SSL_CTX *ctx, uint32_t flags)
{
    static const unsigned char id[] = "postern";
    int mode = SSL_VERIFY_NONE;

    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    /* A peer that hangs up without saying so under TLS merely ended: SMTP knows where data end. */
    SSL_CTX_set_options(ctx,
                        SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                            SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                         SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    /* Tickets carry what a server needs to resume; nothing is kept here. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    if (flags & POSTERN_TLS_SERVER)
        SSL_CTX_set_dh_auto(ctx, 1);
    /* A client finds out whether the certificate holds in any case (tls_verified). */
    if (flags & POSTERN_TLS_VERIFY)
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, NULL);
}

int tls_new(const struct postern_tls_params *params, postern_tls **ret, char *why, size_t why_size)
{
    struct postern_tls_params p = { 0 };
    struct postern_tls *tls;
    int r;

    memcpy(&p, params, params->size < sizeof p ? params->size : sizeof p);
    tls = mem_zalloc(sizeof *tls);
    tls->refs = 1;
    tls->flags = p.flags;
    tls->bio = bio_method_new();
    tls->ctx =
        SSL_CTX_new(p.flags & POSTERN_TLS_SERVER ? TLS_server_method() : TLS_client_method());
    if (!tls->ctx || !tls->bio) {
        char words[256];

        snprintf(why, why_size, "TLS: %s", secure_error(words, sizeof words));
        tls_unref(&tls);
        return -ENOMEM;
    }
    set_policy(tls->ctx, p.flags);
    r = load_certificate(tls->ctx, &p, why, why_size);
    if (!r)
        r = load_roots(tls->ctx, &p, why, why_size);
    if (r)
        tls_unref(&tls);
    else
        *ret = tls;
    return r;
}

void tls_unref(struct postern_tls **pt)
{
    struct postern_tls *t = *pt;

    *pt = NULL;
    if (!t || --t->refs)
        return;
    SSL_CTX_free(t->ctx);
    BIO_meth_free(t->bio);
    free(t);
}

void tls_free(postern_tls **t)
{
    tls_unref(t);
}
