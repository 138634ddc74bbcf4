/* batch.h: the messages that wait for one file, appended under one lock and made durable by one
 * sync, each there whole or not at all. For the thread that works at the place. */
#ifndef COMMON_BATCH_H
#define COMMON_BATCH_H

#include "queue.h"
#include "tail.h"

struct batch {
    struct place *place;
    struct tail  *tail; /* open */
    /* Writes the delivery's message to the tail. 0; or -errno, and d->problem says why: what was
     * written of it is taken out again. */
    int (*append)(void *work, struct delivery *d);
    void       *work;
    const char *torn, *damaged; /* names of events: something unfinished was found; was left */
};

/* Does what is to be done; each delivery is DONE then, or what it was when it was not TODO. */
void batch_append(const struct batch *b);

/* Everybody's fate who has none yet. */
void batch_settle(struct place *p, const struct problem *problem);
/* Reads content for one who may be cancelled meanwhile. Bytes, 0 at the end, -ECANCELED, or
 * another -errno. */
int64_t batch_read(struct delivery *d, uint64_t at, void *buf, size_t len);

#endif
