/* Messages of name servers: read for every type, and what was understood is within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dns/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dns_records *r)
{
    if (r->n > DNS_RECORDS_MAX)
        abort();
    for (size_t i = 0; i < r->n; i++) {
        size_t len = strnlen(r->v[i].text, DNS_NAME_SIZE);

        if (len > DNS_NAME_MAX || (i && r->v[i].preference < r->v[i - 1].preference))
            abort();
        for (size_t c = 0; c < len; c++) {
            if (r->v[i].text[c] <= ' ' || r->v[i].text[c] > '~')
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t types[] = { DNS_TYPE_A, DNS_TYPE_MX, DNS_TYPE_AAAA };
    struct dns_records r;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!dns_message_read(data, size, types[i], &r))
            check(&r);
    }
    return 0;
}
