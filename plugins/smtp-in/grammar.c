/* grammar.c: see grammar.h.
 *
 * Tolerated beyond RFC 5321: white space between the colon and the path, and at the end of a line
 * (4.1.1 asks for the latter); more than one space between parameters. Not tolerated: a path
 * without angle brackets. Source routes are read and dropped (4.1.1.3, appendix C). What relays do
 * to quoted local parts is another matter: damaged.c. */
#include "grammar.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <postern/mail.h>

struct word {
    const char *name;
    size_t len;
    enum smtpin_verb verb;
};

#define WORD(name, verb) \
    { \
        name, sizeof name - 1, verb \
    }

/* The frequent ones first: the table is searched from the top. */
static const struct word words[] = {
    WORD("RCPT", SMTPIN_RCPT),         WORD("MAIL", SMTPIN_MAIL),    WORD("DATA", SMTPIN_DATA),
    WORD("QUIT", SMTPIN_QUIT),         WORD("EHLO", SMTPIN_EHLO),    WORD("HELO", SMTPIN_HELO),
    WORD("RSET", SMTPIN_RSET),         WORD("NOOP", SMTPIN_NOOP),    WORD("VRFY", SMTPIN_VRFY),
    WORD("EXPN", SMTPIN_EXPN),         WORD("HELP", SMTPIN_HELP),    WORD("AUTH", SMTPIN_KNOWN),
    WORD("STARTTLS", SMTPIN_STARTTLS), WORD("BDAT", SMTPIN_KNOWN),   WORD("ETRN", SMTPIN_KNOWN),
    WORD("TURN", SMTPIN_KNOWN),        WORD("SEND", SMTPIN_KNOWN),   WORD("SOML", SMTPIN_KNOWN),
    WORD("SAML", SMTPIN_KNOWN),        WORD("LHLO", SMTPIN_KNOWN),   WORD("BURL", SMTPIN_KNOWN),
    WORD("GET", SMTPIN_HTTP),          WORD("POST", SMTPIN_HTTP),    WORD("HEAD", SMTPIN_HTTP),
    WORD("PUT", SMTPIN_HTTP),          WORD("OPTIONS", SMTPIN_HTTP), WORD("CONNECT", SMTPIN_HTTP),
    WORD("DELETE", SMTPIN_HTTP),       WORD("PATCH", SMTPIN_HTTP),   WORD("TRACE", SMTPIN_HTTP),
};

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct smtpin_span trimmed(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    while (end > p && is_blank(end[-1]))
        end--;
    return (struct smtpin_span){ p, (size_t)(end - p) };
}

enum smtpin_verb smtpin_verb(const char *line, size_t len, struct smtpin_span *ret_args)
{
    const char *end = line + len;
    size_t n = 0;

    while (n < len && !is_blank(line[n]))
        n++;
    *ret_args = trimmed(line + n, end);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (words[i].len == n && strncasecmp(words[i].name, line, n) == 0)
            return words[i].verb;
    }
    return SMTPIN_UNKNOWN;
}

/* Names with underscores and worse are said by honest machines; only what would be misread in a
 * Received field or in a log is refused. */
int smtpin_helo(struct smtpin_span args)
{
    if (!args.n || args.n > SMTPIN_HELO_MAX)
        return -EINVAL;
    for (size_t i = 0; i < args.n; i++) {
        char c = args.p[i];

        if (c <= ' ' || c > '~' || strchr("()<>@,;\"\\", c))
            return -EINVAL;
    }
    return 0;
}

static int fault(struct smtpin_fault *reterr, const char *reply, const char *detail)
{
    *reterr = (struct smtpin_fault){ .reply = reply, .detail = detail };
    return -EINVAL;
}

static int fault_word(struct smtpin_fault *reterr, const char *reply, struct smtpin_span word)
{
    *reterr = (struct smtpin_fault){ .reply = reply, .word = word };
    return -EINVAL;
}

/* Takes a keyword off the front, without regard to case. */
static int take(struct smtpin_span *s, const char *keyword)
{
    size_t len = strlen(keyword);

    if (s->n < len || strncasecmp(s->p, keyword, len) != 0)
        return 0;
    s->p += len;
    s->n -= len;
    return 1;
}

/* The end of a path: the first '>' that is not inside a quoted string. NULL: there is none. */
static const char *path_end(struct smtpin_span s)
{
    int quoted = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted)
            i++;
        else if (c == '>' && !quoted)
            return s.p + i;
    }
    return NULL;
}

/* Takes "<...>" and the white space behind it off the front; *ret_inside is what was between. */
static int take_path(struct smtpin_span *s, struct smtpin_span *ret_inside)
{
    const char *end;

    while (s->n && is_blank(*s->p)) {
        s->p++;
        s->n--;
    }
    if (!s->n || *s->p != '<')
        return -EINVAL;
    end = path_end(*s);
    if (!end)
        return -EINVAL;
    *ret_inside = (struct smtpin_span){ s->p + 1, (size_t)(end - s->p) - 1 };
    s->n -= (size_t)(end + 1 - s->p);
    s->p = end + 1;
    if (s->n && !is_blank(*s->p))
        return -EINVAL;
    return 0;
}

static int has_8bit(struct smtpin_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            return 1;
    }
    return 0;
}

/* RFC 6531 3.5: an internationalised address without SMTPUTF8 has a reply of its own. */
static int parse_path(struct smtpin_span inside, int utf8, const char *syntax,
                      struct smtpin_path *ret, struct smtpin_fault *reterr)
{
    uint32_t flags = POSTERN_ADDRESS_BARE | (utf8 ? POSTERN_ADDRESS_UTF8 : 0);
    struct postern_address a = { .size = sizeof a };
    const char *why = NULL, *end;

    if (!utf8 && has_8bit(inside))
        return fault(reterr, "553 5.6.7 Address is not ASCII, and SMTPUTF8 was not asked for",
                     NULL);
    if (postern_address_parse(inside.p, inside.n, flags, &a, &why) < 0)
        return fault(reterr, syntax, why);
    end = a.domain ? a.domain + a.domain_len : a.local + a.local_len;
    *ret = (struct smtpin_path){
        .address = { a.local, (size_t)(end - a.local) },
        .bare = !a.domain,
        .utf8 = (a.flags & POSTERN_ADDRESS_UTF8) != 0,
    };
    return 0;
}

/* Takes the next "keyword[=value]". 1, or 0 when there is none left. */
static int take_parameter(struct smtpin_span *s, struct smtpin_span *ret_key,
                          struct smtpin_span *ret_value)
{
    const char *p = s->p, *end = s->p + s->n, *eq, *stop;

    while (p < end && is_blank(*p))
        p++;
    if (p == end)
        return 0;
    stop = p;
    while (stop < end && !is_blank(*stop))
        stop++;
    eq = memchr(p, '=', (size_t)(stop - p));
    *ret_key = (struct smtpin_span){ p, (size_t)((eq ? eq : stop) - p) };
    *ret_value = (struct smtpin_span){ NULL, 0 };
    if (eq)
        *ret_value = (struct smtpin_span){ eq + 1, (size_t)(stop - eq) - 1 };
    *s = (struct smtpin_span){ stop, (size_t)(end - stop) };
    return 1;
}

static int span_is(struct smtpin_span s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* RFC 1870 4: one to twenty digits. What does not fit is certainly too large. */
static int parse_size(struct smtpin_span value, uint64_t *ret)
{
    uint64_t size = 0;

    if (!value.n || value.n > 20)
        return -EINVAL;
    for (size_t i = 0; i < value.n; i++) {
        unsigned digit = (unsigned)(value.p[i] - '0');

        if (digit > 9)
            return -EINVAL;
        if (__builtin_mul_overflow(size, 10u, &size) || __builtin_add_overflow(size, digit, &size))
            size = UINT64_MAX / 10;
    }
    *ret = size;
    return 0;
}

enum { SEEN_SIZE = 1, SEEN_BODY = 2, SEEN_UTF8 = 4 };

static int mail_parameter(struct smtpin_span key, struct smtpin_span value, unsigned *seen,
                          struct smtpin_mail *mail, struct smtpin_fault *reterr)
{
    unsigned bit;

    if (span_is(key, "SIZE")) {
        bit = SEEN_SIZE;
        if (parse_size(value, &mail->size) < 0)
            return fault(reterr, "501 5.5.4 Syntax: SIZE=number", NULL);
    } else if (span_is(key, "BODY")) {
        bit = SEEN_BODY;
        mail->body_8bit = span_is(value, "8BITMIME");
        if (!mail->body_8bit && !span_is(value, "7BIT"))
            return fault(reterr, "501 5.5.4 Syntax: BODY=7BIT or BODY=8BITMIME", NULL);
    } else if (span_is(key, "SMTPUTF8")) {
        bit = SEEN_UTF8;
        mail->utf8 = 1;
        if (value.p)
            return fault(reterr, "501 5.5.4 Syntax: SMTPUTF8 takes no value", NULL);
    } else {
        return fault_word(reterr, "555 5.5.4 Unsupported parameter", key);
    }
    if (*seen & bit)
        return fault_word(reterr, "501 5.5.4 Parameter given twice", key);
    *seen |= bit;
    return 0;
}

int smtpin_mail(struct smtpin_span args, struct smtpin_mail *ret, struct smtpin_fault *reterr_fault)
{
    struct smtpin_mail mail = { .size = 0 };
    struct smtpin_span inside, key, value;
    unsigned seen = 0;
    int r;

    if (!take(&args, "FROM:") || take_path(&args, &inside) < 0)
        return fault(reterr_fault, "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]", NULL);
    /* Parameters first: whether the address may be internationalised is one of them. */
    while (take_parameter(&args, &key, &value)) {
        r = mail_parameter(key, value, &seen, &mail, reterr_fault);
        if (r < 0)
            return r;
    }
    mail.path = (struct smtpin_path){ .address = { inside.p, 0 } };
    if (inside.n) {
        r = parse_path(inside, mail.utf8, "501 5.1.7 Bad sender address", &mail.path, reterr_fault);
        if (r < 0)
            return r;
    }
    if (mail.path.bare)
        return fault(reterr_fault, "501 5.1.7 Bad sender address", "it has no domain");
    *ret = mail;
    return 0;
}

int smtpin_rcpt(struct smtpin_span args, int utf8, struct smtpin_path *ret,
                struct smtpin_fault *reterr_fault)
{
    struct smtpin_span inside, key, value;
    struct smtpin_path path;
    int r;

    if (!take(&args, "TO:") || take_path(&args, &inside) < 0)
        return fault(reterr_fault, "501 5.5.4 Syntax: RCPT TO:<address>", NULL);
    if (take_parameter(&args, &key, &value))
        return fault_word(reterr_fault, "555 5.5.4 Unsupported parameter", key);
    r = parse_path(inside, utf8, "501 5.1.3 Bad recipient address", &path, reterr_fault);
    if (r < 0)
        return r;
    /* RFC 5321 4.1.1.3: <Postmaster> is the only one that needs no domain. */
    if (path.bare && !span_is(path.address, "postmaster"))
        return fault(reterr_fault, "501 5.1.3 Bad recipient address", "it has no domain");
    *ret = path;
    return 0;
}

/* Where the quotes are no guide to its end, the path is all between the first angle bracket and one
 * that ends the line: no parameters. */
int smtpin_rcpt_damaged(struct smtpin_span args, int utf8, struct smtpin_mended *room,
                        struct smtpin_path *ret, struct smtpin_span *ret_was)
{
    struct smtpin_fault fault;

    if (!take(&args, "TO:"))
        return -EINVAL;
    args = trimmed(args.p, args.p + args.n);
    if (args.n < 2 || args.p[0] != '<' || args.p[args.n - 1] != '>')
        return -EINVAL;
    args = (struct smtpin_span){ args.p + 1, args.n - 2 };
    if (smtpin_mend(args, room) < 0)
        return -EINVAL;
    *ret_was = args;
    return parse_path((struct smtpin_span){ room->address, strlen(room->address) }, utf8, "", ret,
                      &fault);
}
