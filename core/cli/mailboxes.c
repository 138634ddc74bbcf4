/* cli/mailboxes.c: see mailboxes.h (RFC 5322 3.4, with the obsolete forms people still type). */
#include "cli/mailboxes.h"

#include <jansson.h>
#include <string.h>

#include "util/buf.h"

struct scan {
    const char *p, *end;
    struct buf word;  /* the text outside of <>, without white space and comments */
    struct buf angle; /* what stood in <> */
    int has_angle;
};

/* What is handed out is C text. A NUL must not cut an address short and make it another one's: it
 * becomes a control character, which no address may have. */
static void add(struct buf *to, char c)
{
    buf_addc(to, c ? c : '\177');
}

/* p is behind the opening one; comments nest. */
static void skip_comment(struct scan *s)
{
    int depth = 1;

    while (s->p < s->end && depth) {
        if (*s->p == '\\' && s->p + 1 < s->end)
            s->p++;
        else if (*s->p == '(')
            depth++;
        else if (*s->p == ')')
            depth--;
        s->p++;
    }
}

static void copy_quoted(struct scan *s, struct buf *to)
{
    buf_addc(to, '"');
    while (s->p < s->end && *s->p != '"') {
        if (*s->p == '\\' && s->p + 1 < s->end)
            add(to, *s->p++);
        add(to, *s->p++);
    }
    buf_addc(to, '"');
    if (s->p < s->end)
        s->p++;
}

/* An address literal, whose colons ("[IPv6:2001:db8::1]") are no group's. The bracket was taken. */
static void copy_literal(struct scan *s, struct buf *to)
{
    buf_addc(to, '[');
    while (s->p < s->end && *s->p != ']' && *s->p != ',' && *s->p != '>')
        add(to, *s->p++);
}

static void flush(struct scan *s, void (*each)(void *ctx, const char *address), void *ctx)
{
    struct buf *from = s->has_angle ? &s->angle : &s->word;
    const char *addr = from->len ? from->data : NULL;

    if (addr && addr[0] == '@') { /* a source route: what counts is behind the colon */
        const char *colon = strchr(addr, ':');

        addr = colon ? colon + 1 : NULL;
    }
    if (addr && *addr)
        each(ctx, addr);
    buf_clear(&s->word);
    buf_clear(&s->angle);
    s->has_angle = 0;
}

static void scan_char(struct scan *s, char c, int *in_angle,
                      void (*each)(void *ctx, const char *address), void *ctx)
{
    struct buf *to = *in_angle ? &s->angle : &s->word;

    if (c == '(')
        skip_comment(s);
    else if (c == '"')
        copy_quoted(s, to);
    else if (c == '[')
        copy_literal(s, to);
    else if (c == '<')
        *in_angle = s->has_angle = 1;
    else if (c == '>')
        *in_angle = 0;
    else if (!*in_angle && (c == ',' || c == ';'))
        flush(s, each, ctx);
    else if (!*in_angle && c == ':' && !(s->p < s->end && *s->p == ':') &&
             !(s->word.len && s->word.data[s->word.len - 1] == ':'))
        buf_clear(&s->word); /* a group's name; but NODE::USER keeps its colons */
    else if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
        add(to, c);
}

void mailboxes_each(const char *text, size_t len, void (*each)(void *ctx, const char *address),
                    void *ctx)
{
    struct scan s = { .p = text, .end = text + len };
    int in_angle = 0;

    while (s.p < s.end) {
        char c = *s.p++;

        scan_char(&s, c, &in_angle, each, ctx);
    }
    flush(&s, each, ctx);
    buf_free(&s.word);
    buf_free(&s.angle);
}

void mailboxes_append(void *ctx, const char *address)
{
    json_t *text = json_string(address);

    json_array_append_new(ctx, text ? text : json_null());
}
