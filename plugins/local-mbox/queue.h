/* queue.h: recipients that wait for their mailbox. One batch at a time is under way for a mailbox;
 * what comes meanwhile forms the next batch, so a busy mailbox pays for few locks and syncs. */
#ifndef LOCAL_MBOX_QUEUE_H
#define LOCAL_MBOX_QUEUE_H

#include "append.h"

#define QUEUE_BUCKETS   256u
#define QUEUE_BATCH_MAX 64u /* entries; what is written is lost together if the sync fails */

LIST_HEAD(mailbox_list, mailbox);
LIST_HEAD(entry_list, entry);

struct queue { /* one instance's */
    struct append       a;
    struct mailbox_list buckets[QUEUE_BUCKETS];
    struct entry_list   entries;
};

void queue_init(struct queue *q, const struct append *a);
/* Adds recipient i of the job, for the mailbox of `whom`. 0 or -ENOMEM. */
int queue_add(struct queue *q, postern_job *job, size_t i, const struct addressee *whom);
/* Settles what is left of the job now. */
void queue_cancel(struct queue *q, postern_job *job);
void queue_done(struct queue *q);

#endif
