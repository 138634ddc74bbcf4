/* Header sections: field by field, and questions about the whole. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/mail.h>

#include "message/header.h"

static void assert_next(const char *data, size_t *pos, const char *name, const char *value)
{
    struct postern_field field;

    assert_int_equal(postern_field_next(data, strlen(data), pos, &field), 1);
    assert_int_equal(field.name_len, strlen(name));
    assert_memory_equal(field.name, name, field.name_len);
    assert_int_equal(field.value_len, strlen(value));
    assert_memory_equal(field.value, value, field.value_len);
    assert_int_equal(field.end, *pos);
    assert_ptr_equal(data + field.start, field.name);
}

static void assert_over(const char *data, size_t pos, int result, size_t body)
{
    struct postern_field field = { .name_len = 99 };

    assert_int_equal(postern_field_next(data, strlen(data), &pos, &field), result);
    assert_int_equal(pos, body);
    assert_int_equal(field.name_len, 99);
}

static void fields_come_in_order_as_they_stand(void **state)
{
    static const char data[] = "Received: from a\r\n\tby b\r\nSubject:hi\r\nX-Empty:\r\n"
                               "Old-Style : x\r\n\r\nbody\r\n";
    size_t pos = 0;

    (void)state;
    assert_next(data, &pos, "Received", " from a\r\n\tby b");
    assert_next(data, &pos, "Subject", "hi");
    assert_next(data, &pos, "X-Empty", "");
    assert_next(data, &pos, "Old-Style", " x");
    assert_over(data, pos, 0, strlen(data) - strlen("body\r\n"));
}

static void lf_alone_ends_lines_too(void **state)
{
    static const char data[] = "A: 1\n 2\nB: x\r\n\nbody";
    size_t pos = 0;

    (void)state;
    assert_next(data, &pos, "A", " 1\n 2");
    assert_next(data, &pos, "B", " x");
    assert_over(data, pos, 0, strlen(data) - strlen("body"));
}

static void a_line_that_is_no_field_ends_the_section(void **state)
{
    static const char *const bodies[] = { "hello\r\n",  " a: b\r\n", ": x\r\n", "a b: c\r\n",
                                          "From bob\n", "\x80: x",   "\r",      "a" };
    char data[64];

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_over(bodies[i], 0, -EBADMSG, 0);
        assert_int_equal(header_end(bodies[i], strlen(bodies[i])), 0);
        if (bodies[i][0] == ' ')
            continue; /* after a field that is its continuation */
        strcpy(data, "A: b\r\n");
        strcat(data, bodies[i]);
        assert_int_equal(header_end(data, strlen(data)), 6);
    }
}

static void data_may_end_anywhere(void **state)
{
    static const char data[] = "A: b\r\nC: d\r\n e\r\n\r\nf";
    /* Where the section ends when only so many bytes are there. */
    static const struct {
        size_t len, end;
    } cases[] = { { 0, 0 },   { 1, 0 },   { 2, 2 },   { 6, 6 },   { 7, 6 },   { 8, 8 },
                  { 12, 12 }, { 14, 14 }, { 16, 16 }, { 17, 16 }, { 18, 18 }, { 19, 18 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* Exactly as many bytes, so that a sanitizer sees one read too many. */
        char *copy = malloc(cases[i].len + 1);

        copy = realloc(copy, cases[i].len ? cases[i].len : 1);
        memcpy(copy, data, cases[i].len);
        assert_int_equal(header_end(copy, cases[i].len), cases[i].end);
        free(copy);
    }
}

static void names_count_without_regard_to_case(void **state)
{
    static const char data[] = "Received: a\r\nRECEIVED: b\r\nX-Received: c\r\nreceived : d\r\n\r\n"
                               "Received: in the body\r\n";

    (void)state;
    assert_int_equal(header_count(data, strlen(data), "Received"), 3);
    assert_int_equal(header_count(data, strlen(data), "received"), 3);
    assert_int_equal(header_count(data, strlen(data), "Receive"), 0);
    assert_int_equal(header_count("", 0, "Received"), 0);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Fields touch each other, lie within the data, and the iteration ends. */
static void check_iteration(const char *data, size_t len)
{
    struct postern_field field;
    size_t pos = 0, last = 0;
    int r;

    while ((r = postern_field_next(data, len, &pos, &field)) > 0) {
        assert_int_equal(field.start, last);
        assert_int_equal(field.end, pos);
        assert_true(pos > last && pos <= len);
        assert_true(field.name_len > 0);
        assert_true(field.value >= field.name + field.name_len);
        assert_true(field.value + field.value_len <= data + pos);
        last = pos;
    }
    assert_true(r == 0 || r == -EBADMSG);
    assert_true(pos >= last && pos <= len);
    assert_int_equal(header_end(data, len), pos);
}

static void random_bytes_are_walked_to_the_end(void **state)
{
    static const char alphabet[] = "aB:: \t\r\n\r\n-\x80";
    uint32_t seed = 7;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        size_t len = next_random(&seed) % 32;
        char data[32];

        for (size_t k = 0; k < len; k++)
            data[k] = alphabet[next_random(&seed) % sizeof alphabet]; /* the NUL too */
        check_iteration(data, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_order_as_they_stand),
        cmocka_unit_test(lf_alone_ends_lines_too),
        cmocka_unit_test(a_line_that_is_no_field_ends_the_section),
        cmocka_unit_test(data_may_end_anywhere),
        cmocka_unit_test(names_count_without_regard_to_case),
        cmocka_unit_test(random_bytes_are_walked_to_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
