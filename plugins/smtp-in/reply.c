/* reply.c: what a session says, to the peer and to the log. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "session.h"

void smtpin_say(struct smtpin_session *s, const char *text, size_t len)
{
    /* A peer that has let a megabyte of replies pile up is not listening. */
    if (s->in->v->stream_write(s->stream, text, len) < 0)
        smtpin_session_over(s);
}

void smtpin_sayf(struct smtpin_session *s, const char *fmt, ...)
{
    char text[SMTPIN_REPLY_MAX + 2];
    va_list ap;
    size_t len;

    va_start(ap, fmt);
    vsnprintf(text, SMTPIN_REPLY_MAX, fmt, ap);
    va_end(ap);
    len = strlen(text);
    memcpy(text + len, "\r\n", 2);
    smtpin_say(s, text, len + 2);
}

void smtpin_error(struct smtpin_session *s)
{
    const struct smtpin_settings *set = s->in->set;

    s->errors++;
    if (!set->max_errors || s->errors < set->max_errors || s->state == SMTPIN_OVER)
        return;
    SMTPIN_SAY(s, "421 4.7.0 Too many errors, closing the connection");
    smtpin_log(s, POSTERN_LOG_INFO, "smtp.reject", "reason=\"too many errors\"");
    smtpin_session_over(s);
}

char *smtpin_clean(const char *text, size_t len, char *buf, size_t size)
{
    return postern_text_clean(text, len, buf, size);
}

char *smtpin_quote(const char *text, char *buf)
{
    return postern_log_value(text, strnlen(text, SMTPIN_LOG_MAX), buf, SMTPIN_QUOTE_MAX);
}

char *smtpin_quote_path(const char *address, char *buf)
{
    char path[POSTERN_ADDRESS_MAX + 3];

    snprintf(path, sizeof path, "<%s>", address);
    return smtpin_quote(path, buf);
}

void smtpin_log(struct smtpin_session *s, int level, const char *event, const char *fmt, ...)
{
    char text[4 * SMTPIN_QUOTE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->in->v->log(s->in->host, level, event, "%s client=%s", text, s->peer);
}
