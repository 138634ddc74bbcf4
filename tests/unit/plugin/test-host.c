/* The services that a plugin gets, asked as the core's own host asks them: without a plugin. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "kit.h"
#include "log/log.h"

static void start(struct fixture *f)
{
    start_with(f,
               "{\"server\":{\"hostname\":\"gw.test\",\"hop_count_max\":3,"
               "\"message_size_max\":2000,\"recipients_max\":150},"
               "\"transports\":{\"out\":{\"plugin\":\"x\"},\"local-mbox\":{\"plugin\":\"x\"}},"
               "\"routing\":{\"rules\":[{\"domain\":\"no.test\",\"fail\":\"5.7.1 not h\\u00ebre\"},"
               "{\"domain\":\"ours.test\",\"transport\":\"out\",\"accept_from\":\"anyone\"}],"
               "\"default\":{\"transport\":\"out\"}}}");
}

/* --- time, descriptors, threads --- */

static void a_timer_fires_once_and_not_before_the_call_returned(void **state)
{
    struct fixture f;
    struct answer a = { 0, -1 };
    uint64_t id = 0;

    (void)state;
    start(&f);
    assert_int_equal(v->after(f.host, 0, note, &a, &id), 0);
    assert_int_equal(a.calls, 0);
    assert_int_not_equal(id, 0);
    await(&f, &a);
    assert_int_equal(a.result, 0);
    usleep(5000);
    turns(&f, 3);
    assert_int_equal(a.calls, 1);
    v->forget(f.host, id); /* over: harmless */
    v->forget(f.host, 0);
    v->forget(f.host, 4711);
    stop(&f);
}

static void what_is_forgotten_does_not_come(void **state)
{
    struct fixture f;
    struct answer a = { 0, 0 }, b = { 0, 0 };
    uint64_t one, two;

    (void)state;
    start(&f);
    v->after(f.host, 1000, note, &a, &one);
    v->after(f.host, 1000, note, &b, &two);
    assert_int_not_equal(one, two);
    v->forget(f.host, one);
    await(&f, &b);
    turns(&f, 3);
    assert_int_equal(a.calls, 0);
    stop(&f);
}

struct chain {
    struct fixture *f;
    uint64_t other;
};

static void forget_other(void *ctx, int result)
{
    struct chain *c = ctx;

    (void)result;
    v->forget(c->f->host, c->other);
    assert_int_equal(v->after(c->f->host, 1000000000, note, NULL, NULL), 0); /* no id is wanted */
}

static void a_callback_may_forget_another_that_is_due(void **state)
{
    struct fixture f;
    struct answer a = { 0, 0 };
    struct chain c = { &f, 0 };

    (void)state;
    start(&f);
    v->after(f.host, 1000, forget_other, &c, NULL);
    v->after(f.host, 1500, note, &a, &c.other);
    usleep(20000);
    turns(&f, 5);
    assert_int_equal(a.calls, 0);
    stop(&f); /* with a timer left: closing leaves nothing behind */
}

struct watch {
    struct fixture *f;
    int calls, fd;
    uint64_t id;
    unsigned events;
};

static void on_ready(void *ctx, unsigned events)
{
    struct watch *w = ctx;
    char c;

    w->events = events;
    if (++w->calls == 3) {
        assert_int_equal(read(w->fd, &c, 1), 1);
        v->forget(w->f->host, w->id);
    }
}

static void a_watch_tells_as_often_as_it_is_ready_until_it_is_forgotten(void **state)
{
    struct fixture f;
    struct watch w = { .f = &f };
    int ends[2];

    (void)state;
    start(&f);
    assert_int_equal(pipe(ends), 0);
    w.fd = ends[0];
    assert_int_equal(v->watch(f.host, ends[0], 0, on_ready, &w, &w.id), -EINVAL);
    assert_true(v->watch(f.host, 9999, POSTERN_READ, on_ready, &w, &w.id) < 0);
    assert_int_equal(v->watch(f.host, ends[0], POSTERN_READ, on_ready, &w, &w.id), 0);
    turns(&f, 2);
    assert_int_equal(w.calls, 0);
    assert_int_equal(write(ends[1], "xy", 2), 2);
    turns(&f, 6);
    assert_int_equal(w.calls, 3); /* a byte was left, and nobody cares */
    assert_int_equal(w.events, POSTERN_READ);
    assert_int_equal(v->watch(f.host, ends[1], POSTERN_READ | POSTERN_WRITE, on_ready, &w, &w.id),
                     0);
    turns(&f, 1);
    assert_int_equal(w.calls, 4);
    assert_int_equal(w.events, POSTERN_WRITE);
    stop(&f);
    close(ends[0]);
    close(ends[1]);
}

struct labour {
    struct answer answer;
    pthread_t worked, told;
};

static int work(void *ctx)
{
    ((struct labour *)ctx)->worked = pthread_self();
    return -EXDEV;
}

static void worked(void *ctx, int result)
{
    struct labour *l = ctx;

    l->told = pthread_self();
    note(&l->answer, result);
}

static void work_is_done_elsewhere_and_told_here(void **state)
{
    struct fixture f;
    struct labour l = { .answer = { 0, 0 } };

    (void)state;
    start(&f);
    assert_int_equal(v->offload(f.host, work, worked, &l), 0);
    await(&f, &l.answer);
    assert_int_equal(l.answer.result, -EXDEV);
    assert_true(pthread_equal(l.told, pthread_self()));
    assert_false(pthread_equal(l.worked, pthread_self()));
    stop(&f);
}

static int slow_work(void *ctx)
{
    (void)ctx;
    usleep(30000);
    return 7;
}

static void nobody_is_closed_while_a_thread_works_for_him(void **state)
{
    struct fixture f;
    struct answer a = { 0, 0 }, b = { 0, 0 };

    (void)state;
    start(&f);
    v->offload(f.host, slow_work, note, &a);
    v->offload(f.host, slow_work, note, &b); /* there is one thread: it waits for its turn */
    loop_quiesce(f.loop);
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls, 1);
    assert_int_equal(b.result, 7);
    stop(&f);
}

/* --- submissions --- */

static const struct postern_envelope from_ann = { .size = sizeof from_ann,
                                                  .sender = "ann@x.test",
                                                  .client = "somebody [192.0.2.1]" };

static postern_submit *begin(struct fixture *f)
{
    postern_submit *s = NULL;

    assert_int_equal(v->submit_new(f->host, &from_ann, &s), 0);
    return s;
}

static int commit(struct fixture *f, postern_submit *s)
{
    struct answer a = { 0, 0 };

    v->submit_commit(s, note, &a);
    assert_int_equal(a.calls, 0); /* never before it returned */
    await(f, &a);
    assert_int_equal(hosts_submissions(f->hosts), 0);
    return a.result;
}

static int put(postern_submit *s, const char *text)
{
    return v->submit_write(s, text, strlen(text));
}

static struct envelope *newest(struct fixture *f)
{
    struct envelope *e = fakespool_envelope(f->spool);

    assert_non_null(e);
    return e;
}

static void a_message_goes_into_the_spool_and_the_queue(void **state)
{
    struct fixture f;
    postern_submit *s;
    struct envelope *e;
    char id[16];
    json_t *status;

    (void)state;
    start(&f);
    s = begin(&f);
    assert_int_equal(hosts_submissions(f.hosts), 1);
    snprintf(id, sizeof id, "%s", v->submit_id(s));
    assert_int_equal(strlen(id), 13);
    assert_int_equal(v->submit_rcpt(s, "bob@b.test"), 0);
    assert_int_equal(v->submit_rcpt(s, "carl@b.test"), 0);
    assert_int_equal(put(s, "Subject: x\r\n"), 0);
    assert_int_equal(put(s, "\r\nbody\r\n"), 0);
    assert_int_equal(commit(&f, s), 0);
    assert_int_equal(fakespool_live(f.spool), 1);
    assert_string_equal(fakespool_newest(f.spool), "Subject: x\r\n\r\nbody\r\n");
    e = newest(&f);
    assert_string_equal(envelope_sender(e), "ann@x.test");
    assert_string_equal(envelope_ingress(e), v->instance(f.host));
    assert_string_equal(envelope_client(e), "somebody [192.0.2.1]");
    assert_int_equal(e->rcpt_n, 2);
    assert_string_equal(envelope_rcpt(e, 1), "carl@b.test");
    assert_int_equal(e->flags, 0);
    free(e);
    status = queue_status(f.queue);
    assert_int_equal(json_integer_value(json_object_get(status, "messages")), 1);
    json_decref(status);
    stop(&f);
}

static void only_addresses_are_taken(void **state)
{
    static const char *const bad[] = { "",           "a b@c.test", "a@b.test\r\nRCPT TO:<x@y.test>",
                                       "<a@b.test>", "a@b.test>",  "a@",
                                       "@b.test",    "a@b\n.test", "\x01@b.test" };
    struct fixture f;
    postern_submit *s;

    (void)state;
    start(&f);
    s = begin(&f);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct postern_envelope e = { .size = sizeof e, .sender = bad[i] };
        postern_submit *none = NULL;

        assert_int_equal(v->submit_rcpt(s, bad[i]), -EINVAL);
        if (*bad[i]) { /* the null path is a sender */
            assert_int_equal(v->submit_new(f.host, &e, &none), -EINVAL);
            assert_null(none);
        }
    }
    assert_int_equal(v->submit_rcpt(s, "postmaster"), 0);
    assert_int_equal(v->submit_rcpt(s, "\"a b\"@c.test"), 0);
    v->submit_free(s);
    v->submit_free(NULL);
    assert_int_equal(hosts_submissions(f.hosts), 0);
    stop(&f);
}

static void a_recipient_named_twice_gets_one_copy(void **state)
{
    struct fixture f;
    postern_submit *s;
    struct envelope *e;
    char rcpt[32];

    (void)state;
    start(&f);
    s = begin(&f);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 150; i++) {
            snprintf(rcpt, sizeof rcpt, "u%d@b.test", i);
            assert_int_equal(v->submit_rcpt(s, rcpt), 0);
            assert_int_equal(v->submit_rcpt(s, "u0@b.test"), 0);
        }
    }
    assert_int_equal(v->submit_rcpt(s, "one.more@b.test"), -E2BIG); /* recipients_max is 150 */
    put(s, "x\r\n");
    assert_int_equal(commit(&f, s), 0);
    e = newest(&f);
    assert_int_equal(e->rcpt_n, 150);
    for (size_t i = 0; i < 150; i++) {
        snprintf(rcpt, sizeof rcpt, "u%zu@b.test", i);
        assert_string_equal(envelope_rcpt(e, i), rcpt);
    }
    free(e);
    stop(&f);
}

static void a_recipient_whose_case_differs_is_another_one_where_that_may_be(void **state)
{
    struct postern_envelope list = from_ann;
    struct fixture f;
    postern_submit *s;

    (void)state;
    start(&f);
    s = begin(&f);
    assert_int_equal(v->submit_rcpt(s, "ann@b.test"), 0);
    assert_int_equal(v->submit_rcpt(s, "ann@B.Test"), 0);
    assert_int_equal(v->submit_rcpts(s), 1);
    assert_int_equal(v->submit_rcpt(s, "Ann@b.test"), 0);
    assert_int_equal(v->submit_rcpt(s, "\"a@B\""), 0);
    assert_int_equal(v->submit_rcpt(s, "\"a@b\""), 0);
    assert_int_equal(v->submit_rcpts(s), 4);
    v->submit_free(s);
    list.flags |= POSTERN_MAIL_LIST;
    assert_int_equal(v->submit_new(f.host, &list, &s), 0);
    assert_int_equal(v->submit_rcpt(s, "ann@b.test"), 0);
    assert_int_equal(v->submit_rcpt(s, "Ann@B.test"), 0);
    assert_int_equal(v->submit_rcpts(s), 1);
    v->submit_free(s);
    stop(&f);
}

static void what_is_too_large_is_refused_when_announced_and_when_written(void **state)
{
    struct fixture f;
    struct postern_envelope e = from_ann;
    postern_submit *s = NULL;
    char text[2000];

    (void)state;
    start(&f);
    assert_int_equal(v->size_limit(f.host), 2000);
    e.size_hint = 2001;
    assert_int_equal(v->submit_new(f.host, &e, &s), -EFBIG);
    assert_null(s);
    e.size_hint = 2000;
    assert_int_equal(v->submit_new(f.host, &e, &s), 0);
    memset(text, 'x', sizeof text);
    assert_int_equal(v->submit_write(s, text, sizeof text), 0);
    assert_int_equal(v->submit_write(s, "", 0), 0);
    assert_int_equal(v->submit_write(s, "x", 1), -EFBIG);
    v->submit_free(s);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static int with_hops(struct fixture *f, int n)
{
    postern_submit *s = begin(f);

    assert_int_equal(v->submit_rcpt(s, "bob@b.test"), 0);
    for (int i = 0; i < n; i++)
        put(s, "received: from x\r\n\tby y\r\n");
    put(s, "Subject: x\r\n\r\nReceived: in the body\r\nReceived: z\r\n");
    return commit(f, s);
}

static void a_message_that_goes_round_in_circles_is_refused(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_int_equal(with_hops(&f, 3), 0); /* hop_count_max is 3 */
    assert_int_equal(fakespool_live(f.spool), 1);
    assert_int_equal(with_hops(&f, 4), -ELOOP);
    assert_int_equal(fakespool_live(f.spool), 1);
    stop(&f);
}

static uint32_t flags_of(struct fixture *f, uint32_t said, const char *first, const char *then)
{
    struct postern_envelope e = from_ann;
    postern_submit *s = NULL;
    struct envelope *kept;
    uint32_t flags;

    e.flags = said;
    assert_int_equal(v->submit_new(f->host, &e, &s), 0);
    assert_int_equal(v->submit_rcpt(s, "bob@b.test"), 0);
    put(s, first);
    put(s, then);
    assert_int_equal(commit(f, s), 0);
    kept = newest(f);
    flags = kept->flags;
    free(kept);
    return flags;
}

static void eight_bit_content_is_declared_even_if_its_sender_did_not(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_int_equal(flags_of(&f, 0, "a\r\n", "b\r\n"), 0);
    assert_int_equal(flags_of(&f, 0, "a\r\n", "\xc3\xa4\r\n"), POSTERN_MAIL_8BIT);
    assert_int_equal(flags_of(&f, 0, "\xe4\r\n", "b\r\n"), POSTERN_MAIL_8BIT);
    assert_int_equal(flags_of(&f, POSTERN_MAIL_8BIT, "a\r\n", "b\r\n"), POSTERN_MAIL_8BIT);
    assert_int_equal(flags_of(&f, POSTERN_MAIL_UTF8, "a\r\n", "b\r\n"), POSTERN_MAIL_UTF8);
    assert_int_equal(flags_of(&f, 0xffffff00u, "a\r\n", "b\r\n"), 0); /* those are the core's own */
    stop(&f);
}

static void the_spools_troubles_are_told(void **state)
{
    struct fixture f;
    postern_submit *s = NULL;
    struct answer a = { 0, 0 };

    (void)state;
    start(&f);
    fakespool_fail_puts(f.spool, -ENOSPC);
    assert_int_equal(v->submit_new(f.host, &from_ann, &s), -ENOSPC);
    assert_int_equal(hosts_submissions(f.hosts), 0);
    fakespool_fail_puts(f.spool, 0);
    fakespool_fail_commits(f.spool, -EIO);
    s = begin(&f);
    v->submit_rcpt(s, "bob@b.test");
    put(s, "x\r\n");
    assert_int_equal(commit(&f, s), -EIO);
    assert_int_equal(fakespool_live(f.spool), 0);
    fakespool_fail_commits(f.spool, 0);
    assert_int_equal(commit(&f, begin(&f)), -EINVAL); /* nobody to send it to */
    fakespool_behind(f.spool, 1);
    s = begin(&f);
    assert_int_equal(put(s, "x\r\n"), 1);
    v->submit_room(s, note, &a);
    turns(&f, 3);
    assert_int_equal(a.calls, 0);
    fakespool_behind(f.spool, 0);
    await(&f, &a);
    v->submit_free(s);
    stop(&f);
}

static void what_a_plugin_leaves_behind_is_cleared_away(void **state)
{
    struct fixture f;
    postern_submit *s;
    struct answer a = { 0, 0 };

    (void)state;
    start(&f);
    begin(&f); /* never committed */
    s = begin(&f);
    v->submit_rcpt(s, "bob@b.test");
    v->submit_commit(s, note, &a); /* on its way when the end comes */
    assert_int_equal(hosts_submissions(f.hosts), 2);
    stop(&f); /* the leak checker is the judge */
    assert_int_equal(a.calls, 0);
}

/* --- the rest --- */

static void the_router_is_asked_and_answers_in_ascii(void **state)
{
    struct fixture f;
    struct postern_verdict r = { .size = sizeof r };

    (void)state;
    start(&f);
    assert_int_equal(v->route_check(f.host, "a@x.test", "b@ours.test", &r), 0);
    assert_int_equal(r.kind, POSTERN_VERDICT_ANYONE);
    assert_int_equal(v->route_check(f.host, "a@x.test", "b@other.test", &r), 0);
    assert_int_equal(r.kind, POSTERN_VERDICT_RELAY);
    assert_int_equal(v->route_check(f.host, "a@x.test", "b@no.test", &r), 0);
    assert_int_equal(r.kind, POSTERN_VERDICT_FAIL);
    assert_int_equal(r.status[0], 5);
    assert_non_null(strstr(r.text, "not h"));
    for (const char *p = r.text; *p; p++)
        assert_in_range(*p, ' ', '~');
    assert_int_equal(v->route_check(f.host, "a@x.test", "no address", &r), -EINVAL);
    assert_string_equal(v->hostname(f.host), "gw.test");
    stop(&f);
}

static void nobody_there_is_said(void **state)
{
    struct fixture f;
    int ends[2];

    (void)state;
    start(&f);
    assert_int_equal(hosts_deliver(f.hosts, "out", NULL), -ENOENT);
    hosts_cancel(f.hosts, "out", NULL);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(hosts_attach(f.hosts, NULL, ends[0]), -ENOENT);
    assert_int_equal(write(ends[1], "x", 1), -1); /* the fd was taken, and is closed */
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_once_and_not_before_the_call_returned),
        cmocka_unit_test(what_is_forgotten_does_not_come),
        cmocka_unit_test(a_callback_may_forget_another_that_is_due),
        cmocka_unit_test(a_watch_tells_as_often_as_it_is_ready_until_it_is_forgotten),
        cmocka_unit_test(work_is_done_elsewhere_and_told_here),
        cmocka_unit_test(nobody_is_closed_while_a_thread_works_for_him),
        cmocka_unit_test(a_message_goes_into_the_spool_and_the_queue),
        cmocka_unit_test(only_addresses_are_taken),
        cmocka_unit_test(a_recipient_named_twice_gets_one_copy),
        cmocka_unit_test(a_recipient_whose_case_differs_is_another_one_where_that_may_be),
        cmocka_unit_test(what_is_too_large_is_refused_when_announced_and_when_written),
        cmocka_unit_test(a_message_that_goes_round_in_circles_is_refused),
        cmocka_unit_test(eight_bit_content_is_declared_even_if_its_sender_did_not),
        cmocka_unit_test(the_spools_troubles_are_told),
        cmocka_unit_test(what_a_plugin_leaves_behind_is_cleared_away),
        cmocka_unit_test(the_router_is_asked_and_answers_in_ascii),
        cmocka_unit_test(nobody_there_is_said),
    };

    signal(SIGPIPE, SIG_IGN);
    log_open(&(struct log_config){ .level = -1 });
    return cmocka_run_group_tests(tests, NULL, NULL);
}
