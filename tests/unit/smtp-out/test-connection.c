/* A connection's life: reuse, TLS, time limits, cancel, drain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

static void deliver_well(struct world *w)
{
    postern_job *job = world_deliver(w, 1);

    world_run(w);
    expect_fate(job, 0, "delivered 2.0.0", -1, NULL);
}

/* --- reuse --- */

static void a_connection_serves_the_next_message_at_once(void **state)
{
    struct world *w = world_new(NULL);
    (void)state;

    for (int i = 0; i < 5; i++)
        deliver_well(w);
    assert_int_equal(w->n, 1);
    assert_int_equal(w->servers[0].messages, 5);
    assert_null(strstr(w->servers[0].said, "RSET"));

    fakehost_output_clear(
        w->servers[0].stream); /* no look-up, no wait: MAIL is the next thing out */
    world_deliver(w, 1);
    fakehost_turn(w->h);
    assert_memory_equal(fakehost_output(w->servers[0].stream, NULL), "MAIL FROM:<from@", 16);
    w->servers[0].seen = 0;
    world_run(w);
    world_free(&w);
}

static void jobs_at_the_same_time_have_connections_of_their_own(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *a = world_deliver(w, 1), *b = world_deliver(w, 1);
    (void)state;

    world_run(w);
    expect_fate(a, 0, "delivered 2.0.0", -1, NULL);
    expect_fate(b, 0, "delivered 2.0.0", -1, NULL);
    assert_int_equal(w->n, 2);
    deliver_well(w);
    assert_int_equal(w->n, 2);
    world_free(&w);
}

static void a_connection_is_only_for_its_own_next_hop(void **state)
{
    static const char *const hops[] = { "dest.example", NULL };
    static const char *const more[] = { "dest.example", "192.0.2.7", NULL };
    struct fakehost_job named = { .destination = "dest.example", .next_hops = hops };
    struct fakehost_job two = { .destination = "dest.example", .next_hops = more };
    struct world *w = world_new(NULL);
    (void)state;

    fakehost_mx(w->h, "other.example", 0, "10 mx.example");
    deliver_well(w);
    world_deliver_to(w, 1, "other.example");
    world_run(w);
    assert_int_equal(w->n, 2);
    world_deliver_job(w, &named, 1);
    world_run(w);
    assert_int_equal(w->n, 3);
    world_deliver_job(w, &two, 1);
    world_run(w);
    assert_int_equal(w->n, 4);
    named.destination = "another.example"; /* the route says where to, not the domain */
    world_deliver_job(w, &named, 1);
    world_run(w);
    assert_int_equal(w->n, 4);
    assert_int_equal(w->servers[2].messages, 2);
    world_free(&w);
}

static void an_idle_connection_ends_politely_after_a_while(void **state)
{
    struct world *w = world_new(NULL);
    (void)state;

    deliver_well(w);
    world_wait(w, 9);
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_STANDS);
    world_wait(w, 2);
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_CLOSED);
    assert_non_null(strstr(w->servers[0].said, ".\nQUIT\n"));
    deliver_well(w);
    assert_int_equal(w->n, 2);
    world_free(&w);
}

static void limits_of_reuse_are_kept(void **state)
{
    static const char *const three[] = { "max_messages", "3", NULL };
    static const char *const none[] = { "idle_timeout", "0s", NULL };
    static const char *const no_pool[] = { "max_idle", "0", NULL };
    static const char *const one[] = { "max_idle", "1", NULL };
    struct world *w;
    (void)state;

    w = world_new(three);
    for (int i = 0; i < 7; i++)
        deliver_well(w);
    assert_int_equal(w->n, 3);
    assert_int_equal(w->servers[0].messages, 3);
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_CLOSED);
    world_free(&w);

    w = world_new(none);
    deliver_well(w);
    deliver_well(w);
    assert_int_equal(w->n, 2);
    world_free(&w);

    w = world_new(no_pool);
    deliver_well(w);
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_CLOSED);
    world_free(&w);

    w = world_new(one); /* the older one has to go */
    fakehost_mx(w->h, "other.example", 0, "10 mx.example");
    deliver_well(w);
    world_deliver_to(w, 1, "other.example");
    world_run(w);
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_CLOSED);
    assert_int_equal(fakehost_ended(w->servers[1].stream), FAKEHOST_STANDS);
    world_free(&w);
}

static void an_idle_connection_that_speaks_or_ends_is_dropped(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct world *w = world_new(NULL);
        (void)state;

        deliver_well(w);
        if (how == 0)
            fakehost_feeds(w->servers[0].stream, "421 4.4.2 timeout\r\n");
        else if (how == 1)
            fakehost_feed_eof(w->servers[0].stream);
        else
            fakehost_feed_error(w->servers[0].stream, -ECONNRESET);
        fakehost_run(w->h);
        assert_int_not_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_STANDS);
        deliver_well(w);
        assert_int_equal(w->n, 2);
        world_free(&w);
    }
}

/* The server had closed, and that is seen only when MAIL is out: nothing to tell anybody. */
static void a_dead_reused_connection_costs_nothing(void **state)
{
    static const char *const ends[] = { "EOF", "RST", "421 4.4.2 idle too long|EOF", "421 bye" };
    (void)state;

    for (size_t i = 0; i < 2 * sizeof ends / sizeof *ends; i++) {
        struct world *w = world_new(NULL);
        const char *ehlo = i % 2 ? ehlo_full : ehlo_plain;

        w->scripts[0].ehlo = ehlo;
        deliver_well(w);
        w->scripts[0].mail = ends[i / 2];
        deliver_well(w);
        assert_int_equal(w->n, 2);
        assert_int_equal(fakehost_logged(w->h, "unusable"), 0);
        world_free(&w);
    }
}

static void a_dead_reused_connection_does_not_hide_a_dead_server(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job;
    (void)state;

    deliver_well(w);
    w->scripts[0].mail = "RST";
    fakehost_fail(w->h, FAKEHOST_CONNECTED, 0, -ECONNREFUSED);
    job = world_deliver(w, 1);
    world_run(w);
    expect_fate(job, 0, "deferred 4.4.1", POSTERN_CAUSE_DESTINATION, "connecting to mx.example");
    world_free(&w);
}

static void rset_comes_after_failures_only(void **state)
{
    static const struct {
        struct script script;
        int open; /* the transaction was left open, or nobody can be sure */
    } cases[] = {
        { { .mail = "550 no" }, 1 },        { { .rcpt[0] = "550 no" }, 1 },
        { { .data = "550 no" }, 1 },        { { .final = "550 no" }, 1 },
        { { .final = "250 2.0.0 ok" }, 0 },
    };
    (void)state;

    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct world *w = world_new(NULL);
        const char *ehlo = i % 2 ? ehlo_full : ehlo_plain;

        w->scripts[0] = cases[i / 2].script;
        w->scripts[0].ehlo = ehlo;
        world_deliver(w, 1);
        world_run(w);
        w->scripts[0] = (struct script){ .ehlo = ehlo };
        deliver_well(w);
        deliver_well(w);
        assert_int_equal(w->n, 1);
        assert_int_equal(strstr(w->servers[0].said, "\nRSET\nMAIL") != NULL, cases[i / 2].open);
        world_free(&w);
    }
}

static void a_server_that_refuses_rset_is_left(void **state)
{
    struct world *w = world_new(NULL);
    (void)state;

    w->scripts[0].mail = "550 no";
    w->scripts[0].rset = "500 what";
    world_deliver(w, 1);
    world_run(w);
    deliver_well(w);
    assert_int_equal(w->n, 2);
    world_free(&w);
}

/* --- HELO, TLS --- */

static void helo_follows_a_server_that_knows_no_ehlo(void **state)
{
    struct world *w = world_new(NULL);
    (void)state;

    w->scripts[0].ehlo = "500 5.5.1 what";
    deliver_well(w);
    assert_non_null(strstr(w->servers[0].said, "EHLO gw.example\nHELO gw.example\nMAIL"));
    world_free(&w);
}

static void the_helo_name_can_be_set(void **state)
{
    static const char *const options[] = { "helo_name", "mail.gw.example", NULL };
    struct world *w = world_new(options);
    (void)state;

    deliver_well(w);
    assert_memory_equal(w->servers[0].said, "EHLO mail.gw.example\n", 21);
    world_free(&w);
}

static void tls_is_used_where_it_is_offered(void **state)
{
    struct world *w = world_new(NULL);
    (void)state;

    w->scripts[0].ehlo = ehlo_tls;
    w->scripts[0].ehlo_tls = ehlo_full;
    deliver_well(w);
    assert_true(fakehost_secure(w->servers[0].stream));
    assert_string_equal(fakehost_tls_name(w->servers[0].stream), "mx.example");
    /* SIZE comes from the second EHLO. */
    assert_non_null(strstr(w->servers[0].said,
                           "EHLO gw.example\nSTARTTLS\nEHLO gw.example\nMAIL FROM:<from@gw.example>"
                           " SIZE=26\n"));
    world_free(&w);
}

static void what_was_offered_in_the_clear_is_forgotten(void **state)
{
    struct world *w = world_new(NULL);
    (void)state;

    w->scripts[0].ehlo = "250-mx.example\r\n250-SIZE 5\r\n250 STARTTLS";
    w->scripts[0].ehlo_tls = ehlo_plain;
    deliver_well(w);
    assert_non_null(strstr(w->servers[0].said, "MAIL FROM:<from@gw.example>\n"));
    world_free(&w);
}

static void tls_never_means_never(void **state)
{
    static const char *const options[] = { "tls", "never", NULL };
    struct world *w = world_new(options);
    (void)state;

    w->scripts[0].ehlo = ehlo_tls;
    deliver_well(w);
    assert_null(strstr(w->servers[0].said, "STARTTLS"));
    world_free(&w);
}

static void a_refused_starttls_leaves_the_clear(void **state)
{
    struct world *w = world_new(NULL);
    (void)state;

    w->scripts[0].ehlo = ehlo_tls;
    w->scripts[0].starttls = "454 4.7.0 not now";
    deliver_well(w);
    assert_int_equal(w->n, 1);
    assert_false(fakehost_secure(w->servers[0].stream));
    world_free(&w);
}

static void a_failed_handshake_is_followed_by_the_clear_and_remembered(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job;
    (void)state;

    for (size_t i = 0; i < 4; i++)
        w->scripts[i].ehlo = ehlo_tls;
    fakehost_fail(w->h, FAKEHOST_HANDSHAKE, 0, -EPROTO);
    deliver_well(w);
    assert_int_equal(w->n, 2);
    assert_int_equal(fakehost_logged(w->h, "smtp.tls_failed"), 1);
    assert_null(strstr(w->servers[1].said, "STARTTLS"));

    world_wait(w, 60); /* a later connection does not try again */
    deliver_well(w);
    assert_int_equal(w->n, 3);
    assert_null(strstr(w->servers[2].said, "STARTTLS"));

    world_wait(w, 40 * 60); /* one much later does */
    fakehost_fail(w->h, FAKEHOST_HANDSHAKE, 0, -EPROTO);
    w->scripts[4].greeting = "554 no";
    job = world_deliver(w, 1);
    world_run(w);
    assert_non_null(strstr(w->servers[3].said, "STARTTLS"));
    expect_fate(job, 0, "deferred 4.3.2", POSTERN_CAUSE_DESTINATION,
                "before that TLS failed: broken");
    world_free(&w);
}

static void bytes_behind_the_reply_to_starttls_are_an_attack(void **state)
{
    static const char *const require[] = { "tls", "require", NULL };
    struct world *w = world_new(require);
    postern_job *job;
    (void)state;

    w->scripts[0].ehlo = ehlo_tls;
    w->scripts[0].starttls = "220 go ahead\r\n250-injected\r\n250 SIZE 1\r\n";
    job = world_deliver(w, 1);
    world_run(w);
    expect_fate(job, 0, "deferred 4.7.5", POSTERN_CAUSE_DESTINATION, "more input");
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_ABORTED);
    world_free(&w);
}

static void required_tls_is_required(void **state)
{
    static const char *const require[] = { "tls", "require", NULL };
    static const struct {
        const char *ehlo, *starttls;
        int handshake, timeout;
        const char *fate, *text;
    } cases[] = {
        { ehlo_full, NULL, 0, 0, "deferred 4.7.4", "does not offer STARTTLS" },
        { "502 what", NULL, 0, 0, "deferred 4.7.4", "does not offer STARTTLS" },
        { ehlo_tls, "454 4.7.0 not now", 0, 0, "deferred 4.7.4", "not now" },
        { ehlo_tls, NULL, -EPROTO, 0, "deferred 4.7.5", "negotiating TLS" },
        { ehlo_tls, NULL, 0, 1, "deferred 4.7.5", "timed out" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world *w = world_new(require);
        postern_job *job;

        w->scripts[0].ehlo = cases[i].ehlo;
        w->scripts[0].starttls = cases[i].starttls;
        if (cases[i].handshake)
            fakehost_fail(w->h, FAKEHOST_HANDSHAKE, 0, cases[i].handshake);
        fakehost_hold(w->h, FAKEHOST_HANDSHAKE, cases[i].timeout);
        job = world_deliver(w, 1);
        world_run(w);
        if (cases[i].timeout)
            world_wait(w, 61);
        expect_fate(job, 0, cases[i].fate, POSTERN_CAUSE_DESTINATION, cases[i].text);
        assert_int_equal(w->n, 1);
        assert_null(strstr(w->servers[0].said, "MAIL"));
        world_free(&w);
    }
}

static void options_that_contradict_each_other_are_refused(void **state)
{
    static const char *const cases[][4] = {
        { "tls_verify", "true", NULL, NULL },
        { "tls_verify", "true", "tls", "never" },
        { "ca_file", "/ca.pem", NULL, NULL },
        { "tls_key", "/key.pem", NULL, NULL },
        { "tls_certificate", "/cert.pem", "tls", "never" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fakehost *h = fakehost_new();

        fakehost_set(h, cases[i][0], cases[i][1]);
        if (cases[i][2])
            fakehost_set(h, cases[i][2], cases[i][3]);
        assert_int_equal(fakehost_open(h, &smtp_out_LTX_postern_plugin), -EINVAL);
        assert_non_null(strstr(fakehost_why(h), cases[i][0]));
        fakehost_close(&h);
    }
}

static void certificates_that_cannot_be_loaded_keep_it_from_opening(void **state)
{
    struct fakehost *h = fakehost_new();
    (void)state;

    fakehost_fail(h, FAKEHOST_TLS_NEW, 0, -EINVAL);
    assert_int_equal(fakehost_open(h, &smtp_out_LTX_postern_plugin), -EINVAL);
    fakehost_close(&h);
}

/* --- silence, and being told to stop --- */

static const struct {
    struct script script;
    uint64_t seconds; /* default time limit */
    const char *fate, *words;
    int twice;
} silences[] = {
    /* clang-format off */
    { { .greeting = "" },                       300, "deferred 4.4.2", "the greeting of mx", 0 },
    { { .ehlo = "" },                           300, "deferred 4.4.2", "reply to EHLO from", 0 },
    { { .ehlo = "500 what", .helo = "" },       300, "deferred 4.4.2", "reply to HELO from", 0 },
    { { .mail = "", .rcpt[0] = "", .data = "" }, 300, "deferred 4.4.2", "reply to MAIL from", 0 },
    { { .rcpt[0] = "", .data = "" },            300, "deferred 4.4.2", "reply to RCPT from", 0 },
    { { .data = "" },                           120, "deferred 4.4.2", "reply to DATA from", 0 },
    { { .final = "" },                          600, "deferred 4.4.2", "the end of data from", 1 },
    /* clang-format on */
};

static void silence_is_borne_for_the_time_of_each_step(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof silences / sizeof *silences; i++) {
        struct world *w = world_new(NULL);
        postern_job *job;

        w->scripts[0] = silences[i].script;
        job = world_deliver(w, 1);
        world_wait(w, silences[i].seconds - 1);
        assert_int_equal(fakehost_unsettled(job), 1);
        world_wait(w, 2);
        expect_fate(job, 0, silences[i].fate, -1, silences[i].words);
        expect_fate(job, 0, silences[i].fate, -1, "timed out");
        assert_int_equal(strstr(fakehost_outcome(job, 0)->diagnostic, "twice") != NULL,
                         silences[i].twice);
        world_free(&w);
    }
}

static void cancel_names_the_step(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof silences / sizeof *silences; i++) {
        struct world *w = world_new(NULL);
        postern_job *job;

        w->scripts[0] = silences[i].script;
        job = world_deliver(w, 1);
        world_run(w);
        fakehost_cancel(w->h, job);
        expect_fate(job, 0, "deferred 4.4.0", -1, silences[i].words);
        expect_fate(job, 0, "deferred 4.4.0", -1, "delivery took too long");
        assert_string_equal(fakehost_outcome(job, 0)->remote, "mx.example [192.0.2.1]:25");
        assert_int_equal(strstr(fakehost_outcome(job, 0)->diagnostic, "twice") != NULL,
                         silences[i].twice);
        assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_ABORTED);
        world_run(w);
        world_free(&w);
    }
}

static void cancel_during_look_ups_and_connecting(void **state)
{
    static const struct {
        enum fakehost_call held;
        const char *text;
        int cause;
    } cases[] = {
        { FAKEHOST_RESOLVE_MX, "looking up dest.example", POSTERN_CAUSE_DNS },
        { FAKEHOST_RESOLVE_HOST, "looking up mx.example", POSTERN_CAUSE_DNS },
        { FAKEHOST_CONNECTED, "connecting to mx.example [192.0.2.1]:25",
          POSTERN_CAUSE_DESTINATION },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world *w = world_new(NULL);
        postern_job *job;

        fakehost_hold(w->h, cases[i].held, 1);
        job = world_deliver(w, 2);
        fakehost_run(w->h);
        fakehost_cancel(w->h, job);
        expect_fate(job, 0, "deferred 4.4.0", cases[i].cause, cases[i].text);
        expect_fate(job, 1, "deferred 4.4.0", cases[i].cause, cases[i].text);
        fakehost_hold(w->h, cases[i].held, 0);
        fakehost_run(w->h);
        world_free(&w);
    }
}

static void connecting_has_its_own_time_limit(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job;
    (void)state;

    fakehost_hold(w->h, FAKEHOST_CONNECTED, 1);
    job = world_deliver(w, 1);
    fakehost_advance(w->h, (uint64_t)29 * 1000000);
    assert_int_equal(fakehost_unsettled(job), 1);
    fakehost_advance(w->h, (uint64_t)2 * 1000000);
    expect_fate(job, 0, "deferred 4.4.1", POSTERN_CAUSE_DESTINATION, "connecting to");
    world_free(&w);
}

static void draining_closes_what_is_idle_and_keeps_nothing(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job;
    (void)state;

    fakehost_mx(w->h, "other.example", 0, "10 mx.example");
    deliver_well(w);
    w->scripts[1].final = "";
    job = world_deliver_to(w, 1, "other.example");
    world_run(w);
    fakehost_drain(w->h);
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_CLOSED);
    assert_int_equal(fakehost_ended(w->servers[1].stream), FAKEHOST_STANDS);
    fakehost_feeds(w->servers[1].stream, "250 ok\r\n");
    fakehost_run(w->h);
    expect_fate(job, 0, "delivered 2.0.0", -1, NULL);
    assert_int_equal(fakehost_ended(w->servers[1].stream), FAKEHOST_CLOSED);
    world_free(&w);
}

/* All recipients are settled, but the replies that are due keep the session busy; then the end. */
static void closing_while_replies_are_due_leaves_nothing(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job;
    (void)state;

    w->scripts[0].mail = "550 no";
    w->scripts[0].rcpt[0] = "";
    w->scripts[0].data = "";
    job = world_deliver(w, 1);
    world_run(w);
    expect_fate(job, 0, "failed 5.7.1", -1, NULL);
    assert_int_equal(fakehost_ended(w->servers[0].stream), FAKEHOST_STANDS);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_serves_the_next_message_at_once),
        cmocka_unit_test(jobs_at_the_same_time_have_connections_of_their_own),
        cmocka_unit_test(a_connection_is_only_for_its_own_next_hop),
        cmocka_unit_test(an_idle_connection_ends_politely_after_a_while),
        cmocka_unit_test(limits_of_reuse_are_kept),
        cmocka_unit_test(an_idle_connection_that_speaks_or_ends_is_dropped),
        cmocka_unit_test(a_dead_reused_connection_costs_nothing),
        cmocka_unit_test(a_dead_reused_connection_does_not_hide_a_dead_server),
        cmocka_unit_test(rset_comes_after_failures_only),
        cmocka_unit_test(a_server_that_refuses_rset_is_left),
        cmocka_unit_test(helo_follows_a_server_that_knows_no_ehlo),
        cmocka_unit_test(the_helo_name_can_be_set),
        cmocka_unit_test(tls_is_used_where_it_is_offered),
        cmocka_unit_test(what_was_offered_in_the_clear_is_forgotten),
        cmocka_unit_test(tls_never_means_never),
        cmocka_unit_test(a_refused_starttls_leaves_the_clear),
        cmocka_unit_test(a_failed_handshake_is_followed_by_the_clear_and_remembered),
        cmocka_unit_test(bytes_behind_the_reply_to_starttls_are_an_attack),
        cmocka_unit_test(required_tls_is_required),
        cmocka_unit_test(options_that_contradict_each_other_are_refused),
        cmocka_unit_test(certificates_that_cannot_be_loaded_keep_it_from_opening),
        cmocka_unit_test(silence_is_borne_for_the_time_of_each_step),
        cmocka_unit_test(cancel_names_the_step),
        cmocka_unit_test(cancel_during_look_ups_and_connecting),
        cmocka_unit_test(connecting_has_its_own_time_limit),
        cmocka_unit_test(draining_closes_what_is_idle_and_keeps_nothing),
        cmocka_unit_test(closing_while_replies_are_due_leaves_nothing),
    };

    return cmocka_run_group_tests_name("smtp-out connection", tests, NULL, NULL);
}
