/* Whole dialogues: what the client says, and exactly what it hears. */
#include <stdio.h>
#include <string.h>

#include "talk.h"

#define EHLO_REPLY \
    "250-gw.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n" \
    "250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n"
#define HELO       "HELO c.example\r\n"
#define MAIL       "MAIL FROM:<a@b.example>\r\n"
#define RCPT       "RCPT TO:<x@y.example>\r\n"
#define QUIT       "QUIT\r\n"
#define UP_TO_MAIL GREETING HELLO OK_MAIL
#define UP_TO_RCPT GREETING HELLO OK_MAIL OK_RCPT
#define QUEUED(n)  "250 2.0.0 Ok: queued as msg" n "\r\n"

struct dialogue {
    const char *what, *options, *said, *heard;
};

/* clang-format off */
static const struct dialogue dialogues[] = {
    { "a greeting and a farewell", NULL, QUIT, GREETING BYE },
    { "another banner", "banner=Mail here", QUIT, "220 gw.example Mail here\r\n" BYE },
    { "EHLO lists what there is", NULL, "EHLO c.example\r\nQUIT\r\n", GREETING EHLO_REPLY BYE },
    { "verbs in any case, blanks at the end", NULL, "helo c.example  \r\nnOOp\r\nquit \r\n",
      GREETING HELLO OK BYE },
    { "EHLO with address literals", NULL,
      "EHLO [192.0.2.7]\r\nEHLO [IPv6:2001:db8::7]\r\nQUIT\r\n",
      GREETING EHLO_REPLY EHLO_REPLY BYE },
    { "a HELO with an underscore is tolerated", NULL, "HELO my_pc\r\nQUIT\r\n",
      GREETING HELLO BYE },
    { "HELO needs a word, and just one", NULL, "HELO\r\nEHLO \r\nHELO a b\r\nHELO <x>\r\n" QUIT,
      GREETING "501 5.5.4 Syntax: a domain or an address literal must follow\r\n"
      "501 5.5.4 Syntax: a domain or an address literal must follow\r\n"
      "501 5.5.4 Syntax: a domain or an address literal must follow\r\n"
      "501 5.5.4 Syntax: a domain or an address literal must follow\r\n" BYE },
    { "a message", NULL, BEGIN "Subject: hi\r\n\r\nbody\r\n.\r\n" QUIT,
      BEGUN QUEUED("1") BYE },
    { "an empty message", NULL, BEGIN ".\r\n" QUIT, BEGUN QUEUED("1") BYE },
    { "two messages in one packet", NULL,
      BEGIN "one\r\n.\r\n" MAIL RCPT "DATA\r\ntwo\r\n.\r\n" QUIT,
      BEGUN QUEUED("1") OK_MAIL OK_RCPT GO_AHEAD QUEUED("2") BYE },
    { "the null sender", NULL, HELO "MAIL FROM:<>\r\n" RCPT QUIT, UP_TO_RCPT BYE },
    { "a blank before the path", NULL, HELO "MAIL FROM: <a@b.example>\r\nRCPT TO: <x@y.example>\r\n"
      QUIT, UP_TO_RCPT BYE },
    { "ESMTP parameters", NULL, "EHLO c.example\r\nMAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME"
      " SMTPUTF8\r\nRSET\r\nmail from:<a@b.example> body=7bit size=0\r\n" QUIT,
      GREETING EHLO_REPLY OK_MAIL OK OK_MAIL BYE },
    { "an unknown parameter of MAIL", NULL, HELO "MAIL FROM:<a@b.example> RET=FULL\r\n" QUIT,
      GREETING HELLO "555 5.5.4 Unsupported parameter: RET\r\n" BYE },
    { "AUTH is not offered, nor its parameter", NULL, HELO "MAIL FROM:<a@b.example> AUTH=<>\r\n"
      "AUTH PLAIN\r\n" QUIT, GREETING HELLO "555 5.5.4 Unsupported parameter: AUTH\r\n"
      "502 5.5.1 Command not implemented\r\n" BYE },
    { "an unknown parameter of RCPT", NULL, HELO MAIL "RCPT TO:<x@y.example> NOTIFY=NEVER\r\n" QUIT,
      UP_TO_MAIL "555 5.5.4 Unsupported parameter: NOTIFY\r\n" BYE },
    { "parameters with wrong values", NULL, HELO
      "MAIL FROM:<a@b.example> SIZE=\r\nMAIL FROM:<a@b.example> SIZE=1k\r\n"
      "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nMAIL FROM:<a@b.example> SMTPUTF8=1\r\n"
      "MAIL FROM:<a@b.example> SIZE=1 SIZE=2\r\n" QUIT,
      GREETING HELLO "501 5.5.4 Syntax: SIZE=number\r\n501 5.5.4 Syntax: SIZE=number\r\n"
      "501 5.5.4 Syntax: BODY=7BIT or BODY=8BITMIME\r\n"
      "501 5.5.4 Syntax: SMTPUTF8 takes no value\r\n"
      "501 5.5.4 Parameter given twice: SIZE\r\n" BYE },
    { "commands out of order", NULL, MAIL HELO RCPT "DATA\r\n" MAIL "DATA\r\n" MAIL QUIT,
      GREETING "503 5.5.1 Say EHLO or HELO first\r\n" HELLO "503 5.5.1 Say MAIL first\r\n"
      "503 5.5.1 Say MAIL first\r\n" OK_MAIL "503 5.5.1 Say RCPT first\r\n"
      "503 5.5.1 A transaction is open already\r\n" BYE },
    { "RSET and EHLO end a transaction", NULL, HELO MAIL RCPT "RSET\r\nDATA\r\n" MAIL RCPT
      HELO "DATA\r\n" QUIT, UP_TO_RCPT OK "503 5.5.1 Say MAIL first\r\n" OK_MAIL OK_RCPT
      HELLO "503 5.5.1 Say MAIL first\r\n" BYE },
    { "commands we do not have", NULL, "EXPN list\r\nBDAT 1\r\nTURN\r\nFOO\r\n\r\nMAILFROM:<>\r\n"
      QUIT, GREETING "502 5.5.1 Command not implemented\r\n502 5.5.1 Command not implemented\r\n"
      "502 5.5.1 Command not implemented\r\n500 5.5.1 Command not recognized\r\n"
      "500 5.5.1 Command not recognized\r\n500 5.5.1 Command not recognized\r\n" BYE },
    { "STARTTLS without a certificate", NULL, "STARTTLS\r\n" QUIT,
      GREETING "502 5.5.1 Command not implemented\r\n" BYE },
    { "arguments where there are none", NULL, "RSET x\r\nDATA x\r\nQUIT x\r\nNOOP x\r\nHELP x\r\n"
      QUIT, GREETING "501 5.5.4 Syntax: this command takes no arguments\r\n"
      "501 5.5.4 Syntax: this command takes no arguments\r\n"
      "501 5.5.4 Syntax: this command takes no arguments\r\n" OK
      "214-2.0.0 Commands: EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT STARTTLS\r\n"
      "214 2.0.0 See RFC 5321; ask postmaster for people\r\n" BYE },
    { "VRFY says nothing", NULL, "VRFY x@y.example\r\nVRFY\r\n" QUIT,
      GREETING "252 2.0.0 Not verified; send mail, and delivery will be tried\r\n"
      "501 5.5.4 Syntax: VRFY address\r\n" BYE },
    { "VRFY can be disabled", "vrfy=false", "VRFY x@y.example\r\n" QUIT,
      GREETING "502 5.5.1 VRFY is disabled\r\n" BYE },
    { "paths that are none", NULL, HELO "MAIL\r\nMAIL FROM:\r\nMAIL FROM:a@b.example\r\n"
      "MAIL FROM:<a@b.example\r\nMAIL FROM:<a@b.example>x\r\nMAIL TO:<a@b.example>\r\n" MAIL
      "RCPT x\r\nRCPT TO:x@y.example\r\n" QUIT, GREETING HELLO
      "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n"
      "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n"
      "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n"
      "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n"
      "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n"
      "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n" OK_MAIL
      "501 5.5.4 Syntax: RCPT TO:<address>\r\n501 5.5.4 Syntax: RCPT TO:<address>\r\n" BYE },
    { "addresses without a domain", NULL, HELO "MAIL FROM:<a>\r\n" MAIL "RCPT TO:<x>\r\n"
      "RCPT TO:<PostMaster>\r\n" QUIT, GREETING HELLO
      "501 5.1.7 Bad sender address: it has no domain\r\n" OK_MAIL
      "501 5.1.3 Bad recipient address: it has no domain\r\n" OK_RCPT BYE },
    { "internationalised addresses only when asked for", NULL, "EHLO c.example\r\n"
      "MAIL FROM:<j\xc3\xbcrgen@b.example>\r\nMAIL FROM:<j\xc3\xbcrgen@b.example> SMTPUTF8\r\n"
      "RCPT TO:<\xc3\xbc@y.example>\r\nRSET\r\n" MAIL "RCPT TO:<\xc3\xbc@y.example>\r\n" QUIT,
      GREETING EHLO_REPLY
      "553 5.6.7 Address is not ASCII, and SMTPUTF8 was not asked for\r\n" OK_MAIL OK_RCPT OK
      OK_MAIL "553 5.6.7 Address is not ASCII, and SMTPUTF8 was not asked for\r\n" BYE },
    { "TLS required and not there", "tls_required=true;tls_certificate=c.pem",
      HELO MAIL "VRFY x\r\nNOOP\r\n" QUIT, GREETING HELLO "530 5.7.0 Say STARTTLS first\r\n"
      "530 5.7.0 Say STARTTLS first\r\n" OK BYE },
    { "DATA after only refused recipients", NULL, HELO MAIL "RCPT TO:<no@y.example>\r\nDATA\r\n"
      QUIT, UP_TO_MAIL "550 5.1.1 <no@y.example>: No such user\r\n"
      "554 5.5.1 No valid recipients\r\n" BYE },
    { "a bare LF in a command", NULL, "NOOP\nQUIT\r\n",
      GREETING "500 5.5.2 A line must end in CR LF, this one has a bare LF\r\n" BYE },
    { "a bare LF from one who may", "bare_lf_from=198.51.100.0/24", "NOOP\nQUIT\n",
      GREETING OK BYE },
    { "a web browser", NULL, "POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n",
      GREETING "421 4.7.0 This is SMTP, not HTTP\r\n" },
};
/* clang-format on */

static void script(struct fakehost *h)
{
    fakehost_verdict(h, "no@y.example", POSTERN_VERDICT_FAIL, "5.1.1", "No such user");
}

/* Feeds the dialogue cut at `cut` (or in single bytes), and looks at what is heard. */
static void hold(const struct dialogue *d, size_t cut, int single)
{
    size_t len = strlen(d->said);
    struct talk t = { .h = talk_host() };

    script(t.h);
    talk_open(t.h, d->options);
    t.s = fakehost_accept(t.h, NULL, "198.51.100.7");
    for (size_t at = 0; at < len;) {
        size_t n = single ? 1 : at < cut ? cut - at : len - at;

        talk_send(&t, d->said + at, n);
        at += n;
    }
    if (strcmp(fakehost_output(t.s, NULL), d->heard) != 0)
        print_message("in: %s (cut at %zu)\n", d->what, cut);
    talk_expect(&t, d->heard);
    assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
    talk_end(&t);
}

static void every_dialogue_goes_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++)
        hold(&dialogues[i], 0, 0);
}

static void portions_of_input_make_no_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++) {
        for (size_t cut = 1; cut < strlen(dialogues[i].said); cut++)
            hold(&dialogues[i], cut, 0);
        hold(&dialogues[i], 0, 1);
    }
}

static void EHLO_tells_the_size_limit(void **state)
{
    struct talk t = { .h = talk_host() };

    (void)state;
    fakehost_size_limit(t.h, 1000);
    talk_open(t.h, NULL);
    t.s = fakehost_accept(t.h, NULL, "198.51.100.7");
    talk_say(&t,
             "EHLO c\r\nMAIL FROM:<a@b.example> SIZE=1001\r\n"
             "MAIL FROM:<a@b.example> SIZE=99999999999999999999\r\n"
             "MAIL FROM:<a@b.example> SIZE=1000\r\nQUIT\r\n");
    talk_expect(&t,
                GREETING "250-gw.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"
                         "250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n"
                         "552 5.3.4 Message too big\r\n552 5.3.4 Message too big\r\n" OK_MAIL BYE);
    talk_end(&t);
}

/* --- who may relay --- */

static void relay(const char *options, const char *peer, const char *heard)
{
    struct talk t = { .h = talk_host() };

    fakehost_verdict(t.h, NULL, POSTERN_VERDICT_RELAY, NULL, NULL);
    fakehost_verdict(t.h, "x@ours.example", POSTERN_VERDICT_ANYONE, NULL, NULL);
    talk_open(t.h, options);
    t.s = peer ? fakehost_accept(t.h, NULL, peer) : fakehost_attach(t.h);
    talk_say(&t, HELO MAIL "RCPT TO:<x@far.example>\r\nRCPT TO:<x@ours.example>\r\nQUIT\r\n");
    talk_expect(&t, heard);
    talk_end(&t);
}

#define DENIED \
    UP_TO_MAIL "550 5.7.1 <x@far.example>: Relaying denied (sender <a@b.example>)\r\n" OK_RCPT BYE
#define RELAYED UP_TO_RCPT OK_RCPT BYE

static void strangers_may_not_relay_by_default(void **state)
{
    (void)state;
    relay(NULL, "198.51.100.7", DENIED);
    relay(NULL, "2001:db8::1", DENIED);
    relay(NULL, "::ffff:198.51.100.7", DENIED);
    relay(NULL, "128.0.0.1", DENIED);
    relay(NULL, "no address", DENIED);
    relay("relay_from=10.0.0.0/8", "127.0.0.1", DENIED);
    relay("relay_from=10.0.0.0/8", NULL, DENIED);
    relay("relay_from=", NULL, DENIED);
}

static void those_in_relay_from_may_relay(void **state)
{
    (void)state;
    relay(NULL, "127.0.0.1", RELAYED);
    relay(NULL, "127.255.0.9", RELAYED);
    relay(NULL, "::1", RELAYED);
    relay(NULL, "::ffff:127.0.0.1", RELAYED);
    relay(NULL, NULL, RELAYED);
    relay("relay_from=198.51.100.0/25, 2001:db8::/32", "198.51.100.127", RELAYED);
    relay("relay_from=198.51.100.0/25, 2001:db8::/32", "198.51.100.128", DENIED);
    relay("relay_from=198.51.100.0/25, 2001:db8::/32", "2001:db8:ffff::1", RELAYED);
}

/* Whose senders the operator may set: not those of mail from the world. */
static void mail_of_those_who_may_relay_is_handed_over_as_trusted(void **state)
{
    static const struct {
        const char *peer;
        uint32_t flags;
    } clients[] = { { "127.0.0.1", POSTERN_MAIL_TRUSTED },
                    { "::1", POSTERN_MAIL_TRUSTED },
                    { "192.0.2.9", 0 } };

    (void)state;
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        struct talk t = talk_start(NULL, clients[i].peer);

        talk_say(&t, HELO MAIL "RSET\r\n");
        assert_int_equal(fakehost_message(t.h, 0)->flags, clients[i].flags);
        talk_end(&t);
    }
}

static void an_open_relay_is_pointed_out(void **state)
{
    struct talk t = talk_start("relay_from=0.0.0.0/0", NULL);

    (void)state;
    assert_int_equal(fakehost_logged(t.h, "smtp.open_relay"), 1);
    talk_end(&t);
    t = talk_start(NULL, NULL);
    assert_int_equal(fakehost_logged(t.h, "smtp.open_relay"), 0);
    talk_end(&t);
}

static void a_rule_refuses_for_now_or_for_good(void **state)
{
    struct talk t = { .h = talk_host() };

    (void)state;
    fakehost_verdict(t.h, "later@y.example", POSTERN_VERDICT_FAIL, "4.2.1", "Moving house");
    fakehost_verdict(t.h, "odd@y.example", 99, "0.0.0", "");
    fakehost_verdict(t.h, "evil@y.example", POSTERN_VERDICT_FAIL, "5.7.1", "a\r\n250 b");
    talk_open(t.h, NULL);
    t.s = fakehost_accept(t.h, NULL, "127.0.0.1");
    talk_say(&t,
             HELO MAIL "RCPT TO:<later@y.example>\r\nRCPT TO:<odd@y.example>\r\n"
                       "RCPT TO:<evil@y.example>\r\nQUIT\r\n");
    talk_expect(&t,
                UP_TO_MAIL "450 4.2.1 <later@y.example>: Moving house\r\n"
                           "550 5.0.0 <odd@y.example>: Refused\r\n"
                           "550 5.7.1 <evil@y.example>: a??250 b\r\n" BYE);
    talk_end(&t);
}

/* --- what is handed over --- */

static void an_envelope_is_handed_over_as_it_was_said(void **state)
{
    struct talk t = talk_start(NULL, "192.0.2.9");
    const struct fakehost_message *m;

    (void)state;
    talk_say(&t,
             "EHLO c.example\r\nMAIL FROM:<@r.example,@s.example:a@b.example> SIZE=77 "
             "BODY=8BITMIME\r\nRCPT TO:<\"NODE::USER\"@h.example>\r\nRCPT TO:<postmaster>\r\n"
             "RCPT TO:<@relay.example:\"a>b\"@h.example>\r\nRSET\r\n");
    m = fakehost_message(t.h, 0);
    assert_string_equal(m->sender, "a@b.example");
    assert_string_equal(m->client, "c.example [192.0.2.9]");
    assert_string_equal(m->protocol, "ESMTP");
    assert_int_equal(m->flags, POSTERN_MAIL_8BIT);
    assert_int_equal(m->size_hint, 77);
    assert_int_equal(m->rcpt_n, 3);
    assert_string_equal(m->rcpts[0], "\"NODE::USER\"@h.example");
    assert_string_equal(m->rcpts[1], "postmaster");
    assert_string_equal(m->rcpts[2], "\"a>b\"@h.example");
    assert_int_equal(m->fate, FAKEHOST_ABANDONED);
    talk_end(&t);
}

static void U_35_a_damaged_recipient_is_handed_over_as_it_was_meant(void **state)
{
    struct talk t = talk_start(NULL, NULL);
    const struct fakehost_message *m;

    (void)state;
    talk_say(&t,
             HELO MAIL "RCPT TO:<NODE::USER@h.example>\r\n"
                       "RCPT TO:<\"A::MRGATE::\"B::C\"\"@h.example>\r\nRCPT TO:<A::B C@d>\r\n");
    talk_expect(&t,
                UP_TO_MAIL OK_RCPT OK_RCPT
                "501 5.1.3 Bad recipient address: this character needs a "
                "quoted local part\r\n");
    m = fakehost_message(t.h, 0);
    assert_int_equal(m->rcpt_n, 2);
    assert_string_equal(m->rcpts[0], "\"NODE::USER\"@h.example");
    assert_string_equal(m->rcpts[1], "\"A::MRGATE::\\\"B::C\\\"\"@h.example");
    assert_int_equal(fakehost_logged(t.h, "smtp.repaired"), 2);
    assert_int_equal(fakehost_logged(t.h, "rule=repair.unquoted was=<NODE::USER@h.example> to="),
                     1);
    talk_end(&t);
}

static void a_damaged_address_is_refused_where_it_is_not_to_be_repaired(void **state)
{
    static const char refused[] = "501 5.1.3 Bad recipient address: this character needs a quoted "
                                  "local part\r\n";
    struct talk t = talk_start("repair_addresses=false", NULL);
    char expected[512];

    (void)state;
    snprintf(expected, sizeof expected, "%s%s", UP_TO_MAIL, refused);
    talk_say(&t, HELO MAIL "RCPT TO:<NODE::USER@h.example>\r\n");
    talk_expect(&t, expected);
    assert_int_equal(fakehost_logged(t.h, "smtp.repaired"), 0);
    talk_end(&t);
    /* Senders are not: a wrong one gets the bounces. */
    t = talk_start(NULL, NULL);
    talk_say(&t, HELO "MAIL FROM:<NODE::USER@h.example>\r\n");
    talk_expect(&t,
                GREETING HELLO "501 5.1.7 Bad sender address: this character needs a quoted local "
                               "part\r\n");
    talk_end(&t);
}

static void what_the_gateway_cannot_say_now_is_its_own_fault(void **state)
{
    struct talk t = { .h = talk_host() };

    (void)state;
    fakehost_verdict(t.h, "a@y.example", POSTERN_VERDICT_FAIL, "4.4.3", "no name server");
    fakehost_verdict(t.h, "b@y.example", POSTERN_VERDICT_FAIL, "4.3.5", "mend the alias");
    talk_open(t.h, NULL);
    t.s = fakehost_accept(t.h, NULL, "127.0.0.1");
    talk_say(&t, HELO MAIL "RCPT TO:<a@y.example>\r\nRCPT TO:<b@y.example>\r\n");
    talk_expect(&t,
                UP_TO_MAIL "451 4.4.3 <a@y.example>: no name server\r\n"
                           "451 4.3.5 <b@y.example>: mend the alias\r\n");
    /* A stranger is not told of our files and servers; the log is. */
    t.s = fakehost_accept(t.h, NULL, "192.0.2.9");
    talk_say(&t, HELO MAIL "RCPT TO:<b@y.example>\r\n");
    talk_expect(&t,
                UP_TO_MAIL "451 4.3.5 <b@y.example>: It can't be said now where this goes, "
                           "try again later\r\n");
    assert_int_equal(fakehost_logged(t.h, "reply=\"451 4.3.5\" why=\"mend the alias\""), 2);
    talk_end(&t);
}

static void nothing_is_held_between_transactions(void **state)
{
    struct talk t = talk_start(NULL, NULL);

    (void)state;
    talk_say(&t, HELO MAIL RCPT "RSET\r\n" MAIL HELO MAIL RCPT "DATA\r\nx\r\n.\r\n");
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_OPEN), 0);
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_ABANDONED), 2);
    assert_int_equal(fakehost_messages(t.h, FAKEHOST_DURABLE), 1);
    talk_end(&t);
}

static void every_accepted_message_is_one_log_line(void **state)
{
    struct talk t = talk_start(NULL, "192.0.2.9");

    (void)state;
    talk_say(
        &t, BEGIN "12345\r\n.\r\nMAIL FROM:<\"a b=c\"@b.example>\r\n" RCPT "DATA\r\n.\r\nQUIT\r\n");
    assert_int_equal(fakehost_logged(t.h,
                                     "6 smtp.accept id=msg1 from=<a@b.example> rcpts=1 "
                                     "size=7 client=192.0.2.9"),
                     1);
    assert_int_equal(fakehost_logged(t.h,
                                     "6 smtp.accept id=msg2 "
                                     "from=\"<\\\"a b=c\\\"@b.example>\" rcpts=1 size=0"),
                     1);
    assert_int_equal(fakehost_logged(t.h, "7 smtp.disconnect messages=2 errors=0"), 1);
    talk_end(&t);
}

/* --- STARTTLS --- */

static void TLS_begins_everything_anew(void **state)
{
    struct talk t = talk_start("tls_certificate=c.pem", NULL);

    (void)state;
    talk_say(&t, "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n" RCPT);
    assert_non_null(strstr(fakehost_output(t.s, NULL), "250-STARTTLS\r\n"));
    fakehost_output_clear(t.s);
    talk_say(&t, "STARTTLS\r\n");
    talk_expect(&t, "220 2.0.0 Ready to start TLS\r\n");
    assert_true(fakehost_secure(t.s));
    assert_int_equal(fakehost_message(t.h, 0)->fate, FAKEHOST_ABANDONED);
    talk_say(&t, RCPT "DATA\r\nMAIL FROM:<a@b.example>\r\nEHLO c.example\r\nSTARTTLS\r\n");
    talk_expect(&t,
                "503 5.5.1 Say MAIL first\r\n503 5.5.1 Say MAIL first\r\n"
                "503 5.5.1 Say EHLO or HELO first\r\n" EHLO_REPLY
                "503 5.5.1 TLS is active already\r\n");
    talk_say(&t, MAIL RCPT "DATA\r\n.\r\n");
    talk_expect(&t, OK_MAIL OK_RCPT GO_AHEAD QUEUED("2"));
    assert_string_equal(fakehost_message(t.h, 1)->protocol, "ESMTPS");
    assert_non_null(strstr(fakehost_message(t.h, 1)->data,
                           "with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) id msg2"));
    talk_end(&t);
}

static void commands_injected_before_TLS_are_not_obeyed(void **state)
{
    struct talk t = talk_start("tls_certificate=c.pem", NULL);

    (void)state;
    talk_say(&t, "STARTTLS\r\nNOOP\r\n");
    talk_expect(&t,
                GREETING "554 5.5.1 STARTTLS must be the last command before the handshake\r\n");
    assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
    talk_end(&t);

    t = talk_start("tls_certificate=c.pem", NULL);
    fakehost_hold(t.h, FAKEHOST_HANDSHAKE, 1);
    talk_say(&t, "STARTTLS\r\n");
    talk_say(&t, "NOOP\r\n"); /* in the clear, and too late to be seen by the plugin */
    fakehost_hold(t.h, FAKEHOST_HANDSHAKE, 0);
    fakehost_run(t.h);
    talk_expect(&t, GREETING "220 2.0.0 Ready to start TLS\r\n");
    assert_int_equal(fakehost_ended(t.s), FAKEHOST_CLOSED);
    talk_end(&t);
}

static void required_TLS_lets_mail_through_once_it_stands(void **state)
{
    struct talk t = talk_start("tls_certificate=c.pem;tls_required=true", NULL);

    (void)state;
    talk_say(&t, "STARTTLS\r\n");
    talk_say(&t, HELO MAIL "QUIT\r\n");
    talk_expect(&t, GREETING "220 2.0.0 Ready to start TLS\r\n" HELLO OK_MAIL BYE);
    talk_end(&t);
}

/* --- settings --- */

static void settings_that_make_no_sense_are_refused(void **state)
{
    static const char *const wrong[][2] = {
        { "relay_from", "10.0.0.0/33" },  { "relay_from", "10.0.0.1/8" },
        { "relay_from", "localhost" },    { "relay_from", "::/129" },
        { "bare_lf_from", "[::1" },       { "banner", "a\r\nb" },
        { "tls_key", "k.pem" },           { "tls_required", "true" },
        { "max_connections", "0" },       { "max_recipients", "0" },
        { "command_timeout", "0s" },      { "nul_bytes", "perhaps" },
        { "data_max_time", "1000000000" }
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fakehost *h = talk_host();

        fakehost_set(h, wrong[i][0], wrong[i][1]);
        if (fakehost_open(h, &smtp_in_LTX_postern_plugin) == 0)
            fail_msg("%s=%s was taken", wrong[i][0], wrong[i][1]);
        assert_non_null(strstr(fakehost_why(h), wrong[i][0]));
        fakehost_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dialogue_goes_as_written),
        cmocka_unit_test(portions_of_input_make_no_difference),
        cmocka_unit_test(EHLO_tells_the_size_limit),
        cmocka_unit_test(strangers_may_not_relay_by_default),
        cmocka_unit_test(those_in_relay_from_may_relay),
        cmocka_unit_test(mail_of_those_who_may_relay_is_handed_over_as_trusted),
        cmocka_unit_test(an_open_relay_is_pointed_out),
        cmocka_unit_test(a_rule_refuses_for_now_or_for_good),
        cmocka_unit_test(an_envelope_is_handed_over_as_it_was_said),
        cmocka_unit_test(U_35_a_damaged_recipient_is_handed_over_as_it_was_meant),
        cmocka_unit_test(a_damaged_address_is_refused_where_it_is_not_to_be_repaired),
        cmocka_unit_test(what_the_gateway_cannot_say_now_is_its_own_fault),
        cmocka_unit_test(nothing_is_held_between_transactions),
        cmocka_unit_test(every_accepted_message_is_one_log_line),
        cmocka_unit_test(TLS_begins_everything_anew),
        cmocka_unit_test(commands_injected_before_TLS_are_not_obeyed),
        cmocka_unit_test(required_TLS_lets_mail_through_once_it_stands),
        cmocka_unit_test(settings_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
