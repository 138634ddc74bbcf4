/* The common part of the readers: places, complaints, names and targets. */
#include "route/alias-read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address/utf8.h"
#include "config/engine.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/text.h"

void alias_report_done(struct alias_report *r)
{
    config_errors_free(&r->errors);
    config_errors_free(&r->warnings);
}

void alias_reader_init(struct alias_reader *r, const char *file, const struct alias_text *t,
                       struct alias_map *m, struct alias_report *report)
{
    *r = (struct alias_reader){
        .file = file,
        .start = t->data,
        .p = t->data,
        .end = t->data + t->len,
        .line = 1,
        .report = report,
        .map = m,
    };
}

void alias_skip_line(struct alias_reader *r)
{
    const char *end = memchr(r->p, '\n', (size_t)(r->end - r->p));

    r->p = end ? end : r->end;
    if (end)
        alias_step(r);
}

/* --- complaints --- */

#define COLUMN_MAX 65536u /* bytes of a line that are counted to say where in it something is */

/* "file:line:column", or without a column what is far out in a line that no editor shows. */
static char *place_of(const struct alias_reader *r, const char *at)
{
    uint32_t line = r->line, column = 1;
    const char *p;

    /* Readers complain of what they have seen: at is behind r->p, by a few lines at most. */
    for (p = at; p < r->p; p++)
        line -= *p == '\n';
    for (p = at; p > r->start && p[-1] != '\n'; p--) {
        if (at - p == COLUMN_MAX)
            return mem_printf("%s:%u", r->file, line);
        column += ((unsigned char)p[-1] & 0xc0) != 0x80;
    }
    return mem_printf("%s:%u:%u", r->file, line, column);
}

__attribute__((format(printf, 4, 0))) static void complain(const struct alias_reader *r,
                                                           struct config_errors *e, const char *at,
                                                           const char *fmt, va_list ap)
{
    char *where AUTO_FREE = NULL, *what AUTO_FREE = NULL;

    if (e->n > CONFIG_ERRORS_MAX) /* it would not be shown: spare the counting */
        return;
    where = place_of(r, at);
    if (vasprintf(&what, fmt, ap) < 0)
        what = NULL;
    config_error(e, where, r->inside, "%s", what ? what : "");
}

int alias_error(const struct alias_reader *r, const char *at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain(r, &r->report->errors, at, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

void alias_warn(const struct alias_reader *r, const char *at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain(r, &r->report->warnings, at, fmt, ap);
    va_end(ap);
}

char *alias_found(const struct alias_reader *r, char *buf, size_t size)
{
    if (r->p == r->end)
        snprintf(buf, size, "found the end of the file");
    else if (*r->p == '\n')
        snprintf(buf, size, "found the end of the line");
    else
        snprintf(buf, size, "found '%.*s'", (int)utf8_char(r->p, (size_t)(r->end - r->p)), r->p);
    return buf;
}

static int too_big(const struct alias_reader *r, const char *at)
{
    return alias_error(r, at,
                       "too much for one alias or file: expected at most %u bytes in a target, %u "
                       "targets of an alias, %u MiB in all",
                       ALIAS_TEXT_MAX, ALIAS_TARGETS_MAX, ALIAS_MAP_BYTES_MAX >> 20);
}

/* --- names and targets --- */

static int add(struct alias_reader *r, const char *at, enum alias_kind kind, unsigned flags,
               const char *text, size_t len)
{
    return alias_map_add(r->map, kind, flags, text, len) < 0 ? too_big(r, at) : 0;
}

int alias_begin(struct alias_reader *r, const char *at, const char *text, size_t len,
                unsigned flags)
{
    struct address_fault fault = { NULL, 0 };
    struct alias_key k;
    uint32_t line = 0;
    int n;

    if (alias_key_parse(&k, text, len, &fault) < 0)
        return alias_error(r, at, "found \"%.*s\", expected the name of an alias: %s", (int)len,
                           text, fault.why);
    if (!k.local_len) /* the map takes what has no name for a member of a list */
        return alias_error(r, at, "found \"%.*s\", expected the name of an alias: it is empty",
                           (int)len, text);
    if (k.local_len == 1 && *k.v == '*')
        alias_warn(r, at,
                   "\"%.*s\" is an alias for the very name \"*\", not for all names: those are "
                   "for a rule with \"rewrite\"",
                   (int)len, text);
    n = alias_map_begin(r->map, k.v, k.len, r->entry_line, flags, &line);
    if (n == -EEXIST)
        alias_warn(r, at, "\"%.*s\" is defined in line %u already: that one counts", (int)len, text,
                   line);
    else if (n < 0)
        return too_big(r, at);
    return 0;
}

/* As VMS MAIL wants an SMTP address: SMTP%"bob@example.org", and as SET FORWARD left it, without
 * the quotes. The length of what is inside, in buf; or 0: it wears no such jacket. */
static size_t without_jacket(const char *text, size_t len, char *buf, size_t size)
{
    int n = -1;

    /* The others are user%host, where they have no quotes. */
    if (len > 5 &&
        (text_ncasecmp(text, "SMTP%", 5) == 0 || text_ncasecmp(text, "IN%\"", 4) == 0 ||
         text_ncasecmp(text, "MX%\"", 4) == 0))
        n = postern_address_unjacket(NULL, text, len, buf, size, NULL);
    return n > 0 ? (size_t)n : 0;
}

int alias_add_address(struct alias_reader *r, const char *at, const char *text, size_t len)
{
    struct postern_address a = { .size = sizeof a };
    struct address_fault fault = { NULL, 0 };
    char domain[ADDRESS_DOMAIN_MAX + 1], inner[POSTERN_ADDRESS_SIZE];
    size_t inner_len = without_jacket(text, len, inner, sizeof inner);

    if (inner_len) /* which may wear another; its length has a limit that ends this */
        return alias_add_address(r, at, inner, inner_len);
    if (address_parse(text, len, POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, &fault) < 0 ||
        (a.domain && alias_domain(a.domain, a.domain_len, domain, &fault) < 0))
        return alias_error(r, at, "found \"%.*s\", expected an address: %s", (int)len, text,
                           fault.why);
    if (a.route) { /* RFC 5321 F.2: forgotten */
        len -= (size_t)(a.local - text);
        text = a.local;
    }
    return add(r, at, ALIAS_ADDRESS, 0, text, len);
}

int alias_add_owner(struct alias_reader *r, const char *at, const char *text, size_t len)
{
    if (len && strchr("*_<|>", *text) && !memchr(text, '@', len))
        return alias_error(r, at, "found \"%.*s\", expected the address of the list's owner",
                           (int)len, text);
    return alias_add_address(r, at, text, len);
}

int alias_add_local(struct alias_reader *r, const char *at, const char *text, size_t len)
{
    struct postern_address a = { .size = sizeof a };
    struct address_fault fault = { "it has a domain", 0 };

    if (address_parse(text, len, POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, &fault) < 0 ||
        a.domain)
        return alias_error(r, at, "found \"%.*s\", expected the name of a local user: %s", (int)len,
                           text, fault.why);
    return add(r, at, ALIAS_LOCAL, 0, text, len);
}

size_t alias_strip_version(struct alias_reader *r, const char *at, const char *text, size_t len)
{
    size_t left = len;

    for (size_t n = len;; left = --n) { /* what is left may have one again */
        while (n && (text[n - 1] >= '0' && text[n - 1] <= '9'))
            n--;
        if (!n || text[n - 1] != ';')
            break;
    }
    if (left < len)
        alias_warn(r, at, "the version \"%.*s\" of a file is left out", (int)(len - left),
                   text + left);
    return left;
}

int alias_add_special(struct alias_reader *r, const char *at, enum alias_kind kind, unsigned flags,
                      const char *text, size_t len)
{
    static const char *const what[] = {
        [ALIAS_PIPE] = "a command", [ALIAS_FILE] = "a file", [ALIAS_INCLUDE] = "a file of addresses"
    };

    if (r->personal)
        return alias_error(r, at,
                           "found %s, expected an address: personal aliases may hold nothing else",
                           what[kind]);
    while (len && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    for (size_t i = 0; i < len; i++) { /* JSON can say them */
        if (((unsigned char)text[i] < 0x20 && (text[i] || !(flags & ALIAS_ARGV))) ||
            text[i] == 0x7f)
            return alias_error(r, at, "found a control character (code %u) in %s",
                               (unsigned char)text[i], what[kind]);
    }
    if (kind != ALIAS_PIPE)
        len = alias_strip_version(r, at, text, len);
    if (!len || (kind == ALIAS_FILE && *text == '>')) /* that would be a mark, when it is printed */
        return alias_error(r, at, "expected the name of %s", what[kind]);
    return add(r, at, kind, flags, text, len);
}

int alias_add_text(struct alias_reader *r, const char *at, const char *text, size_t len)
{
    switch (len ? *text : 0) {
    case '*':
        if (len > 1)
            return alias_error(r, at, "found \"%.*s\", expected \"*\" alone, or an address",
                               (int)len, text);
        return add(r, at, ALIAS_LOCAL, ALIAS_OWN, "", 0);
    case '_':
        return alias_add_local(r, at, text + 1, len - 1);
    case '<':
        return alias_add_special(r, at, ALIAS_INCLUDE, 0, text + 1, len - 1);
    case '|':
        return alias_add_special(r, at, ALIAS_PIPE, 0, text + 1, len - 1);
    case '>':
        if (len > 1 && text[1] == '>')
            return alias_add_special(r, at, ALIAS_FILE, 0, text + 2, len - 2);
        return alias_add_special(r, at, ALIAS_FILE, ALIAS_DATED, text + 1, len - 1);
    case 0:
        return alias_error(r, at, "found nothing, expected an address");
    default:
        return alias_add_address(r, at, text, len);
    }
}

/* --- all syntaxes --- */

static int read_any(struct alias_reader *r, enum alias_syntax syntax)
{
    switch (syntax) {
    case ALIAS_SYNTAX_SENDMAIL:
        return alias_read_sendmail(r);
    case ALIAS_SYNTAX_JSON:
        return alias_read_json(r);
    case ALIAS_SYNTAX_DIS:
    case ALIAS_SYNTAX_INCLUDE:
        return alias_read_list(r, syntax);
    case ALIAS_SYNTAX_PASSWD:
        return alias_read_passwd(r);
    default:
        return alias_read_tcpware(r);
    }
}

int alias_read(enum alias_syntax syntax, const char *file, struct alias_text *text, int personal,
               struct alias_map *m, struct alias_report *report)
{
    struct alias_reader r;
    int n = alias_text_decode(text, file, report);

    if (!n) {
        alias_reader_init(&r, file, text, m, report);
        r.personal = personal;
        n = read_any(&r, syntax);
    }
    alias_map_seal(m);
    free(text->data);
    *text = (struct alias_text){ 0 };
    return n;
}
