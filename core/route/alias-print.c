/* A map as a file in TCPware's syntax: what was read, in one spelling. */
#include <string.h>

#include "route/alias-read.h"
#include "util/buf.h"

/* In quotes, with those inside doubled. */
static void quoted(struct buf *out, const char *before, const char *text, size_t len)
{
    buf_printf(out, "\"%s", before);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            buf_addc(out, '"');
        buf_addc(out, text[i]);
    }
    buf_addc(out, '"');
}

/* An address, with TCPware's quotes in place of RFC 5321's. */
static void address(struct buf *out, const char *text, size_t len)
{
    struct postern_address a = { .size = sizeof a };
    struct address_fault fault;
    char plain[POSTERN_LOCAL_MAX + 1];
    int n;

    if (address_parse(text, len, POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, &fault) < 0)
        return;
    n = postern_address_unquote(a.local, a.local_len, plain, sizeof plain);
    if (!(a.flags & POSTERN_ADDRESS_QUOTED) && !strchr(ALIAS_MARKS, a.local[0]))
        buf_add(out, a.local, a.local_len);
    else
        quoted(out, "", plain, n < 0 ? 0 : (size_t)n);
    if (a.domain)
        buf_printf(out, "@%.*s", (int)a.domain_len, a.domain);
}

static void command(struct buf *out, const struct alias_target *t)
{
    struct buf line = { 0 };

    for (size_t i = 0; i < t->len; i++) {
        if (t->text[i])
            buf_addc(&line, t->text[i]);
        else if (i + 1 < t->len)
            buf_addc(&line, ' ');
    }
    quoted(out, "|", line.data ? line.data : "", line.len);
    buf_free(&line);
}

const char *alias_file_mark(const struct alias_target *t)
{
    const char *slash = strrchr(t->text, '/');
    int dated = t->flags & ALIAS_DATED || strcmp(t->text, ALIAS_DEV_NULL) == 0;

    return dated || strchr(slash ? slash + 1 : t->text, '.') ? ">" : ">>";
}

void alias_target_print(const struct alias_target *t, struct buf *out)
{
    switch (t->kind) {
    case ALIAS_LOCAL:
        buf_adds(out, t->flags & ALIAS_OWN ? "*" : "_");
        buf_add(out, t->text, t->len);
        break;
    case ALIAS_PIPE:
        command(out, t);
        break;
    case ALIAS_FILE:
        quoted(out, alias_file_mark(t), t->text, t->len);
        break;
    case ALIAS_INCLUDE:
        quoted(out, "<", t->text, t->len);
        break;
    default:
        address(out, t->text, t->len);
    }
}

/* Would the name be taken for something else at the beginning of a line, or of a file (where U+FEFF
 * is a byte order mark)? */
static int needs_quotes(const char *text)
{
    return *text && strchr("\"!#\xef", *text) != NULL;
}

static void name(struct buf *out, const struct alias_record *rec)
{
    const char *domain = memchr(rec->name, 0, rec->name_len);
    struct buf text = { 0 };

    alias_key_print(rec->name, rec->name_len, &text);
    if (needs_quotes(text.data)) {
        quoted(out, "", rec->name, domain ? (size_t)(domain - rec->name) : rec->name_len);
        if (domain)
            buf_printf(out, "@%s", domain + 1);
    } else {
        buf_add(out, text.data, text.len);
    }
    buf_free(&text);
}

static void record(struct buf *out, const struct alias_record *rec)
{
    int list = rec->flags & ALIAS_RECORD_LIST ? 1 : 0;
    const char *p = rec->targets;
    struct alias_target t;

    if (rec->name_len) {
        name(out, rec);
        buf_adds(out, list ? ":: " : ": ");
    }
    for (size_t i = 0; i < rec->target_n; i++) {
        p = alias_map_target(p, &t);
        buf_adds(out, i ? ", " : "");
        if (list && t.kind == ALIAS_INCLUDE)
            quoted(out, "", t.text, t.len);
        else
            alias_target_print(&t, out);
    }
    buf_adds(out, rec->name_len ? ";\n" : "\n");
}

void alias_print(const struct alias_map *m, struct buf *out)
{
    struct alias_record rec;
    size_t at = 0;

    while (alias_map_next(m, &at, &rec))
        record(out, &rec);
}
