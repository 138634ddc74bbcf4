/* content.c: from 354 to the reply that a message is ours, or is not.
 *
 * Stretches of content go from the stream's buffer straight to the spool. When the spool refuses
 * one, or the content turns out unacceptable, the submission is let go at once, but the rest is
 * read to its end: a peer that is still sending does not listen. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "session.h"

#define RECEIVED_MAX     4096
#define RECEIVED_FOR_MAX 900 /* a longer address would make a line over RFC 5322's 998 bytes */

const char *smtpin_spool_reply(int err)
{
    switch (err) {
    case -ENOSPC:
        return "452 4.3.1 Insufficient system storage, try again later\r\n";
    case -EFBIG:
        return "552 5.3.4 Message too big\r\n";
    case -ELOOP:
        return "554 5.4.6 Too many hops: a routing loop\r\n";
    default:
        return "451 4.3.0 Mail cannot be taken now, try again later\r\n";
    }
}

/* --- Received (RFC 5321 4.4) --- */

const char *smtpin_date(struct smtpin *in)
{
    int64_t now = (int64_t)time(NULL);

    if (now != in->date_second || !in->date[0]) {
        postern_date_format(now, in->date, sizeof in->date);
        in->date_second = now;
    }
    return in->date;
}

/* "[192.0.2.7]", "[IPv6:2001:db8::1]" or "local". */
static void peer_literal(const struct smtpin_session *s, char *buf, size_t size)
{
    if (s->client.local)
        snprintf(buf, size, "local");
    else
        snprintf(buf, size, "[%s%s]", strchr(s->peer, ':') ? "IPv6:" : "", s->peer);
}

/* " (TLSv1.3 TLS_AES_256_GCM_SHA384)", or nothing. */
static void tls_comment(const struct smtpin_session *s, char *buf, size_t size)
{
    struct postern_stream_info info = { .size = sizeof info };

    buf[0] = 0;
    if (!s->secure)
        return;
    s->in->v->stream_info(s->stream, &info);
    if (info.tls_version)
        snprintf(buf, size, " (%s %s)", info.tls_version, info.tls_cipher ? info.tls_cipher : "");
}

static size_t format_received(const struct smtpin_session *s, char *buf, size_t size)
{
    char peer[sizeof s->peer + 16], tls[128], rcpt[RECEIVED_FOR_MAX + 16] = "";
    int n;

    peer_literal(s, peer, sizeof peer);
    tls_comment(s, tls, sizeof tls);
    /* RFC 5321 7.2: with several recipients, naming one would tell it of the others. */
    if (s->rcpts == 1 && strlen(s->rcpt) <= RECEIVED_FOR_MAX)
        snprintf(rcpt, sizeof rcpt, "\r\n\tfor <%.*s>", RECEIVED_FOR_MAX, s->rcpt);
    n = snprintf(buf, size, "Received: from %s (%s)\r\n\tby %s with %s%s id %s%s;\r\n\t%s\r\n",
                 s->helo, peer, s->in->v->hostname(s->in->host), smtpin_protocol(s), tls,
                 s->in->v->submit_id(s->submit), rcpt, smtpin_date(s->in));
    return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

/* --- content --- */

static void on_room(void *ctx, int result)
{
    struct smtpin_session *s = ctx;

    (void)result;
    s->calling = 0;
    if (!s->stream) {
        smtpin_session_gone(s);
        return;
    }
    s->state = SMTPIN_CONTENT;
    s->rearm = 1;
    s->in->v->stream_pause(s->stream, 0);
    smtpin_session_run(s);
}

/* The disk is behind: let the peer wait, too. */
static void wait_for_room(struct smtpin_session *s)
{
    s->state = SMTPIN_ROOM;
    s->calling = 1;
    s->rearm = 1;
    s->in->v->stream_pause(s->stream, 1);
    s->in->v->submit_room(s->submit, on_room, s);
}

static void drop_submission(struct smtpin_session *s)
{
    s->in->v->submit_free(s->submit);
    s->submit = NULL;
}

static void write_content(struct smtpin_session *s, const char *data, size_t len)
{
    int r = s->in->v->submit_write(s->submit, data, len);

    if (r > 0) {
        wait_for_room(s);
    } else if (r < 0) {
        s->data_error = r;
        drop_submission(s);
    }
}

void smtpin_content_start(struct smtpin_session *s)
{
    char received[RECEIVED_MAX];
    size_t len = format_received(s, received, sizeof received);

    smtpin_data_start(&s->data, s->lenient);
    s->data_error = len ? 0 : -EIO;
    s->data_size = 0;
    s->data_start = s->in->v->now(s->in->host);
    s->state = SMTPIN_CONTENT;
    if (len)
        write_content(s, received, len);
    if (s->data_error) { /* said before the content is sent in vain */
        const char *reply = smtpin_spool_reply(s->data_error);

        s->state = SMTPIN_COMMAND;
        smtpin_session_reset(s);
        smtpin_say(s, reply, strlen(reply));
        return;
    }
    SMTPIN_SAY(s, "354 End data with <CR><LF>.<CR><LF>");
}

/* Faults that this instance does not let pass. */
static uint32_t grave(const struct smtpin_session *s)
{
    uint32_t pass = s->in->set->nul_bytes == SMTPIN_NUL_PASS ? SMTPIN_DATA_NUL : 0;

    return s->data.faults & ~pass;
}

static void on_committed(void *ctx, int result)
{
    struct smtpin_session *s = ctx;
    char from[SMTPIN_QUOTE_MAX];

    s->calling = 0;
    if (result < 0)
        smtpin_log(s, POSTERN_LOG_INFO, "smtp.reject", "id=%s stage=commit error=%d", s->id,
                   -result);
    else
        smtpin_log(s, POSTERN_LOG_INFO, "smtp.accept", "id=%s from=%s rcpts=%u size=%llu", s->id,
                   smtpin_quote_path(s->sender, from), s->rcpts, (unsigned long long)s->data_size);
    if (!s->stream) {
        smtpin_session_gone(s);
        return;
    }
    if (result < 0) {
        const char *reply = smtpin_spool_reply(result);

        smtpin_say(s, reply, strlen(reply));
    } else {
        s->messages++;
        s->errors = 0;
        s->idle_commands = 0;
        smtpin_sayf(s, "250 2.0.0 Ok: queued as %s", s->id);
    }
    smtpin_session_reset(s);
    if (s->state != SMTPIN_OVER)
        s->state = SMTPIN_COMMAND;
    s->rearm = 1;
    smtpin_session_run(s);
}

/* The stream is not paused meanwhile: a peer waits for our reply, most of the time, and what one
 * pipelines nevertheless is bounded by the stream's buffer. That spares system calls. */
static void commit(struct smtpin_session *s)
{
    postern_submit *submit = s->submit;

    snprintf(s->id, sizeof s->id, "%s", s->in->v->submit_id(submit));
    s->submit = NULL;
    s->state = SMTPIN_COMMIT;
    s->calling = 1;
    s->rearm = 1;
    s->in->v->submit_commit(submit, on_committed, s);
}

static void refuse_content(struct smtpin_session *s, uint32_t faults)
{
    char from[SMTPIN_QUOTE_MAX];
    const char *what = faults & SMTPIN_DATA_BARE_LF ? "bare LF"
        : faults & SMTPIN_DATA_BARE_CR              ? "bare CR"
                                                    : "NUL";

    smtpin_sayf(s, "554 5.6.0 Message refused: %s in content", what);
    smtpin_log(s, POSTERN_LOG_INFO, "smtp.reject", "stage=content from=%s reason=\"%s\"",
               smtpin_quote_path(s->sender, from), what);
    smtpin_error(s);
    /* What comes next may have been inside a message of somebody's else: do not listen to it. */
    if (faults & (SMTPIN_DATA_BARE_LF | SMTPIN_DATA_BARE_CR))
        smtpin_session_over(s);
}

static void finish(struct smtpin_session *s)
{
    uint32_t faults = grave(s);
    char from[SMTPIN_QUOTE_MAX];

    if (!faults && !s->data_error) {
        commit(s);
        return;
    }
    s->state = SMTPIN_COMMAND;
    s->rearm = 1;
    if (faults) {
        refuse_content(s, faults);
    } else {
        const char *reply = smtpin_spool_reply(s->data_error);

        smtpin_say(s, reply, strlen(reply));
        smtpin_log(s, POSTERN_LOG_INFO, "smtp.reject", "stage=content from=%s error=%d",
                   smtpin_quote_path(s->sender, from), -s->data_error);
    }
    smtpin_session_reset(s);
}

/* The deadline says so, too; but a peer that never stops sending could keep it from firing. */
static int out_of_time(struct smtpin_session *s)
{
    uint64_t spent = s->in->v->now(s->in->host) - s->data_start;

    if (spent < (uint64_t)s->in->set->data_max_time)
        return 0;
    SMTPIN_SAY(s, "421 4.4.2 The message took too long, closing the connection");
    smtpin_log(s, POSTERN_LOG_INFO, "smtp.timeout", "state=content");
    smtpin_session_over(s);
    return 1;
}

int smtpin_content_step(struct smtpin_session *s)
{
    const struct postern_services *v = s->in->v;
    const char *data, *out;
    size_t len = v->stream_peek(s->stream, &data), used = 0, n;

    if (!len || out_of_time(s))
        return 0;
    while (used < len && !s->data.over && s->state == SMTPIN_CONTENT) {
        used += smtpin_data_scan(&s->data, data + used, len - used, &out, &n);
        s->data_size += n;
        if (s->submit && grave(s))
            drop_submission(s);
        if (s->submit && n)
            write_content(s, out, n);
    }
    s->rearm = 1;
    v->stream_consume(s->stream, used);
    if (s->data.over)
        finish(s);
    return 1;
}
