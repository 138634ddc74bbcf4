/* Limits: each is reached, and not a step before. Time is one of them, and the worker's end. */
#include <stdio.h>
#include <string.h>

#include "talk.h"

#define SECOND ((uint64_t)1000000)
#define MINUTE (60 * SECOND)
#define QUEUED "250 2.0.0 Ok: queued as msg1\r\n"

static int is_closed(const struct talk *t)
{
    return fakehost_ended(t->s) == FAKEHOST_CLOSED;
}

/* Says it n times. */
static void repeat(struct talk *t, const char *text, int n)
{
    while (n-- > 0)
        talk_say(t, text);
}

/* --- connections --- */

static const char *greeting_of(struct fakehost *h, const char *peer, postern_stream **ret)
{
    postern_stream *s = fakehost_accept(h, NULL, peer);

    fakehost_run(h);
    *ret = s;
    return fakehost_output(s, NULL);
}

static void more_connections_than_allowed_are_sent_away(void **state)
{
    struct talk t = talk_start("max_connections=2", NULL);
    postern_stream *s, *second;

    (void)state;
    assert_string_equal(greeting_of(t.h, "192.0.2.1", &second), GREETING);
    assert_string_equal(greeting_of(t.h, "192.0.2.2", &s),
                        "421 4.7.0 Too many connections, try again later\r\n");
    assert_int_equal(fakehost_ended(s), FAKEHOST_CLOSED);
    talk_say(&t, "QUIT\r\n");
    assert_string_equal(greeting_of(t.h, "192.0.2.2", &s), GREETING);
    talk_end(&t);
}

static void more_connections_of_one_client_are_sent_away(void **state)
{
    struct talk t = talk_start("max_connections_per_client=2", "192.0.2.1");
    postern_stream *s;

    (void)state;
    assert_string_equal(greeting_of(t.h, "192.0.2.1", &s), GREETING);
    assert_string_equal(greeting_of(t.h, "::ffff:192.0.2.1", &s),
                        "421 4.7.0 Too many connections from your address\r\n");
    assert_string_equal(greeting_of(t.h, "192.0.2.2", &s), GREETING);
    talk_say(&t, "QUIT\r\n");
    assert_string_equal(greeting_of(t.h, "192.0.2.1", &s), GREETING);
    /* Those who may relay are not counted. */
    for (int i = 0; i < 5; i++)
        assert_string_equal(greeting_of(t.h, "127.0.0.1", &s), GREETING);
    talk_end(&t);
}

/* --- commands --- */

static void a_command_line_may_be_so_long_and_no_longer(void **state)
{
    struct talk t = talk_start(NULL, NULL);
    char line[2100];

    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "NOOP ", 5);
    memcpy(line + 2048, "\r\n", 2);
    talk_send(&t, line, 2050);
    talk_expect(&t, GREETING "250 2.0.0 Ok\r\n");
    line[2048] = 'x';
    memcpy(line + 2049, "\r\n", 2);
    talk_send(&t, line, 2051);
    talk_expect(&t, "500 5.5.2 Line too long\r\n");
    /* However it comes, and whatever follows in the same packet. */
    for (size_t i = 0; i < 2051; i++)
        talk_send(&t, line + i, 1);
    talk_expect(&t, "500 5.5.2 Line too long\r\n");
    fakehost_feed(t.s, line, 2051);
    talk_say(&t, "NOOP\r\n");
    talk_expect(&t, "500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n");
    talk_end(&t);
}

static void an_endless_line_is_held_in_no_memory_and_not_for_long(void **state)
{
    struct talk t = talk_start("command_timeout=60s", NULL);
    char junk[10000];

    (void)state;
    memset(junk, 'x', sizeof junk);
    fakehost_output_clear(t.s);
    for (int i = 0; i < 59; i++) {
        talk_send(&t, junk, sizeof junk);
        assert_int_equal(fakehost_unread(t.s), 0);
        fakehost_advance(t.h, SECOND);
    }
    assert_false(is_closed(&t));
    talk_send(&t, junk, sizeof junk);
    fakehost_advance(t.h, SECOND);
    assert_true(is_closed(&t));
    talk_expect(&t,
                "500 5.5.2 Line too long\r\n"
                "421 4.4.2 gw.example Timed out, closing the connection\r\n");
    talk_end(&t);
}

static void too_many_errors_end_the_connection(void **state)
{
    struct talk t = talk_start("max_errors=3", NULL);

    (void)state;
    repeat(&t, "FOO\r\n", 2);
    talk_say(&t, BEGIN ".\r\n"); /* a message wipes the slate */
    repeat(&t, "FOO\r\n", 2);
    assert_false(is_closed(&t));
    fakehost_output_clear(t.s);
    talk_say(&t, "FOO\r\nNOOP\r\n");
    talk_expect(&t,
                "500 5.5.1 Command not recognized\r\n"
                "421 4.7.0 Too many errors, closing the connection\r\n");
    assert_true(is_closed(&t));
    talk_end(&t);
}

static void too_many_idle_commands_end_the_connection(void **state)
{
    struct talk t = talk_start("max_idle_commands=5", NULL);

    (void)state;
    repeat(&t, "NOOP\r\n", 3);
    talk_say(&t, BEGIN ".\r\n"); /* HELO and MAIL: the fifth; then all is forgotten */
    repeat(&t, "RSET\r\n", 5);
    assert_false(is_closed(&t));
    fakehost_output_clear(t.s);
    talk_say(&t, "NOOP\r\n");
    talk_expect(&t, "421 4.7.0 Too many commands without a message, closing the connection\r\n");
    assert_true(is_closed(&t));
    talk_end(&t);
}

static void more_recipients_than_allowed_are_for_another_message(void **state)
{
    struct talk t = talk_start("max_recipients=2;max_errors=2", NULL);

    (void)state;
    talk_say(&t, "HELO c\r\nMAIL FROM:<>\r\n");
    repeat(&t, "RCPT TO:<x@y.example>\r\n", 5);
    talk_say(&t, "DATA\r\n.\r\n");
    talk_expect(&t,
                GREETING HELLO OK_MAIL OK_RCPT OK_RCPT
                "452 4.5.3 Too many recipients\r\n452 4.5.3 Too many recipients\r\n"
                "452 4.5.3 Too many recipients\r\n" GO_AHEAD QUEUED);
    assert_int_equal(fakehost_message(t.h, 0)->rcpt_n, 1); /* the same one, twice */
    talk_end(&t);
}

static void more_messages_than_allowed_need_another_connection(void **state)
{
    struct talk t = talk_start("max_messages=1", NULL);

    (void)state;
    talk_say(&t, BEGIN ".\r\nMAIL FROM:<>\r\nNOOP\r\n");
    talk_expect(&t, BEGUN QUEUED "421 4.7.0 Too many messages in one connection, come again\r\n");
    assert_true(is_closed(&t));
    talk_end(&t);
}

static void a_message_over_the_size_limit_is_read_and_refused(void **state)
{
    struct talk t = { .h = talk_host() };

    (void)state;
    fakehost_size_limit(t.h, 300);
    talk_open(t.h, NULL);
    t.s = fakehost_accept(t.h, NULL, "198.51.100.7");
    talk_say(&t, BEGIN);
    repeat(&t, "0123456789012345678901234567890123456789\r\n", 10);
    talk_say(&t, ".\r\nNOOP\r\n");
    talk_expect(&t, BEGUN "552 5.3.4 Message too big\r\n250 2.0.0 Ok\r\n");
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_ABANDONED), 1);
    talk_end(&t);
}

/* A client that sends and sends and does not read the replies is made to wait. */
static void replies_do_not_pile_up(void **state)
{
    struct talk t = talk_start("max_idle_commands=0", NULL);

    (void)state;
    fakehost_output_clear(t.s);
    fakehost_stall(t.s, 1);
    for (int i = 0; i < 100000; i++)
        fakehost_feeds(t.s, "NOOP\r\n");
    fakehost_run(t.h);
    assert_true(fakehost_unread(t.s) > 500000);
    fakehost_stall(t.s, 0);
    fakehost_run(t.h);
    assert_int_equal(fakehost_unread(t.s), 0);
    assert_int_equal(strlen(fakehost_output(t.s, NULL)), 100000 * strlen("250 2.0.0 Ok\r\n"));
    talk_end(&t);
}

static void one_who_never_reads_is_cut_off(void **state)
{
    struct talk t = talk_start("max_idle_commands=0", NULL);

    (void)state;
    fakehost_stall(t.s, 1);
    for (int i = 0; i < 100000; i++)
        fakehost_feeds(t.s, "NOOP\r\n");
    fakehost_advance(t.h, 6 * MINUTE);
    assert_true(is_closed(&t));
    talk_end(&t);
}

/* --- time --- */

static void an_idle_client_is_sent_away_after_the_command_timeout(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    fakehost_advance(t.h, 5 * MINUTE - 1);
    talk_say(&t, "NOOP\r\n");
    talk_say(&t, "NO"); /* half a command is no sign of life */
    fakehost_advance(t.h, 5 * MINUTE - 1);
    assert_false(is_closed(&t));
    fakehost_advance(t.h, 1);
    talk_expect(&t,
                GREETING "250 2.0.0 Ok\r\n"
                         "421 4.4.2 gw.example Timed out, closing the connection\r\n");
    assert_true(is_closed(&t));
    assert_int_equal(fakehost_logged(t.h, "smtp.timeout state=command"), 1);
    talk_end(&t);
}

static void content_that_stops_coming_is_given_up(void **state)
{
    struct talk t = talk_start("data_timeout=1m", NULL);

    (void)state;
    talk_say(&t, BEGIN "a\r\n");
    fakehost_advance(t.h, MINUTE - 1);
    talk_say(&t, "b\r\n");
    fakehost_advance(t.h, MINUTE - 1);
    assert_false(is_closed(&t));
    fakehost_advance(t.h, 1);
    talk_expect(&t, BEGUN "421 4.4.2 gw.example Timed out, closing the connection\r\n");
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_ABANDONED), 1);
    talk_end(&t);
}

static void content_that_drips_is_given_up_in_the_end(void **state)
{
    struct talk t = talk_start("data_timeout=1m;data_max_time=10m", NULL);

    (void)state;
    talk_say(&t, BEGIN);
    for (int i = 0; i < 11; i++) {
        assert_false(is_closed(&t));
        talk_say(&t, "drip\r\n");
        fakehost_advance(t.h, MINUTE - 1);
        if (i < 10)
            assert_false(is_closed(&t));
    }
    assert_true(is_closed(&t));
    talk_end(&t);
}

static void no_time_runs_while_the_spool_is_at_work(void **state)
{
    struct talk t = talk_start("command_timeout=1m;data_timeout=1m;data_max_time=2m", NULL);

    (void)state;
    fakehost_hold(t.h, FAKEHOST_SUBMIT_COMMIT, 1);
    talk_say(&t, BEGIN ".\r\n");
    fakehost_advance(t.h, 10 * MINUTE);
    fakehost_hold(t.h, FAKEHOST_SUBMIT_COMMIT, 0);
    fakehost_run(t.h);
    talk_expect(&t, BEGUN QUEUED);
    fakehost_advance(t.h, MINUTE - 1); /* and it begins anew */
    assert_false(is_closed(&t));
    fakehost_advance(t.h, 1);
    assert_true(is_closed(&t));
    talk_end(&t);
}

static void a_handshake_does_not_take_for_ever(void **state)
{
    struct talk t = talk_start("tls_certificate=c.pem", NULL);

    (void)state;
    fakehost_hold(t.h, FAKEHOST_HANDSHAKE, 1);
    talk_say(&t, "STARTTLS\r\n");
    fakehost_advance(t.h, 2 * MINUTE);
    talk_expect(&t, GREETING "220 2.0.0 Ready to start TLS\r\n"); /* no clear text after it */
    assert_true(is_closed(&t));
    talk_end(&t);
}

/* --- the greeting --- */

static void the_greeting_can_be_delayed(void **state)
{
    struct talk t = talk_start("greeting_delay=5s", NULL);

    (void)state;
    fakehost_advance(t.h, 5 * SECOND - 1);
    talk_expect(&t, "");
    fakehost_advance(t.h, 1);
    talk_expect(&t, GREETING);
    talk_say(&t, "QUIT\r\n");
    talk_expect(&t, BYE);
    talk_end(&t);
}

static void an_early_talker_is_refused_or_let_pass(void **state)
{
    struct talk t = talk_start("greeting_delay=5s", NULL);

    (void)state;
    talk_say(&t, "HELO c\r\n");
    talk_expect(&t, "554 5.5.1 You spoke before the greeting\r\n");
    assert_true(is_closed(&t));
    talk_end(&t);

    t = talk_start("greeting_delay=5s;early_talkers=allow", NULL);
    talk_say(&t, "HELO c\r\n");
    talk_expect(&t, "");
    fakehost_advance(t.h, 5 * SECOND);
    talk_expect(&t, GREETING HELLO);
    talk_end(&t);
}

static void local_streams_are_greeted_at_once(void **state)
{
    struct talk t = { .h = talk_host() };

    (void)state;
    talk_open(t.h, "greeting_delay=5s");
    t.s = fakehost_attach(t.h);
    fakehost_run(t.h);
    talk_expect(&t, GREETING);
    talk_end(&t);
}

/* --- the end of the worker --- */

#define GOING "421 4.3.2 Service is shutting down, try again later\r\n"

static void a_draining_worker_sends_idle_clients_away(void **state)
{
    struct talk t = talk_start(NULL, NULL);
    postern_stream *late;

    (void)state;
    fakehost_drain(t.h);
    fakehost_run(t.h);
    talk_expect(&t, GREETING GOING);
    assert_true(is_closed(&t));
    assert_string_equal(greeting_of(t.h, "192.0.2.1", &late), GOING);
    talk_end(&t);
}

static void a_draining_worker_ends_the_transactions_it_has(void **state)
{
    static const char said[] = BEGIN "x\r\n.\r\n";
    size_t mail = strlen("HELO c.example\r\nMAIL FROM:<a@b.example>\r\n");

    (void)state;
    for (size_t at = mail; at < sizeof said - 1; at++) {
        struct talk t = talk_start(NULL, NULL);

        talk_send(&t, said, at);
        fakehost_drain(t.h);
        assert_false(is_closed(&t));
        talk_send(&t, said + at, sizeof said - 1 - at);
        talk_expect(&t, BEGUN QUEUED GOING);
        assert_true(is_closed(&t));
        talk_end(&t);
    }
}

static void a_draining_worker_waits_for_the_spool(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    fakehost_hold(t.h, FAKEHOST_SUBMIT_COMMIT, 1);
    talk_say(&t, BEGIN "x\r\n.\r\n");
    fakehost_drain(t.h);
    fakehost_run(t.h);
    assert_false(is_closed(&t));
    fakehost_hold(t.h, FAKEHOST_SUBMIT_COMMIT, 0);
    fakehost_run(t.h);
    talk_expect(&t, BEGUN QUEUED GOING);
    talk_end(&t);
}

/* fakehost_close looks for what was left; here in every state a session can be in. */
static void closing_leaves_nothing_in_any_state(void **state)
{
    static const char *const said[] = {
        "", "HELO c\r\nMAIL FROM:<>\r\n", BEGIN, BEGIN "x\r\n", BEGIN "x\r\n.\r\n", "STARTTLS\r\n"
    };
    static const char *const options[] = { "tls_certificate=c.pem",
                                           "tls_certificate=c.pem;greeting_delay=1m;"
                                           "early_talkers=allow" };

    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        for (size_t o = 0; o < 2; o++) {
            struct talk t = { .h = talk_host() };

            fakehost_write_room(t.h, 1);
            fakehost_hold(t.h, FAKEHOST_SUBMIT_ROOM, i == 2);
            fakehost_hold(t.h, FAKEHOST_SUBMIT_COMMIT, 1);
            fakehost_hold(t.h, FAKEHOST_HANDSHAKE, 1);
            talk_open(t.h, options[o]);
            t.s = fakehost_accept(t.h, NULL, "198.51.100.7");
            talk_say(&t, said[i]);
            talk_end(&t);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_connections_than_allowed_are_sent_away),
        cmocka_unit_test(more_connections_of_one_client_are_sent_away),
        cmocka_unit_test(a_command_line_may_be_so_long_and_no_longer),
        cmocka_unit_test(an_endless_line_is_held_in_no_memory_and_not_for_long),
        cmocka_unit_test(too_many_errors_end_the_connection),
        cmocka_unit_test(too_many_idle_commands_end_the_connection),
        cmocka_unit_test(more_recipients_than_allowed_are_for_another_message),
        cmocka_unit_test(more_messages_than_allowed_need_another_connection),
        cmocka_unit_test(a_message_over_the_size_limit_is_read_and_refused),
        cmocka_unit_test(replies_do_not_pile_up),
        cmocka_unit_test(one_who_never_reads_is_cut_off),
        cmocka_unit_test(an_idle_client_is_sent_away_after_the_command_timeout),
        cmocka_unit_test(content_that_stops_coming_is_given_up),
        cmocka_unit_test(content_that_drips_is_given_up_in_the_end),
        cmocka_unit_test(no_time_runs_while_the_spool_is_at_work),
        cmocka_unit_test(a_handshake_does_not_take_for_ever),
        cmocka_unit_test(the_greeting_can_be_delayed),
        cmocka_unit_test(an_early_talker_is_refused_or_let_pass),
        cmocka_unit_test(local_streams_are_greeted_at_once),
        cmocka_unit_test(a_draining_worker_sends_idle_clients_away),
        cmocka_unit_test(a_draining_worker_ends_the_transactions_it_has),
        cmocka_unit_test(a_draining_worker_waits_for_the_spool),
        cmocka_unit_test(closing_leaves_nothing_in_any_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
