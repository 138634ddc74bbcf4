/* Envelopes from a disk that may have lied: what is accepted is what would have been written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = { 0 };
    struct envelope *e;
    const char *text;

    if (envelope_decode(data, size, &e) < 0)
        return 0;
    text = envelope_first_rcpt(e);
    for (size_t i = 0; i < e->rcpt_n; i++)
        text = envelope_next_text(text);
    envelope_encode(e, &out);
    if (text != e->text + e->text_len || out.len != size || memcmp(out.data, data, size) != 0)
        abort();
    buf_free(&out);
    free(e);
    return 0;
}
