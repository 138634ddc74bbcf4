/* session.c: the life of a connection, and its turns: from which event what is done next.
 *
 * A session goes on as far as its buffered input allows, in smtpin_session_run, and nowhere else;
 * events and completions only note what has changed and call it. So commands may come in any
 * portions (RFC 2920), and their replies leave together at the end of the turn. */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- its place among the others --- */

static unsigned bucket_of(const struct smtpin_client *c)
{
    uint32_t hash = 2166136261u; /* FNV-1a; a peer who makes its addresses collide gains nothing */

    for (size_t i = 0; i < sizeof c->address; i++)
        hash = (hash ^ c->address[i]) * 16777619u;
    return (hash ^ hash >> 16) & (SMTPIN_BUCKETS - 1);
}

static size_t connections_of(const struct smtpin *in, const struct smtpin_client *c)
{
    size_t n = 0;

    for (const struct smtpin_session *s = in->buckets[bucket_of(c)]; s; s = s->bucket_next)
        n += memcmp(s->client.address, c->address, sizeof c->address) == 0;
    return n;
}

static void enlist(struct smtpin_session *s)
{
    struct smtpin *in = s->in;

    s->next = in->sessions;
    s->link = &in->sessions;
    if (s->next)
        s->next->link = &s->next;
    in->sessions = s;
    in->session_n++;
    if (s->client.local)
        return;
    s->bucket_at = &in->buckets[bucket_of(&s->client)];
    s->bucket_next = *s->bucket_at;
    if (s->bucket_next)
        s->bucket_next->bucket_at = &s->bucket_next;
    *s->bucket_at = s;
}

/* It has no connection any more: others may take its place. */
static void discount(struct smtpin_session *s)
{
    s->in->session_n--;
    if (!s->bucket_at)
        return;
    *s->bucket_at = s->bucket_next;
    if (s->bucket_next)
        s->bucket_next->bucket_at = s->bucket_at;
    s->bucket_at = NULL;
}

/* --- its end --- */

static void session_free(struct smtpin_session *s)
{
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    s->in->v->submit_free(s->submit);
    if (s->ask_id)
        s->in->v->forget(s->in->host, s->ask_id);
    free(s);
}

void smtpin_session_gone(struct smtpin_session *s)
{
    session_free(s);
}

void smtpin_session_over(struct smtpin_session *s)
{
    s->state = SMTPIN_OVER;
}

/* Closes the connection. A completion that is under way needs the session: it stays until then. */
static void hang_up(struct smtpin_session *s)
{
    smtpin_log(s, POSTERN_LOG_DEBUG, "smtp.disconnect", "messages=%u errors=%u", s->messages,
               s->errors);
    s->in->v->stream_close(s->stream);
    s->stream = NULL;
    discount(s);
    if (!s->calling)
        session_free(s);
}

void smtpin_session_destroy(struct smtpin_session *s)
{
    if (s->stream) {
        /* In the midst of a handshake clear text would be noise. */
        if (s->state != SMTPIN_HANDSHAKE)
            SMTPIN_SAY(s, "421 4.3.2 Service is shutting down, try again later");
        s->in->v->stream_close(s->stream);
        discount(s);
    }
    session_free(s);
}

void smtpin_session_reset(struct smtpin_session *s)
{
    s->in->v->submit_free(s->submit);
    s->submit = NULL;
    s->mail = 0;
    s->utf8 = 0;
    s->rcpts = 0;
    s->refused_rcpts = 0;
}

/* --- its turns --- */

static uint64_t at_most(int64_t a, int64_t b)
{
    return (uint64_t)(a < b ? a : b);
}

/* How long the peer may take for what it has to do next; 0: it is not its turn. */
static uint64_t patience(const struct smtpin_session *s)
{
    const struct smtpin_settings *set = s->in->set;
    int64_t spent;

    switch (s->state) {
    case SMTPIN_COMMAND:
    case SMTPIN_LONG_LINE:
        return (uint64_t)set->command_timeout;
    case SMTPIN_HANDSHAKE:
        return at_most(set->command_timeout, SMTPIN_HANDSHAKE_TIME);
    case SMTPIN_CONTENT:
        spent = (int64_t)(s->in->v->now(s->in->host) - s->data_start);
        /* At least 1: a limit that is up already is to be noticed, not to be lifted. */
        return at_most(set->data_timeout,
                       set->data_max_time > spent ? set->data_max_time - spent : 1);
    default:
        return 0;
    }
}

static void line_too_long(struct smtpin_session *s)
{
    s->state = SMTPIN_LONG_LINE;
    SMTPIN_REFUSE(s, "500 5.5.2 Line too long");
}

/* One command off the input. 1, or 0 when there is none, or its reply would not be read. */
static int command_step(struct smtpin_session *s)
{
    const struct postern_services *v = s->in->v;
    const char *line;
    size_t len;
    int eol, r;

    if (v->stream_pending(s->stream) > SMTPIN_PENDING_MAX) {
        s->choked = 1;
        return 0;
    }
    r = v->stream_line(s->stream, SMTPIN_COMMAND_MAX, &line, &len, &eol);
    if (r == 0)
        return 0;
    if (r < 0) {
        line_too_long(s);
        return 1;
    }
    s->rearm = 1;
    if (eol == 1 && !s->lenient)
        SMTPIN_REFUSE(s, "500 5.5.2 A line must end in CR LF, this one has a bare LF");
    else
        smtpin_command(s, line, len);
    return 1;
}

/* The rest of a line that is too long goes unseen. It does not count as a sign of life. */
static int long_line_step(struct smtpin_session *s)
{
    const struct postern_services *v = s->in->v;
    const char *data, *lf;
    size_t len = v->stream_peek(s->stream, &data);

    if (!len)
        return 0;
    lf = memchr(data, '\n', len);
    if (lf)
        s->state = SMTPIN_COMMAND;
    v->stream_consume(s->stream, lf ? (size_t)(lf - data) + 1 : len);
    return 1;
}

/* Between transactions is the moment to send a client to our successor. */
static int is_time_to_go(const struct smtpin_session *s)
{
    return s->in->draining && s->state == SMTPIN_COMMAND && !s->mail;
}

static int step(struct smtpin_session *s)
{
    if (is_time_to_go(s))
        return 0;
    switch (s->state) {
    case SMTPIN_COMMAND:
        return command_step(s);
    case SMTPIN_LONG_LINE:
        return long_line_step(s);
    case SMTPIN_CONTENT:
        return smtpin_content_step(s);
    default:
        return 0;
    }
}

/* Has the peer gone, with nothing left that we could do for it? */
static int forsaken(const struct smtpin_session *s)
{
    return s->eof && !s->choked && !s->calling;
}

void smtpin_session_run(struct smtpin_session *s)
{
    while (step(s))
        ;
    if (is_time_to_go(s)) {
        SMTPIN_SAY(s, "421 4.3.2 Service is shutting down, try again later");
        smtpin_session_over(s);
    }
    if (s->state == SMTPIN_OVER || forsaken(s)) {
        hang_up(s);
        return;
    }
    if (s->rearm)
        s->in->v->stream_deadline(s->stream, patience(s));
    s->rearm = 0;
}

void smtpin_session_drain(struct smtpin_session *s)
{
    if (s->stream && is_time_to_go(s))
        smtpin_session_run(s);
}

static void greet(struct smtpin_session *s)
{
    s->state = SMTPIN_COMMAND;
    s->rearm = 1;
    smtpin_sayf(s, "220 %s %s", s->in->v->hostname(s->in->host), s->in->set->banner);
}

/* The greeting is delayed to see who cannot wait for it (RFC 5321 4.3.1: a client must). */
static void on_early_input(struct smtpin_session *s)
{
    if (s->in->set->early_talkers == SMTPIN_EARLY_ALLOW)
        return;
    SMTPIN_SAY(s, "554 5.5.1 You spoke before the greeting");
    smtpin_log(s, POSTERN_LOG_INFO, "smtp.reject", "reason=\"early talker\"");
    smtpin_session_over(s);
}

static void on_timeout(struct smtpin_session *s)
{
    if (s->state == SMTPIN_GREETING) {
        greet(s);
        return;
    }
    if (s->state != SMTPIN_HANDSHAKE)
        smtpin_sayf(s, "421 4.4.2 %s Timed out, closing the connection",
                    s->in->v->hostname(s->in->host));
    smtpin_log(s, POSTERN_LOG_INFO, "smtp.timeout", "state=%s",
               s->state == SMTPIN_CONTENT         ? "content"
                   : s->state == SMTPIN_HANDSHAKE ? "tls"
                                                  : "command");
    smtpin_session_over(s);
}

/* RFC 3207 4.2: whatever was said in the clear is forgotten. */
static void on_secure(struct smtpin_session *s)
{
    smtpin_session_reset(s);
    s->helo[0] = 0;
    s->secure = 1;
    s->state = SMTPIN_COMMAND;
    s->rearm = 1;
}

static void on_error(struct smtpin_session *s, int error)
{
    struct postern_stream_info info = { .size = sizeof info };
    char quoted[SMTPIN_QUOTE_MAX];

    s->in->v->stream_info(s->stream, &info);
    smtpin_log(s, s->state == SMTPIN_HANDSHAKE ? POSTERN_LOG_INFO : POSTERN_LOG_DEBUG, "smtp.lost",
               "error=%d text=%s", -error,
               smtpin_quote(info.error_text ? info.error_text : "-", quoted));
    smtpin_session_over(s);
}

static void on_event(void *ctx, postern_stream *stream, uint32_t event, int error)
{
    struct smtpin_session *s = ctx;

    (void)stream;
    switch (event) {
    case POSTERN_STREAM_INPUT:
        if (s->state == SMTPIN_GREETING)
            on_early_input(s);
        break;
    case POSTERN_STREAM_DRAINED:
        if (!s->choked)
            return;
        s->choked = 0;
        break;
    case POSTERN_STREAM_SECURE:
        on_secure(s);
        break;
    case POSTERN_STREAM_EOF:
        s->eof = 1;
        break;
    case POSTERN_STREAM_TIMEOUT:
        on_timeout(s);
        break;
    case POSTERN_STREAM_ERROR:
        on_error(s, error);
        break;
    default: /* of a later version */
        break;
    }
    smtpin_session_run(s);
}

/* --- its beginning --- */

static void turn_away(struct smtpin *in, postern_stream *stream, const char *peer,
                      const char *reply, const char *reason)
{
    in->v->stream_printf(stream, "%s\r\n", reply);
    in->v->stream_close(stream);
    in->v->log(in->host, POSTERN_LOG_INFO, "smtp.reject", "reason=\"%s\" client=%s", reason, peer);
}

/* NULL, or the reply that sends a new connection away. */
static const char *too_many(const struct smtpin *in, const struct smtpin_client *c,
                            const char **ret_reason)
{
    const struct smtpin_settings *set = in->set;

    if (in->draining) {
        *ret_reason = "shutting down";
        return "421 4.3.2 Service is shutting down, try again later";
    }
    if (in->session_n >= (uint64_t)set->max_connections) {
        *ret_reason = "too many connections";
        return "421 4.7.0 Too many connections, try again later";
    }
    /* Those we trust to relay we trust in this, too. */
    if (set->max_connections_per_client && !smtpin_access_has(&in->relay_from, c) &&
        connections_of(in, c) >= (uint64_t)set->max_connections_per_client) {
        *ret_reason = "too many connections of one client";
        return "421 4.7.0 Too many connections from your address";
    }
    return NULL;
}

static void begin(struct smtpin_session *s)
{
    const struct smtpin_settings *set = s->in->set;

    if (set->greeting_delay && !s->client.local) {
        s->state = SMTPIN_GREETING;
        s->in->v->stream_deadline(s->stream, (uint64_t)set->greeting_delay);
        return;
    }
    greet(s);
    smtpin_session_run(s);
}

void smtpin_session_new(struct smtpin *in, postern_stream *stream)
{
    struct postern_stream_info info = { .size = sizeof info };
    struct smtpin_client client;
    struct smtpin_session *s;
    const char *reply, *reason;

    in->v->stream_info(stream, &info);
    smtpin_client_init(&client, &info);
    reply = too_many(in, &client, &reason);
    if (reply) {
        turn_away(in, stream, info.peer, reply, reason);
        return;
    }
    s = calloc(1, sizeof *s);
    if (!s) {
        turn_away(in, stream, info.peer, "421 4.3.0 Out of memory", "out of memory");
        return;
    }
    s->in = in;
    s->stream = stream;
    s->client = client;
    postern_text_clean(info.peer, strlen(info.peer), s->peer, sizeof s->peer);
    s->relay = (uint8_t)smtpin_access_has(&in->relay_from, &client);
    s->lenient = (uint8_t)smtpin_access_has(&in->bare_lf_from, &client);
    enlist(s);
    in->v->stream_events(stream, on_event, s);
    smtpin_log(s, POSTERN_LOG_DEBUG, "smtp.connect", "local=%s", info.local ? info.local : "-");
    begin(s);
}
