#include "talk.h"

#include <stdio.h>
#include <string.h>

#define STRANGER "198.51.100.7"

static void complain(void *ctx, const char *what)
{
    (void)ctx;
    fail_msg("%s", what);
}

struct fakehost *talk_host(void)
{
    struct fakehost *h = fakehost_new();

    fakehost_on_failure(h, complain, NULL);
    return h;
}

void talk_open(struct fakehost *h, const char *options)
{
    char text[512], *rest = text, *item;

    snprintf(text, sizeof text, "%s", options ? options : "");
    while ((item = strsep(&rest, ";"))) {
        char *value = strchr(item, '=');

        if (!value)
            continue;
        *value++ = 0;
        fakehost_set(h, item, value);
    }
    if (fakehost_open(h, &smtp_in_LTX_postern_plugin) < 0)
        fail_msg("open: %s", fakehost_why(h));
}

struct talk talk_start(const char *options, const char *peer)
{
    struct talk t = { .h = talk_host() };

    talk_open(t.h, options);
    t.s = fakehost_accept(t.h, NULL, peer ? peer : STRANGER);
    assert_non_null(t.s);
    fakehost_run(t.h);
    return t;
}

void talk_end(struct talk *t)
{
    fakehost_close(&t->h);
}

void talk_send(struct talk *t, const void *data, size_t len)
{
    fakehost_feed(t->s, data, len);
    fakehost_run(t->h);
}

void talk_say(struct talk *t, const char *text)
{
    talk_send(t, text, strlen(text));
}

void talk_expect(struct talk *t, const char *replies)
{
    assert_string_equal(fakehost_output(t->s, NULL), replies);
    fakehost_output_clear(t->s);
}

const char *talk_body(const struct fakehost_message *m, size_t *ret_len)
{
    const char *p;

    assert_non_null(m);
    assert_memory_equal(m->data, "Received: from ", 15);
    for (p = strstr(m->data, "\r\n"); p && p[2] == '\t'; p = strstr(p + 2, "\r\n"))
        ;
    assert_non_null(p);
    *ret_len = m->len - (size_t)(p + 2 - m->data);
    return p + 2;
}
