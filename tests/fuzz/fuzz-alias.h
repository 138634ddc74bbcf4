/* What the targets for the several syntaxes of aliases share: reads the bytes, and checks what must
 * hold of whatever was taken. */
#ifndef TESTS_FUZZ_ALIAS_H
#define TESTS_FUZZ_ALIAS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-read.h"
#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_check_lines(const struct config_errors *e)
{
    for (size_t i = 0; i < e->n; i++) {
        if (strpbrk(e->lines[i], "\n\r\033")) /* one line, and harmless to a terminal */
            abort();
    }
}

static inline void fuzz_check_target(const struct alias_target *t)
{
    struct postern_address a = { .size = sizeof a };
    struct address_fault fault;

    if (t->text[t->len] || t->len > ALIAS_TEXT_MAX)
        abort();
    if ((t->kind == ALIAS_ADDRESS || (t->kind == ALIAS_LOCAL && !(t->flags & ALIAS_OWN))) &&
        address_parse(t->text, t->len, POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, &fault) < 0)
        abort();
    if (t->kind == 0 || t->kind > ALIAS_INCLUDE)
        abort();
}

/* Every record is found by its name, and is what a record can be. */
static inline void fuzz_check_map(const struct alias_map *m)
{
    struct alias_record rec, found;
    struct alias_target t;
    size_t at = 0, n = 0;

    for (; alias_map_next(m, &at, &rec); n++) {
        const char *p = rec.targets;

        if (rec.name_len && (!alias_map_find(m, rec.name, rec.name_len, &found) ||
                             found.name != rec.name))
            abort();
        if ((rec.flags & ALIAS_RECORD_LIST) && rec.target_n < 2)
            abort();
        if (!rec.line || rec.target_n == 0)
            abort();
        for (size_t i = 0; i < rec.target_n; i++) {
            p = alias_map_target(p, &t);
            fuzz_check_target(&t);
        }
    }
    if (n != m->record_n)
        abort();
}

/* 0 or -EINVAL; what was taken is printed. */
static inline int fuzz_read(enum alias_syntax syntax, const void *data, size_t size,
                            struct buf *printed)
{
    struct alias_text text = { mem_strndup(data, size), size };
    struct alias_report report = { 0 };
    struct alias_map m;
    int r;

    alias_map_init(&m);
    r = alias_read(syntax, "f", &text, 0, &m, &report);
    if ((r < 0) != (report.errors.n > 0))
        abort(); /* refused without a word, or complained of and taken */
    fuzz_check_lines(&report.errors);
    fuzz_check_lines(&report.warnings);
    if (r == 0) {
        fuzz_check_map(&m);
        alias_print(&m, printed);
    }
    alias_map_done(&m);
    alias_report_done(&report);
    return r;
}

static inline void fuzz_syntax(enum alias_syntax syntax, const void *data, size_t size)
{
    struct buf printed = { 0 };

    fuzz_read(syntax, data, size, &printed);
    buf_free(&printed);
}

#endif
