/* damaged.c: recipients that relays have damaged on the way (docs/addresses.md, "What relays
 * break"): what the strict grammar refuses, and still can mean but one thing.
 *
 * How they are put right is the library's business. Here it is seen to that nothing becomes an
 * address that way which is none: outside of quotes there may be atoms, dots and colons only, so no
 * blanks, no second address, no second path, and nowhere a control character. */
#include <errno.h>
#include <string.h>

#include "grammar.h"

/* RFC 5321 4.1.2's atext with the dot, and what parts DECnet nodes. Letters of other alphabets are
 * judged by the parser. */
static int is_bare(unsigned char c)
{
    return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
        (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-/=?^_`{|}~.:", c));
}

/* Is it a foreign address, with quotes of its own that pair, escaped or not? */
static int is_foreign(const char *p, size_t n)
{
    int quoted = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        if (c == '\\') {
            if (++i == n || (p[i] != '"' && p[i] != '\\'))
                return 0;
            c = (unsigned char)p[i];
        }
        if (c < ' ' || c == 0x7f)
            return 0;
        if (c == '"')
            quoted = !quoted;
        else if (!quoted && !is_bare(c))
            return 0;
    }
    return !quoted;
}

static void note_rule(void *ctx, const char *rule, const char *before, size_t before_len,
                      const char *after, size_t after_len)
{
    (void)before;
    (void)before_len;
    (void)after;
    (void)after_len;
    ((struct smtpin_mended *)ctx)->rule = rule;
}

int smtpin_mend(struct smtpin_span inside, struct smtpin_mended *ret)
{
    const struct postern_address_site site = { .size = sizeof site, .step = note_rule, .ctx = ret };
    const char *at = inside.n ? memrchr(inside.p, '@', inside.n) : NULL;
    size_t n = at ? (size_t)(at - inside.p) : 0;
    int outer = n >= 2 && inside.p[0] == '"' && inside.p[n - 1] == '"';

    ret->rule = NULL;
    if (!is_foreign(inside.p + outer, n - 2 * (size_t)outer) ||
        postern_address_repair(&site, inside.p, inside.n, ret->address, sizeof ret->address, NULL) <
            0)
        return -EINVAL;
    return ret->rule ? 0 : -EINVAL;
}
