/* The bytes of a record, and of file names. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spool/journal-format.h"

static const struct format_header sample = {
    .type = FORMAT_STATE,
    .length = 0x01020304,
    .synced = 0x11121314,
    .id = 0x2122232425262728,
    .payload_crc = 0x31323334,
    .salt = 0xdeadbeef,
};

static void a_header_is_laid_out_as_documented(void **state)
{
    static const unsigned char want[28] = {
        0x50, 0x53, 0x4a, 0x4e, 2,    0,    0,    0,    0x04, 0x03, 0x02, 0x01, 0x14, 0x13,
        0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x34, 0x33, 0x32, 0x31,
    };
    unsigned char out[FORMAT_HEADER];

    (void)state;
    format_header(out, &sample);
    assert_memory_equal(out, want, sizeof want);
}

static void a_header_is_read_back(void **state)
{
    unsigned char out[FORMAT_HEADER];
    struct format_header h;

    (void)state;
    memset(&h, 0, sizeof h);
    format_header(out, &sample);
    assert_int_equal(format_header_read(out, sample.salt, &h), 0);
    assert_int_equal(h.type, sample.type);
    assert_int_equal(h.length, sample.length);
    assert_int_equal(h.synced, sample.synced);
    assert_true(h.id == sample.id);
    assert_int_equal(h.payload_crc, sample.payload_crc);
    assert_int_equal(format_header_read(out, sample.salt + 1, &h), -EBADMSG);
    assert_int_equal(format_header_guess(out, &h), 0);
    assert_int_equal(h.salt, sample.salt);
}

static void every_flipped_bit_of_a_header_is_noticed(void **state)
{
    unsigned char out[FORMAT_HEADER];
    struct format_header h;

    (void)state;
    format_header(out, &sample);
    for (unsigned bit = 0; bit < 8 * FORMAT_HEADER; bit++) {
        out[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_equal(format_header_read(out, sample.salt, &h), -EBADMSG);
        out[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

static void lengths_beyond_the_limits_are_no_headers(void **state)
{
    static const struct format_header bad[] = {
        { .type = FORMAT_MESSAGE, .length = 3 },
        { .type = FORMAT_MESSAGE, .length = FORMAT_PAYLOAD_MAX + 1 },
        { .type = FORMAT_MESSAGE, .length = 100, .flags = 2 },
        { .type = FORMAT_STATE, .length = FORMAT_STATE_MAX + 1 },
        { .type = FORMAT_DONE, .length = 0 },
        { .type = FORMAT_BEGIN, .length = 31 },
        { .type = 0, .length = 4 },
        { .type = 5, .length = 4 },
    };
    unsigned char out[FORMAT_HEADER];
    struct format_header h;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        format_header(out, &bad[i]);
        assert_int_equal(format_header_guess(out, &h), -EBADMSG);
    }
}

static void a_segments_first_payload_is_read_back(void **state)
{
    const struct format_segment s = { 1, 9, 77, 0x12345678, 76, 4242, 1795360561744507, 75 };
    unsigned char out[FORMAT_SEGMENT_LEN];
    struct format_segment back;

    (void)state;
    format_segment(out, &s);
    format_segment_read(out, &back);
    assert_int_equal(back.version, 1);
    assert_int_equal(back.shard, 9);
    assert_int_equal(back.seq, 77);
    assert_int_equal(back.salt, 0x12345678);
    assert_int_equal(back.prev_seq, 76);
    assert_int_equal(back.prev_synced, 4242);
    assert_true(back.created_usec == 1795360561744507);
    assert_int_equal(back.bad_from, 75);
}

static void a_content_name_cannot_leave_its_folder(void **state)
{
    struct format_large l = { .size = 1u << 30, .crc = 5, .name = "0123456789abcdef" }, back;
    unsigned char out[FORMAT_LARGE_LEN];

    (void)state;
    format_large(out, &l);
    assert_int_equal(format_large_read(out, &back), 0);
    assert_string_equal(back.name, l.name);
    assert_true(back.size == l.size && back.crc == l.crc);
    memcpy(out + 16, "../../etc/passwd", 16);
    assert_int_equal(format_large_read(out, &back), -EBADMSG);
    memcpy(out + 16, "0123456789ABCDEF", 16);
    assert_int_equal(format_large_read(out, &back), -EBADMSG);
}

static void only_our_own_file_names_are_taken(void **state)
{
    static const char *const bad[] = {
        "1.seg",
        "0000001.seg",
        "00000000.seg",
        "000000001.seg",
        "4294967296.seg",
        "00000001.sega",
        "00000001.seg.",
        "x0000001.seg",
        "00000001",
        ".seg",
        "-0000001.seg",
        "00000001.SEG",
        "99999999999.seg",
        "",
        "00000001.damaged",
    };
    char name[FORMAT_FILE_NAME];
    uint32_t seq = 0;
    uint64_t id = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(format_segment_name_read(bad[i], ".seg", &seq), -EINVAL);
    format_segment_name(name, 1);
    assert_string_equal(name, "00000001.seg");
    format_segment_name(name, UINT32_MAX);
    assert_int_equal(format_segment_name_read(name, ".seg", &seq), 0);
    assert_true(seq == UINT32_MAX);
    format_damaged_name(name, 12);
    assert_int_equal(format_segment_name_read(name, ".damaged", &seq), 0);
    assert_int_equal(seq, 12);
    assert_int_equal(format_content_name_read("0123456789abcdef", &id), 0);
    assert_true(id == 0x0123456789abcdef);
    assert_int_equal(format_content_name_read("0123456789abcde", &id), -EINVAL);
    assert_int_equal(format_content_name_read("0123456789abcdef0", &id), -EINVAL);
    assert_int_equal(format_content_name_read("0123456789abcdef.damaged", &id), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_laid_out_as_documented),
        cmocka_unit_test(a_header_is_read_back),
        cmocka_unit_test(every_flipped_bit_of_a_header_is_noticed),
        cmocka_unit_test(lengths_beyond_the_limits_are_no_headers),
        cmocka_unit_test(a_segments_first_payload_is_read_back),
        cmocka_unit_test(a_content_name_cannot_leave_its_folder),
        cmocka_unit_test(only_our_own_file_names_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
