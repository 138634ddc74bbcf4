/* What VMS MAIL would show of a message: which lines, which headers, where. Named by the numbers of
 * the features (U-09 to U-11, U-30, U-31, U-76 to U-78, T-19, T-77, T-78, T-80). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../plugins/local-mbox/present.h"

#define MESSAGE \
    "Received: by x\r\n" \
    "From: Ann Jones <ann@far.example>\r\n" \
    "To: bob@here.example,\r\n carol@far.example\r\n" \
    "Cc: dan@far.example\r\n" \
    "Subject: good =?utf-8?q?day?=\r\n" \
    "X-Odd: 1\r\n" \
    "\r\n" \
    "line one\r\n" \
    "line two\r\n"

static const struct settings vms = { .style = STYLE_VMS, .use_x_vms = 1, .use_rfc822_to = 1 };

/* The pieces put together. Lives until the next call. */
static const char *shown(const struct settings *set, const char *message, const char *sender,
                         size_t seen)
{
    static char out[4 * PRESENT_HEADER_MAX];
    struct present_from from = {
        .set = set,
        .sender = sender,
        .rcpt = "Bob@here.example",
        .user = "bob",
        .hostname = "gw.example",
        .head = message,
        .head_len = seen,
        .size = strlen(message),
    };
    struct present p;
    size_t n = 0;

    assert_int_equal(present_make(&from, &p), 0);
    for (size_t i = 0; i < p.n; i++) {
        const struct piece *piece = &p.pieces[i];
        const char *text = piece->text ? piece->text : message + piece->from;
        size_t len = (size_t)(piece->to - piece->from);

        assert_true(piece->from < piece->to && n + len < sizeof out);
        memcpy(out + n, text, len);
        n += len;
    }
    out[n] = '\0';
    present_free(&p);
    return out;
}

static const char *show(const struct settings *set, const char *message)
{
    return shown(set, message, "env@far.example", strlen(message));
}

static void expect_line(const struct settings *set, const char *message, const char *line)
{
    const char *text = show(set, message), *at = strstr(text, line);

    if (!at || (at != text && at[-1] != '\n') || strncmp(at + strlen(line), "\r\n", 2) != 0)
        fail_msg("expected the line \"%s\" in:\n%s", line, text);
}

static void in_internet_style_a_message_is_what_it_was(void **state)
{
    const struct settings internet = { .style = STYLE_INTERNET };
    (void)state;

    assert_string_equal(show(&internet, MESSAGE),
                        "Return-Path: <env@far.example>\r\n"
                        "Delivered-To: Bob@here.example\r\n" MESSAGE);
}

static void U_09_the_message_is_the_body_of_a_vms_message(void **state)
{
    (void)state;
    assert_string_equal(show(&vms, MESSAGE),
                        "From:\tSMTP%\"ann@far.example\"\r\n"
                        "To:\tbob@here.example, carol@far.example\r\n"
                        "CC:\tdan@far.example\r\n"
                        "Subj:\tgood =?utf-8?q?day?=\r\n"
                        "\r\n"
                        "Return-Path: <env@far.example>\r\n"
                        "Delivered-To: Bob@here.example\r\n" MESSAGE);
}

static void U_09_headers_may_stand_at_the_bottom_or_be_omitted(void **state)
{
    struct settings set = vms;
    const char *text, *body, *title;
    (void)state;

    set.headers = HEADERS_BOTTOM;
    text = show(&set, MESSAGE);
    body = strstr(text, "\r\n\r\nline one\r\nline two\r\n\r\n");
    assert_non_null(body);
    title = strstr(text, "= RFC 822 Headers =");
    assert_true(title && title > body && strstr(title, "X-Odd: 1\r\n"));
    set.headers = HEADERS_OMITTED;
    text = show(&set, MESSAGE);
    assert_null(strstr(text, "X-Odd"));
    assert_non_null(strstr(text, "Subj:\tgood =?utf-8?q?day?=\r\n\r\nline one\r\nline two\r\n"));
}

static void T_77_T_14_header_control_says_which_headers(void **state)
{
    struct settings set = vms;
    const char *text;
    (void)state;

    set.header_control = CONTROL_MAJOR;
    text = show(&set, MESSAGE);
    assert_non_null(strstr(text, "\r\n\r\nFrom: Ann Jones <ann@far.example>\r\nTo: bob"));
    assert_non_null(strstr(text, "\r\nSubject: good =?utf-8?q?day?=\r\n\r\nline one"));
    assert_null(strstr(text, "X-Odd"));
    assert_null(strstr(text, "Received"));
    assert_null(strstr(text, "Return-Path"));
    set.header_control = CONTROL_NONE;
    text = show(&set, MESSAGE);
    assert_null(strstr(text, "Ann Jones"));
    assert_non_null(strstr(text, "\r\n\r\nline one"));
}

/* The list, from its end: each message has one field more, and that is taken. */
static void U_10_C_07_the_first_of_the_originators_is_taken(void **state)
{
    static const char *const names[] = { "Return-Path", "Sender",      "Resent-Sender",  "From",
                                         "Reply-To",    "Resent-From", "Resent-Reply-To" };
    char message[1024] = "", line[64];
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(message);

        snprintf(message + n, sizeof message - n, "%s: n%zu@far.example\r\n", names[i], i);
        snprintf(line, sizeof line, "From:\tSMTP%%\"n%zu@far.example\"", i);
        expect_line(&vms, message, line);
    }
}

static void U_10_without_any_the_envelope_says_it(void **state)
{
    (void)state;
    expect_line(&vms, "Subject: x\r\n\r\nx\r\n", "From:\tSMTP%\"env@far.example\"");
    expect_line(&vms, "From: undisclosed:;\r\n\r\nx\r\n", "From:\tSMTP%\"env@far.example\"");
    assert_non_null(strstr(shown(&vms, "Subject: x\r\n\r\nx\r\n", "", 12), "From:\tMAILER-DAEMON"));
}

static void T_19_T_80_reply_control_goes_first(void **state)
{
    static const char *const from[] = { "from" };
    static const char *const both[] = { "reply-to", "from" };
    struct settings set = vms;
    (void)state;

    set.reply_control = (struct postern_strings){ 1, from };
    expect_line(&set, "Reply-To: r@x.example\r\nFrom: f@x.example\r\n\r\n",
                "From:\tSMTP%\"f@x.example\"");
    expect_line(&set, "Reply-To: r@x.example\r\n\r\n", "From:\tSMTP%\"r@x.example\"");
    set.reply_control = (struct postern_strings){ 2, both };
    expect_line(&set,
                "Resent-From: s@x.example\r\nFrom: f@x.example\r\nReply-To: r@x.example\r\n\r\n",
                "From:\tSMTP%\"r@x.example\"");
}

static void U_30_U_31_quotes_in_a_jacket_become_cent_signs(void **state)
{
    (void)state;
    expect_line(&vms, "From: \"NODE::USER\"@far.example\r\n\r\n",
                "From:\tSMTP%\"\xc2\xa2NODE::USER\xc2\xa2@far.example\"");
}

static void U_76_users_of_this_place_wear_no_jacket_unless_told(void **state)
{
    struct settings set = vms;
    (void)state;

    expect_line(&set, "From: carol@HERE.example\r\n\r\n", "From:\tcarol");
    expect_line(&set, "From: carol@gw.example\r\n\r\n", "From:\tcarol");
    expect_line(&set, "From: carol@there.example\r\n\r\n", "From:\tSMTP%\"carol@there.example\"");
    set.jacket_local = 1;
    expect_line(&set, "From: carol@here.example\r\n\r\n", "From:\tSMTP%\"carol@here.example\"");
}

static void U_77_x_vms_fields_count_unless_told(void **state)
{
    static const char *const message = "To: a@x\r\nCc: b@x\r\nX-VMS-To: NODE::A\r\n"
                                       "X-VMS-CC: NODE::B\r\n\r\n";
    struct settings set = vms;
    (void)state;

    expect_line(&set, message, "To:\tNODE::A");
    expect_line(&set, message, "CC:\tNODE::B");
    set.use_x_vms = 0;
    expect_line(&set, message, "To:\ta@x");
    expect_line(&set, message, "CC:\tb@x");
}

static void U_78_to_may_be_the_user_whatever_else_is_said(void **state)
{
    struct settings set = vms;
    (void)state;

    set.vmsdef_to = 1;
    expect_line(&set, "To: a@x\r\nX-VMS-To: NODE::A\r\nX-VMS-CC: C\r\n\r\n", "To:\tbob");
    expect_line(&set, "To: a@x\r\nX-VMS-To: NODE::A\r\nX-VMS-CC: C\r\n\r\n", "CC:\tC");
}

static void T_81_to_and_cc_may_be_left_to_vms_mail(void **state)
{
    static const char *const message = "To: a@x\r\nCc: b@x\r\n\r\n";
    struct settings set = vms;
    (void)state;

    set.use_rfc822_to = 0;
    expect_line(&set, message, "To:\tbob");
    expect_line(&set, message, "CC:\t");
    expect_line(&set, "To: a@x\r\nX-VMS-To: NODE::A\r\n\r\n", "To:\tNODE::A");
    /* A message need not have one. */
    set.use_rfc822_to = 1;
    expect_line(&set, "From: a@x\r\n\r\n", "To:\tbob");
    expect_line(&set, "To: \r\n\r\n", "To:\tbob");
    expect_line(&set, "Cc: b@x\r\n\r\n", "CC:\tb@x");
}

static void T_78_user_names_may_be_lowered(void **state)
{
    struct settings set = vms;
    (void)state;

    set.lowercase_user = 1;
    expect_line(&set, "From: ANN@Far.Example\r\n\r\n", "From:\tSMTP%\"ann@Far.Example\"");
    expect_line(&set, "From: CAROL@here.example\r\n\r\n", "From:\tcarol");
}

/* Only the beginning of a long header is looked at: what comes behind it is still there. */
static void nothing_is_lost_behind_a_long_header(void **state)
{
    (void)state;
    for (size_t seen = 0; seen <= strlen(MESSAGE); seen++) {
        const char *text = shown(&vms, MESSAGE, "env@far.example", seen);

        assert_non_null(strstr(text, "X-Odd: 1\r\n"));
        assert_non_null(strstr(text, "Received: by x\r\n"));
        assert_non_null(strstr(text, "line one\r\nline two\r\n"));
    }
}

static void odd_messages_are_shown_whole(void **state)
{
    static const char *const odd[] = { "",
                                       "\r\n",
                                       "no header at all\r\n",
                                       "\r\nbody\r\n",
                                       "Subject: x\r\n",
                                       "Subject: x\r\nno field\r\n",
                                       "From: \x01\x7f\xff\r\n\r\n",
                                       "To: a\r\n b\r\n\tc\r\n\r\n" };
    (void)state;

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const char *text = show(&vms, odd[i]);

        assert_int_equal(strncmp(text, "From:\t", 6), 0);
        assert_null(memchr(text, 0x01, strcspn(text, "\r"))); /* not in a line of ours */
    }
    assert_non_null(strstr(show(&vms, "no header at all\r\n"), "no header at all\r\n"));
    assert_non_null(strstr(show(&vms, odd[7]), "To:\ta b\tc\r\n"));
}

/* However long a line is, the four stay four, and the text stays in its bounds. */
static void a_line_has_an_end(void **state)
{
    static char message[3 * 8192 + 64];
    (void)state;

    snprintf(message, sizeof message, "To: ");
    memset(message + 4, 'x', 3 * 8192);
    memcpy(message + 4 + 3 * 8192, "\r\nSubject: s\r\n\r\n", 17);
    expect_line(&vms, message, "Subj:\ts");
    assert_true(strcspn(strstr(show(&vms, message), "To:\t"), "\r") <= 8192 + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_internet_style_a_message_is_what_it_was),
        cmocka_unit_test(U_09_the_message_is_the_body_of_a_vms_message),
        cmocka_unit_test(U_09_headers_may_stand_at_the_bottom_or_be_omitted),
        cmocka_unit_test(T_77_T_14_header_control_says_which_headers),
        cmocka_unit_test(U_10_C_07_the_first_of_the_originators_is_taken),
        cmocka_unit_test(U_10_without_any_the_envelope_says_it),
        cmocka_unit_test(T_19_T_80_reply_control_goes_first),
        cmocka_unit_test(U_30_U_31_quotes_in_a_jacket_become_cent_signs),
        cmocka_unit_test(U_76_users_of_this_place_wear_no_jacket_unless_told),
        cmocka_unit_test(U_77_x_vms_fields_count_unless_told),
        cmocka_unit_test(U_78_to_may_be_the_user_whatever_else_is_said),
        cmocka_unit_test(T_81_to_and_cc_may_be_left_to_vms_mail),
        cmocka_unit_test(T_78_user_names_may_be_lowered),
        cmocka_unit_test(nothing_is_lost_behind_a_long_header),
        cmocka_unit_test(odd_messages_are_shown_whole),
        cmocka_unit_test(a_line_has_an_end),
    };

    return cmocka_run_group_tests_name("local-mbox/present", tests, NULL, NULL);
}
