/* What a hostile server may say to smtp-out: two jobs, and every byte the servers send is the
 * input's.
 *
 * The first two bytes choose the settings and the size of the jobs. After them a NUL means: let the
 * client act on what it has. When a connection ends the rest of the input goes to the next one.
 * However it goes, each recipient must be settled once; the fake host aborts on anything else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../fake/fakehost.h"

#define CONNECTIONS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct postern_plugin smtp_out_LTX_postern_plugin;

static postern_stream *newest(struct fakehost *h)
{
    postern_stream *s = NULL;

    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        postern_stream *next = fakehost_connected(h, i, NULL, NULL);

        if (!next)
            break;
        if (fakehost_ended(next) == FAKEHOST_STANDS)
            s = next;
    }
    return s;
}

static void talk(struct fakehost *h, const uint8_t *data, size_t size)
{
    while (size) {
        const uint8_t *end = memchr(data, 0, size);
        size_t n = end ? (size_t)(end - data) : size;
        postern_stream *s = newest(h);

        if (!s)
            return;
        fakehost_feed(s, data, n);
        fakehost_run(h);
        n += end != NULL;
        data += n;
        size -= n;
    }
}

/* Whoever has not said it all by now never will. */
static void end_all(struct fakehost *h)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        postern_stream *s = fakehost_connected(h, i, NULL, NULL);

        if (s && fakehost_ended(s) == FAKEHOST_STANDS) {
            fakehost_feed_eof(s);
            fakehost_run(h);
        }
    }
}

static postern_job *deliver(struct fakehost *h, unsigned choice)
{
    static const char *const few[] = { "a@dest.example", NULL };
    static const char *const more[] = { "a@dest.example", "b@dest.example", "\xc3\xa4@dest.example",
                                        "c@dest.example", NULL };
    struct fakehost_job job = {
        .id = "ID",
        .sender = choice & 1 ? "" : "from@gw.example",
        .destination = "dest.example",
        .rcpts = choice & 2 ? more : few,
        .content = choice & 4 ? "Subject: \xc3\xa4\r\n\r\n.\r\nbody" : "Subject: x\r\n\r\nbody\r\n",
        .flags = (choice & 8 ? POSTERN_MAIL_UTF8 : 0) | (choice & 16 ? POSTERN_MAIL_8BIT : 0),
    };

    job.content_len = strlen(job.content);
    return fakehost_deliver(h, &job, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const tls[] = { "opportunistic", "require", "never", "opportunistic" };
    struct fakehost *h;
    postern_job *first, *second;
    size_t half;

    if (size < 2)
        return 0;
    h = fakehost_new();
    fakehost_set(h, "tls", tls[data[0] & 3]);
    if (data[0] & 4)
        fakehost_set(h, "idle_timeout", "0s");
    fakehost_mx(h, "dest.example", 0, "10 a.example, 20 b.example");
    fakehost_addresses(h, "a.example", 0, "192.0.2.1, 2001:db8::1");
    fakehost_addresses(h, "b.example", 0, "192.0.2.2");
    if (fakehost_open(h, &smtp_out_LTX_postern_plugin) < 0)
        abort();
    half = data[0] & 8 ? size / 2 : size;
    first = deliver(h, data[1]);
    fakehost_run(h);
    talk(h, data + 2, half > 2 ? half - 2 : 0);
    second = deliver(h, data[1] >> 3);
    fakehost_run(h);
    if (half >= 2)
        talk(h, data + half, size - half);
    if (data[0] & 16 && fakehost_unsettled(first))
        fakehost_cancel(h, first);
    end_all(h);
    /* Longer than any time limit, for every address: nothing may be left to wait for. */
    for (int i = 0; i < 20; i++)
        fakehost_advance(h, (uint64_t)3600 * 1000000);
    if (fakehost_unsettled(first) || fakehost_unsettled(second))
        abort();
    fakehost_close(&h);
    return 0;
}
