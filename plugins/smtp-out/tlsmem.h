/* tlsmem.h: addresses where TLS failed lately, so that opportunistic TLS does not pay for the same
 * failure with every message. Bounded; the oldest memory makes room. */
#ifndef SMTP_OUT_TLSMEM_H
#define SMTP_OUT_TLSMEM_H

#include <stddef.h>
#include <stdint.h>

#define TLSMEM_MAX      64u
#define TLSMEM_TEXT_MAX 72u
#define TLSMEM_USEC     ((uint64_t)30 * 60 * 1000000) /* long for a queue, short for an operator */

struct tlsmem {
    struct {
        char     where[TLSMEM_TEXT_MAX]; /* "192.0.2.1 25"; "" for an unused row */
        uint64_t until;
    } rows[TLSMEM_MAX];
    size_t next; /* the row to use next */
};

void tlsmem_add(struct tlsmem *m, const char *address, uint16_t port, uint64_t now);
int  tlsmem_has(const struct tlsmem *m, const char *address, uint16_t port, uint64_t now);

#endif
