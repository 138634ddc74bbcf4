/* Fuzz target: the lines of an operator's file of expectations, and files of local domains' next of
 * kin, words of next hops. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "address/address.h"
#include "route/expect.h"

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
    require(r != 1 || (*e.rcpt && e.n >= 1 && e.n <= ROUTE_EXPECT_PLACES_MAX));
    for (size_t i = 0; r == 1 && i < e.n; i++)
        require(e.places[i].action || e.places[i].hops || e.places[i].as);
    free(line);
    return 0;
}
