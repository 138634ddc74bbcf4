/* smtp-in.c: the SMTP server plugin: opening, accepting, closing.
 *
 * RFC 5321 with PIPELINING (2920), SIZE (1870), 8BITMIME (6152), ENHANCEDSTATUSCODES (2034),
 * STARTTLS (3207) and SMTPUTF8 (6531). grammar.c reads commands, command.c answers them, data.c
 * reads content, content.c takes it, session.c ties them together.
 * Known gaps: AUTH, CHUNKING, DSN. */
#include "smtp-in.h"

#include <errno.h>
#include <stdlib.h>

#include "session.h"

static void on_accept(void *ctx, postern_stream *stream)
{
    smtpin_session_new(ctx, stream);
}

static int attach(void *self, postern_stream *stream)
{
    smtpin_session_new(self, stream);
    return 0;
}

static int open_tls(struct smtpin *in)
{
    struct postern_tls_params params = {
        .size = sizeof params,
        .flags = POSTERN_TLS_SERVER,
        .certificate = in->set->tls_certificate,
        .key = in->set->tls_key,
    };

    return params.certificate ? in->v->tls_new(in->host, &params, &in->tls) : 0;
}

/* check() has seen the lists already, so what can go wrong is memory. */
static int open_access(struct smtpin *in)
{
    const char *item, *why;
    int r = smtpin_access_init(&in->relay_from, &in->set->relay_from, &item, &why);

    if (!r)
        r = smtpin_access_init(&in->bare_lf_from, &in->set->bare_lf_from, &item, &why);
    if (!r && smtpin_access_is_everyone(&in->relay_from))
        in->v->log(in->host, POSTERN_LOG_WARNING, "smtp.open_relay",
                   "text=\"relay_from holds every address: anybody may relay\"");
    return r;
}

static int open_listeners(struct smtpin *in)
{
    for (size_t i = 0; i < in->set->listen.n; i++) {
        int r = in->v->listen(in->host, in->set->listen.v[i], on_accept, in);

        if (r < 0) {
            in->v->log(in->host, POSTERN_LOG_ERROR, "smtp.listen_failed", "endpoint=%s error=%d",
                       POSTERN_LOG_QUOTED(in->set->listen.v[i]), -r);
            return r;
        }
    }
    return 0;
}

static void smtpin_close(void *self)
{
    struct smtpin *in = self;

    while (in->sessions)
        smtpin_session_destroy(in->sessions);
    smtpin_access_done(&in->relay_from);
    smtpin_access_done(&in->bare_lf_from);
    free(in);
}

static int smtpin_open(postern_host *host, const struct postern_services *services,
                       const void *settings, void **ret_self)
{
    struct smtpin *in = calloc(1, sizeof *in);
    int r;

    if (!in)
        return -ENOMEM;
    in->host = host;
    in->v = services;
    in->set = settings;
    in->size_limit = services->size_limit(host);
    r = open_access(in);
    if (!r)
        r = open_tls(in);
    if (!r)
        r = open_listeners(in);
    if (r < 0) {
        smtpin_close(in);
        return r;
    }
    *ret_self = in;
    return 0;
}

static void smtpin_drain(void *self)
{
    struct smtpin *in = self;
    struct smtpin_session *next;

    in->draining = 1;
    for (struct smtpin_session *s = in->sessions; s; s = next) {
        next = s->next;
        smtpin_session_drain(s);
    }
}

static const struct postern_ingress_ops ingress = { .size = sizeof ingress, .attach = attach };

POSTERN_PLUGIN(smtp_in, .name = "smtp-in", .version = "1.0",
               .summary = "takes mail by SMTP (RFC 5321)", .options = smtpin_options,
               .settings_size = sizeof(struct smtpin_settings), .check = smtpin_check,
               .open = smtpin_open, .drain = smtpin_drain, .close = smtpin_close,
               .ingress = &ingress, .flags = POSTERN_PLUGIN_PATHS);
