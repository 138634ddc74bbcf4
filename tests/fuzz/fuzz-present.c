/* What a mailbox gets of a message, in every style: any bytes, cut anywhere. The first byte chooses
 * the settings, the second how much of the rest is seen. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../plugins/local-mbox/present.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What of the message is shown: in order, or once around, and never twice. */
static uint64_t check(const struct present *p, uint64_t size)
{
    uint64_t shown = 0;

    for (size_t i = 0; i < p->n; i++) {
        const struct piece *piece = &p->pieces[i];

        if (piece->from >= piece->to || (!piece->text && piece->to > size))
            abort();
        if (piece->text && memchr(piece->text, 0, (size_t)piece->to))
            abort();
        if (!piece->text)
            shown += piece->to - piece->from;
    }
    return shown;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings set = { .use_rfc822_to = 1 };
    struct present_from from = { .set = &set,
                                 .sender = "ann@far.example",
                                 .rcpt = "bob@here.example",
                                 .user = "bob",
                                 .hostname = "gw.example" };
    struct present p;
    uint64_t shown;

    if (size < 2)
        return 0;
    set.style = data[0] & 1 ? STYLE_VMS : STYLE_INTERNET;
    set.header_control = (data[0] >> 1) % 3;
    set.headers = (data[0] >> 3) % 3;
    set.use_x_vms = (data[0] >> 5) & 1;
    set.lowercase_user = (data[0] >> 6) & 1;
    set.jacket_local = data[0] >> 7;
    from.head = (const char *)data + 2;
    from.size = size - 2;
    from.head_len = data[1] == 0xff ? size - 2 : (size - 2) * data[1] / 255;
    if (present_make(&from, &p) < 0)
        return 0;
    shown = check(&p, from.size);
    /* All of it but the empty line between header and body, which is written anew. */
    if (set.style == STYLE_INTERNET && shown != from.size)
        abort();
    if (set.style == STYLE_VMS && set.header_control == CONTROL_ALL &&
        set.headers != HEADERS_OMITTED && (shown > from.size || shown + 2 < from.size))
        abort();
    present_free(&p);
    return 0;
}
