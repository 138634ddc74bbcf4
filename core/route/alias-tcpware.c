/* Alias files of TCPware and MultiNet, T-85 to T-91:
 *
 *   john:   jb134a;                          info@museum.example.org: ann;
 *   sales:  ann, bob@example.org,            smith:  *;
 *           "carol.jones"@example.net;       FNORD:  FNORD@SOMEWHERE.EXAMPLE.COM, _FNORD;
 *   announce: "<DISK$USER:[LISTS]A.LIST";    ticket: "|SYS$MANAGER:NEW.COM HELPDESK";
 *   archive:  ">DISK$ARC:[MAIL]ALLMAIL";     staff:: owner, USERS:[OPER1]STAFF.LIST;
 *
 * An entry ends with ';' wherever that is, so a ';' that is missing makes two entries one; the
 * error then says where the entry began. '!' and '#' in column 1 begin a comment, inside entries
 * too. A quote inside quotes is written twice. */
#include <errno.h>
#include <string.h>

#include "route/alias-read.h"
#include "util/text.h"

struct word {
    const char *at; /* where it began */
    size_t len;
    int quoted; /* all of it stood in quotes */
    char text[ALIAS_TEXT_MAX + 1];
};

/* Blanks, line ends and comments. */
static void skip(struct alias_reader *r)
{
    while (r->p < r->end) {
        if (alias_column_one(r) && (*r->p == '!' || *r->p == '#'))
            alias_skip_line(r);
        else if (*r->p == ' ' || *r->p == '\t' || *r->p == '\n')
            alias_step(r);
        else
            return;
    }
}

static int too_long(struct alias_reader *r, const struct word *w)
{
    return alias_error(r, w->at, "found a text of more than %u bytes", ALIAS_TEXT_MAX);
}

/* The text between quotes, with the inner ones made single. */
static int read_quoted(struct alias_reader *r, struct word *w)
{
    for (r->p++; r->p < r->end && *r->p != '\n'; r->p++) {
        if (*r->p == '"') {
            if (r->p + 1 == r->end || r->p[1] != '"') {
                r->p++;
                return 0;
            }
            r->p++;
        }
        if (w->len == ALIAS_TEXT_MAX)
            return too_long(r, w);
        w->text[w->len++] = *r->p;
    }
    return alias_error(r, w->at, "the quotes that open here do not close on their line");
}

/* What was in quotes becomes a local part as RFC 5321 quotes it. */
static int quote_local(struct alias_reader *r, struct word *w)
{
    char plain[POSTERN_LOCAL_MAX];
    int n;

    if (w->len > sizeof plain)
        return alias_error(r, w->at, "found a local part of more than %d bytes", POSTERN_LOCAL_MAX);
    memcpy(plain, w->text, w->len);
    n = postern_address_quote(plain, w->len, w->text, sizeof w->text);
    if (n < 0)
        return alias_error(r, w->at, "found what cannot be in an address, expected a local part");
    w->len = (size_t)n;
    w->quoted = 0;
    return 0;
}

/* A name, an address, or anything in quotes; ends before what is in `stops`. */
static int read_word(struct alias_reader *r, const char *stops, struct word *w)
{
    int n = 0;

    w->at = r->p;
    w->len = 0;
    w->quoted = r->p < r->end && *r->p == '"';
    if (w->quoted) {
        n = read_quoted(r, w);
        if (!n && r->p < r->end && *r->p == '@')
            n = quote_local(r, w);
    }
    for (; !n && !(w->quoted) && r->p < r->end && !strchr(stops, *r->p); r->p++) {
        if (w->len == ALIAS_TEXT_MAX)
            return too_long(r, w);
        w->text[w->len++] = *r->p;
    }
    w->text[w->len] = '\0';
    return n;
}

static int expect_end(struct alias_reader *r, const char *what)
{
    char found[32];

    return alias_error(r, r->p, "%s, expected %s (the entry that began in line %u)",
                       alias_found(r, found, sizeof found), what, r->entry_line);
}

/* --- targets --- */

static int is_jacket(const struct word *w)
{
    static const char *const names[] = { "SMTP%", "IN%", "MX%" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == w->len && !text_ncasecmp(w->text, names[i], w->len))
            return 1;
    }
    return 0;
}

/* SMTP%"bob@example.org": the quotes are no string's, but the jacket's. Those of a string leave it
 * as SMTP%"bob@example.org", too. */
static int read_jacket(struct alias_reader *r, struct word *w)
{
    int n;
    size_t start = w->len + 1;
    int tripled;

    w->text[w->len++] = '"';
    n = read_quoted(r, w);
    tripled = n == 0 && w->len > start + 1 && w->text[start] == '"' && w->text[w->len - 1] == '"';
    if (n == 0 && w->len + 3 > ALIAS_TEXT_MAX)
        n = too_long(r, w);
    if (n < 0)
        return n;
    if (tripled) { /* both were read as one of two */
        memmove(w->text + start + 1, w->text + start, w->len - start);
        w->text[++w->len] = '"';
        w->len++;
    }
    w->text[w->len++] = '"';
    w->text[w->len] = '\0';
    return 0;
}

static int read_target(struct alias_reader *r, struct word *w)
{
    int n = read_word(r, " \t\n,;:\"", w);

    if (n == 0 && !w->quoted && r->p < r->end && *r->p == '"' && is_jacket(w))
        n = read_jacket(r, w);
    if (n < 0)
        return n;
    if (!w->len && !w->quoted)
        return expect_end(r, "an address");
    /* Only in quotes are these anything: that is how the original tells them from addresses. */
    if (!w->quoted && strchr("<|>", *w->text))
        return alias_error(r, w->at, "found '%c', expected quotes around it: \"%c...\"", *w->text,
                           *w->text);
    if (w->quoted && w->len && !strchr("*_<|>", *w->text) && !memchr(w->text, '@', w->len)) {
        n = quote_local(r, w);
        if (n < 0)
            return n;
    }
    return alias_add_text(r, w->at, w->text, w->len);
}

static int read_targets(struct alias_reader *r, struct word *w)
{
    for (;;) {
        int n;

        skip(r);
        n = read_target(r, w);
        if (n < 0)
            return n;
        skip(r);
        if (r->p == r->end || (*r->p != ',' && *r->p != ';'))
            return expect_end(r, "',' or ';'");
        if (*r->p++ == ';')
            return 0;
    }
}

/* --- lists --- */

/* ';' and digits and another ';': the first one begins a version, which VMS file names have. */
static int is_version(const struct alias_reader *r)
{
    const char *p = r->p + 1;

    while (p < r->end && *p >= '0' && *p <= '9')
        p++;
    if (p == r->p + 1)
        return 0;
    while (p < r->end && (*p == ' ' || *p == '\t' || *p == '\n'))
        p++;
    return p < r->end && *p == ';';
}

/* Up to the ';' that ends the entry: not one in brackets, nor one before a version. */
static int read_filespec(struct alias_reader *r, struct word *w)
{
    int brackets = 0;

    if (r->p < r->end && *r->p == '"')
        return read_word(r, "", w);
    w->at = r->p;
    w->len = 0;
    w->quoted = 0;
    for (; r->p < r->end && *r->p != '\n'; r->p++) {
        if (*r->p == ';' && brackets <= 0 && !is_version(r))
            break;
        brackets += (*r->p == '[') - (*r->p == ']');
        if (w->len == ALIAS_TEXT_MAX)
            return too_long(r, w);
        w->text[w->len++] = *r->p;
    }
    while (w->len && (w->text[w->len - 1] == ' ' || w->text[w->len - 1] == '\t'))
        w->len--;
    return 0;
}

static int read_list(struct alias_reader *r, struct word *w)
{
    int n;

    skip(r);
    n = read_word(r, " \t\n,;:", w);
    if (!n)
        n = w->len ? alias_add_owner(r, w->at, w->text, w->len)
                   : expect_end(r, "the address of the list's owner");
    if (n < 0)
        return n;
    skip(r);
    if (r->p == r->end || *r->p != ',')
        return expect_end(r, "',' and the file of the list's members");
    r->p++;
    skip(r);
    n = read_filespec(r, w);
    if (!n)
        n = alias_add_special(r, w->at, ALIAS_INCLUDE, 0, w->text, w->len);
    if (n < 0)
        return n;
    skip(r);
    if (r->p == r->end || *r->p != ';')
        return expect_end(r, "';'");
    r->p++;
    return 0;
}

/* --- the file --- */

static int read_entry(struct alias_reader *r, struct word *w)
{
    int list, n;

    r->entry_line = r->line;
    n = read_word(r, " \t\n:;,\"", w);
    if (n < 0)
        return n;
    if (w->quoted)
        n = memchr(w->text, '@', w->len) ? 0 : quote_local(r, w);
    if (n < 0)
        return n;
    if (!w->len)
        return expect_end(r, "the name of an alias");
    if (w->at[0] == '!' || w->at[0] == '#')
        return alias_error(r, w->at,
                           "found '%c', expected a comment to begin in column 1, or "
                           "quotes around a name that begins so",
                           w->at[0]);
    skip(r);
    if (r->p == r->end || *r->p != ':')
        return expect_end(r, "':' after the name of the alias");
    list = r->p + 1 < r->end && r->p[1] == ':';
    if (list && r->personal)
        return alias_error(r, r->p, "found a mailing list: personal aliases may hold none");
    r->p += 1 + list;
    n = alias_begin(r, w->at, w->text, w->len, list ? ALIAS_RECORD_LIST : 0);
    if (n < 0)
        return n;
    return list ? read_list(r, w) : read_targets(r, w);
}

int alias_read_tcpware(struct alias_reader *r)
{
    struct word w;

    for (;;) {
        int n;

        skip(r);
        if (r->p == r->end)
            return 0;
        n = read_entry(r, &w);
        if (n < 0)
            return n;
    }
}
