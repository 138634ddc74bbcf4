/* trouble.c: see trouble.h. */
#include "trouble.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <postern/mail.h>

static int displaced(const struct trouble *t, uint32_t fate)
{
    return !t->fate || fate == POSTERN_DEFERRED || t->fate == POSTERN_FAILED;
}

static void set(struct trouble *t, uint32_t fate, uint32_t cause, const uint16_t status[3],
                const char *remote)
{
    t->fate = fate;
    t->cause = cause;
    memcpy(t->status, status, sizeof t->status);
    t->protocol = NULL;
    snprintf(t->remote, sizeof t->remote, "%s", remote ? remote : "");
}

void trouble_note(struct trouble *t, uint32_t fate, uint32_t cause, const uint16_t status[3],
                  const char *remote, const char *fmt, ...)
{
    va_list ap;

    if (!displaced(t, fate))
        return;
    set(t, fate, cause, status, remote);
    va_start(ap, fmt);
    vsnprintf(t->text, sizeof t->text, fmt, ap);
    va_end(ap);
}

void trouble_note_refusal(struct trouble *t, const struct postern_outcome *reply,
                          const char *remote)
{
    const uint16_t status[3] = { 4, reply->status[1], reply->status[2] };

    set(t, POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, status, remote);
    t->protocol = "smtp";
    snprintf(t->text, sizeof t->text, "%s", reply->diagnostic);
}

void trouble_outcome(const struct trouble *t, struct postern_outcome *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->size = sizeof *ret;
    ret->fate = t->fate;
    ret->cause = t->cause;
    memcpy(ret->status, t->status, sizeof ret->status);
    ret->diagnostic = t->text;
    ret->remote = t->remote[0] ? t->remote : NULL;
    ret->protocol = t->protocol;
}
