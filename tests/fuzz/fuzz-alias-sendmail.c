/* Alias files as sendmail and Postfix write them. */
#include "fuzz-alias.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_syntax(ALIAS_SYNTAX_SENDMAIL, data, size);
    return 0;
}
