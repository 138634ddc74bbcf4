/* New addresses from templates: "*@new.example", where '*' is what the pattern left open. */
#include "route/table.h"

#include <errno.h>
#include <string.h>

#include "util/buf.h"

/* Adds text with each '*' replaced. */
static void substitute(struct buf *out, const char *text, size_t len, const char *capture)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '*')
            buf_adds(out, capture);
        else
            buf_addc(out, text[i]);
    }
}

/* The local part is put together without quotes and then gets those that it needs. */
static int add_local(struct buf *out, const char *template, size_t len, const char *capture)
{
    char bare[POSTERN_LOCAL_MAX + 1], quoted[2 * POSTERN_LOCAL_MAX + 3];
    struct buf plain = { 0 };
    int r = postern_address_unquote(template, len, bare, sizeof bare);

    if (r < 0)
        return r;
    buf_reserve(&plain, 1);
    substitute(&plain, bare, (size_t)r, capture);
    r = postern_address_quote(plain.data, plain.len, quoted, sizeof quoted);
    buf_free(&plain);
    if (r < 0)
        return r;
    buf_adds(out, quoted);
    return 0;
}

char *route_rewrite(const struct route_row *row, const struct route_match *m,
                    const struct route_address *rcpt, const char **reterr_why)
{
    char capture[ADDRESS_CAPTURE_SIZE];
    const char *at = strrchr(row->rewrite, '@');
    struct route_address probe;
    struct buf out = { 0 };
    int r;

    address_pattern_capture(m->recipient, rcpt, capture);
    r = add_local(&out, row->rewrite, (size_t)(at - row->rewrite), capture);
    if (r < 0) {
        *reterr_why = r == -ENOBUFS ? "the local part is too long"
                                    : "the local part has characters that no address may have";
        buf_free(&out);
        return NULL;
    }
    buf_addc(&out, '@');
    substitute(&out, at + 1, strlen(at + 1), capture);
    if (route_address_init(&probe, out.data, "", reterr_why) < 0)
        buf_free(&out); /* data is NULL now */
    return out.data;
}

char *route_rewrite_example(const struct route_row *row, const char **reterr_why)
{
    struct route_match match = { .failed = COND_NONE };
    struct route_address example;

    if (route_address_init(&example, "x@x", "", reterr_why) < 0)
        return NULL;
    return route_rewrite(row, &match, &example, reterr_why);
}
