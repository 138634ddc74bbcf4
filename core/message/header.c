/* Questions about a whole header section. */
#include "message/header.h"

#include <postern/mail.h>

size_t header_end(const char *data, size_t len)
{
    struct postern_field field;
    size_t pos = 0;

    while (postern_field_next(data, len, &pos, &field) > 0)
        ;
    return pos;
}

unsigned header_count(const char *data, size_t len, const char *name)
{
    struct postern_field field;
    size_t pos = 0;
    unsigned n = 0;

    while (postern_field_next(data, len, &pos, &field) > 0)
        n += postern_field_is(&field, name) ? 1 : 0;
    return n;
}
