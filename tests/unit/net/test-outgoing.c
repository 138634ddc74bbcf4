/* Content on its way out: transparency, the end of data, content on disk. What is sent is
 * checked by a decoder that shares nothing with the sender, and for what it must never hold. */
#include "kit.h"
#include "net/outgoing.h"

#include <stdlib.h>

#include <postern/stream.h>

#include "net/dots.h"

static uint64_t seed = 88172645463325252u;

static unsigned dice(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 20) % n);
}

static int readies;

static void on_ready(void *ctx)
{
    (void)ctx;
    readies++;
}

/* Sends all of it, taking `grip(n)` of n bytes at a time. */
static void send_all(struct loop *l, struct outgoing *o, struct buf *wire, int pieces, size_t limit,
                     size_t (*grip)(size_t))
{
    while (!outgoing_done(o)) {
        struct iovec iov[300];
        size_t total = 0, take, left;
        int last, n = outgoing_fill(o, iov, pieces, limit, &last);

        assert_true(n >= 0 && n <= pieces);
        if (!n && !last) {
            loop_turn(l, 1);
            continue;
        }
        for (int i = 0; i < n; i++)
            total += iov[i].iov_len;
        take = left = grip(total);
        for (int i = 0; i < n && left; i++) {
            size_t m = iov[i].iov_len < left ? iov[i].iov_len : left;

            buf_add(wire, iov[i].iov_base, m);
            left -= m;
        }
        assert_int_equal(outgoing_took(o, iov, n, take), take);
    }
}

static size_t grip_all(size_t n)
{
    return n;
}

static size_t grip_some(size_t n)
{
    return n ? 1 + dice((unsigned)n) : 0;
}

static size_t grip_one(size_t n)
{
    return n ? 1 : 0;
}

/* RFC 5321 4.5.2 as a server reads it, but taking LF for a line's end as careless ones do. Adds
 * what it understood to `plain`; returns where the data ended. */
static size_t careless_decode(const struct buf *wire, struct buf *plain)
{
    size_t start = 0;

    while (start < wire->len) {
        const char *line = wire->data + start;
        const char *lf = memchr(line, '\n', wire->len - start);
        size_t len;

        assert_non_null(lf);
        len = (size_t)(lf - line) + 1;
        if ((len == 3 && !memcmp(line, ".\r\n", 3)) || (len == 2 && !memcmp(line, ".\n", 2)))
            return start + len;
        buf_add(plain, line + (*line == '.'), len - (*line == '.'));
        start += len;
    }
    fail_msg("the data have no end");
    return 0;
}

static postern_content *memory_content(const void *data, size_t n)
{
    char *copy = malloc(n + 1);

    memcpy(copy, data, n);
    return content_new_memory(copy, n);
}

/* The same bytes, to be read from a file, some way into it. */
static postern_content *disk_content(const void *data, size_t n)
{
    char path[] = "/tmp/postern-outgoing-XXXXXX";
    postern_content *c = content_new_memory(NULL, n);

    c->fd = mkstemp(path);
    assert_true(c->fd >= 0);
    unlink(path);
    c->offset = 5;
    assert_int_equal(pwrite(c->fd, "xxxxx", 5, 0), 5);
    assert_int_equal(pwrite(c->fd, data, n, 5), (ssize_t)n);
    return c;
}

static void content_drop(postern_content *c)
{
    if (c->fd >= 0)
        close(c->fd);
    content_unref(&c);
}

/* Sends `plain` in a way, and checks the wire. */
static void check(struct loop *l, const struct buf *plain, int disk, int pieces, size_t limit,
                  size_t (*grip)(size_t))
{
    postern_content *c = disk ? disk_content(plain->data, plain->len)
                              : memory_content(plain->data ? plain->data : "", plain->len);
    struct outgoing *o = outgoing_new(l, c, 0, POSTERN_CONTENT_DOTS, on_ready, NULL);
    struct buf wire = { 0 }, back = { 0 };
    size_t end = plain->len;

    send_all(l, o, &wire, pieces, limit, grip);
    assert_int_equal(careless_decode(&wire, &back), wire.len);
    /* What came back is what was sent, and CRLF if it did not end so. */
    if (plain->len && (plain->len < 2 || memcmp(plain->data + plain->len - 2, "\r\n", 2))) {
        assert_int_equal(back.len, plain->len + 2);
        assert_memory_equal(back.data + end, "\r\n", 2);
    } else {
        assert_int_equal(back.len, plain->len);
    }
    if (plain->len)
        assert_memory_equal(back.data, plain->data, plain->len);
    assert_true(wire.len >= 3);
    if (wire.len > 3)
        assert_memory_equal(wire.data + wire.len - 5, "\r\n.\r\n", 5);
    outgoing_free(&o);
    content_drop(c);
    buf_free(&wire);
    buf_free(&back);
}

static void check_text(struct loop *l, const char *text, size_t n)
{
    struct buf plain = { 0 };

    buf_add(&plain, text, n);
    for (int disk = 0; disk < 2; disk++) {
        check(l, &plain, disk, 300, 262144, grip_all);
        check(l, &plain, disk, 300, 262144, grip_one);
        check(l, &plain, disk, 2, 262144, grip_some);
        check(l, &plain, disk, 2, 1, grip_all);
        check(l, &plain, disk, 3, 7, grip_some);
    }
    buf_free(&plain);
}

static void dots_at_line_beginnings_are_doubled(void **state)
{
    static const char *const texts[] = {
        "",
        ".",
        "..",
        "...",
        "\r\n",
        "\n",
        "\r",
        ".\r\n",
        "..\r\n",
        "a.\r\n",
        "a\r\n.",
        "a\r\n.\r\n",
        "a\r\n..\r\n.b\r\n",
        "a\n.\n",
        "a\n.\r\nb",
        "a\r\n.\nb",
        "\n.\n.\n.",
        "\r.\r",
        "\r.\r\n",
        "a\r.\r\nb\r\n",
        ".a.b.c",
        "x",
        "\n.",
        "\r\n.\r",
        ".\n",
        ".\r",
        "\r\n\r\n.\r\n\r\n",
    };
    struct loop *l = loop_new(1);

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_text(l, texts[i], strlen(texts[i]));
    loop_free(&l);
}

static void every_short_text_of_dots_and_line_ends_survives(void **state)
{
    static const char letters[] = { '.', '\r', '\n', 'a' };
    struct loop *l = loop_new(1);

    (void)state;
    for (int len = 1; len <= 6; len++) {
        for (unsigned number = 0; number < 1u << (2 * len); number++) {
            struct buf plain = { 0 };

            for (int i = 0; i < len; i++)
                buf_addc(&plain, letters[number >> (2 * i) & 3]);
            check(l, &plain, 0, 2 + (int)dice(5), 1 + dice(8), grip_some);
            buf_free(&plain);
        }
    }
    loop_free(&l);
}

static void random_content_survives_from_disk_and_memory(void **state)
{
    struct loop *l = loop_new(2);

    (void)state;
    for (int round = 0; round < 6; round++) {
        struct buf plain = { 0 };
        size_t want = 500000 + dice(700000);

        while (plain.len < want) {
            switch (dice(8)) {
            case 0:
                buf_adds(&plain, "\r\n.");
                break;
            case 1:
                buf_adds(&plain, "\n.\n");
                break;
            case 2:
                buf_adds(&plain, ".\r");
                break;
            default:
                for (unsigned n = dice(3000); n; n--)
                    buf_addc(&plain, (char)(dice(30) ? 'a' + dice(26) : '.'));
                buf_adds(&plain, "\r\n");
            }
        }
        check(l, &plain, 0, 256, 262144, grip_some);
        check(l, &plain, 1, 256, 262144, grip_some);
        check(l, &plain, 1, 256, 262144, grip_all);
        buf_free(&plain);
    }
    loop_free(&l);
}

/* Pieces of a file end where they end: every two bytes may be parted by one. */
static void piece_borders_on_disk_hide_no_dot(void **state)
{
    static const char *const marks[] = { "\r\n.\r\n", "\n.\n", "\r\n..", "\r\n", "." };
    struct loop *l = loop_new(1);

    (void)state;
    for (size_t m = 0; m < sizeof marks / sizeof *marks; m++) {
        for (size_t off = 0; off <= strlen(marks[m]); off++) {
            struct buf plain = { 0 };

            buf_reserve(&plain, OUTGOING_PIECE + 10);
            while (plain.len < OUTGOING_PIECE - off)
                buf_addc(&plain, 'a');
            buf_adds(&plain, marks[m]);
            check(l, &plain, 1, 256, 262144, grip_all);
            buf_free(&plain);
        }
    }
    loop_free(&l);
}

static void without_dots_content_goes_out_as_it_is(void **state)
{
    static const char text[] = "a\r\n.\r\nb\n.\n.";
    struct loop *l = loop_new(1);

    (void)state;
    for (int disk = 0; disk < 2; disk++) {
        for (size_t at = 0; at < sizeof text; at++) {
            postern_content *c =
                disk ? disk_content(text, sizeof text - 1) : memory_content(text, sizeof text - 1);
            struct outgoing *o = outgoing_new(l, c, at, 0, on_ready, NULL);
            struct buf wire = { 0 };

            send_all(l, o, &wire, 8, 3, grip_some);
            assert_int_equal(wire.len, sizeof text - 1 - at);
            if (wire.len)
                assert_memory_equal(wire.data, text + at, wire.len);
            outgoing_free(&o);
            content_drop(c);
            buf_free(&wire);
        }
    }
    loop_free(&l);
}

static void a_file_that_is_too_short_is_an_error(void **state)
{
    struct loop *l = loop_new(1);
    postern_content *c = disk_content("short", 5);
    struct outgoing *o;
    struct iovec iov[4];
    int last, r = 0;

    (void)state;
    c->size = 500;
    readies = 0;
    o = outgoing_new(l, c, 0, POSTERN_CONTENT_DOTS, on_ready, NULL);
    for (int i = 0; i < 1000 && !readies; i++)
        loop_turn(l, 1);
    r = outgoing_fill(o, iov, 4, 1000, &last);
    assert_int_equal(r, -EIO);
    outgoing_free(&o);
    content_drop(c);
    loop_free(&l);
}

static void freed_while_a_thread_reads_it_leaves_nothing_behind(void **state)
{
    struct loop *l = loop_new(1);
    postern_content *c = disk_content("some content", 12);
    struct outgoing *o = outgoing_new(l, c, 0, 0, on_ready, NULL);

    (void)state;
    readies = 0;
    outgoing_free(&o);
    while (atomic_load(&c->refs) > 1)
        loop_turn(l, 1);
    assert_int_equal(readies, 0);
    content_drop(c);
    loop_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dots_at_line_beginnings_are_doubled),
        cmocka_unit_test(every_short_text_of_dots_and_line_ends_survives),
        cmocka_unit_test(random_content_survives_from_disk_and_memory),
        cmocka_unit_test(piece_borders_on_disk_hide_no_dot),
        cmocka_unit_test(without_dots_content_goes_out_as_it_is),
        cmocka_unit_test(a_file_that_is_too_short_is_an_error),
        cmocka_unit_test(freed_while_a_thread_reads_it_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
