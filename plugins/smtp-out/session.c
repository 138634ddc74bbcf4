/* session.c: see session.h. From the connection to the end of EHLO (RFC 5321 3.1, 3.2, RFC 3207),
 * and how a session ends. */
#include "session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery.h"

#define GARBAGE_MAX 80u /* of what is not SMTP, as much goes into a diagnostic */

/* At STEP_CONTENT the deadline is for each look at whether something moved, not for the whole. */
#define CONTENT_LOOKS 8

static void session_event(void *ctx, postern_stream *stream, uint32_t event, int error);

static void set_remote(struct session *s)
{
    const struct target *t = &s->target;

    if (t->literal)
        snprintf(s->remote, sizeof s->remote, "[%s]:%u", t->address, t->port);
    else
        snprintf(s->remote, sizeof s->remote, "%s [%s]:%u", t->host, t->address, t->port);
}

int session_open(struct smtp_out *o, struct delivery *d, const struct target *target, int in_clear,
                 struct session **ret)
{
    struct session *s = calloc(1, sizeof *s);
    int r = -ENOMEM;

    if (!s)
        return -ENOMEM;
    s->key = strdup(d->key);
    s->o = o;
    s->d = d;
    s->target = *target;
    s->in_clear = in_clear;
    s->step = STEP_CONNECT;
    set_remote(s);
    reply_reset(&s->reply);
    if (s->key)
        r = o->svc->stream_connect(o->host, target->address, target->port,
                                   (uint64_t)o->set->timeouts.connect, session_event, s,
                                   &s->stream);
    if (r < 0) {
        free(s->key);
        free(s);
        return r;
    }
    LIST_INSERT_HEAD(&o->sessions, s, link);
    *ret = s;
    return 0;
}

/* --- the end --- */

static void session_free(struct session *s)
{
    free(s->key);
    free(s);
}

/* The stream is closed already. */
static void session_end(struct session *s)
{
    s->stream = NULL;
    pool_remove(&s->o->pool, s);
    LIST_REMOVE(s, link);
    if (s->busy)
        s->dead = 1;
    else
        session_free(s);
}

void session_quit(struct session *s)
{
    s->o->svc->stream_write(s->stream, "QUIT\r\n", 6);
    s->o->svc->stream_close(s->stream);
    session_end(s);
}

void session_abort(struct session *s)
{
    s->o->svc->stream_abort(s->stream);
    session_end(s);
}

/* Lets go of the delivery, which then tries elsewhere. */
static void turn_away(struct session *s, void (*end)(struct session *s))
{
    struct delivery *d = s->d;

    s->d = NULL;
    d->session = NULL;
    end(s);
    delivery_advance(d);
}

static void log_unusable(const struct session *s, const char *why)
{
    s->o->svc->log(s->o->host, POSTERN_LOG_INFO, "smtp.unusable", "id=%s remote=%s why=%s",
                   s->o->svc->job_id(s->d->job), POSTERN_LOG_QUOTED(s->remote),
                   POSTERN_LOG_QUOTED(why));
}

/* What is left is settled if the server has answered MAIL: it knows the message, and the failure
 * may be the message's. Before that nothing has happened. On a session from the pool it is not even
 * worth a word: the server had lost patience, and that was only seen now. */
static void end_early(struct session *s, const struct trouble *t)
{
    struct postern_outcome outcome;

    trouble_outcome(t, &outcome);
    if (s->t.answered) {
        delivery_settle_rest(s->d, &outcome);
        session_abort(s);
        return;
    }
    if (!s->reused) {
        s->d->trouble = *t;
        log_unusable(s, t->text);
    }
    turn_away(s, session_abort);
}

void session_fail(struct session *s, const uint16_t status[3], const char *fmt, ...)
{
    char what[TROUBLE_TEXT_MAX / 2];
    struct trouble t = { 0 };
    uint32_t cause = s->t.answered ? POSTERN_CAUSE_MESSAGE : POSTERN_CAUSE_DESTINATION;
    va_list ap;

    if (!s->d) {
        session_abort(s);
        return;
    }
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    trouble_note(&t, POSTERN_DEFERRED, cause, status, s->remote, "%s %s: %s%s", step_words(s->step),
                 s->remote, what,
                 s->step == STEP_FINAL ? "; it may have the message, which will then come twice"
                                       : "");
    end_early(s, &t);
}

void session_refused(struct session *s)
{
    struct postern_outcome outcome;
    struct trouble t = { 0 };

    if (!s->d) {
        session_abort(s);
        return;
    }
    fate_of_reply(&s->reply, s->step, &outcome);
    trouble_note_refusal(&t, &outcome, s->remote);
    end_early(s, &t);
}

/* --- waiting --- */

static int64_t step_timeout(const struct smtp_out *o, enum step step)
{
    const struct timeouts *t = &o->set->timeouts;

    switch (step) {
    case STEP_GREETING:
        return t->greeting;
    case STEP_EHLO:
    case STEP_HELO:
        return t->ehlo;
    case STEP_STARTTLS:
    case STEP_TLS:
        return t->starttls;
    case STEP_RSET:
    case STEP_MAIL:
        return t->mail;
    case STEP_RCPT:
        return t->rcpt;
    case STEP_DATA:
        return t->data_init;
    case STEP_CONTENT:
        return t->data_block / CONTENT_LOOKS;
    case STEP_FINAL:
        return t->data_final;
    case STEP_IDLE:
        return o->set->idle_timeout;
    case STEP_CONNECT: /* stream_connect has its own */
    case STEP_READY:
        break;
    }
    return 0;
}

void session_expect(struct session *s, enum step step)
{
    s->step = step;
    s->o->svc->stream_deadline(s->stream, (uint64_t)step_timeout(s->o, step));
}

void session_idle(struct session *s)
{
    const struct settings *set = s->o->set;
    const char *rest;
    struct session *out;

    s->reused = 1;
    memset(&s->t, 0, sizeof s->t);
    /* A server that goes on talking is out of step with us. */
    if (s->o->draining || !set->idle_timeout || s->o->svc->stream_peek(s->stream, &rest) ||
        (set->max_messages && s->used >= set->max_messages)) {
        session_quit(s);
        return;
    }
    session_expect(s, STEP_IDLE);
    out = pool_put(&s->o->pool, s);
    if (out)
        session_quit(out);
}

void session_reuse(struct session *s, struct delivery *d)
{
    s->d = d;
    session_expect(s, STEP_READY);
    delivery_ready(d, s);
}

/* --- greeting, EHLO, STARTTLS --- */

static void say(struct session *s, enum step step, const char *verb, const char *argument)
{
    int r = s->o->svc->stream_printf(s->stream, "%s%s%s\r\n", verb, *argument ? " " : "", argument);

    if (r < 0)
        session_fail(s, STATUS(4, 4, 2), "%s", strerror(-r));
    else
        session_expect(s, step);
}

static void say_ehlo(struct session *s)
{
    memset(&s->ehlo, 0, sizeof s->ehlo);
    say(s, STEP_EHLO, "EHLO", s->o->helo);
}

/* This exchanger won't talk to us; the next one may. */
static void refuse_politely(struct session *s)
{
    struct postern_outcome outcome;

    fate_of_reply(&s->reply, s->step, &outcome);
    trouble_note_refusal(&s->d->trouble, &outcome, s->remote);
    log_unusable(s, s->reply.text);
    turn_away(s, session_quit);
}

static void no_tls_here(struct session *s, const char *why)
{
    trouble_note(&s->d->trouble, POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, STATUS(4, 7, 4),
                 s->remote, "TLS is required, but %s %s", s->remote, why);
    log_unusable(s, s->d->trouble.text);
    turn_away(s, session_quit);
}

/* The handshake did not end well. */
static void tls_failed(struct session *s, const char *why)
{
    struct smtp_out *o = s->o;
    struct delivery *d = s->d;
    char text[DELIVERY_NOTE_MAX];

    if (o->set->tls == TLS_REQUIRE) {
        session_fail(s, STATUS(4, 7, 5), "%s", why);
        return;
    }
    snprintf(text, sizeof text, "%s", why);
    o->svc->log(o->host, POSTERN_LOG_NOTICE, "smtp.tls_failed", "id=%s remote=%s why=%s then=clear",
                o->svc->job_id(d->job), POSTERN_LOG_QUOTED(s->remote), POSTERN_LOG_QUOTED(text));
    tlsmem_add(&o->tlsmem, s->target.address, s->target.port, o->svc->now(o->host));
    s->d = NULL;
    d->session = NULL;
    session_abort(s);
    delivery_without_tls(d, text);
}

static void session_ready(struct session *s)
{
    session_expect(s, STEP_READY);
    delivery_ready(s->d, s);
}

/* EHLO or HELO went well, perhaps for the second time. */
static void greeted(struct session *s)
{
    struct smtp_out *o = s->o;
    int offered = s->ehlo.offers & EHLO_STARTTLS;

    if (s->secure || o->set->tls == TLS_NEVER) {
        session_ready(s);
    } else if (o->set->tls == TLS_REQUIRE) {
        if (offered)
            say(s, STEP_STARTTLS, "STARTTLS", "");
        else
            no_tls_here(s, "does not offer STARTTLS");
    } else if (!offered || s->in_clear ||
               tlsmem_has(&o->tlsmem, s->target.address, s->target.port, o->svc->now(o->host))) {
        session_ready(s);
    } else {
        say(s, STEP_STARTTLS, "STARTTLS", "");
    }
}

static void start_tls(struct session *s)
{
    const char *rest;
    int r;

    /* What came in the clear behind the reply was not said by the one we will authenticate. */
    if (s->o->svc->stream_peek(s->stream, &rest)) {
        session_expect(s, STEP_TLS);
        tls_failed(s, "there was more input after the reply to STARTTLS");
        return;
    }
    r = s->o->svc->stream_starttls(s->stream, s->o->tls, s->target.literal ? NULL : s->target.host);
    session_expect(s, STEP_TLS);
    if (r < 0)
        tls_failed(s, strerror(-r));
}

static void handshake_reply(struct session *s)
{
    unsigned digit = s->reply.code / 100;

    if (s->reply.code == 421) {
        session_refused(s);
    } else if (s->step == STEP_GREETING) {
        if (digit == 2)
            say_ehlo(s);
        else
            refuse_politely(s);
    } else if (s->step == STEP_EHLO && digit == 5 && !s->secure) {
        memset(&s->ehlo, 0, sizeof s->ehlo);
        say(s, STEP_HELO, "HELO", s->o->helo); /* RFC 5321 3.2: it knows no EHLO */
    } else if (s->step == STEP_STARTTLS) {
        if (digit == 2)
            start_tls(s);
        else if (s->o->set->tls == TLS_REQUIRE)
            no_tls_here(s, s->reply.text);
        else
            session_ready(s);
    } else if (digit == 2) {
        greeted(s);
    } else {
        refuse_politely(s);
    }
}

/* --- events --- */

static void not_smtp(struct session *s, const char *line, size_t len)
{
    char text[GARBAGE_MAX];

    postern_text_clean(line, len < sizeof text ? len : sizeof text - 1, text, sizeof text);
    session_fail(s, STATUS(4, 5, 0), "not an SMTP server, it said \"%s\"", text);
}

/* Takes one line. 0: there is none yet, or the session is over. */
static int take_line(struct session *s)
{
    const char *line = NULL;
    size_t len = 0;
    int eol = 0, r = s->o->svc->stream_line(s->stream, REPLY_LINE_MAX, &line, &len, &eol);

    if (r == 0)
        return 0;
    if (r < 0) {
        session_fail(s, STATUS(4, 5, 0), "not an SMTP server, its line is too long");
        return 0;
    }
    r = reply_line(&s->reply, line, len);
    if (r == -E2BIG) {
        session_fail(s, STATUS(4, 5, 0), "its reply has too many lines");
        return 0;
    }
    if (r < 0) {
        not_smtp(s, line, len);
        return 0;
    }
    if (s->step == STEP_EHLO && s->reply.lines > 1)
        ehlo_line(&s->ehlo, s->reply.line, s->reply.line_len);
    if (r == 0)
        return 1;
    if (s->step < STEP_RSET)
        handshake_reply(s);
    else
        transaction_reply(s);
    reply_reset(&s->reply);
    return !s->dead;
}

static void take_input(struct session *s)
{
    /* An idle server has one thing to say, and then it closes: 421. */
    if (s->step == STEP_IDLE) {
        session_quit(s);
        return;
    }
    if (s->step == STEP_READY) {
        session_fail(s, STATUS(4, 5, 0), "it spoke without being asked");
        return;
    }
    while (s->step != STEP_IDLE && s->step != STEP_TLS && s->step != STEP_READY && take_line(s))
        ;
}

static void lost(struct session *s, const char *why)
{
    if (s->step == STEP_IDLE)
        session_abort(s);
    else if (s->step == STEP_TLS)
        tls_failed(s, why);
    else
        session_fail(s, s->step == STEP_CONNECT ? STATUS(4, 4, 1) : STATUS(4, 4, 2), "%s", why);
}

static void failed(struct session *s, int error)
{
    struct postern_stream_info info = { .size = sizeof info };

    s->o->svc->stream_info(s->stream, &info);
    lost(s, info.error_text && *info.error_text ? info.error_text : strerror(-error));
}

static void timed_out(struct session *s)
{
    if (s->step == STEP_IDLE)
        session_quit(s);
    else if (s->step != STEP_CONTENT || transaction_stalled(s))
        lost(s, "timed out");
}

static void dispatch(struct session *s, uint32_t event, int error)
{
    switch (event) {
    case POSTERN_STREAM_OPEN:
        session_expect(s, STEP_GREETING);
        break;
    case POSTERN_STREAM_INPUT:
        take_input(s);
        break;
    case POSTERN_STREAM_DRAINED:
        if (s->step == STEP_CONTENT)
            transaction_drained(s);
        break;
    case POSTERN_STREAM_SECURE:
        s->secure = 1;
        say_ehlo(s);
        break;
    case POSTERN_STREAM_EOF:
        take_input(s);
        if (!s->dead)
            lost(s, "the connection was closed by the other side");
        break;
    case POSTERN_STREAM_TIMEOUT:
        timed_out(s);
        break;
    case POSTERN_STREAM_ERROR:
        failed(s, error);
        break;
    default: /* of a later ABI: nothing we asked for */
        break;
    }
}

static void session_event(void *ctx, postern_stream *stream, uint32_t event, int error)
{
    struct session *s = ctx;

    (void)stream;
    s->busy = 1;
    dispatch(s, event, error);
    s->busy = 0;
    if (s->dead)
        session_free(s);
}
