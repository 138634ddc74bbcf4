/* Alias texts for tests: read by one of the readers, shown in one spelling, with what was said. */
#ifndef TESTS_ROUTE_ALIAS_KIT_H
#define TESTS_ROUTE_ALIAS_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "route/alias-read.h"
#include "util/buf.h"

struct kit {
    struct alias_map map;
    struct alias_report report;
    struct buf printed;
    int r;
};

static inline void kit_read_bytes(struct kit *k, enum alias_syntax syntax, const char *data,
                                  size_t len)
{
    struct alias_text text = { mem_strndup(data, len), len };

    memset(k, 0, sizeof *k);
    alias_map_init(&k->map);
    k->r = alias_read(syntax, "f", &text, 0, &k->map, &k->report);
    buf_reserve(&k->printed, 1);
    k->printed.data[0] = 0;
    if (k->r == 0)
        alias_print(&k->map, &k->printed);
}

static inline void kit_read(struct kit *k, enum alias_syntax syntax, const char *text)
{
    kit_read_bytes(k, syntax, text, strlen(text));
}

static inline void kit_done(struct kit *k)
{
    alias_map_done(&k->map);
    alias_report_done(&k->report);
    buf_free(&k->printed);
}

static inline void kit_show(const struct kit *k)
{
    for (size_t i = 0; i < k->report.errors.n; i++)
        print_message("error: %s\n", k->report.errors.lines[i]);
    for (size_t i = 0; i < k->report.warnings.n; i++)
        print_message("warning: %s\n", k->report.warnings.lines[i]);
}

/* Reads what is good, and is shown so; warnings are the lines that were said, NULL ends. */
static inline void kit_good(enum alias_syntax syntax, const char *text, const char *printed,
                            const char *const *warnings)
{
    struct kit k;
    size_t n = 0;

    kit_read(&k, syntax, text);
    if (k.r < 0)
        kit_show(&k);
    assert_int_equal(k.r, 0);
    assert_int_equal(k.report.errors.n, 0);
    assert_string_equal(k.printed.data, printed);
    for (; warnings && warnings[n]; n++) {
        assert_true(n < k.report.warnings.n);
        assert_string_equal(k.report.warnings.lines[n], warnings[n]);
    }
    if (k.report.warnings.n != n)
        kit_show(&k);
    assert_int_equal(k.report.warnings.n, n);
    kit_done(&k);
}

/* Refused, with this one complaint. */
static inline void kit_bad(enum alias_syntax syntax, const char *text, const char *complaint)
{
    struct kit k;

    kit_read(&k, syntax, text);
    assert_int_equal(k.r, -EINVAL);
    assert_int_equal(k.report.errors.n, 1);
    assert_string_equal(k.report.errors.lines[0], complaint);
    kit_done(&k);
}

#endif
