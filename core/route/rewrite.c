/* New addresses from templates: "*@new.example", where '*' is the first thing that the pattern left
 * open, and "$1" to "$9" are all of them. */
#include "route/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

struct captures { /* where the texts come from */
    const struct address_pattern *pattern;
    const struct domain_pattern *domain;
    const struct route_address *address;
    int example; /* 1: each is "x" */
};

/* The number of the capture that stands at p, and how many bytes it takes; 0: none does. */
static unsigned placeholder(const char *p, const char *end, size_t *ret_len)
{
    *ret_len = 1;
    if (*p == '*')
        return 1;
    if (*p != '$' || p + 1 == end || p[1] < '1' || p[1] > '9')
        return 0;
    *ret_len = 2;
    return (unsigned)(p[1] - '0');
}

unsigned route_rewrite_captures(const char *template)
{
    const char *end = template + strlen(template);
    unsigned most = 0;
    size_t len;

    for (; template <end; template += len) {
        unsigned n = placeholder(template, end, &len);

        if (len == 2 && n > most)
            most = n;
    }
    return most;
}

/* Adds text with each placeholder replaced. */
static void substitute(struct buf *out, const char *text, size_t text_len, const struct captures *c)
{
    const char *end = text + text_len;
    char capture[ADDRESS_CAPTURE_SIZE];
    size_t len;

    for (; text < end; text += len) {
        unsigned n = placeholder(text, end, &len);

        if (n == 0)
            buf_addc(out, *text);
        else if (c->example)
            buf_addc(out, 'x');
        else if (address_pattern_capture(c->pattern, c->domain, c->address, n, capture) == 0)
            buf_adds(out, capture);
    }
}

/* The local part is put together without quotes and then gets those that it needs. */
static int add_local(struct buf *out, const char *template, size_t len, const struct captures *c)
{
    char bare[POSTERN_LOCAL_MAX + 1], quoted[2 * POSTERN_LOCAL_MAX + 3];
    struct buf plain = { 0 };
    int r = postern_address_unquote(template, len, bare, sizeof bare);

    if (r < 0)
        return r;
    buf_reserve(&plain, 1);
    substitute(&plain, bare, (size_t)r, c);
    r = postern_address_quote(plain.data, plain.len, quoted, sizeof quoted);
    buf_free(&plain);
    if (r < 0)
        return r;
    buf_adds(out, quoted);
    return 0;
}

static char *fill_in(const char *template, const struct captures *c, const char **reterr_why)
{
    const char *at = strrchr(template, '@');
    struct route_address probe;
    struct buf out = { 0 };
    int r = add_local(&out, template, (size_t)(at - template), c);

    if (r < 0) {
        *reterr_why = r == -ENOBUFS ? "the local part is too long"
                                    : "the local part has characters that no address may have";
        buf_free(&out);
        return NULL;
    }
    buf_addc(&out, '@');
    substitute(&out, at + 1, strlen(at + 1), c);
    if (route_address_init(&probe, out.data, "", reterr_why) < 0)
        buf_free(&out); /* data is NULL now */
    return out.data;
}

char *route_rewrite(const char *template, const struct address_pattern *pattern,
                    const struct domain_pattern *domain, const struct route_address *address,
                    const char **reterr_why)
{
    const struct captures c = { .pattern = pattern, .domain = domain, .address = address };

    return fill_in(template, &c, reterr_why);
}

/* The row's template is "*@*.example.com". The address has no source route any more, so it is local
 * part and domain, as they stand. */
char *route_complete_domain(const struct route_row *row, const struct route_address *rcpt,
                            const char **reterr_why)
{
    const char *below = strchr(row->rewrite, '@') + 2;
    char *whole = mem_printf("%s%s", rcpt->parsed.local, below);
    struct route_address probe;

    if (route_address_init(&probe, whole, "", reterr_why) == 0)
        return whole;
    free(whole);
    return NULL;
}

char *route_rewrite_example(const char *template, const char **reterr_why)
{
    const struct captures c = { .example = 1 };

    return fill_in(template, &c, reterr_why);
}
