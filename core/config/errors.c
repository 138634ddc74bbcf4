/* config/errors.c: the list of what is wrong, one line each. */
#include "config/config.h"

#include <stdarg.h>
#include <stdlib.h>

#include "config/engine.h"
#include "util/buf.h"

/* Keys and values are the operator's, or whoever's who got at the file: no line of ours may be made
 * to look like two, or to move a terminal's cursor. */
static char *one_line(const struct buf *raw)
{
    struct buf clean = { 0 };

    for (size_t i = 0; i < raw->len; i++) {
        unsigned char c = (unsigned char)raw->data[i];

        if (i >= CONFIG_LINE_MAX && (c & 0xc0) != 0x80) { /* not inside a UTF-8 character */
            buf_adds(&clean, "...");
            break;
        }
        if (c < 0x20 || c == 0x7f)
            buf_printf(&clean, "\\x%02x", c);
        else
            buf_addc(&clean, (char)c);
    }
    buf_reserve(&clean, 1);
    clean.data[clean.len] = '\0';
    return clean.data;
}

static void add_line(struct config_errors *e, char *line)
{
    e->lines = mem_realloc(e->lines, (e->n + 1) * sizeof *e->lines);
    e->lines[e->n++] = line;
}

void config_error(struct config_errors *e, const char *file, const char *pointer, const char *fmt,
                  ...)
{
    struct buf line = { 0 };
    va_list ap;

    if (e->n > CONFIG_ERRORS_MAX)
        return;
    if (e->n == CONFIG_ERRORS_MAX) {
        add_line(e, mem_strdup("too many errors: the rest is not shown"));
        return;
    }
    if (file)
        buf_adds(&line, file);
    if (pointer && *pointer)
        buf_printf(&line, "#%s", pointer);
    if (line.len)
        buf_adds(&line, ": ");
    va_start(ap, fmt);
    buf_vprintf(&line, fmt, ap);
    va_end(ap);
    add_line(e, one_line(&line));
    buf_free(&line);
}

void config_errors_free(struct config_errors *e)
{
    for (size_t i = 0; i < e->n; i++)
        free(e->lines[i]);
    free(e->lines);
    e->lines = NULL;
    e->n = 0;
}
