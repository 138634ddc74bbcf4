/* plugin/submit-private.h: what is done with messages of our own users on their way in.
 *
 * Only with theirs (POSTERN_MAIL_TRUSTED), and only where the configuration asks for it: others go
 * past all of this. Nothing is refused here: what can't be done is logged and left undone. */
#ifndef PLUGIN_SUBMIT_PRIVATE_H
#define PLUGIN_SUBMIT_PRIVATE_H

#include "plugin/host_private.h"
#include "util/buf.h"

/* A longer header section is passed on as it is. */
#define SUBMIT_HEAD_MAX 262144u

/* --- submit-sender.c: routing.senders --- */

/* What the envelope's sender becomes: malloc'ed. id: of the message, for the log. */
char *submit_sender(postern_host *h, const char *id, const char *sender);

/* The header section at the start of data with new senders, up to *ret_end, is added to out: 1. 0:
 * nothing was to be done. */
int submit_sender_fields(postern_host *h, const char *id, const char *data, size_t len,
                         struct buf *out, size_t *ret_end);

/* --- submit-head.c: the head of a message, held back until it is whole --- */

struct submit_head;

/* NULL: nothing is to be done with the header. flags: POSTERN_MAIL_*. id is borrowed. */
struct submit_head *submit_head_new(postern_host *h, const char *id, uint32_t flags);
void                submit_head_free(struct submit_head **head);
/* 1: that was enough (or too much): submit_head_end; 0: more is needed. */
int submit_head_write(struct submit_head *head, const void *data, size_t len);
/* All that was written, as it shall be passed on. Belongs to the head. */
const struct buf *submit_head_end(struct submit_head *head);

#endif
