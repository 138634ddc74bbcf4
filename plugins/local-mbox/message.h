/* message.h: one message on its way into a mailbox: read piece by piece, presented, converted. For
 * the thread that works on the mailbox. */
#ifndef LOCAL_MBOX_MESSAGE_H
#define LOCAL_MBOX_MESSAGE_H

#include "append.h"
#include "maildir.h"
#include "mbox.h"
#include "present.h"
#include "quota.h"
#include "quote.h"

#define MESSAGE_READ_MAX 16384u /* also as much of the header as is searched for Delivered-To */

struct work { /* the thread's memory */
    struct mailbox *box;
    const struct append *a;
    const struct settings *set;
    struct quota used; /* where there are limits */
    union {
        struct mbox mbox;
        struct maildir maildir;
    };
    char in[MESSAGE_READ_MAX];
    char out[QUOTE_ROOM(MESSAGE_READ_MAX)];
    char head[PRESENT_HEADER_MAX];
};

static inline int work_is_maildir(const struct work *w)
{
    return w->set->format == FORMAT_MAILDIR;
}

/* Writes the entry's message to the mailbox that is open. 0; -ELOOP: it was delivered to this very
 * address before; another -errno. What was written in part is the caller's to undo. */
int message_write(struct work *w, struct entry *e);

#endif
