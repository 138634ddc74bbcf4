/* Durations, sizes, globs, escapes, ids, checksums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/crc32c.h"
#include "util/text.h"

static void durations_are_read_as_people_write_them(void **state)
{
    static const struct {
        const char *text;
        int64_t usec;
    } good[] = { { "30m", 1800000000 }, { "1h30m", 5400000000 }, { "3d", 259200000000 },
                 { "0s", 0 },           { "250ms", 250000 },     { "7us", 7 },
                 { "1w", 604800000000 } };
    static const char *const bad[] = {
        "", "30", "m", "30x", "-5m", "1.5h", "30 m", "99999999999999999999s", "9999999999999w", "5M"
    };
    int64_t usec;
    char buf[64];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(text_duration_parse(good[i].text, &usec), 0);
        assert_int_equal(usec, good[i].usec);
        assert_string_equal(text_duration(usec, buf, sizeof buf), good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(text_duration_parse(bad[i], &usec) < 0);
}

static void sizes_are_powers_of_1024(void **state)
{
    static const char *const bad[] = { "",         "M", "25X", "-1", "1.5G", "9223372036854775808",
                                       "99999999T" };
    int64_t n;
    char buf[32];

    (void)state;
    assert_int_equal(text_size_parse("25M", &n), 0);
    assert_int_equal(n, 25 * 1024 * 1024);
    assert_int_equal(text_size_parse("64KiB", &n), 0);
    assert_int_equal(n, 65536);
    assert_int_equal(text_size_parse("10kb", &n), 0);
    assert_int_equal(n, 10240);
    assert_int_equal(text_size_parse("77", &n), 0);
    assert_int_equal(n, 77);
    assert_string_equal(text_size(1 << 20, buf, sizeof buf), "1M");
    assert_string_equal(text_size(1500, buf, sizeof buf), "1500");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(text_size_parse(bad[i], &n) < 0);
}

static void distance_counts_edits_without_regard_to_case(void **state)
{
    (void)state;
    assert_int_equal(text_distance("timeout", "timout"), 1);
    assert_int_equal(text_distance("Port", "port"), 0);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
}

static void globs_match_stars_and_question_marks_in_any_case(void **state)
{
    (void)state;
    assert_true(text_glob("*.Example.com", "mail.example.COM"));
    assert_false(text_glob("*.example.com", "example.com"));
    assert_true(text_glob("a*b*c", "aXXbYYbZc"));
    assert_false(text_glob("a*b*c", "aXXbYYbZ"));
    assert_true(text_glob("?ob", "Bob"));
    assert_true(text_glob("*", ""));
    assert_false(text_glob("", "x"));
    /* Linear in practice, whatever a peer sends. */
    assert_false(
        text_glob("*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void json_strings_are_valid_utf8_whatever_came_in(void **state)
{
    struct buf b = { 0 };

    (void)state;
    text_json(&b, "a\"\\\n\xc3\xa9\xff\xed\xa0\x80", 10);
    assert_string_equal(
        b.data, "\"a\\\"\\\\\\u000a\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    buf_free(&b);
}

static void ids_survive_being_written_and_sort_as_they_were_made(void **state)
{
    char a[16], b[16];
    uint64_t id;
    unsigned seed = 3;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t x = ((uint64_t)rand_r(&seed) << 33) ^ ((uint64_t)rand_r(&seed) << 11) ^
            (uint64_t)rand_r(&seed);

        assert_int_equal(text_id_parse(text_id(x, a, sizeof a), &id), 0);
        assert_true(id == x);
        if (x < UINT64_MAX)
            assert_true(strcmp(a, text_id(x + 1, b, sizeof b)) < 0);
    }
    assert_true(text_id_parse("short", &id) < 0);
    assert_true(text_id_parse("zzzzzzzzzzzzz", &id) < 0);
    assert_true(text_id_parse("000000000000u", &id) < 0);
}

static void crc32c_gives_the_published_values(void **state)
{
    unsigned char zeros[32] = { 0 }, ones[32];

    (void)state;
    memset(ones, 0xff, sizeof ones);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);      /* Castagnoli's check value */
    assert_int_equal(crc32c(0, zeros, sizeof zeros), 0x8a9136aau); /* RFC 3720 B.4 */
    assert_int_equal(crc32c(0, ones, sizeof ones), 0x62a8ab43u);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

static void decoding_past_the_end_gives_zeros_and_says_so(void **state)
{
    struct buf b = { 0 };
    struct rd r;
    size_t len;
    const char *s;

    (void)state;
    buf_put_u16(&b, 0x1234);
    buf_put_str(&b, "text");
    r = rd_of(b.data, b.len);
    assert_int_equal(rd_u16(&r), 0x1234);
    s = rd_bytes(&r, &len);
    assert_memory_equal(s, "text", 4);
    assert_false(r.bad);
    assert_int_equal(rd_u32(&r), 0);
    assert_true(r.bad);
    r = rd_of("\xff\xff\xff\xff", 4);
    rd_bytes(&r, &len);
    assert_true(r.bad);
    assert_int_equal(len, 0);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_as_people_write_them),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(distance_counts_edits_without_regard_to_case),
        cmocka_unit_test(globs_match_stars_and_question_marks_in_any_case),
        cmocka_unit_test(json_strings_are_valid_utf8_whatever_came_in),
        cmocka_unit_test(ids_survive_being_written_and_sort_as_they_were_made),
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(decoding_past_the_end_gives_zeros_and_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
