/* head.h: the header of a post: what it says of itself, and what members get to see. Pure. */
#ifndef LIST_HEAD_H
#define LIST_HEAD_H

#include "place.h"

/* One of each list that a message went through, with its address: it ends circles of lists. */
#define LIST_TRACE "X-BeenThere"

struct head {
    size_t      body;      /* where the body begins                               */
    int         open;      /* the header has no end in the bytes that were given  */
    int         ours;      /* it went through this list: our List-Id or trace     */
    unsigned    received;  /* Received fields                                     */
    const char *automatic; /* why it is no person's: the field; NULL: it may be   */
    char        from[POSTERN_ADDRESS_MAX + 1];    /* the author; "" when there is none */
    char        subject[256];                     /* one line                          */
};

/* Reads the first len bytes of a message. */
void head_read(const char *data, size_t len, const struct place *p, struct head *ret);

/* Writes the header as members get it, with the empty line at its end: *ret of *ret_len bytes, for
 * free(). 0 or -errno. */
int head_write(const struct settings *set, const struct place *p, const char *data, size_t len,
               char **ret, size_t *ret_len);

#endif
