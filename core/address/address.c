/* Mailboxes: RFC 5321 4.1.2 with the internationalised forms of RFC 6531 3.3.
 *
 * A scanner goes over the text once, from left to right, one function a rule of the grammar. Each
 * either moves on or leaves a fault where it stands. Wider than the RFC on purpose: '_' in a
 * domain, a final dot, local parts longer than 64. Narrower: C1 controls, which RFC 6531 would let
 * pass, are refused, because addresses are shown on terminals. */
#include "address/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "address/utf8.h"

struct scan {
    const char *text;
    size_t len, at;
    uint32_t allow; /* POSTERN_ADDRESS_* that the caller allows */
    uint32_t found; /* POSTERN_ADDRESS_* that were met */
    struct address_fault *fault;
};

static int fail_at(struct scan *s, size_t at, const char *why)
{
    *s->fault = (struct address_fault){ why, at };
    return -EINVAL;
}

static int fail(struct scan *s, const char *why)
{
    return fail_at(s, s->at, why);
}

static int at_end(const struct scan *s)
{
    return s->at == s->len;
}

static int next_is(const struct scan *s, char c)
{
    return !at_end(s) && s->text[s->at] == c;
}

static int is_8bit(char c)
{
    return (unsigned char)c >= 0x80;
}

static int is_let_dig(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int address_is_atext(char c)
{
    return is_let_dig(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static int scan_utf8(struct scan *s)
{
    size_t n;

    if (!(s->allow & POSTERN_ADDRESS_UTF8))
        return fail(s, "only ASCII is allowed without SMTPUTF8");
    n = utf8_char(s->text + s->at, s->len - s->at);
    if (!n)
        return fail(s, "this is not valid UTF-8");
    if (utf8_is_control(s->text + s->at, n))
        return fail(s, "control characters are not allowed");
    s->at += n;
    s->found |= POSTERN_ADDRESS_UTF8;
    return 0;
}

/* --- the local part --- */

static int scan_atom(struct scan *s)
{
    size_t start = s->at;

    while (!at_end(s)) {
        if (is_8bit(s->text[s->at])) {
            int r = scan_utf8(s);

            if (r < 0)
                return r;
        } else if (address_is_atext(s->text[s->at])) {
            s->at++;
        } else {
            break;
        }
    }
    if (s->at > start)
        return 0;
    if (next_is(s, '.') || (start > 0 && s->text[start - 1] == '.'))
        return fail(s, "a dot without a character on each side needs a quoted local part");
    if (at_end(s) || next_is(s, '@'))
        return fail(s, "the local part is empty");
    return fail(s, "this character needs a quoted local part");
}

static int scan_dot_string(struct scan *s)
{
    int r = scan_atom(s);

    while (r == 0 && next_is(s, '.')) {
        s->at++;
        r = scan_atom(s);
    }
    return r;
}

static int scan_quoted(struct scan *s)
{
    s->at++;
    while (!at_end(s) && !next_is(s, '"')) {
        if (next_is(s, '\\') && ++s->at == s->len)
            break;
        if (is_8bit(s->text[s->at])) {
            int r = scan_utf8(s);

            if (r < 0)
                return r;
        } else if (utf8_is_control(s->text + s->at, 1)) {
            return fail(s, "control characters are not allowed");
        } else {
            s->at++;
        }
    }
    if (at_end(s))
        return fail(s, "the quoted local part has no closing quote");
    s->at++;
    s->found |= POSTERN_ADDRESS_QUOTED;
    return 0;
}

static int scan_local(struct scan *s)
{
    size_t start = s->at;
    int r = next_is(s, '"') ? scan_quoted(s) : scan_dot_string(s);

    if (r < 0)
        return r;
    if (s->at - start > POSTERN_LOCAL_MAX)
        return fail_at(s, start + POSTERN_LOCAL_MAX, "the local part is too long");
    if (at_end(s) || next_is(s, '@'))
        return 0;
    if (s->found & POSTERN_ADDRESS_QUOTED)
        return fail(s, "after the closing quote only '@' may follow");
    return fail(s, "this character needs a quoted local part");
}

/* --- the domain --- */

static int scan_label(struct scan *s)
{
    size_t start = s->at;
    int ascii = 1;

    while (!at_end(s)) {
        char c = s->text[s->at];

        if (is_8bit(c)) {
            int r = scan_utf8(s);

            if (r < 0)
                return r;
            ascii = 0;
        } else if (is_let_dig(c) || c == '-' || c == '_') {
            s->at++;
        } else {
            break;
        }
    }
    if (s->at == start) {
        if (at_end(s) && (start == 0 || s->text[start - 1] == '@'))
            return fail(s, "the domain is empty");
        if (at_end(s) || next_is(s, '.'))
            return fail(s, "the domain has an empty label");
        return fail(s, "this character is not allowed in a domain");
    }
    if (s->text[start] == '-')
        return fail_at(s, start, "a label of a domain may not begin with '-'");
    if (s->text[s->at - 1] == '-')
        return fail_at(s, s->at - 1, "a label of a domain may not end with '-'");
    /* The limit is one of the A-label; of a U-label it is checked where it is converted. */
    if (ascii && s->at - start > ADDRESS_LABEL_MAX)
        return fail_at(s, start + ADDRESS_LABEL_MAX, "a label of the domain is too long");
    return 0;
}

/* What ends a domain: in a source route also its punctuation. */
static int domain_ends(const struct scan *s)
{
    return at_end(s) || next_is(s, ',') || next_is(s, ':');
}

static int scan_labels(struct scan *s)
{
    size_t start = s->at, end;
    int r = scan_label(s);

    end = s->at;
    while (r == 0 && next_is(s, '.')) {
        s->at++;
        if (domain_ends(s))
            break; /* a final dot: absolute, as DNS people write it */
        r = scan_label(s);
        end = s->at;
    }
    if (r == 0 && end - start > ADDRESS_DOMAIN_MAX)
        return fail_at(s, start + ADDRESS_DOMAIN_MAX, "the domain is too long");
    return r;
}

static int is_ip(int family, const char *text, size_t len)
{
    unsigned char address[sizeof(struct in6_addr)];
    char copy[INET6_ADDRSTRLEN];

    if (len == 0 || len >= sizeof copy || memchr(text, 0, len))
        return 0;
    memcpy(copy, text, len);
    copy[len] = 0;
    return inet_pton(family, copy, address) == 1;
}

/* Standardized-tag ":" 1*dcontent: well-formed, though nobody ever registered a tag but IPv6. */
static int is_general_literal(const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len);

    if (!colon || colon == text || colon == text + len - 1 || !is_let_dig(colon[-1]))
        return 0;
    for (const char *p = text; p < colon; p++) {
        if (!is_let_dig(*p) && *p != '-')
            return 0;
    }
    return 1;
}

static int scan_literal(struct scan *s)
{
    static const char tag[] = "IPv6:";
    const size_t tag_len = sizeof tag - 1;
    const char *text = s->text + s->at + 1;
    size_t start = s->at++;
    size_t len;

    while (!at_end(s) && s->text[s->at] > 32 && s->text[s->at] < 127 &&
           !strchr("[\\]", s->text[s->at]))
        s->at++;
    if (at_end(s))
        return fail(s, "the address literal has no closing ']'");
    if (!next_is(s, ']'))
        return fail(s, "this character is not allowed in an address literal");
    len = s->at - start - 1;
    if (s->at + 1 - start > ADDRESS_DOMAIN_MAX)
        return fail_at(s, start + ADDRESS_DOMAIN_MAX, "the address literal is too long");

    if (len > tag_len && strncasecmp(text, tag, tag_len) == 0) {
        if (!is_ip(AF_INET6, text + tag_len, len - tag_len))
            return fail_at(s, start, "the address literal holds no valid IPv6 address");
    } else if (is_ip(AF_INET6, text, len)) {
        return fail_at(s, start, "an IPv6 address literal is written [IPv6:...]");
    } else if (!is_ip(AF_INET, text, len) && !is_general_literal(text, len)) {
        return fail_at(s, start, "the address literal holds no valid IPv4 address");
    }
    s->at++;
    s->found |= POSTERN_ADDRESS_LITERAL;
    return 0;
}

static int scan_domain(struct scan *s)
{
    return next_is(s, '[') ? scan_literal(s) : scan_labels(s);
}

int address_domain_check(const char *text, size_t len, uint32_t flags, struct address_fault *reterr)
{
    struct scan s = { text, len, 0, flags, 0, reterr };
    int r;

    if (next_is(&s, '[') && !(flags & POSTERN_ADDRESS_LITERAL))
        return fail(&s, "an address literal is not allowed here");
    r = scan_domain(&s);
    if (r == 0 && !at_end(&s))
        return fail(&s, "this character is not allowed in a domain");
    return r;
}

/* --- the whole --- */

/* "@a,@b:" of RFC 5321 4.1.2 A-d-l: accepted, and for the caller to ignore (appendix F.2). */
static int scan_route(struct scan *s)
{
    for (;;) {
        int r;

        if (!next_is(s, '@'))
            return fail(s, "each host of a source route begins with '@'");
        s->at++;
        r = scan_domain(s);
        if (r < 0)
            return r;
        if (next_is(s, ':'))
            return 0;
        if (!next_is(s, ','))
            return fail(s, "the source route has no ':' at its end");
        s->at++;
    }
}

static int scan_mailbox(struct scan *s, struct postern_address *ret)
{
    int r;

    ret->local = s->text + s->at;
    r = scan_local(s);
    if (r < 0)
        return r;
    ret->local_len = (size_t)(s->text + s->at - ret->local);
    if (at_end(s)) {
        if ((s->allow & POSTERN_ADDRESS_BARE) && !ret->route)
            return 0;
        return fail(s, "the domain is missing: expected '@'");
    }
    s->at++;
    ret->domain = s->text + s->at;
    s->found &= ~POSTERN_ADDRESS_LITERAL; /* that one of the route does not count */
    r = scan_domain(s);
    if (r < 0)
        return r;
    ret->domain_len = (size_t)(s->text + s->at - ret->domain);
    return at_end(s) ? 0 : fail(s, "this character is not allowed in a domain");
}

int address_parse(const char *text, size_t len, uint32_t flags, struct postern_address *ret,
                  struct address_fault *reterr)
{
    struct scan s = { text, len, 0, flags, 0, reterr };
    struct postern_address got = { .size = sizeof got };
    int r;

    if (len == 0)
        return fail(&s, "the address is empty");
    if (len > POSTERN_ADDRESS_MAX)
        return fail_at(&s, POSTERN_ADDRESS_MAX, "the address is too long");
    if (next_is(&s, '@')) {
        r = scan_route(&s);
        if (r < 0)
            return r;
        got.route = text;
        got.route_len = s.at++;
    }
    r = scan_mailbox(&s, &got);
    if (r < 0)
        return r;
    got.flags = s.found;
    *ret = got;
    return 0;
}

int postern_address_parse(const char *text, size_t len, uint32_t flags, struct postern_address *ret,
                          const char **reterr_why)
{
    struct address_fault fault = { NULL, 0 };
    int r = address_parse(text, len, flags, ret, &fault);

    if (r < 0 && reterr_why)
        *reterr_why = fault.why;
    return r;
}

char *address_fault_text(const struct address_fault *fault, const char *text, size_t len, char *buf,
                         size_t size)
{
    unsigned char c = fault->at < len ? (unsigned char)text[fault->at] : 0;

    if (fault->at >= len)
        snprintf(buf, size, "%s: found the end at position %zu", fault->why, fault->at + 1);
    else if (c > 31 && c < 127)
        snprintf(buf, size, "%s: found '%c' at position %zu", fault->why, c, fault->at + 1);
    else
        snprintf(buf, size, "%s: found byte 0x%02x at position %zu", fault->why, c, fault->at + 1);
    return buf;
}
