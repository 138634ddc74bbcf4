/* queue.h: messages that wait for their file. One batch at a time is under way for a file; what
 * comes meanwhile forms the next batch, so a busy file pays for few locks and syncs. */
#ifndef FILE_QUEUE_H
#define FILE_QUEUE_H

#include "append.h"

#define QUEUE_BUCKETS   64u
#define QUEUE_BATCH_MAX 64u /* entries; what is written is lost together if the sync fails */

LIST_HEAD(sheet_list, sheet);
LIST_HEAD(entry_list, entry);

struct queue { /* one instance's */
    struct append     a;
    struct sheet_list buckets[QUEUE_BUCKETS];
    struct entry_list entries;
};

void queue_init(struct queue *q, const struct append *a);
/* Adds recipient i of the job, for the file of that name. 0 or -ENOMEM. */
int queue_add(struct queue *q, postern_job *job, size_t i, const struct file_name *name);
/* Settles what is left of the job now. */
void queue_cancel(struct queue *q, postern_job *job);
void queue_done(struct queue *q);

#endif
