/* Delivery status notifications: golden texts, laws that hold for any input, and a second opinion
 * by another parser. POSTERN_GOLDEN=write makes the golden texts anew; look at the difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "message/dsn.h"
#include "util/mem.h"

#define ARRIVED 1795356941000000
#define NOW     1795443341123456

static const char original[] = "Received: from pc7.example.com by gw.example.com\r\n"
                               "From: Ann <ann@example.com>\r\n"
                               "To: bob@example.org\r\n"
                               "Subject: the report\r\n"
                               "\r\n"
                               "Here it is.\r\n";

static const struct dsn_rcpt unknown_user = {
    .rcpt = "bob@example.org",
    .action = "failed",
    .status = { 5, 1, 1 },
    .diagnostic = "550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown in the "
                  "local recipient table of this server",
    .diagnostic_type = "smtp",
    .remote = "mx.example.org [192.0.2.1]:25",
    .last_attempt_usec = NOW - 5000000,
};

static struct dsn report_of(const struct dsn_rcpt *rcpts, size_t n)
{
    return (struct dsn){ .hostname = "gw.example.com",
                         .from = "MAILER-DAEMON@gw.example.com",
                         .to = "ann@example.com",
                         .queue_id = "0abcdefghjkmn",
                         .sender = "ann@example.com",
                         .arrived_usec = ARRIVED,
                         .now_usec = NOW,
                         .rcpt_n = n,
                         .rcpts = rcpts,
                         .head = original,
                         .head_len = sizeof original - 1,
                         .content_size = sizeof original - 1,
                         .body_max = 65536 };
}

/* Lines end in CRLF, no other CR or LF, none is too long. */
static void assert_lines(const struct buf *b)
{
    size_t start = 0;

    assert_true(b->len > 2);
    assert_memory_equal(b->data + b->len - 2, "\r\n", 2);
    for (size_t i = 0; i < b->len; i++) {
        if (b->data[i] == '\r')
            assert_true(i + 1 < b->len && b->data[i + 1] == '\n');
        if (b->data[i] != '\n')
            continue;
        assert_true(i > 0 && b->data[i - 1] == '\r');
        assert_true(i - 1 - start <= 998);
        start = i + 1;
    }
}

/* --- golden texts; they are kept with LF, to be looked at --- */

static void strip_cr(struct buf *b)
{
    size_t to = 0;

    for (size_t i = 0; i < b->len; i++) {
        if (b->data[i] != '\r')
            b->data[to++] = b->data[i];
    }
    b->data[to] = 0;
    b->len = to;
}

static char *source_path(const char *name)
{
    const char *top = getenv("POSTERN_TOP_SRCDIR");

    return mem_printf("%s/tests/unit/message/%s", top ? top : ".", name);
}

static void read_file(const char *path, struct buf *ret)
{
    FILE *file = fopen(path, "r");
    char chunk[4096];
    size_t n;

    if (!file)
        fail_msg("%s cannot be read", path);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_add(ret, chunk, n);
    fclose(file);
}

static void write_file(const char *path, const struct buf *b)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(b->data, 1, b->len, file), b->len);
    assert_int_equal(fclose(file), 0);
}

static void assert_golden(const struct dsn *d, const char *name)
{
    char *path = source_path(name);
    struct buf out = { 0 }, golden = { 0 };

    dsn_compose(d, &out);
    assert_lines(&out);
    strip_cr(&out);
    if (getenv("POSTERN_GOLDEN"))
        write_file(path, &out);
    read_file(path, &golden);
    assert_string_equal(out.data, golden.data);
    buf_free(&out);
    buf_free(&golden);
    free(path);
}

static void a_failure_returns_the_message(void **state)
{
    struct dsn d = report_of(&unknown_user, 1);

    (void)state;
    assert_golden(&d, "golden/failed.eml");
}

static void a_delay_says_that_nothing_is_to_be_done(void **state)
{
    static const struct dsn_rcpt rcpts[] = {
        { .rcpt = "bob@example.org",
          .action = "delayed",
          .status = { 4, 4, 1 },
          .diagnostic = "connect to mx.example.org [192.0.2.1]:25: connection refused" },
        { .rcpt = "carol@example.net",
          .original = "carol@old.example",
          .action = "delayed",
          .status = { 4, 2, 2 },
          .diagnostic = "452 4.2.2 mailbox full",
          .diagnostic_type = "smtp",
          .remote = "mail.example.net [192.0.2.9]:25",
          .last_attempt_usec = NOW },
    };
    struct dsn d = report_of(rcpts, 2);

    (void)state;
    d.body_max = 5; /* the body is longer: only the headers go back */
    assert_golden(&d, "golden/delayed.eml");
}

static void the_postmaster_is_told_what_nobody_else_can_be_told(void **state)
{
    static const struct dsn_rcpt rcpt = { .rcpt = "nobody@example.com",
                                          .action = "failed",
                                          .status = { 5, 4, 6 },
                                          .diagnostic = "loop" };
    struct dsn d = report_of(&rcpt, 1);

    (void)state;
    d.to = "postmaster@gw.example.com";
    d.sender = "";
    d.to_postmaster = 1;
    assert_golden(&d, "golden/postmaster.eml");
}

static void international_mail_gets_an_international_report(void **state)
{
    static const char text[] = "From: j\xc3\xb6rg@b\xc3\xbc"
                               "cher.example\r\n\r\nhi\r\n";
    static const struct dsn_rcpt rcpts[] = {
        { .rcpt = "\xce\xb1@\xce\xb2.example",
          .action = "failed",
          .status = { 5, 1, 1 },
          .diagnostic = "550 5.1.1 \xce\xb1 unknown",
          .diagnostic_type = "smtp" },
        { .rcpt = "plain@example.org", .action = "delivered", .status = { 2, 0, 0 } },
    };
    struct dsn d = report_of(rcpts, 2);

    (void)state;
    d.utf8 = 1;
    d.to = d.sender = "j\xc3\xb6rg@b\xc3\xbc"
                      "cher.example";
    d.head = text;
    d.head_len = d.content_size = sizeof text - 1;
    assert_golden(&d, "golden/utf8.eml");
}

/* --- laws --- */

static int contains(const struct buf *b, const char *text)
{
    return b->data && memmem(b->data, b->len, text, strlen(text)) != NULL;
}

static void the_header_section_is_never_cut(void **state)
{
    struct dsn d = report_of(&unknown_user, 1);
    struct buf head = { 0 }, out = { 0 };

    (void)state;
    for (int i = 0; i < 2000; i++)
        buf_printf(&head, "X-Field-%d: %0100d\r\n", i, i);
    buf_adds(&head, "Last: one\r\n\r\nThe body begins");
    d.head = head.data;
    d.head_len = head.len;
    d.content_size = head.len + 1000000;
    d.body_max = 0;
    dsn_compose(&d, &out);
    assert_lines(&out);
    assert_true(contains(&out, "X-Field-1999: "));
    assert_true(contains(&out, "Last: one\r\n"));
    assert_false(contains(&out, "The body begins"));
    assert_true(contains(&out, "Content-Type: text/rfc822-headers\r\n"));
    buf_free(&head);
    buf_free(&out);
}

static void the_boundary_does_not_occur_in_what_is_returned(void **state)
{
    struct dsn d = report_of(&unknown_user, 1);
    struct buf first = { 0 }, out = { 0 }, head = { 0 };
    char boundary[128];
    const char *at;

    (void)state;
    dsn_compose(&d, &first);
    at = strstr(first.data, "boundary=\"") + strlen("boundary=\"");
    snprintf(boundary, sizeof boundary, "%.*s", (int)strcspn(at, "\""), at);

    buf_printf(&head, "A: b\r\n\r\n--%s--\r\n", boundary);
    d.head = head.data;
    d.head_len = d.content_size = head.len;
    dsn_compose(&d, &out);
    at = strstr(out.data, "boundary=\"") + strlen("boundary=\"");
    assert_true(strncmp(at, boundary, strlen(boundary)) != 0);
    buf_free(&first);
    buf_free(&out);
    buf_free(&head);
}

static void eight_bit_is_declared_where_it_is(void **state)
{
    static const char text[] = "A: b\r\n\r\n\xe4\r\n";
    struct dsn d = report_of(&unknown_user, 1);
    struct buf out = { 0 };

    (void)state;
    dsn_compose(&d, &out);
    assert_false(contains(&out, "8bit"));
    buf_clear(&out);
    d.head = text;
    d.head_len = d.content_size = sizeof text - 1;
    dsn_compose(&d, &out);
    assert_true(contains(&out, "\r\nContent-Transfer-Encoding: 8bit\r\n\r\nThis is a report"));
    assert_true(contains(&out,
                         "Content-Type: message/rfc822\r\n"
                         "Content-Transfer-Encoding: 8bit\r\n\r\nA: b"));
    buf_free(&out);
}

static void nothing_to_return_is_no_obstacle(void **state)
{
    struct dsn d = report_of(&unknown_user, 1);
    struct buf out = { 0 };

    (void)state;
    d.head = NULL;
    d.head_len = 0;
    dsn_compose(&d, &out);
    assert_lines(&out);
    assert_true(contains(&out, "text/rfc822-headers"));
    buf_free(&out);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static char *random_text(uint32_t *seed, size_t max)
{
    static const char alphabet[] = "aaaaaaaaaaab.@: \r\n\t\"<>\xc3\xb6\xff\x01;";
    size_t len = next_random(seed) % max;
    char *text = mem_alloc(len + 1);

    for (size_t i = 0; i < len; i++)
        text[i] = alphabet[next_random(seed) % (sizeof alphabet - 1)];
    text[len] = 0;
    return text;
}

static void hostile_text_cannot_leave_its_line(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int i = 0; i < 300; i++) {
        char *texts[6];
        struct dsn_rcpt rcpt = { .action = "failed", .status = { 5, 0, 0 } };
        struct dsn d = report_of(&rcpt, 1);
        struct buf out = { 0 };

        for (int k = 0; k < 6; k++)
            texts[k] = random_text(&seed, i < 100 ? 40 : 3000);
        rcpt.rcpt = texts[0];
        rcpt.original = texts[1];
        rcpt.diagnostic = texts[2];
        rcpt.remote = texts[3];
        d.to = d.sender = texts[4];
        d.head = texts[5];
        d.head_len = i & 1 ? 0 : strlen(texts[5]) > 900 ? 900 : strlen(texts[5]);
        d.utf8 = i & 2;
        dsn_compose(&d, &out);
        assert_lines(&out);
        buf_free(&out);
        for (int k = 0; k < 6; k++)
            free(texts[k]);
    }
}

/* --- a second opinion --- */

/* Runs check-dsn.py over a report; skips where there is no Python. */
static void assert_parsed_elsewhere(const struct dsn *d, const char *expect)
{
    char *script = source_path("check-dsn.py");
    char *command = mem_printf("/usr/bin/python3 '%s' %s", script, expect);
    struct buf out = { 0 };
    FILE *pipe;
    int status;

    dsn_compose(d, &out);
    pipe = popen(command, "w");
    assert_non_null(pipe);
    assert_int_equal(fwrite(out.data, 1, out.len, pipe), out.len);
    status = pclose(pipe);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    buf_free(&out);
    free(command);
    free(script);
}

static void another_parser_reads_the_same(void **state)
{
    struct dsn d = report_of(&unknown_user, 1);

    (void)state;
    if (system("/usr/bin/python3 -c 'import email' 2>/dev/null") != 0)
        skip();
    assert_parsed_elsewhere(&d, "message/rfc822");
    d.body_max = 0;
    assert_parsed_elsewhere(&d, "text/rfc822-headers");
}

static int set_zone(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_returns_the_message),
        cmocka_unit_test(a_delay_says_that_nothing_is_to_be_done),
        cmocka_unit_test(the_postmaster_is_told_what_nobody_else_can_be_told),
        cmocka_unit_test(international_mail_gets_an_international_report),
        cmocka_unit_test(the_header_section_is_never_cut),
        cmocka_unit_test(the_boundary_does_not_occur_in_what_is_returned),
        cmocka_unit_test(eight_bit_is_declared_where_it_is),
        cmocka_unit_test(nothing_to_return_is_no_obstacle),
        cmocka_unit_test(hostile_text_cannot_leave_its_line),
        cmocka_unit_test(another_parser_reads_the_same),
    };

    return cmocka_run_group_tests(tests, set_zone, NULL);
}
