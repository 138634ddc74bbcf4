/* postern/delivery.h: pure helpers for transports that deliver finally: into a file, to a command.
 * No state, any thread, no allocation; all text is bounded by explicit lengths. Since 1.1. */
#ifndef POSTERN_DELIVERY_H
#define POSTERN_DELIVERY_H

#include <postern/mail.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- recipients --- */

struct postern_recipient { /* an address, taken apart for delivery; texts end in NUL */
    size_t size;
    char   local[POSTERN_LOCAL_MAX + 1];     /* the local part without its quotes                 */
    char   user[POSTERN_LOCAL_MAX + 1];      /* of that, what stands before the delimiter         */
    char   extension[POSTERN_LOCAL_MAX + 1]; /* and what stands behind it; "" when there is none  */
    char   domain[POSTERN_ADDRESS_MAX + 1];  /* "" when there is none                             */
};
/* Takes an address apart. delimiters: any of these characters, behind the first one of the local
 * part, begins an extension ("+", "+-"); "" or NULL: none does. 0, or -EINVAL with a static
 * sentence in *reterr_why: it is no address, or has a NUL character in it. */
POSTERN_API int postern_recipient_parse(const char *address, const char *delimiters,
                                        struct postern_recipient *ret, const char **reterr_why);

/* --- templates --- */

/* Writes the value of a placeholder: {name}, or {name:argument} (argument NULL: there is none),
 * into buf. Bytes written (a NUL is not needed), -ENOENT: no such name, -ENOBUFS, or another
 * -errno. */
typedef int postern_template_cb(void *ctx, const char *name, const char *argument, char *buf,
                                size_t size);
#define POSTERN_TEMPLATE_NAME_MAX 64 /* bytes between the braces, NUL included */

/* Writes text with each placeholder replaced, and a NUL; "{{" stands for "{", and "}" alone for
 * itself. What a value brings is never looked at for placeholders. Bytes written without the NUL;
 * -EINVAL: a placeholder is not closed, empty or too long; -ENOBUFS; or what the callback said. On
 * failure *reterr_at (may be NULL) points at the placeholder in text. buf NULL: only checks: value
 * is called with a buffer of its own, and what it writes is thrown away. */
POSTERN_API int postern_template_expand(const char *text, postern_template_cb *value, void *ctx,
                                        char *buf, size_t size, const char **reterr_at);

/* --- line ends, mbox --- */

/* Content has lines that end in CRLF; files and commands want LF. It is converted piece by piece,
 * however it was cut. */
struct postern_lines {
    size_t   size;
    uint32_t flags; /* POSTERN_LINES_*; the rest is zero at the start of a message */
    uint32_t in_line, matched, cr, open, reserved;
};
#define POSTERN_LINES_QUOTE 1u /* one ">" more before lines ">*From " ("mboxrd", can be undone)   */
#define POSTERN_LINES_GAP   2u /* an empty line at the end, as in an mbox                         */

/* Room that postern_lines_add needs for len bytes, and postern_lines_end in all. */
#define POSTERN_LINES_ROOM(len) (2 * (len) + 8)

/* Converts the next len bytes into out, which has POSTERN_LINES_ROOM(len). Bytes written. */
POSTERN_API size_t postern_lines_add(struct postern_lines *, const char *in, size_t len, char *out);
/* The end of the message: what was held back, a line end where one is missing, and the empty line
 * when asked for. Bytes written. */
POSTERN_API size_t postern_lines_end(struct postern_lines *, char *out);

/* The line that begins a message in an mbox: "From sender Sun Nov 22 14:15:41 2026", local time,
 * with its LF. "" is written as MAILER-DAEMON; what would confuse readers of mboxes becomes "-".
 * Returns bytes written without the NUL; size must be POSTERN_MBOX_FROM_MAX. */
POSTERN_API size_t postern_mbox_from(const char *sender, int64_t unix_seconds, char *buf,
                                     size_t size);
#define POSTERN_MBOX_FROM_MAX (POSTERN_ADDRESS_MAX + 64)

/* --- loops --- */

/* Is there a header field of that name in the first len bytes of a message whose value is exactly
 * this, blanks around it and the case of letters aside? With "Delivered-To" and the recipient: was
 * it delivered to this very address before, so that somebody forwards it in a circle? */
POSTERN_API int postern_field_holds(const char *data, size_t len, const char *name,
                                    const char *value);

#ifdef __cplusplus
}
#endif
#endif
