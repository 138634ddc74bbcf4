/* queue/index.h: messages by id.
 *
 * An idmap would do, but of a million messages it would keep a million ids again: here a slot is a
 * pointer, and the id is the message's own. */
#ifndef QUEUE_INDEX_H
#define QUEUE_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct qmsg;

struct msg_index { /* all zeros: an empty one */
    size_t        n, cap; /* cap is a power of two, or 0 */
    struct qmsg **v;      /* NULL: free */
};

struct qmsg *index_get(const struct msg_index *x, uint64_t id);
void         index_add(struct msg_index *x, struct qmsg *m);          /* its id is not in it */
void         index_remove(struct msg_index *x, const struct qmsg *m); /* no effect when not in it */
void         index_free(struct msg_index *x);

#endif
