/* "/FROM=user@domain" in the first line of a body. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/mail.h>

#include "message/user-from.h"

/* expected NULL: it is no such line; "": it is, with a bad address. */
static void parse(const char *line, const char *expected)
{
    const char *address = NULL, *why = NULL;
    size_t len = strlen(line), address_len = 0;
    char *exact = malloc(len + 1);
    int r;

    assert_non_null(exact);
    memcpy(exact, line, len);
    r = user_from_parse(exact, len, 0, &address, &address_len, &why);
    assert_int_equal(r, !expected ? 0 : *expected ? 1 : -EINVAL);
    if (r > 0) {
        assert_int_equal(address_len, strlen(expected));
        assert_memory_equal(address, expected, address_len);
    } else if (r < 0) {
        assert_non_null(why);
    }
    free(exact);
}

static void T_36_the_line_is_read(void **state)
{
    (void)state;
    parse("/FROM=xxx@yyy\r\n", "xxx@yyy");
    parse("/FROM=xxx@yyy\n", "xxx@yyy");
    parse("/FROM=xxx@yyy", "xxx@yyy");
    parse(" \t/from= Xxx@yyy.test \t\r\n", "Xxx@yyy.test");
    parse("/From=\"a b\"@yyy\r\n", "\"a b\"@yyy");
}

static void other_lines_are_none(void **state)
{
    (void)state;
    parse("", NULL);
    parse("\r\n", NULL);
    parse(" \r\n", NULL);
    parse("/FROM", NULL);
    parse("/FROM xxx@yyy\r\n", NULL);
    parse("/FROM =xxx@yyy\r\n", NULL);
    parse("FROM=xxx@yyy\r\n", NULL);
    parse("> /FROM=xxx@yyy\r\n", NULL);
}

static void a_bad_address_is_told(void **state)
{
    (void)state;
    parse("/FROM=\r\n", "");
    parse("/FROM=xxx\r\n", "");
    parse("/FROM=<xxx@yyy>\r\n", "");
    parse("/FROM=xxx@yyy, zzz@yyy\r\n", "");
    parse("/FROM=xxx@yyy and so on\r\n", "");
    parse("/FROM=j\xc3\xb6rg@yyy\r\n", "");
}

static void apply(const char *head, const char *expected)
{
    struct buf out = { 0 };

    assert_int_equal(user_from_apply(head, strlen(head), "x@y", 3, &out), 0);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

static void T_36_the_author_becomes_the_sender(void **state)
{
    (void)state;
    apply("A: 1\r\nFrom: Ann <ann@a>\r\nB: 2\r\n\r\n",
          "A: 1\r\nFrom: x@y\r\nSender: Ann <ann@a>\r\nB: 2\r\n\r\n");
    apply("From:\r\n Ann\r\n <ann@a>\r\n\r\n", "From: x@y\r\nSender:\r\n Ann\r\n <ann@a>\r\n\r\n");
    apply("A: 1\nFrom: ann@a\n\n", "A: 1\nFrom: x@y\nSender: ann@a\n\n");
}

static void T_36_a_sender_that_is_there_stays(void **state)
{
    (void)state;
    apply("Sender: bob@a\r\nFrom: Ann <ann@a>\r\n\r\n", "Sender: bob@a\r\nFrom: x@y\r\n\r\n");
}

/* RFC 5322 3.6.2: Sender takes one mailbox, and no group. */
static void of_several_authors_the_first_becomes_the_sender(void **state)
{
    (void)state;
    apply("From: Ann <ann@a>, bob@a\r\n\r\n", "From: x@y\r\nSender: ann@a\r\n\r\n");
    apply("From: team: Ann <ann@a>;\r\n\r\n", "From: x@y\r\nSender: ann@a\r\n\r\n");
    apply("From: nobody:;\r\n\r\n", "From: x@y\r\n\r\n");
    apply("From:\r\n\r\n", "From: x@y\r\n\r\n");
}

static void without_an_author_there_is_one_now(void **state)
{
    (void)state;
    apply("A: 1\r\n\r\n", "A: 1\r\nFrom: x@y\r\n\r\n");
    apply("A: 1\n\n", "A: 1\nFrom: x@y\n\n");
    apply("\r\n", "From: x@y\r\n\r\n");
}

static void several_from_fields_are_left_alone(void **state)
{
    static const char head[] = "From: a@a\r\nFrom: b@a\r\n\r\n";
    struct buf out = { 0 };

    (void)state;
    assert_int_equal(user_from_apply(head, strlen(head), "x@y", 3, &out), -EEXIST);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T_36_the_line_is_read),
        cmocka_unit_test(other_lines_are_none),
        cmocka_unit_test(a_bad_address_is_told),
        cmocka_unit_test(T_36_the_author_becomes_the_sender),
        cmocka_unit_test(T_36_a_sender_that_is_there_stays),
        cmocka_unit_test(of_several_authors_the_first_becomes_the_sender),
        cmocka_unit_test(without_an_author_there_is_one_now),
        cmocka_unit_test(several_from_fields_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
