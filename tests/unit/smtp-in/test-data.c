/* The scanner of content, against a slow and plain one that looks at the whole text at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../../plugins/smtp-in/data.h"

#define MAX 256

struct meaning {
    char out[MAX];
    size_t len, used;
    unsigned faults;
    int over;
};

/* Runs the scanner, giving it `portion` bytes at a time (0: all at once). */
static void scan(const char *in, size_t len, int normalise, size_t portion, struct meaning *ret)
{
    struct smtpin_data d;
    size_t at = 0;

    memset(ret, 0, sizeof *ret);
    smtpin_data_start(&d, normalise);
    while (at < len && !d.over) {
        size_t n = portion && portion < len - at ? portion : len - at, used = 0;

        while (used < n && !d.over) {
            const char *out = NULL;
            size_t out_len = MAX, step;

            step = smtpin_data_scan(&d, in + at + used, n - used, &out, &out_len);
            assert_true(step > 0 && step <= n - used);
            assert_true(ret->len + out_len < MAX);
            memcpy(ret->out + ret->len, out, out_len);
            ret->len += out_len;
            used += step;
        }
        at += used;
    }
    ret->used = at;
    ret->faults = d.faults;
    ret->over = d.over;
}

/* Length of the line at p, its end included; *ret_eol is 2, 1 or 0 (cut off). */
static size_t line_len(const char *p, const char *end, int *ret_eol)
{
    const char *lf = memchr(p, '\n', (size_t)(end - p));

    *ret_eol = !lf ? 0 : lf > p && lf[-1] == '\r' ? 2 : 1;
    return lf ? (size_t)(lf + 1 - p) : (size_t)(end - p);
}

static void put(struct meaning *m, const char *p, size_t len)
{
    memcpy(m->out + m->len, p, len);
    m->len += len;
}

/* The same by the book: split into lines, then look at each. */
static void by_the_book(const char *in, size_t len, int normalise, struct meaning *ret)
{
    const char *p = in, *end = in + len;
    int after_lf = 0, eol;

    memset(ret, 0, sizeof *ret);
    while (p < end && !ret->over) {
        size_t n = line_len(p, end, &eol), text = n - (size_t)eol;

        if (eol == 2 && text == 1 && *p == '.' && !after_lf) {
            ret->over = 1;
            p += n;
            break;
        }
        if (memchr(p, '\r', text))
            ret->faults |= SMTPIN_DATA_BARE_CR;
        if (eol == 1 && !normalise)
            ret->faults |= SMTPIN_DATA_BARE_LF;
        if (*p == '.' && (text > 1 || (!after_lf && eol == 2)))
            put(ret, p + 1, text - 1);
        else
            put(ret, p, text);
        if (eol)
            put(ret, "\r\n", 2);
        after_lf = eol == 1;
        p += n;
    }
    ret->used = (size_t)(p - in);
}

/* Content only counts where there is no fault and the end was seen: else it is thrown away. */
static void compare(const char *in, size_t len, int normalise)
{
    struct meaning want, got;

    by_the_book(in, len, normalise, &want);
    scan(in, len, normalise, 0, &got);
    assert_int_equal(got.over, want.over);
    if (!want.over)
        return;
    assert_int_equal(got.faults, want.faults);
    assert_int_equal(got.used, want.used);
    if (want.faults)
        return;
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.out, want.out, want.len);
}

static void portions_agree(const char *in, size_t len, int normalise)
{
    struct meaning whole, parts;

    scan(in, len, normalise, 0, &whole);
    for (size_t portion = 1; portion <= 3; portion++) {
        scan(in, len, normalise, portion, &parts);
        assert_int_equal(parts.over, whole.over);
        assert_int_equal(parts.faults, whole.faults);
        assert_int_equal(parts.used, whole.used);
        if (whole.faults)
            continue;
        assert_int_equal(parts.len, whole.len);
        assert_memory_equal(parts.out, whole.out, whole.len);
    }
}

/* Every text of up to nine characters that matter, with an end of data behind it and without. */
static void every_short_text_is_read_by_the_book(void **state)
{
    static const char letters[] = { 'a', '.', '\r', '\n' };

    (void)state;
    for (unsigned len = 0; len <= 9; len++) {
        for (unsigned n = 0; n < 1u << 2 * len; n++) {
            char text[32];

            for (unsigned i = 0; i < len; i++)
                text[i] = letters[n >> 2 * i & 3];
            for (int normalise = 0; normalise < 2; normalise++) {
                memcpy(text + len, "\r\n.\r\nrest", 9);
                compare(text, len, normalise);
                compare(text, len + 9, normalise);
                portions_agree(text, len + 9, normalise);
            }
        }
    }
}

static void what_follows_the_end_is_left_alone(void **state)
{
    static const char in[] = "one\r\n..two\r\n.\r\nMAIL";
    struct meaning m;

    (void)state;
    scan(in, sizeof in - 1, 0, 0, &m);
    assert_int_equal(m.over, 1);
    assert_int_equal(m.used, sizeof in - 1 - 4);
    assert_int_equal(m.len, 11);
    assert_memory_equal(m.out, "one\r\n.two\r\n", 11);
}

/* The sequences of the SMTP smuggling papers: none of them ends a message, all are seen. */
static void no_other_sequence_ends_a_message(void **state)
{
    static const struct {
        const char *text;
        unsigned faults;
    } tries[] = {
        { "a\n.\n", SMTPIN_DATA_BARE_LF },
        { "a\n.\r\n", SMTPIN_DATA_BARE_LF },
        { "a\r\n.\n", SMTPIN_DATA_BARE_LF },
        { "a\r.\r", SMTPIN_DATA_BARE_CR },
        { "a\r\n.\r", 0 }, /* not yet known */
        { "a\r\n.\rx", SMTPIN_DATA_BARE_CR },
        { "a\r.\r\n", SMTPIN_DATA_BARE_CR },
        { "a\r\r\n.\r\r\n", SMTPIN_DATA_BARE_CR },
        { "a\r\n.\r\r\n", SMTPIN_DATA_BARE_CR },
        { "a\n\n.\r\n", SMTPIN_DATA_BARE_LF },
        { "a\n.\r\r\n", SMTPIN_DATA_BARE_LF | SMTPIN_DATA_BARE_CR },
        { "a\r\n..\r\n", 0 },
        { "a\r\n. \r\n", 0 },
        { ".\n", SMTPIN_DATA_BARE_LF },
    };
    struct meaning m;

    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        scan(tries[i].text, strlen(tries[i].text), 0, 0, &m);
        assert_int_equal(m.over, 0);
        assert_int_equal(m.faults, tries[i].faults);
        scan(tries[i].text, strlen(tries[i].text), 1, 0, &m);
        assert_int_equal(m.over, 0);
        assert_int_equal(m.faults, tries[i].faults & ~SMTPIN_DATA_BARE_LF);
    }
}

static void a_NUL_is_seen_wherever_it_stands(void **state)
{
    static const char in[] = "ab\r\n.c\r\nd";
    char text[sizeof in + 8];
    struct meaning m;

    (void)state;
    for (size_t at = 0; at < sizeof in; at++) {
        memcpy(text, in, at);
        text[at] = 0;
        memcpy(text + at + 1, in + at, sizeof in - 1 - at);
        memcpy(text + sizeof in, "\r\n.\r\n", 5);
        scan(text, sizeof in + 5, 0, 0, &m);
        assert_true(m.faults & SMTPIN_DATA_NUL);
        scan(text, sizeof in + 5, 0, 1, &m);
        assert_true(m.faults & SMTPIN_DATA_NUL);
    }
    scan(in, sizeof in - 1, 0, 0, &m);
    assert_int_equal(m.faults, 0);
}

/* That is what makes it fast: one write for any number of lines. */
static void many_lines_without_dots_are_one_stretch(void **state)
{
    static const char in[] = "one\r\ntwo\r\n\r\nthree\r\nfo";
    struct smtpin_data d;
    const char *out;
    size_t len;

    (void)state;
    smtpin_data_start(&d, 0);
    assert_int_equal(smtpin_data_scan(&d, in, sizeof in - 1, &out, &len), sizeof in - 1);
    assert_ptr_equal(out, in);
    assert_int_equal(len, sizeof in - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_text_is_read_by_the_book),
        cmocka_unit_test(what_follows_the_end_is_left_alone),
        cmocka_unit_test(no_other_sequence_ends_a_message),
        cmocka_unit_test(a_NUL_is_seen_wherever_it_stands),
        cmocka_unit_test(many_lines_without_dots_are_one_stretch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
