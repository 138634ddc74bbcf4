/* Dates, status codes, and text made fit to be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <postern/mail.h>

static void set_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static void dates_are_in_the_local_zone_and_in_english(void **state)
{
    char buf[40];

    (void)state;
    set_zone("UTC");
    assert_string_equal(postern_date_format(1795356941, buf, sizeof buf),
                        "Sun, 22 Nov 2026 14:15:41 +0000");
    assert_string_equal(postern_date_format(0, buf, sizeof buf), "Thu, 1 Jan 1970 00:00:00 +0000");
    set_zone("EET-2");
    assert_string_equal(postern_date_format(1795356941, buf, sizeof buf),
                        "Sun, 22 Nov 2026 16:15:41 +0200");
    set_zone("NST3:30");
    assert_string_equal(postern_date_format(1795356941, buf, sizeof buf),
                        "Sun, 22 Nov 2026 10:45:41 -0330");
    set_zone("UTC");
}

static void a_year_that_mail_cannot_write_is_the_epoch(void **state)
{
    char buf[40];

    (void)state;
    set_zone("UTC");
    assert_string_equal(postern_date_format(INT64_MAX, buf, sizeof buf),
                        "Thu, 1 Jan 1970 00:00:00 +0000");
    assert_string_equal(postern_date_format(INT64_MIN, buf, sizeof buf),
                        "Thu, 1 Jan 1970 00:00:00 +0000");
    assert_string_equal(postern_date_format(253402300799, buf, sizeof buf),
                        "Fri, 31 Dec 9999 23:59:59 +0000");
    assert_string_equal(postern_date_format(253402300800, buf, sizeof buf),
                        "Thu, 1 Jan 1970 00:00:00 +0000");
}

static void status_codes_are_read_at_the_start(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        uint16_t status[3];
    } cases[] = {
        { "5.1.1", 5, { 5, 1, 1 } },
        { "5.1.1 no such user", 5, { 5, 1, 1 } },
        { "4.7.255: later", 7, { 4, 7, 255 } },
        { "2.0.0.", 5, { 2, 0, 0 } },
        { "5.1.10-x", 6, { 5, 1, 10 } },
        { "", 0, { 0 } },
        { "5", 0, { 0 } },
        { "5.1", 0, { 0 } },
        { "5.1.", 0, { 0 } },
        { "5..1", 0, { 0 } },
        { "5.1.x", 0, { 0 } },
        { "3.1.1", 0, { 0 } },
        { "55.1.1", 0, { 0 } },
        { "5.1234.1", 0, { 0 } },
        { "5.1.1234", 0, { 0 } },
        { "5.1.1.1", 0, { 0 } },
        { " 5.1.1", 0, { 0 } },
        { "no", 0, { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t status[3] = { 7, 7, 7 };

        assert_int_equal(postern_status_parse(cases[i].text, status), cases[i].n);
        if (cases[i].n)
            assert_memory_equal(status, cases[i].status, sizeof status);
        else
            assert_int_equal(status[0], 7);
    }
}

static void assert_clean(const char *text, size_t size, const char *expected)
{
    char buf[64];

    memset(buf, 'X', sizeof buf);
    assert_ptr_equal(postern_text_clean(text, strlen(text), buf, size), buf);
    assert_string_equal(buf, expected);
}

static void shown_text_is_one_harmless_line(void **state)
{
    (void)state;
    assert_clean("plain text", 64, "plain text");
    assert_clean("a\r\nb\tc\033[31m\x7f", 64, "a??b?c?[31m?");
    assert_clean("j\xc3\xb6rg \xe2\x82\xac", 64, "j\xc3\xb6rg \xe2\x82\xac");
    assert_clean("\xff\xc3 \xc2\x9b", 64, "?? ?");
    assert_clean("", 64, "");
}

static void text_is_cut_between_characters(void **state)
{
    char one = 'X';

    (void)state;
    assert_clean("abcdef", 4, "abc");
    assert_clean("abcdef", 7, "abcdef");
    assert_clean("ab\xe2\x82\xac", 5, "ab");
    assert_clean("ab\xe2\x82\xac", 6, "ab\xe2\x82\xac");
    assert_clean("abc", 1, "");
    postern_text_clean("abc", 3, &one, 0);
    assert_int_equal(one, 'X');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_in_the_local_zone_and_in_english),
        cmocka_unit_test(a_year_that_mail_cannot_write_is_the_epoch),
        cmocka_unit_test(status_codes_are_read_at_the_start),
        cmocka_unit_test(shown_text_is_one_harmless_line),
        cmocka_unit_test(text_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
