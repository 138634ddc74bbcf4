/* Aliases in JSON. */
#include "fuzz-alias.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_syntax(ALIAS_SYNTAX_JSON, data, size);
    return 0;
}
