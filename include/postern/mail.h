/* postern/mail.h: pure helpers for mail, exported by libpostern. No state, any thread, no
 * allocation unless said. All text is bounded by explicit lengths; nothing trusts its input. */
#ifndef POSTERN_MAIL_H
#define POSTERN_MAIL_H

#include <postern/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- addresses (RFC 5321 4.1.2, RFC 6531 3.3) --- */

#define POSTERN_ADDRESS_MAX 1024 /* bytes of a whole path; RFC 5321 4.5.3.1.3 asks for 256        */
#define POSTERN_LOCAL_MAX   512  /* bytes of a local part; the RFC's 64 is too small for gateways */

struct postern_address { /* pieces are borrowed from the text that was parsed */
    size_t      size;
    const char *local;  /* as written: with its quotes, if it has them                            */
    size_t      local_len;
    const char *domain; /* NULL when there is none                                                */
    size_t      domain_len;
    const char *route;  /* a source route's "@a,@b", without the colon; NULL when there is none   */
    size_t      route_len;
    uint32_t    flags;  /* POSTERN_ADDRESS_*                                                      */
    uint32_t    reserved;
};
#define POSTERN_ADDRESS_QUOTED  1u /* out: the local part is a quoted string                      */
#define POSTERN_ADDRESS_LITERAL 2u /* out: the domain is an address literal, brackets included    */
#define POSTERN_ADDRESS_UTF8    4u /* out: some of it is not ASCII; in: allow that (SMTPUTF8)     */
#define POSTERN_ADDRESS_BARE    8u /* in: allow a local part without domain ("postmaster")        */

/* Parses a mailbox without angle brackets. flags: what to allow. 0, or -EINVAL with a static
 * sentence in *reterr_why that says what is wrong. */
POSTERN_API int postern_address_parse(const char *text, size_t len, uint32_t flags,
                                      struct postern_address *ret, const char **reterr_why);

/* Writes the local part with quotes and backslashes taken off. Bytes written (without the NUL that
 * follows), or -ENOBUFS. */
POSTERN_API int postern_address_unquote(const char *local, size_t len, char *buf, size_t size);

/* Writes a local part as RFC 5321 wants it: a dot-string as it is, anything else quoted. Bytes
 * written, -ENOBUFS, or -EINVAL (control characters). */
POSTERN_API int postern_address_quote(const char *plain, size_t len, char *buf, size_t size);

/* --- next hops --- */

struct postern_next_hop {
    size_t   size;
    char     host[256]; /* a name or an address literal, without brackets                         */
    uint16_t port;      /* 0: the transport's own                                                 */
    uint16_t literal;   /* 1: host is an IPv4 or IPv6 address                                     */
    uint32_t no_mx;     /* 1: in brackets, or literal: look up the host only                      */
};
/* "host", "host:port", "[host]", "[host]:port", "[192.0.2.1]", "192.0.2.1:25", "[2001:db8::1]:25",
 * "[IPv6:2001:db8::1]". 0, or -EINVAL with a static sentence. */
POSTERN_API int postern_next_hop_parse(const char *text, struct postern_next_hop *ret,
                                       const char **reterr_why);

/* --- headers (RFC 5322 2.2) --- */

struct postern_field { /* one header field; borrowed from the data */
    size_t      size;
    const char *name;
    size_t      name_len;
    const char *value; /* after the colon, folded as it stands, without the final line end        */
    size_t      value_len;
    size_t      start, end; /* offsets of the whole field in the data, line end included          */
};
/* Iterates over the header section; *pos starts at 0. 1: *ret is the next field; 0: the section is
 * over, *pos is where the body begins (or len); -EBADMSG: the line at *pos is no header field (the
 * section ends there: a body without a separating line). Accepts CRLF and LF. */
POSTERN_API int postern_field_next(const char *data, size_t len, size_t *pos,
                                   struct postern_field *ret);
POSTERN_API int postern_field_is(const struct postern_field *, const char *name);

/* --- dates, status codes, text --- */

/* "Sun, 22 Nov 2026 14:15:41 +0000" (RFC 5322 3.3), local time zone. size >= 40. Returns buf. */
POSTERN_API char *postern_date_format(int64_t unix_seconds, char *buf, size_t size);

/* Reads "5.1.1" at the start of text (RFC 3463): bytes read, or 0 when there is none. */
POSTERN_API size_t postern_status_parse(const char *text, uint16_t ret_status[3]);

/* Copies text as one line: control characters and bytes that are not UTF-8 become "?"; cut to size,
 * never inside a character. Returns buf. */
POSTERN_API char *postern_text_clean(const char *text, size_t len, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
