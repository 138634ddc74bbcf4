/* Fuzz target: full names of a password file. */
#include "fuzz-alias.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_syntax(ALIAS_SYNTAX_PASSWD, data, size);
    return 0;
}
