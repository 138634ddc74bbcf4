/* Firstname.Lastname (U-67) from the full names of a password file: "Beth M. Jones,Room 7" of
 * bjones makes Beth.M.Jones an alias of his. A name that two users have is nobody's; one that
 * can't be an address as it stands, or is one word, is left out: most of the kind are no people.
 * */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "route/alias-read.h"
#include "util/map.h"

#define FIELDS 7u /* login, password, uid, gid, full name, home, shell */

struct field {
    const char *at;
    size_t len;
};

/* 1 when the line has all of its fields. */
static int split(const char *p, const char *end, struct field f[FIELDS])
{
    for (size_t i = 0; i < FIELDS; i++) {
        const char *colon = i + 1 < FIELDS ? memchr(p, ':', (size_t)(end - p)) : end;

        if (!colon)
            return 0;
        f[i] = (struct field){ p, (size_t)(colon - p) };
        p = colon + (colon < end);
    }
    return 1;
}

/* Adds one character of a name; blanks become one dot between words. -EINVAL: not a plain name. */
static int put(char *name, size_t size, size_t *len, int *words, char c)
{
    if (c == ' ' || c == '\t' || c == '.') {
        if (*len && name[*len - 1] != '.')
            name[(*len)++] = '.';
    } else if (isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || c == '-' || c == '_' ||
               c == '\'') {
        *words += !*len || name[*len - 1] == '.';
        name[(*len)++] = c;
    } else {
        return -EINVAL;
    }
    return *len < size ? 0 : -EINVAL;
}

/* "&" in a full name stands for the login name, capitalised. 0 or -EINVAL. */
static int full_name(const struct field *gecos, const struct field *login, char *name, size_t size,
                     size_t *ret_len)
{
    size_t len = 0;
    int words = 0;

    for (size_t i = 0; i < gecos->len && gecos->at[i] != ','; i++) {
        if (gecos->at[i] != '&') {
            if (put(name, size, &len, &words, gecos->at[i]) < 0)
                return -EINVAL;
            continue;
        }
        for (size_t k = 0; k < login->len; k++) {
            char c = login->at[k];

            if (put(name, size, &len, &words, k ? c : (char)toupper((unsigned char)c)) < 0)
                return -EINVAL;
        }
    }
    while (len && name[len - 1] == '.')
        len--;
    *ret_len = len;
    return words > 1 ? 0 : -EINVAL;
}

struct names {
    struct alias_reader *r;
    struct map *count; /* name to the line of its first user; the same name again makes it 0 */
};

static void each_line(struct names *n,
                      int (*each)(struct names *, const struct field *, const char *, size_t),
                      int *ret)
{
    struct alias_reader *r = n->r;
    char name[POSTERN_LOCAL_MAX + 1];
    struct field f[FIELDS];
    size_t len;

    r->p = r->start;
    r->line = 1;
    while (r->p < r->end && !*ret) {
        const char *end = memchr(r->p, '\n', (size_t)(r->end - r->p));

        if (split(r->p, end ? end : r->end, f) && f[0].len &&
            full_name(&f[4], &f[0], name, sizeof name, &len) == 0)
            *ret = each(n, f, name, len);
        alias_skip_line(r);
    }
}

static int key_of(const char *name, size_t len, struct alias_key *k)
{
    struct address_fault fault;

    return alias_key_parse(k, name, len, &fault);
}

static int count_name(struct names *n, const struct field *f, const char *name, size_t len)
{
    struct alias_key k;
    void *seen;

    if (key_of(name, len, &k) < 0)
        return 0;
    seen = map_get(n->count, k.v);
    if (seen)
        alias_warn(n->r, f[4].at, "\"%.*s\" is the name of several users, and so of none", (int)len,
                   name);
    map_set(n->count, k.v, seen ? (void *)n->count : (void *)n->r);
    return 0;
}

static int add_name(struct names *n, const struct field *f, const char *name, size_t len)
{
    struct alias_reader *r = n->r;
    struct alias_key k;

    r->entry_line = r->line;
    if (key_of(name, len, &k) < 0 || map_get(n->count, k.v) != (void *)r)
        return 0;
    if (alias_begin(r, f[4].at, name, len, 0) < 0)
        return -EINVAL;
    return alias_add_address(r, f[0].at, f[0].at, f[0].len);
}

int alias_read_passwd(struct alias_reader *r)
{
    struct names n = { r, map_new() };
    int result = 0;

    each_line(&n, count_name, &result);
    each_line(&n, add_name, &result);
    map_free(&n.count, NULL);
    return result;
}
