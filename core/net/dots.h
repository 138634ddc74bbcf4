/* net/dots.h: SMTP transparency (RFC 5321 4.5.2) over content that is not copied.
 *
 * A line that begins with a dot gets another one. Instead of inserting it, the sender sends the dot
 * twice: one stretch ends with it, the next begins with it. */
#ifndef NET_DOTS_H
#define NET_DOTS_H

#include <stddef.h>

/* Does a dot at data[i] begin a line? before: the byte before data[0]. A bare LF counts as a
 * line's end: there are servers that end the data at LF . LF, and no content may make them (SMTP
 * smuggling). */
static inline int dots_begins(const char *data, size_t i, char before)
{
    return data[i] == '.' && (i ? data[i - 1] : before) == '\n';
}

/* How many bytes of data[from..len) can be sent as they stand. When *ret_again is 1, the last of
 * them is a dot to be sent again by the next stretch, which then has `twice` set. */
size_t dots_stretch(const char *data, size_t from, size_t len, char before, int twice,
                    int *ret_again);

#endif
