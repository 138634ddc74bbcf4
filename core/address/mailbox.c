/* Address lists of header fields (RFC 5322 3.4, with the obsolete forms people still type).
 * Nothing is refused here: what comes out is what the writer seems to have meant, for the
 * parser to judge. */
#include "address/mailbox.h"

#include <string.h>

#include "address/out.h"

enum token_kind { END, BLANK, COMMENT, QUOTED, LITERAL, OPEN, CLOSE, SEPARATOR, GROUP, CHARACTER };

struct token {
    enum token_kind kind;
    const char *text;
    size_t len;
};

struct walk {
    const char *p, *end;
    int in_angle, unclosed; /* unclosed: something has no end */
    char last; /* character of the word: "NODE::USER" keeps its colons, "team: ann" is a group */
};

/* What runs from an opening character to its closing one, or to the end. Comments nest. */
static size_t measure(struct walk *w, char open, char close)
{
    const char *p = w->p + 1;
    int depth = 1;

    while (p < w->end && depth) {
        if (*p == '\\' && p + 1 < w->end)
            p++;
        else if (*p == close)
            depth--;
        else if (*p == open)
            depth++;
        p++;
    }
    w->unclosed |= depth > 0;
    return (size_t)(p - w->p);
}

/* An address literal, whose colons ("[IPv6:2001:db8::1]") are no group's. */
static size_t measure_literal(const char *p, const char *end)
{
    const char *start = p;

    while (p < end && *p != ']' && *p != ',' && *p != '>')
        p++;
    return (size_t)(p - start);
}

static enum token_kind kind_of(const struct walk *w)
{
    const char c = *w->p;

    switch (c) {
    case '(':
        return COMMENT;
    case '"':
        return QUOTED;
    case '[':
        return LITERAL;
    case '<':
        return OPEN;
    case '>':
        return CLOSE;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return BLANK;
    case ',':
    case ';':
        return w->in_angle ? CHARACTER : SEPARATOR;
    case ':':
        return w->in_angle || w->last == ':' || (w->p + 1 < w->end && w->p[1] == ':') ? CHARACTER
                                                                                      : GROUP;
    default:
        return CHARACTER;
    }
}

static struct token next(struct walk *w)
{
    struct token t = { END, w->p, 1 };

    if (w->p == w->end)
        return t;
    t.kind = kind_of(w);
    if (t.kind == COMMENT)
        t.len = measure(w, '(', ')');
    else if (t.kind == QUOTED)
        t.len = measure(w, '"', '"');
    else if (t.kind == LITERAL)
        t.len = measure_literal(w->p, w->end);
    else if (t.kind == OPEN)
        w->in_angle = 1;
    else if (t.kind == CLOSE)
        w->in_angle = 0;
    if (!w->in_angle && (t.kind == CHARACTER || t.kind == LITERAL || t.kind == QUOTED))
        w->last = t.text[t.len - 1];
    w->p += t.len;
    return t;
}

/* What is handed out is C text. A NUL must not cut an address short and make it another one's: it
 * becomes a control character, which no address may have. */
static void put(struct out *o, char c)
{
    out_char(o, c ? c : '\177');
}

static void put_quoted(struct out *o, const struct token *t)
{
    const char *p = t->text + 1, *end = t->text + t->len;

    out_char(o, '"');
    for (; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end)
            put(o, *p++);
        put(o, *p);
    }
    out_char(o, '"');
}

/* The inside of a quoted string or a comment, as people read it: without the backslashes. */
static void put_plain(struct out *o, const struct token *t, char close)
{
    const char *p = t->text + 1, *end = t->text + t->len;

    if (end[-1] == close && end - 1 > t->text)
        end--;
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        put(o, *p == '\r' || *p == '\n' ? ' ' : *p);
    }
}

/* The tokens in the angle brackets, or of a mailbox without such all that is none. */
static void put_address(struct out *o, struct walk w, int has_angle)
{
    for (struct token t = next(&w); t.kind != END; t = next(&w)) {
        if (w.in_angle != has_angle || t.kind == OPEN || t.kind == CLOSE)
            continue;
        if (t.kind == QUOTED)
            put_quoted(o, &t);
        else if (t.kind == CHARACTER || t.kind == LITERAL) {
            for (size_t i = 0; i < t.len; i++)
                put(o, t.text[i]);
        }
    }
}

/* The words in front of the angle brackets. */
static void put_words(struct out *o, struct walk w)
{
    const size_t start = o->len;
    int blank = 0;

    for (struct token t = next(&w); t.kind != END; t = next(&w)) {
        if (t.kind == BLANK || t.kind == COMMENT)
            blank = 1;
        if (w.in_angle || (t.kind != CHARACTER && t.kind != QUOTED && t.kind != LITERAL))
            continue;
        if (blank && o->len > start)
            out_char(o, ' ');
        blank = 0;
        if (t.kind == QUOTED)
            put_plain(o, &t, '"');
        else {
            for (size_t i = 0; i < t.len; i++)
                put(o, t.text[i]);
        }
    }
}

/* "ann@example.org (Ann)": how names were written once. */
static void put_comment(struct out *o, struct walk w)
{
    for (struct token t = next(&w); t.kind != END; t = next(&w)) {
        if (t.kind == COMMENT) {
            put_plain(o, &t, ')');
            return;
        }
    }
}

static int is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* Blanks and comments may stand beside the dots and the at sign of an address, and between the
 * parts of a source route; elsewhere they part words that somebody else may not read as one. */
static int may_part(char before, char after, int in_angle)
{
    const char *set = in_angle ? ".@,:" : ".@";

    return is_one_of(before, set) || is_one_of(after, set);
}

static void add_piece(struct mailbox_place *p, size_t start, size_t len)
{
    size_t last = p->n ? p->n - 1 : 0;

    if (p->n && p->pieces[last].start + p->pieces[last].len == start) {
        p->pieces[last].len += len;
    } else if (p->n < MAILBOX_PIECES_MAX) {
        p->pieces[p->n].start = start;
        p->pieces[p->n++].len = len;
    } else {
        p->sound = 0;
    }
}

/* Where put_address takes its bytes from. text: what offsets count from. */
static void find_pieces(struct walk w, int has_angle, const char *text, struct mailbox_place *ret)
{
    const char *end = NULL; /* of the last one */
    size_t angles = 0;

    ret->n = 0;
    ret->sound = 1;
    for (struct token t = next(&w); t.kind != END; t = next(&w)) {
        angles += t.kind == OPEN;
        if (w.in_angle != has_angle || t.kind == OPEN || t.kind == CLOSE || t.kind == BLANK ||
            t.kind == COMMENT || t.kind == GROUP || t.kind == SEPARATOR) {
            ret->sound &= t.kind != CLOSE || has_angle;
            continue;
        }
        if (end && end != t.text && !may_part(end[-1], *t.text, w.in_angle))
            ret->sound = 0;
        add_piece(ret, (size_t)(t.text - text), t.len);
        end = t.text + t.len;
    }
    ret->sound &= !w.unclosed && !w.in_angle && angles <= 1;
}

static int give(struct walk w, int has_angle, struct postern_mailbox *ret, char *buf, size_t size)
{
    struct postern_mailbox got = { .size = sizeof got, .address = buf };
    struct out o = out_to(buf, size);

    put_address(&o, w, has_angle);
    got.address_len = o.len;
    if (got.address_len == 0)
        return 0;
    if (o.len + 1 >= size)
        return -ENOBUFS;
    o.buf[o.len++] = 0;
    got.name = buf + o.len;
    if (has_angle)
        put_words(&o, w);
    if (buf + o.len == got.name)
        put_comment(&o, w);
    if (out_end(&o) < 0)
        return -ENOBUFS;
    got.name_len = (size_t)(buf + o.len - got.name);
    *ret = got;
    return 1;
}

int mailbox_next(const char *text, size_t len, size_t *pos, struct postern_mailbox *ret,
                 struct mailbox_place *ret_place, char *buf, size_t size)
{
    while (*pos < len) {
        struct walk w = { .p = text + *pos, .end = text + len }, one = w;
        int has_angle = 0, group = 0, r;
        struct token t;

        for (t = next(&w); t.kind != END && t.kind != SEPARATOR; t = next(&w)) {
            has_angle |= t.kind == OPEN;
            if (t.kind == GROUP) {
                one.p = w.p;
                group = 1;
            }
        }
        *pos = (size_t)(w.p - text);
        one.end = t.text;
        r = give(one, has_angle, ret, buf, size);
        if (r > 0 && ret_place) {
            find_pieces(one, has_angle, text, ret_place);
            ret_place->group = group;
        }
        if (r != 0)
            return r;
    }
    return 0;
}

int postern_mailbox_next(const char *text, size_t len, size_t *pos, struct postern_mailbox *ret,
                         char *buf, size_t size)
{
    return mailbox_next(text, len, pos, ret, NULL, buf, size);
}
