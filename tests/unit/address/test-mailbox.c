/* Mailboxes of a header field, with the names people give them. */
#include "foreign-test.h"

/* "address (name)|..." of all that are in text. */
static void check_n(const char *text, size_t len, const char *expected)
{
    char *exact = exact_copy(text, len), *buf = malloc(2 * len + 4);
    char found[512] = "";
    struct postern_mailbox one;
    size_t pos = 0, at = 0;
    int r;

    assert_non_null(buf);
    while ((r = postern_mailbox_next(exact, len, &pos, &one, buf, 2 * len + 4)) > 0) {
        assert_int_equal(strlen(one.address), one.address_len);
        assert_int_equal(strlen(one.name), one.name_len);
        at += (size_t)snprintf(found + at, sizeof found - at, "%s%s (%s)", at ? "|" : "",
                               one.address, one.name);
        assert_true(at < sizeof found);
    }
    assert_int_equal(r, 0);
    assert_int_equal(pos, len);
    assert_string_equal(found, expected);
    free(buf);
    free(exact);
}

static void check(const char *text, const char *expected)
{
    check_n(text, strlen(text), expected);
}

static void names_are_read_as_people_read_them(void **state)
{
    (void)state;
    check("ann@b.test", "ann@b.test ()");
    check("Ann Bee <ann@b.test>", "ann@b.test (Ann Bee)");
    check("Ann  \t Bee  <ann@b.test>", "ann@b.test (Ann Bee)");
    check("\"Bee, Ann\" <ann@b.test>", "ann@b.test (Bee, Ann)");
    check("\"Ann \\\"the\\\\ Bee\\\"\" <ann@b.test>", "ann@b.test (Ann \"the\\ Bee\")");
    check("Ann \"the\" Bee <ann@b.test>", "ann@b.test (Ann the Bee)");
    check("Ann\r\n Bee <ann@b.test>", "ann@b.test (Ann Bee)");
    check("=?utf-8?q?J=C3=B6rg?= <j@b.test>", "j@b.test (=?utf-8?q?J=C3=B6rg?=)");
    check("J\xc3\xb6rg <j@b.test>", "j@b.test (J\xc3\xb6rg)");
    check("A. Bee <a@b.test>", "a@b.test (A. Bee)");
}

static void a_comment_is_a_name_where_there_is_no_other(void **state)
{
    (void)state;
    check("ann@b.test (Ann Bee)", "ann@b.test (Ann Bee)");
    check("ann@b.test (Ann \\(the\\) Bee)", "ann@b.test (Ann (the) Bee)");
    check("<ann@b.test> (Ann)", "ann@b.test (Ann)");
    check("Bee <ann@b.test> (Ann)", "ann@b.test (Bee)");
    check("Ann (not) Bee <ann@b.test>", "ann@b.test (Ann Bee)");
    check("ann@b.test ()", "ann@b.test ()");
    check("ann@b.test (", "ann@b.test ()");
    check("ann@b.test (Ann", "ann@b.test (Ann)");
}

static void lists_and_groups_give_each_mailbox(void **state)
{
    (void)state;
    check("", "");
    check("undisclosed-recipients:;", "");
    check("Ann <a@b.test>, team: C <c@d.test>, e@f.test;, g@h.test",
          "a@b.test (Ann)|c@d.test (C)|e@f.test ()|g@h.test ()");
}

static void foreign_addresses_stay_whole(void **state)
{
    (void)state;
    check("NODE::USER", "NODE::USER ()");
    check("Joe <NODE::USER>", "NODE::USER (Joe)");
    check("\"SYSTM1::SMITH\"@xyzcorp.com", "\"SYSTM1::SMITH\"@xyzcorp.com ()");
    check("SMTP%\"a@b.test\"", "SMTP%\"a@b.test\" ()");
    check("<@one.test,@two.test:a@b.test>", "@one.test,@two.test:a@b.test ()");
    check("u@[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1] ()");
}

static void a_nul_is_not_an_end(void **state)
{
    (void)state;
    check_n("a@b.test\0.evil", 14, "a@b.test\x7f.evil ()");
    check_n("A\0n <a@b.test>", 14, "a@b.test (A\x7fn)");
}

static void what_does_not_fit_is_passed_over(void **state)
{
    const char *text = "somebody@example.org, a@b";
    struct postern_mailbox one;
    size_t pos = 0;
    char buf[10];

    (void)state;
    assert_int_equal(postern_mailbox_next(text, strlen(text), &pos, &one, buf, sizeof buf),
                     -ENOBUFS);
    assert_int_equal(postern_mailbox_next(text, strlen(text), &pos, &one, buf, sizeof buf), 1);
    assert_string_equal(one.address, "a@b");
    assert_int_equal(postern_mailbox_next(text, strlen(text), &pos, &one, buf, sizeof buf), 0);
    /* The address fits, its name does not. */
    pos = 0;
    assert_int_equal(postern_mailbox_next("Joe <a@b>", 9, &pos, &one, buf, 7), -ENOBUFS);
    pos = 0;
    assert_int_equal(postern_mailbox_next("Joe <a@b>", 9, &pos, &one, buf, 8), 1);
    assert_string_equal(one.name, "Joe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_as_people_read_them),
        cmocka_unit_test(a_comment_is_a_name_where_there_is_no_other),
        cmocka_unit_test(lists_and_groups_give_each_mailbox),
        cmocka_unit_test(foreign_addresses_stay_whole),
        cmocka_unit_test(a_nul_is_not_an_end),
        cmocka_unit_test(what_does_not_fit_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
