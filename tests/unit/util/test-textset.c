#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "util/textset.h"

static void texts_are_in_it_once_and_in_their_order(void **state)
{
    enum { MANY = 10000 };
    struct textset s = { 0 };
    char text[32];
    size_t at = 0;

    (void)state;
    assert_false(textset_has(&s, "0"));
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "%d", i);
        assert_false(textset_has(&s, text));
        assert_int_equal(textset_add(&s, text), 0);
        assert_true(textset_has(&s, text));
    }
    assert_int_equal(s.n, MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "%d", i);
        assert_true(textset_has(&s, text));
        assert_string_equal(s.text.data + at, text);
        at += strlen(text) + 1;
    }
    assert_int_equal(at, s.text.len);
    assert_false(textset_has(&s, "10000"));
    textset_done(&s);
    assert_int_equal(s.n, 0);
    assert_false(textset_has(&s, "1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_in_it_once_and_in_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
