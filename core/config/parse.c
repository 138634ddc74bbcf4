/* config/parse.c: the text of one file to JSON (RFC 8259), or to an error with its line and
 * column. */
#include <stdlib.h>
#include <string.h>

#include "config/engine.h"
#include "config/load.h"

#define EXPECTED "expected an object: { \"section\": { ... } }"

struct place {
    size_t line, column; /* from 1; columns count characters */
};

static void step_over(struct place *p, char c)
{
    if (c == '\n') {
        p->line++;
        p->column = 1;
    } else if (((unsigned char)c & 0xc0) != 0x80) {
        p->column++;
    }
}

static void complain(struct config_errors *errors, const char *file, const struct place *p,
                     const char *what)
{
    char *where = mem_printf("%s:%zu:%zu", file, p->line, p->column);

    config_error(errors, where, NULL, "%s", what);
    free(where);
}

/* What the parser should never come to see: nesting that would eat its stack, and NUL bytes. */
static int scan(const char *file, const char *text, size_t len, struct config_errors *errors)
{
    struct place p = { 1, 1 };
    size_t depth = 0;
    int quoted = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (!c) {
            complain(errors, file, &p, "found a NUL byte, expected JSON text in UTF-8");
            return -1;
        }
        if (quoted && c == '\\' && i + 1 < len && text[i + 1]) {
            step_over(&p, c);
            c = text[++i];
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == '{' || c == '[')) {
            if (++depth > CONFIG_NESTING_MAX) {
                complain(errors, file, &p, "nested too deeply");
                return -1;
            }
        } else if (!quoted && (c == '}' || c == ']') && depth) {
            depth--;
        }
        step_over(&p, c);
    }
    return 0;
}

json_t *config_parse(const char *file, const char *text, size_t len, struct config_errors *errors)
{
    json_error_t error;
    json_t *root;
    char found[128];

    /* A byte order mark means nothing in UTF-8, but some editors leave one (RFC 8259 8.1). */
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        len -= 3;
    }
    if (scan(file, text, len, errors) < 0)
        return NULL;
    if (strspn(text, " \t\r\n") == len) {
        config_error(errors, file, NULL, "empty, " EXPECTED);
        return NULL;
    }
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        struct place p = { error.line > 0 ? (size_t)error.line : 1,
                           error.column > 0 ? (size_t)error.column : 1 };
        int comment = strstr(error.text, "near '/") || strstr(error.text, "near '#");
        int nul = json_error_code(&error) == json_error_null_character ||
            json_error_code(&error) == json_error_null_byte_in_key;
        char *what = mem_printf(
            "%s%s", nul ? "found \\u0000, expected a character that a text can hold" : error.text,
            comment ? "; JSON has no comments: say it in a \"$comment\" key" : "");

        complain(errors, file, &p, what);
        free(what);
        return NULL;
    }
    if (json_is_object(root))
        return root;
    config_error(errors, file, NULL, "found %s, " EXPECTED,
                 config_found(root, found, sizeof found));
    json_decref(root);
    return NULL;
}
