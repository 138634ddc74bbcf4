/* Recipients that stand for several places: whatever comes in between, each place is served once,
 * each failure is told of once, and nobody is lost. */
#include "kit.h"

#include "../config/scratch.h"
#include "queue/branch.h"
#include "route/answers.h"

struct world {
    struct fixture f;
    struct scratch scratch;
    char *path;
};

static void start_there(struct fixture *f, const char *path, const char *queue, const char *more,
                        const char *routing)
{
    char *json = mem_printf("{\"server\":{\"hostname\":\"gw.test\"},\"queue\":{%s},"
                            "\"transports\":{\"out\":{\"plugin\":\"x\"},"
                            "\"local-mbox\":{\"plugin\":\"x\"},\"pipe\":{\"plugin\":\"x\"}},"
                            "\"aliases\":{\"files\":[{\"path\":\"%s\",\"syntax\":\"sendmail\"}],"
                            "\"pipe_transport\":\"pipe\"%s},"
                            "\"routing\":{%s\"default\":{\"transport\":\"out\"}}}",
                            queue, path, more, routing);

    start(f, json);
    free(json);
}

static void begin(struct world *w, const char *aliases, const char *queue, const char *more,
                  const char *routing)
{
    scratch_init(&w->scratch);
    scratch_file(&w->scratch, "aliases", aliases);
    w->path = scratch_path(&w->scratch, "aliases");
    start_there(&w->f, w->path, queue, more, routing);
}

static void end(struct world *w)
{
    loop_quiesce(w->f.loop);
    stop(&w->f);
    free(w->path);
    scratch_done(&w->scratch);
}

static void change_aliases(struct world *w, const char *text)
{
    struct alias_report report = { 0 };
    struct alias_set *fresh = NULL;

    scratch_file(&w->scratch, "aliases", text);
    assert_int_equal(route_aliases_load(w->f.routes, &fresh, &report), 1);
    assert_int_equal(report.errors.n, 0);
    route_aliases_swap(w->f.routes, &fresh);
    alias_report_done(&report);
}

/* Where among f->jobs one is that has this address. */
static int find(const struct fixture *f, const char *rcpt, size_t *ret_job, size_t *ret_i)
{
    for (size_t j = 0; j < f->n; j++) {
        for (size_t i = 0; i < queue_job_rcpts(f->jobs[j]); i++) {
            if (strcmp(queue_job_rcpt(f->jobs[j], i), rcpt) != 0)
                continue;
            *ret_job = j;
            *ret_i = i;
            return 1;
        }
    }
    return 0;
}

/* Settles the job (of one recipient) that goes to rcpt. */
static void say(struct fixture *f, const char *rcpt, uint32_t fate, uint32_t cause,
                const char *text)
{
    size_t j, i;

    assert_true(find(f, rcpt, &j, &i));
    assert_int_equal(queue_job_rcpts(f->jobs[j]), 1);
    settle(f, j, i, fate, cause, text);
    f->jobs[j] = f->jobs[--f->n];
}

static void delivered(struct fixture *f, const char *rcpt)
{
    say(f, rcpt, POSTERN_DELIVERED, 0, "250 ok");
    turns(f, 3);
}

static void deferred(struct fixture *f, const char *rcpt)
{
    say(f, rcpt, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "451 later");
    turns(f, 3);
}

static void failed(struct fixture *f, const char *rcpt)
{
    say(f, rcpt, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 no");
    turns(f, 6);
}

static int is_tried(const struct fixture *f, const char *rcpt)
{
    size_t j, i;

    return find(f, rcpt, &j, &i);
}

static void until_tried(struct fixture *f, const char *rcpt)
{
    for (int i = 0; i < 10000 && !is_tried(f, rcpt); i++) {
        usleep(1000);
        turns(f, 2);
    }
    assert_true(is_tried(f, rcpt));
}

/* What the list says of the first recipient of the first message. */
static char *told(struct fixture *f, const char *key)
{
    uint64_t next;
    json_t *list = queue_list(f->queue, &(struct queue_filter){ .all = 1 }, 0, 10, &next);
    json_t *r = json_array_get(json_object_get(json_array_get(list, 0), "recipients"), 0);
    json_t *v = json_object_get(r, key);
    char *text = json_is_string(v) ? mem_strdup(json_string_value(v))
        : json_is_integer(v)       ? mem_printf("%d", (int)json_integer_value(v))
                                   : mem_strdup("");

    json_decref(list);
    return text;
}

static void expect_told(struct fixture *f, const char *key, const char *expected)
{
    char *text = told(f, key);

    assert_string_equal(text, expected);
    free(text);
}

/* As after a crash: what f's first message came to, in g. */
static void replay(struct fixture *from, struct fixture *to, const char *sender, const char *rcpt)
{
    const struct buf *saved = fakespool_state(fakespool_first(from->spool));
    struct buf meta = { 0 };
    struct envelope *e = envelope_new(&(struct envelope_new){
        .received_usec = clock_wall(), .sender = sender, .rcpt_n = 1, .rcpts = &rcpt });

    envelope_encode(e, &meta);
    free(e);
    queue_replay(to->queue, 77, fakespool_add(to->spool, 77, "x"), meta.data, meta.len, saved->data,
                 saved->len, 1);
    buf_free(&meta);
    queue_kick(to->queue);
}

/* --- the tests --- */

static void each_place_is_served_once(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "all: a@one.test, b@two.test\n", "\"retry\":[\"20ms\"],\"jitter\":0", "", "");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    assert_int_equal(w.f.n, 2);
    delivered(&w.f, "a@one.test");
    deferred(&w.f, "b@two.test");
    expect_told(&w.f, "tries", "1");
    until_tried(&w.f, "b@two.test");
    assert_int_equal(w.f.n, 1);
    delivered(&w.f, "b@two.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    assert_int_equal(count(&w.f, "delivered"), 2);
    end(&w);
}

static void a_place_that_fails_is_told_at_once_and_once(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "all: a@one.test, b@two.test\n", "\"retry\":[\"20ms\"],\"jitter\":0", "", "");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    deferred(&w.f, "b@two.test");
    failed(&w.f, "a@one.test");
    assert_int_equal(count(&w.f, "bounced"), 1);
    assert_non_null(strstr(fakespool_newest(w.f.spool), "Final-Recipient: rfc822; a@one.test"));
    assert_non_null(strstr(fakespool_newest(w.f.spool), "Original-Recipient: rfc822; all@gw.test"));
    assert_null(strstr(fakespool_newest(w.f.spool), "b@two.test"));
    delivered(&w.f, "s@x.test");
    until_tried(&w.f, "b@two.test");
    delivered(&w.f, "b@two.test");
    assert_int_equal(count(&w.f, "bounced"), 1);
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void what_is_no_alias_any_more_and_fails_is_told_by_its_name(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "all: a@one.test, b@two.test\n", "\"retry\":[\"20ms\"],\"jitter\":0", "", "");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    delivered(&w.f, "a@one.test");
    deferred(&w.f, "b@two.test");
    change_aliases(&w, "other: c@one.test\n");
    until_tried(&w.f, "all@gw.test");
    failed(&w.f, "all@gw.test");
    assert_int_equal(count(&w.f, "bounced"), 1);
    assert_non_null(strstr(fakespool_newest(w.f.spool), "Final-Recipient: rfc822; all@gw.test"));
    end(&w);
}

/* A thousand for y.test and one in flight, so that what comes next stands in line. */
static void fill(struct fixture *f)
{
    for (unsigned i = 0; i < QUEUE_WINDOW + 1; i++)
        add1(f, "s@x.test", "u@y.test");
    turns(f, 12);
    assert_int_equal(f->n, 1);
}

static void empty(struct fixture *f)
{
    for (int i = 0; i < 2000 && is_tried(f, "u@y.test"); i++)
        delivered(f, "u@y.test");
}

static void what_was_deferred_is_not_tried_again_when_the_others_turn_in_line_comes(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "all: a@one.test, b@y.test\n",
          "\"retry\":[\"1h\"],\"jitter\":0,\"destination_concurrency\":1", "", "");
    fill(&w.f);
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 3);
    deferred(&w.f, "a@one.test");
    assert_int_equal(w.f.n, 1); /* b is in line */
    for (int i = 0; i < 2000 && is_tried(&w.f, "u@y.test"); i++) {
        delivered(&w.f, "u@y.test");
        assert_false(is_tried(&w.f, "a@one.test"));
    }
    delivered(&w.f, "b@y.test");
    assert_false(is_tried(&w.f, "a@one.test"));
    assert_int_equal(waiting(&w.f, WAIT_BACKOFF), 1);
    expect_told(&w.f, "tries", "1");
    expect_told(&w.f, "text", "451 later");
    act(&w.f, &(struct queue_filter){ .all = 1 }, QUEUE_RETRY, NULL);
    turns(&w.f, 3);
    assert_int_equal(w.f.n, 1);
    delivered(&w.f, "a@one.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void what_expires_in_line_waits_for_the_places_that_are_out(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "all: a@one.test, b@y.test\n", "\"lifetime\":\"300ms\",\"destination_concurrency\":1",
          "", "");
    fill(&w.f);
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 3);
    assert_true(is_tried(&w.f, "a@one.test"));
    usleep(320000);
    /* Those that wait have expired too, as soon as they come home: the line moves on. */
    delivered(&w.f, "u@y.test");
    empty(&w.f);
    if (is_tried(&w.f, "b@y.test")) { /* it was never tried: it is, once */
        deferred(&w.f, "b@y.test");
        assert_int_equal(count(&w.f, "expired"), 0);
    }
    assert_true(is_tried(&w.f, "a@one.test"));
    delivered(&w.f, "a@one.test");
    turns(&w.f, 6);
    assert_int_equal(count(&w.f, "expired"), 1);
    assert_int_equal(count(&w.f, "bounced"), 1);
    assert_non_null(strstr(fakespool_newest(w.f.spool), "not delivered within 300ms"));
    assert_non_null(strstr(fakespool_newest(w.f.spool), "Final-Recipient: rfc822; b@y.test"));
    assert_null(strstr(fakespool_newest(w.f.spool), "a@one.test"));
    assert_int_equal(fakespool_live(w.f.spool), 1); /* the report */
    end(&w);
}

/* Of two places, a@one.test is in flight, and b@two.test waits behind u@two.test. */
static void begin_one_in_flight(struct world *w)
{
    begin(w, "all: a@one.test, b@two.test\n",
          "\"retry\":[\"1h\"],\"jitter\":0,\"destination_concurrency\":1", "", "");
    add1(&w->f, "s@x.test", "u@two.test");
    turns(&w->f, 2);
    add1(&w->f, "s@x.test", "all@gw.test");
    turns(&w->f, 2);
}

static void a_place_that_waits_can_be_held_when_the_one_in_flight_is_back(void **state)
{
    struct queue_filter all = { .recipient = "all@gw.test" };
    struct world w;

    (void)state;
    begin_one_in_flight(&w);
    assert_int_equal(act(&w.f, &all, QUEUE_HOLD, "wait"), 0); /* a is in flight */
    deferred(&w.f, "a@one.test");
    assert_int_equal(act(&w.f, &all, QUEUE_HOLD, "wait"), 1);
    delivered(&w.f, "u@two.test");
    assert_int_equal(w.f.n, 0);
    expect_told(&w.f, "state", "held");
    expect_told(&w.f, "text", "wait");
    assert_int_equal(act(&w.f, &all, QUEUE_RELEASE, NULL), 1);
    turns(&w.f, 3);
    assert_int_equal(w.f.n, 2);
    delivered(&w.f, "b@two.test");
    delivered(&w.f, "a@one.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void a_removed_recipient_goes_when_its_last_place_is_back(void **state)
{
    struct queue_filter all = { .recipient = "all@gw.test" };
    struct world w;

    (void)state;
    begin_one_in_flight(&w);
    deferred(&w.f, "a@one.test");
    assert_int_equal(act(&w.f, &all, QUEUE_REMOVE, NULL), 1);
    assert_int_equal(fakespool_live(w.f.spool), 2);
    delivered(&w.f, "u@two.test");
    assert_int_equal(w.f.n, 0);
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void a_place_whose_destination_dies_is_tried_when_it_lives(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "all: a@one.test, b@two.test\n",
          "\"retry\":[\"1h\"],\"dead_min\":\"20ms\",\"jitter\":0,\"destination_concurrency\":1", "",
          "");
    add1(&w.f, "s@x.test", "u@two.test");
    turns(&w.f, 2);
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    say(&w.f, "u@two.test", POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, "refused");
    turns(&w.f, 3);
    delivered(&w.f, "a@one.test");
    expect_told(&w.f, "state", "waiting");
    until_tried(&w.f, "b@two.test");
    assert_int_equal(w.f.n, 1);
    delivered(&w.f, "b@two.test");
    assert_int_equal(fakespool_live(w.f.spool), 1); /* the other message */
    end(&w);
}

static void a_stop_and_a_restart_forget_no_place_and_repeat_none(void **state)
{
    struct fixture g;
    struct world w;

    (void)state;
    begin(&w, "all: a@one.test, b@two.test, c@three.test\n", "\"retry\":[\"1h\"]", "", "");
    start_there(&g, w.path, "", "", "");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    delivered(&w.f, "a@one.test");
    failed(&w.f, "b@two.test");
    queue_stop(w.f.queue);
    queue_cancel_all(w.f.queue);
    assert_int_equal(w.f.cancels, 1);
    replay(&w.f, &g, "s@x.test", "all@gw.test");
    turns(&g, 6);
    assert_false(is_tried(&g, "a@one.test"));
    assert_false(is_tried(&g, "b@two.test"));
    delivered(&g, "c@three.test");
    turns(&g, 6);
    assert_int_equal(count(&g, "bounced"), 1);
    assert_non_null(strstr(fakespool_newest(g.spool), "Final-Recipient: rfc822; b@two.test"));
    delivered(&g, "s@x.test");
    assert_int_equal(fakespool_live(g.spool), 0);
    stop(&g);
    end(&w);
}

static void a_failure_beside_a_place_that_is_held_is_told_also_after_a_restart(void **state)
{
    static const char rule[] = "\"rules\":[{\"recipient\":\"h@one.test\",\"hold\":\"look\"}],";
    struct fixture g;
    struct world w;

    (void)state;
    begin(&w, "all: h@one.test, b@two.test\n", "", "", rule);
    start_there(&g, w.path, "", "", rule);
    fakespool_fail_puts(w.f.spool, -ENOSPC);
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    failed(&w.f, "b@two.test");
    expect_told(&w.f, "state", "held");
    assert_int_equal(count(&w.f, "bounced"), 0);
    replay(&w.f, &g, "s@x.test", "all@gw.test");
    turns(&g, 6);
    assert_int_equal(count(&g, "bounced"), 1);
    delivered(&g, "s@x.test");
    expect_told(&g, "state", "held");
    assert_int_equal(fakespool_live(g.spool), 1);
    stop(&g);
    end(&w);
}

static void what_holds_one_place_is_what_is_said_of_the_recipient(void **state)
{
    struct world w;
    char *text;

    (void)state;
    begin(&w, "all: h@one.test, b@two.test\n", "", "",
          "\"rules\":[{\"recipient\":\"h@one.test\",\"hold\":\"look\"}],");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    delivered(&w.f, "b@two.test");
    expect_told(&w.f, "state", "held");
    text = told(&w.f, "text");
    assert_non_null(strstr(text, "look"));
    free(text);
    act(&w.f, &(struct queue_filter){ .all = 1 }, QUEUE_RELEASE, NULL);
    turns(&w.f, 3);
    assert_int_equal(w.f.n, 1); /* b has it */
    delivered(&w.f, "h@one.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

/* --- who has waited too long --- */

static const char staff[] = "staff: a@one.test, b@two.test\nowner-staff: boss@three.test\n";
static const char short_life[] = "\"lifetime\":\"300ms\",\"retry\":[\"50ms\"],\"jitter\":0";

static void expect_expired(struct fixture *f)
{
    const char *report;

    for (int i = 0; i < 10000 && !count(f, "bounced"); i++) {
        if (is_tried(f, "b@two.test"))
            deferred(f, "b@two.test");
        usleep(1000);
        turns(f, 2);
    }
    turns(f, 6);
    report = fakespool_newest(f->spool);
    assert_int_equal(count(f, "bounced"), 1);
    assert_int_equal(count(f, "expired"), 1);
    assert_non_null(strstr(report, "Final-Recipient: rfc822; b@two.test"));
    assert_non_null(strstr(report, "not delivered within 300ms"));
    assert_non_null(strstr(report, "451 later"));
    assert_null(strstr(report, "Final-Recipient: rfc822; staff@gw.test"));
    assert_null(strstr(report, "Final-Recipient: rfc822; a@one.test"));
    assert_true(is_tried(f, "boss@three.test"));
    assert_false(is_tried(f, "s@x.test"));
    assert_int_equal(fakespool_live(f->spool), 1);
}

static void places_that_expire_are_told_each_to_its_owner(void **state)
{
    struct world w;

    (void)state;
    begin(&w, staff, short_life, "", "");
    add1(&w.f, "s@x.test", "staff@gw.test");
    turns(&w.f, 2);
    delivered(&w.f, "a@one.test");
    expect_expired(&w.f);
    end(&w);
}

static void places_that_expire_after_a_restart_are_found_out_once_more(void **state)
{
    struct fixture g;
    struct world w;

    (void)state;
    begin(&w, staff, "\"retry\":[\"1h\"],\"jitter\":0", "", "");
    start_there(&g, w.path, short_life, "", "");
    add1(&w.f, "s@x.test", "staff@gw.test");
    turns(&w.f, 2);
    delivered(&w.f, "a@one.test");
    deferred(&w.f, "b@two.test");
    replay(&w.f, &g, "s@x.test", "staff@gw.test");
    expect_expired(&g);
    stop(&g);
    end(&w);
}

static void what_was_an_alias_and_expires_is_told_by_its_name(void **state)
{
    struct world w;

    (void)state;
    begin(&w, staff, short_life, "", "");
    add1(&w.f, "s@x.test", "staff@gw.test");
    turns(&w.f, 2);
    delivered(&w.f, "a@one.test");
    deferred(&w.f, "b@two.test");
    change_aliases(&w, "other: c@one.test\n");
    usleep(320000);
    for (int i = 0; i < 10000 && !count(&w.f, "bounced"); i++) {
        usleep(1000);
        turns(&w.f, 2);
    }
    assert_int_equal(count(&w.f, "expired"), 1);
    assert_non_null(strstr(fakespool_newest(w.f.spool), "Final-Recipient: rfc822; staff@gw.test"));
    assert_non_null(strstr(fakespool_newest(w.f.spool), "not delivered within 300ms"));
    end(&w);
}

/* --- who waits, and who is held --- */

static void the_place_that_may_go_first_says_when(void **state)
{
    time_t later = time(NULL) + 3 * 3600;
    struct tm tm = *localtime(&later);
    struct world w;
    char *groups;

    (void)state;
    groups = mem_printf("\"queue_groups\":[{\"name\":\"night\",\"domain\":[\"night.test\"],"
                        "\"hours\":\"%02d:00-%02d:00\"}],",
                        tm.tm_hour, (tm.tm_hour + 1) % 24);
    begin(&w, "all: n@night.test, b@two.test\n",
          "\"retry\":[\"1h\"],\"dead_min\":\"20ms\",\"jitter\":0", "", groups);
    free(groups);
    add1(&w.f, "s@x.test", "u@two.test");
    turns(&w.f, 2);
    say(&w.f, "u@two.test", POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, "refused");
    turns(&w.f, 3);
    add1(&w.f, "s@x.test", "all@gw.test");
    until_tried(&w.f, "b@two.test"); /* not in three hours */
    assert_false(is_tried(&w.f, "n@night.test"));
    end(&w);
}

static void what_is_deferred_is_tried_while_another_is_held(void **state)
{
    struct world w;
    char *text;

    (void)state;
    begin(&w, "all: h@one.test, b@two.test\n", "\"retry\":[\"20ms\"],\"jitter\":0", "",
          "\"rules\":[{\"recipient\":\"h@one.test\",\"hold\":\"look\"}],");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    deferred(&w.f, "b@two.test");
    expect_told(&w.f, "state", "waiting");
    expect_told(&w.f, "text", "451 later");
    until_tried(&w.f, "b@two.test");
    expect_told(&w.f, "state", "waiting");
    delivered(&w.f, "b@two.test");
    expect_told(&w.f, "state", "held");
    text = told(&w.f, "text");
    assert_non_null(strstr(text, "look"));
    free(text);
    end(&w);
}

static void hold_by_transport(struct fixture *f, const char *rcpt)
{
    say(f, rcpt, POSTERN_DEFERRED, POSTERN_CAUSE_HELD, "a moderator is asked");
    turns(f, 3);
}

static void a_transport_that_holds_one_place_is_not_asked_again(void **state)
{
    struct world w;
    size_t j, i;

    (void)state;
    begin(&w, "all: l@one.test, b@two.test\n", "\"retry\":[\"20ms\"],\"jitter\":0", "", "");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    hold_by_transport(&w.f, "l@one.test");
    deferred(&w.f, "b@two.test");
    expect_told(&w.f, "state", "waiting");
    until_tried(&w.f, "b@two.test");
    assert_false(is_tried(&w.f, "l@one.test"));
    delivered(&w.f, "b@two.test");
    expect_told(&w.f, "state", "held");
    expect_told(&w.f, "text", "a moderator is asked");
    act(&w.f, &(struct queue_filter){ .all = 1 }, QUEUE_RELEASE, NULL);
    turns(&w.f, 3);
    assert_true(find(&w.f, "l@one.test", &j, &i));
    assert_true(queue_job_released(w.f.jobs[j], i));
    delivered(&w.f, "l@one.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void a_place_that_is_held_does_not_expire(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "all: l@one.test, b@two.test\n", short_life, "", "");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 2);
    hold_by_transport(&w.f, "l@one.test");
    for (int i = 0; i < 10000 && !count(&w.f, "bounced"); i++) {
        if (is_tried(&w.f, "b@two.test"))
            deferred(&w.f, "b@two.test");
        usleep(1000);
        turns(&w.f, 2);
    }
    turns(&w.f, 6);
    assert_non_null(strstr(fakespool_newest(w.f.spool), "Final-Recipient: rfc822; b@two.test"));
    assert_null(strstr(fakespool_newest(w.f.spool), "l@one.test"));
    delivered(&w.f, "s@x.test");
    expect_told(&w.f, "state", "held");
    /* However old: it gets its try. */
    act(&w.f, &(struct queue_filter){ .all = 1 }, QUEUE_RELEASE, NULL);
    turns(&w.f, 3);
    delivered(&w.f, "l@one.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void who_is_released_is_released_from_that_hold_alone(void **state)
{
    static const char rule[] = "\"rules\":[{\"recipient\":\"l@one.test\",\"hold\":\"look\"}],";
    struct queue_filter all = { .all = 1 };
    struct fixture g;
    struct world w;

    (void)state;
    begin(&w, "none: nobody\n", "", "", rule);
    start_there(&g, w.path, "", "", rule);
    add1(&w.f, "s@x.test", "l@one.test");
    act(&w.f, &all, QUEUE_HOLD, "an operator's");
    act(&w.f, &all, QUEUE_RELEASE, NULL);
    turns(&w.f, 3);
    expect_told(&w.f, "state", "held"); /* by the rule: of that nobody has spoken */
    act(&w.f, &all, QUEUE_RELEASE, NULL);
    turns(&w.f, 3);
    assert_int_equal(w.f.n, 1);
    assert_false(queue_job_released(w.f.jobs[0], 0)); /* nor of a moderator's */
    hold_by_transport(&w.f, "l@one.test");
    expect_told(&w.f, "state", "held");
    replay(&w.f, &g, "s@x.test", "l@one.test"); /* all of that is known after a restart */
    turns(&g, 3);
    act(&g, &all, QUEUE_RELEASE, NULL);
    turns(&g, 3);
    assert_int_equal(g.n, 1);
    assert_true(queue_job_released(g.jobs[0], 0));
    delivered(&g, "l@one.test");
    assert_int_equal(fakespool_live(g.spool), 0);
    stop(&g);
    end(&w);
}

static void a_notice_to_a_postmaster_who_is_an_alias_is_held_and_tried_again(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "postmaster: p@one.test, q@two.test\n", "", "", "");
    add1(&w.f, "", "nobody@y.test");
    turns(&w.f, 2);
    failed(&w.f, "nobody@y.test"); /* the null path: to the postmaster */
    assert_int_equal(w.f.n, 2);
    delivered(&w.f, "p@one.test");
    failed(&w.f, "q@two.test");
    assert_int_equal(count(&w.f, "bounced"), 1);
    assert_int_equal(waiting(&w.f, WAIT_HELD), 1);
    act(&w.f, &(struct queue_filter){ .all = 1 }, QUEUE_RELEASE, NULL);
    turns(&w.f, 3);
    assert_int_equal(w.f.n, 1);
    delivered(&w.f, "q@two.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void failures_of_a_list_are_told_to_its_owner_and_others_to_the_sender(void **state)
{
    static const char *const both[] = { "all@gw.test", "nobody@y.test" };
    struct world w;

    (void)state;
    begin(&w,
          "staff: a@one.test, d@one.test\nowner-staff: boss@three.test\n"
          "all: staff, b@two.test\n",
          "", "", "");
    add(&w.f, "s@x.test", 2, both);
    turns(&w.f, 2);
    assert_int_equal(w.f.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(queue_job_sender(w.f.jobs[i]),
                            queue_job_rcpts(w.f.jobs[i]) == 2 ? "owner-staff@gw.test" : "s@x.test");
    settle_all(&w.f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 no");
    turns(&w.f, 10);
    assert_int_equal(count(&w.f, "bounced"), 2);
    assert_int_equal(fakespool_live(w.f.spool), 2); /* the message itself has gone */
    /* The later one is the list's. */
    assert_non_null(strstr(fakespool_newest(w.f.spool), "Final-Recipient: rfc822; a@one.test"));
    assert_non_null(strstr(fakespool_newest(w.f.spool), "Final-Recipient: rfc822; d@one.test"));
    assert_null(strstr(fakespool_newest(w.f.spool), "Final-Recipient: rfc822; b@two.test"));
    assert_null(strstr(fakespool_newest(w.f.spool), "nobody@y.test"));
    assert_true(is_tried(&w.f, "s@x.test"));
    delivered(&w.f, "s@x.test");
    /* Nor does a notice that the owner can't get go round: it has no sender. */
    failed(&w.f, "boss@three.test");
    delivered(&w.f, "postmaster@gw.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void what_the_owner_is_to_be_told_is_known_after_a_restart(void **state)
{
    struct fixture g;
    struct world w;

    (void)state;
    begin(&w, "staff: a@one.test, b@two.test\nowner-staff: boss@three.test\n", "", "", "");
    start_there(&g, w.path, "", "", "");
    add1(&w.f, "s@x.test", "staff@gw.test");
    turns(&w.f, 2);
    failed(&w.f, "a@one.test");
    assert_int_equal(count(&w.f, "bounced"), 0);
    replay(&w.f, &g, "s@x.test", "staff@gw.test");
    turns(&g, 4);
    delivered(&g, "b@two.test");
    turns(&g, 4);
    assert_int_equal(count(&g, "bounced"), 1);
    assert_true(is_tried(&g, "boss@three.test"));
    assert_false(is_tried(&g, "s@x.test"));
    stop(&g);
    end(&w);
}

static void a_command_is_told_of_by_its_alias(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "prog: \"|/secret/program --key\"\n", "", "", "");
    add1(&w.f, "s@x.test", "prog@gw.test");
    turns(&w.f, 2);
    assert_int_equal(w.f.n, 1);
    assert_string_equal(queue_job_param(w.f.jobs[0], "command"), "/secret/program --key");
    settle_all(&w.f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "it said no");
    turns(&w.f, 6);
    assert_non_null(strstr(fakespool_newest(w.f.spool), "Final-Recipient: rfc822; prog@gw.test"));
    assert_null(strstr(fakespool_newest(w.f.spool), "secret"));
    end(&w);
}

static void a_long_list_is_known_after_a_stop_though_not_each_outcome_was_written(void **state)
{
    enum { N = 600 };
    struct buf aliases = { 0 };
    struct fixture g;
    struct world w;
    char name[32];
    json_int_t again;

    (void)state;
    buf_adds(&aliases, "all: u0@d0.test");
    for (int i = 1; i < N; i++)
        buf_printf(&aliases, ", u%d@d%d.test", i, i);
    buf_adds(&aliases, "\n");
    begin(&w, aliases.data, "\"concurrency\":700", "", "");
    start_there(&g, w.path, "\"concurrency\":700", "", "");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 12);
    assert_int_equal(w.f.n, N);
    for (int i = 0; i < N / 2; i++) {
        snprintf(name, sizeof name, "u%d@d%d.test", i, i);
        say(&w.f, name, POSTERN_DELIVERED, 0, "250 ok");
        if (i % 10 == 9)
            turns(&w.f, 1);
    }
    turns(&w.f, 1);
    queue_stop(w.f.queue);
    replay(&w.f, &g, "s@x.test", "all@gw.test");
    turns(&g, 12);
    again = 0;
    for (int i = 0; i < N / 2; i++) {
        snprintf(name, sizeof name, "u%d@d%d.test", i, i);
        again += is_tried(&g, name);
    }
    assert_int_equal(again, 0);
    assert_int_equal(g.n, N / 2);
    settle_all(&g, POSTERN_DELIVERED, 0, "250 ok");
    turns(&g, 6);
    assert_int_equal(fakespool_live(g.spool), 0);
    settle_all(&w.f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&w.f, 6);
    assert_int_equal(fakespool_live(w.f.spool), 0);
    stop(&g);
    end(&w);
    buf_free(&aliases);
}

static void what_is_asked_of_users_does_not_hold_up_what_can_go(void **state)
{
    static const char *const both[] = { "all@gw.test", "b@two.test" };
    struct world w;

    (void)state;
    begin(&w, "all: no-such-user-a, no-such-user-b, c@three.test\n", "",
          ",\"user_file\":\".aliases-of-a-test\"", "");
    add(&w.f, "s@x.test", 2, both);
    turns(&w.f, 2);
    assert_true(is_tried(&w.f, "b@two.test"));
    until_tried(&w.f, "c@three.test");
    settle_all(&w.f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&w.f, 4);
    assert_int_equal(fakespool_live(w.f.spool), 0);
    assert_int_equal(count(&w.f, "delivered"), 4);
    end(&w);
}

static void one_removed_while_its_user_is_asked_goes_with_the_answer(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "all: no-such-user-a, c@three.test\n", "", ",\"user_file\":\".aliases-of-a-test\"",
          "");
    add1(&w.f, "s@x.test", "all@gw.test");
    for (int i = 0; i < 100 && !waiting(&w.f, WAIT_NEW); i++)
        turns(&w.f, 1);
    turns(&w.f, 2);
    act(&w.f, &(struct queue_filter){ .all = 1 }, QUEUE_REMOVE, NULL);
    loop_quiesce(w.f.loop);
    turns(&w.f, 4);
    if (w.f.n) /* it had been answered before it was removed */
        settle_all(&w.f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&w.f, 4);
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

/* --- who asks directories --- */

#define ASKED_MAX 1024u

struct asking {
    struct world w;
    size_t n, total; /* n: that have not been told yet */
    int fail;
    struct {
        void (*done)(void *ctx);
        void *ctx;
        struct route_need need; /* texts in arena */
    } v[ASKED_MAX];
    struct arena *arena;
};

static void ask(void *ctx, const struct route_need *need, void (*done)(void *ctx), void *done_ctx)
{
    struct asking *a = CONTAINER(CONTAINER(ctx, struct world, f), struct asking, w);

    assert_true(a->n < ASKED_MAX);
    a->v[a->n].done = done;
    a->v[a->n].ctx = done_ctx;
    a->v[a->n++].need =
        (struct route_need){ need->kind, arena_strdup(a->arena, need->source),
                             arena_strdup(a->arena, need->key), arena_strdup(a->arena, need->local),
                             arena_strdup(a->arena, need->domain) };
    a->total++;
}

static void begin_asking(struct asking *a, const char *aliases)
{
    begin(&a->w, aliases, "\"retry\":[\"1h\"]", "},\"directories\":{\"people\":{\"plugin\":\"x\"}",
          "\"local_domains\":[\"gw.test\"],\"users\":[\"people\"],");
    a->w.f.queue->ask = ask;
    a->arena = arena_new();
}

static void end_asking(struct asking *a)
{
    end(&a->w);
    arena_free(&a->arena);
    free(a);
}

static void tell_all(struct asking *a)
{
    struct route_answers *answers = route_answers_of(a->w.f.routes);
    size_t n = a->n;

    for (size_t i = 0; i < n; i++) {
        if (a->fail)
            route_answers_fail(answers, &a->v[i].need, "silent");
        else
            route_answers_put(answers, &a->v[i].need, 0, NULL, 0, 0);
        a->v[i].done(a->v[i].ctx);
    }
    memmove(a->v, a->v + n, (a->n - n) * sizeof a->v[0]);
    a->n -= n;
    turns(&a->w.f, 3);
}

static void those_for_whom_there_is_no_room_are_asked_for_with_the_answers(void **state)
{
    char names[600][24];
    const char *rcpts[600];
    struct asking *a = mem_zalloc(sizeof *a);
    size_t delivered_n = 0;

    (void)state;
    for (size_t i = 0; i < 600; i++) {
        snprintf(names[i], sizeof names[i], "u%zu@gw.test", i);
        rcpts[i] = names[i];
    }
    begin_asking(a, "other: x@y.test\n");
    add(&a->w.f, "s@x.test", 600, rcpts);
    turns(&a->w.f, 3);
    assert_int_equal(a->total, 255);
    tell_all(a);
    assert_int_equal(a->total, 510); /* and no second goes by */
    tell_all(a);
    assert_int_equal(a->total, 600);
    tell_all(a);
    for (int i = 0; i < 100 && a->w.f.n; i++) {
        for (size_t j = 0; j < a->w.f.n; j++)
            delivered_n += queue_job_rcpts(a->w.f.jobs[j]);
        settle_all(&a->w.f, POSTERN_DELIVERED, 0, "250 ok");
        turns(&a->w.f, 3);
    }
    assert_int_equal(delivered_n, 600);
    assert_int_equal(a->total, 600);
    assert_int_equal(fakespool_live(a->w.f.spool), 0);
    end_asking(a);
}

/* More names than are asked for at once, of a directory that is silent for longer than its failures
 * are kept. */
static void failures_count_for_as_long_as_the_asking_lasts(void **state)
{
    struct asking *a = mem_zalloc(sizeof *a);
    struct buf aliases = { 0 };
    unsigned rounds = 0;

    (void)state;
    for (int i = 0; i < 150; i++)
        buf_printf(&aliases, "%s u%d@gw.test", i ? "," : "all:", i);
    buf_adds(&aliases, "\n");
    begin_asking(a, aliases.data);
    a->fail = 1;
    add1(&a->w.f, "s@x.test", "all@gw.test");
    turns(&a->w.f, 3);
    for (; a->n && rounds < 20; rounds++) {
        tell_all(a);
        route_answers_forget(route_answers_of(a->w.f.routes));
    }
    assert_int_equal(rounds, 3);
    assert_int_equal(a->total, 150);
    expect_told(&a->w.f, "tries", "1");
    expect_told(&a->w.f, "text", "directory people: silent");
    end_asking(a);
    buf_free(&aliases);
}

/* --- places that several recipients stand for --- */

static const char *const two[] = { "one@gw.test", "two@gw.test" };
static const char shared[] = "one: a@one.test, both@x.test\ntwo: both@x.test, b@two.test\n";

static void begin_shared(struct world *w, const char *queue)
{
    begin(w, shared, queue, "", "");
    add(&w->f, "s@s.test", 2, two);
    turns(&w->f, 2);
    assert_int_equal(w->f.n, 3);
}

static void a_place_of_two_recipients_is_served_once(void **state)
{
    struct world w;

    (void)state;
    begin_shared(&w, "\"retry\":[\"20ms\"],\"jitter\":0");
    deferred(&w.f, "both@x.test");
    delivered(&w.f, "a@one.test");
    delivered(&w.f, "b@two.test");
    until_tried(&w.f, "both@x.test");
    assert_int_equal(w.f.n, 1);
    expect_told(&w.f, "tries", "1");
    delivered(&w.f, "both@x.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    assert_int_equal(count(&w.f, "delivered"), 3);
    end(&w);
}

static void the_failure_of_a_place_of_two_recipients_is_told_of_each(void **state)
{
    const char *report, *first;
    struct world w;

    (void)state;
    begin_shared(&w, "");
    delivered(&w.f, "a@one.test");
    delivered(&w.f, "b@two.test");
    failed(&w.f, "both@x.test");
    assert_int_equal(count(&w.f, "bounced"), 1);
    report = fakespool_newest(w.f.spool);
    first = strstr(report, "Final-Recipient: rfc822; both@x.test");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "Final-Recipient: rfc822; both@x.test"));
    assert_non_null(strstr(report, "Original-Recipient: rfc822; one@gw.test"));
    assert_non_null(strstr(report, "Original-Recipient: rfc822; two@gw.test"));
    delivered(&w.f, "s@s.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void who_is_left_gets_what_one_was_removed_from(void **state)
{
    struct queue_filter one = { .recipient = "one@gw.test" };
    struct world w;

    (void)state;
    begin(&w, shared, "\"destination_concurrency\":1", "", "");
    add1(&w.f, "s@s.test", "u@x.test");
    turns(&w.f, 2);
    add(&w.f, "s@s.test", 2, two);
    turns(&w.f, 2);
    delivered(&w.f, "a@one.test");
    assert_int_equal(act(&w.f, &one, QUEUE_REMOVE, NULL), 1);
    delivered(&w.f, "u@x.test");
    delivered(&w.f, "b@two.test");
    until_tried(&w.f, "both@x.test");
    delivered(&w.f, "both@x.test");
    assert_int_equal(fakespool_live(w.f.spool), 0);
    assert_int_equal(count(&w.f, "delivered"), 4);
    end(&w);
}

static void a_shared_place_whose_destination_dies_is_tried_once_when_it_lives(void **state)
{
    struct world w;

    (void)state;
    begin(&w, shared,
          "\"retry\":[\"1h\"],\"dead_min\":\"20ms\",\"jitter\":0,\"destination_concurrency\":1", "",
          "");
    add1(&w.f, "s@s.test", "u@x.test");
    turns(&w.f, 2);
    add(&w.f, "s@s.test", 2, two);
    turns(&w.f, 2);
    say(&w.f, "u@x.test", POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, "refused");
    turns(&w.f, 3);
    delivered(&w.f, "a@one.test");
    delivered(&w.f, "b@two.test");
    until_tried(&w.f, "both@x.test");
    assert_int_equal(w.f.n, 1);
    delivered(&w.f, "both@x.test");
    usleep(50000);
    turns(&w.f, 6);
    assert_int_equal(w.f.n, 0);
    assert_int_equal(fakespool_live(w.f.spool), 1); /* the other message */
    end(&w);
}

static void replay_two(struct fixture *from, struct fixture *to)
{
    const struct buf *saved = fakespool_state(fakespool_first(from->spool));
    struct buf meta = { 0 };
    struct envelope *e = envelope_new(&(struct envelope_new){
        .received_usec = clock_wall(), .sender = "s@s.test", .rcpt_n = 2, .rcpts = two });

    envelope_encode(e, &meta);
    free(e);
    queue_replay(to->queue, 77, fakespool_add(to->spool, 77, "x"), meta.data, meta.len, saved->data,
                 saved->len, 1);
    buf_free(&meta);
    act(to, &(struct queue_filter){ .all = 1 }, QUEUE_RETRY, NULL);
    turns(to, 6);
}

static void what_one_has_got_another_does_not_get_after_a_restart(void **state)
{
    struct fixture g;
    struct world w;

    (void)state;
    begin(&w, "one: both@x.test\ntwo: b@two.test\n", "\"retry\":[\"1h\"]", "", "");
    add(&w.f, "s@s.test", 2, two);
    turns(&w.f, 2);
    delivered(&w.f, "both@x.test");
    deferred(&w.f, "b@two.test");
    change_aliases(&w, shared);
    start_there(&g, w.path, "", "", "");
    replay_two(&w.f, &g);
    assert_int_equal(g.n, 1);
    delivered(&g, "b@two.test");
    assert_int_equal(fakespool_live(g.spool), 0);
    assert_int_equal(count(&g, "delivered"), 1);
    stop(&g);
    end(&w);
}

static void a_stop_takes_a_shared_place_back_for_all(void **state)
{
    struct fixture g;
    struct world w;

    (void)state;
    begin_shared(&w, "\"retry\":[\"1h\"]");
    delivered(&w.f, "a@one.test");
    queue_stop(w.f.queue);
    queue_cancel_all(w.f.queue);
    assert_int_equal(count(&w.f, "deferred"), 0);
    start_there(&g, w.path, "", "", "");
    replay_two(&w.f, &g);
    assert_int_equal(g.n, 2);
    delivered(&g, "both@x.test");
    delivered(&g, "b@two.test");
    assert_int_equal(fakespool_live(g.spool), 0);
    stop(&g);
    end(&w);
}

/* --- more than one turn can look at --- */

enum { GREAT = 5000 };

static void begin_great(struct world *w, const char *queue)
{
    struct buf aliases = { 0 };

    buf_adds(&aliases, "all: u0@one.test");
    for (int i = 1; i < GREAT; i++)
        buf_printf(&aliases, ", u%d@one.test", i);
    buf_adds(&aliases, "\n");
    begin(w, aliases.data, queue, "", "");
    buf_free(&aliases);
}

/* Counts who is served, until nothing is left. */
static void serve_all(struct fixture *f, unsigned char served[GREAT])
{
    for (int idle = 0; idle < 50; idle++) {
        for (size_t j = 0; j < f->n; j++) {
            for (size_t i = 0; i < queue_job_rcpts(f->jobs[j]); i++) {
                const char *rcpt = queue_job_rcpt(f->jobs[j], i);

                if (strstr(rcpt, "@one.test"))
                    served[atoi(rcpt + 1)]++;
            }
            idle = 0;
        }
        settle_all(f, POSTERN_DELIVERED, 0, "250 ok");
        turns(f, 1);
    }
}

static void expect_each_once(const unsigned char served[GREAT])
{
    for (int i = 0; i < GREAT; i++)
        assert_int_equal(served[i], 1);
}

static void of_a_great_many_each_is_served_once_and_others_go_between(void **state)
{
    unsigned char served[GREAT] = { 0 };
    struct world w;
    int turn = 0;

    (void)state;
    begin_great(&w, "");
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 3);
    assert_int_equal(w.f.n, 0); /* not all is known */
    add1(&w.f, "s@x.test", "u@two.test");
    for (; turn < 10 && !is_tried(&w.f, "u@two.test"); turn++)
        turns(&w.f, 1);
    assert_true(turn < 10 && w.f.n == 1);
    serve_all(&w.f, served);
    expect_each_once(served);
    assert_int_equal(fakespool_live(w.f.spool), 0);
    assert_int_equal(count(&w.f, "delivered"), GREAT + 1);
    end(&w);
}

/* Each is short enough for one turn, but not all of them together. */
static void many_aliases_of_one_message_do_not_take_one_turn(void **state)
{
    enum { ALIASES = 8, PLACES = 1000 };
    const char *rcpts[ALIASES] = { "a0@gw.test", "a1@gw.test", "a2@gw.test", "a3@gw.test",
                                   "a4@gw.test", "a5@gw.test", "a6@gw.test", "a7@gw.test" };
    unsigned char served[GREAT] = { 0 };
    struct buf aliases = { 0 };
    struct world w;

    (void)state;
    for (int k = 0; k < ALIASES; k++) {
        buf_printf(&aliases, "a%d: ", k);
        for (int i = 0; i < PLACES; i++)
            buf_printf(&aliases, "%su%d@one.test", i ? ", " : "", (k * PLACES + i) % GREAT);
        buf_adds(&aliases, "\n");
    }
    begin(&w, aliases.data, "", "", "");
    buf_free(&aliases);
    add(&w.f, "s@x.test", ALIASES, rcpts);
    for (int i = 0; i < 10 && waiting(&w.f, WAIT_NEW) == ALIASES; i++)
        turns(&w.f, 1);
    assert_in_range(waiting(&w.f, WAIT_NEW), 2, ALIASES - 1);
    serve_all(&w.f, served);
    expect_each_once(served);
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void a_great_many_stand_in_line_too(void **state)
{
    unsigned char served[GREAT] = { 0 };
    struct world w;

    (void)state;
    begin_great(&w, "\"destination_concurrency\":1");
    for (unsigned i = 0; i < QUEUE_WINDOW - 20; i++)
        add1(&w.f, "s@x.test", "v@one.test");
    turns(&w.f, 12);
    add1(&w.f, "s@x.test", "all@gw.test");
    turns(&w.f, 20); /* the line is full before all have joined it */
    assert_int_equal(waiting(&w.f, WAIT_LIMIT), QUEUE_WINDOW - 20);
    for (int i = 0; i < 3000 && is_tried(&w.f, "v@one.test"); i++)
        delivered(&w.f, "v@one.test");
    serve_all(&w.f, served);
    expect_each_once(served);
    assert_int_equal(fakespool_live(w.f.spool), 0);
    end(&w);
}

static void one_who_stands_for_a_great_many_can_be_removed_at_any_step(void **state)
{
    struct queue_filter all = { .recipient = "all@gw.test" };
    unsigned char served[GREAT];
    struct world w;

    (void)state;
    for (int steps = 2; steps < 12; steps++) {
        begin_great(&w, "");
        memset(served, 0, sizeof served);
        add1(&w.f, "s@x.test", "all@gw.test");
        turns(&w.f, steps);
        act(&w.f, &all, QUEUE_REMOVE, NULL);
        serve_all(&w.f, served);
        for (int i = 0; i < GREAT; i++)
            assert_true(served[i] <= 1);
        assert_int_equal(fakespool_live(w.f.spool), 0);
        end(&w);
    }
}

static void a_stop_among_a_great_many_forgets_none_and_repeats_none(void **state)
{
    unsigned char served[GREAT];
    struct fixture g;
    struct world w;

    (void)state;
    for (int steps = 2; steps < 12; steps++) {
        memset(served, 0, sizeof served);
        begin_great(&w, "");
        start_there(&g, w.path, "", "", "");
        add1(&w.f, "s@x.test", "all@gw.test");
        turns(&w.f, steps);
        for (size_t j = 0; j < w.f.n; j++) {
            for (size_t i = 0; i < queue_job_rcpts(w.f.jobs[j]); i++)
                served[atoi(queue_job_rcpt(w.f.jobs[j], i) + 1)]++;
        }
        settle_all(&w.f, POSTERN_DELIVERED, 0, "250 ok");
        turns(&w.f, 1);
        queue_stop(w.f.queue);
        queue_cancel_all(w.f.queue);
        turns(&w.f, 2);
        replay(&w.f, &g, "s@x.test", "all@gw.test");
        serve_all(&g, served);
        expect_each_once(served);
        assert_int_equal(fakespool_live(g.spool), 0);
        stop(&g);
        end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_place_is_served_once),
        cmocka_unit_test(a_place_that_fails_is_told_at_once_and_once),
        cmocka_unit_test(what_is_no_alias_any_more_and_fails_is_told_by_its_name),
        cmocka_unit_test(what_was_deferred_is_not_tried_again_when_the_others_turn_in_line_comes),
        cmocka_unit_test(what_expires_in_line_waits_for_the_places_that_are_out),
        cmocka_unit_test(a_place_that_waits_can_be_held_when_the_one_in_flight_is_back),
        cmocka_unit_test(a_removed_recipient_goes_when_its_last_place_is_back),
        cmocka_unit_test(a_place_whose_destination_dies_is_tried_when_it_lives),
        cmocka_unit_test(a_stop_and_a_restart_forget_no_place_and_repeat_none),
        cmocka_unit_test(a_failure_beside_a_place_that_is_held_is_told_also_after_a_restart),
        cmocka_unit_test(what_holds_one_place_is_what_is_said_of_the_recipient),
        cmocka_unit_test(places_that_expire_are_told_each_to_its_owner),
        cmocka_unit_test(places_that_expire_after_a_restart_are_found_out_once_more),
        cmocka_unit_test(what_was_an_alias_and_expires_is_told_by_its_name),
        cmocka_unit_test(the_place_that_may_go_first_says_when),
        cmocka_unit_test(what_is_deferred_is_tried_while_another_is_held),
        cmocka_unit_test(a_transport_that_holds_one_place_is_not_asked_again),
        cmocka_unit_test(a_place_that_is_held_does_not_expire),
        cmocka_unit_test(who_is_released_is_released_from_that_hold_alone),
        cmocka_unit_test(a_notice_to_a_postmaster_who_is_an_alias_is_held_and_tried_again),
        cmocka_unit_test(failures_of_a_list_are_told_to_its_owner_and_others_to_the_sender),
        cmocka_unit_test(what_the_owner_is_to_be_told_is_known_after_a_restart),
        cmocka_unit_test(a_command_is_told_of_by_its_alias),
        cmocka_unit_test(a_long_list_is_known_after_a_stop_though_not_each_outcome_was_written),
        cmocka_unit_test(what_is_asked_of_users_does_not_hold_up_what_can_go),
        cmocka_unit_test(one_removed_while_its_user_is_asked_goes_with_the_answer),
        cmocka_unit_test(those_for_whom_there_is_no_room_are_asked_for_with_the_answers),
        cmocka_unit_test(failures_count_for_as_long_as_the_asking_lasts),
        cmocka_unit_test(a_place_of_two_recipients_is_served_once),
        cmocka_unit_test(the_failure_of_a_place_of_two_recipients_is_told_of_each),
        cmocka_unit_test(who_is_left_gets_what_one_was_removed_from),
        cmocka_unit_test(a_shared_place_whose_destination_dies_is_tried_once_when_it_lives),
        cmocka_unit_test(what_one_has_got_another_does_not_get_after_a_restart),
        cmocka_unit_test(a_stop_takes_a_shared_place_back_for_all),
        cmocka_unit_test(of_a_great_many_each_is_served_once_and_others_go_between),
        cmocka_unit_test(many_aliases_of_one_message_do_not_take_one_turn),
        cmocka_unit_test(a_great_many_stand_in_line_too),
        cmocka_unit_test(one_who_stands_for_a_great_many_can_be_removed_at_any_step),
        cmocka_unit_test(a_stop_among_a_great_many_forgets_none_and_repeats_none),
    };

    log_open(&(struct log_config){ .level = POSTERN_LOG_ERROR });
    return cmocka_run_group_tests(tests, NULL, NULL);
}
