/* fate.h: the steps of a dialogue, and what a reply at each of them means for a recipient. Pure. */
#ifndef SMTP_OUT_FATE_H
#define SMTP_OUT_FATE_H

#include <postern/types.h>

#include "reply.h"

/* In the order in which they come; from STEP_RSET on a message is under way. */
enum step {
    STEP_CONNECT,
    STEP_GREETING,
    STEP_EHLO,
    STEP_HELO,
    STEP_STARTTLS,
    STEP_TLS,
    STEP_READY, /* the header is being looked at, nothing was asked */
    STEP_RSET,
    STEP_MAIL,
    STEP_RCPT,
    STEP_DATA,
    STEP_CONTENT,
    STEP_FINAL,
    STEP_IDLE
};

/* What we do then, to go before the name of the other side: "waiting for the reply to RCPT
 * from". */
const char *step_words(enum step step);

/* The outcome that a negative (or at STEP_FINAL a positive) reply stands for. Diagnostic and status
 * come from the reply; remote is left NULL. Borrows the reply's text. */
void fate_of_reply(const struct reply *r, enum step step, struct postern_outcome *ret);

#endif
