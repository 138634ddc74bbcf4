/* The fake host is strict: each breach of the contract is complained about, and nothing else is.
 *
 * Complaints are counted here instead of failing the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../fake/fakehost.h"

static char last[256];
static unsigned complaints;

static void complain(void *ctx, const char *what)
{
    (void)ctx;
    complaints++;
    strncpy(last, what, sizeof last - 1);
}

/* --- a plugin that does what the test tells it --- */

struct settings {
    const char *name;
    int64_t number, switched, choice, span, size;
    struct postern_strings list;
};

static const struct postern_option options[] = {
    POSTERN_OPT(struct settings, name, POSTERN_OPT_STRING, .dflt = "x", .doc = "d"),
    POSTERN_OPT(struct settings, number, POSTERN_OPT_INT, .dflt = "5", .min = 1, .max = 9,
                .doc = "d"),
    POSTERN_OPT(struct settings, switched, POSTERN_OPT_BOOL, .dflt = "true", .doc = "d"),
    POSTERN_OPT(struct settings, choice, POSTERN_OPT_CHOICE, .choices = "a|bb|c", .dflt = "bb",
                .doc = "d"),
    POSTERN_OPT(struct settings, span, POSTERN_OPT_DURATION, .dflt = "1h30m", .doc = "d"),
    POSTERN_OPT(struct settings, size, POSTERN_OPT_SIZE, .dflt = "25M", .doc = "d"),
    POSTERN_OPT(struct settings, list, POSTERN_OPT_STRINGS, .dflt = "a, b,c", .doc = "d"),
    { .key = NULL },
};

static struct plugged {
    postern_host *host;
    const struct postern_services *v;
    const struct settings *settings;
    postern_job *job;
    unsigned called;
    int result;
} plugged;

static int plug_open(postern_host *host, const struct postern_services *v, const void *settings,
                     void **ret_self)
{
    plugged.host = host;
    plugged.v = v;
    plugged.settings = settings;
    *ret_self = &plugged;
    return 0;
}

static int plug_deliver(void *self, postern_job *job)
{
    (void)self;
    plugged.job = job;
    return 0;
}

static void settle(size_t i, uint32_t fate, uint16_t class)
{
    struct postern_outcome o = { .size = sizeof o, .fate = fate, .status = { class, 0, 0 } };

    plugged.v->job_settle(plugged.job, i, &o);
}

static void plug_cancel(void *self, postern_job *job)
{
    (void)self;
    (void)job;
    settle(0, POSTERN_DEFERRED, 4);
}

static const struct postern_transport_ops transport = { sizeof transport, plug_deliver,
                                                        plug_cancel };
static const struct postern_plugin plugin = {
    .size = sizeof plugin,
    .option_size = sizeof(struct postern_option),
    .settings_size = sizeof(struct settings),
    .abi_major = POSTERN_ABI_MAJOR,
    .name = "plugged",
    .options = options,
    .open = plug_open,
    .transport = &transport,
};

static struct fakehost *start(void)
{
    struct fakehost *h = fakehost_new();

    complaints = 0;
    memset(last, 0, sizeof last);
    memset(&plugged, 0, sizeof plugged);
    fakehost_on_failure(h, complain, NULL);
    assert_int_equal(fakehost_open(h, &plugin), 0);
    return h;
}

static void on_done(void *ctx, int result)
{
    (void)ctx;
    plugged.called++;
    plugged.result = result;
}

static postern_job *deliver(struct fakehost *h)
{
    static const char *const rcpts[] = { "a@b.example", "c@d.example", NULL };
    static const struct fakehost_job job = { .rcpts = rcpts, .content = "x\r\n", .content_len = 3 };

    return fakehost_deliver(h, &job, NULL);
}

/* --- options --- */

static void settings_come_from_the_table(void **state)
{
    struct fakehost *h = start();

    (void)state;
    assert_string_equal(plugged.settings->name, "x");
    assert_int_equal(plugged.settings->number, 5);
    assert_int_equal(plugged.settings->switched, 1);
    assert_int_equal(plugged.settings->choice, 1);
    assert_int_equal(plugged.settings->span, POSTERN_MINUTES(90));
    assert_int_equal(plugged.settings->size, 25 * 1024 * 1024);
    assert_int_equal(plugged.settings->list.n, 3);
    assert_string_equal(plugged.settings->list.v[1], "b");
    fakehost_close(&h);
    assert_int_equal(complaints, 0);
}

static void settings_that_the_table_refuses_are_refused(void **state)
{
    static const char *const wrong[][2] = { { "number", "10" }, { "number", "x" },
                                            { "nmber", "5" },   { "switched", "yes" },
                                            { "choice", "b" },  { "span", "5" },
                                            { "size", "5Q" } };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fakehost *h = fakehost_new();

        fakehost_set(h, wrong[i][0], wrong[i][1]);
        assert_int_equal(fakehost_open(h, &plugin), -EINVAL);
        assert_non_null(strstr(fakehost_why(h), wrong[i][0]));
        fakehost_close(&h);
    }
}

/* --- time --- */

static void timers_fire_in_time_and_in_order(void **state)
{
    struct fakehost *h = start();
    uint64_t id, other;

    (void)state;
    assert_int_equal(plugged.v->after(plugged.host, 10, on_done, NULL, &id), 0);
    assert_int_equal(plugged.v->after(plugged.host, 20, on_done, NULL, &other), 0);
    fakehost_advance(h, 9);
    assert_int_equal(plugged.called, 0);
    fakehost_advance(h, 1);
    assert_int_equal(plugged.called, 1);
    plugged.v->forget(plugged.host, other);
    fakehost_advance(h, 100);
    assert_int_equal(plugged.called, 1);
    fakehost_close(&h);
    assert_int_equal(complaints, 0);
}

static void a_timer_that_is_left_is_complained_about(void **state)
{
    struct fakehost *h = start();
    uint64_t id;

    (void)state;
    plugged.v->after(plugged.host, 10, on_done, NULL, &id);
    fakehost_close(&h);
    assert_int_equal(complaints, 1);
    assert_non_null(strstr(last, "1 timers"));
}

/* --- jobs --- */

static void a_job_that_is_settled_once_is_in_order(void **state)
{
    struct fakehost *h = start();
    postern_job *j = deliver(h);

    (void)state;
    assert_null(fakehost_outcome(j, 0));
    settle(1, POSTERN_FAILED, 5);
    settle(0, POSTERN_DELIVERED, 2);
    fakehost_run(h);
    assert_int_equal(fakehost_unsettled(j), 0);
    assert_int_equal(fakehost_outcome(j, 0)->fate, POSTERN_DELIVERED);
    assert_int_equal(fakehost_outcome(j, 1)->status[0], 5);
    fakehost_close(&h);
    assert_int_equal(complaints, 0);
}

static void a_recipient_settled_twice_is_complained_about(void **state)
{
    struct fakehost *h = start();

    (void)state;
    deliver(h);
    settle(0, POSTERN_DELIVERED, 2);
    settle(0, POSTERN_DELIVERED, 2);
    assert_int_equal(complaints, 1);
    settle(2, POSTERN_DELIVERED, 2);
    assert_int_equal(complaints, 2);
    settle(1, POSTERN_DELIVERED, 5); /* a status of another class */
    assert_int_equal(complaints, 3);
    fakehost_close(&h);
    assert_int_equal(complaints, 3);
}

static void recipients_without_a_fate_are_complained_about(void **state)
{
    struct fakehost *h = start();
    postern_job *j = deliver(h);

    (void)state;
    fakehost_cancel(h, j); /* settles the first only */
    assert_int_equal(complaints, 1);
    fakehost_close(&h);
    assert_int_equal(complaints, 2);
    assert_non_null(strstr(last, "1 recipients"));
}

static int read_content(void *ctx)
{
    char buf[8];

    (void)ctx;
    return (int)plugged.v->content_read(plugged.v->job_content(plugged.job), 1, buf, sizeof buf);
}

static void content_is_read_from_offload_only(void **state)
{
    struct fakehost *h = start();

    (void)state;
    deliver(h);
    assert_int_equal(plugged.v->offload(plugged.host, read_content, on_done, NULL), 0);
    assert_int_equal(plugged.called, 0);
    fakehost_run(h);
    assert_int_equal(plugged.result, 2);
    assert_int_equal(complaints, 0);
    read_content(NULL);
    assert_int_equal(complaints, 1);
    settle(0, POSTERN_DELIVERED, 2);
    settle(1, POSTERN_DELIVERED, 2);
    fakehost_close(&h);
    assert_int_equal(complaints, 1);
}

/* --- submissions --- */

static postern_submit *submission(void)
{
    struct postern_envelope e = { .size = sizeof e, .sender = "" };
    postern_submit *s = NULL;

    assert_int_equal(plugged.v->submit_new(plugged.host, &e, &s), 0);
    assert_int_equal(plugged.v->submit_rcpt(s, "a@b.example"), 0);
    return s;
}

static void writing_without_room_is_complained_about(void **state)
{
    struct fakehost *h = start();
    postern_submit *s = submission();

    (void)state;
    fakehost_write_room(h, 3);
    assert_int_equal(plugged.v->submit_write(s, "ab", 2), 0);
    assert_int_equal(plugged.v->submit_write(s, "c", 1), 1);
    plugged.v->submit_room(s, on_done, NULL);
    plugged.v->submit_write(s, "d", 1);
    assert_int_equal(complaints, 1);
    fakehost_run(h);
    assert_int_equal(plugged.called, 1);
    plugged.v->submit_write(s, "e", 1);
    plugged.v->submit_commit(s, on_done, NULL);
    assert_int_equal(complaints, 1);
    fakehost_run(h);
    assert_int_equal(fakehost_message(h, 0)->fate, FAKEHOST_DURABLE);
    assert_string_equal(fakehost_message(h, 0)->data, "abcde");
    plugged.v->submit_write(s, "f", 1);
    assert_int_equal(complaints, 2);
    fakehost_close(&h);
    assert_int_equal(complaints, 2);
}

static void a_submission_that_is_left_is_complained_about(void **state)
{
    struct fakehost *h = start();

    (void)state;
    submission();
    fakehost_close(&h);
    assert_int_equal(complaints, 1);
    assert_non_null(strstr(last, "1 submissions"));
}

/* --- streams --- */

static uint32_t events[8];
static size_t event_n;

static void on_event(void *ctx, postern_stream *s, uint32_t event, int error)
{
    (void)ctx;
    (void)s;
    (void)error;
    if (event_n < 8)
        events[event_n++] = event;
}

static postern_stream *connected(struct fakehost *h)
{
    postern_stream *s = NULL;

    event_n = 0;
    assert_int_equal(
        plugged.v->stream_connect(plugged.host, "192.0.2.1", 25, 0, on_event, NULL, &s), 0);
    fakehost_run(h);
    assert_int_equal(event_n, 1);
    assert_int_equal(events[0], POSTERN_STREAM_OPEN);
    return s;
}

static void a_stream_carries_bytes_both_ways(void **state)
{
    struct fakehost *h = start();
    postern_stream *s = connected(h);
    const char *line;
    size_t len;
    int eol;

    (void)state;
    fakehost_feeds(s, "220 hi\r\nmore");
    fakehost_run(h);
    assert_int_equal(plugged.v->stream_line(s, 100, &line, &len, &eol), 1);
    assert_memory_equal(line, "220 hi", len);
    assert_int_equal(eol, 2);
    assert_int_equal(plugged.v->stream_line(s, 100, &line, &len, &eol), 0);
    assert_int_equal(plugged.v->stream_line(s, 3, &line, &len, &eol), -EMSGSIZE);
    assert_int_equal(plugged.v->stream_printf(s, "%s\r\n", "QUIT"), 0);
    assert_int_equal(plugged.v->stream_pending(s), 6);
    fakehost_run(h);
    assert_int_equal(plugged.v->stream_pending(s), 0);
    assert_string_equal(fakehost_output(s, NULL), "QUIT\r\n");
    assert_int_equal(events[event_n - 1], POSTERN_STREAM_DRAINED);
    plugged.v->stream_close(s);
    plugged.v->stream_write(s, "x", 1);
    assert_int_equal(complaints, 1);
    fakehost_close(&h);
    assert_int_equal(complaints, 1);
}

static void content_goes_out_with_dots(void **state)
{
    static const char *const rcpts[] = { "a@b.example", NULL };
    static const char text[] = ".a\r\n..\r\nb";
    const struct fakehost_job job = { .rcpts = rcpts, .content = text, .content_len = 9 };
    struct fakehost *h = start();
    postern_stream *s;

    (void)state;
    fakehost_deliver(h, &job, NULL);
    s = connected(h);
    plugged.v->stream_content(s, plugged.v->job_content(plugged.job), 0, POSTERN_CONTENT_DOTS);
    plugged.v->stream_write(s, "QUIT\r\n", 6);
    fakehost_run(h);
    assert_string_equal(fakehost_output(s, NULL), "..a\r\n...\r\nb\r\n.\r\nQUIT\r\n");
    plugged.v->stream_close(s);
    settle(0, POSTERN_DELIVERED, 2);
    fakehost_close(&h);
    assert_int_equal(complaints, 0);
}

static void a_stream_that_is_left_is_complained_about(void **state)
{
    struct fakehost *h = start();

    (void)state;
    connected(h);
    fakehost_close(&h);
    assert_int_equal(complaints, 1);
    assert_non_null(strstr(last, "1 streams"));
}

/* --- names --- */

static const char *mx_names[4];
static size_t mx_n;

static void on_mx(void *ctx, int result, const struct postern_mx *mx, size_t n)
{
    (void)ctx;
    plugged.called++;
    plugged.result = result;
    mx_n = n;
    for (size_t i = 0; i < n && i < 4; i++)
        mx_names[i] = strdup(mx[i].name);
}

static void names_are_answered_as_scripted(void **state)
{
    struct fakehost *h = start();
    uint64_t id;

    (void)state;
    fakehost_mx(h, "d.example", 0, "10 a.example, 20 b.example");
    fakehost_mx(h, "null.example", 0, "0 .");
    fakehost_mx(h, "ill.example", -EAGAIN, NULL);
    plugged.v->resolve_mx(plugged.host, "D.example", on_mx, NULL, &id);
    assert_int_equal(plugged.called, 0);
    fakehost_run(h);
    assert_int_equal(mx_n, 2);
    assert_string_equal(mx_names[1], "b.example");
    free((char *)mx_names[0]);
    free((char *)mx_names[1]);
    plugged.v->resolve_mx(plugged.host, "null.example", on_mx, NULL, &id);
    fakehost_run(h);
    assert_int_equal(mx_n, 1);
    assert_string_equal(mx_names[0], "");
    free((char *)mx_names[0]);
    plugged.v->resolve_mx(plugged.host, "ill.example", on_mx, NULL, &id);
    fakehost_run(h);
    assert_int_equal(plugged.result, -EAGAIN);
    plugged.v->resolve_mx(plugged.host, "other.example", on_mx, NULL, &id);
    fakehost_run(h);
    assert_int_equal(plugged.result, -ENOENT);
    fakehost_close(&h);
    assert_int_equal(complaints, 0);
}

static void an_error_in_the_log_that_nobody_announced_is_complained_about(void **state)
{
    struct fakehost *h = start();

    (void)state;
    plugged.v->log(plugged.host, POSTERN_LOG_ERROR, "x.y", "a=%d", 1);
    assert_int_equal(fakehost_logged(h, "3 x.y a=1"), 1);
    fakehost_close(&h);
    assert_int_equal(complaints, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_come_from_the_table),
        cmocka_unit_test(settings_that_the_table_refuses_are_refused),
        cmocka_unit_test(timers_fire_in_time_and_in_order),
        cmocka_unit_test(a_timer_that_is_left_is_complained_about),
        cmocka_unit_test(a_job_that_is_settled_once_is_in_order),
        cmocka_unit_test(a_recipient_settled_twice_is_complained_about),
        cmocka_unit_test(recipients_without_a_fate_are_complained_about),
        cmocka_unit_test(content_is_read_from_offload_only),
        cmocka_unit_test(writing_without_room_is_complained_about),
        cmocka_unit_test(a_submission_that_is_left_is_complained_about),
        cmocka_unit_test(a_stream_carries_bytes_both_ways),
        cmocka_unit_test(content_goes_out_with_dots),
        cmocka_unit_test(a_stream_that_is_left_is_complained_about),
        cmocka_unit_test(names_are_answered_as_scripted),
        cmocka_unit_test(an_error_in_the_log_that_nobody_announced_is_complained_about),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
