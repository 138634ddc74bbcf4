/* config/show.c: option tables for people: lines for a terminal, tables in Markdown. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/engine.h"

#define BEGIN_MARK "<!-- options: "
#define END_MARK   "<!-- end of options -->"

static void add_choices(struct buf *out, const char *choices, const char *between)
{
    for (; *choices; choices++) {
        if (*choices == '|')
            buf_adds(out, between);
        else
            buf_addc(out, *choices);
    }
}

void config_row_facts(const struct postern_option *row, struct buf *out)
{
    const char *type = config_type_name(row->type);
    char range[80];

    buf_adds(out, type ? type : "unknown");
    if (row->choices) {
        buf_adds(out, ": ");
        add_choices(out, row->choices, ", ");
    }
    if (*config_range(row, range, sizeof range))
        buf_printf(out, "; %s", range);
    if (row->dflt)
        buf_printf(out, "; default %s", *row->dflt ? row->dflt : "empty");
    if (row->flags & POSTERN_OPT_REQUIRED)
        buf_adds(out, "; required");
    if (row->flags & (POSTERN_OPT_WRITES | POSTERN_OPT_WRITES_FILE))
        buf_adds(out, "; written to");
}

static void text_rows(const struct postern_option *table, size_t step, unsigned depth,
                      struct buf *out)
{
    struct postern_option row;

    for (size_t i = 0; config_row(table, step, i, &row); i++) {
        buf_printf(out, "%*s%s (", (int)(2 + 4 * depth), "", row.key);
        config_row_facts(&row, out);
        buf_adds(out, ")\n");
        if (row.doc)
            buf_printf(out, "%*s%s\n", (int)(6 + 4 * depth), "", row.doc);
        if (row.sub && depth < CONFIG_TABLE_DEPTH_MAX)
            text_rows(row.sub, step, depth + 1, out);
    }
}

void config_table_text(const struct postern_option *table, size_t step, struct buf *out)
{
    text_rows(table, step, 0, out);
}

static void cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '*')
            buf_addc(out, '\\');
        buf_addc(out, *text);
    }
}

static void choices_cell(struct buf *out, const char *choices)
{
    buf_adds(out, ": `");
    add_choices(out, choices, "`, `");
    buf_adds(out, "`");
}

static void markdown_row(const struct postern_option *row, const char *prefix, struct buf *out)
{
    const char *type = config_type_name(row->type);
    char range[80];

    buf_printf(out, "| `%s%s` | %s", prefix, row->key, type ? type : "unknown");
    if (row->choices)
        choices_cell(out, row->choices);
    buf_adds(out, " | ");
    if (row->dflt)
        buf_printf(out, "`%s` | ", row->dflt);
    else
        buf_adds(out, row->flags & POSTERN_OPT_REQUIRED ? "required | " : "| ");
    if (*config_range(row, range, sizeof range))
        buf_printf(out, "%s ", range);
    buf_adds(out, "| ");
    cell(out, row->doc ? row->doc : "");
    buf_adds(out, " |\n");
}

/* seen: the tables above and before, so that one used twice is written out once. */
static void markdown_rows(const struct postern_option *table, size_t step, const char *prefix,
                          const struct postern_option **seen, size_t *n, struct buf *out)
{
    struct postern_option row;

    for (size_t i = 0; config_row(table, step, i, &row); i++) {
        struct buf inner = { 0 };
        size_t known = 0;

        markdown_row(&row, prefix, out);
        while (known < *n && seen[known] != row.sub)
            known++;
        if (!row.sub || known < *n || *n == CONFIG_TABLE_DEPTH_MAX)
            continue;
        seen[(*n)++] = row.sub;
        buf_printf(&inner, "%s%s%s.", prefix, row.key, row.type == POSTERN_OPT_OBJECTS ? "[]" : "");
        markdown_rows(row.sub, step, inner.data, seen, n, out);
        buf_free(&inner);
    }
}

void config_table_markdown(const struct postern_option *table, size_t step, struct buf *out)
{
    const struct postern_option *seen[CONFIG_TABLE_DEPTH_MAX];
    size_t n = 0;

    buf_adds(out,
             "| Key | Type | Default | Range | Meaning |\n"
             "|---|---|---|---|---|\n");
    markdown_rows(table, step, "", seen, &n, out);
}

static const struct postern_option *section_table(const char *name, size_t len)
{
    for (const struct config_section *s = config_sections; s->name; s++) {
        if (strlen(s->name) == len && !memcmp(s->name, name, len))
            return s->table;
    }
    return NULL;
}

int config_markdown_refresh(const char *text, struct buf *out, char *why, size_t why_size)
{
    const char *mark;

    while ((mark = strstr(text, BEGIN_MARK))) {
        const char *name = mark + strlen(BEGIN_MARK), *end = strstr(mark, END_MARK);
        size_t len = strcspn(name, " \n");
        const struct postern_option *table = section_table(name, len);
        const char *body = name + len;

        if (!table || strncmp(body, " -->\n", 5) || !end) {
            snprintf(why, why_size, "\"" BEGIN_MARK "%.*s\": %s", (int)len, name,
                     !table     ? "there is no such section"
                         : !end ? "no \"" END_MARK "\" follows"
                                : "expected \" -->\" and a new line");
            return -EINVAL;
        }
        buf_add(out, text, (size_t)(body + 5 - text));
        config_table_markdown(table, sizeof *table, out);
        text = end;
    }
    buf_adds(out, text);
    return 0;
}
