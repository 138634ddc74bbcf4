/* Fuzz target: the lines of an operator's file of expectations, and files of local domains' next of
 * kin, words of next hops. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "address/address.h"
#include "route/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);
    struct route_expectation e;
    const char *why = NULL, *hop;
    unsigned flags;
    int r;

    if (!line)
        return 0;
    memcpy(line, data, size);
    line[size] = 0;
    flags = next_hop_flags(line, &hop);
    require(hop >= line && hop <= line + strlen(line));
    require(!(flags & NEXT_HOP_OWN_HOST) || flags & NEXT_HOP_OWN);
    r = route_expect_parse(line, &e, &why);
    require(r >= 0 || why);
    require(r != 1 || (*e.rcpt && (e.action || e.hops || e.rewritten)));
    free(line);
    return 0;
}
