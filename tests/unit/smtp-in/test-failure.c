/* Each service fails in turn: the client hears the truth, nothing is lost, nothing is left. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "talk.h"

#define NO_ROOM "452 4.3.1 Insufficient system storage, try again later\r\n"
#define UNWELL  "451 4.3.0 Mail cannot be taken now, try again later\r\n"
#define TOO_BIG "552 5.3.4 Message too big\r\n"
#define LOOP    "554 5.4.6 Too many hops: a routing loop\r\n"
#define NO_RCPT "503 5.5.1 Say RCPT first\r\n"
#define ORPHANS "500 5.5.1 Command not recognized\r\n500 5.5.1 Command not recognized\r\n"

/* One call fails; the rest of the dialogue, which ends in NOOP, is heard as written. */
static void with_failure(enum fakehost_call call, unsigned skip, int err, const char *said,
                         const char *heard)
{
    struct talk t = talk_start(NULL, NULL);

    fakehost_fail(t.h, call, skip, err);
    talk_say(&t, said);
    talk_say(&t, "NOOP\r\n");
    talk_expect(&t, heard);
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_DURABLE), 0);
    talk_end(&t);
}

static void a_spool_that_takes_nothing_new_says_so_at_MAIL(void **state)
{
    static const char said[] = "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@y.example>\r\n";

    (void)state;
    with_failure(FAKEHOST_SUBMIT_NEW, 0, -ENOSPC, said,
                 GREETING HELLO NO_ROOM "503 5.5.1 Say MAIL first\r\n" OK);
    with_failure(FAKEHOST_SUBMIT_NEW, 0, -EIO, said,
                 GREETING HELLO UNWELL "503 5.5.1 Say MAIL first\r\n" OK);
    with_failure(FAKEHOST_SUBMIT_NEW, 0, -EFBIG, said,
                 GREETING HELLO TOO_BIG "503 5.5.1 Say MAIL first\r\n" OK);
}

static void a_recipient_that_is_not_taken_is_refused_alone(void **state)
{
    static const char said[] = "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n";

    (void)state;
    with_failure(FAKEHOST_SUBMIT_RCPT, 0, -EINVAL, said,
                 GREETING HELLO OK_MAIL "501 5.1.3 <x@y.example>: Bad recipient address\r\n"
                                        "554 5.5.1 No valid recipients\r\n" OK);
    with_failure(FAKEHOST_SUBMIT_RCPT, 0, -E2BIG, said,
                 GREETING HELLO OK_MAIL "452 4.5.3 Too many recipients\r\n" NO_RCPT OK);
    with_failure(FAKEHOST_SUBMIT_RCPT, 0, -EIO, said, GREETING HELLO OK_MAIL UNWELL NO_RCPT OK);
    with_failure(FAKEHOST_ROUTE_CHECK, 0, -EINVAL, said,
                 GREETING HELLO OK_MAIL "501 5.1.3 <x@y.example>: Bad recipient address\r\n"
                                        "554 5.5.1 No valid recipients\r\n" OK);
    with_failure(FAKEHOST_ROUTE_CHECK, 0, -EIO, said,
                 GREETING HELLO OK_MAIL
                 "451 4.3.0 <x@y.example>: Cannot say where it goes now, try again later\r\n"
                 "554 5.5.1 No valid recipients\r\n" OK);
}

static void a_write_that_fails_spoils_the_message_and_nothing_else(void **state)
{
    (void)state;
    /* The first is the Received field: said instead of 354, and the content is not expected. */
    with_failure(FAKEHOST_SUBMIT_WRITE, 0, -ENOSPC, BEGIN,
                 GREETING HELLO OK_MAIL OK_RCPT NO_ROOM OK);
    with_failure(FAKEHOST_SUBMIT_WRITE, 0, -EIO, BEGIN "x\r\n.\r\n",
                 GREETING HELLO OK_MAIL OK_RCPT UNWELL ORPHANS OK);
    with_failure(FAKEHOST_SUBMIT_WRITE, 1, -ENOSPC, BEGIN "x\r\n..\r\ny\r\n.\r\n",
                 BEGUN NO_ROOM OK);
    with_failure(FAKEHOST_SUBMIT_WRITE, 2, -EIO, BEGIN "x\r\n..\r\ny\r\n.\r\n", BEGUN UNWELL OK);
    with_failure(FAKEHOST_SUBMIT_WRITE, 1, -EFBIG, BEGIN "x\r\n.\r\n", BEGUN TOO_BIG OK);
}

static void a_message_that_is_not_durable_is_not_acknowledged(void **state)
{
    static const struct {
        int err;
        const char *reply;
    } ends[] = { { -ENOSPC, NO_ROOM }, { -EIO, UNWELL }, { -ELOOP, LOOP }, { -EFBIG, TOO_BIG } };
    char heard[512];

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(heard, sizeof heard, "%s%s%s", BEGUN, ends[i].reply, OK);
        with_failure(FAKEHOST_SUBMIT_COMMIT, 0, ends[i].err, BEGIN "x\r\n.\r\n", heard);
    }
}

static void after_a_failure_the_next_message_goes_through(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    fakehost_fail(t.h, FAKEHOST_SUBMIT_COMMIT, 0, -EIO);
    talk_say(&t, BEGIN "x\r\n.\r\n" BEGIN "y\r\n.\r\n");
    talk_expect(&t, BEGUN UNWELL HELLO OK_MAIL OK_RCPT GO_AHEAD "250 2.0.0 Ok: queued as msg2\r\n");
    talk_end(&t);
}

/* --- connections that break --- */

static const char dialogue[] = BEGIN "line\r\n..\r\n.\r\nNOOP\r\n";

static void a_peer_may_vanish_at_any_byte(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof dialogue; at++) {
        for (int how = 0; how < 2; how++) {
            struct talk t = talk_start(NULL, NULL);

            fakehost_feed(t.s, dialogue, at);
            if (how)
                fakehost_feed_error(t.s, -ECONNRESET);
            else
                fakehost_feed_eof(t.s);
            fakehost_run(t.h);
            assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
            assert_int_equal(fakehost_messages(t.h, FAKEHOST_OPEN), 0);
            talk_end(&t);
        }
    }
}

/* What was accepted stays accepted, whoever is there to hear it. */
static void a_peer_may_vanish_while_the_spool_is_at_work(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    fakehost_hold(t.h, FAKEHOST_SUBMIT_COMMIT, 1);
    talk_say(&t, BEGIN "x\r\n.\r\n");
    fakehost_feed_error(t.s, -ECONNRESET);
    fakehost_run(t.h);
    assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
    fakehost_hold(t.h, FAKEHOST_SUBMIT_COMMIT, 0);
    fakehost_run(t.h);
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_DURABLE), 1);
    assert_int_equal(fakehost_logged(t.h, "smtp.accept id=msg1"), 1);
    talk_end(&t);
}

static void a_peer_may_vanish_while_we_wait_for_room(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    fakehost_write_room(t.h, 1);
    fakehost_hold(t.h, FAKEHOST_SUBMIT_ROOM, 1);
    talk_say(&t, BEGIN "x\r\n.\r\n");
    assert_true(fakehost_paused(t.s));
    fakehost_drain(t.h);
    fakehost_hold(t.h, FAKEHOST_SUBMIT_ROOM, 0);
    fakehost_feed_eof(t.s);
    fakehost_run(t.h);
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_DURABLE), 1);
    talk_end(&t);
}

static void replies_that_cannot_be_queued_end_the_connection(void **state)
{
    (void)state;
    for (unsigned skip = 0; skip < 8; skip++) {
        struct talk t = { .h = talk_host() };

        fakehost_fail(t.h, FAKEHOST_STREAM_WRITE, skip, -ENOBUFS);
        talk_open(t.h, NULL);
        t.s = fakehost_accept(t.h, NULL, "198.51.100.7");
        talk_send(&t, dialogue, sizeof dialogue - 1);
        talk_say(&t, "FOO\r\n");
        assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
        talk_end(&t);
    }
}

/* --- TLS --- */

static void a_failed_handshake_ends_the_connection(void **state)
{
    struct talk t = talk_start("tls_certificate=c.pem", NULL);

    (void)state;
    fakehost_fail(t.h, FAKEHOST_HANDSHAKE, 0, -EPROTO);
    talk_say(&t, "STARTTLS\r\n");
    talk_expect(&t, GREETING "220 2.0.0 Ready to start TLS\r\n");
    assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
    talk_end(&t);

    t = talk_start("tls_certificate=c.pem", NULL);
    fakehost_fail(t.h, FAKEHOST_STARTTLS, 0, -EBUSY);
    talk_say(&t, "STARTTLS\r\n");
    assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
    talk_end(&t);
}

/* --- opening --- */

static void what_cannot_be_opened_is_not_opened(void **state)
{
    static const enum fakehost_call calls[] = { FAKEHOST_LISTEN, FAKEHOST_TLS_NEW };

    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct fakehost *h = talk_host();

        fakehost_allow_errors(h);
        fakehost_set(h, "tls_certificate", "c.pem");
        fakehost_fail(h, calls[i], 0, -EINVAL);
        assert_int_equal(fakehost_open(h, &smtp_in_LTX_postern_plugin), -EINVAL);
        fakehost_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spool_that_takes_nothing_new_says_so_at_MAIL),
        cmocka_unit_test(a_recipient_that_is_not_taken_is_refused_alone),
        cmocka_unit_test(a_write_that_fails_spoils_the_message_and_nothing_else),
        cmocka_unit_test(a_message_that_is_not_durable_is_not_acknowledged),
        cmocka_unit_test(after_a_failure_the_next_message_goes_through),
        cmocka_unit_test(a_peer_may_vanish_at_any_byte),
        cmocka_unit_test(a_peer_may_vanish_while_the_spool_is_at_work),
        cmocka_unit_test(a_peer_may_vanish_while_we_wait_for_room),
        cmocka_unit_test(replies_that_cannot_be_queued_end_the_connection),
        cmocka_unit_test(a_failed_handshake_ends_the_connection),
        cmocka_unit_test(what_cannot_be_opened_is_not_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
