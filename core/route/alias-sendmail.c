/* Alias files of sendmail and Postfix (aliases(5)):
 *
 *   # a comment
 *   postmaster: root
 *   sales:      ann, bob@example.org,
 *               "carol jones"@example.net
 *   staff:      :include:/etc/mail/staff     owner-staff: ann
 *   root:       \root, "|/usr/bin/logger -t root", /var/mail/root.archive
 *
 * A line that begins with a blank goes on with the alias above it. */
#include <errno.h>
#include <string.h>

#include "route/alias-read.h"

#define INCLUDE ":include:"

struct item { /* of the right side, quotes taken off */
    const char *at;
    size_t len;
    int quoted; /* all of it */
    char text[ALIAS_TEXT_MAX + 1];
};

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct alias_reader *r)
{
    while (r->p < r->end && is_blank(*r->p))
        r->p++;
}

/* Is there nothing in this line but blanks or a comment? r->p is in column 1. */
static int is_empty_line(const struct alias_reader *r)
{
    const char *p = r->p;

    while (p < r->end && is_blank(*p))
        p++;
    return p == r->end || *p == '\n' || *p == '#';
}

/* To the next line that says something. */
static void skip_empty_lines(struct alias_reader *r)
{
    while (r->p < r->end && is_empty_line(r))
        alias_skip_line(r);
}

/* Blanks, and the ends of lines that the next one goes on with. */
static void skip_within(struct alias_reader *r)
{
    skip_blanks(r);
    while (r->p < r->end && *r->p == '\n') {
        const char *p = r->p;
        uint32_t line = r->line;

        alias_step(r);
        skip_empty_lines(r);
        if (r->p == r->end || !is_blank(*r->p)) { /* another alias: stay before the line end */
            r->p = p;
            r->line = line;
            return;
        }
        skip_blanks(r);
    }
}

static int put(struct alias_reader *r, struct item *it, char c)
{
    if (it->len == ALIAS_TEXT_MAX)
        return alias_error(r, it->at, "found a text of more than %u bytes", ALIAS_TEXT_MAX);
    it->text[it->len++] = c;
    return 0;
}

/* A quoted string with backslashes taken off; followed by '@', RFC 5321's quotes are put back. */
static int read_quoted(struct alias_reader *r, struct item *it)
{
    char plain[POSTERN_LOCAL_MAX];
    int n;

    it->quoted = 1;
    for (r->p++; r->p < r->end && *r->p != '\n' && *r->p != '"'; r->p++) {
        if (*r->p == '\\' && r->p + 1 < r->end && (r->p[1] == '"' || r->p[1] == '\\'))
            r->p++;
        if (put(r, it, *r->p) < 0)
            return -EINVAL;
    }
    if (r->p == r->end || *r->p == '\n')
        return alias_error(r, it->at, "the quotes that open here do not close on their line");
    r->p++;
    if (it->len && strchr("|/:\\", *it->text))
        return 0; /* not an address */
    if ((r->p < r->end && *r->p == '@') || !memchr(it->text, '@', it->len)) {
        if (it->len > sizeof plain)
            return alias_error(r, it->at, "found a local part of more than %zu bytes",
                               sizeof plain);
        memcpy(plain, it->text, it->len);
        n = postern_address_quote(plain, it->len, it->text, sizeof it->text);
        if (n < 0)
            return alias_error(r, it->at, "found what cannot be in an address");
        it->len = (size_t)n;
        it->quoted = 0;
    }
    return 0;
}

/* Up to one of `stops`, without the blanks before it. */
static int read_item(struct alias_reader *r, const char *stops, struct item *it)
{
    it->at = r->p;
    it->len = 0;
    it->quoted = 0;
    if (r->p < r->end && *r->p == '"' && read_quoted(r, it) < 0)
        return -EINVAL;
    for (; !it->quoted && r->p < r->end && !strchr(stops, *r->p); r->p++) {
        if (put(r, it, *r->p) < 0)
            return -EINVAL;
    }
    while (!it->quoted && it->len && is_blank(it->text[it->len - 1]))
        it->len--;
    it->text[it->len] = '\0';
    return 0;
}

static int add_item(struct alias_reader *r, const struct item *it)
{
    size_t include = sizeof INCLUDE - 1;

    if (it->text[0] == '\\')
        return alias_add_local(r, it->at, it->text + 1, it->len - 1);
    if (it->text[0] == '|')
        return alias_add_special(r, it->at, ALIAS_PIPE, 0, it->text + 1, it->len - 1);
    if (it->text[0] == '/')
        return alias_add_special(r, it->at, ALIAS_FILE, 0, it->text, it->len);
    if (strncmp(it->text, INCLUDE, include) == 0)
        return alias_add_special(r, it->at, ALIAS_INCLUDE, 0, it->text + include,
                                 it->len - include);
    return alias_add_address(r, it->at, it->text, it->len);
}

static int read_items(struct alias_reader *r, struct item *it)
{
    char found[32];

    for (;;) {
        skip_within(r);
        if (read_item(r, ",\n", it) < 0)
            return -EINVAL;
        if (!it->len)
            return alias_error(r, r->p, "%s, expected an address (for the alias of line %u)",
                               alias_found(r, found, sizeof found), r->entry_line);
        if (add_item(r, it) < 0)
            return -EINVAL;
        skip_within(r);
        if (r->p == r->end || *r->p == '\n')
            return 0;
        if (*r->p != ',')
            return alias_error(r, r->p, "%s, expected ',' (in the alias of line %u)",
                               alias_found(r, found, sizeof found), r->entry_line);
        r->p++;
    }
}

static int read_entry(struct alias_reader *r, struct item *it)
{
    char found[32];

    r->entry_line = r->line;
    if (is_blank(*r->p))
        return alias_error(r, r->p,
                           "found a blank at the beginning of the line, expected the name "
                           "of an alias: nothing stands before to go on with");
    if (read_item(r, ":\n", it) < 0)
        return -EINVAL;
    skip_blanks(r);
    if (r->p == r->end || *r->p != ':')
        return alias_error(r, r->p, "%s, expected ':' after the name of the alias",
                           alias_found(r, found, sizeof found));
    if (alias_begin(r, it->at, it->text, it->len, 0) < 0)
        return -EINVAL;
    r->p++;
    return read_items(r, it);
}

int alias_read_sendmail(struct alias_reader *r)
{
    struct item it;

    for (;;) {
        skip_empty_lines(r);
        if (r->p == r->end)
            return 0;
        if (read_entry(r, &it) < 0)
            return -EINVAL;
        alias_skip_line(r);
    }
}
