/* The queue against a spool in memory and a transport that does what each test tells it. */
#include "kit.h"

/* --- the tests --- */

static void a_delivered_message_leaves_the_spool(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", ""));
    add1(&f, "a@x.test", "b@y.test");
    turns(&f, 2);
    assert_int_equal(f.n, 1);
    assert_string_equal(queue_job_rcpt(f.jobs[0], 0), "b@y.test");
    assert_string_equal(queue_job_destination(f.jobs[0]), "y.test");
    assert_int_equal(fakespool_live(f.spool), 1);
    settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&f, 2);
    assert_int_equal(fakespool_live(f.spool), 0);
    assert_int_equal(count(&f, "messages"), 0);
    stop(&f);
}

static void recipients_with_one_next_hop_travel_together_others_apart(void **state)
{
    static const char *const rcpts[] = { "a@one.test", "b@two.test", "c@ONE.test", "d@via.test",
                                         "e@via2.test" };
    struct fixture f;

    (void)state;
    start(&f,
          CONFIG("",
                 "\"rules\":[{\"domain\":\"via*.test\",\"transport\":\"out\","
                 "\"next_hops\":[\"[192.0.2.9]\"]}],"));
    add(&f, "a@x.test", 5, rcpts);
    turns(&f, 2);
    assert_int_equal(f.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(queue_job_rcpts(f.jobs[i]),
                         strstr(queue_job_rcpt(f.jobs[i], 0), "two") ? 1 : 2);
    stop(&f);
}

static void more_recipients_than_a_server_must_take_become_several_jobs(void **state)
{
    const char *rcpts[250];
    char text[250][32];
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", ""));
    for (int i = 0; i < 250; i++) {
        snprintf(text[i], sizeof text[i], "u%d@y.test", i);
        rcpts[i] = text[i];
    }
    add(&f, "a@x.test", 250, rcpts);
    turns(&f, 2);
    assert_int_equal(f.n, 3);
    assert_int_equal(
        queue_job_rcpts(f.jobs[0]) + queue_job_rcpts(f.jobs[1]) + queue_job_rcpts(f.jobs[2]), 250);
    settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&f, 2);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static void only_the_recipient_that_was_deferred_is_tried_again(void **state)
{
    static const char *const rcpts[] = { "a@y.test", "b@y.test" };
    struct fixture f;

    (void)state;
    start(&f, CONFIG("\"retry\":[\"200ms\"],\"jitter\":0", ""));
    add(&f, "s@x.test", 2, rcpts);
    turns(&f, 2);
    assert_int_equal(f.n, 1);
    settle(&f, 0, 0, POSTERN_DELIVERED, 0, "250 ok");
    settle(&f, 0, 1, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "451 later");
    f.n = 0;
    turns(&f, 2);
    assert_int_equal(waiting(&f, WAIT_BACKOFF), 1);
    assert_int_equal(fakespool_live(f.spool), 1);
    turns_until_tried(&f);
    assert_int_equal(queue_job_rcpts(f.jobs[0]), 1);
    assert_string_equal(queue_job_rcpt(f.jobs[0], 0), "b@y.test");
    settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&f, 2);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static void a_failure_is_reported_to_the_sender_with_the_servers_words(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", ""));
    add1(&f, "sender@x.test", "nobody@y.test");
    turns(&f, 2);
    settle_all(&f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 5.1.1 no such user");
    turns(&f, 5);
    assert_int_equal(fakespool_live(f.spool), 1); /* the DSN, the message is gone */
    assert_non_null(strstr(fakespool_newest(f.spool), "550 5.1.1 no such user"));
    assert_non_null(strstr(fakespool_newest(f.spool), "X-Keep: yes"));
    assert_int_equal(f.n, 1);
    assert_string_equal(queue_job_sender(f.jobs[0]), "");
    assert_string_equal(queue_job_rcpt(f.jobs[0], 0), "sender@x.test");
    stop(&f);
}

static void an_undeliverable_bounce_goes_to_the_postmaster_and_then_on_hold(void **state)
{
    struct fixture f;
    size_t postmasters = 0;

    (void)state;
    start(&f, CONFIG("", ""));
    add1(&f, "sender@x.test", "nobody@y.test");
    for (int round = 0; round < 6; round++) {
        turns(&f, 4);
        for (size_t i = 0; i < f.n; i++)
            postmasters += !strcmp(queue_job_rcpt(f.jobs[i], 0), "postmaster@gw.test");
        settle_all(&f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 no");
    }
    assert_int_equal(postmasters, 1);
    assert_int_equal(fakespool_live(f.spool), 1); /* held, not dropped */
    assert_int_equal(waiting(&f, WAIT_HELD), 1);
    stop(&f);
}

/* It went through a hub that hands back what it gets: nothing but its header says what it is. */
static void a_notice_that_comes_back_makes_no_other_notice(void **state)
{
    const char *rcpt = "boss@y.test";
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", ""));
    add_text(
        &f, "", 1, &rcpt,
        "Subject: Postmaster notice: undelivered mail\r\nPostern-Notice: other.test\r\n\r\nx\r\n");
    for (int round = 0; round < 4; round++) {
        turns(&f, 4);
        settle_all(&f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "554 5.4.6 loop");
    }
    assert_int_equal(fakespool_live(f.spool), 1);
    assert_int_equal(waiting(&f, WAIT_HELD), 1);
    stop(&f);
}

static void a_failure_whose_bounce_cannot_be_written_is_kept(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", ""));
    fakespool_fail_puts(f.spool, -ENOSPC);
    add1(&f, "sender@x.test", "nobody@y.test");
    turns(&f, 2);
    settle_all(&f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 no");
    turns(&f, 4);
    assert_int_equal(fakespool_live(f.spool), 1);
    assert_int_equal(waiting(&f, WAIT_SPOOL), 1);
    stop(&f);
}

static void an_operator_who_has_made_room_has_the_reports_written_at_once(void **state)
{
    struct queue_filter all = { .all = 1 };
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", ""));
    fakespool_fail_puts(f.spool, -ENOSPC);
    add1(&f, "sender@x.test", "nobody@y.test");
    turns(&f, 2);
    settle_all(&f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 no");
    turns(&f, 4);
    assert_int_equal(waiting(&f, WAIT_SPOOL), 1);
    fakespool_fail_puts(f.spool, 0);
    assert_int_equal(act(&f, &all, QUEUE_RETRY, NULL), 1);
    turns(&f, 4);
    assert_int_equal(waiting(&f, WAIT_SPOOL), 0);
    assert_int_equal(count(&f, "bounced"), 1);
    stop(&f);
}

static void a_report_that_cannot_be_written_delays_no_other_recipient(void **state)
{
    static const char *const rcpts[] = { "nobody@y.test", "later@y.test" };
    struct fixture f;

    (void)state;
    start(&f, CONFIG("\"retry\":[\"20ms\"],\"jitter\":0", ""));
    fakespool_fail_puts(f.spool, -ENOSPC);
    add(&f, "sender@x.test", 2, rcpts);
    turns(&f, 2);
    assert_int_equal(f.n, 1);
    settle(&f, 0, 0, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 no");
    settle(&f, 0, 1, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "451 later");
    f.n = 0;
    turns(&f, 4);
    assert_int_equal(waiting(&f, WAIT_SPOOL), 1);
    turns_until_tried(&f);
    assert_string_equal(queue_job_rcpt(f.jobs[0], 0), "later@y.test");
    stop(&f);
}

static void a_message_that_waited_too_long_is_returned(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("\"retry\":[\"5ms\"],\"jitter\":0,\"lifetime\":\"20ms\"", ""));
    add1(&f, "sender@x.test", "slow@y.test");
    for (int i = 0; i < 20 && !count(&f, "expired"); i++) {
        turns(&f, 3);
        settle_all(&f, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "451 come back");
        usleep(6000);
    }
    turns(&f, 3);
    assert_int_equal(count(&f, "expired"), 1);
    assert_non_null(strstr(fakespool_newest(f.spool), "not delivered within 20ms"));
    assert_non_null(strstr(fakespool_newest(f.spool), "451 come back"));
    stop(&f);
}

static void a_dead_destination_is_probed_by_one_and_holds_up_nobody(void **state)
{
    struct fixture f;
    size_t other = 0;

    (void)state;
    start(
        &f,
        CONFIG(
            "\"destination_concurrency\":5,\"dead_min\":\"50ms\",\"jitter\":0,\"retry\":[\"1ms\"]",
            ""));
    for (int i = 0; i < 300; i++)
        add1(&f, "s@x.test", "u@dead.test");
    turns(&f, 5);
    assert_int_equal(f.n, 5);
    assert_int_equal(waiting(&f, WAIT_LIMIT), 295);
    settle_all(&f, POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, "connection refused");
    turns(&f, 5);
    assert_int_equal(f.n, 0);
    assert_true(waiting(&f, WAIT_HOST_DEAD) >= 295);
    add1(&f, "s@x.test", "u@alive.test");
    turns(&f, 3);
    for (size_t i = 0; i < f.n; i++)
        other += !strcmp(queue_job_destination(f.jobs[i]), "alive.test");
    assert_int_equal(other, 1);
    settle_all(&f, POSTERN_DELIVERED, 0, "250");
    usleep(60000);
    turns(&f, 5);
    assert_int_equal(f.n, 1); /* the probe */
    settle_all(&f, POSTERN_DELIVERED, 0, "250 back again");
    turns(&f, 5);
    assert_int_equal(f.n, 5);
    while (f.n) {
        settle_all(&f, POSTERN_DELIVERED, 0, "250");
        turns(&f, 3);
    }
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static void destinations_take_turns(void **state)
{
    struct fixture f;
    size_t small = 0;

    (void)state;
    start(&f, CONFIG("\"destination_concurrency\":10,\"concurrency\":4", ""));
    for (int i = 0; i < 100; i++)
        add1(&f, "s@x.test", "u@large.test");
    add1(&f, "s@x.test", "u@small.test");
    turns(&f, 2);
    /* Four may fly, and a hundred were there first: one of the four is the small one's even so. */
    assert_int_equal(f.n, 4);
    for (size_t i = 0; i < f.n; i++)
        small += !strcmp(queue_job_destination(f.jobs[i]), "small.test");
    assert_int_equal(small, 1);
    stop(&f);
}

static void a_second_settlement_is_ignored_and_a_missing_transport_waits(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", "\"rules\":[{\"domain\":\"gone.test\",\"transport\":\"gone\"}],"));
    add1(&f, "s@x.test", "u@gone.test");
    turns(&f, 4);
    assert_int_equal(waiting(&f, WAIT_PLUGIN), 1);
    add(&f, "s@x.test", 2, (const char *const[]){ "a@y.test", "b@y.test" });
    turns(&f, 2);
    assert_int_equal(f.n, 1);
    settle(&f, 0, 0, POSTERN_DELIVERED, 0, "250");
    settle(&f, 0, 0, POSTERN_FAILED, 0, "550 changed my mind");
    settle(&f, 0, 7, POSTERN_FAILED, 0, "550 never was");
    settle(&f, 0, 1, 99, 0, "nonsense");
    f.n = 0;
    turns(&f, 4);
    assert_int_equal(count(&f, "delivered"), 1);
    assert_int_equal(count(&f, "failed"), 0);
    assert_int_equal(waiting(&f, WAIT_BACKOFF), 1);
    stop(&f);
}

static void a_job_that_is_never_settled_is_taken_back_at_its_deadline(void **state)
{
    struct fixture f;

    (void)state;
    start(&f,
          "{\"server\":{\"hostname\":\"gw.test\",\"delivery_deadline\":\"1s\"},"
          "\"transports\":{\"out\":{\"plugin\":\"x\"},\"local-mbox\":{\"plugin\":\"x\"}},"
          "\"routing\":{\"default\":{\"transport\":\"out\"}}}");
    add1(&f, "s@x.test", "u@y.test");
    turns(&f, 2);
    assert_int_equal(f.n, 1);
    usleep(1050000);
    turns(&f, 4);
    assert_int_equal(f.cancels, 1);
    assert_int_equal(count(&f, "in_flight"), 0);
    assert_int_equal(waiting(&f, WAIT_BACKOFF), 1);
    stop(&f);
}

static void rules_can_hold_discard_and_fail(void **state)
{
    struct fixture f;

    (void)state;
    start(&f,
          CONFIG("",
                 "\"rules\":[{\"domain\":\"hold.test\",\"hold\":\"audit\"},"
                 "{\"domain\":\"drop.test\",\"discard\":true},"
                 "{\"domain\":\"no.test\",\"fail\":\"5.7.1 not from here\"}],"));
    add1(&f, "s@x.test", "u@hold.test");
    add1(&f, "s@x.test", "u@drop.test");
    turns(&f, 3);
    assert_int_equal(f.n, 0);
    assert_int_equal(waiting(&f, WAIT_HELD), 1);
    assert_int_equal(count(&f, "discarded"), 1);
    assert_int_equal(fakespool_live(f.spool), 1);
    add1(&f, "s@x.test", "u@no.test");
    turns(&f, 6);
    assert_non_null(strstr(fakespool_newest(f.spool), "not from here"));
    stop(&f);
}

static void operators_hold_release_retry_and_remove(void **state)
{
    struct fixture f;
    struct queue_filter all = { .all = 1 }, y = { .domain = "Y.test" }, held = { .held = 1 };
    uint64_t next;
    json_t *list;

    (void)state;
    start(&f, CONFIG("", ""));
    add(&f, "s@x.test", 2, (const char *const[]){ "a@y.test", "b@z.test" });
    turns(&f, 2);
    assert_int_equal(act(&f, &all, QUEUE_HOLD, NULL), 0); /* both in flight */
    settle_all(&f, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "451 busy");
    turns(&f, 2);
    assert_int_equal(act(&f, &y, QUEUE_HOLD, "wait for Bob"), 1);
    list = queue_list(f.queue, &held, 0, 10, &next);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    assert_int_equal(act(&f, &all, QUEUE_RETRY, NULL), 1);
    turns(&f, 3);
    assert_int_equal(f.n, 1);
    assert_string_equal(queue_job_rcpt(f.jobs[0], 0), "b@z.test");
    assert_int_equal(act(&f, &held, QUEUE_RELEASE, NULL), 1);
    turns(&f, 3);
    assert_int_equal(f.n, 2);
    settle_all(&f, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "451 busy");
    turns(&f, 2);
    assert_int_equal(act(&f, &all, QUEUE_REMOVE, NULL), 2);
    turns(&f, 2);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static void what_was_known_survives_a_restart(void **state)
{
    struct fixture f, g;
    struct buf saved = { 0 }, meta = { 0 };
    json_t *list, *r;
    uint64_t next;
    struct envelope *e;

    (void)state;
    start(&f, CONFIG("", ""));
    add(&f, "s@x.test", 2, (const char *const[]){ "a@y.test", "b@y.test" });
    turns(&f, 2);
    settle(&f, 0, 0, POSTERN_DELIVERED, 0, "250");
    settle(&f, 0, 1, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "451 4.2.1 busy");
    f.n = 0;
    turns(&f, 2);
    start(&g, CONFIG("", ""));
    {
        struct spool_entry *entry = fakespool_add(g.spool, 77, "x");
        const char *const rcpts[] = { "a@y.test", "b@y.test" };

        e = envelope_new(&(struct envelope_new){
            .received_usec = clock_wall(), .sender = "s@x.test", .rcpt_n = 2, .rcpts = rcpts });
        envelope_encode(e, &meta);
        free(e);
        buf_add(&saved, fakespool_state(fakespool_first(f.spool))->data,
                fakespool_state(fakespool_first(f.spool))->len);
        queue_replay(g.queue, 77, entry, meta.data, meta.len, saved.data, saved.len, 1);
    }
    list = queue_list(g.queue, &(struct queue_filter){ .all = 1 }, 0, 10, &next);
    r = json_object_get(json_array_get(list, 0), "recipients");
    assert_string_equal(json_string_value(json_object_get(json_array_get(r, 0), "state")),
                        "delivered");
    assert_string_equal(json_string_value(json_object_get(json_array_get(r, 1), "state")),
                        "waiting");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(r, 1), "tries")), 1);
    assert_non_null(
        strstr(json_string_value(json_object_get(json_array_get(r, 1), "text")), "451 4.2.1 busy"));
    assert_non_null(
        strstr(json_string_value(json_object_get(json_array_get(r, 1), "decision")), "out"));
    json_decref(list);
    buf_free(&saved);
    buf_free(&meta);
    stop(&f);
    stop(&g);
}

static void a_rules_temporary_failure_means_not_now(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", "\"rules\":[{\"domain\":\"later.test\",\"fail\":\"4.7.1 come back\"}],"));
    add1(&f, "s@x.test", "u@later.test");
    turns(&f, 4);
    assert_int_equal(waiting(&f, WAIT_BACKOFF), 1);
    assert_int_equal(count(&f, "failed"), 0);
    assert_int_equal(count(&f, "deferred"), 1);
    assert_int_equal(fakespool_live(f.spool), 1);
    stop(&f);
}

static void a_message_expires_also_when_its_destination_was_dead_all_the_time(void **state)
{
    struct fixture f;

    (void)state;
    start(&f,
          CONFIG("\"dead_min\":\"1h\",\"dead_max\":\"1h\",\"lifetime\":\"40ms\",\"jitter\":0", ""));
    add1(&f, "s@x.test", "first@dead.test");
    turns(&f, 2);
    settle_all(&f, POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, "connection refused");
    turns(&f, 2);
    add1(&f, "s@x.test", "second@dead.test");
    turns(&f, 2);
    assert_int_equal(f.n, 0);
    for (int i = 0; i < 50 && count(&f, "bounced") < 2; i++) {
        usleep(5000);
        turns(&f, 3);
    }
    assert_int_equal(count(&f, "expired"), 2);
    assert_int_equal(count(&f, "bounced"), 2);
    assert_non_null(strstr(fakespool_newest(f.spool), "second@dead.test"));
    assert_non_null(strstr(fakespool_newest(f.spool), "connection refused"));
    assert_int_equal(f.n, 2); /* the two reports, on their way; nothing was sent to the dead */
    stop(&f);
}

static size_t listed(struct fixture *f)
{
    uint64_t next;
    json_t *list = queue_list(f->queue, &(struct queue_filter){ .all = 1 }, 0, 100, &next);
    size_t n = json_array_size(list);

    json_decref(list);
    return n;
}

static void a_message_may_be_removed_while_its_job_waits_for_its_turn(void **state)
{
    struct fixture f;
    struct queue_filter second = { .recipient = "second@y.test" };

    (void)state;
    start(&f, CONFIG("\"destination_concurrency\":1", ""));
    add1(&f, "s@x.test", "first@y.test");
    add1(&f, "s@x.test", "second@y.test");
    turns(&f, 2);
    assert_int_equal(f.n, 1);
    assert_int_equal(waiting(&f, WAIT_LIMIT), 1);
    assert_int_equal(act(&f, &second, QUEUE_REMOVE, NULL), 1);
    assert_int_equal(waiting(&f, WAIT_LIMIT), 0);
    assert_int_equal(listed(&f), 1);
    settle_all(&f, POSTERN_DELIVERED, 0, "250");
    turns(&f, 4);
    assert_int_equal(f.delivered_calls, 1);
    assert_int_equal(fakespool_live(f.spool), 0);
    assert_int_equal(count(&f, "messages"), 0);
    assert_int_equal(count(&f, "in_flight"), 0);
    stop(&f);
}

static void a_removed_message_goes_too_when_its_destination_dies(void **state)
{
    struct fixture f;
    struct queue_filter second = { .recipient = "second@y.test" };

    (void)state;
    start(&f, CONFIG("\"destination_concurrency\":1", ""));
    add1(&f, "s@x.test", "first@y.test");
    add1(&f, "s@x.test", "second@y.test");
    turns(&f, 2);
    act(&f, &second, QUEUE_REMOVE, NULL);
    settle_all(&f, POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, "connection refused");
    turns(&f, 4);
    assert_int_equal(fakespool_live(f.spool), 1);
    assert_int_equal(count(&f, "messages"), 1);
    stop(&f);
}

static void a_recipient_held_while_its_job_waits_is_not_sent_until_released(void **state)
{
    static const char *const two[] = { "a@y.test", "b@y.test" };
    struct fixture f;
    struct queue_filter a = { .recipient = "a@y.test" };

    (void)state;
    start(&f, CONFIG("\"destination_concurrency\":1", ""));
    add1(&f, "s@x.test", "first@y.test");
    add(&f, "s@x.test", 2, two);
    turns(&f, 2);
    assert_int_equal(act(&f, &a, QUEUE_HOLD, NULL), 1);
    settle_all(&f, POSTERN_DELIVERED, 0, "250");
    turns(&f, 3);
    assert_int_equal(f.n, 1);
    assert_int_equal(queue_job_rcpts(f.jobs[0]), 1);
    assert_string_equal(queue_job_rcpt(f.jobs[0], 0), "b@y.test");
    settle_all(&f, POSTERN_DELIVERED, 0, "250");
    turns(&f, 3);
    assert_int_equal(fakespool_live(f.spool), 1);
    assert_int_equal(act(&f, &a, QUEUE_RELEASE, NULL), 1);
    turns(&f, 3);
    assert_int_equal(f.n, 1);
    assert_string_equal(queue_job_rcpt(f.jobs[0], 0), "a@y.test");
    settle_all(&f, POSTERN_DELIVERED, 0, "250");
    turns(&f, 3);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static void failures_in_two_jobs_are_reported_in_one_notification(void **state)
{
    static const char *const two[] = { "a@one.test", "b@two.test" };
    struct fixture f;
    const char *dsn;

    (void)state;
    start(&f, CONFIG("", ""));
    add(&f, "s@x.test", 2, two);
    turns(&f, 2);
    assert_int_equal(f.n, 2);
    settle(&f, 0, 0, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 not me");
    turns(&f, 3);
    assert_int_equal(count(&f, "bounced"), 0); /* the other may fail too */
    settle(&f, 1, 0, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 nor me");
    f.n = 0;
    turns(&f, 4);
    assert_int_equal(count(&f, "bounced"), 1);
    assert_int_equal(fakespool_live(f.spool), 1);
    dsn = fakespool_newest(f.spool);
    assert_non_null(strstr(dsn, "550 not me"));
    assert_non_null(strstr(dsn, "550 nor me"));
    stop(&f);
}

/* The head is read by a thread: wait for it. */
static void turns_until_bounced(struct fixture *f)
{
    for (int i = 0; i < 200 && !count(f, "bounced"); i++) {
        usleep(1000);
        turns(f, 2);
    }
    assert_int_equal(count(f, "bounced"), 1);
}

static void the_original_is_returned_also_from_disk(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", ""));
    fakespool_on_disk(f.spool, 1);
    add1(&f, "s@x.test", "nobody@y.test");
    turns(&f, 2);
    settle_all(&f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 no");
    turns_until_bounced(&f);
    assert_non_null(strstr(fakespool_newest(f.spool), "X-Keep: yes\r\n\r\nbody\r\n"));
    stop(&f);
}

static void a_sender_is_told_even_when_the_original_cannot_be_read(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", ""));
    add1(&f, "s@x.test", "nobody@y.test");
    turns(&f, 2);
    fakespool_fail_content(f.spool, -EIO);
    settle_all(&f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 no");
    turns_until_bounced(&f);
    assert_int_equal(fakespool_live(f.spool), 1);
    assert_non_null(strstr(fakespool_newest(f.spool), "550 no"));
    assert_null(strstr(fakespool_newest(f.spool), "X-Keep"));
    stop(&f);
}

static void a_notification_under_way_at_the_end_is_let_go_of(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("", ""));
    fakespool_on_disk(f.spool, 1);
    add1(&f, "s@x.test", "nobody@y.test");
    turns(&f, 2);
    settle_all(&f, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550 no");
    loop_turn(f.loop, 0);
    assert_int_equal(count(&f, "bounced"), 0);
    loop_quiesce(f.loop);
    stop(&f); /* the leak checker is the judge */
}

/* What is on disk of message 1, given to a fresh queue as message 77. */
static void replay(struct fixture *from, struct fixture *to, size_t n, const char *const *rcpts)
{
    const struct buf *saved = fakespool_state(fakespool_first(from->spool));
    struct buf meta = { 0 };
    struct envelope *e = envelope_new(&(struct envelope_new){
        .received_usec = clock_wall(), .sender = "s@x.test", .rcpt_n = n, .rcpts = rcpts });

    envelope_encode(e, &meta);
    free(e);
    queue_replay(to->queue, 77, fakespool_add(to->spool, 77, "x"), meta.data, meta.len, saved->data,
                 saved->len, 1);
    buf_free(&meta);
}

static void what_a_stop_takes_back_is_due_at_once_and_was_no_try(void **state)
{
    static const char *const rcpt = "a@y.test";
    struct fixture f, g;
    json_t *list, *r;
    uint64_t next;

    (void)state;
    start(&f, CONFIG("\"retry\":[\"1h\"]", ""));
    start(&g, CONFIG("", ""));
    add1(&f, "s@x.test", rcpt);
    turns(&f, 2);
    assert_int_equal(f.n, 1);
    queue_stop(f.queue);
    queue_cancel_all(f.queue);
    assert_int_equal(f.cancels, 1);
    assert_int_equal(queue_in_flight(f.queue), 0);
    replay(&f, &g, 1, &rcpt);
    list = queue_list(g.queue, &(struct queue_filter){ .all = 1 }, 0, 10, &next);
    r = json_array_get(json_object_get(json_array_get(list, 0), "recipients"), 0);
    assert_int_equal(json_integer_value(json_object_get(r, "tries")), 0);
    json_decref(list);
    turns(&g, 2);
    assert_int_equal(g.n, 1);
    stop(&f);
    stop(&g);
}

static void a_message_whose_outcomes_are_all_known_leaves_after_a_restart(void **state)
{
    static const char *const two[] = { "a@one.test", "b@two.test" };
    struct fixture f, g;

    (void)state;
    start(&f, CONFIG("\"destination_concurrency\":1", ""));
    start(&g, CONFIG("", ""));
    add(&f, "s@x.test", 2, two);
    add1(&f, "s@x.test", "c@two.test");
    turns(&f, 2);
    settle(&f, 0, 0, POSTERN_DELIVERED, 0, "250");
    settle(&f, 1, 0, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "450");
    f.n = 0;
    turns(&f, 3);
    /* Removed while its job waits behind the other's: written as removed, not yet as done. */
    act(&f, &(struct queue_filter){ .recipient = "b@two.test" }, QUEUE_RETRY, NULL);
    turns(&f, 2);
    assert_int_equal(waiting(&f, WAIT_LIMIT), 1);
    act(&f, &(struct queue_filter){ .recipient = "b@two.test" }, QUEUE_REMOVE, NULL);
    assert_int_equal(fakespool_live(f.spool), 2);
    replay(&f, &g, 2, two);
    turns(&g, 2);
    assert_int_equal(g.n, 0);
    assert_int_equal(fakespool_live(g.spool), 0);
    assert_int_equal(count(&g, "messages"), 0);
    stop(&f);
    stop(&g);
}

/* One recipient may take very long; what the others have come to is not lost with the worker. */
static void what_is_settled_is_written_before_the_last_one_is(void **state)
{
    static const char *const rcpts[] = { "a@y.test", "b@y.test", "c@y.test", "d@y.test" };
    struct fixture f, g;

    (void)state;
    start(&f, CONFIG("\"retry\":[\"1h\"]", ""));
    start(&g, CONFIG("\"retry\":[\"1h\"]", ""));
    add(&f, "s@x.test", 4, rcpts);
    turns(&f, 2);
    assert_int_equal(f.n, 1);
    settle(&f, 0, 1, POSTERN_DELIVERED, 0, "250");
    settle(&f, 0, 2, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "450");
    settle(&f, 0, 3, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, "550");
    turns(&f, 2);
    assert_int_equal(fakespool_state(fakespool_first(f.spool))->len, 0); /* the last may be near */
    for (int i = 0; i < 20000 && !count(&f, "delivered"); i++) {
        usleep(1000);
        turns(&f, 1);
    }
    assert_int_equal(count(&f, "delivered"), 1);
    assert_int_equal(waiting(&f, WAIT_IN_FLIGHT), 1);
    assert_int_equal(fakespool_live(f.spool), 1); /* one report, when all are known */
    /* The worker is killed now: the next one tries a@ again, and nobody else. */
    replay(&f, &g, 4, rcpts);
    turns(&g, 3);
    assert_int_equal(g.n, 1);
    assert_int_equal(queue_job_rcpts(g.jobs[0]), 1);
    assert_string_equal(queue_job_rcpt(g.jobs[0], 0), "a@y.test");
    assert_int_equal(waiting(&g, WAIT_BACKOFF), 2); /* c@, and the report of d@ */
    /* Or it lives, and the rest is as ever: nothing counts twice. */
    settle(&f, 0, 0, POSTERN_DELIVERED, 0, "250");
    f.n = 0;
    turns(&f, 4);
    assert_int_equal(count(&f, "delivered"), 2);
    assert_int_equal(count(&f, "failed"), 1);
    assert_int_equal(count(&f, "deferred"), 1);
    assert_int_equal(queue_in_flight(f.queue), 1); /* the report */
    assert_int_equal(fakespool_live(f.spool), 2);
    stop(&f);
    stop(&g);
}

static void who_is_settled_early_may_be_tried_again_beside_the_job(void **state)
{
    static const char *const rcpts[] = { "a@y.test", "b@y.test" };
    struct fixture f;

    (void)state;
    start(&f, CONFIG("\"retry\":[\"10ms\"]", ""));
    add(&f, "s@x.test", 2, rcpts);
    turns(&f, 2);
    settle(&f, 0, 1, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "450");
    for (int i = 0; i < 20000 && f.n < 2; i++) {
        usleep(1000);
        turns(&f, 1);
    }
    assert_int_equal(f.n, 2);
    assert_string_equal(queue_job_rcpt(f.jobs[1], 0), "b@y.test");
    settle(&f, 1, 0, POSTERN_DELIVERED, 0, "250");
    turns(&f, 3);
    assert_int_equal(fakespool_live(f.spool), 1);
    settle(&f, 0, 0, POSTERN_DELIVERED, 0, "250");
    f.n = 0;
    turns(&f, 3);
    assert_int_equal(fakespool_live(f.spool), 0);
    assert_int_equal(count(&f, "messages"), 0);
    stop(&f);
}

static json_int_t all_waiting(struct fixture *f)
{
    json_int_t n = 0;

    for (int i = WAIT_NEW; i <= WAIT_SPOOL; i++)
        n += waiting(f, (enum wait_reason)i);
    return n;
}

static void no_bytes_of_a_state_do_harm(void **state)
{
    static const char *const two[] = { "a@y.test", "b@y.test" };
    struct fixture f, g;
    struct buf meta = { 0 };
    const struct buf *saved;
    struct envelope *e;
    uint64_t id = 100;

    (void)state;
    start(&f, CONFIG("", ""));
    start(&g, CONFIG("", ""));
    add(&f, "s@x.test", 2, two);
    turns(&f, 2);
    settle(&f, 0, 0, POSTERN_DELIVERED, 0, "250");
    settle(&f, 0, 1, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "451 busy");
    f.n = 0;
    turns(&f, 2);
    saved = fakespool_state(fakespool_first(f.spool));
    assert_true(saved->len > 20);
    e = envelope_new(&(struct envelope_new){
        .received_usec = clock_wall(), .sender = "s@x.test", .rcpt_n = 2, .rcpts = two });
    envelope_encode(e, &meta);
    free(e);
    log_open(&(struct log_config){ .level = -1 }); /* it complains of each, and rightly */
    for (size_t i = 0; i < saved->len; i++, id += 3) {
        char *bytes =
            mem_strndup(saved->data, saved->len); /* so that ASan sees one byte too many */

        queue_replay(g.queue, id, fakespool_add(g.spool, id, "x"), meta.data, meta.len, bytes, i,
                     1);
        bytes[i] = (char)~bytes[i];
        queue_replay(g.queue, id + 1, fakespool_add(g.spool, id + 1, "x"), meta.data, meta.len,
                     bytes, saved->len, 1);
        bytes[i] = (char)0x80;
        queue_replay(g.queue, id + 2, fakespool_add(g.spool, id + 2, "x"), meta.data, meta.len,
                     bytes, saved->len, 1);
        free(bytes);
    }
    log_open(&(struct log_config){ .level = POSTERN_LOG_ERROR });
    assert_int_equal(count(&g, "messages"), 3 * (json_int_t)saved->len);
    assert_in_range(all_waiting(&g), 1, 2 * 3 * saved->len);
    act(&g, &(struct queue_filter){ .all = 1 }, QUEUE_REMOVE, NULL);
    turns(&g, 200);
    assert_int_equal(all_waiting(&g), 0); /* the counts did not drift */
    assert_int_equal(count(&g, "messages"), 0);
    assert_int_equal(fakespool_live(g.spool), 0);
    buf_free(&meta);
    stop(&f);
    stop(&g);
}

static int deliver_at_once(void *ctx, const char *transport, postern_job *job)
{
    struct fixture *f = ctx;
    struct postern_outcome o = { .size = sizeof o,
                                 .fate = POSTERN_DELIVERED,
                                 .status = { 2, 0, 0 } };

    (void)transport;
    f->delivered_calls++;
    queue_job_settle(job, 0, &o);
    return 0;
}

static void a_transport_that_settles_at_once_leaves_the_loop_to_others(void **state)
{
    struct fixture f;
    struct queue_setup setup;
    size_t most = 0, before;

    (void)state;
    start(&f, CONFIG("\"destination_concurrency\":1000,\"concurrency\":1000", ""));
    queue_free(&f.queue);
    setup = (struct queue_setup){ .loop = f.loop,
                                  .spool = f.spool,
                                  .config = f.config,
                                  .routes = f.routes,
                                  .carrier = { &f, deliver_at_once, cancel } };
    assert_int_equal(queue_new(&setup, &f.queue), 0);
    queue_start(f.queue);
    for (int i = 0; i < 2000; i++)
        add1(&f, "s@x.test", "u@y.test");
    for (int i = 0; i < 100 && fakespool_live(f.spool); i++) {
        before = f.delivered_calls;
        turns(&f, 1);
        if (f.delivered_calls - before > most)
            most = f.delivered_calls - before;
    }
    assert_int_equal(f.delivered_calls, 2000);
    assert_int_equal(fakespool_live(f.spool), 0);
    assert_in_range(most, 1, 300);
    stop(&f);
}

static void a_status_agrees_with_the_fate_and_an_unknown_cause_means_nothing(void **state)
{
    struct fixture f;
    struct postern_outcome o = { .size = sizeof o,
                                 .fate = POSTERN_FAILED,
                                 .status = { 4, 7, 1 },
                                 .diagnostic = "550 4.7.1 never" };
    struct postern_outcome odd = {
        .size = sizeof odd, .fate = POSTERN_DEFERRED, .cause = 200, .diagnostic = "who knows"
    };

    (void)state;
    start(&f, CONFIG("", ""));
    add1(&f, "s@x.test", "a@y.test");
    add1(&f, "s@x.test", "b@z.test");
    turns(&f, 2);
    assert_int_equal(f.n, 2);
    queue_job_settle(f.jobs[0], 0, &o);
    queue_job_settle(f.jobs[1], 0, &odd);
    f.n = 0;
    turns(&f, 4);
    assert_non_null(strstr(fakespool_newest(f.spool), "Status: 5.7.1"));
    assert_int_equal(waiting(&f, WAIT_BACKOFF), 1);
    assert_int_equal(waiting(&f, WAIT_HOST_DEAD), 0);
    stop(&f);
}

static void status_names_the_largest_destinations(void **state)
{
    struct fixture f;
    char rcpt[32];
    json_t *s, *d;

    (void)state;
    start(&f, CONFIG("\"destination_concurrency\":1", ""));
    for (int i = 0; i < 80; i++) {
        snprintf(rcpt, sizeof rcpt, "u@d%d.test", i);
        add1(&f, "s@x.test", rcpt);
    }
    for (int i = 0; i < 3; i++)
        add1(&f, "s@x.test", "u@d70.test");
    add1(&f, "s@x.test", "u@d20.test");
    turns(&f, 3);
    s = queue_status(f.queue);
    d = json_object_get(s, "destinations");
    assert_int_equal(json_array_size(d), 50);
    assert_string_equal(json_string_value(json_object_get(json_array_get(d, 0), "destination")),
                        "d70.test");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(d, 0), "waiting")), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(d, 1), "destination")),
                        "d20.test");
    json_decref(s);
    stop(&f);
}

/* --- adopted shards --- */

static void tell(struct fixture *f, struct queue_adoption *a, uint64_t id, const char *rcpt)
{
    const char *rcpts[] = { rcpt };
    struct buf meta = { 0 };
    struct envelope *e = envelope_new(&(struct envelope_new){
        .received_usec = clock_wall(), .sender = "s@x.test", .rcpt_n = 1, .rcpts = rcpts });

    envelope_encode(e, &meta);
    free(e);
    queue_adopt(a, id, fakespool_add(f->spool, id, "x"), meta.data, meta.len, NULL, 0, 1);
    buf_free(&meta);
}

static void what_was_told_of_a_shard_is_delivered_while_the_rest_is_told(void **state)
{
    struct fixture f;
    struct queue_adoption *a = NULL;

    (void)state;
    start(&f, CONFIG("", ""));
    add1(&f, "s@x.test", "own@y.test");
    assert_int_equal(queue_adopt_begin(f.queue, f.spool, &a), 0);
    for (uint64_t id = 100; id < 200; id++) {
        char rcpt[32];

        snprintf(rcpt, sizeof rcpt, "u%d@d%d.test", (int)id, (int)id);
        tell(&f, a, id, rcpt);
        if (id % 3 == 0) { /* the last one told may be gone before the next */
            turns(&f, 3);
            settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
            turns(&f, 1);
        }
    }
    queue_adopt_end(&a);
    assert_null(a);
    turns(&f, 3);
    settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&f, 2);
    assert_int_equal(count(&f, "messages"), 0);
    assert_int_equal(count(&f, "delivered"), 101);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static void two_shards_told_in_turn_keep_the_order_of_ids(void **state)
{
    struct fixture f;
    struct queue_adoption *a = NULL, *b = NULL;
    uint64_t next, before = 0;
    json_t *list, *m;
    size_t i;

    (void)state;
    start(&f, CONFIG("", "\"rules\":[{\"domain\":\"*\",\"hold\":\"why\"}],"));
    assert_int_equal(queue_adopt_begin(f.queue, f.spool, &a), 0);
    assert_int_equal(queue_adopt_begin(f.queue, f.spool, &b), 0);
    for (uint64_t id = 100; id < 160; id += 2) {
        tell(&f, a, id, "a@y.test");
        tell(&f, b, 1000 - id, "b@y.test"); /* not even ascending */
        if (id == 120)
            add1(&f, "s@x.test", "own@y.test");
    }
    queue_adopt_end(&b);
    queue_adopt_end(&a);
    list = queue_list(f.queue, &(struct queue_filter){ .all = 1 }, 0, 1000, &next);
    assert_int_equal(json_array_size(list), 61);
    json_array_foreach (list, i, m) {
        uint64_t id;

        assert_int_equal(text_id_parse(json_string_value(json_object_get(m, "id")), &id), 0);
        assert_true(id > before);
        before = id;
    }
    json_decref(list);
    stop(&f);
}

static void a_message_in_two_shards_is_delivered_from_one(void **state)
{
    struct fixture f;
    struct queue_adoption *a = NULL;

    (void)state;
    start(&f, CONFIG("", ""));
    assert_int_equal(queue_adopt_begin(f.queue, f.spool, &a), 0);
    tell(&f, a, 100, "a@y.test");
    tell(&f, a, 100, "a@y.test");
    queue_adopt_end(&a);
    turns(&f, 2);
    assert_int_equal(f.n, 1);
    assert_int_equal(count(&f, "messages"), 1);
    assert_int_equal(fakespool_live(f.spool), 2);
    settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&f, 2);
    assert_int_equal(fakespool_live(f.spool), 1); /* nothing is dropped */
    stop(&f);
}

static void a_marked_message_is_held_as_soon_as_it_is_told(void **state)
{
    struct fixture f;
    struct queue_adoption *a = NULL;

    (void)state;
    start(&f, CONFIG("", ""));
    queue_quarantine(f.queue, 101, "it kills");
    assert_int_equal(queue_adopt_begin(f.queue, f.spool, &a), 0);
    for (uint64_t id = 100; id < 103; id++)
        tell(&f, a, id, "a@y.test");
    turns(&f, 2);
    assert_int_equal(f.n, 2);
    assert_int_equal(waiting(&f, WAIT_HELD), 1);
    queue_adopt_end(&a);
    settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&f, 2);
    assert_int_equal(count(&f, "messages"), 1);
    stop(&f);
}

static void spools_have_a_limit_and_a_place_is_free_again(void **state)
{
    struct fixture f;
    struct queue_adoption *a = NULL;
    struct spool *others[QUEUE_SPOOLS];
    int n = 0;

    (void)state;
    start(&f, CONFIG("", ""));
    for (; n < (int)QUEUE_SPOOLS - 1; n++) {
        others[n] = fakespool_new(f.loop);
        assert_int_equal(queue_adopt_begin(f.queue, others[n], &a), 0);
        queue_adopt_end(&a);
    }
    assert_int_equal(queue_adopt_begin(f.queue, f.spool, &a), -EMFILE);
    queue_spool_forget(f.queue, others[3]);
    assert_int_equal(queue_adopt_begin(f.queue, f.spool, &a), 0);
    queue_adopt_end(&a);
    while (n--)
        fakespool_free(&others[n]);
    stop(&f);
}

/* --- more than a destination takes --- */

#define MANY 3000 /* thrice the window */

struct most {
    size_t jobs, parked;
};

static void look_at(void *ctx, const char *key, void *value)
{
    struct most *most = ctx;
    const struct qdest *d = value;

    (void)key;
    if (d->waiting_n > most->jobs)
        most->jobs = d->waiting_n;
    most->parked += d->parked.n;
}

static struct most most_of(struct fixture *f)
{
    struct most most = { 0, 0 };

    map_each(f->queue->dests, look_at, &most);
    return most;
}

static void add_many(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++) {
        char rcpt[32];

        snprintf(rcpt, sizeof rcpt, "u%d@y.test", i);
        add1(f, "s@x.test", rcpt);
    }
    turns(f, n / 64); /* all were routed */
}

static void a_long_line_for_one_destination_is_no_crowd_of_jobs(void **state)
{
    struct fixture f;
    unsigned char seen[MANY] = { 0 };

    (void)state;
    start(&f, CONFIG("\"destination_concurrency\":50,\"concurrency\":100", ""));
    add_many(&f, MANY);
    assert_int_equal(f.n, 50);
    assert_int_equal(most_of(&f).jobs, QUEUE_WINDOW);
    assert_int_equal(most_of(&f).parked, MANY - 50 - QUEUE_WINDOW);
    assert_int_equal(waiting(&f, WAIT_LIMIT), MANY - 50);
    for (int i = 0; i < 2 * MANY / 50 && f.n; i++) {
        for (size_t k = 0; k < f.n; k++)
            seen[atoi(queue_job_rcpt(f.jobs[k], 0) + 1)]++;
        settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
        turns(&f, 12);
        assert_true(most_of(&f).jobs <= QUEUE_WINDOW);
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(count(&f, "messages"), 0);
    assert_int_equal(fakespool_live(f.spool), 0);
    assert_int_equal(map_count(f.queue->dests), 0);
    stop(&f);
}

static void a_destination_that_dies_sends_its_whole_line_back(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, CONFIG("\"destination_concurrency\":1,\"dead_min\":\"1h\",\"dead_max\":\"1h\"", ""));
    add_many(&f, MANY);
    settle_all(&f, POSTERN_DEFERRED, POSTERN_CAUSE_DESTINATION, "refused");
    turns(&f, MANY / 64);
    assert_int_equal(most_of(&f).parked, 0);
    assert_int_equal(most_of(&f).jobs, 0);
    assert_int_equal(waiting(&f, WAIT_LIMIT), 0);
    assert_int_equal(waiting(&f, WAIT_HOST_DEAD) + waiting(&f, WAIT_BACKOFF), MANY);
    assert_int_equal(f.n, 0);
    /* And comes again when an operator knows better: one to probe, then all. */
    assert_int_equal(act(&f, &(struct queue_filter){ .all = 1 }, QUEUE_RETRY, NULL), MANY);
    turns(&f, MANY / 64);
    assert_int_equal(f.n, 1);
    for (int i = 0; i < MANY && f.n; i++) {
        settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
        turns(&f, 2);
    }
    assert_int_equal(count(&f, "messages"), 0);
    stop(&f);
}

static void a_message_in_line_can_be_held_removed_and_in_two_lines(void **state)
{
    static const char *const two[] = { "last@y.test", "last@z.test", "last@q.test" };
    struct fixture f;
    unsigned sent_two = 0;

    (void)state;
    start(&f,
          CONFIG("\"destination_concurrency\":10",
                 "\"rules\":[{\"domain\":\"q.test\",\"fail\":\"why\"}],"));
    add_many(&f, 1200);
    for (int i = 0; i < 1200; i++)
        add1(&f, "s@x.test", "any@z.test");
    add(&f, "s@x.test", 3, two); /* one fails at once: reported when the others are over */
    turns(&f, 40);
    assert_int_equal(
        act(&f, &(struct queue_filter){ .recipient = "u1150@y.test" }, QUEUE_REMOVE, NULL), 1);
    assert_int_equal(
        act(&f, &(struct queue_filter){ .recipient = "u1160@y.test" }, QUEUE_HOLD, NULL), 1);
    assert_int_equal(
        act(&f, &(struct queue_filter){ .recipient = "u1170@y.test" }, QUEUE_HOLD, NULL), 1);
    assert_int_equal(
        act(&f, &(struct queue_filter){ .recipient = "u1170@y.test" }, QUEUE_RELEASE, NULL), 1);
    assert_int_equal(count(&f, "bounced"), 0);
    for (int i = 0; i < 400 && f.n; i++) {
        for (size_t k = 0; k < f.n; k++) {
            const char *rcpt = queue_job_rcpt(f.jobs[k], 0);

            assert_string_not_equal(rcpt, "u1150@y.test");
            assert_string_not_equal(rcpt, "u1160@y.test");
            sent_two += !strncmp(rcpt, "last@", 5);
        }
        settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
        turns(&f, 12);
    }
    assert_int_equal(sent_two, 2);
    assert_int_equal(count(&f, "bounced"), 1);
    assert_int_equal(count(&f, "messages"), 1); /* that is on hold */
    assert_int_equal(act(&f, &(struct queue_filter){ .all = 1 }, QUEUE_RELEASE, NULL), 1);
    turns(&f, 3);
    assert_int_equal(f.n, 1);
    settle_all(&f, POSTERN_DELIVERED, 0, "250 ok");
    turns(&f, 3);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static void an_action_on_very_many_is_done_in_parts(void **state)
{
    struct queue_filter all = { .all = 1 }, some = { .recipient = "u1*@y.test" };
    struct fixture f;
    uint64_t from = 0;
    size_t n = 0, parts = 0;

    (void)state;
    start(&f, CONFIG("", "\"rules\":[{\"domain\":\"*\",\"hold\":\"why\"}],"));
    add_many(&f, 12000);
    do { /* the one to go on with may have gone meanwhile */
        n += queue_act(f.queue, &all, QUEUE_RELEASE, NULL, "test", from, &from);
        parts++;
        if (parts == 1) {
            char id[16];

            assert_int_not_equal(from, 0);
            text_id(from, id, sizeof id);
            assert_int_equal(act(&f, &(struct queue_filter){ .id = id }, QUEUE_REMOVE, NULL), 1);
        }
    } while (from);
    assert_int_equal(parts, 3);
    assert_int_equal(n, 11999);
    n = act(&f, &some, QUEUE_REMOVE, NULL);
    assert_in_range(n, 3110, 3111);
    turns(&f, 200);
    assert_int_equal(count(&f, "messages"), 11999 - n);
    stop(&f);
}

/* --- messages to many --- */

static struct qmsg *the_message(struct fixture *f)
{
    assert_false(list_empty(&f->queue->messages));
    return CONTAINER(f->queue->messages.next, struct qmsg, link);
}

static void add_to_many(struct fixture *f, size_t n, uint32_t flags)
{
    struct buf packed = { 0 };
    uint64_t id = f->next_id++;

    for (size_t i = 0; i < n; i++) {
        buf_printf(&packed, "user%zu@many.test", i);
        buf_addc(&packed, 0);
    }
    queue_add(f->queue, id, fakespool_add(f->spool, id, "Subject: x\r\n\r\n"),
              envelope_new(&(struct envelope_new){ .received_usec = clock_wall(),
                                                   .sender = "owner-staff@l.test",
                                                   .flags = flags,
                                                   .rcpt_n = n,
                                                   .packed = packed.data,
                                                   .packed_len = packed.len }));
    buf_free(&packed);
}

/* Delivers all that comes; each job's reply is its own. How many jobs there were at most. */
static uint32_t serve_all(struct fixture *f, size_t n)
{
    uint32_t most = 0;
    char text[64];
    int idle = 0;

    while (idle < 50 && count(f, "delivered") < (json_int_t)n) {
        uint32_t jobs = fakespool_live(f->spool) ? the_message(f)->jobs : 0;

        most = jobs > most ? jobs : most;
        snprintf(text, sizeof text, "250 queued as %zu", f->delivered_calls);
        idle = f->n ? 0 : idle + 1;
        settle_all(f, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, text);
        usleep(f->n ? 0 : 1000);
        turns(f, 1);
    }
    turns(f, 3);
    return most;
}

static void a_message_to_many_has_few_jobs_at_a_time(void **state)
{
    enum { RCPTS = 80000 };
    struct fixture f;
    (void)state;

    start(&f, CONFIG("", ""));
    add_to_many(&f, RCPTS, 0);
    for (int i = 0; i < 5000 && the_message(&f)->jobs < QUEUE_BULK_JOBS; i++) {
        usleep(1000); /* a stretch of it a turn */
        turns(&f, 1);
    }
    turns(&f, 5);
    assert_int_equal(the_message(&f)->jobs, QUEUE_BULK_JOBS);
    assert_true(serve_all(&f, RCPTS) <= QUEUE_BULK_JOBS);
    assert_int_equal(count(&f, "delivered"), RCPTS);
    /* A stretch may end with a job that is not full. */
    assert_in_range(f.delivered_calls, RCPTS / QUEUE_JOB_RCPTS, RCPTS / QUEUE_JOB_RCPTS + 5);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static void each_of_many_has_his_own_job_and_sender_when_asked_for(void **state)
{
    enum { RCPTS = 3000 };
    struct fixture f;
    (void)state;

    start(&f, CONFIG("", ""));
    add_to_many(&f, RCPTS, POSTERN_MAIL_VERP);
    turns(&f, 3);
    assert_int_equal(queue_job_rcpts(f.jobs[0]), 1);
    assert_string_equal(queue_job_rcpt(f.jobs[1], 0), "user1@many.test");
    assert_string_equal(queue_job_sender(f.jobs[1]), "owner-staff+user1=many.test@l.test");
    assert_true(serve_all(&f, RCPTS) <= QUEUE_BULK_JOBS);
    assert_int_equal(f.delivered_calls, RCPTS);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

static void the_state_of_a_message_to_many_stays_small(void **state)
{
    enum { RCPTS = 20000 };
    struct fixture f;
    (void)state;

    start(&f, CONFIG("", ""));
    add_to_many(&f, RCPTS, 0);
    turns(&f, 3);
    for (int i = 0; i < 5000 && count(&f, "delivered") <= RCPTS / 2; i++) {
        char text[64];

        usleep(1000);

        snprintf(text, sizeof text, "250 queued as %d", i);
        settle_all(&f, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, text);
        turns(&f, 2);
    }
    assert_in_range(count(&f, "delivered"), RCPTS / 2, RCPTS - 1);
    queue_stop(f.queue); /* what was put off is written now */
    assert_true(fakespool_state(fakespool_first(f.spool))->len > 0);
    assert_true(fakespool_state(fakespool_first(f.spool))->len < 16384);
    stop(&f);
}

static void who_is_refused_together_tries_again_together(void **state)
{
    static const char *const rcpts[] = { "a@many.test", "b@many.test", "c@many.test" };
    struct fixture f;
    const struct qmsg *m;
    (void)state;

    start(&f, CONFIG("\"retry\":[\"1h\"]", ""));
    add(&f, "s@x", 3, rcpts);
    turns(&f, 3);
    settle_all(&f, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, "450 later");
    turns(&f, 2);
    m = the_message(&f);
    assert_true(m->rcpts[0].next_try > 0);
    assert_true(m->rcpts[1].next_try == m->rcpts[0].next_try);
    assert_true(m->rcpts[2].next_try == m->rcpts[0].next_try);
    stop(&f);
}

static void what_a_transport_holds_waits_for_an_operator(void **state)
{
    struct queue_filter all = { .all = 1 };
    struct fixture f;
    (void)state;

    start(&f, CONFIG("", ""));
    add1(&f, "s@x", "list@many.test");
    turns(&f, 3);
    assert_int_equal(queue_job_released(f.jobs[0], 0), 0);
    settle_all(&f, POSTERN_DEFERRED, POSTERN_CAUSE_HELD, "moderated");
    turns(&f, 2);
    assert_int_equal(waiting(&f, WAIT_HELD), 1);
    assert_int_equal(f.n, 0);
    assert_int_equal(act(&f, &all, QUEUE_RELEASE, NULL), 1);
    turns(&f, 3);
    assert_int_equal(f.n, 1); /* the destination is not taken for dead */
    assert_int_equal(queue_job_released(f.jobs[0], 0), 1);
    settle_all(&f, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, "ok");
    turns(&f, 2);
    assert_int_equal(fakespool_live(f.spool), 0);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_to_many_has_few_jobs_at_a_time),
        cmocka_unit_test(each_of_many_has_his_own_job_and_sender_when_asked_for),
        cmocka_unit_test(the_state_of_a_message_to_many_stays_small),
        cmocka_unit_test(who_is_refused_together_tries_again_together),
        cmocka_unit_test(what_a_transport_holds_waits_for_an_operator),
        cmocka_unit_test(a_delivered_message_leaves_the_spool),
        cmocka_unit_test(recipients_with_one_next_hop_travel_together_others_apart),
        cmocka_unit_test(more_recipients_than_a_server_must_take_become_several_jobs),
        cmocka_unit_test(only_the_recipient_that_was_deferred_is_tried_again),
        cmocka_unit_test(a_failure_is_reported_to_the_sender_with_the_servers_words),
        cmocka_unit_test(an_undeliverable_bounce_goes_to_the_postmaster_and_then_on_hold),
        cmocka_unit_test(a_notice_that_comes_back_makes_no_other_notice),
        cmocka_unit_test(a_failure_whose_bounce_cannot_be_written_is_kept),
        cmocka_unit_test(an_operator_who_has_made_room_has_the_reports_written_at_once),
        cmocka_unit_test(a_report_that_cannot_be_written_delays_no_other_recipient),
        cmocka_unit_test(a_message_that_waited_too_long_is_returned),
        cmocka_unit_test(a_dead_destination_is_probed_by_one_and_holds_up_nobody),
        cmocka_unit_test(destinations_take_turns),
        cmocka_unit_test(a_second_settlement_is_ignored_and_a_missing_transport_waits),
        cmocka_unit_test(a_job_that_is_never_settled_is_taken_back_at_its_deadline),
        cmocka_unit_test(rules_can_hold_discard_and_fail),
        cmocka_unit_test(operators_hold_release_retry_and_remove),
        cmocka_unit_test(what_was_known_survives_a_restart),
        cmocka_unit_test(a_rules_temporary_failure_means_not_now),
        cmocka_unit_test(a_message_expires_also_when_its_destination_was_dead_all_the_time),
        cmocka_unit_test(a_message_may_be_removed_while_its_job_waits_for_its_turn),
        cmocka_unit_test(a_removed_message_goes_too_when_its_destination_dies),
        cmocka_unit_test(a_recipient_held_while_its_job_waits_is_not_sent_until_released),
        cmocka_unit_test(failures_in_two_jobs_are_reported_in_one_notification),
        cmocka_unit_test(the_original_is_returned_also_from_disk),
        cmocka_unit_test(a_sender_is_told_even_when_the_original_cannot_be_read),
        cmocka_unit_test(a_notification_under_way_at_the_end_is_let_go_of),
        cmocka_unit_test(what_a_stop_takes_back_is_due_at_once_and_was_no_try),
        cmocka_unit_test(a_message_whose_outcomes_are_all_known_leaves_after_a_restart),
        cmocka_unit_test(what_is_settled_is_written_before_the_last_one_is),
        cmocka_unit_test(who_is_settled_early_may_be_tried_again_beside_the_job),
        cmocka_unit_test(no_bytes_of_a_state_do_harm),
        cmocka_unit_test(a_transport_that_settles_at_once_leaves_the_loop_to_others),
        cmocka_unit_test(a_status_agrees_with_the_fate_and_an_unknown_cause_means_nothing),
        cmocka_unit_test(status_names_the_largest_destinations),
        cmocka_unit_test(what_was_told_of_a_shard_is_delivered_while_the_rest_is_told),
        cmocka_unit_test(two_shards_told_in_turn_keep_the_order_of_ids),
        cmocka_unit_test(a_message_in_two_shards_is_delivered_from_one),
        cmocka_unit_test(a_marked_message_is_held_as_soon_as_it_is_told),
        cmocka_unit_test(spools_have_a_limit_and_a_place_is_free_again),
        cmocka_unit_test(a_long_line_for_one_destination_is_no_crowd_of_jobs),
        cmocka_unit_test(a_destination_that_dies_sends_its_whole_line_back),
        cmocka_unit_test(a_message_in_line_can_be_held_removed_and_in_two_lines),
        cmocka_unit_test(an_action_on_very_many_is_done_in_parts),
    };

    /* The queue's own lines are for operators; here only the unexpected is of interest. */
    log_open(&(struct log_config){ .level = POSTERN_LOG_ERROR });
    return cmocka_run_group_tests(tests, NULL, NULL);
}
