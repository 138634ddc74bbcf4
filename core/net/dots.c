/* net/dots.c: see dots.h. */
#include "net/dots.h"

#include <string.h>

/* The C library's memchr looks at 32 bytes and more at once. Dots are rarer than line ends in every
 * kind of mail, and base64 has none, so the search is for the dot. */
size_t dots_stretch(const char *data, size_t from, size_t len, char before, int twice,
                    int *ret_again)
{
    size_t at = twice ? from + 1 : from;
    const char *dot;

    *ret_again = 0;
    while (at < len && (dot = memchr(data + at, '.', len - at))) {
        at = (size_t)(dot - data) + 1;
        if (dots_begins(data, at - 1, before)) {
            *ret_again = 1;
            return at - from;
        }
    }
    return len - from;
}
