/* What comes after DATA: the bytes that are handed over, the Received field, and smuggling. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"

#define QUEUED "250 2.0.0 Ok: queued as msg1\r\n"
#define SECOND "MAIL FROM:<forged@b.example>\r\nRCPT TO:<x@y.example>\r\nDATA\r\nforged\r\n.\r\n"

static void assert_body(struct talk *t, size_t i, const char *want, size_t want_len)
{
    size_t len;
    const char *body = talk_body(fakehost_message(t->h, i), &len);

    assert_int_equal(len, want_len);
    assert_memory_equal(body, want, len);
}

static void dots_are_taken_off_and_nothing_else(void **state)
{
    static const char body[] =
        "Subject: x\r\n\r\n.one\r\n..\r\n. \r\n\ttab\r\n\xff\x80 8-bit\r\n\r\n";
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    talk_say(&t,
             BEGIN "Subject: x\r\n\r\n..one\r\n...\r\n.. \r\n\ttab\r\n\xff\x80 8-bit\r\n\r\n.\r\n");
    talk_expect(&t, BEGUN QUEUED);
    assert_body(&t, 0, body, sizeof body - 1);
    talk_end(&t);
}

/* --- Received --- */

static void assert_received(const char *options, const char *peer, const char *said,
                            const char *want)
{
    struct talk t = { .h = talk_host() };
    const struct fakehost_message *m;

    talk_open(t.h, options);
    t.s = peer ? fakehost_accept(t.h, NULL, peer) : fakehost_attach(t.h);
    talk_say(&t, said);
    m = fakehost_message(t.h, 0);
    assert_non_null(m);
    assert_memory_equal(m->data, want, strlen(want));
    talk_end(&t);
}

static void a_Received_field_stands_first(void **state)
{
    (void)state;
    assert_received(NULL, "192.0.2.7", BEGIN ".\r\n",
                    "Received: from c.example ([192.0.2.7])\r\n"
                    "\tby gw.example with SMTP id msg1\r\n\tfor <x@y.example>;\r\n\t");
    assert_received(NULL, "2001:db8::7",
                    "EHLO [x]\r\nMAIL FROM:<>\r\nRCPT TO:<x@y.example>\r\n"
                    "RCPT TO:<z@y.example>\r\nDATA\r\n.\r\n",
                    "Received: from [x] ([IPv6:2001:db8::7])\r\n"
                    "\tby gw.example with ESMTP id msg1;\r\n\t");
    assert_received(NULL, NULL,
                    "EHLO c\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<\xc3\xbc@y.example>\r\n"
                    "DATA\r\n.\r\n",
                    "Received: from c (local)\r\n\tby gw.example with UTF8SMTP id msg1\r\n"
                    "\tfor <\xc3\xbc@y.example>;\r\n\t");
}

static void the_date_in_Received_is_one(void **state)
{
    struct talk t = talk_start(NULL, NULL);
    const char *date;
    char day[4], month[4], end;
    int d, y, hh, mm, ss, zone;

    (void)state;
    talk_say(&t, BEGIN ".\r\n");
    date = strstr(fakehost_message(t.h, 0)->data, ";\r\n\t");
    assert_non_null(date);
    assert_int_equal(sscanf(date, ";\r\n\t%3s, %d %3s %d %d:%d:%d %d%c", day, &d, month, &y, &hh,
                            &mm, &ss, &zone, &end),
                     9);
    assert_true(y >= 2024 && end == '\r');
    talk_end(&t);
}

/* --- smuggling --- */

/* Each is meant as an end of data by somebody; with a forged message behind it. */
static const char *const smuggles[] = {
    "\n.\n",     "\n.\r\n",   "\r\n.\n",     "\r.\r",     "\r.\r\n",       "\r\n.\r",
    "\r.\n",     "\n.\r",     "\r\n\r.\r\n", "\n\n.\r\n", "\r\r\n.\r\r\n", "\r\n.\r\r\n",
    "\n\r\n.\n", "\n\r.\n\r", "\r\n.\n\r\n", "\n.\r\r\n",
};

static void a_smuggled_message_is_refused_with_the_one_around_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof smuggles / sizeof *smuggles; i++) {
        struct talk t = talk_start(NULL, NULL);
        const char *heard;

        talk_say(&t, BEGIN "text");
        talk_say(&t, smuggles[i]);
        talk_say(&t, SECOND "NOOP\r\n");
        heard = fakehost_output(t.s, NULL);
        assert_non_null(strstr(heard, BEGUN "554 5.6.0 Message refused: bare "));
        assert_null(strstr(heard, "queued"));
        assert_int_equal(fakehost_messages(t.h, FAKEHOST_DURABLE), 0);
        assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
        assert_int_equal(fakehost_logged(t.h, "smtp.reject stage=content"), 1);
        talk_end(&t);
    }
}

/* The peer may go on for long; the spool need not hold what is refused. */
static void a_refused_message_is_let_go_at_once(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    talk_say(&t, BEGIN "good\r\n");
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_OPEN), 1);
    talk_say(&t, "bad\nand more\r\n");
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_ABANDONED), 1);
    talk_expect(&t, BEGUN);
    talk_end(&t);
}

static void bare_CR_is_refused_from_everyone(void **state)
{
    struct talk t = talk_start("bare_lf_from=198.51.100.7", NULL);

    (void)state;
    talk_say(&t, BEGIN "a\rb\r\n.\r\n");
    talk_expect(&t, BEGUN "554 5.6.0 Message refused: bare CR in content\r\n");
    assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
    talk_end(&t);
}

/* Whoever may send bare LFs gets them normalised, but cannot smuggle: the end is as strict. */
static void bare_LF_is_normalised_where_it_is_allowed(void **state)
{
    static const char *const ends[] = { "\n.\n", "\n.\r\n", "\r\n.\n", "\n\n.\r\n" };

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct talk t = talk_start("bare_lf_from=198.51.100.7", NULL);

        talk_say(&t, BEGIN "text");
        talk_say(&t, ends[i]);
        talk_say(&t, SECOND);
        talk_expect(&t, BEGUN QUEUED);
        assert_int_equal(fakehost_messages(t.h, FAKEHOST_DURABLE), 1);
        assert_non_null(strstr(fakehost_message(t.h, 0)->data, "\r\nMAIL FROM:<forged@b.example>"));
        talk_end(&t);
    }
}

static void a_normalised_message_has_only_CRLF(void **state)
{
    static const char want[] = "a\r\n\r\nb\r\n.\r\n.c\r\nd\r\n";
    struct talk t = talk_start("bare_lf_from=198.51.100.7", NULL);

    (void)state;
    talk_say(&t, BEGIN "a\n\nb\n.\n..c\nd\n\r\n.\r\n");
    talk_expect(&t, BEGUN QUEUED);
    assert_body(&t, 0, "a\r\n\r\nb\r\n.\r\n.c\r\nd\r\n\r\n", sizeof want - 1 + 2);
    talk_end(&t);
}

static void NUL_is_refused_unless_it_is_let_pass(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    talk_say(&t, BEGIN "a");
    talk_send(&t, "\0", 1);
    talk_say(&t, "b\r\n.\r\nNOOP\r\n");
    talk_expect(&t, BEGUN "554 5.6.0 Message refused: NUL in content\r\n250 2.0.0 Ok\r\n");
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_DURABLE), 0);
    talk_end(&t);

    t = talk_start("nul_bytes=pass", NULL);
    talk_say(&t, BEGIN "a");
    talk_send(&t, "\0", 1);
    talk_say(&t, "b\r\n.\r\n");
    talk_expect(&t, BEGUN QUEUED);
    assert_body(&t, 0, "a\0b\r\n", 5);
    talk_end(&t);
}

static void NUL_in_a_command_is_refused(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    talk_send(&t, "NOOP \0\r\n", 8);
    talk_expect(&t, GREETING "500 5.5.2 A NUL has no place in a command\r\n");
    talk_end(&t);
}

/* --- portions and back-pressure --- */

static void portions_and_waiting_make_no_difference(void **state)
{
    static const char said[] = BEGIN "..a\r\nbb\r\n\r\n...\r\nccc\r\n.\r\nNOOP\r\n";
    static const char body[] = ".a\r\nbb\r\n\r\n..\r\nccc\r\n";

    (void)state;
    for (size_t cut = 1; cut < sizeof said; cut++) {
        for (size_t room = 0; room < 4; room++) {
            struct talk t = { .h = talk_host() };

            fakehost_write_room(t.h, room);
            talk_open(t.h, NULL);
            t.s = fakehost_accept(t.h, NULL, "198.51.100.7");
            talk_send(&t, said, cut);
            talk_send(&t, said + cut, sizeof said - 1 - cut);
            talk_expect(&t, BEGUN QUEUED "250 2.0.0 Ok\r\n");
            assert_body(&t, 0, body, sizeof body - 1);
            talk_end(&t);
        }
    }
}

static void a_slow_spool_slows_the_peer(void **state)
{
    struct talk t = { .h = talk_host() };
    size_t len = 1000000;
    char *text = malloc(len);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < len; i++)
        text[i] = i % 80 == 78 ? '\r' : i % 80 == 79 ? '\n' : 'x';
    fakehost_write_room(t.h, 10000);
    fakehost_hold(t.h, FAKEHOST_SUBMIT_ROOM, 1);
    talk_open(t.h, NULL);
    t.s = fakehost_accept(t.h, NULL, "198.51.100.7");
    talk_say(&t, BEGIN);
    talk_send(&t, text, len);
    assert_true(fakehost_paused(t.s));
    assert_true(fakehost_unread(t.s) >= len - 2 * 262144);
    fakehost_hold(t.h, FAKEHOST_SUBMIT_ROOM, 0);
    talk_say(&t, ".\r\n");
    talk_expect(&t, BEGUN QUEUED);
    assert_false(fakehost_paused(t.s));
    assert_body(&t, 0, text, len);
    talk_end(&t);
    free(text);
}

/* The reply is not sent before the message is durable, nor is anything answered meanwhile. */
static void nothing_is_said_before_the_message_is_durable(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    fakehost_hold(t.h, FAKEHOST_SUBMIT_COMMIT, 1);
    talk_say(&t, BEGIN "x\r\n.\r\nNOOP\r\n");
    talk_expect(&t, BEGUN);
    fakehost_hold(t.h, FAKEHOST_SUBMIT_COMMIT, 0);
    fakehost_run(t.h);
    talk_expect(&t, QUEUED "250 2.0.0 Ok\r\n");
    talk_end(&t);
}

static void a_client_that_closes_its_side_still_gets_its_answers(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    fakehost_feeds(t.s, BEGIN "x\r\n.\r\nNOOP\r\n");
    fakehost_feed_eof(t.s);
    fakehost_run(t.h);
    talk_expect(&t, BEGUN QUEUED "250 2.0.0 Ok\r\n");
    assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
    talk_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dots_are_taken_off_and_nothing_else),
        cmocka_unit_test(a_Received_field_stands_first),
        cmocka_unit_test(the_date_in_Received_is_one),
        cmocka_unit_test(a_smuggled_message_is_refused_with_the_one_around_it),
        cmocka_unit_test(a_refused_message_is_let_go_at_once),
        cmocka_unit_test(bare_CR_is_refused_from_everyone),
        cmocka_unit_test(bare_LF_is_normalised_where_it_is_allowed),
        cmocka_unit_test(a_normalised_message_has_only_CRLF),
        cmocka_unit_test(NUL_is_refused_unless_it_is_let_pass),
        cmocka_unit_test(NUL_in_a_command_is_refused),
        cmocka_unit_test(portions_and_waiting_make_no_difference),
        cmocka_unit_test(a_slow_spool_slows_the_peer),
        cmocka_unit_test(nothing_is_said_before_the_message_is_durable),
        cmocka_unit_test(a_client_that_closes_its_side_still_gets_its_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
