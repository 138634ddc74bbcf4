/* A whole SMTP session, from the bytes of a peer: smtp-in on the fake host.
 *
 * The first two bytes choose settings and portions, the rest is what the peer sends. It is sent
 * twice, in one piece and in portions; that must make no difference. And whatever was said: replies
 * are well formed, as many messages were accepted as were acknowledged, and none has a bare CR or
 * LF. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "../fake/fakehost.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct postern_plugin smtp_in_LTX_postern_plugin;

#define LENIENT  1u /* bits of the first byte */
#define PASS_NUL 2u
#define TLS      4u
#define SMALL    8u
#define BUSY     16u
#define REFUSING 32u
#define HANGS_UP 64u
#define FAILING  128u

static void expect(int truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "fuzz-smtp-in: %s\n", what);
    abort();
}

static struct fakehost *open_host(unsigned flags)
{
    struct fakehost *h = fakehost_new();

    if (flags & LENIENT)
        fakehost_set(h, "bare_lf_from", "0.0.0.0/0");
    if (flags & PASS_NUL)
        fakehost_set(h, "nul_bytes", "pass");
    if (flags & TLS)
        fakehost_set(h, "tls_certificate", "c.pem");
    if (flags & SMALL)
        fakehost_size_limit(h, 400);
    if (flags & BUSY)
        fakehost_write_room(h, 5);
    if (flags & REFUSING) {
        fakehost_verdict(h, NULL, POSTERN_VERDICT_RELAY, NULL, NULL);
        fakehost_verdict(h, "a@b", POSTERN_VERDICT_ANYONE, NULL, NULL);
        fakehost_verdict(h, "c@d", POSTERN_VERDICT_FAIL, "4.1.1", "later");
    }
    if (flags & FAILING) {
        fakehost_fail(h, FAKEHOST_SUBMIT_NEW, 2, -28);
        fakehost_fail(h, FAKEHOST_SUBMIT_WRITE, 3, -5);
        fakehost_fail(h, FAKEHOST_SUBMIT_COMMIT, 1, -28);
    }
    expect(fakehost_open(h, &smtp_in_LTX_postern_plugin) == 0, "it cannot be opened");
    return h;
}

/* Portions of varying length, from a little generator: an input means one thing for ever. */
static size_t portion(unsigned *seed, size_t left)
{
    size_t n;

    if (!*seed)
        return left;
    *seed = *seed * 1103515245u + 12345u;
    n = 1 + (*seed >> 16) % 9;
    return n < left ? n : left;
}

static struct fakehost *run(const uint8_t *data, size_t size, unsigned flags, unsigned seed,
                            postern_stream **ret)
{
    struct fakehost *h = open_host(flags);
    postern_stream *s = fakehost_accept(h, NULL, "192.0.2.1");

    for (size_t at = 0; at < size;) {
        size_t n = portion(&seed, size - at);

        fakehost_feed(s, data + at, n);
        fakehost_run(h);
        at += n;
    }
    if (flags & HANGS_UP) {
        fakehost_feed_eof(s);
        fakehost_run(h);
    }
    *ret = s;
    return h;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, word)); p += strlen(word))
        n++;
    return n;
}

/* RFC 5321 4.2: three digits, then '-' or a blank; CRLF at the end; no other control characters. */
static void check_replies(const char *p, size_t len)
{
    const char *end = p + len;

    expect(!memchr(p, 0, len), "a NUL in a reply");
    while (p < end) {
        const char *crlf = strstr(p, "\r\n");

        expect(crlf != NULL, "a reply without an end");
        expect(crlf - p >= 4 && crlf - p <= 1000, "a reply of a strange length");
        expect(strspn(p, "0123456789") == 3 && strchr("- ", p[3]), "a reply without a code");
        for (; p < crlf; p++)
            expect((unsigned char)*p >= ' ' && *p != 127, "a control character in a reply");
        p += 2;
    }
}

static void check_message(const struct fakehost_message *m)
{
    expect(strncmp(m->data, "Received: from ", 15) == 0, "a message without Received");
    for (size_t i = 0; i < m->len; i++) {
        if (m->data[i] == '\n')
            expect(i && m->data[i - 1] == '\r', "a bare LF in a message");
        if (m->data[i] == '\r')
            expect(m->data[i + 1] == '\n', "a bare CR in a message");
    }
    expect(m->rcpt_n > 0, "a message without recipients");
    for (size_t i = 0; i < m->rcpt_n; i++) {
        struct postern_address a = { .size = sizeof a };
        const char *why;

        expect(postern_address_parse(m->rcpts[i], strlen(m->rcpts[i]), POSTERN_ADDRESS_UTF8, &a,
                                     &why) == 0,
               "a recipient that is no address");
    }
}

static void check(struct fakehost *h, postern_stream *s)
{
    size_t len, durable = fakehost_messages(h, FAKEHOST_DURABLE);
    const char *replies = fakehost_output(s, &len);

    check_replies(replies, len);
    /* At the beginning of a line, and the greeting is before it: a refusal quotes the peer. */
    expect(count(replies, "\r\n250 2.0.0 Ok: queued as ") == durable,
           "not as many as acknowledged");
    for (size_t i = 0; fakehost_message(h, i); i++) {
        if (fakehost_message(h, i)->fate == FAKEHOST_DURABLE)
            check_message(fakehost_message(h, i));
    }
}

static const char *body(const struct fakehost_message *m)
{
    const char *p = strstr(m->data, ";\r\n\t"); /* what comes before the date, which may differ */

    p = p ? strstr(p + 4, "\r\n") : NULL;
    return p ? p : m->data;
}

static void compare(struct fakehost *a, postern_stream *sa, struct fakehost *b, postern_stream *sb)
{
    expect(strcmp(fakehost_output(sa, NULL), fakehost_output(sb, NULL)) == 0,
           "portions change the replies");
    for (size_t i = 0; fakehost_message(a, i); i++) {
        const struct fakehost_message *m = fakehost_message(a, i), *n = fakehost_message(b, i);

        expect(n != NULL && m->fate == n->fate && m->rcpt_n == n->rcpt_n,
               "portions change what is accepted");
        if (m->fate != FAKEHOST_DURABLE)
            continue;
        expect(m->len == n->len, "portions change the length of a message");
        expect(memcmp(body(m), body(n), m->len - (size_t)(body(m) - m->data)) == 0,
               "portions change a message");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fakehost *whole, *parts;
    postern_stream *s, *t;
    unsigned flags;

    if (size < 2)
        return 0;
    flags = data[0];
    whole = run(data + 2, size - 2, flags, 0, &s);
    check(whole, s);
    parts = run(data + 2, size - 2, flags, data[1] + 1u, &t);
    check(parts, t);
    /* A failing write is counted in calls, and a handshake is where clear text must stop: there
     * portions do matter. */
    if (!(flags & (TLS | FAILING)))
        compare(whole, s, parts, t);
    fakehost_close(&whole);
    fakehost_close(&parts);
    return 0;
}
