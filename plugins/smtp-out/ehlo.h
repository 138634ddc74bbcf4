/* ehlo.h: what a server offers in its reply to EHLO (RFC 5321 4.1.1.1). Pure. */
#ifndef SMTP_OUT_EHLO_H
#define SMTP_OUT_EHLO_H

#include <stddef.h>
#include <stdint.h>

#define EHLO_PIPELINING 1u  /* RFC 2920 */
#define EHLO_8BITMIME   2u  /* RFC 6152 */
#define EHLO_SMTPUTF8   4u  /* RFC 6531 */
#define EHLO_STARTTLS   8u  /* RFC 3207 */
#define EHLO_ENHANCED   16u /* RFC 2034 */
#define EHLO_SIZE       32u /* RFC 1870 */

struct ehlo {
    uint32_t offers; /* EHLO_* */
    uint32_t reserved;
    uint64_t size; /* with EHLO_SIZE: the largest message, in bytes; 0: it does not say */
};

/* Takes the text of one line after the first, without its code. What we do not know is ignored. */
void ehlo_line(struct ehlo *e, const char *text, size_t len);

#endif
