/* server.c: see server.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server.h"

const char ehlo_plain[] = "250 mx.example";
const char ehlo_full[] = "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n"
                         "250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8";
const char ehlo_tls[] = "250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS";

static void complain(void *ctx, const char *what)
{
    (void)ctx;
    fail_msg("%s", what);
}

struct world *world_new(const char *const *options)
{
    struct world *w = calloc(1, sizeof *w);

    w->h = fakehost_new();
    fakehost_on_failure(w->h, complain, NULL);
    for (; options && *options; options += 2)
        fakehost_set(w->h, options[0], options[1]);
    fakehost_mx(w->h, "dest.example", 0, "10 mx.example");
    fakehost_addresses(w->h, "mx.example", 0, "192.0.2.1");
    if (fakehost_open(w->h, &smtp_out_LTX_postern_plugin) < 0)
        fail_msg("open: %s", fakehost_why(w->h));
    return w;
}

void world_free(struct world **w)
{
    fakehost_close(&(*w)->h);
    for (size_t i = 0; i < SERVERS_MAX; i++)
        free((*w)->servers[i].content);
    free(*w);
    *w = NULL;
}

/* --- a server --- */

static void feed(struct world *w, struct server *v, const char *text, size_t len)
{
    size_t step = w->chunk ? w->chunk : len;

    for (size_t at = 0; at < len && fakehost_ended(v->stream) == FAKEHOST_STANDS; at += step) {
        fakehost_feed(v->stream, text + at, len - at < step ? len - at : step);
        if (w->chunk)
            fakehost_turn(w->h);
    }
}

static void reply(struct world *w, struct server *v, const char *text, const char *normal)
{
    char line[4096];
    size_t len;
    const char *end;

    if (!text)
        text = normal;
    end = strstr(text, "EOF");
    if (!end)
        end = strstr(text, "RST");
    len = end ? (size_t)(end - text) : strlen(text);
    if (len && end && text[len - 1] == '|')
        len--;
    if (len) {
        int crlf = len >= 2 && text[len - 1] == '\n';

        snprintf(line, sizeof line, "%.*s%s", (int)len, text, crlf ? "" : "\r\n");
        feed(w, v, line, strlen(line));
    }
    if (!end || fakehost_ended(v->stream) != FAKEHOST_STANDS)
        return;
    v->ended = 1;
    if (*end == 'E')
        fakehost_feed_eof(v->stream);
    else
        fakehost_feed_error(v->stream, -ECONNRESET);
}

static int is_verb(const char *line, const char *verb)
{
    return !strncasecmp(line, verb, strlen(verb));
}

static void command(struct world *w, struct server *v, const struct script *c, const char *line)
{
    if (is_verb(line, "EHLO")) {
        reply(w, v, v->tls && c->ehlo_tls ? c->ehlo_tls : c->ehlo, ehlo_full);
    } else if (is_verb(line, "HELO")) {
        reply(w, v, c->helo, "250 mx.example");
    } else if (is_verb(line, "STARTTLS")) {
        v->tls = 1;
        reply(w, v, c->starttls, "220 2.0.0 go ahead");
    } else if (is_verb(line, "RSET")) {
        reply(w, v, c->rset, "250 2.0.0 ok");
    } else if (is_verb(line, "MAIL")) {
        v->rcpt_i = 0;
        reply(w, v, c->mail, "250 2.1.0 ok");
    } else if (is_verb(line, "RCPT")) {
        const char *text = v->rcpt_i < RCPTS_MAX ? c->rcpt[v->rcpt_i] : NULL;

        v->rcpt_i++;
        reply(w, v, text, "250 2.1.5 ok");
    } else if (is_verb(line, "DATA")) {
        v->in_data = !c->data || strstr(c->data, "354");
        reply(w, v, c->data, "354 go ahead");
    } else if (is_verb(line, "QUIT")) {
        reply(w, v, NULL, "221 2.0.0 bye");
    } else {
        fail_msg("a server got: %s", line);
    }
}

static void note(struct server *v, const char *line)
{
    size_t len = strlen(v->said);

    snprintf(v->said + len, sizeof v->said - len, "%s\n", line);
}

/* Takes one thing off the output: a command, or a whole content. 0: there is none yet. */
static int take(struct world *w, struct server *v, const struct script *c)
{
    size_t len;
    const char *out = fakehost_output(v->stream, &len), *end;
    char line[2048];

    out += v->seen;
    if (!v->in_data) {
        end = strstr(out, "\r\n");
        if (!end)
            return 0;
        snprintf(line, sizeof line, "%.*s", (int)(end - out), out);
        v->seen += (size_t)(end - out) + 2;
        note(v, line);
        command(w, v, c, line);
        return 1;
    }
    end = !strncmp(out, ".\r\n", 3) ? out - 2 : strstr(out, "\r\n.\r\n");
    if (!end)
        return 0;
    free(v->content);
    v->content = strndup(out, (size_t)(end + 2 - out));
    v->seen += (size_t)(end + 5 - out);
    v->in_data = 0;
    v->messages++;
    note(v, ".");
    reply(w, v, c->final, "250 2.0.0 queued as 1");
    return 1;
}

/* 1 when it said or heard something. */
static int serve(struct world *w, size_t i)
{
    struct server *v = &w->servers[i];
    int any = 0;

    if (v->ended || fakehost_ended(v->stream) == FAKEHOST_ABORTED)
        return 0;
    if (!v->greeted) {
        v->greeted = 1;
        reply(w, v, w->scripts[i].greeting, "220 mx.example ESMTP");
        any = 1;
    }
    while (!v->ended && take(w, v, &w->scripts[i]))
        any = 1;
    return any;
}

void world_run(struct world *w)
{
    int any = 1;

    while (any) {
        any = 0;
        fakehost_run(w->h);
        while (w->n < SERVERS_MAX) {
            postern_stream *s = fakehost_connected(w->h, w->n, NULL, NULL);

            if (!s)
                break;
            w->servers[w->n++].stream = s;
        }
        for (size_t i = 0; i < w->n; i++)
            any |= serve(w, i);
    }
}

void world_wait(struct world *w, uint64_t seconds)
{
    world_run(w);
    fakehost_advance(w->h, seconds * 1000000);
    world_run(w);
}

/* --- jobs --- */

#define MANY 3000

postern_job *world_deliver_job(struct world *w, struct fakehost_job *job, size_t n)
{
    static char text[MANY][40];
    static const char *rcpts[MANY + 1];
    int result = -1;
    postern_job *handle;

    assert_true(n <= MANY);
    for (size_t i = 0; i < n; i++) {
        snprintf(text[i], sizeof text[i], "r%zu@dest.example", i);
        rcpts[i] = text[i];
    }
    rcpts[n] = NULL;
    if (!job->rcpts)
        job->rcpts = rcpts;
    if (!job->sender)
        job->sender = "from@gw.example";
    if (!job->id)
        job->id = "ID1";
    if (!job->content)
        job->content = "Subject: x\r\n\r\n.dot\r\nbody\r\n";
    if (!job->content_len)
        job->content_len = strlen(job->content);
    handle = fakehost_deliver(w->h, job, &result);
    assert_int_equal(result, 0);
    return handle;
}

postern_job *world_deliver_to(struct world *w, size_t n, const char *destination)
{
    struct fakehost_job job = { .destination = destination };

    return world_deliver_job(w, &job, n);
}

postern_job *world_deliver(struct world *w, size_t n)
{
    return world_deliver_to(w, n, "dest.example");
}

void expect_fate(const postern_job *job, size_t i, const char *fate, int cause, const char *text)
{
    static const char *const names[] = { "?", "delivered", "deferred", "failed" };
    const struct postern_outcome *o = fakehost_outcome(job, i);
    char got[64];

    if (!o)
        fail_msg("recipient %zu has no fate, wanted %s", i, fate);
    snprintf(got, sizeof got, "%s %u.%u.%u", names[o->fate & 3], o->status[0], o->status[1],
             o->status[2]);
    if (strcmp(got, fate) != 0)
        fail_msg("recipient %zu: %s (%s), wanted %s", i, got, o->diagnostic, fate);
    if (text && !strstr(o->diagnostic, text))
        fail_msg("recipient %zu: \"%s\" is not in \"%s\"", i, text, o->diagnostic);
    if (cause >= 0 && (int)o->cause != cause)
        fail_msg("recipient %zu: cause %u, wanted %d (%s)", i, o->cause, cause, o->diagnostic);
}
