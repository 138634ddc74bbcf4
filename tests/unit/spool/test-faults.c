/* A disk that fills up, fails, and recovers: what was acknowledged stays, what was not is refused
 * in time, and outcomes are never lost while the process lives. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/loop.h"
#include "world.h"

static struct world *opened(uint32_t seed)
{
    struct world *w = world_new(seed);

    assert_int_equal(world_open(w), 0);
    return w;
}

static void faults(struct world *w, struct sim_faults f)
{
    sim_set_faults(w->sim, &f);
}

static int not_full(struct world *w)
{
    return !world_stats(w).full;
}

static int not_failed(struct world *w)
{
    return !world_stats(w).failed;
}

static int failed(struct world *w)
{
    return world_stats(w).failed;
}

static void after_a_crash_all_is_right(struct world *w)
{
    size_t now = sim_time(w->sim);

    assert_int_equal(world_check_crash(w, now, SIM_NOTHING, 1), 0);
    assert_int_equal(world_check_crash(w, now, SIM_EVERYTHING, 1), 0);
}

static void short_writes_are_continued(void **state)
{
    struct world *w = opened(1);

    (void)state;
    faults(w, (struct sim_faults){ .short_writes = 1 });
    for (int i = 0; i < 20; i++)
        world_put(w, (size_t)i * 200);
    world_settle(w);
    for (int i = 0; i < 20; i++)
        assert_true(world_intact(w->messages[i]));
    after_a_crash_all_is_right(w);
    world_free(&w);
}

static void a_failed_sync_refuses_the_group_and_moves_on(void **state)
{
    struct world *w = opened(2);
    struct message *kept = world_put(w, 100), *gone = world_put(w, 50), *refused;
    uint64_t segments;

    (void)state;
    world_settle(w);
    segments = world_stats(w).segments;
    faults(w, (struct sim_faults){ .sync_fails = 1 });
    world_state(kept, 0);
    world_done(gone);
    refused = world_put(w, 200);
    world_settle_done(w);
    assert_int_equal(refused->result, -EIO);
    assert_int_equal(world_stats(w).sync_errors, 1);
    assert_int_equal(world_stats(w).failed, 0);
    assert_int_equal(world_stats(w).segments, segments + 1);
    /* The outcomes of the failed group are durable in the new segment. */
    assert_true(kept->state_durable[0] != NEVER);
    assert_true(world_intact(kept));
    after_a_crash_all_is_right(w);
    world_put(w, 300);
    world_settle(w);
    assert_int_equal(w->messages[3]->result, 0);
    after_a_crash_all_is_right(w);
    world_free(&w);
}

/* The sender of a refused message tries again: it must not be there twice, even if all of what was
 * written reaches the disk in the end. */
static void a_refused_message_does_not_come_back(void **state)
{
    struct world *w = opened(3);
    struct message *refused;
    size_t now;

    (void)state;
    world_put(w, 10);
    world_settle(w);
    faults(w, (struct sim_faults){ .sync_fails = 2 }); /* the truncation can't be synced either */
    refused = world_put(w, 10);
    world_settle(w);
    assert_int_equal(refused->result, -EIO);
    world_put(w, 20);
    world_settle(w);
    refused->done_asked = 0;
    refused->done_durable = now = sim_time(w->sim);
    for (uint32_t seed = 1; seed < 20; seed++)
        assert_int_equal(world_check_crash(w, now, SIM_CHANCE, seed), 0);
    world_free(&w);
}

static int no_content_left(struct world *w)
{
    return !sim_count(w->sim, 2, "");
}

/* What buries it can't be written either, for long: until it is, its content has to stay, or a
 * crash that brings back its record would look like damage. */
static void a_refused_large_message_is_no_damage_after_a_crash(void **state)
{
    struct world *w = opened(12);
    size_t now;

    (void)state;
    world_put(w, 10);
    world_settle(w);
    faults(w,
           (struct sim_faults){ .sync_passes = 1, .sync_fails = -1 }); /* the content is synced */
    world_put(w, 5000);
    world_settle(w);
    assert_int_equal(w->messages[1]->result, -EIO);
    for (int i = 0; i < 100; i++) {
        world_turns(w, 1);
        usleep(500); /* so that the disk thread may do what it should not */
    }
    now = sim_time(w->sim);
    for (uint32_t seed = 1; seed < 60; seed++)
        assert_int_equal(world_check_crash(w, now, SIM_CHANCE, seed), 0);
    after_a_crash_all_is_right(w);
    faults(w, (struct sim_faults){ .sync_fails = 0 });
    world_until(w, not_failed);
    world_until(w, no_content_left);
    now = sim_time(w->sim);
    for (uint32_t seed = 1; seed < 60; seed++)
        assert_int_equal(world_check_crash(w, now, SIM_CHANCE, seed), 0);
    after_a_crash_all_is_right(w);
    world_free(&w);
}

static void a_disk_that_stays_broken_is_tried_again(void **state)
{
    struct world *w = opened(4);
    struct message *kept = world_put(w, 100), *gone = world_put(w, 50);
    struct spool_put *put;

    (void)state;
    world_settle(w);
    faults(w, (struct sim_faults){ .sync_fails = -1, .write_fails = -1 });
    world_put(w, 10);
    world_until(w, failed);
    world_settle(w);
    assert_int_equal(w->messages[2]->result, -EIO);
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), -EIO);
    /* Deliveries go on; what became of them is kept in memory. */
    world_state(kept, 1);
    world_state(kept, 1);
    world_state(kept, 1);
    world_done(gone);
    world_turns(w, 20);
    assert_true(world_intact(kept));
    faults(w, (struct sim_faults){ .sync_fails = 0 });
    world_until(w, not_failed);
    world_settle_done(w);
    assert_true(kept->state_durable[2] != NEVER);
    world_put(w, 10);
    world_settle(w);
    assert_int_equal(w->messages[3]->result, 0);
    after_a_crash_all_is_right(w);
    world_free(&w);
}

static void a_segment_that_cannot_be_made_is_a_failure_and_no_loss(void **state)
{
    struct world *w = opened(5);

    (void)state;
    faults(w, (struct sim_faults){ .open_fails = 1 });
    for (int i = 0; i < 20; i++) {
        world_put(w, 700);
        world_settle(w);
    }
    assert_int_equal(w->messages[0]->result, 0);
    assert_int_equal(w->messages[19]->result, -EIO);
    assert_int_equal(world_stats(w).failed, 1);
    faults(w, (struct sim_faults){ .open_fails = 0 });
    world_until(w, not_failed);
    after_a_crash_all_is_right(w);
    world_free(&w);
}

static void a_full_disk_refuses_mail_and_still_takes_outcomes(void **state)
{
    struct world *w = opened(6);
    struct spool_put *put;
    int i;

    (void)state;
    faults(w, (struct sim_faults){ .capacity = 20000 });
    for (i = 0; i < 100; i++) {
        if (world_put(w, 800)->result < 0)
            break;
        world_settle(w);
        if (w->messages[i]->result)
            break;
    }
    assert_in_range(i, 5, 30);
    assert_int_equal(w->messages[i]->result, -ENOSPC);
    assert_int_equal(world_stats(w).full, 1);
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), -ENOSPC);
    assert_int_equal(world_stats(w).failed, 0);
    for (int k = 0; k < 5; k++)
        world_state(w->messages[k], 1);
    world_settle(w);
    for (int k = 0; k < 5; k++)
        assert_true(w->messages[k]->state_durable[0] != NEVER);
    after_a_crash_all_is_right(w);
    for (int k = 0; k < i; k++)
        world_done(w->messages[k]);
    world_settle_done(w);
    after_a_crash_all_is_right(w);
    /* With the old segments gone there is room again, for the reserve and for mail. */
    world_until(w, not_full);
    assert_true(sim_exists(w->sim, 1, "reserve"));
    world_put(w, 800);
    world_settle(w);
    assert_int_equal(w->messages[w->messages_n - 1]->result, 0);
    world_free(&w);
}

static void outcomes_wait_when_not_even_the_reserve_is_enough(void **state)
{
    struct world *w = opened(7);

    (void)state;
    world_put(w, 100);
    world_settle(w);
    faults(w, (struct sim_faults){ .capacity = 1 }); /* less than there is: nothing fits at all */
    world_state(w->messages[0], 1);
    world_turns(w, 50);
    assert_true(w->messages[0]->state_durable[0] == NEVER);
    faults(w, (struct sim_faults){ .capacity = 1000000 });
    world_settle(w);
    assert_true(w->messages[0]->state_durable[0] != NEVER);
    after_a_crash_all_is_right(w);
    world_free(&w);
}

static void too_little_room_refuses_mail_before_the_disk_is_full(void **state)
{
    struct world *w = world_new(8);
    struct spool_put *put;

    (void)state;
    w->cfg.min_free_bytes = 50000;
    faults(w, (struct sim_faults){ .capacity = 40000 });
    assert_int_equal(world_open(w), 0);
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), -ENOSPC);
    assert_int_equal(world_stats(w).full, 1);
    assert_true(world_stats(w).free_bytes > 0);
    faults(w, (struct sim_faults){ .capacity = 400000 });
    world_until(w, not_full);
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), 0);
    spool_put_free(&put);
    world_free(&w);
}

static unsigned refused_for_good(struct world *w, size_t now)
{
    unsigned n = 0;

    for (size_t i = 0; i < w->messages_n; i++) {
        if (w->messages[i]->result != -ENOSPC)
            continue;
        w->messages[i]->done_asked = 0;
        w->messages[i]->done_durable = now;
        n++;
    }
    return n;
}

/* Of a group that the disk has room for in part, some records were written whole. Whoever sent them
 * hears 452 and tries again; and a large one's content goes. A crash must not bring them back. */
static void a_group_that_did_not_fit_does_not_come_back(void **state)
{
    unsigned refused = 0;

    (void)state;
    for (uint64_t room = 4000; room < 12000; room += 1000) {
        struct world *w = world_new((uint32_t)room);
        size_t now;

        w->cfg.segment_bytes = 65536;
        assert_int_equal(world_open(w), 0);
        world_put(w, 100);
        world_settle(w); /* what comes now is all that is not durable */
        faults(w, (struct sim_faults){ .capacity = 4096 + room });
        world_put(w, 2000);
        for (int i = 0; i < 8; i++)
            world_put(w, 700);
        world_settle(w);
        now = sim_time(w->sim);
        refused += refused_for_good(w, now);
        for (uint32_t seed = 1; seed < 20; seed++)
            assert_int_equal(world_check_crash(w, now, SIM_CHANCE, seed), 0);
        world_free(&w);
    }
    assert_true(refused > 9);
}

static void large_content_on_a_full_disk_leaves_no_file(void **state)
{
    struct world *w = opened(9);

    (void)state;
    faults(w, (struct sim_faults){ .capacity = 100000 });
    world_put(w, 500000);
    world_settle(w);
    assert_int_equal(w->messages[0]->result, -ENOSPC);
    world_close(w);
    assert_int_equal(sim_count(w->sim, 2, ""), 0);
    world_free(&w);
}

static void closing_on_a_broken_disk_ends(void **state)
{
    struct world *w = opened(10);

    (void)state;
    world_put(w, 100);
    world_put(w, 200);
    world_settle(w);
    faults(w, (struct sim_faults){ .sync_fails = -1, .write_fails = -1 });
    world_state(w->messages[0], 0);
    world_done(w->messages[1]);
    world_put(w, 5000);
    world_close(w);
    faults(w, (struct sim_faults){ .sync_fails = 0 });
    assert_int_equal(world_open(w), 0);
    assert_true(world_intact(w->messages[0]));
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_writes_are_continued),
        cmocka_unit_test(a_failed_sync_refuses_the_group_and_moves_on),
        cmocka_unit_test(a_refused_message_does_not_come_back),
        cmocka_unit_test(a_refused_large_message_is_no_damage_after_a_crash),
        cmocka_unit_test(a_disk_that_stays_broken_is_tried_again),
        cmocka_unit_test(a_segment_that_cannot_be_made_is_a_failure_and_no_loss),
        cmocka_unit_test(a_full_disk_refuses_mail_and_still_takes_outcomes),
        cmocka_unit_test(outcomes_wait_when_not_even_the_reserve_is_enough),
        cmocka_unit_test(too_little_room_refuses_mail_before_the_disk_is_full),
        cmocka_unit_test(a_group_that_did_not_fit_does_not_come_back),
        cmocka_unit_test(large_content_on_a_full_disk_leaves_no_file),
        cmocka_unit_test(closing_on_a_broken_disk_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
