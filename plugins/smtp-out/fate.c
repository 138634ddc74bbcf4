/* fate.c: see fate.h.
 *
 * The first digit of the code decides, nothing else (RFC 5321 4.2.1): 4 retry, 5 fail. One
 * exception has the RFC's blessing: 552 to RCPT means "too many recipients" and is to be taken as
 * 452 (4.5.3.1.10). The status is the server's own where it agrees with the digit, else it follows
 * from the basic code by the table below (RFC 3463 and the RFC 5321 texts side by side). */
#include "fate.h"

#include <string.h>

const char *step_words(enum step step)
{
    static const char *const words[] = {
        [STEP_CONNECT] = "connecting to",
        [STEP_GREETING] = "waiting for the greeting of",
        [STEP_EHLO] = "waiting for the reply to EHLO from",
        [STEP_HELO] = "waiting for the reply to HELO from",
        [STEP_STARTTLS] = "waiting for the reply to STARTTLS from",
        [STEP_TLS] = "negotiating TLS with",
        [STEP_READY] = "examining the message for",
        [STEP_RSET] = "waiting for the reply to RSET from",
        [STEP_MAIL] = "waiting for the reply to MAIL from",
        [STEP_RCPT] = "waiting for the reply to RCPT from",
        [STEP_DATA] = "waiting for the reply to DATA from",
        [STEP_CONTENT] = "sending the content to",
        [STEP_FINAL] = "waiting for the reply to the end of data from",
        [STEP_IDLE] = "having nothing to say to",
    };

    return words[step];
}

#define MAIL  (1u << STEP_MAIL)
#define RCPT  (1u << STEP_RCPT)
#define DATA  (1u << STEP_DATA | 1u << STEP_CONTENT | 1u << STEP_FINAL)
#define OTHER (~(MAIL | RCPT | DATA))
#define ANY   (~0u)

/* The first row that fits counts. */
static const struct {
    uint16_t code;
    uint32_t steps;
    uint16_t subject, detail;
} table[] = {
    { 421, ANY, 3, 2 },  { 450, RCPT, 2, 0 },  { 451, ANY, 3, 0 },         { 452, RCPT, 5, 3 },
    { 452, ANY, 3, 1 },  { 454, ANY, 7, 0 },   { 455, ANY, 5, 4 },         { 500, ANY, 5, 2 },
    { 501, RCPT, 1, 3 }, { 501, MAIL, 1, 7 },  { 501, ANY, 5, 4 },         { 502, ANY, 5, 1 },
    { 503, ANY, 5, 1 },  { 504, ANY, 5, 4 },   { 521, ANY, 3, 2 },         { 530, ANY, 7, 0 },
    { 535, ANY, 7, 8 },  { 550, RCPT, 1, 1 },  { 550, MAIL, 7, 1 },        { 550, DATA, 7, 1 },
    { 551, RCPT, 1, 6 }, { 552, RCPT, 5, 3 },  { 552, MAIL | DATA, 3, 4 }, { 553, RCPT, 1, 3 },
    { 553, MAIL, 1, 7 }, { 554, OTHER, 3, 2 }, { 555, ANY, 5, 4 },         { 556, ANY, 1, 10 },
};

static void status_of_code(const struct reply *r, enum step step, uint16_t status[3])
{
    status[0] = r->code / 100;
    status[1] = status[2] = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].code == r->code && (table[i].steps & 1u << step)) {
            status[1] = table[i].subject;
            status[2] = table[i].detail;
            return;
        }
    }
}

void fate_of_reply(const struct reply *r, enum step step, struct postern_outcome *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->size = sizeof *ret;
    ret->protocol = "smtp";
    ret->diagnostic = r->text;
    if (r->status[0])
        memcpy(ret->status, r->status, sizeof ret->status);
    else
        status_of_code(r, step, ret->status);
    if (r->code / 100 == 2) {
        ret->fate = POSTERN_DELIVERED;
        ret->cause = POSTERN_CAUSE_NONE;
        return;
    }
    ret->fate = r->code / 100 == 5 ? POSTERN_FAILED : POSTERN_DEFERRED;
    if (r->code == 421 || step < STEP_MAIL)
        ret->cause = POSTERN_CAUSE_DESTINATION;
    else
        ret->cause = step == STEP_RCPT ? POSTERN_CAUSE_RECIPIENT : POSTERN_CAUSE_MESSAGE;
    if (r->code / 100 == 3) { /* an intermediate reply where none belongs: the dialogue is broken */
        ret->status[0] = 4;
        ret->status[1] = 5;
        ret->status[2] = 0;
    }
    if (step == STEP_RCPT && r->code == 552 && (!r->status[0] || r->status[1] == 5)) {
        ret->fate = POSTERN_DEFERRED;
        ret->status[0] = 4;
    }
}
