/* Members of a list, one a line.
 *
 * Two dialects. A file that an alias includes holds addresses, with or without angle brackets, and
 * comments that begin with '!' or '#' in column 1. A .DIS file (U-68) has '!' comments only, DECnet
 * addresses as <"NODE::USER">, and some mistakes that its own documentation warns of, as VMS MAIL's
 * distribution lists, .DIS too, look a little different; those are mended, and said. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "route/alias-read.h"
#include "util/buf.h"

struct line {
    const char *at;
    size_t len;
};

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void trim(struct line *l)
{
    while (l->len && is_blank(*l->at)) {
        l->at++;
        l->len--;
    }
    while (l->len && is_blank(l->at[l->len - 1]))
        l->len--;
}

static int begin_member(struct alias_reader *r, const struct line *l)
{
    if (alias_map_begin(r->map, "", 0, r->line, 0, NULL) == 0)
        return 0;
    return alias_error(r, l->at, "expected at most %u MiB of members", ALIAS_MAP_BYTES_MAX >> 20);
}

static int add(struct alias_reader *r, const struct line *l, const char *text, size_t len)
{
    return begin_member(r, l) < 0 ? -EINVAL : alias_add_address(r, l->at, text, len);
}

/* Has it "::" outside quotes? Then VMS means a node by what stands before. */
static int is_decnet(const struct line *l)
{
    return l->at[0] != '"' && memmem(l->at, l->len, "::", 2) && !memchr(l->at, '@', l->len);
}

static int add_decnet(struct alias_reader *r, const struct line *l)
{
    char text[ALIAS_TEXT_MAX];
    int n;

    alias_warn(r, l->at, "found a VMS address: read as <\"%.*s\">", (int)l->len, l->at);
    n = l->len > POSTERN_LOCAL_MAX ? -ENOBUFS
                                   : postern_address_quote(l->at, l->len, text, sizeof text);
    if (n < 0)
        return alias_error(r, l->at, "found what cannot be in an address");
    return add(r, l, text, (size_t)n);
}

/* One member, without the separators of several. */
static int add_member(struct alias_reader *r, struct line l, int dis)
{
    trim(&l);
    if (!l.len)
        return alias_error(r, l.at, "found nothing, expected an address");
    if (*l.at == '@')
        return alias_error(r, l.at, "found \"%.*s\", a list in a list, expected an address",
                           (int)l.len, l.at);
    if (dis && l.len > 7 && strncasecmp(l.at, "SMTP%\"", 6) == 0 && l.at[l.len - 1] == '"') {
        alias_warn(r, l.at, "found the jacket SMTP%%\"...\": taken off");
        l.at += 6;
        l.len -= 7;
    }
    if (l.len > 1 && *l.at == '<' && l.at[l.len - 1] == '>')
        return add(r, &l, l.at + 1, l.len - 2);
    return dis && is_decnet(&l) ? add_decnet(r, &l) : add(r, &l, l.at, l.len);
}

/* The next ',' or a '!' after a blank, outside quotes and brackets; or the end. */
static size_t find_separator(const struct line *l)
{
    int quoted = 0;

    for (size_t i = 0; i < l->len; i++) {
        if (l->at[i] == '\\' && quoted && i + 1 < l->len)
            i++;
        else if (l->at[i] == '"')
            quoted = !quoted;
        else if (!quoted && l->at[i] == ',')
            return i;
        else if (!quoted && l->at[i] == '!' && i && is_blank(l->at[i - 1]))
            return i;
    }
    return l->len;
}

static int read_dis_line(struct alias_reader *r, struct line l)
{
    for (int first = 1;; first = 0) {
        size_t n = find_separator(&l);
        struct line member = { l.at, n };
        int more = n < l.len && l.at[n] == ',';

        if (n < l.len && !more)
            alias_warn(r, l.at + n, "found a comment that does not begin in column 1: skipped");
        else if (more && first)
            alias_warn(r, l.at + n, "found several addresses, expected one a line: taken apart");
        if (add_member(r, member, 1) < 0)
            return -EINVAL;
        if (!more)
            return 0;
        l.at += n + 1;
        l.len -= n + 1;
    }
}

static int read_line(struct alias_reader *r, struct line l, int dis)
{
    int indented = l.len && is_blank(*l.at);
    int comment = l.len && (*l.at == '!' || (!dis && *l.at == '#'));

    if (comment)
        return 0;
    if (l.len > ALIAS_TEXT_MAX)
        return alias_error(r, l.at, "found a line of %zu bytes, expected at most %u", l.len,
                           ALIAS_TEXT_MAX);
    trim(&l);
    if (!l.len)
        return 0;
    if (indented && *l.at == '!') {
        alias_warn(r, l.at, "found a comment that does not begin in column 1: skipped");
        return 0;
    }
    return dis ? read_dis_line(r, l) : add_member(r, l, 0);
}

int alias_read_list(struct alias_reader *r, enum alias_syntax syntax)
{
    while (r->p < r->end) {
        const char *end = memchr(r->p, '\n', (size_t)(r->end - r->p));
        struct line l = { r->p, (size_t)((end ? end : r->end) - r->p) };

        if (read_line(r, l, syntax == ALIAS_SYNTAX_DIS) < 0)
            return -EINVAL;
        alias_skip_line(r);
    }
    return 0;
}
