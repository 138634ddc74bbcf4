/* postern/mail.h: pure helpers for mail, exported by libpostern. No state, any thread, no
 * allocation unless said. All text is bounded by explicit lengths; nothing trusts its input. */
#ifndef POSTERN_MAIL_H
#define POSTERN_MAIL_H

#include <string.h>

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

/* Writes an address as it should be written: the local part quoted only if it must be (or was, and
 * would mean a %-hack or a bang path without), the domain after it. flags: POSTERN_PRINT_*. Bytes
 * written; -ENOBUFS; -EINVAL: the pieces are no address, or the domain has no A-label form
 * (POSTERN_PRINT_ASCII, which allocates for U-labels only). */
#define POSTERN_PRINT_ROUTE 1u /* with the source route, if there is one                          */
#define POSTERN_PRINT_ASCII 2u /* the domain as A-labels ("xn--")                                 */
POSTERN_API int postern_address_print(const struct postern_address *, uint32_t flags, char *buf,
                                      size_t size);

/* What an address asks a relay to do beyond its domain: POSTERN_HACK_*, of an unquoted local part
 * only, for what stands in quotes is nobody's but the last host's. For rules that refuse them. */
#define POSTERN_HACK_ROUTE   1u /* "@a,@b:user@c"                                                 */
#define POSTERN_HACK_PERCENT 2u /* "user%c%b@a"                                                   */
#define POSTERN_HACK_BANG    4u /* "b!c!user@a"                                                   */
POSTERN_API uint32_t postern_address_hacks(const struct postern_address *);

/* --- address lists (RFC 5322 3.4) --- */

struct postern_mailbox { /* one of a list; both texts are in the caller's buffer, with a NUL each */
    size_t      size;
    const char *address; /* without blanks and comments, not judged: see postern_address_parse    */
    size_t      address_len;
    const char *name; /* the display name, unquoted, or the comment behind the address; may be "" */
    size_t      name_len;
};
/* Iterates over the value of a From, To or Cc field, folded as it stands; *pos starts at 0. 1: *ret
 * is the next mailbox, those of groups too; 0: there are no more; -ENOBUFS: this one does not fit,
 * and was passed over (2 * len + 4 bytes always suffice). Encoded words are left as they are. */
POSTERN_API int postern_mailbox_next(const char *text, size_t len, size_t *pos,
                                     struct postern_mailbox *ret, char *buf, size_t size);

/* --- members of mailing lists: a line of a file of them (docs/lists.md) --- */

struct postern_member {
    size_t      size;
    const char *address; /* in the caller's buffer; not judged: see postern_address_parse         */
    size_t      address_len;
    size_t      start; /* where it stands in the line                                             */
    uint32_t    notes; /* POSTERN_MEMBER_*: what was mended                                       */
    uint32_t    reserved;
};
#define POSTERN_MEMBER_DIS     1u /* flags: a .DIS file; comments may stand behind addresses      */
#define POSTERN_MEMBER_JACKET  1u /* notes: it wore one: SMTP%"user@host"                         */
#define POSTERN_MEMBER_DECNET  2u /* notes: it was NODE::USER, and is quoted now                  */
#define POSTERN_MEMBER_COMMENT 4u /* notes, with 0: a comment that is not in column 1, at start   */
#define POSTERN_MEMBER_SPECIAL 8u /* notes: what an alias may be, "|command", "<file", "*",
                                   * "_user", or a '#' that is no address: nobody is called so   */
/* The next member of a line, which has no line end; *pos starts at 0. 1: *ret is one; 0: there are
 * no more, or it is a comment; -EINVAL: a word that is none, or that two readers might read as
 * two, and *reterr_why is a static sentence: the rest of the line is worth nothing. 2 * len + 4
 * bytes always suffice for buf. */
POSTERN_API int postern_member_next(const char *line, size_t len, uint32_t flags, size_t *pos,
                                    struct postern_member *ret, char *buf, size_t size,
                                    const char **reterr_why);

/* --- domains (RFC 5890 to 5892, by libidn2; allocates for labels that are not ASCII) --- */

/* The one form in which domains are compared: A-labels, lower case, without a final dot. Address
 * literals are lowered too. Bytes written, -ENOBUFS, or -EINVAL: nothing that IDNA knows. */
POSTERN_API int postern_domain_to_ascii(const char *domain, size_t len, char *buf, size_t size);
/* The form for people: U-labels. Bytes written, -ENOBUFS, or -EINVAL. */
POSTERN_API int postern_domain_to_unicode(const char *domain, size_t len, char *buf, size_t size);

/* --- foreign addresses ---
 *
 * Each function below turns one way of writing an address into another. All have the same shape:
 * they read text, write at most size bytes to buf (a NUL after them) and return the bytes written;
 * -ENOBUFS: buf is too small (POSTERN_ADDRESS_SIZE never is); -EINVAL: the text is not of the form
 * that the function reads, and *reterr_why is a static sentence. reterr_why may be NULL, and site
 * too where nothing of it is needed. buf may not overlap text. docs/addresses.md has examples. */

#define POSTERN_ADDRESS_SIZE (POSTERN_ADDRESS_MAX + 1)

/* Told of each step of a translation, in their order: the rule's name (static: "smtpfy.quote") and
 * the text before and after it, borrowed during the call. */
typedef void postern_address_step(void *ctx, const char *rule, const char *before,
                                  size_t before_len, const char *after, size_t after_len);

struct postern_address_site { /* what translations have to know of the place; all borrowed        */
    size_t      size;
    const char *domain;        /* the substitute domain, or NULL                                  */
    const char *host;          /* this host's name: stands in where domain is NULL                */
    const char *decnet_domain; /* NODE::USER is USER@NODE.decnet_domain; NULL: there is none      */
    const char *node;          /* our own DECnet node name, or NULL                               */
    const char *mrgate;        /* the Message Router gateway's name; NULL: "MRGATE"               */
    const char *account;       /* sender shown to old Message Routers; NULL: "UCX_SMTP"           */
    postern_address_step *step; /* is told of each step, or NULL                                  */
    void    *ctx;               /* the step's                                                     */
    uint32_t flags;             /* POSTERN_SITE_*                                                 */
    uint32_t reserved;
};
#define POSTERN_SITE_REWRITE_MTS 1u /* smtpfy: of a Message Router address keep the user only     */
#define POSTERN_SITE_MTS_HOST    2u /* ... at the host's name, even if there is a domain          */
#define POSTERN_SITE_MTS_ALLIN1  4u /* vms_from: Message Router takes long senders                */
#define POSTERN_SITE_LATIN1      8u /* masking writes the cent sign as the byte 0xA2, not UTF-8   */

/* Any foreign address to an SMTP address: NODE::USER to "NODE::USER"@domain, or to
 * USER@NODE.decnet_domain. A simple user name gets no quotes. Needs site->domain or site->host.
 * An address with a password in it (NODE"user password"::) is refused. */
POSTERN_API int postern_address_smtpfy(const struct postern_address_site *site, const char *text,
                                       size_t len, char *buf, size_t size, const char **reterr_why);
/* And back: for every text that smtpfy takes (without POSTERN_SITE_REWRITE_MTS), this gives the
 * text. -ENOENT: an address, but its domain is none of the site's. */
POSTERN_API int postern_address_unsmtpfy(const struct postern_address_site *site, const char *text,
                                         size_t len, char *buf, size_t size,
                                         const char **reterr_why);

/* What relays do to addresses like "A::MRGATE::\"B::C\""@domain: quotes lost, backslashes lost, or
 * both. Gives an address that parses; the text itself, if it does already. */
POSTERN_API int postern_address_repair(const struct postern_address_site *site, const char *text,
                                       size_t len, char *buf, size_t size, const char **reterr_why);

/* The cent-sign hack: VMS MAIL takes no quotes inside of quotes, so each becomes a cent sign.
 * unmask knows the sign in UTF-8 and as the byte 0xA2 of Latin-1 and DEC MCS. */
POSTERN_API int postern_address_mask(const struct postern_address_site *site, const char *text,
                                     size_t len, char *buf, size_t size, const char **reterr_why);
POSTERN_API int postern_address_unmask(const struct postern_address_site *site, const char *text,
                                       size_t len, char *buf, size_t size, const char **reterr_why);

/* An SMTP address as VMS MAIL wants it: SMTP%"user@host", quotes in it masked. */
POSTERN_API int postern_address_jacket(const struct postern_address_site *site, const char *text,
                                       size_t len, char *buf, size_t size, const char **reterr_why);
/* The address in a jacket: SMTP%"a@b", IN%"'Name' <a@b>", MX%"<a@b>", "Name <a@b>", with tripled
 * quotes or with none, below site->node or not. Unmasked, and repaired if need be. */
POSTERN_API int postern_address_unjacket(const struct postern_address_site *site, const char *text,
                                         size_t len, char *buf, size_t size,
                                         const char **reterr_why);
/* The sender line of VMS MAIL for mail from the SMTP address sender to the VMS address rcpt: in its
 * jacket, or site->account where an old Message Router would refuse that. */
POSTERN_API int postern_address_vms_from(const struct postern_address_site *site,
                                         const char *sender, size_t sender_len, const char *rcpt,
                                         size_t rcpt_len, char *buf, size_t size,
                                         const char **reterr_why);

/* "@a,@b:user@c" and "user%c%b@a": the same road. */
POSTERN_API int postern_address_route_to_percent(const struct postern_address_site *site,
                                                 const char *text, size_t len, char *buf,
                                                 size_t size, const char **reterr_why);
POSTERN_API int postern_address_percent_to_route(const struct postern_address_site *site,
                                                 const char *text, size_t len, char *buf,
                                                 size_t size, const char **reterr_why);
/* What the host a does with "user%c%b@a": "user%c@b". */
POSTERN_API int postern_address_percent_next(const struct postern_address_site *site,
                                             const char *text, size_t len, char *buf, size_t size,
                                             const char **reterr_why);
/* UUCP's "b!c!user@a", or "a!b!c!user", to "user%c%b@a". */
POSTERN_API int postern_address_bang_to_percent(const struct postern_address_site *site,
                                                const char *text, size_t len, char *buf,
                                                size_t size, const char **reterr_why);

struct postern_decnet { /* a DECnet address's first hop; pieces are borrowed                      */
    size_t      size;
    const char *node;   /* "SUMNOD", "1.13", "1037"                                               */
    size_t      node_len;
    const char *access; /* NODE"user password"::, without its quotes: a secret; or NULL           */
    size_t      access_len;
    const char *rest;   /* behind the "::"; may begin with another node                           */
    size_t      rest_len;
};
/* Splits NODE::REST at the first "::" outside of quotes. 0, or -EINVAL. */
POSTERN_API int postern_decnet_split(const char *text, size_t len, struct postern_decnet *ret,
                                     const char **reterr_why);
/* 1: some hop of the VMS address is site->mrgate, that is, it goes through Message Router; or 0. */
POSTERN_API int postern_address_is_mts(const struct postern_address_site *site, const char *text,
                                       size_t len);

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

/* Copies text as UTF-8: as it is, if it is that; else as DEC Multinational, which is Latin-1 but
 * for a few characters. Bytes written, or -ENOBUFS (2 * len + 1 bytes always suffice). */
POSTERN_API int postern_text_decode(const char *text, size_t len, char *buf, size_t size);

/* Writes a text of somebody else's as the value of a pair in a log line ("to=%s"): as it is, or in
 * quotes with what could be misread escaped; cut to size. Returns buf. POSTERN_LOG_QUOTED is that
 * in a buffer of the enclosing block. */
#define POSTERN_LOG_VALUE_SIZE 816
POSTERN_API char *postern_log_value(const char *text, size_t len, char *buf, size_t size);
#define POSTERN_LOG_QUOTED(text) \
    postern_log_value((text), strlen(text), (char[POSTERN_LOG_VALUE_SIZE]){ 0 }, \
                      POSTERN_LOG_VALUE_SIZE)

#ifdef __cplusplus
}
#endif
#endif
