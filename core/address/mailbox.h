/* address/mailbox.h: address lists, with the places of their addresses, for who exchanges them. */
#ifndef ADDRESS_MAILBOX_H
#define ADDRESS_MAILBOX_H

#include <stddef.h>

#include <postern/mail.h>

#define MAILBOX_PIECES_MAX 16u /* of one address; more than one only where blanks or comments are in
                                  the midst of it, as RFC 5322 4.4 still has them read */

struct mailbox_place { /* an address, as it stands in the list */
    size_t n;
    struct {
        size_t start, len;
    } pieces[MAILBOX_PIECES_MAX];
    int sound; /* 1: the pieces are all of it, and nobody would read it otherwise */
    int group; /* 1: the first of a group: "team: ann@example.org, bob@example.org;" */
};

/* postern_mailbox_next, and where it was found; ret_place may be NULL. */
int mailbox_next(const char *text, size_t len, size_t *pos, struct postern_mailbox *ret,
                 struct mailbox_place *ret_place, char *buf, size_t size);

#endif
