/* Members of a list, one a line, as docs/lists.md has them: postern_member_next reads a line.
 *
 * Two dialects. A .DIS file (U-68) has '!' comments only, also behind addresses. What its own
 * documentation warns of, as VMS MAIL's distribution lists, .DIS too, look a little different, is
 * mended, and said. */
#include <errno.h>
#include <string.h>

#include "route/alias-read.h"

struct line {
    const char *at;
    size_t len;
};

static int begin_member(struct alias_reader *r, const char *at)
{
    if (alias_map_begin(r->map, "", 0, r->line, 0, NULL) == 0)
        return 0;
    return alias_error(r, at, "expected at most %u MiB of members", ALIAS_MAP_BYTES_MAX >> 20);
}

/* What was found between two commas. */
static int complain(struct alias_reader *r, const char *at, const char *end, const char *why)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && strchr(" \t,;", end[-1]))
        end--;
    return alias_error(r, at, "found \"%.*s\", expected an address: %s", (int)(end - at), at, why);
}

static void tell_mended(struct alias_reader *r, const char *at, const struct postern_member *m,
                        int dis)
{
    if (dis && m->notes & POSTERN_MEMBER_JACKET)
        alias_warn(r, at, "found the jacket SMTP%%\"...\": taken off");
    if (m->notes & POSTERN_MEMBER_DECNET)
        alias_warn(r, at, "found a VMS address: read as <%s>", m->address);
    if (m->notes & POSTERN_MEMBER_COMMENT)
        alias_warn(r, at, "found a comment that does not begin in column 1: skipped");
}

static int read_members(struct alias_reader *r, const struct line *l, int dis)
{
    char buf[2 * ALIAS_TEXT_MAX + 4];
    struct postern_member m;
    const char *why, *at;
    size_t pos = 0;

    for (int n = 0;; n++) {
        size_t before = pos;
        int more = postern_member_next(l->at, l->len, dis ? POSTERN_MEMBER_DIS : 0, &pos, &m, buf,
                                       sizeof buf, &why);

        if (more < 0)
            return complain(r, l->at + before, l->at + pos, why);
        at = l->at + m.start;
        tell_mended(r, at, &m, dis);
        if (!more)
            return 0;
        if (m.notes & POSTERN_MEMBER_SPECIAL) {
            alias_warn(r, at, "found \"%s\", expected an address: passed over", m.address);
            continue;
        }
        if (dis && n == 1)
            alias_warn(r, at, "found several addresses, expected one a line: taken apart");
        if (begin_member(r, at) < 0 || alias_add_address(r, at, m.address, m.address_len) < 0)
            return -EINVAL;
    }
}

static int read_line(struct alias_reader *r, struct line l, int dis)
{
    int comment = l.len && (*l.at == '!' || (!dis && *l.at == '#'));

    if (comment)
        return 0;
    if (l.len > ALIAS_TEXT_MAX)
        return alias_error(r, l.at, "found a line of %zu bytes, expected at most %u", l.len,
                           ALIAS_TEXT_MAX);
    return read_members(r, &l, dis);
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
