/* message/header.h: looking into header sections. */
#ifndef MESSAGE_HEADER_H
#define MESSAGE_HEADER_H

#include <stddef.h>

size_t header_end(const char *data, size_t len); /* offset of the body; len when there is none */
unsigned header_count(const char *data, size_t len, const char *name); /* fields of that name */

#endif
