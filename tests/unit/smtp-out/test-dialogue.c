/* One message over one connection: what is said, when, and what each reply does to each
 * recipient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

static void with_pipelining_a_transaction_is_one_write(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job = world_deliver(w, 2);
    postern_stream *s;
    (void)state;

    fakehost_run(w->h);
    s = fakehost_connected(w->h, 0, NULL, NULL);
    fakehost_feeds(s, "220 mx.example ESMTP\r\n");
    fakehost_run(w->h);
    assert_string_equal(fakehost_output(s, NULL), "EHLO gw.example\r\n");
    fakehost_output_clear(s);
    fakehost_feeds(s, ehlo_full);
    fakehost_feeds(s, "\r\n");
    fakehost_run(w->h);
    assert_string_equal(fakehost_output(s, NULL),
                        "MAIL FROM:<from@gw.example> SIZE=26\r\n"
                        "RCPT TO:<r0@dest.example>\r\n"
                        "RCPT TO:<r1@dest.example>\r\n"
                        "DATA\r\n");
    fakehost_output_clear(s);
    fakehost_feeds(s, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    fakehost_run(w->h);
    assert_string_equal(fakehost_output(s, NULL), "Subject: x\r\n\r\n..dot\r\nbody\r\n.\r\n");
    assert_int_equal(fakehost_unsettled(job), 2);
    fakehost_feeds(s, "250 2.0.0 queued\r\n");
    fakehost_run(w->h);
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, "250 2.0.0 queued");
    expect_fate(job, 1, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    assert_string_equal(fakehost_outcome(job, 0)->remote, "mx.example [192.0.2.1]:25");
    assert_string_equal(fakehost_outcome(job, 0)->protocol, "smtp");
    world_free(&w);
}

static void without_pipelining_each_command_waits(void **state)
{
    static const char *const talk[][2] = {
        { "220 mx.example\r\n", "EHLO gw.example\r\n" },
        { "250 mx.example\r\n", "MAIL FROM:<from@gw.example>\r\n" },
        { "250 ok\r\n", "RCPT TO:<r0@dest.example>\r\n" },
        { "250 ok\r\n", "RCPT TO:<r1@dest.example>\r\n" },
        { "250 ok\r\n", "DATA\r\n" },
        { "354 go\r\n", "Subject: x\r\n\r\n..dot\r\nbody\r\n.\r\n" },
        { "250 ok\r\n", "" },
    };
    struct world *w = world_new(NULL);
    postern_job *job = world_deliver(w, 2);
    postern_stream *s;
    (void)state;

    fakehost_run(w->h);
    s = fakehost_connected(w->h, 0, NULL, NULL);
    for (size_t i = 0; i < sizeof talk / sizeof *talk; i++) {
        fakehost_output_clear(s);
        fakehost_feeds(s, talk[i][0]);
        fakehost_run(w->h);
        assert_string_equal(fakehost_output(s, NULL), talk[i][1]);
    }
    expect_fate(job, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, "250 ok");
    world_free(&w);
}

/* Each reply that may come at each step, and the fates of two recipients. */
static const struct {
    const char *step, *reply;
    const char *fate[2];
    int cause;
    const char *text;
} cases[] = {
    /* clang-format off */
    { "mail",  "451 later",          { "deferred 4.3.0",  "deferred 4.3.0" },  2, "451 later" },
    { "mail",  "550 5.7.1 not you",  { "failed 5.7.1",    "failed 5.7.1" },    2, "not you" },
    { "mail",  "421 bye|EOF",        { "deferred 4.3.2",  "deferred 4.3.2" },  3, "421 bye" },
    { "mail",  "354 what",           { "deferred 4.5.0",  "deferred 4.5.0" },  2, "354" },
    { "mail",  "EOF",                { "deferred 4.4.2",  "deferred 4.4.2" },  3, "MAIL" },
    { "mail",  "RST",                { "deferred 4.4.2",  "deferred 4.4.2" },  3, "broken" },
    { "mail",  "HTTP/1.1 400",       { "deferred 4.5.0",  "deferred 4.5.0" },  3, "not an SMTP" },
    { "rcpt0", "550 5.1.1 who",      { "failed 5.1.1",    "delivered 2.0.0" }, 1, "who" },
    { "rcpt0", "452 4.5.3 too many", { "deferred 4.5.3",  "delivered 2.0.0" }, 1, "too many" },
    { "rcpt0", "450-4.2.0 grey\r\n450 4.2.0 listed",
                                     { "deferred 4.2.0",  "delivered 2.0.0" }, 1, "grey listed" },
    { "rcpt0", "421 bye|EOF",        { "deferred 4.3.2",  "deferred 4.3.2" },  3, "421 bye" },
    { "rcpt0", "EOF",                { "deferred 4.4.2",  "deferred 4.4.2" },  2, "RCPT" },
    { "rcpt0", "RST",                { "deferred 4.4.2",  "deferred 4.4.2" },  2, "RCPT" },
    { "rcpt0", "hello?",             { "deferred 4.5.0",  "deferred 4.5.0" },  2, "hello?" },
    { "rcpt1", "550 who",            { "delivered 2.0.0", "failed 5.1.1" },    -1, NULL },
    { "rcpt1", "EOF",                { "deferred 4.4.2",  "deferred 4.4.2" },  2, "RCPT" },
    { "data",  "451 later",          { "deferred 4.3.0",  "deferred 4.3.0" },  2, "451" },
    { "data",  "554 5.5.1 no",       { "failed 5.5.1",    "failed 5.5.1" },    2, "554" },
    { "data",  "250 what",           { "deferred 4.5.0",  "deferred 4.5.0" },  2, "250 what" },
    { "data",  "421 bye|EOF",        { "deferred 4.3.2",  "deferred 4.3.2" },  3, "421" },
    { "data",  "EOF",                { "deferred 4.4.2",  "deferred 4.4.2" },  2, "DATA" },
    { "final", "451 4.3.0 later",    { "deferred 4.3.0",  "deferred 4.3.0" },  2, "451" },
    { "final", "554 5.6.0 spam",     { "failed 5.6.0",    "failed 5.6.0" },    2, "spam" },
    { "final", "250 2.6.0 thanks",   { "delivered 2.6.0", "delivered 2.6.0" }, 0, "thanks" },
    { "final", "251 forwarded",      { "delivered 2.0.0", "delivered 2.0.0" }, 0, "forwarded" },
    { "final", "354 more?",          { "deferred 4.5.0",  "deferred 4.5.0" },  2, "354" },
    { "final", "421 bye|EOF",        { "deferred 4.3.2",  "deferred 4.3.2" },  3, "421" },
    { "final", "EOF",                { "deferred 4.4.2",  "deferred 4.4.2" },  2, "twice" },
    { "final", "RST",                { "deferred 4.4.2",  "deferred 4.4.2" },  2, "twice" },
    { "final", "250 ok|EOF",         { "delivered 2.0.0", "delivered 2.0.0" }, 0, "250 ok" },
    /* clang-format on */
};

static void set_step(struct script *c, const char *step, const char *reply)
{
    if (!strcmp(step, "mail"))
        c->mail = reply;
    else if (!strcmp(step, "rcpt0"))
        c->rcpt[0] = reply;
    else if (!strcmp(step, "rcpt1"))
        c->rcpt[1] = reply;
    else if (!strcmp(step, "data"))
        c->data = reply;
    else
        c->final = reply;
}

/* A message under each of the cases; then the connection, if it stands, must be good for
 * another. */
static void try_case(size_t i, const char *ehlo, size_t chunk)
{
    struct world *w = world_new(NULL);
    postern_job *job, *next;

    w->chunk = chunk;
    w->scripts[0].ehlo = ehlo;
    set_step(&w->scripts[0], cases[i].step, cases[i].reply);
    job = world_deliver(w, 2);
    world_run(w);
    for (size_t k = 0; k < 2; k++)
        expect_fate(job, k, cases[i].fate[k], k == 0 ? cases[i].cause : -1,
                    k == 0 ? cases[i].text : NULL);

    w->scripts[0] = (struct script){ .ehlo = ehlo };
    next = world_deliver(w, 2);
    world_run(w);
    expect_fate(next, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, "queued");
    expect_fate(next, 1, "delivered 2.0.0", POSTERN_CAUSE_NONE, "queued");
    assert_string_equal(w->servers[w->n - 1].content, "Subject: x\r\n\r\n..dot\r\nbody\r\n");
    world_free(&w);
}

static void every_reply_at_every_step_pipelined(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        try_case(i, ehlo_full, 0);
}

static void every_reply_at_every_step_one_by_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        try_case(i, ehlo_plain, 0);
}

static void every_reply_at_every_step_in_small_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        try_case(i, ehlo_full, 1);
        try_case(i, ehlo_full, 7);
        try_case(i, ehlo_plain, 1);
    }
}

/* Steps from the greeting on, for the other two ways in which a server can fail us. */
static void every_reply_may_be_cut_anywhere(void **state)
{
    static const char all[] = "220 mx.example ESMTP\r\n250-mx.example\r\n250 PIPELINING\r\n"
                              "250 ok\r\n550-5.1.1 no\r\n550 5.1.1 such\r\n250 ok\r\n354 go\r\n"
                              "250 2.0.0 queued\r\n";
    const size_t final = (size_t)(strstr(all, "250 2.0.0") - all);
    (void)state;

    for (size_t cut = 0; cut < sizeof all; cut++) {
        struct world *w = world_new(NULL);
        postern_job *job = world_deliver(w, 2);
        postern_stream *s;

        fakehost_run(w->h);
        s = fakehost_connected(w->h, 0, NULL, NULL);
        fakehost_feed(s, all, cut < final ? cut : final);
        fakehost_run(w->h);
        if (cut > final)
            fakehost_feed(s, all + final, cut - final);
        fakehost_run(w->h);
        fakehost_feed_eof(s);
        fakehost_run(w->h);
        assert_int_equal(fakehost_unsettled(job), 0);
        expect_fate(job, 1, cut == sizeof all - 1 ? "delivered 2.0.0" : "deferred 4.4.2", -1, NULL);
        world_free(&w);
    }
}

static void a_lone_dot_answers_354_when_nobody_was_accepted(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job, *next;
    (void)state;

    w->scripts[0].rcpt[0] = w->scripts[0].rcpt[1] = "550 5.1.1 no";
    w->scripts[0].final = "554 5.5.1 no valid recipients";
    job = world_deliver(w, 2);
    world_run(w);
    expect_fate(job, 0, "failed 5.1.1", POSTERN_CAUSE_RECIPIENT, "no");
    expect_fate(job, 1, "failed 5.1.1", POSTERN_CAUSE_RECIPIENT, "no");
    assert_string_equal(w->servers[0].content, "");

    w->scripts[0] = (struct script){ .greeting = NULL };
    next = world_deliver(w, 1);
    world_run(w);
    expect_fate(next, 0, "delivered 2.0.0", POSTERN_CAUSE_NONE, NULL);
    assert_int_equal(w->n, 1);
    assert_non_null(strstr(w->servers[0].said, "DATA\n.\nRSET\nMAIL"));
    world_free(&w);
}

static void data_is_not_sent_when_nobody_was_accepted(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job;
    (void)state;

    w->scripts[0].ehlo = ehlo_plain;
    w->scripts[0].rcpt[0] = "550 5.1.1 no";
    job = world_deliver(w, 1);
    world_run(w);
    expect_fate(job, 0, "failed 5.1.1", POSTERN_CAUSE_RECIPIENT, "no");
    assert_null(strstr(w->servers[0].said, "DATA"));
    world_free(&w);
}

static void many_recipients_go_in_batches(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job;
    postern_stream *s;
    size_t len;
    (void)state;

    job = world_deliver(w, 3000);
    fakehost_run(w->h);
    s = fakehost_connected(w->h, 0, NULL, NULL);
    fakehost_feeds(s, "220 hi\r\n");
    fakehost_feeds(s, ehlo_full);
    fakehost_feeds(s, "\r\n");
    fakehost_run(w->h);
    fakehost_output(s, &len);
    assert_in_range(len, 16000, 40000); /* a batch, not everything */
    assert_null(strstr(fakehost_output(s, NULL), "DATA"));
    w->servers[0].stream = s;
    w->servers[0].greeted = 1;
    w->servers[0].seen = strlen("EHLO gw.example\r\n");
    w->n = 1;
    w->scripts[0].rcpt[3] = "550 5.1.1 not 3";
    world_run(w);
    for (size_t i = 0; i < 3000; i++)
        expect_fate(job, i, i == 3 ? "failed 5.1.1" : "delivered 2.0.0", -1, NULL);
    world_free(&w);
}

/* --- what a server may not be given --- */

static void a_message_over_the_servers_size_is_not_sent(void **state)
{
    static char content[3000];
    struct fakehost_job job = { .destination = "dest.example" };
    struct world *w = world_new(NULL);
    postern_job *handle;
    (void)state;

    memset(content, 'x', sizeof content);
    job.content = content;
    job.content_len = sizeof content;
    w->scripts[0].ehlo = "250-mx.example\r\n250 SIZE 2999";
    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    expect_fate(handle, 0, "failed 5.3.4", POSTERN_CAUSE_MESSAGE, "2999");
    assert_null(strstr(w->servers[0].said, "MAIL"));
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_STANDS);

    job.content_len = 2999; /* and the connection is still good */
    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    expect_fate(handle, 0, "delivered 2.0.0", -1, NULL);
    assert_int_equal(w->n, 1);
    world_free(&w);
}

static void body_8bitmime_is_said_where_it_is_offered(void **state)
{
    struct fakehost_job job = { .destination = "dest.example", .flags = POSTERN_MAIL_8BIT };
    struct world *w = world_new(NULL);
    postern_job *handle;
    (void)state;

    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    expect_fate(handle, 0, "delivered 2.0.0", -1, NULL);
    assert_non_null(
        strstr(w->servers[0].said, "MAIL FROM:<from@gw.example> SIZE=26 BODY=8BITMIME\n"));
    world_free(&w);

    w = world_new(NULL);
    w->scripts[0].ehlo = ehlo_plain; /* then it is just sent */
    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    expect_fate(handle, 0, "delivered 2.0.0", -1, NULL);
    assert_non_null(strstr(w->servers[0].said, "MAIL FROM:<from@gw.example>\n"));
    world_free(&w);
}

/* Delivers a message that has the given flags and parts. */
static void try_utf8(const char *ehlo, struct fakehost_job *job, const char *mail,
                     const char *const *fates)
{
    struct world *w = world_new(NULL);
    postern_job *handle;

    w->scripts[0].ehlo = ehlo;
    job->destination = "dest.example";
    handle = world_deliver_job(w, job, 2);
    world_run(w);
    for (size_t i = 0; i < 2; i++)
        expect_fate(handle, i, fates[i], -1, NULL);
    if (mail && !strstr(w->servers[0].said, mail))
        fail_msg("\"%s\" is not in: %s", mail, w->servers[0].said);
    if (!mail)
        assert_null(strstr(w->servers[0].said, "MAIL"));
    world_free(&w);
}

static void smtputf8_is_asked_for_or_the_message_fails(void **state)
{
    static const char *const wide[] = { "r\xc3\xbc@dest.example", "r1@dest.example", NULL };
    static const char *const delivered[] = { "delivered 2.0.0", "delivered 2.0.0" };
    static const char *const failed[] = { "failed 5.6.7", "failed 5.6.7" };
    static const char *const one_failed[] = { "failed 5.6.7", "delivered 2.0.0" };
    struct fakehost_job plain = { .flags = POSTERN_MAIL_UTF8 };
    struct fakehost_job rcpt = { .flags = POSTERN_MAIL_UTF8, .rcpts = wide };
    struct fakehost_job sender = { .flags = POSTERN_MAIL_UTF8, .sender = "fr\xc3\xbc@gw.example" };
    struct fakehost_job unflagged = { .sender = "fr\xc3\xbc@gw.example" };
    struct fakehost_job header = { .flags = POSTERN_MAIL_UTF8,
                                   .content = "Subject: \xc3\xbc\xc3\xbc\r\n\r\nbody" };
    struct fakehost_job body = { .flags = POSTERN_MAIL_UTF8,
                                 .content = "Subject: xx\r\n\r\nbod\xc3\xbc\r\n" };
    static const char asked[] = "MAIL FROM:<from@gw.example> SIZE=26 BODY=8BITMIME SMTPUTF8\n";
    static const char silent[] = "MAIL FROM:<from@gw.example>\n";
    (void)state;

    try_utf8(ehlo_full, &plain, asked, delivered);
    try_utf8(ehlo_full, &rcpt, asked, delivered);
    try_utf8(ehlo_full, &sender, "BODY=8BITMIME SMTPUTF8\n", delivered);
    try_utf8(ehlo_full, &unflagged, "BODY=8BITMIME SMTPUTF8\n", delivered);
    try_utf8(ehlo_full, &header, "SMTPUTF8\n", delivered);
    try_utf8(ehlo_plain, &plain, silent, delivered);
    try_utf8(ehlo_plain, &rcpt, silent, one_failed);
    try_utf8(ehlo_plain, &sender, NULL, failed);
    try_utf8(ehlo_plain, &unflagged, NULL, failed);
    try_utf8(ehlo_plain, &header, NULL, failed);
    try_utf8(ehlo_plain, &body, silent, delivered);
}

static void an_international_domain_needs_no_smtputf8(void **state)
{
    static const char *const rcpts[] = { "u@b\xc3\xbc"
                                         "cher.example",
                                         "\"a b\"@B\xc3\xbc"
                                         "cher.Example.",
                                         NULL };
    static const char *const mixed[] = { "r\xc3\xbc@b\xc3\xbc"
                                         "cher.example",
                                         "u@b\xc3\xbc"
                                         "cher.example",
                                         NULL };
    static const char *const delivered[] = { "delivered 2.0.0", "delivered 2.0.0" };
    static const char *const one_failed[] = { "failed 5.6.7", "delivered 2.0.0" };
    struct fakehost_job domains = { .sender = "s@m\xc3\xbcnchen.example", .rcpts = rcpts };
    struct fakehost_job both = { .rcpts = mixed };

    (void)state;
    try_utf8(ehlo_plain, &domains,
             "MAIL FROM:<s@xn--mnchen-3ya.example>\n"
             "RCPT TO:<u@xn--bcher-kva.example>\n"
             "RCPT TO:<\"a b\"@xn--bcher-kva.example>\n",
             delivered);
    try_utf8(ehlo_plain, &both, "RCPT TO:<u@xn--bcher-kva.example>\n", one_failed);
    try_utf8(ehlo_full, &domains,
             "RCPT TO:<\"a b\"@B\xc3\xbc"
             "cher.Example>\n",
             delivered);
}

static void no_domain_ends_with_a_dot(void **state)
{
    static const char *const rcpts[] = { "u@Crow.Example.", "v@[192.0.2.1]", NULL };
    static const char *const delivered[] = { "delivered 2.0.0", "delivered 2.0.0" };
    struct fakehost_job job = { .sender = "s@gw.example.", .rcpts = rcpts };

    (void)state;
    try_utf8(ehlo_plain, &job,
             "MAIL FROM:<s@gw.example>\nRCPT TO:<u@Crow.Example>\nRCPT TO:<v@[192.0.2.1]>\n",
             delivered);
}

static void a_header_that_cannot_be_read_defers(void **state)
{
    struct fakehost_job job = { .flags = POSTERN_MAIL_UTF8, .destination = "dest.example" };
    struct world *w = world_new(NULL);
    postern_job *handle;
    (void)state;

    w->scripts[0].ehlo = ehlo_plain;
    fakehost_fail(w->h, FAKEHOST_CONTENT_READ, 0, -EIO);
    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    expect_fate(handle, 0, "deferred 4.3.0", POSTERN_CAUSE_MESSAGE, NULL);

    fakehost_fail(w->h, FAKEHOST_OFFLOAD, 0, -EAGAIN);
    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    expect_fate(handle, 0, "deferred 4.3.0", POSTERN_CAUSE_PLUGIN, NULL);
    world_free(&w);
}

static void a_job_can_end_while_its_header_is_read(void **state)
{
    struct fakehost_job job = { .flags = POSTERN_MAIL_UTF8, .destination = "dest.example" };
    struct world *w = world_new(NULL);
    postern_job *handle;
    (void)state;

    w->scripts[0].ehlo = w->scripts[1].ehlo = ehlo_plain;
    fakehost_hold(w->h, FAKEHOST_OFFLOAD, 1);
    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    fakehost_cancel(w->h, handle);
    expect_fate(handle, 0, "deferred 4.4.0", -1, "examining");
    fakehost_hold(w->h, FAKEHOST_OFFLOAD, 0);
    world_run(w);

    /* And its connection may end first: then another one waits for the same answer. */
    fakehost_hold(w->h, FAKEHOST_OFFLOAD, 1);
    fakehost_addresses(w->h, "mx.example", 0, "192.0.2.1, 192.0.2.2");
    w->scripts[2].ehlo = ehlo_plain;
    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    fakehost_feed_eof(w->servers[1].stream);
    world_run(w);
    fakehost_hold(w->h, FAKEHOST_OFFLOAD, 0);
    world_run(w);
    expect_fate(handle, 0, "delivered 2.0.0", -1, NULL);
    assert_int_equal(w->n, 3);
    world_free(&w);
}

static void addresses_with_controls_are_never_sent(void **state)
{
    static const char *const rcpts[] = { "a\r\nRCPT TO:<b@c.example>", "r1@dest.example", NULL };
    struct fakehost_job job = { .destination = "dest.example", .rcpts = rcpts };
    struct fakehost_job sender = { .destination = "dest.example", .sender = "a\nb@c.example" };
    struct world *w = world_new(NULL);
    postern_job *handle = world_deliver_job(w, &job, 2);
    (void)state;

    world_run(w);
    expect_fate(handle, 0, "failed 5.1.3", POSTERN_CAUSE_RECIPIENT, NULL);
    expect_fate(handle, 1, "delivered 2.0.0", -1, NULL);
    handle = world_deliver_job(w, &sender, 1);
    expect_fate(handle, 0, "failed 5.1.7", POSTERN_CAUSE_MESSAGE, NULL);
    assert_null(strstr(w->servers[0].said, "b@c.example"));
    world_free(&w);
}

static void the_null_sender_is_written_as_such(void **state)
{
    struct fakehost_job job = { .destination = "dest.example", .sender = "" };
    struct world *w = world_new(NULL);
    postern_job *handle = world_deliver_job(w, &job, 1);
    (void)state;

    world_run(w);
    expect_fate(handle, 0, "delivered 2.0.0", -1, NULL);
    assert_non_null(strstr(w->servers[0].said, "MAIL FROM:<> SIZE=26\n"));
    world_free(&w);
}

/* --- while the content is on its way --- */

/* Brings a job to the point where its content waits for a peer that does not read. */
static postern_job *stall_in_content(struct world *w)
{
    postern_job *job = world_deliver(w, 1);
    postern_stream *s;

    w->scripts[0].data = "";
    world_run(w);
    s = w->servers[0].stream;
    fakehost_stall(s, 1);
    fakehost_feeds(s, "354 go\r\n");
    fakehost_run(w->h);
    return job;
}

static void a_refusal_in_the_middle_of_content_ends_the_connection(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job = stall_in_content(w);
    (void)state;

    fakehost_feeds(w->servers[0].stream, "552 5.3.4 too much\r\n");
    fakehost_run(w->h);
    expect_fate(job, 0, "failed 5.3.4", POSTERN_CAUSE_MESSAGE, "too much");
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_ABORTED);
    world_free(&w);
}

static void success_in_the_middle_of_content_is_not_believed(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job = stall_in_content(w);
    (void)state;

    fakehost_feeds(w->servers[0].stream, "250 2.0.0 queued\r\n");
    fakehost_run(w->h);
    expect_fate(job, 0, "deferred 4.5.0", POSTERN_CAUSE_MESSAGE, "no place");
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_ABORTED);
    world_free(&w);
}

static void a_peer_that_takes_no_content_is_given_up(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job = stall_in_content(w);
    (void)state;

    fakehost_advance(w->h, (uint64_t)170 * 1000000);
    assert_int_equal(fakehost_unsettled(job), 1);
    fakehost_advance(w->h, (uint64_t)60 * 1000000);
    expect_fate(job, 0, "deferred 4.4.2", POSTERN_CAUSE_MESSAGE, "sending the content");
    assert_null(strstr(fakehost_outcome(job, 0)->diagnostic, "twice"));
    world_free(&w);
}

static void content_that_cannot_be_read_defers(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job;
    (void)state;

    fakehost_fail(w->h, FAKEHOST_CONTENT_READ, 0, -EIO);
    job = world_deliver(w, 1);
    world_run(w);
    expect_fate(job, 0, "deferred 4.4.2", POSTERN_CAUSE_MESSAGE, "sending the content");
    fakehost_fail(w->h, FAKEHOST_STREAM_CONTENT, 0, -EBUSY);
    job = world_deliver(w, 1);
    world_run(w);
    expect_fate(job, 0, "deferred 4.3.0", POSTERN_CAUSE_MESSAGE, "sending the content");
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_pipelining_a_transaction_is_one_write),
        cmocka_unit_test(without_pipelining_each_command_waits),
        cmocka_unit_test(every_reply_at_every_step_pipelined),
        cmocka_unit_test(every_reply_at_every_step_one_by_one),
        cmocka_unit_test(every_reply_at_every_step_in_small_pieces),
        cmocka_unit_test(every_reply_may_be_cut_anywhere),
        cmocka_unit_test(a_lone_dot_answers_354_when_nobody_was_accepted),
        cmocka_unit_test(data_is_not_sent_when_nobody_was_accepted),
        cmocka_unit_test(many_recipients_go_in_batches),
        cmocka_unit_test(a_message_over_the_servers_size_is_not_sent),
        cmocka_unit_test(body_8bitmime_is_said_where_it_is_offered),
        cmocka_unit_test(smtputf8_is_asked_for_or_the_message_fails),
        cmocka_unit_test(an_international_domain_needs_no_smtputf8),
        cmocka_unit_test(no_domain_ends_with_a_dot),
        cmocka_unit_test(a_header_that_cannot_be_read_defers),
        cmocka_unit_test(a_job_can_end_while_its_header_is_read),
        cmocka_unit_test(addresses_with_controls_are_never_sent),
        cmocka_unit_test(the_null_sender_is_written_as_such),
        cmocka_unit_test(a_refusal_in_the_middle_of_content_ends_the_connection),
        cmocka_unit_test(success_in_the_middle_of_content_is_not_believed),
        cmocka_unit_test(a_peer_that_takes_no_content_is_given_up),
        cmocka_unit_test(content_that_cannot_be_read_defers),
    };

    return cmocka_run_group_tests_name("smtp-out dialogue", tests, NULL, NULL);
}
