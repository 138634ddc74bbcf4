/* Where a job goes: next hops, exchangers, addresses, and what is said when none will do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

static void expect_connection(struct world *w, size_t i, const char *address, unsigned port)
{
    const char *got = "nowhere";
    uint16_t got_port = 0;

    if (!fakehost_connected(w->h, i, &got, &got_port))
        fail_msg("there was no connection %zu", i);
    assert_string_equal(got, address);
    assert_int_equal(got_port, port);
}

/* What names alone can decide, for a recipient's own domain and for a next hop of the
 * operator's. */
static void names_that_lead_nowhere(void **state)
{
    static const struct {
        int result;
        const char *list; /* of MX */
        const char *fate, *text;
        const char *named_fate;
    } cases[] = {
        { -ENOENT, NULL, "failed 5.1.2", "does not exist", "deferred 4.3.5" },
        { -EINVAL, NULL, "failed 5.1.2", "not a valid", "deferred 4.3.5" },
        { -EAGAIN, NULL, "deferred 4.4.3", "looked up now", "deferred 4.4.3" },
        { 0, "0 .", "failed 5.1.10", "takes no mail", "deferred 4.3.5" },
        { 0, "10 gw.example", "failed 5.4.6", "mail for d.example loops back to myself",
          "deferred 4.3.5" },
        { 0, "10 GW.Example.", "failed 5.4.6", "loops back", "deferred 4.3.5" },
        { 0, "5 gw.example, 5 mx.example, 10 mx.example", "failed 5.4.6", "loops",
          "deferred 4.3.5" },
        { 0, "10 nowhere.example", "failed 5.4.4", "host nowhere.example has no address",
          "deferred 4.3.5" },
        { 0, "10 nowhere.example, 20 slow.example", "deferred 4.4.3", "slow.example",
          "deferred 4.4.3" },
        { 0, "10 slow.example, 20 nowhere.example", "deferred 4.4.3", "slow.example",
          "deferred 4.3.5" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const char *const hops[] = { "d.example", NULL };
        struct fakehost_job named = { .destination = "other.example", .next_hops = hops };
        struct world *w = world_new(NULL);
        postern_job *job;

        fakehost_mx(w->h, "d.example", cases[i].result, cases[i].list);
        fakehost_addresses(w->h, "slow.example", -EAGAIN, NULL);
        job = world_deliver_to(w, 2, "d.example");
        world_run(w);
        expect_fate(job, 0, cases[i].fate, POSTERN_CAUSE_DNS, cases[i].text);
        expect_fate(job, 1, cases[i].fate, POSTERN_CAUSE_DNS, cases[i].text);
        assert_null(fakehost_outcome(job, 0)->remote);
        job = world_deliver_job(w, &named, 1);
        world_run(w);
        expect_fate(job, 0, cases[i].named_fate, POSTERN_CAUSE_DNS, NULL);
        assert_int_equal(w->n, 0);
        world_free(&w);
    }
}

static void only_exchangers_better_than_ourselves_are_tried(void **state)
{
    struct world *w = world_new(NULL);
    postern_job *job;
    (void)state;

    fakehost_mx(w->h, "d.example", 0, "5 a.example, 10 b.example, 10 gw.example, 20 c.example");
    fakehost_addresses(w->h, "a.example", 0, "192.0.2.11");
    fakehost_addresses(w->h, "b.example", 0, "192.0.2.12");
    fakehost_addresses(w->h, "c.example", 0, "192.0.2.13");
    fakehost_fail(w->h, FAKEHOST_CONNECTED, 0, -ECONNREFUSED);
    job = world_deliver_to(w, 1, "d.example");
    world_run(w);
    expect_fate(job, 0, "deferred 4.4.1", POSTERN_CAUSE_DESTINATION, "a.example [192.0.2.11]:25");
    expect_connection(w, 0, "192.0.2.11", 25);
    assert_int_equal(w->n, 1);
    world_free(&w);
}

static void our_helo_name_is_ourselves_too(void **state)
{
    static const char *const options[] = { "helo_name", "mail.gw.example", NULL };
    struct world *w = world_new(options);
    postern_job *job;
    (void)state;

    fakehost_mx(w->h, "d.example", 0, "5 mail.gw.example");
    job = world_deliver_to(w, 1, "d.example");
    world_run(w);
    expect_fate(job, 0, "failed 5.4.6", POSTERN_CAUSE_DNS, NULL);
    world_free(&w);
}

/* Everything that makes the next address worth a try. */
static void an_address_that_will_not_do_is_followed_by_the_next(void **state)
{
    static const struct script bad[] = {
        { .greeting = "554 no service" },
        { .greeting = "421 busy|EOF" },
        { .greeting = "450 later" },
        { .greeting = "EOF" },
        { .greeting = "RST" },
        { .greeting = "HTTP/1.1 400 Bad Request" },
        { .ehlo = "450 not now" },
        { .ehlo = "421 bye|EOF" },
        { .ehlo = "EOF" },
        { .ehlo = "502 what", .helo = "450 not now" },
        { .ehlo = "502 what", .helo = "550 not you" },
        { .mail = "EOF" },
        { .mail = "421 shutting down|EOF" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct world *w = world_new(NULL);
        postern_job *job;

        fakehost_mx(w->h, "d.example", 0, "5 a.example, 10 b.example");
        fakehost_addresses(w->h, "a.example", 0, "192.0.2.11, 2001:db8::11");
        fakehost_addresses(w->h, "b.example", 0, "192.0.2.12");
        w->scripts[0] = w->scripts[1] = bad[i];
        job = world_deliver_to(w, 2, "d.example");
        world_run(w);
        expect_fate(job, 0, "delivered 2.0.0", -1, NULL);
        expect_fate(job, 1, "delivered 2.0.0", -1, NULL);
        assert_string_equal(fakehost_outcome(job, 0)->remote, "b.example [192.0.2.12]:25");
        expect_connection(w, 0, "192.0.2.11", 25);
        expect_connection(w, 1, "2001:db8::11", 25);
        expect_connection(w, 2, "192.0.2.12", 25);
        assert_int_equal(w->n, 3);
        world_free(&w);
    }
}

/* The same with no address left: always deferred, in the words of the last one. */
static void the_last_refusal_is_what_is_reported(void **state)
{
    static const struct {
        struct script script;
        const char *fate, *text;
    } cases[] = {
        { { .greeting = "554 5.7.1 no service" }, "deferred 4.7.1", "554 5.7.1 no service" },
        { { .greeting = "554 no service" }, "deferred 4.3.2", "554 no service" },
        { { .greeting = "421 busy" }, "deferred 4.3.2", "421 busy" },
        { { .greeting = "EOF" }, "deferred 4.4.2", "waiting for the greeting of mx.example" },
        { { .greeting = "SSH-2.0-x" }, "deferred 4.5.0", "not an SMTP server" },
        { { .ehlo = "450 not now" }, "deferred 4.0.0", "450 not now" },
        { { .ehlo = "502 what", .helo = "550 not you" }, "deferred 4.0.0", "550 not you" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world *w = world_new(NULL);
        postern_job *job;

        w->scripts[0] = cases[i].script;
        job = world_deliver(w, 1);
        world_run(w);
        expect_fate(job, 0, cases[i].fate, POSTERN_CAUSE_DESTINATION, cases[i].text);
        assert_string_equal(fakehost_outcome(job, 0)->remote, "mx.example [192.0.2.1]:25");
        assert_int_equal(fakehost_logged(w->h, "smtp.unusable"), 1);
        world_free(&w);
    }
}

static void no_more_than_max_mx_tries_addresses_are_tried(void **state)
{
    static const char *const options[] = { "max_mx_tries", "3", NULL };
    struct world *w = world_new(options);
    postern_job *job;
    (void)state;

    fakehost_addresses(w->h, "mx.example", 0,
                       "192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5");
    for (size_t i = 0; i < 5; i++)
        w->scripts[i].greeting = "554 no";
    job = world_deliver(w, 1);
    world_run(w);
    expect_fate(job, 0, "deferred 4.3.2", POSTERN_CAUSE_DESTINATION, NULL);
    assert_string_equal(fakehost_outcome(job, 0)->remote, "mx.example [192.0.2.3]:25");
    assert_int_equal(w->n, 3);
    world_free(&w);
}

static void next_hops_are_tried_in_order(void **state)
{
    static const char *const hops[] = { "gone.example",     "[relay.example]:587",
                                        "[192.0.2.9]:2525", "[IPv6:2001:db8::9]",
                                        "hub.example:26",   NULL };
    struct fakehost_job job = { .destination = "dest.example", .next_hops = hops };
    struct world *w = world_new(NULL);
    postern_job *handle;
    (void)state;

    fakehost_addresses(w->h, "relay.example", 0, "192.0.2.8");
    fakehost_mx(w->h, "relay.example", 0, "10 wrong.example"); /* brackets: not asked for */
    fakehost_mx(w->h, "hub.example", 0, "10 inner.example");
    fakehost_addresses(w->h, "inner.example", 0, "192.0.2.10");
    for (size_t i = 0; i < 3; i++)
        w->scripts[i].greeting = "554 no";
    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    expect_fate(handle, 0, "delivered 2.0.0", -1, NULL);
    expect_connection(w, 0, "192.0.2.8", 587);
    expect_connection(w, 1, "192.0.2.9", 2525);
    expect_connection(w, 2, "2001:db8::9", 25);
    expect_connection(w, 3, "192.0.2.10", 26);
    assert_string_equal(fakehost_outcome(handle, 0)->remote, "inner.example [192.0.2.10]:26");
    world_free(&w);
}

static void a_literal_has_no_name(void **state)
{
    static const char *const hops[] = { "192.0.2.9:2525", NULL };
    struct fakehost_job job = { .destination = "dest.example", .next_hops = hops };
    struct world *w = world_new(NULL);
    postern_job *handle = world_deliver_job(w, &job, 1);
    (void)state;

    world_run(w);
    expect_fate(handle, 0, "delivered 2.0.0", -1, NULL);
    assert_string_equal(fakehost_outcome(handle, 0)->remote, "[192.0.2.9]:2525");
    world_free(&w);
}

/* --- words that a route has for more than a host --- */

static const uint32_t own_last[] = { 0, POSTERN_NEXT_HOP_OWN };
static const uint32_t own_and_hub[] = { POSTERN_NEXT_HOP_OWN, POSTERN_NEXT_HOP_UNRESOLVED };

static void U_46_the_own_domain_follows_a_gateway_that_is_not_there(void **state)
{
    static const char *const hops[] = { "[192.0.2.1]", "dest.example", NULL };
    struct fakehost_job job = { .destination = "dest.example",
                                .next_hops = hops,
                                .next_hop_flags = own_last };
    struct world *w = world_new(NULL);
    postern_job *handle;
    (void)state;

    fakehost_mx(w->h, "dest.example", 0, "10 mx.dest.example");
    fakehost_addresses(w->h, "mx.dest.example", 0, "192.0.2.50");
    fakehost_fail(w->h, FAKEHOST_CONNECTED, 0, -ECONNREFUSED);
    handle = world_deliver_job(w, &job, 1);
    world_run(w);
    expect_fate(handle, 0, "delivered 2.0.0", -1, NULL);
    assert_string_equal(fakehost_outcome(handle, 0)->remote, "mx.dest.example [192.0.2.50]:25");
    world_free(&w);
}

/* What is final about the own domain is final, though it stands in a list of next hops. */
static void an_own_domain_that_does_not_exist_fails(void **state)
{
    static const char *const hops[] = { "gone.example", NULL };
    struct fakehost_job job = { .destination = "gone.example",
                                .next_hops = hops,
                                .next_hop_flags = own_and_hub };
    struct world *w = world_new(NULL);
    postern_job *handle = world_deliver_job(w, &job, 1);
    (void)state;

    world_run(w);
    expect_fate(handle, 0, "failed 5.1.2", POSTERN_CAUSE_DNS, "does not exist");
    world_free(&w);
}

static void T_11_the_hub_is_used_only_for_what_cannot_be_resolved(void **state)
{
    static const char *const hops[] = { "dest.example", "[192.0.2.60]", NULL };
    static const struct {
        int result;
        const char *list, *address;
        const char *fate; /* NULL: delivered by the hub */
    } cases[] = {
        { -ENOENT, NULL, NULL, NULL },
        { -EAGAIN, NULL, NULL, NULL },
        { 0, "10 nowhere.example", NULL, NULL },
        { 0, "0 .", NULL, "failed 5.1.10" },
        { 0, "10 gw.example", NULL, "failed 5.4.6" },
        { 0, "10 mx.example", "192.0.2.51", "deferred 4.4.1" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fakehost_job job = { .destination = "dest.example",
                                    .next_hops = hops,
                                    .next_hop_flags = own_and_hub };
        struct world *w = world_new(NULL);
        postern_job *handle;

        fakehost_mx(w->h, "dest.example", cases[i].result, cases[i].list);
        if (cases[i].address) {
            fakehost_addresses(w->h, "mx.example", 0, cases[i].address);
            fakehost_fail(w->h, FAKEHOST_CONNECTED, 0, -ECONNREFUSED);
        }
        handle = world_deliver_job(w, &job, 1);
        world_run(w);
        expect_fate(handle, 0, cases[i].fate ? cases[i].fate : "delivered 2.0.0", -1, NULL);
        if (!cases[i].fate)
            assert_string_equal(fakehost_outcome(handle, 0)->remote, "[192.0.2.60]:25");
        world_free(&w);
    }
}

static void a_next_hop_that_cannot_be_parsed_waits_for_the_operator(void **state)
{
    static const char *const hops[] = { "[oops", NULL };
    struct fakehost_job job = { .destination = "dest.example", .next_hops = hops };
    struct world *w = world_new(NULL);
    postern_job *handle = world_deliver_job(w, &job, 1);
    (void)state;

    world_run(w);
    expect_fate(handle, 0, "deferred 4.3.5", POSTERN_CAUSE_DNS, "[oops");
    world_free(&w);
}

static void the_port_option_is_for_hops_without_one(void **state)
{
    static const char *const options[] = { "port", "2525", NULL };
    struct world *w = world_new(options);
    postern_job *job = world_deliver(w, 1);
    (void)state;

    world_run(w);
    expect_connection(w, 0, "192.0.2.1", 2525);
    expect_fate(job, 0, "delivered 2.0.0", -1, NULL);
    world_free(&w);
}

static void errors_of_the_host_itself_defer(void **state)
{
    static const struct {
        enum fakehost_call call;
        const char *fate;
    } cases[] = {
        { FAKEHOST_RESOLVE_MX, "deferred 4.4.3" },   { FAKEHOST_RESOLVE_HOST, "deferred 4.4.3" },
        { FAKEHOST_CONNECT, "deferred 4.4.1" },      { FAKEHOST_CONNECTED, "deferred 4.4.1" },
        { FAKEHOST_STREAM_WRITE, "deferred 4.4.2" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world *w = world_new(NULL);
        postern_job *job;

        fakehost_fail(w->h, cases[i].call, 0, -EMFILE);
        job = world_deliver(w, 2);
        world_run(w);
        expect_fate(job, 0, cases[i].fate, -1, NULL);
        expect_fate(job, 1, cases[i].fate, -1, NULL);
        world_free(&w);
    }
    /* Each write in turn: EHLO, MAIL, RCPT, RCPT, DATA. */
    for (unsigned skip = 0; skip < 5; skip++) {
        struct world *w = world_new(NULL);
        postern_job *job;

        fakehost_fail(w->h, FAKEHOST_STREAM_WRITE, skip, -ENOBUFS);
        job = world_deliver(w, 2);
        world_run(w);
        expect_fate(job, 0, "deferred 4.4.2", -1, NULL);
        expect_fate(job, 1, "deferred 4.4.2", -1, NULL);
        world_free(&w);
    }
}

static void answers_larger_than_the_plan_are_cut(void **state)
{
    static const char *const options[] = { "max_mx_tries", "100", NULL };
    struct world *w = world_new(options);
    char mx[1024] = "", addresses[1024] = "";
    postern_job *job;
    size_t n = 0;
    (void)state;

    for (unsigned i = 0; i < 40; i++)
        snprintf(mx + strlen(mx), sizeof mx - strlen(mx), "%u m%u.example, ", i, i);
    for (unsigned i = 0; i < 40; i++)
        snprintf(addresses + strlen(addresses), sizeof addresses - strlen(addresses),
                 "192.0.2.%u, ", i);
    fakehost_mx(w->h, "d.example", 0, mx);
    fakehost_addresses(w->h, "m0.example", 0, addresses);
    fakehost_addresses(w->h, "m31.example", 0, "198.51.100.1");
    fakehost_addresses(w->h, "m32.example", 0, "198.51.100.2");
    fakehost_fail(w->h, FAKEHOST_CONNECT, 0, -ENETUNREACH);
    fakehost_hold(w->h, FAKEHOST_CONNECTED, 1);
    job = world_deliver_to(w, 1, "d.example");
    for (;;) { /* break each attempt as it comes */
        postern_stream *s;

        fakehost_run(w->h);
        s = fakehost_connected(w->h, n, NULL, NULL);
        if (!s)
            break;
        n++;
        fakehost_advance(w->h, (uint64_t)31 * 1000000);
    }
    expect_fate(job, 0, "deferred 4.4.1", POSTERN_CAUSE_DESTINATION, "198.51.100.1");
    assert_int_equal(n, 16); /* 1 failed at once, 15 of m0's 16, and m31's; m32 is one too many */
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_lead_nowhere),
        cmocka_unit_test(only_exchangers_better_than_ourselves_are_tried),
        cmocka_unit_test(our_helo_name_is_ourselves_too),
        cmocka_unit_test(an_address_that_will_not_do_is_followed_by_the_next),
        cmocka_unit_test(the_last_refusal_is_what_is_reported),
        cmocka_unit_test(no_more_than_max_mx_tries_addresses_are_tried),
        cmocka_unit_test(next_hops_are_tried_in_order),
        cmocka_unit_test(a_literal_has_no_name),
        cmocka_unit_test(U_46_the_own_domain_follows_a_gateway_that_is_not_there),
        cmocka_unit_test(an_own_domain_that_does_not_exist_fails),
        cmocka_unit_test(T_11_the_hub_is_used_only_for_what_cannot_be_resolved),
        cmocka_unit_test(a_next_hop_that_cannot_be_parsed_waits_for_the_operator),
        cmocka_unit_test(the_port_option_is_for_hops_without_one),
        cmocka_unit_test(errors_of_the_host_itself_defer),
        cmocka_unit_test(answers_larger_than_the_plan_are_cut),
    };

    return cmocka_run_group_tests_name("smtp-out plan", tests, NULL, NULL);
}
