/* Fills a spool with waiting messages, as if smtp-in had taken them: what bench-queue starts with.
 *
 *   bench-fill FOLDER [messages [bytes]]
 *
 * One recipient each, 1000 different ones; Message-IDs of the round "r", which bench-sink --check
 * knows. The folder is a shard; it must not exist or be empty. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message/envelope.h"
#include "spool/spool.h"
#include "util/clock.h"
#include "util/loop.h"

#define IN_FLIGHT 500u
#define BYTES_MIN 256u

struct fill {
    struct loop *loop;
    struct spool *spool;
    char *content; /* `bytes` long; its header is written anew for each */
    size_t bytes;
    unsigned long next, stored, wanted;
};

static void content_make(struct fill *f, unsigned long serial)
{
    int n = snprintf(f->content, f->bytes,
                     "From: Bench Source <sender@bench-source.example.org>\r\n"
                     "To: User %03lu <user%03lu@example.net>\r\n"
                     "Message-ID: <%08lu.r@bench-source.example.org>\r\n\r\n",
                     serial % 1000, serial % 1000, serial);
    size_t at = (size_t)n;

    for (size_t column = 0; at + 2 < f->bytes; at++, column++) {
        f->content[at] = column < 76 ? 'x' : column == 76 ? '\r' : '\n';
        if (column == 77)
            column = (size_t)-1;
    }
    memcpy(f->content + f->bytes - 2, "\r\n", 2);
    if (f->content[f->bytes - 3] == '\r') /* no bare one */
        f->content[f->bytes - 3] = 'x';
}

static void meta_make(unsigned long serial, struct buf *out)
{
    char rcpt[32];
    const char *rcpts[] = { rcpt };
    struct envelope *env;

    snprintf(rcpt, sizeof rcpt, "user%03lu@example.net", serial % 1000);
    env =
        envelope_new(&(struct envelope_new){ .received_usec = clock_wall(),
                                             .sender = "sender@bench-source.example.org",
                                             .ingress = "smtp-in",
                                             .client = "bench-source.example.org [127.0.0.1]:45678",
                                             .rcpt_n = 1,
                                             .rcpts = rcpts });
    envelope_encode(env, out);
    free(env);
}

static void begin_one(struct fill *f);

static void stored(void *ctx, int result, struct spool_entry *entry)
{
    struct fill *f = ctx;

    (void)entry;
    if (result) {
        fprintf(stderr, "bench-fill: commit: %s\n", strerror(-result));
        exit(1);
    }
    if (++f->stored == f->wanted)
        loop_stop(f->loop);
    else if (f->next < f->wanted)
        begin_one(f);
}

static void begin_one(struct fill *f)
{
    struct buf meta = { 0 };
    struct spool_put *put;
    int r = spool_put_new(f->spool, spool_new_id(f->spool), f->bytes, &put);

    content_make(f, f->next);
    if (r == 0)
        r = spool_put_write(put, f->content, f->bytes);
    if (r < 0) {
        fprintf(stderr, "bench-fill: put: %s\n", strerror(-r));
        exit(1);
    }
    meta_make(f->next++, &meta);
    spool_put_commit(put, meta.data, meta.len, stored, f);
    buf_free(&meta);
}

int main(int argc, char **argv)
{
    struct fill f = { .wanted = 100000, .bytes = 1024 };
    struct spool_config cfg = { .path = argc > 1 ? argv[1] : NULL };
    char why[256];

    if (argc > 2)
        f.wanted = strtoul(argv[2], NULL, 10);
    if (argc > 3)
        f.bytes = strtoul(argv[3], NULL, 10);
    if (argc < 2 || argc > 4 || !f.wanted || f.bytes < BYTES_MIN) {
        fprintf(stderr, "usage: bench-fill FOLDER [messages [bytes, at least %u]]\n", BYTES_MIN);
        return 64;
    }
    f.content = malloc(f.bytes);
    f.loop = loop_new(0);
    if (!f.content || spool_open(&cfg, f.loop, NULL, NULL, &f.spool, why, sizeof why) < 0) {
        fprintf(stderr, "bench-fill: %s\n", f.content ? why : strerror(ENOMEM));
        return 1;
    }
    while (f.next < f.wanted && f.next < IN_FLIGHT)
        begin_one(&f);
    loop_run(f.loop);
    spool_close(&f.spool);
    loop_free(&f.loop);
    free(f.content);
    return 0;
}
