/* TLS on streams: both ends are streams of ours, and plain OpenSSL where the peer must
 * misbehave. */
#include "kit.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SECOND 1000000
#define LONG   (30 * SECOND)

/* --- certificates: one that names mx.example.org and 192.0.2.7, one of somebody else --- */

static char folder[] = "/tmp/postern-secure-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static unsigned turn;
    char *p = path[turn++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

/* Self-signed, so it is its own ca_file. */
static void make_certificate(const char *file, const char *key_file, const char *names)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *f;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(cert, NID_subject_alt_name, names);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    f = fopen(in_folder(file), "w");
    PEM_write_X509(f, cert);
    fclose(f);
    f = fopen(in_folder(key_file), "w");
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    make_certificate("mx.pem", "mx.key", "DNS:mx.example.org,IP:192.0.2.7");
    make_certificate("other.pem", "other.key", "DNS:other.example.org");
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = { "mx.pem", "mx.key", "other.pem", "other.key" };

    (void)state;
    for (int i = 0; i < 4; i++)
        unlink(in_folder(names[i]));
    return rmdir(folder);
}

static postern_tls *make_tls(uint32_t flags, const char *certificate, const char *key,
                             const char *ca)
{
    char cert_path[128], key_path[128], ca_path[128], why[256] = "";
    struct postern_tls_params p = { .size = sizeof p, .flags = flags };
    postern_tls *tls = NULL;

    snprintf(cert_path, sizeof cert_path, "%s/%s", folder, certificate ? certificate : "");
    snprintf(key_path, sizeof key_path, "%s/%s", folder, key ? key : "");
    snprintf(ca_path, sizeof ca_path, "%s/%s", folder, ca ? ca : "");
    p.certificate = certificate ? cert_path : NULL;
    p.key = key ? key_path : NULL;
    p.ca_file = ca ? ca_path : NULL;
    if (tls_new(&p, &tls, why, sizeof why))
        fail_msg("%s", why);
    return tls;
}

/* --- two streams: k.told is the client, `server` the other --- */

struct both {
    struct kit k;
    struct told server;
    postern_tls *client_tls, *server_tls;
};

static void both_init(struct both *b, uint32_t client_flags, const char *client_ca)
{
    int fd[2];

    kit_init(&b->k);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    memset(&b->server, 0, sizeof b->server);
    b->server.kit = &b->k;
    b->server.take = b->k.told.take = 1;
    b->k.told.stream = stream_from_fd(&b->k.owner, fd[0], 0);
    b->server.stream = stream_from_fd(&b->k.owner, fd[1], 0);
    stream_events(b->k.told.stream, told_event, &b->k.told);
    stream_events(b->server.stream, told_event, &b->server);
    b->client_tls = make_tls(client_flags, NULL, NULL, client_ca);
    b->server_tls = make_tls(POSTERN_TLS_SERVER, "mx.pem", "mx.key", NULL);
}

static void both_done(struct both *b)
{
    stream_abort(b->server.stream);
    tls_free(&b->client_tls);
    tls_free(&b->server_tls);
    buf_free(&b->server.got);
    kit_done(&b->k);
}

static int both_secure(struct kit *k)
{
    struct both *b = CONTAINER(k, struct both, k);

    return told_saw(&k->told, 'S') && told_saw(&b->server, 'S');
}

static int both_failed(struct kit *k)
{
    struct both *b = CONTAINER(k, struct both, k);

    return told_saw(&k->told, 'X') && told_saw(&b->server, 'X');
}

static void both_start(struct both *b, const char *name)
{
    assert_int_equal(stream_starttls(b->server.stream, b->server_tls, NULL), 0);
    assert_int_equal(stream_starttls(b->k.told.stream, b->client_tls, name), 0);
}

static int verified(postern_stream *s)
{
    struct postern_stream_info i = { .size = sizeof i };

    stream_info(s, &i);
    assert_non_null(i.tls_version);
    assert_non_null(i.tls_cipher);
    assert_string_equal(i.tls_version, "TLSv1.3");
    return (int)i.tls_verified;
}

static int server_got_six(struct kit *k)
{
    return CONTAINER(k, struct both, k)->server.got.len >= 6 && told_saw(&k->told, 'D');
}

static int client_got_five(struct kit *k)
{
    return k->told.got.len >= 5;
}

static void a_verified_session_carries_bytes_both_ways(void **state)
{
    struct both b;

    (void)state;
    both_init(&b, POSTERN_TLS_VERIFY, "mx.pem");
    both_start(&b, "mx.example.org");
    /* Nothing may be queued while it is open whether it would go in the clear. */
    assert_int_equal(stream_write(b.k.told.stream, "x", 1), -EBUSY);
    assert_int_equal(stream_starttls(b.k.told.stream, b.client_tls, NULL), -EALREADY);
    kit_run(&b.k, LONG, both_secure);
    assert_string_equal(b.k.told.log, "S");
    assert_int_equal(verified(b.k.told.stream), 1);
    assert_int_equal(verified(b.server.stream), 0);
    stream_write(b.k.told.stream, "EHLO\r\n", 6);
    kit_run(&b.k, LONG, server_got_six);
    assert_int_equal(b.server.got.len, 6);
    assert_memory_equal(b.server.got.data, "EHLO\r\n", 6);
    stream_write(b.server.stream, "250\r\n", 5);
    kit_run(&b.k, LONG, client_got_five);
    assert_int_equal(b.k.told.got.len, 5);
    assert_string_equal(b.k.told.log, "SDI");
    stream_close(b.server.stream);
    b.server.stream = NULL;
    kit_run(&b.k, LONG, saw_end);
    assert_string_equal(b.k.told.log, "SDIE");
    both_done(&b);
}

static void what_holds_is_known_also_when_it_is_not_enforced(void **state)
{
    static const struct {
        const char *ca, *name;
        int holds;
    } cases[] = {
        { "mx.pem", "mx.example.org", 1 },    { "mx.pem", "mx.example.org.", 1 },
        { "mx.pem", "192.0.2.7", 1 },         { "mx.pem", "192.0.2.8", 0 },
        { "mx.pem", "other.example.org", 0 }, { "other.pem", "mx.example.org", 0 },
        { NULL, "mx.example.org", 0 },        { "mx.pem", NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct both b;

        both_init(&b, 0, cases[i].ca);
        both_start(&b, cases[i].name);
        kit_run(&b.k, LONG, both_secure);
        assert_int_equal(verified(b.k.told.stream), cases[i].holds);
        both_done(&b);
    }
}

static void a_certificate_that_does_not_hold_ends_an_enforcing_client(void **state)
{
    static const struct {
        const char *ca, *name, *words;
    } cases[] = {
        { "mx.pem", "other.example.org", "hostname mismatch" },
        { "mx.pem", "192.0.2.8", "IP address mismatch" },
        { "other.pem", "mx.example.org", "self-signed certificate" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct both b;

        both_init(&b, POSTERN_TLS_VERIFY, cases[i].ca);
        both_start(&b, cases[i].name);
        kit_run(&b.k, LONG, both_failed);
        assert_string_equal(b.k.told.log, "X");
        assert_int_equal(b.k.told.error, -EPROTO);
        if (!strcasestr(b.k.told.error_text, cases[i].words))
            fail_msg("%s", b.k.told.error_text);
        assert_int_equal(b.server.error, -EPROTO);
        assert_non_null(strstr(b.server.error_text, "alert"));
        both_done(&b);
    }
}

static void a_client_that_must_verify_must_say_whom(void **state)
{
    struct both b;

    (void)state;
    both_init(&b, POSTERN_TLS_VERIFY, "mx.pem");
    assert_int_equal(stream_starttls(b.k.told.stream, b.client_tls, NULL), -EINVAL);
    assert_int_equal(stream_starttls(b.k.told.stream, b.client_tls, ""), -EINVAL);
    both_done(&b);
}

static void commands_sent_with_starttls_are_refused(void **state)
{
    struct both b;
    const char *line;
    size_t len;
    int eol;

    (void)state;
    both_init(&b, 0, NULL);
    b.server.take = 0;
    stream_write(b.k.told.stream, "STARTTLS\r\nMAIL FROM:<>\r\n", 24);
    kit_turns(&b.k, 3);
    assert_int_equal(stream_line(b.server.stream, 512, &line, &len, &eol), 1);
    assert_int_equal(stream_starttls(b.server.stream, b.server_tls, NULL), -EBUSY);
    assert_int_equal(stream_line(b.server.stream, 512, &line, &len, &eol), 1);
    assert_int_equal(stream_starttls(b.server.stream, b.server_tls, NULL), 0);
    both_done(&b);
}

/* Those that were still on their way are not commands either, but a broken handshake. */
static void commands_sent_after_starttls_in_the_clear_never_arrive(void **state)
{
    struct both b;

    (void)state;
    both_init(&b, 0, NULL);
    stream_write(b.server.stream, "220 go\r\n", 8);
    assert_int_equal(stream_starttls(b.server.stream, b.server_tls, NULL), 0);
    stream_write(b.k.told.stream, "MAIL FROM:<evil@example.org>\r\n", 30);
    kit_turns(&b.k, 6);
    assert_string_equal(b.server.log, "DX");
    assert_int_equal(b.server.error, -EPROTO);
    assert_int_equal(b.server.got.len, 0);
    assert_non_null(strstr(b.server.error_text, "TLS handshake: "));
    assert_int_equal(b.k.told.got.len, 8);
    both_done(&b);
}

static void what_was_queued_leaves_in_the_clear_before_the_handshake(void **state)
{
    struct both b;

    (void)state;
    both_init(&b, 0, NULL);
    stream_write(b.server.stream, "220 go\r\n", 8);
    assert_int_equal(stream_starttls(b.server.stream, b.server_tls, NULL), 0);
    kit_turns(&b.k, 3);
    assert_int_equal(b.k.told.got.len, 8);
    assert_memory_equal(b.k.told.got.data, "220 go\r\n", 8);
    assert_int_equal(stream_starttls(b.k.told.stream, b.client_tls, "mx.example.org"), 0);
    kit_run(&b.k, LONG, both_secure);
    assert_string_equal(b.server.log, "DS");
    both_done(&b);
}

static int server_has_all(struct kit *k)
{
    struct both *b = CONTAINER(k, struct both, k);

    b->server.n = k->told.n = 0;
    memset(b->server.log, 0, sizeof b->server.log);
    memset(k->told.log, 0, sizeof k->told.log);
    return b->server.got.len >= 6 &&
        !memcmp(b->server.got.data + b->server.got.len - 6, "QUIT\r\n", 6);
}

static void ten_mebibytes_pass_whole_through_small_buffers(void **state)
{
    for (int disk = 0; disk < 2; disk++) {
        struct both b;
        struct buf plain = { 0 };
        postern_content *c;
        char *copy;

        (void)state;
        both_init(&b, 0, NULL);
        b.k.config.input_max = 20000;
        both_start(&b, NULL);
        kit_run(&b.k, LONG, both_secure);
        for (int i = 0; plain.len < 10 << 20; i++)
            buf_printf(&plain, i % 7 ? "line %d of the content\r\n" : ".%d dots\r\n", i);
        if (disk) {
            char path[] = "/tmp/postern-secure-content-XXXXXX";

            c = content_new_memory(NULL, plain.len);
            c->fd = mkstemp(path);
            unlink(path);
            assert_int_equal(write(c->fd, plain.data, plain.len), plain.len);
        } else {
            copy = malloc(plain.len);
            memcpy(copy, plain.data, plain.len);
            c = content_new_memory(copy, plain.len);
        }
        stream_write(b.k.told.stream, "B", 1);
        assert_int_equal(stream_content(b.k.told.stream, c, 0, POSTERN_CONTENT_DOTS), 0);
        stream_write(b.k.told.stream, "QUIT\r\n", 6);
        kit_run(&b.k, 20 * SECOND, server_has_all);
        /* Undo transparency: drop the dot after each CRLF. */
        {
            size_t i = 1, n = 0;
            const char *w = b.server.got.data;

            while (memcmp(w + i, ".\r\n", 3)) {
                const char *end = memchr(w + i, '\n', b.server.got.len - i);

                assert_non_null(end);
                end++;
                i += w[i] == '.';
                assert_memory_equal(plain.data + n, w + i, (size_t)(end - w) - i);
                n += (size_t)(end - w) - i;
                i = (size_t)(end - w);
            }
            assert_int_equal(n, plain.len);
            assert_int_equal(i + 9, b.server.got.len);
        }
        if (c->fd >= 0)
            close(c->fd);
        content_unref(&c);
        buf_free(&plain);
        both_done(&b);
    }
}

/* Pausing leaves decrypted bytes in OpenSSL that no socket event announces. */
static void a_full_or_paused_buffer_forgets_nothing_that_openssl_holds(void **state)
{
    struct both b;
    char block[16000];
    size_t got = 0;

    (void)state;
    both_init(&b, 0, NULL);
    b.k.config.input_max = 1000;
    b.server.take = 0;
    both_start(&b, NULL);
    kit_run(&b.k, LONG, both_secure);
    memset(block, 'p', sizeof block);
    stream_write(b.k.told.stream, block, sizeof block);
    kit_turns(&b.k, 5);
    while (got < sizeof block) {
        const char *data;
        size_t n = stream_peek(b.server.stream, &data);

        assert_true(n > 0 && n <= 1000);
        stream_pause(b.server.stream, 1);
        stream_consume(b.server.stream, n);
        kit_turns(&b.k, 2);
        assert_int_equal(stream_peek(b.server.stream, &data), 0);
        stream_pause(b.server.stream, 0);
        kit_turns(&b.k, 2);
        got += n;
    }
    assert_int_equal(got, sizeof block);
    both_done(&b);
}

/* --- peers that are no streams of ours --- */

static void raw_init(struct kit *k, postern_tls **tls)
{
    kit_pair(k);
    k->told.take = 1;
    *tls = make_tls(POSTERN_TLS_SERVER, "mx.pem", "mx.key", NULL);
    assert_int_equal(stream_starttls(k->told.stream, *tls, NULL), 0);
    kit_turns(k, 2);
}

static void garbage_and_silence_end_a_handshake_in_words(void **state)
{
    struct kit k;
    postern_tls *tls;

    (void)state;
    raw_init(&k, &tls);
    peer_says(&k, "EHLO this is not TLS at all\r\n");
    kit_run(&k, LONG, saw_error);
    assert_int_equal(k.told.error, -EPROTO);
    assert_non_null(strstr(k.told.error_text, "wrong version number"));
    tls_free(&tls);
    kit_done(&k);

    raw_init(&k, &tls);
    close(k.peer);
    k.peer = -1;
    kit_run(&k, LONG, saw_error);
    assert_int_equal(k.told.error, -EPROTO);
    assert_string_equal(k.told.error_text, "TLS handshake: the peer closed the connection");
    tls_free(&tls);
    kit_done(&k);

    raw_init(&k, &tls);
    stream_deadline(k.told.stream, 20000);
    kit_run(&k, LONG, saw_timeout);
    assert_string_equal(k.told.log, "T");
    tls_free(&tls); /* the stream still holds it */
    kit_done(&k);
}

/* A plain OpenSSL client on the other end. */
static SSL *raw_client(struct kit *k, SSL_CTX **ctx)
{
    SSL *ssl;

    *ctx = SSL_CTX_new(TLS_client_method());
    ssl = SSL_new(*ctx);
    SSL_set_fd(ssl, k->peer);
    SSL_set_connect_state(ssl);
    return ssl;
}

static void an_old_protocol_is_refused(void **state)
{
    struct kit k;
    postern_tls *tls;
    SSL_CTX *ctx;
    SSL *ssl;

    (void)state;
    raw_init(&k, &tls);
    ssl = raw_client(&k, &ctx);
    SSL_set_security_level(ssl, 0);
    SSL_set_min_proto_version(ssl, TLS1_VERSION);
    SSL_set_max_proto_version(ssl, TLS1_1_VERSION);
    for (int i = 0; i < 10; i++) {
        SSL_do_handshake(ssl);
        kit_turns(&k, 1);
    }
    assert_string_equal(k.told.log, "X");
    assert_non_null(strstr(k.told.error_text, "unsupported protocol"));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    tls_free(&tls);
    kit_done(&k);
}

/* The last flight of the client and its first words may come in one read. */
static void words_that_come_with_the_handshake_s_end_are_heard(void **state)
{
    struct kit k;
    postern_tls *tls;
    SSL_CTX *ctx;
    SSL *ssl;
    char c;

    (void)state;
    raw_init(&k, &tls);
    ssl = raw_client(&k, &ctx);
    SSL_do_handshake(ssl);
    kit_turns(&k, 2);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    assert_int_equal(SSL_write(ssl, "EHLO early\r\n", 12), 12);
    kit_run(&k, LONG, saw_input);
    assert_string_equal(k.told.log, "SI");
    assert_int_equal(k.told.got.len, 12);
    /* It reads its tickets and hangs up without close_notify: an end, not an error. */
    assert_int_equal(SSL_read(ssl, &c, 1), -1);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(k.peer);
    k.peer = -1;
    kit_run(&k, LONG, saw_end);
    assert_string_equal(k.told.log, "SIE");
    /* Nobody is there: an error, and no SIGPIPE. */
    stream_write(k.told.stream, "250\r\n", 5);
    kit_run(&k, LONG, saw_error);
    assert_string_equal(k.told.log, "SIEX");
    assert_int_equal(k.told.error, -EPIPE);
    tls_free(&tls);
    kit_done(&k);
}

static void damaged_records_are_an_error(void **state)
{
    static const char record[] = "\x17\x03\x03\x00\x20"
                                 "this is no ciphertext of theirs!";
    struct kit k;
    postern_tls *tls;
    SSL_CTX *ctx;
    SSL *ssl;

    (void)state;
    raw_init(&k, &tls);
    ssl = raw_client(&k, &ctx);
    SSL_do_handshake(ssl);
    kit_turns(&k, 2);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    kit_run(&k, LONG, saw_secure);
    peer_write(&k, record, sizeof record - 1);
    kit_run(&k, LONG, saw_error);
    assert_string_equal(k.told.log, "SX");
    assert_int_equal(k.told.error, -EPROTO);
    assert_non_null(strstr(k.told.error_text, "bad record mac"));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    tls_free(&tls);
    kit_done(&k);
}

static void what_is_wrong_with_a_certificate_is_said(void **state)
{
    struct postern_tls_params p = { .size = sizeof p, .flags = POSTERN_TLS_SERVER };
    postern_tls *tls = NULL;
    char why[256];

    (void)state;
    assert_int_equal(tls_new(&p, &tls, why, sizeof why), -EINVAL);
    assert_string_equal(why, "a server needs a certificate");
    p.certificate = "/nonexistent.pem";
    assert_int_equal(tls_new(&p, &tls, why, sizeof why), -EINVAL);
    assert_non_null(strstr(why, "/nonexistent.pem: no such file"));
    p.certificate = in_folder("mx.pem");
    assert_int_equal(tls_new(&p, &tls, why, sizeof why), -EINVAL);
    assert_non_null(strstr(why, "key "));
    p.key = in_folder("other.key");
    assert_int_equal(tls_new(&p, &tls, why, sizeof why), -EINVAL);
    assert_non_null(strstr(why, "mismatch"));
    p.key = in_folder("mx.key");
    p.ca_file = in_folder("mx.key");
    assert_int_equal(tls_new(&p, &tls, why, sizeof why), -EINVAL);
    assert_non_null(strstr(why, "ca_file"));
    assert_null(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verified_session_carries_bytes_both_ways),
        cmocka_unit_test(what_holds_is_known_also_when_it_is_not_enforced),
        cmocka_unit_test(a_certificate_that_does_not_hold_ends_an_enforcing_client),
        cmocka_unit_test(a_client_that_must_verify_must_say_whom),
        cmocka_unit_test(commands_sent_with_starttls_are_refused),
        cmocka_unit_test(commands_sent_after_starttls_in_the_clear_never_arrive),
        cmocka_unit_test(what_was_queued_leaves_in_the_clear_before_the_handshake),
        cmocka_unit_test(ten_mebibytes_pass_whole_through_small_buffers),
        cmocka_unit_test(a_full_or_paused_buffer_forgets_nothing_that_openssl_holds),
        cmocka_unit_test(garbage_and_silence_end_a_handshake_in_words),
        cmocka_unit_test(an_old_protocol_is_refused),
        cmocka_unit_test(words_that_come_with_the_handshake_s_end_are_heard),
        cmocka_unit_test(damaged_records_are_an_error),
        cmocka_unit_test(what_is_wrong_with_a_certificate_is_said),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
