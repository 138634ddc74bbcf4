/* filter.h: the operator's filter with what was asked in its placeholders. Pure. */
#ifndef FILTER_H
#define FILTER_H

#include <stddef.h>

#define FILTER_MAX 8192u /* bytes of a filter, filled in */

struct filter_values {
    const char *key, *local, *domain;
};

/* {key}, {local} and {domain}; each as RFC 4515 3 wants values to be written: whatever it holds, it
 * is one value and never a part of the filter. Bytes written; -EINVAL: another placeholder, or one
 * that is not closed; -ENOBUFS. */
int filter_expand(const char *text, const struct filter_values *v, char *buf, size_t size);

#endif
