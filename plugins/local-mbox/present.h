/* present.h: what of a message goes into a mailbox, and in which order: as it is, or as VMS MAIL
 * shows it: From, To, CC and Subj, and behind them the message with the headers that are wanted,
 * where they are wanted. Pure; it allocates. */
#ifndef LOCAL_MBOX_PRESENT_H
#define LOCAL_MBOX_PRESENT_H

#include "local-mbox.h"

#define PRESENT_HEADER_MAX 65536u /* bytes of a message that are searched for its header */

struct present_from { /* everything is borrowed during the call */
    const struct settings *set;
    const char *sender, *rcpt; /* of the envelope                                             */
    const char *user;          /* whose mailbox it is                                         */
    const char *hostname;      /* the gateway's own name                                      */
    const char *head;          /* the message's beginning, PRESENT_HEADER_MAX bytes at most;
                                  not looked at in Internet style                             */
    size_t head_len;
    uint64_t size; /* of the whole message */
};

struct piece {        /* of what is written: some text, or [from, to) of the message */
    const char *text; /* lines that end in CRLF; NULL: of the message */
    uint64_t from, to;
};

struct present {
    struct piece *pieces;
    size_t n;
    char *text; /* that the pieces point into */
};

/* 0 or -ENOMEM. */
int present_make(const struct present_from *from, struct present *ret);
void present_free(struct present *p);

/* How many bytes of the message's beginning present_make wants to see. */
size_t present_wants(const struct settings *set);

/* May this field say who wrote a message? */
int present_is_originator(const char *name);
/* Is this field one of those that header_control "major" shows? name: without its colon. */
int present_is_major(const char *name, size_t len);

#endif
