/* Address lists, as they come in a header or from a command line: any bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/mailboxes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t bytes, addresses;
};

static void each(void *ctx, const char *address)
{
    struct seen *s = ctx;
    size_t len = strlen(address);

    if (!len)
        abort(); /* nobody is called that */
    s->bytes += len;
    s->addresses++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen s = { 0, 0 };
    size_t separators = 0;

    mailboxes_each((const char *)data, size, each, &s);
    for (size_t i = 0; i < size; i++)
        separators += data[i] == ',' || data[i] == ';';
    /* Nothing is made up, but for the closing quote of what did not end. */
    if (s.addresses > separators + 1 || s.bytes > size + 1)
        abort();
    return 0;
}
