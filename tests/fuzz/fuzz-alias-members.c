/* Members of lists: both dialects. */
#include "fuzz-alias.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_syntax(ALIAS_SYNTAX_DIS, data, size);
    fuzz_syntax(ALIAS_SYNTAX_INCLUDE, data, size);
    return 0;
}
