/* The channel between supervisor and worker: messages arrive whole, with their descriptor, or not
 * at all. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/channel.h"

static int make(void **state)
{
    static int pair[2];

    *state = pair;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int unmake(void **state)
{
    int *pair = *state;

    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
    }
    return 0;
}

static void what_is_said_is_heard(void **state)
{
    int *pair = *state, fd = 7;
    struct channel_message m;

    assert_int_equal(channel_receive(pair[1], &m, &fd), 0); /* nothing yet, and no waiting */
    assert_int_equal(channel_send(pair[0], CHANNEL_HELD, 5, UINT64_MAX, "why", -1), 0);
    assert_int_equal(channel_send(pair[0], CHANNEL_DRAIN, 0, 0, NULL, -1), 0);
    assert_int_equal(channel_receive(pair[1], &m, &fd), 1);
    assert_int_equal(m.verb, CHANNEL_HELD);
    assert_int_equal(m.arg, 5);
    assert_true(m.id == UINT64_MAX);
    assert_string_equal(m.text, "why");
    assert_int_equal(fd, -1);
    assert_int_equal(channel_receive(pair[1], &m, &fd), 1);
    assert_int_equal(m.verb, CHANNEL_DRAIN);
    assert_string_equal(m.text, "");
}

static void a_long_text_is_cut(void **state)
{
    int *pair = *state, fd;
    struct channel_message m;
    char text[2 * sizeof m.text];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(channel_send(pair[0], CHANNEL_NOTICE, 0, 0, text, -1), 0);
    assert_int_equal(channel_receive(pair[1], &m, &fd), 1);
    assert_int_equal(strlen(m.text), sizeof m.text - 1);
}

static void a_descriptor_is_handed_over(void **state)
{
    int *pair = *state, fd = -1, out[2];
    struct channel_message m;
    char c = 0;

    assert_int_equal(pipe(out), 0);
    assert_int_equal(channel_send(pair[0], CHANNEL_CONNECTION, 'C', 0, NULL, out[1]), 0);
    close(out[1]);
    assert_int_equal(channel_receive(pair[1], &m, &fd), 1);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fd, "!", 1), 1);
    assert_int_equal(read(out[0], &c, 1), 1);
    assert_int_equal(c, '!');
    close(fd);
    close(out[0]);
}

static void a_stranger_s_packet_is_no_message(void **state)
{
    int *pair = *state, fd;
    struct channel_message m;

    assert_int_equal(send(pair[0], "short", 5, 0), 5);
    assert_int_equal(channel_receive(pair[1], &m, &fd), -EBADMSG);
}

static void a_full_channel_does_not_wait(void **state)
{
    int *pair = *state, r = 0, n = 0;

    while (r == 0 && n < 100000) {
        r = channel_send(pair[0], CHANNEL_HOLD, 0, (uint64_t)n, "x", -1);
        n++;
    }
    assert_int_equal(r, -EAGAIN);
}

static void the_other_side_has_gone(void **state)
{
    int *pair = *state, fd;
    struct channel_message m;

    assert_int_equal(channel_send(pair[0], CHANNEL_GO, 0, 0, NULL, -1), 0);
    close(pair[0]);
    pair[0] = -1;
    assert_int_equal(channel_receive(pair[1], &m, &fd), 1); /* what was said before counts */
    assert_int_equal(channel_receive(pair[1], &m, &fd), -ECONNRESET);
    assert_int_equal(channel_send(pair[1], CHANNEL_READY, 0, 0, NULL, -1), -EPIPE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_said_is_heard),        TEST(a_long_text_is_cut),
        TEST(a_descriptor_is_handed_over),  TEST(a_stranger_s_packet_is_no_message),
        TEST(a_full_channel_does_not_wait), TEST(the_other_side_has_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
