/* The log: what a line looks like, and that nothing a peer says makes it two. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include <postern/mail.h>

#include "log/log.h"
#include "util/buf.h"

struct fixture {
    char path[64];
    struct buf text; /* what is in the file */
};

static void begin(struct fixture *f, int level, int format)
{
    int fd;

    memset(f, 0, sizeof *f);
    snprintf(f->path, sizeof f->path, "/tmp/postern-log-XXXXXX");
    fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(
        log_open(&(struct log_config){ .level = level, .format = format, .file = f->path }), 0);
}

static const char *written(struct fixture *f)
{
    FILE *in = fopen(f->path, "r");
    char piece[4096];
    size_t n;

    assert_non_null(in);
    buf_clear(&f->text);
    buf_adds(&f->text, "");
    while ((n = fread(piece, 1, sizeof piece, in)))
        buf_add(&f->text, piece, n);
    fclose(in);
    return f->text.data;
}

static void end(struct fixture *f)
{
    log_flush();
    log_open(&(struct log_config){ .level = POSTERN_LOG_ERROR });
    unlink(f->path);
    buf_free(&f->text);
}

static size_t lines_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* The line without its time, after it was seen to be one. */
static const char *after_time(const char *line)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";

    for (size_t i = 0; form[i]; i++) {
        if (form[i] == 'd')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], form[i]);
    }
    return line + sizeof form - 1;
}

static void a_line_is_time_level_part_event_and_pairs(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, POSTERN_LOG_INFO, LOG_TEXT);
    log_event(POSTERN_LOG_INFO, "smtp-in", "smtp.accept", "id=%s from=%s", "0abc", log_q("a@b"));
    log_flush();
    assert_string_equal(after_time(written(&f)), "info smtp-in smtp.accept id=0abc from=a@b\n");
    log_event(POSTERN_LOG_NOTICE, NULL, "gateway.ready", "%s", "");
    log_flush();
    assert_string_equal(after_time(strchr(written(&f), '\n') + 1),
                        "notice postern gateway.ready\n");
    end(&f);
}

static void what_is_less_urgent_than_the_level_is_not_written(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, POSTERN_LOG_WARNING, LOG_TEXT);
    log_event(POSTERN_LOG_NOTICE, "x", "no", "%s", "");
    log_event(POSTERN_LOG_DEBUG, "x", "no", "%s", "");
    log_event(POSTERN_LOG_WARNING, "x", "yes", "%s", "");
    log_event(POSTERN_LOG_ERROR, "x", "yes", "%s", "");
    log_event(99, "x", "no such level", "%s", "");
    log_event(-1, "x", "no such level", "%s", "");
    assert_int_equal(lines_of(written(&f)), 2);
    assert_null(strstr(f.text.data, "no"));
    assert_true(log_enabled(POSTERN_LOG_ERROR));
    assert_false(log_enabled(POSTERN_LOG_INFO));
    end(&f);
}

static void lines_are_gathered_but_bad_news_is_written_at_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, POSTERN_LOG_INFO, LOG_TEXT);
    log_event(POSTERN_LOG_INFO, "x", "one", "%s", "");
    assert_int_equal(lines_of(written(&f)), 0);
    log_event(POSTERN_LOG_ERROR, "x", "two", "%s", "");
    assert_int_equal(lines_of(written(&f)), 2);
    assert_true(strstr(f.text.data, "one") < strstr(f.text.data, "two"));
    for (int i = 0; i < 4000; i++)
        log_event(POSTERN_LOG_INFO, "x", "many", "n=%d", i);
    assert_in_range(lines_of(written(&f)), 1000, 4001); /* they do not gather for ever */
    end(&f);
}

static void a_line_stays_a_line_whatever_is_said(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, POSTERN_LOG_INFO, LOG_TEXT);
    log_event(POSTERN_LOG_INFO, "x", "quoted", "to=%s", log_q("a\r\n2026-01-01 error x forged"));
    log_event(POSTERN_LOG_INFO, "x", "forgotten", "to=%s", "a\nb\x1b[31m\x7f");
    log_flush();
    assert_int_equal(lines_of(written(&f)), 2);
    assert_non_null(strstr(f.text.data, "to=\"a\\x0d\\x0a2026-01-01 error x forged\"\n"));
    assert_non_null(strstr(f.text.data, "to=a?b?[31m?\n"));
    end(&f);
}

static void values_are_quoted_when_they_need_it(void **state)
{
    char long_one[1000];

    (void)state;
    assert_string_equal(log_q("a@b.test"), "a@b.test");
    assert_string_equal(log_q("two words"), "\"two words\"");
    assert_string_equal(log_q("k=v"), "\"k=v\"");
    assert_string_equal(log_q("a\"b\\c"), "\"a\\\"b\\\\c\"");
    assert_string_equal(log_q("\xc3\xa9"), "\"\\xc3\\xa9\"");
    assert_string_equal(log_q(""), "\"\"");
    assert_string_equal(log_q(NULL), "-");
    assert_string_equal(log_qn("abc", 2), "ab");
    assert_string_equal(log_qn("a\0b", 3), "\"a\\x00b\"");
    memset(long_one, '\n', sizeof long_one);
    assert_int_equal(strlen(log_qn(long_one, sizeof long_one)), 400 * 4 + 2); /* cut, and it fits */
}

static void a_value_of_a_plugin_is_quoted_alike_and_never_cut_within_an_escape(void **state)
{
    static const char text[] = "two words\r\n\"x\" = \\ \xff";
    char buf[POSTERN_LOG_VALUE_SIZE], small[16];

    (void)state;
    assert_string_equal(postern_log_value("plain<a@b>", 10, buf, sizeof buf), "plain<a@b>");
    assert_string_equal(postern_log_value(text, 20, buf, sizeof buf),
                        "\"two words\\x0d\\x0a\\\"x\\\" = \\\\ \\xff\"");
    assert_string_equal(POSTERN_LOG_QUOTED(text), log_q(text));
    assert_string_equal(postern_log_value("", 0, buf, sizeof buf), "\"\"");
    assert_string_equal(postern_log_value("x why=forged", 12, small, 8), "\"x why\"");
    assert_string_equal(postern_log_value("ab\n\n", 4, small, 9), "\"ab\\x0a\"");
    assert_string_equal(postern_log_value("ab\n\n", 4, small, 8), "\"ab\"");
    assert_string_equal(postern_log_value("plain", 5, small, 5), "\"pl\"");
    assert_string_equal(postern_log_value("plain", 5, small, 2), "");
}

static void eight_values_may_be_quoted_in_one_call(void **state)
{
    const char *v[8];
    char name[2] = "a";

    (void)state;
    for (int i = 0; i < 8; i++) {
        name[0] = (char)('a' + i);
        v[i] = log_q(name);
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(v[i][0], 'a' + i);
}

static json_t *only_object(struct fixture *f)
{
    json_t *o;

    log_flush();
    assert_int_equal(lines_of(written(f)), 1);
    o = json_loads(f->text.data, 0, NULL);
    assert_non_null(o);
    return o;
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void json_holds_the_same_values_unquoted(void **state)
{
    struct fixture f;
    json_t *o;

    (void)state;
    begin(&f, POSTERN_LOG_INFO, LOG_JSON);
    log_event(POSTERN_LOG_WARNING, "queue", "deliver.deferred",
              "id=1 to=%s why=%s empty=%s  none=%s end", log_q("a b@c"),
              log_q("say \"no\" \\ \r\n = \xc3\xa9"), log_q(""), log_q(NULL));
    o = only_object(&f);
    assert_string_equal(text_of(o, "level"), "warning");
    assert_string_equal(text_of(o, "part"), "queue");
    assert_string_equal(text_of(o, "event"), "deliver.deferred");
    assert_string_equal(text_of(o, "id"), "1");
    assert_string_equal(text_of(o, "to"), "a b@c");
    assert_string_equal(text_of(o, "why"), "say \"no\" \\ \r\n = \xc3\xa9");
    assert_string_equal(text_of(o, "empty"), "");
    assert_string_equal(text_of(o, "none"), "-");
    assert_string_equal(text_of(o, "note"), "end");
    assert_int_equal(strlen(text_of(o, "time")), 24);
    json_decref(o);
    end(&f);
}

/* A caller that quoted by himself, and not well: still one line of JSON, and no byte beyond it is
 * read. */
static void json_survives_what_was_quoted_by_hand(void **state)
{
    static const char *const bad[] = { "why=\"",      "why=\"\\",      "why=\"\\x",
                                       "why=\"\\xa",  "why=\"\\x-1\"", "why=\"\\x+",
                                       "=",           "= =",           "a=b\"c\"",
                                       "\"",          "k\"ey=1",       "why=\"\\x4g\"",
                                       "why=\"ab\"c", "  lead=1",      "\xff\xfe=\xff" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *exact = strdup(bad[i]); /* so that ASan sees one byte too many */
        struct fixture f;
        json_t *o;

        begin(&f, POSTERN_LOG_INFO, LOG_JSON);
        log_event(POSTERN_LOG_INFO, "x", "y", "%s", exact);
        o = only_object(&f);
        assert_string_equal(text_of(o, "event"), "y");
        json_decref(o);
        end(&f);
        free(exact);
    }
}

static void a_long_line_is_whole(void **state)
{
    struct fixture f;
    char text[5000];

    (void)state;
    memset(text, 'z', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    begin(&f, POSTERN_LOG_INFO, LOG_TEXT);
    log_event(POSTERN_LOG_INFO, "x", "long", "text=%s end=yes", text);
    log_flush();
    assert_non_null(strstr(written(&f), "zzz end=yes\n"));
    assert_true(f.text.len > sizeof text);
    end(&f);
}

static void the_journal_gets_priorities_and_no_time(void **state)
{
    struct fixture f;
    struct stat st;
    char stream[64];

    (void)state;
    begin(&f, POSTERN_LOG_INFO, LOG_TEXT);
    assert_int_equal(stat(f.path, &st), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_int_equal(log_open(&(struct log_config){ .level = POSTERN_LOG_INFO, .file = f.path }),
                     0);
    log_event(POSTERN_LOG_ERROR, "spool", "spool.bad", "a=b");
    assert_string_equal(written(&f), "<3>error spool spool.bad a=b\n");
    setenv("JOURNAL_STREAM", "1:2", 1); /* somebody else's */
    assert_int_equal(log_open(&(struct log_config){ .level = POSTERN_LOG_INFO, .file = f.path }),
                     0);
    log_event(POSTERN_LOG_ERROR, "spool", "spool.bad", "a=b");
    after_time(strchr(written(&f), '\n') + 1);
    unsetenv("JOURNAL_STREAM");
    end(&f);
}

static void a_log_that_cannot_be_opened_changes_nothing(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, POSTERN_LOG_INFO, LOG_TEXT);
    assert_true(log_open(&(struct log_config){ .level = 0, .file = "/nonexistent/folder/log" }) <
                0);
    log_event(POSTERN_LOG_ERROR, "x", "still.here", "%s", "");
    assert_int_equal(lines_of(written(&f)), 1);
    end(&f);
}

#define THREADS 4
#define EACH    2000

static void *chatter(void *arg)
{
    for (int i = 0; i < EACH; i++)
        log_event(POSTERN_LOG_INFO, arg, "chat", "n=%d text=%s", i, log_q("some words here"));
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    static char names[THREADS][2] = { "a", "b", "c", "d" };
    pthread_t t[THREADS];
    struct fixture f;
    size_t next[THREADS] = { 0 };

    (void)state;
    begin(&f, POSTERN_LOG_INFO, LOG_TEXT);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, chatter, names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    log_flush();
    written(&f);
    for (char *line = f.text.data, *lf; (lf = strchr(line, '\n')); line = lf + 1) {
        char want[96];
        unsigned who = (unsigned)(after_time(line)[5] - 'a');

        assert_true(who < THREADS);
        snprintf(want, sizeof want, "info %s chat n=%zu text=\"some words here\"", names[who],
                 next[who]++);
        *lf = '\0';
        assert_string_equal(after_time(line), want);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], EACH);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_time_level_part_event_and_pairs),
        cmocka_unit_test(what_is_less_urgent_than_the_level_is_not_written),
        cmocka_unit_test(lines_are_gathered_but_bad_news_is_written_at_once),
        cmocka_unit_test(a_line_stays_a_line_whatever_is_said),
        cmocka_unit_test(values_are_quoted_when_they_need_it),
        cmocka_unit_test(a_value_of_a_plugin_is_quoted_alike_and_never_cut_within_an_escape),
        cmocka_unit_test(eight_values_may_be_quoted_in_one_call),
        cmocka_unit_test(json_holds_the_same_values_unquoted),
        cmocka_unit_test(json_survives_what_was_quoted_by_hand),
        cmocka_unit_test(a_long_line_is_whole),
        cmocka_unit_test(the_journal_gets_priorities_and_no_time),
        cmocka_unit_test(a_log_that_cannot_be_opened_changes_nothing),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
    };

    unsetenv("JOURNAL_STREAM");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
