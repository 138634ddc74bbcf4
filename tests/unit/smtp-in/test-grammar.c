/* Command lines: what they mean, and that a parser of borrowed bytes never reads past them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../../plugins/smtp-in/grammar.h"

static struct smtpin_span span(const char *s)
{
    return (struct smtpin_span){ s, strlen(s) };
}

static void assert_span(struct smtpin_span s, const char *want)
{
    assert_int_equal(s.n, strlen(want));
    assert_memory_equal(s.p, want, s.n);
}

static void verbs_are_found_in_any_case_and_nowhere_else(void **state)
{
    static const struct {
        const char *line;
        enum smtpin_verb verb;
        const char *args;
    } lines[] = {
        { "MAIL FROM:<a@b>", SMTPIN_MAIL, "FROM:<a@b>" },
        { "rCpT\tTO:<x@y> ", SMTPIN_RCPT, "TO:<x@y>" },
        { "data", SMTPIN_DATA, "" },
        { "EHLO   a  ", SMTPIN_EHLO, "a" },
        { "StartTLS", SMTPIN_STARTTLS, "" },
        { "STARTTLSX", SMTPIN_UNKNOWN, "" },
        { "MAI", SMTPIN_UNKNOWN, "" },
        { "MAILX", SMTPIN_UNKNOWN, "" },
        { "", SMTPIN_UNKNOWN, "" },
        { " QUIT", SMTPIN_UNKNOWN, "QUIT" },
        { "GET / HTTP/1.1", SMTPIN_HTTP, "/ HTTP/1.1" },
        { "bdat 5", SMTPIN_KNOWN, "5" },
    };
    struct smtpin_span args;

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(smtpin_verb(lines[i].line, strlen(lines[i].line), &args), lines[i].verb);
        assert_span(args, lines[i].args);
    }
}

static void a_helo_is_a_word_that_a_Received_field_can_hold(void **state)
{
    char long_one[SMTPIN_HELO_MAX + 1];

    (void)state;
    assert_int_equal(smtpin_helo(span("mx.example")), 0);
    assert_int_equal(smtpin_helo(span("[IPv6:2001:db8::1]")), 0);
    assert_int_equal(smtpin_helo(span("user's_mac")), 0);
    assert_int_equal(smtpin_helo(span("")), -EINVAL);
    assert_int_equal(smtpin_helo(span("a b")), -EINVAL);
    assert_int_equal(smtpin_helo(span("a(b)")), -EINVAL);
    assert_int_equal(smtpin_helo(span("a;b")), -EINVAL);
    assert_int_equal(smtpin_helo(span("a\rb")), -EINVAL);
    assert_int_equal(smtpin_helo(span("caf\xc3\xa9")), -EINVAL);
    memset(long_one, 'a', sizeof long_one);
    assert_int_equal(smtpin_helo((struct smtpin_span){ long_one, SMTPIN_HELO_MAX }), 0);
    assert_int_equal(smtpin_helo((struct smtpin_span){ long_one, sizeof long_one }), -EINVAL);
}

static void paths_are_taken_apart(void **state)
{
    static const struct {
        const char *args, *address;
    } good[] = {
        { "FROM:<>", "" },
        { "from:  <a@b.example>", "a@b.example" },
        { "FROM:<@x.example,@y.example:a@b.example>", "a@b.example" },
        { "FROM:<\"NODE::USER\"@h.example>", "\"NODE::USER\"@h.example" },
        { "FROM:<\"a>b\\\">\"@h.example>", "\"a>b\\\">\"@h.example" },
        { "FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]" },
        { "FROM:<a%b@h.example>  SIZE=5", "a%b@h.example" },
    };
    struct smtpin_mail mail;
    struct smtpin_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(smtpin_mail(span(good[i].args), &mail, &fault), 0);
        assert_span(mail.path.address, good[i].address);
    }
}

static void bad_paths_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *args, *reply;
    } bad[] = {
        { "", "501 5.5.4" },
        { "FROM", "501 5.5.4" },
        { "FROM:<", "501 5.5.4" },
        { "FROM:<\"a>", "501 5.5.4" },
        { "FROM:<a@b.example>SIZE=1", "501 5.5.4" },
        { "FROM:<a@>", "501 5.1.7" },
        { "FROM:<@b.example>", "501 5.1.7" },
        { "FROM:<a b@c.example>", "501 5.1.7" },
        { "FROM:<a\r@c.example>", "501 5.1.7" },
        { "FROM:<@x.example:>", "501 5.1.7" },
        { "FROM:<\xff@c.example>", "553 5.6.7" },
        { "FROM:<\xff@c.example> SMTPUTF8", "501 5.1.7" },
        { "FROM:<a@b.example> SIZE=123456789012345678901", "501 5.5.4" },
        { "FROM:<a@b.example> =", "555 5.5.4" },
    };
    struct smtpin_mail mail;
    struct smtpin_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(smtpin_mail(span(bad[i].args), &mail, &fault), -EINVAL);
        assert_memory_equal(fault.reply, bad[i].reply, 9);
    }
}

static void U_35_what_relays_do_to_recipients_is_put_right(void **state)
{
    static const struct {
        const char *args, *address, *rule;
    } good[] = {
        { "TO:<NODE::SMITH@gw.example>", "\"NODE::SMITH\"@gw.example", "repair.unquoted" },
        { "to: <1.13::U@[192.0.2.1]> ", "\"1.13::U\"@[192.0.2.1]", "repair.unquoted" },
        { "TO:<A::\"joe@host.dom\"@gw.example>", "\"A::\\\"joe@host.dom\\\"\"@gw.example",
          "repair.unquoted" },
        { "TO:<\"A::MRGATE::\"B::C\"\"@gw.example>", "\"A::MRGATE::\\\"B::C\\\"\"@gw.example",
          "repair.unescaped" },
        { "TO:<\"A::MRGATE::\"B::JOE SMITH\"\"@gw.example>",
          "\"A::MRGATE::\\\"B::JOE SMITH\\\"\"@gw.example", "repair.unescaped" },
        { "TO:<\"A::MRGATE::\\\"B::C\"\"@gw.example>", "\"A::MRGATE::\\\"B::C\\\"\"@gw.example",
          "repair.unescaped" },
        { "TO:<A::MRGATE::\\\"B::C\\\"@gw.example>", "\"A::MRGATE::\\\"B::C\\\"\"@gw.example",
          "repair.unquoted-escaped" },
        { "TO:<smith%systm1::@gw.example>", "\"systm1::smith\"@gw.example", "repair.percent-node" },
    };
    struct smtpin_mended mended;
    struct smtpin_span was;
    struct smtpin_path path;
    struct smtpin_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(smtpin_rcpt(span(good[i].args), 0, &path, &fault), -EINVAL);
        assert_int_equal(smtpin_rcpt_damaged(span(good[i].args), 0, &mended, &path, &was), 0);
        assert_span(path.address, good[i].address);
        assert_string_equal(mended.rule, good[i].rule);
        assert_ptr_equal(was.p, strchr(good[i].args, '<') + 1);
        assert_int_equal(was.n, strrchr(good[i].args, '>') - was.p);
    }
}

static void nothing_else_becomes_an_address_by_being_mended(void **state)
{
    static const char *const bad[] = {
        "",
        "TO:",
        "TO:<>",
        "TO:<A::B>",
        "TO:<A::B@>",
        "TO:<A::B@-x>",
        "TO:A::B@x",
        "TO:<A::B@x",
        "TO:<A::B@x> NOTIFY=NEVER",
        "TO:<A::B@x>,<c@d>",
        "TO:<A::B@x> <c@d>",
        "TO:<A::B,c@x>",
        "TO:<A::B@c@x>",
        "TO:<A::B C@x>",
        "TO:<A::(B)@x>",
        "TO:<A::B;c@x>",
        "TO:<A::<B>@x>",
        "TO:<A::\\B@x>",
        "TO:<A::\"B@x>",
        "TO:<A::\"B\r\nDATA\"@x>",
        "TO:<A::B\x01@x>",
        "TO:<A::\"B\x7f\"@x>",
        "TO:<@a,@b:A::B@x>",
        "TO:<bo b@x>",
        "TO:<a:b@x>",
        "TO:<a@b.example>", /* sound */
        "TO:<\"A::B\"@x>",  /* likewise */
    };
    char long_one[SMTPIN_COMMAND_MAX] = "TO:<A::";
    struct smtpin_mended mended;
    struct smtpin_span was;
    struct smtpin_path path;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(smtpin_rcpt_damaged(span(bad[i]), 1, &mended, &path, &was), -EINVAL);
    /* Not ASCII, and nobody has said SMTPUTF8. */
    assert_int_equal(smtpin_rcpt_damaged(span("TO:<A::\xc3\xbc@x>"), 0, &mended, &path, &was),
                     -EINVAL);
    assert_int_equal(smtpin_rcpt_damaged(span("TO:<A::\xc3\xbc@x>"), 1, &mended, &path, &was), 0);
    for (size_t local = POSTERN_LOCAL_MAX - 2; local <= POSTERN_LOCAL_MAX + 1; local++) {
        size_t at = 4 + local;

        memset(long_one + 7, 'a', local - 3);
        memcpy(long_one + at, "@x>", 4);
        /* The quotes count, too. */
        assert_int_equal(smtpin_rcpt_damaged(span(long_one), 0, &mended, &path, &was),
                         local + 2 <= POSTERN_LOCAL_MAX ? 0 : -EINVAL);
    }
}

static void recipients_may_lack_a_domain_only_as_postmaster(void **state)
{
    struct smtpin_path path;
    struct smtpin_fault fault;

    (void)state;
    assert_int_equal(smtpin_rcpt(span("TO:<PostMaster>"), 0, &path, &fault), 0);
    assert_true(path.bare);
    assert_int_equal(smtpin_rcpt(span("TO:<root>"), 0, &path, &fault), -EINVAL);
    assert_int_equal(smtpin_rcpt(span("TO:<>"), 0, &path, &fault), -EINVAL);
    assert_int_equal(smtpin_rcpt(span("TO:<a@b.example>"), 0, &path, &fault), 0);
    assert_false(path.bare);
}

/* Blocks of exact size: AddressSanitizer sees a read past the end. */
static void no_line_is_read_past_its_end(void **state)
{
    static const char line[] =
        "MAIL FROM:<@r.example:\"a\\\">b\"@h.example> SIZE=12 BODY=8BITMIME X=";

    (void)state;
    for (size_t len = 0; len < sizeof line; len++) {
        char *copy = malloc(len ? len : 1);
        struct smtpin_span args;
        struct smtpin_mail mail;
        struct smtpin_path path;
        struct smtpin_fault fault;
        struct smtpin_mended mended;
        struct smtpin_span was;

        assert_non_null(copy);
        memcpy(copy, line, len);
        smtpin_verb(copy, len, &args);
        smtpin_mail(args, &mail, &fault);
        smtpin_rcpt(args, 0, &path, &fault);
        smtpin_rcpt_damaged(args, 1, &mended, &path, &was);
        smtpin_helo(args);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs_are_found_in_any_case_and_nowhere_else),
        cmocka_unit_test(a_helo_is_a_word_that_a_Received_field_can_hold),
        cmocka_unit_test(paths_are_taken_apart),
        cmocka_unit_test(bad_paths_are_refused_with_a_reason),
        cmocka_unit_test(recipients_may_lack_a_domain_only_as_postmaster),
        cmocka_unit_test(U_35_what_relays_do_to_recipients_is_put_right),
        cmocka_unit_test(nothing_else_becomes_an_address_by_being_mended),
        cmocka_unit_test(no_line_is_read_past_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
