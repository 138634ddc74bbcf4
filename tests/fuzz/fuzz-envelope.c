/* Envelopes from a disk that may have lied: what is accepted is what would have been written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NARROW 17 /* bytes up to the recipients, in version 1, which has 16 bits for their number */

/* What version 1 wrote is not what would be written now, but says the same. */
static int is_same(const struct buf *out, const uint8_t *data, size_t size)
{
    if (data[0] != 1)
        return out->len == size && memcmp(out->data, data, size) == 0;
    return out->len == size + 2 && out->data[0] == 2 &&
        memcmp(out->data + 1, data + 1, NARROW - 1) == 0 &&
        memcmp(out->data + NARROW, "\0", 2) == 0 &&
        memcmp(out->data + NARROW + 2, data + NARROW, size - NARROW) == 0;
}

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
    if (text != e->text + e->text_len || !is_same(&out, data, size))
        abort();
    buf_free(&out);
    free(e);
    return 0;
}
