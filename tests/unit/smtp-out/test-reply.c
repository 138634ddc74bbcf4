/* The pure parts: replies, EHLO, and what a reply means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../../plugins/smtp-out/ehlo.h"
#include "../../../plugins/smtp-out/fate.h"
#include "../../../plugins/smtp-out/reply.h"

/* Feeds lines separated by LF; the result of the last one. */
static int feed(struct reply *r, const char *text)
{
    int result = -EINVAL;

    reply_reset(r);
    while (*text) {
        size_t len = strcspn(text, "\n");

        result = reply_line(r, text, len);
        text += len + (text[len] == '\n');
        if (*text && result != 0)
            return result < 0 ? result : -EALREADY;
    }
    return result;
}

static void replies_are_read(void **state)
{
    static const struct {
        const char *in;
        int result;
        unsigned code;
        const char *status, *text;
    } cases[] = {
        { "250 ok", 1, 250, "0.0.0", "250 ok" },
        { "250", 1, 250, "0.0.0", "250" },
        { "250 ", 1, 250, "0.0.0", "250" },
        { "250 ok\r", 1, 250, "0.0.0", "250 ok" },
        { "550 5.1.1 no such user", 1, 550, "5.1.1", "550 5.1.1 no such user" },
        { "550 5.1.1", 1, 550, "5.1.1", "550 5.1.1" },
        { "550 4.1.1 contradicts itself", 1, 550, "0.0.0", "550 4.1.1 contradicts itself" },
        { "550 5.1.1x", 1, 550, "0.0.0", "550 5.1.1x" },
        { "550 5.1", 1, 550, "0.0.0", "550 5.1" },
        { "550-5.7.1 one\n550-5.7.1 two\n550 5.7.1 three", 1, 550, "5.7.1",
          "550 5.7.1 one two three" },
        { "550-5.7.1 one\n550 5.7.2 two", 1, 550, "5.7.1", "550 5.7.1 one 5.7.2 two" },
        { "550-one\n550-\n550 two", 1, 550, "0.0.0", "550 one two" },
        { "250-more", 0, 250, "0.0.0", "250 more" },
        { "250 a\tb\1c", 1, 250, "0.0.0", NULL },
        { "", -EINVAL, 0, "0.0.0", "" },
        { "25", -EPROTO, 0, "0.0.0", "" },
        { "hello", -EPROTO, 0, "0.0.0", "" },
        { "HTTP/1.1 400 Bad Request", -EPROTO, 0, "0.0.0", "" },
        { "150 no such class", -EPROTO, 0, "0.0.0", "" },
        { "650 no such class", -EPROTO, 0, "0.0.0", "" },
        { "250ok", -EPROTO, 0, "0.0.0", "" },
        { "2500 ok", -EPROTO, 0, "0.0.0", "" },
        { " 250 ok", -EPROTO, 0, "0.0.0", "" },
        { "250-one\n550 two", -EPROTO, 250, "0.0.0", "250 one" },
        { "250-one\ntwo", -EPROTO, 250, "0.0.0", "250 one" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply r;
        char status[32];

        if (feed(&r, cases[i].in) != cases[i].result)
            fail_msg("\"%s\": %d", cases[i].in, feed(&r, cases[i].in));
        assert_int_equal(r.code, cases[i].code);
        snprintf(status, sizeof status, "%u.%u.%u", r.status[0], r.status[1], r.status[2]);
        assert_string_equal(status, cases[i].status);
        if (cases[i].text)
            assert_string_equal(r.text, cases[i].text);
        assert_int_equal(r.text_len, strlen(r.text));
        for (const char *p = r.text; *p; p++)
            assert_in_range((unsigned char)*p, 0x20, 0x7e);
    }
}

static void a_reply_has_at_most_100_lines(void **state)
{
    struct reply r;
    (void)state;

    reply_reset(&r);
    for (unsigned i = 0; i < REPLY_LINES_MAX; i++)
        assert_int_equal(reply_line(&r, "250-more", 8), 0);
    assert_int_equal(reply_line(&r, "250 last", 8), -E2BIG);

    reply_reset(&r);
    for (unsigned i = 0; i < REPLY_LINES_MAX - 1; i++)
        assert_int_equal(reply_line(&r, "250-more", 8), 0);
    assert_int_equal(reply_line(&r, "250 last", 8), 1);
}

static void a_line_has_at_most_4096_bytes(void **state)
{
    static char line[REPLY_LINE_MAX + 1];
    struct reply r;
    (void)state;

    memset(line, 'x', sizeof line);
    memcpy(line, "250 ", 4);
    reply_reset(&r);
    assert_int_equal(reply_line(&r, line, sizeof line), -EMSGSIZE);
    assert_int_equal(reply_line(&r, line, sizeof line - 1), 1);
    assert_true(r.text_len < sizeof r.text);
    assert_true(r.text_len > 512);
}

static void extensions_are_read(void **state)
{
    static const struct {
        const char *line;
        uint32_t offers;
        uint64_t size;
    } cases[] = {
        { "PIPELINING", EHLO_PIPELINING, 0 },
        { "pipelining", EHLO_PIPELINING, 0 },
        { "PIPELININGS", 0, 0 },
        { "PIPELIN", 0, 0 },
        { "8BITMIME", EHLO_8BITMIME, 0 },
        { "SMTPUTF8 with words", EHLO_SMTPUTF8, 0 },
        { "STARTTLS", EHLO_STARTTLS, 0 },
        { "ENHANCEDSTATUSCODES", EHLO_ENHANCED, 0 },
        { "SIZE", EHLO_SIZE, 0 },
        { "SIZE 0", EHLO_SIZE, 0 },
        { "SIZE 10240000", EHLO_SIZE, 10240000 },
        { "SIZE 18446744073709551615", EHLO_SIZE, UINT64_MAX },
        { "SIZE 18446744073709551616", EHLO_SIZE, 0 },
        { "SIZE lots", EHLO_SIZE, 0 },
        { "SIZE 12x", EHLO_SIZE, 0 },
        { "", 0, 0 },
        { "AUTH PLAIN LOGIN", 0, 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ehlo e = { 0 };

        ehlo_line(&e, cases[i].line, strlen(cases[i].line));
        assert_int_equal(e.offers, cases[i].offers);
        assert_true(e.size == cases[i].size);
    }
}

static void a_reply_decides_by_its_first_digit(void **state)
{
    static const struct {
        const char *reply;
        enum step step;
        uint32_t fate, cause;
        const char *status;
    } cases[] = {
        { "250 ok", STEP_FINAL, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, "2.0.0" },
        { "250 2.6.0 ok", STEP_FINAL, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, "2.6.0" },
        { "550 no", STEP_RCPT, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "5.1.1" },
        { "550 5.7.1 no", STEP_RCPT, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "5.7.1" },
        { "550 4.7.1 no", STEP_RCPT, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "5.1.1" },
        { "550 no", STEP_MAIL, POSTERN_FAILED, POSTERN_CAUSE_MESSAGE, "5.7.1" },
        { "551 elsewhere", STEP_RCPT, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "5.1.6" },
        { "552 too many", STEP_RCPT, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "4.5.3" },
        { "552 5.5.3 too many", STEP_RCPT, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "4.5.3" },
        { "552 5.2.2 full", STEP_RCPT, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "5.2.2" },
        { "552 too big", STEP_FINAL, POSTERN_FAILED, POSTERN_CAUSE_MESSAGE, "5.3.4" },
        { "553 odd", STEP_RCPT, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "5.1.3" },
        { "554 no", STEP_FINAL, POSTERN_FAILED, POSTERN_CAUSE_MESSAGE, "5.0.0" },
        { "556 none", STEP_RCPT, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "5.1.10" },
        { "599 new", STEP_RCPT, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "5.0.0" },
        { "450 later", STEP_RCPT, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "4.2.0" },
        { "451 later", STEP_MAIL, POSTERN_DEFERRED, POSTERN_CAUSE_MESSAGE, "4.3.0" },
        { "452 4.5.3 too many", STEP_RCPT, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "4.5.3" },
        { "452 too many", STEP_RCPT, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "4.5.3" },
        { "452 full", STEP_FINAL, POSTERN_DEFERRED, POSTERN_CAUSE_MESSAGE, "4.3.1" },
        { "421 bye", STEP_RCPT, POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, "4.3.2" },
        { "354 what", STEP_RCPT, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "4.5.0" },
        { "554 go away", STEP_GREETING, POSTERN_FAILED, POSTERN_CAUSE_DESTINATION, "5.3.2" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct postern_outcome o;
        struct reply r;
        char status[32];

        assert_int_equal(feed(&r, cases[i].reply), 1);
        fate_of_reply(&r, cases[i].step, &o);
        snprintf(status, sizeof status, "%u.%u.%u", o.status[0], o.status[1], o.status[2]);
        if (o.fate != cases[i].fate || o.cause != cases[i].cause || strcmp(status, cases[i].status))
            fail_msg("\"%s\": fate %u, cause %u, %s", cases[i].reply, o.fate, o.cause, status);
        assert_string_equal(o.diagnostic, r.text);
        assert_string_equal(o.protocol, "smtp");
        assert_int_equal(o.size, sizeof o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read),
        cmocka_unit_test(a_reply_has_at_most_100_lines),
        cmocka_unit_test(a_line_has_at_most_4096_bytes),
        cmocka_unit_test(extensions_are_read),
        cmocka_unit_test(a_reply_decides_by_its_first_digit),
    };

    return cmocka_run_group_tests_name("smtp-out reply", tests, NULL, NULL);
}
