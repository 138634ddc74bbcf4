/* A message from standard input, made complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/compose.h"

struct result {
    int code;
    struct buf content;
    json_t *request;
};

static struct config config_of(void)
{
    return (struct config){ .server = { .hostname = "gw.test", .message_size_max = 4096 } };
}

static struct result compose_n(const struct compose *c, const char *text, size_t len, int dot_ends)
{
    struct config cfg = config_of();
    struct result r = { 0 };
    FILE *in = tmpfile();

    assert_non_null(in);
    assert_int_equal(fwrite(text, 1, len, in), len);
    rewind(in);
    buf_adds(&r.content, "");
    r.code = compose_message(c, &cfg, in, dot_ends, &r.content, &r.request);
    fclose(in);
    return r;
}

static struct result compose(const struct compose *c, const char *text)
{
    return compose_n(c, text, strlen(text), 0);
}

static void done(struct result *r)
{
    json_decref(r->request);
    buf_free(&r->content);
}

static const char *const one[] = { "bob@b.test" };
static const struct compose to_one = { .sender = "ann", .rcpt_n = 1, .rcpts = one };

static void has(const struct result *r, const char *text)
{
    if (!strstr(r->content.data, text))
        fail_msg("no %s in:\n%s", text, r->content.data);
}

static void has_not(const struct result *r, const char *text)
{
    if (strstr(r->content.data, text))
        fail_msg("%s in:\n%s", text, r->content.data);
}

static const char *text_of(const struct result *r, const char *key)
{
    return json_string_value(json_object_get(r->request, key));
}

/* The recipients asked for, separated by blanks. */
static void rcpts_are(const struct result *r, const char *expected)
{
    struct buf b = { 0 };
    json_t *rcpt;
    size_t i;

    buf_adds(&b, "");
    json_array_foreach (json_object_get(r->request, "rcpts"), i, rcpt)
        buf_printf(&b, "%s%s", i ? " " : "", json_string_value(rcpt));
    assert_string_equal(b.data, expected);
    buf_free(&b);
}

static void a_body_alone_gets_a_header(void **state)
{
    struct result r = compose(&to_one, "hello\nworld\n");

    (void)state;
    assert_int_equal(r.code, 0);
    has(&r, "Date: ");
    has(&r, "From: <ann@gw.test>\r\n");
    has(&r, "@gw.test>\r\n");
    has(&r, "\r\n\r\nhello\r\nworld\r\n");
    assert_string_equal(text_of(&r, "verb"), "submit");
    assert_string_equal(text_of(&r, "sender"), "ann@gw.test");
    rcpts_are(&r, "bob@b.test");
    assert_int_equal(json_integer_value(json_object_get(r.request, "size")), r.content.len);
    assert_true(json_is_false(json_object_get(r.request, "utf8")));
    done(&r);
}

static void what_is_there_is_kept_and_not_added_again(void **state)
{
    struct result r = compose(&to_one,
                              "FROM: Ann <a@x.test>\nDate: Sun, 22 Nov 2026 14:15:41 +0000\n"
                              "message-id: <1@x>\nSubject: a\n folded\n\nbody\n");

    (void)state;
    assert_int_equal(r.code, 0);
    assert_string_equal(r.content.data,
                        "FROM: Ann <a@x.test>\r\nDate: Sun, 22 Nov 2026 14:15:41 +0000\r\n"
                        "message-id: <1@x>\r\nSubject: a\r\n folded\r\n\r\nbody\r\n");
    done(&r);
}

static void a_full_name_cannot_leave_its_quotes(void **state)
{
    struct compose c = to_one;
    struct result r;

    (void)state;
    c.full_name = "Ann \"the\\ Bee\"\r\nBcc: x@y";
    r = compose(&c, "\nhello\n");
    has(&r, "From: \"Ann \\\"the\\\\ Bee\\\"Bcc: x@y\" <ann@gw.test>\r\n");
    done(&r);
    c.full_name = "";
    r = compose(&c, "\nhello\n");
    has(&r, "From: <ann@gw.test>\r\n");
    done(&r);
}

static void the_null_sender_stays_null(void **state)
{
    struct compose c = to_one;
    struct result r;

    (void)state;
    c.sender = "";
    r = compose(&c, "\nhello\n");
    assert_string_equal(text_of(&r, "sender"), "");
    has(&r, "From: <MAILER-DAEMON>\r\n");
    done(&r);
}

static void recipients_from_the_header(void **state)
{
    struct compose c = { .sender = "ann@x.test", .from_header = 1 };
    struct result r =
        compose(&c,
                "To: Bob <bob@b.test>,\n\tcarl\nCC: team: d@d.test;\nBcc: secret@e.test\n"
                "Subject: x\n\nTo: nobody@f.test\n");

    (void)state;
    assert_int_equal(r.code, 0);
    rcpts_are(&r, "bob@b.test carl d@d.test secret@e.test");
    has_not(&r, "secret");
    has(&r, "To: Bob <bob@b.test>,\r\n\tcarl\r\n");
    done(&r);
}

static void bcc_goes_also_when_recipients_are_named(void **state)
{
    struct result r =
        compose(&to_one, "To: x@x.test\nBcc: secret@e.test,\n more@e.test\nSubject: y\n\nhello\n");

    (void)state;
    rcpts_are(&r, "bob@b.test");
    has_not(&r, "e.test");
    has(&r, "To: x@x.test\r\nSubject: y\r\n");
    done(&r);
}

static void named_ones_are_taken_off_the_headers_list(void **state)
{
    static const char *const off[] = { "BOB@b.test" };
    struct compose c = { .sender = "ann@x.test", .from_header = 1, .rcpt_n = 1, .rcpts = off };
    struct result r = compose(&c, "To: bob@b.test, carl@c.test\n\nhello\n");

    (void)state;
    rcpts_are(&r, "carl@c.test");
    done(&r);
}

static void no_recipients_is_an_error(void **state)
{
    struct compose c = { .sender = "ann@x.test", .from_header = 1 };
    struct result r = compose(&c, "Subject: x\n\nTo: a@b\n");

    (void)state;
    assert_int_equal(r.code, EX_USAGE);
    assert_null(r.request);
    done(&r);
}

/* Better none than all but one. */
static void a_recipient_that_is_no_text_is_an_error(void **state)
{
    struct compose c = { .sender = "ann@x.test", .from_header = 1 };
    struct result r = compose(&c, "To: good@b.test, j\xfcrgen@b.test\n\nhello\n");

    (void)state;
    assert_int_equal(r.code, EX_DATAERR);
    assert_null(r.request);
    done(&r);
    c = to_one;
    c.sender = "j\xfcrgen@b.test";
    r = compose(&c, "\nhello\n");
    assert_int_equal(r.code, EX_DATAERR);
    done(&r);
}

static void line_ends_become_crlf_and_a_last_one_is_added(void **state)
{
    struct result r = compose(&to_one, "Subject: x\r\n\r\none\ntwo\r\nthree");

    (void)state;
    has(&r, "Subject: x\r\n\r\none\r\ntwo\r\nthree\r\n");
    has_not(&r, "\r\r");
    done(&r);
}

/* Each CR alone begins a line in the body and is a blank in the header: there a line is power. */
static void a_bare_cr_never_leaves_here(void **state)
{
    struct result r =
        compose(&to_one, "Subject: one\rBcc: x@y.test\nTo: a@b\r\r\n\r\n10%\r20%\r\r30%\r\nend\r");

    (void)state;
    assert_int_equal(r.code, 0);
    has(&r, "Subject: one Bcc: x@y.test\r\nTo: a@b\r\n");
    has(&r, "\r\n\r\n10%\r\n20%\r\n\r\n30%\r\nend\r\n");
    assert_string_equal(r.content.data + r.content.len - 7, "\r\nend\r\n");
    rcpts_are(&r, "bob@b.test");
    done(&r);
}

/* "x CR . LF" is shown as a line with a dot, and is none. */
static void a_dot_after_a_bare_cr_does_not_end(void **state)
{
    static const char text[] = "Subject: x\n\none\r.\ntwo\n.\r\nthree\n";
    struct result r = compose_n(&to_one, text, sizeof text - 1, 1);

    (void)state;
    has(&r, "one\r\n.\r\ntwo\r\n");
    has_not(&r, "three");
    done(&r);
}

static void a_nul_is_refused(void **state)
{
    static const char header[] = "Subj\0ect: x\n\nbody\n", body[] = "Subject: x\n\nbo\0dy\n";
    struct result r = compose_n(&to_one, header, sizeof header - 1, 0);

    (void)state;
    assert_int_equal(r.code, EX_DATAERR);
    assert_null(r.request);
    done(&r);
    r = compose_n(&to_one, body, sizeof body - 1, 1);
    assert_int_equal(r.code, EX_DATAERR);
    assert_null(r.request);
    done(&r);
}

static void a_sender_may_stand_in_angle_brackets(void **state)
{
    static const char *const senders[][2] = {
        { "<ann@x.test>", "ann@x.test" }, { "<ann>", "ann@gw.test" },       { "<>", "" },
        { "ann@x.test", "ann@x.test" },   { "<ann@x.test", "<ann@x.test" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
        struct compose c = to_one;
        struct result r;

        c.sender = senders[i][0];
        r = compose(&c, "\nhello\n");
        assert_int_equal(r.code, 0);
        assert_string_equal(text_of(&r, "sender"), senders[i][1]);
        done(&r);
    }
}

static void a_lone_dot_ends_only_when_it_may(void **state)
{
    static const char text[] = "Subject: x\n\none\n..\n.\ntwo\n";
    struct result r = compose_n(&to_one, text, sizeof text - 1, 1);

    (void)state;
    has(&r, "one\r\n..\r\n");
    has_not(&r, "two");
    done(&r);
    r = compose_n(&to_one, text, sizeof text - 1, 0);
    has(&r, "one\r\n..\r\n.\r\ntwo\r\n");
    done(&r);
}

static void a_header_without_a_body_and_an_empty_message(void **state)
{
    struct result r = compose(&to_one, "Subject: x\n");

    (void)state;
    assert_int_equal(r.code, 0);
    has(&r, "Subject: x\r\n\r\n");
    done(&r);
    r = compose(&to_one, "");
    assert_int_equal(r.code, 0);
    has(&r, "From: <ann@gw.test>\r\n");
    assert_string_equal(r.content.data + r.content.len - 4, "\r\n\r\n");
    done(&r);
}

static void a_body_that_begins_without_a_separating_line_is_kept_whole(void **state)
{
    struct result r = compose(&to_one, "Subject: x\nno header this\nBcc: part of the body\n");

    (void)state;
    has(&r, "Subject: x\r\n\r\nno header this\r\nBcc: part of the body\r\n");
    done(&r);
}

static void a_mailbox_files_separator_is_taken_off(void **state)
{
    struct result r =
        compose(&to_one, "From ann@x.test Sun Nov 22 14:15:41 2026\nSubject: x\n\nFrom here on\n");

    (void)state;
    has(&r, "Subject: x\r\n\r\nFrom here on\r\n");
    has_not(&r, "From ann");
    done(&r);
    r = compose(&to_one, "From ");
    assert_int_equal(r.code, 0);
    done(&r);
}

static void too_large_is_said_before_the_gateway_is_asked(void **state)
{
    char text[8192];
    struct result r;

    (void)state;
    memset(text, 'x', sizeof text);
    r = compose_n(&to_one, text, sizeof text, 0);
    assert_int_equal(r.code, EX_DATAERR);
    assert_null(r.request);
    done(&r);
}

static void what_is_not_ascii_asks_for_smtputf8_where_it_matters(void **state)
{
    static const char *const bob[] = { "b\xc3\xb6"
                                       "b@b.test" };
    struct compose c = { .sender = "ann@x.test", .rcpt_n = 1, .rcpts = bob };
    struct result r = compose(&to_one,
                              "Subject: x\n\nb\xc3\xb6"
                              "dy\n");

    (void)state;
    assert_true(json_is_false(json_object_get(r.request, "utf8")));
    done(&r);
    r = compose(&to_one, "Subject: \xc3\xb6\n\nbody\n");
    assert_true(json_is_true(json_object_get(r.request, "utf8")));
    done(&r);
    r = compose(&c, "Subject: x\n\nbody\n");
    assert_true(json_is_true(json_object_get(r.request, "utf8")));
    done(&r);
}

static void hostile_bytes_are_carried_or_refused(void **state)
{
    unsigned seed = 7;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        static const char alphabet[] = "To:Bcc a@b\n\n\r\0,<>\"(:\xff.";
        struct compose c = {
            .sender = "ann@x.test", .from_header = i & 1, .rcpt_n = 1, .rcpts = one
        };
        char text[80] = "To: x@y.test\n";
        size_t len = strlen(text), end = len + (size_t)rand_r(&seed) % (sizeof text - len);
        struct result r;

        for (; len < end; len++)
            text[len] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
        r = compose_n(&c, text, len, i & 2);
        assert_true(r.code == 0 || r.code == EX_DATAERR || r.code == EX_USAGE);
        assert_int_equal(r.code == 0, r.request != NULL);
        for (size_t k = 0; r.code == 0 && k < r.content.len; k++) {
            char before = k ? r.content.data[k - 1] : ' ';

            assert_int_equal(r.content.data[k] == '\n', before == '\r');
        }
        done(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_alone_gets_a_header),
        cmocka_unit_test(what_is_there_is_kept_and_not_added_again),
        cmocka_unit_test(a_full_name_cannot_leave_its_quotes),
        cmocka_unit_test(the_null_sender_stays_null),
        cmocka_unit_test(recipients_from_the_header),
        cmocka_unit_test(bcc_goes_also_when_recipients_are_named),
        cmocka_unit_test(named_ones_are_taken_off_the_headers_list),
        cmocka_unit_test(no_recipients_is_an_error),
        cmocka_unit_test(a_recipient_that_is_no_text_is_an_error),
        cmocka_unit_test(line_ends_become_crlf_and_a_last_one_is_added),
        cmocka_unit_test(a_bare_cr_never_leaves_here),
        cmocka_unit_test(a_dot_after_a_bare_cr_does_not_end),
        cmocka_unit_test(a_nul_is_refused),
        cmocka_unit_test(a_sender_may_stand_in_angle_brackets),
        cmocka_unit_test(a_lone_dot_ends_only_when_it_may),
        cmocka_unit_test(a_header_without_a_body_and_an_empty_message),
        cmocka_unit_test(a_body_that_begins_without_a_separating_line_is_kept_whole),
        cmocka_unit_test(a_mailbox_files_separator_is_taken_off),
        cmocka_unit_test(too_large_is_said_before_the_gateway_is_asked),
        cmocka_unit_test(what_is_not_ascii_asks_for_smtputf8_where_it_matters),
        cmocka_unit_test(hostile_bytes_are_carried_or_refused),
    };

    if (!freopen("/dev/null", "w", stderr)) /* the errors are meant for users */
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
