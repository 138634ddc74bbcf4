/* trouble.h: the reason that a job will be settled with if nothing better comes along. */
#ifndef SMTP_OUT_TROUBLE_H
#define SMTP_OUT_TROUBLE_H

#include <postern/types.h>

#define TROUBLE_TEXT_MAX   1200u
#define TROUBLE_REMOTE_MAX 336u

struct trouble {
    uint32_t    fate; /* 0: none so far */
    uint32_t    cause;
    uint16_t    status[3];
    uint16_t    reserved;
    const char *protocol;
    char        remote[TROUBLE_REMOTE_MAX]; /* "" for nobody */
    char        text[TROUBLE_TEXT_MAX];
};

#define STATUS(a, b, c) ((const uint16_t[3]){(a), (b), (c)})

/* Notes a reason. The latest one counts, but a permanent one never displaces a temporary one: while
 * one way may open later, the message is worth keeping. */
void trouble_note(struct trouble *t, uint32_t fate, uint32_t cause, const uint16_t status[3],
                  const char *remote, const char *fmt, ...) POSTERN_PRINTF(6, 7);

/* The same, from a server that would not talk to us. Always temporary: it knows no message yet. */
void trouble_note_refusal(struct trouble *t, const struct postern_outcome *reply,
                          const char *remote);

/* As an outcome; borrows from t, which must hold something. */
void trouble_outcome(const struct trouble *t, struct postern_outcome *ret);

#endif
