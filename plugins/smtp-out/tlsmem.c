/* tlsmem.c: see tlsmem.h. A short table is walked whole: it is asked once a connection at most. */
#include "tlsmem.h"

#include <stdio.h>
#include <string.h>

static void where(const char *address, uint16_t port, char *buf)
{
    snprintf(buf, TLSMEM_TEXT_MAX, "%s %u", address, port);
}

void tlsmem_add(struct tlsmem *m, const char *address, uint16_t port, uint64_t now)
{
    where(address, port, m->rows[m->next].where);
    m->rows[m->next].until = now + TLSMEM_USEC;
    m->next = (m->next + 1) % TLSMEM_MAX;
}

int tlsmem_has(const struct tlsmem *m, const char *address, uint16_t port, uint64_t now)
{
    char text[TLSMEM_TEXT_MAX];

    where(address, port, text);
    for (size_t i = 0; i < TLSMEM_MAX; i++) {
        if (m->rows[i].until > now && !strcmp(m->rows[i].where, text))
            return 1;
    }
    return 0;
}
