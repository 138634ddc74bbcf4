/* What changes in a message that leaves the world of CRLF, however it is cut into pieces. The
 * quoting of an mbox has its own tests beside local-mbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <postern/delivery.h>

static const struct {
    uint32_t flags;
    const char *in, *out;
} cases[] = {
    { 0, "", "" },
    { 0, "a", "a\n" },
    { 0, "a\r\n", "a\n" },
    { 0, "a\r\n\r\nb\r\n", "a\n\nb\n" },
    { 0, "From x\r\n>From y\r\n", "From x\n>From y\n" },
    { 0, "a\rb\r\r\n\r", "a\rb\r\n\r\n" },
    { POSTERN_LINES_GAP, "", "\n" },
    { POSTERN_LINES_GAP, "From x\r\n", "From x\n\n" },
    { POSTERN_LINES_QUOTE, "From x\r\n>From y", ">From x\n>>From y\n" },
    { POSTERN_LINES_QUOTE | POSTERN_LINES_GAP, "x\r\nFrom", "x\nFrom\n\n" },
};

/* Converts in pieces of `step` bytes, each in memory of its own size. */
static char *convert(uint32_t flags, const char *in, size_t step)
{
    size_t len = strlen(in), n = 0;
    char *out = calloc(1, POSTERN_LINES_ROOM(len) + 8);
    struct postern_lines l = { .size = sizeof l, .flags = flags };

    for (size_t at = 0; at < len; at += step) {
        size_t some = len - at < step ? len - at : step, made;
        char *piece = malloc(some), *room = malloc(POSTERN_LINES_ROOM(some));

        memcpy(piece, in + at, some);
        made = postern_lines_add(&l, piece, some, room);
        memcpy(out + n, room, made);
        n += made;
        free(piece);
        free(room);
    }
    n += postern_lines_end(&l, out + n);
    out[n] = '\0';
    return out;
}

static void pieces_make_no_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 1; step <= strlen(cases[i].in) + 1; step++) {
            char *out = convert(cases[i].flags, cases[i].in, step);

            assert_string_equal(out, cases[i].out);
            free(out);
        }
    }
}

static void a_separator_confuses_no_reader(void **state)
{
    char line[POSTERN_MBOX_FROM_MAX], longest[POSTERN_ADDRESS_MAX + 1];
    size_t n;
    (void)state;

    setenv("TZ", "UTC", 1);
    tzset();
    n = postern_mbox_from("a@b.example", 1795356941, line, sizeof line);
    assert_string_equal(line, "From a@b.example Sun Nov 22 14:15:41 2026\n");
    assert_int_equal(n, strlen(line));
    postern_mbox_from("", 0, line, sizeof line);
    assert_string_equal(line, "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n");
    postern_mbox_from("\"a b\"@c.example", 0, line, sizeof line);
    assert_memory_equal(line, "From \"a-b\"@c.example Thu", 24);
    postern_mbox_from("a\nFrom b", 0, line, sizeof line);
    assert_memory_equal(line, "From a?From-b Thu", 17);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    postern_mbox_from(longest, 0, line, sizeof line);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void a_field_is_found_by_its_whole_value(void **state)
{
    static const char mail[] = "Delivered-To: a@b.example \r\n"
                               "delivered-to:\r\n c@d.example\r\n"
                               "X: e@f.example\r\n\r\nDelivered-To: g@h.example\r\n";
    size_t len = sizeof mail - 1;
    (void)state;

    assert_int_equal(postern_field_holds(mail, len, "Delivered-To", "a@b.example"), 1);
    assert_int_equal(postern_field_holds(mail, len, "Delivered-To", "C@D.example"), 1);
    assert_int_equal(postern_field_holds(mail, len, "Delivered-To", "b.example"), 0);
    assert_int_equal(postern_field_holds(mail, len, "Delivered-To", "e@f.example"), 0);
    assert_int_equal(postern_field_holds(mail, len, "Delivered-To", "g@h.example"), 0);
    assert_int_equal(postern_field_holds(mail, 5, "Delivered-To", ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(a_separator_confuses_no_reader),
        cmocka_unit_test(a_field_is_found_by_its_whole_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
