/* cli/mailboxes.c: see mailboxes.h. */
#include "cli/mailboxes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "util/mem.h"

/* What counts of a source route is behind the colon. */
static const char *behind_route(const char *address)
{
    const char *colon;

    if (address[0] != '@')
        return address;
    colon = strchr(address, ':');
    return colon ? colon + 1 : "";
}

void mailboxes_each(const char *text, size_t len, void (*each)(void *ctx, const char *address),
                    void *ctx)
{
    const size_t size = 2 * len + 4; /* enough for any of them */
    char *buf = mem_alloc(size);
    struct postern_mailbox one;
    size_t pos = 0;

    while (postern_mailbox_next(text, len, &pos, &one, buf, size) > 0) {
        const char *address = behind_route(one.address);

        if (*address)
            each(ctx, address);
    }
    free(buf);
}

void mailboxes_append(void *ctx, const char *address)
{
    json_t *text = json_string(address);

    json_array_append_new(ctx, text ? text : json_null());
}
