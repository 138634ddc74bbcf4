/* Recipients taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <postern/delivery.h>

static const struct {
    const char *address, *delimiters, *local, *user, *extension, *domain;
} good[] = {
    { "bob@b.example", "+", "bob", "bob", "", "b.example" },
    { "Bob+Lists@B.example", "+", "Bob+Lists", "Bob", "Lists", "B.example" },
    { "bob+a+b@b.example", "+", "bob+a+b", "bob", "a+b", "b.example" },
    { "bob-a+b@b.example", "+-", "bob-a+b", "bob", "a+b", "b.example" },
    { "bob-a+b@b.example", "", "bob-a+b", "bob-a+b", "", "b.example" },
    { "bob+a@b.example", NULL, "bob+a", "bob+a", "", "b.example" },
    { "+a@b.example", "+", "+a", "+a", "", "b.example" },
    { "bob+@b.example", "+", "bob+", "bob", "", "b.example" },
    { "\"a b\"@b.example", "+", "a b", "a b", "", "b.example" },
    { "\"a\\\"+c\"@b.example", "+", "a\"+c", "a\"", "c", "b.example" },
    { "postmaster", "+", "postmaster", "postmaster", "", "" },
};

static void parts_are_what_they_should_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct postern_recipient r;
        const char *why = NULL;

        assert_int_equal(postern_recipient_parse(good[i].address, good[i].delimiters, &r, &why), 0);
        assert_string_equal(r.local, good[i].local);
        assert_string_equal(r.user, good[i].user);
        assert_string_equal(r.extension, good[i].extension);
        assert_string_equal(r.domain, good[i].domain);
    }
}

static void no_address_is_refused_with_words(void **state)
{
    static const char *const bad[] = { "", "@", "a@", "a b@c.example", "a@b@c.example" };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct postern_recipient r;
        const char *why = NULL;

        assert_int_equal(postern_recipient_parse(bad[i], "+", &r, &why), -EINVAL);
        assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_what_they_should_be),
        cmocka_unit_test(no_address_is_refused_with_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
