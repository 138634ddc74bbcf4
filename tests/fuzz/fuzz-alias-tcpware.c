/* Alias files in TCPware's syntax. What was taken and printed reads as the same again. */
#include "fuzz-alias.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first = { 0 }, second = { 0 };

    if (fuzz_read(ALIAS_SYNTAX_TCPWARE, data, size, &first) == 0 && first.len) {
        if (fuzz_read(ALIAS_SYNTAX_TCPWARE, first.data, first.len, &second) < 0)
            abort();
        if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
            abort();
    }
    buf_free(&first);
    buf_free(&second);
    return 0;
}
