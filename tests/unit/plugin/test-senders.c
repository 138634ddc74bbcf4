/* Senders on their way in: whose are rewritten, in what pieces their mail may come, and what is
 * left as it is. */
#include <errno.h>

#include "kit.h"
#include "log/log.h"
#include "message/user-from.h"
#include "plugin/submit-private.h"

#define CONFIG(routing) \
    "{\"server\":{\"hostname\":\"gw.test\",\"message_size_max\":\"1M\"}," \
    "\"transports\":{\"out\":{\"plugin\":\"x\"},\"local-mbox\":{\"plugin\":\"x\"}}," \
    "\"routing\":{" routing ",\"default\":{\"transport\":\"out\"}}}"
#define ROW "\"senders\":[{\"sender\":\"*@old.test\",\"rewrite\":\"*@new.test\"}]"

static const char plain_config[] = CONFIG("\"roads\":\"off\"");
static const char row_config[] = CONFIG(ROW);
static const char user_from_config[] = CONFIG("\"user_from\":true");
static const char both_config[] = CONFIG(ROW ",\"user_from\":true");

struct sent { /* and what became of it */
    const char *config, *sender;
    uint32_t flags;
    size_t piece; /* bytes of each write; 0: all at once */
    int result;
    char *content; /* in the spool; NULL: it is not */
    struct envelope *envelope;
};

static void submit(struct fixture *f, struct sent *s, const char *text, size_t len)
{
    const struct postern_envelope e = { .size = sizeof e, .sender = s->sender, .flags = s->flags };
    size_t piece = s->piece ? s->piece : len;
    struct answer a = { 0, 0 };
    postern_submit *submit;

    assert_int_equal(v->submit_new(f->host, &e, &submit), 0);
    assert_int_equal(v->submit_rcpt(submit, "bob@b.test"), 0);
    for (size_t at = 0; at < len; at += piece)
        assert_int_equal(v->submit_write(submit, text + at, piece < len - at ? piece : len - at),
                         0);
    v->submit_commit(submit, note, &a);
    await(f, &a);
    s->result = a.result;
    if (a.result == 0) {
        s->content = mem_strdup(fakespool_newest(f->spool));
        s->envelope = fakespool_envelope(f->spool);
    }
}

/* A message of one of ours, unless said otherwise. */
static void mail(struct sent *s, const char *text)
{
    struct fixture f;

    start_with(&f, s->config);
    submit(&f, s, text, strlen(text));
    stop(&f);
}

static void sent_done(struct sent *s)
{
    free(s->content);
    free(s->envelope);
}

static struct sent of(const char *config)
{
    return (
        struct sent){ .config = config, .sender = "ann@old.test", .flags = POSTERN_MAIL_TRUSTED };
}

/* The content, whatever the pieces in which it comes. */
static void content_is(const char *config, const char *text, const char *expected)
{
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        struct sent s = of(config);

        s.piece = piece;
        mail(&s, text);
        assert_int_equal(s.result, 0);
        assert_string_equal(s.content, expected);
        sent_done(&s);
    }
}

#define LETTER(from) \
    "Received: from x\r\n\tby y\r\nFrom: Ann\r\n <ann@" from ">\r\nTo: ann@old.test\r\n" \
    "Reply-To: team: bob@" from ", x@far.test;\r\n\r\nFrom: ann@old.test\r\n.\r\n"

static void T_46_T_47_envelope_and_header_of_our_own_users(void **state)
{
    struct sent s = of(row_config);

    (void)state;
    mail(&s, LETTER("old.test"));
    assert_string_equal(envelope_sender(s.envelope), "ann@new.test");
    assert_string_equal(s.content, LETTER("new.test"));
    assert_int_equal(s.envelope->flags, 0); /* nobody need know in the spool */
    assert_int_equal(s.envelope->hops, 1);
    sent_done(&s);
}

static void mail_from_the_world_keeps_its_sender(void **state)
{
    struct sent s = of(both_config);

    (void)state;
    s.flags = 0;
    mail(&s, LETTER("old.test"));
    assert_string_equal(envelope_sender(s.envelope), "ann@old.test");
    assert_string_equal(s.content, LETTER("old.test"));
    sent_done(&s);
    s = of(both_config);
    s.flags = 0;
    mail(&s, "From: a@b.test\r\n\r\n/FROM=x@y.test\r\n");
    assert_string_equal(s.content, "From: a@b.test\r\n\r\n/FROM=x@y.test\r\n");
    sent_done(&s);
}

static void without_rows_nothing_happens(void **state)
{
    struct sent s = of(plain_config);

    (void)state;
    mail(&s, LETTER("old.test"));
    assert_string_equal(envelope_sender(s.envelope), "ann@old.test");
    assert_string_equal(s.content, LETTER("old.test"));
    sent_done(&s);
}

static void the_null_sender_stays(void **state)
{
    struct sent s = of(CONFIG("\"senders\":[{\"sender\":\"*\",\"rewrite\":\"all@new.test\"}]"));

    (void)state;
    s.sender = "";
    mail(&s, "From: ann@old.test\r\n\r\n");
    assert_string_equal(envelope_sender(s.envelope), "");
    assert_string_equal(s.content, "From: all@new.test\r\n\r\n"); /* it has an author, though */
    sent_done(&s);
}

static void pieces_of_every_size(void **state)
{
    (void)state;
    content_is(row_config, LETTER("old.test"), LETTER("new.test"));
    content_is(row_config, "From: ann@old.test\n\nbody\n", "From: ann@new.test\n\nbody\n");
    content_is(row_config, "X: y\r\nFrom:\r\n\tann@old.test\r\n \r\n\r\n\r\nbody",
               "X: y\r\nFrom:\r\n\tann@new.test\r\n \r\n\r\n\r\nbody");
}

static void heads_without_an_end_or_a_body(void **state)
{
    (void)state;
    content_is(row_config, "From: ann@old.test", "From: ann@new.test");
    content_is(row_config, "From: ann@old.test\r", "From: ann@new.test\r");
    content_is(row_config, "From: ann@old.test\r\n", "From: ann@new.test\r\n");
    content_is(row_config, "From: ann@old.test\r\n\r\n", "From: ann@new.test\r\n\r\n");
    content_is(row_config, "From: ann@old.test\r\nno field\r\nFrom: ann@old.test\r\n",
               "From: ann@new.test\r\nno field\r\nFrom: ann@old.test\r\n");
    content_is(row_config, " From: ann@old.test\r\n", " From: ann@old.test\r\n");
    content_is(row_config, "\r\nFrom: ann@old.test\r\n", "\r\nFrom: ann@old.test\r\n");
    content_is(row_config, "Subject: no author\r\n\r\nbody\r\n",
               "Subject: no author\r\n\r\nbody\r\n");
}

static void T_36_the_first_line_of_a_body_names_the_author(void **state)
{
    (void)state;
    content_is(user_from_config, "From: Ann <ann@old.test>\r\n\r\n /From=x@y.test \r\nHello.\r\n",
               "From: x@y.test\r\nSender: Ann <ann@old.test>\r\n\r\nHello.\r\n");
    content_is(user_from_config, "From: a@b\n\n/FROM=x@y.test", "From: x@y.test\nSender: a@b\n\n");
    /* The former one is as the rows have it; the one that is named is his own choice. */
    content_is(both_config, "From: Ann <ann@old.test>\r\n\r\n/FROM=x@old.test\r\nHello.\r\n",
               "From: x@old.test\r\nSender: Ann <ann@new.test>\r\n\r\nHello.\r\n");
}

static void T_36_other_first_lines_stay(void **state)
{
    static const char *const texts[] = {
        "From: a@b\r\n\r\n\r\n/FROM=x@y.test\r\n",     /* the second one */
        "From: a@b\r\n\r\n/FROM=x\r\nHello.\r\n",      /* no address */
        "From: a@b\r\n\r\n/FROM=x@y.test bye\r\n",     /* something behind it */
        "From: a@b\r\n\r\n/FROM=\xc3\xb6@y.test\r\n",  /* it would need SMTPUTF8 */
        "From: a@b\r\nFrom: c@d\r\n\r\n/FROM=x@y\r\n", /* which of the two? */
        "From: a@b\r\n/FROM=x@y.test\r\n",             /* there is no empty line before it */
        "Content-Transfer-Encoding: Base64\r\n\r\n/FROM=x@y.test\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n/FROM=3Dx@y.test\r\n",
        "From: a@b\r\n\r\n",
        "From: a@b\r\n\r\nHello",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        content_is(user_from_config, texts[i], texts[i]);
}

static void a_long_first_line_is_not_waited_for(void **state)
{
    struct sent s = of(user_from_config);
    char text[2 * USER_FROM_LINE_MAX + 64];

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "A: b\r\n\r\n", 8);
    text[sizeof text - 1] = 0;
    s.piece = 100;
    mail(&s, text);
    assert_string_equal(s.content, text);
    sent_done(&s);
}

/* "From: ann@old.test", then fields so that the section has `size` bytes; then a body. */
static struct buf large_head(size_t size)
{
    struct buf b = { 0 };

    buf_adds(&b, "From: ann@old.test\r\n");
    while (b.len + 202 < size)
        buf_printf(&b, "X-Filler: %0188d\r\n", 0);
    buf_printf(&b, "X: %0*d\r\n", (int)(size - b.len - 7), 0);
    buf_adds(&b, "\r\n");
    assert_int_equal(b.len, size);
    buf_adds(&b, "body\r\n");
    return b;
}

static void a_head_may_be_so_long_and_no_longer(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        for (size_t piece = 1000; piece < 2 * SUBMIT_HEAD_MAX; piece *= 23) {
            struct buf text = large_head(SUBMIT_HEAD_MAX + more);
            struct sent s = of(row_config);

            s.piece = piece;
            mail(&s, text.data);
            assert_int_equal(strlen(s.content), text.len);
            assert_string_equal(s.content + 18, text.data + 18);
            assert_memory_equal(s.content, more ? "From: ann@old.test" : "From: ann@new.test", 18);
            assert_string_equal(envelope_sender(s.envelope), "ann@new.test");
            sent_done(&s);
            buf_free(&text);
        }
    }
}

/* Rewriting never makes a message too large, and 8-bit content is declared as before. */
static void limits_and_flags_are_those_of_what_was_written(void **state)
{
    const size_t max = 1048576;
    struct sent s =
        of(CONFIG("\"senders\":[{\"sender\":\"*\",\"rewrite\":\"a-longer-name@new.test\"}]"));
    struct buf text = { 0 };

    (void)state;
    buf_adds(&text, "From: a@b\r\n\r\n");
    while (text.len < max)
        buf_addc(&text, text.len == max - 1 ? '\xe4' : 'x');
    s.piece = 9999;
    mail(&s, text.data);
    assert_int_equal(s.result, 0);
    assert_int_equal(strlen(s.content), max + strlen("a-longer-name@new.test") - strlen("a@b"));
    assert_int_equal(s.envelope->flags, POSTERN_MAIL_8BIT);
    sent_done(&s);
    buf_free(&text);
    s = of(user_from_config);
    s.flags |= POSTERN_MAIL_UTF8;
    mail(&s, "From: \xc3\xb6@b.test\r\n\r\n/FROM=\xc3\xa4@b.test\r\n");
    assert_string_equal(s.content, "From: \xc3\xa4@b.test\r\nSender: \xc3\xb6@b.test\r\n\r\n");
    assert_int_equal(s.envelope->flags, POSTERN_MAIL_8BIT | POSTERN_MAIL_UTF8);
    sent_done(&s);
}

static void what_is_held_back_is_let_go(void **state)
{
    const struct postern_envelope e = { .size = sizeof e,
                                        .sender = "ann@old.test",
                                        .flags = POSTERN_MAIL_TRUSTED };
    struct fixture f;
    postern_submit *s;
    struct answer a = { 0, 0 };

    (void)state;
    start_with(&f, row_config);
    assert_int_equal(v->submit_new(f.host, &e, &s), 0);
    assert_string_equal(v->submit_sender(s), "ann@new.test");
    assert_int_equal(v->submit_write(s, "From: x", 7), 0);
    v->submit_free(s);
    assert_int_equal(v->submit_new(f.host, &e, &s), 0);
    assert_int_equal(v->submit_write(s, "From: x", 7), 0);
    v->submit_commit(s, note, &a); /* nobody to send it to */
    await(&f, &a);
    assert_int_equal(a.result, -EINVAL);
    /* The disk is behind: said when the head goes on, and not before. */
    fakespool_behind(f.spool, 1);
    assert_int_equal(v->submit_new(f.host, &e, &s), 0);
    assert_int_equal(v->submit_write(s, "From: ann@old.test\r\n", 20), 0);
    assert_int_equal(v->submit_write(s, "\r\n", 2), 1);
    assert_int_equal(v->submit_write(s, "body", 4), 1);
    v->submit_free(s);
    fakespool_behind(f.spool, 0);
    assert_int_equal(fakespool_live(f.spool), 0);
    assert_int_equal(hosts_submissions(f.hosts), 0);
    stop(&f);
}

/* --- what the log says --- */

static char *logged(const char *config, const char *text)
{
    char path[] = "/tmp/postern-senders-XXXXXX", *all = mem_zalloc(65536);
    struct sent s = of(config);
    int fd = mkstemp(path);
    FILE *in;

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(log_open(&(struct log_config){ .level = POSTERN_LOG_INFO, .file = path }), 0);
    mail(&s, text);
    log_flush();
    log_open(&(struct log_config){ .level = POSTERN_LOG_ERROR });
    in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(all, 1, 65535, in) > 0 || !*text);
    fclose(in);
    unlink(path);
    sent_done(&s);
    return all;
}

static void has(const char *log, const char *text)
{
    if (!strstr(log, text))
        print_error("%s", log);
    assert_non_null(strstr(log, text));
}

static void each_change_is_logged_with_its_row(void **state)
{
    char *log = logged(row_config, "From: Ann <ann@old.test>, A B <c@old.test\r\n\r\n");

    (void)state;
    has(log, "sender.rewritten id=");
    has(log,
        " in=envelope from=ann@old.test to=ann@new.test "
        "rule=\"sender 1 (a.json#/routing/senders/0)\"\n");
    has(log, " in=From from=ann@old.test to=ann@new.test rule=\"sender 1 ");
    has(log, "sender.kept id=");
    has(log, " in=From address=- why=\"an address can't be told from what is around it\"\n");
    free(log);
    log = logged(user_from_config, "From: a@b\r\n\r\n/FROM=x@y.test\r\n");
    has(log, "sender.named id=");
    has(log, " in=From to=x@y.test\n");
    free(log);
    log = logged(user_from_config, "From: a@b\r\n\r\n/FROM=x y\r\n");
    has(log, " in=/FROM why=");
    free(log);
}

static void a_long_list_does_not_fill_the_log(void **state)
{
    struct buf text = { 0 };
    char *log;
    unsigned lines = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        buf_adds(&text, i ? ",\r\n a@old.test" : "From: a@old.test");
    buf_adds(&text, "\r\n\r\n");
    log = logged(row_config, text.data);
    for (const char *p = log; (p = strstr(p, "in=From")); p++)
        lines++;
    assert_int_equal(lines, 16);
    has(log, "sender.more id=");
    has(log, " addresses=84\n");
    free(log);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T_46_T_47_envelope_and_header_of_our_own_users),
        cmocka_unit_test(mail_from_the_world_keeps_its_sender),
        cmocka_unit_test(without_rows_nothing_happens),
        cmocka_unit_test(the_null_sender_stays),
        cmocka_unit_test(pieces_of_every_size),
        cmocka_unit_test(heads_without_an_end_or_a_body),
        cmocka_unit_test(T_36_the_first_line_of_a_body_names_the_author),
        cmocka_unit_test(T_36_other_first_lines_stay),
        cmocka_unit_test(a_long_first_line_is_not_waited_for),
        cmocka_unit_test(a_head_may_be_so_long_and_no_longer),
        cmocka_unit_test(limits_and_flags_are_those_of_what_was_written),
        cmocka_unit_test(what_is_held_back_is_let_go),
        cmocka_unit_test(each_change_is_logged_with_its_row),
        cmocka_unit_test(a_long_list_does_not_fill_the_log),
    };

    log_open(&(struct log_config){ .level = POSTERN_LOG_ERROR });
    return cmocka_run_group_tests(tests, NULL, NULL);
}
