/* bounce.h: what a delivery status notification (RFC 3464) says of each recipient. Pure. */
#ifndef LIST_BOUNCE_H
#define LIST_BOUNCE_H

#include "list.h"

#define BOUNCE_READ_MAX (256u << 10) /* bytes of a notification that are looked at */
#define BOUNCE_MAX      100u         /* recipients of one that are counted         */

struct bounce {
    char member[POSTERN_ADDRESS_MAX + 1];
    char status[16];  /* "5.1.1"; "" when it was not said */
    char reason[256]; /* one line; may be ""              */
    int  failed;      /* 0: delayed, or delivered         */
};

/* How many recipients it speaks of; the first of them, max at most, are in b. 0: it is none. */
size_t bounce_read(const char *data, size_t len, struct bounce *b, size_t max);

#endif
