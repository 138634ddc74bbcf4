/* Segments that little keeps alive are given back, and nothing that is done comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

static void nothing_is_lost_or_back_now(struct world *w)
{
    size_t now = sim_time(w->sim);

    assert_int_equal(world_check_crash(w, now, SIM_NOTHING, 1), 0);
    assert_int_equal(world_check_crash(w, now, SIM_EVERYTHING, 1), 0);
    for (uint32_t seed = 1; seed < 6; seed++)
        assert_int_equal(world_check_crash(w, now, SIM_CHANCE, seed), 0);
}

/* So much mail comes and goes. */
static void traffic(struct world *w, int n)
{
    for (int i = 0; i < n; i++) {
        struct message *m = world_put(w, 400);

        world_settle(w);
        if (m->entry)
            world_done(m);
    }
    world_settle_done(w);
    world_turns(w, 10);
}

static void a_few_old_messages_do_not_keep_much(void **state)
{
    struct world *w = world_new(1);
    uint64_t bytes;

    (void)state;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < 150; i++) {
        world_put(w, 400);
        world_settle(w);
        if (i % 15 == 0)
            world_state(w->messages[i], 0);
        else
            world_done(w->messages[i]);
    }
    world_settle_done(w);
    traffic(w, 40);
    bytes = world_stats(w).segment_bytes;
    assert_true(world_stats(w).compacted > 0);
    assert_true(bytes < 9 * 4096); /* 10 messages of half a KiB are live, of 150 */
    for (int i = 0; i < 150; i += 15) {
        void *text;
        size_t len;

        assert_true(world_intact(w->messages[i]));
        assert_int_equal(spool_read_state(w->spool, w->messages[i]->entry, &text, &len), 0);
        assert_memory_equal(text, "state 0 ", 8);
        free(text);
    }
    nothing_is_lost_or_back_now(w);
    world_free(&w);
}

/* One segment is half alive for long, so it is not worth compacting; but the tombstones of its dead
 * half must neither be lost nor keep every segment that comes after alive, one holding the next. */
static void a_half_live_segment_does_not_chain_all_that_follow(void **state)
{
    struct world *w = world_new(2);

    (void)state;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < 8; i++)
        world_put(w, 450);
    world_settle(w);
    traffic(w, 9); /* so that the tombstones are in another segment */
    for (int i = 0; i < 6; i += 2)
        world_done(w->messages[i]);
    world_settle_done(w);
    for (int round = 0; round < 10; round++) {
        traffic(w, 20);
        assert_true(world_stats(w).segments <= 6);
        nothing_is_lost_or_back_now(w);
    }
    world_free(&w);
}

/* A segment whose sync failed is emptied, but one message in it can't be read, so it stays. Those
 * that were copied are done, and all that came later is deleted; then the segment is readable
 * again. */
static void copies_that_stay_behind_do_not_come_back(void **state)
{
    struct world *w = world_new(3);
    struct sim_faults f = { .sync_fails = 1, .read_fails = 1, .read_name = "00000001.seg" };
    int n = 100;

    (void)state;
    w->cfg.segment_bytes = 65536;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < n; i++)
        world_put(w, 10);
    world_settle(w);
    f.read_from = 64;
    f.read_to = 65; /* in the first message's record */
    sim_set_faults(w->sim, &f);
    world_put(w, 10);
    world_settle(w);
    while (world_stats(w).compacted < (unsigned)n - 1)
        loop_turn(w->loop, 1);
    for (int i = 1; i < n; i++)
        world_done(w->messages[i]);
    world_settle_done(w);
    for (int round = 0; round < 4; round++) {
        traffic(w, 150);
        assert_true(world_stats(w).segments <= 4);
        assert_true(sim_exists(w->sim, 1, "00000001.seg"));
        nothing_is_lost_or_back_now(w);
    }
    assert_false(sim_exists(w->sim, 1, "00000002.seg"));
    world_free(&w);
}

static int some_were_moved(struct world *w)
{
    return world_stats(w).compacted > 0;
}

/* A segment whose sync failed is emptied, whatever is in it; meanwhile the disk gets full. */
static void a_compaction_that_was_interrupted_brings_nothing_back(void **state)
{
    struct world *w = world_new(4);
    struct sim_faults f = { .sync_fails = 1 };
    int n = 300;

    (void)state;
    w->cfg.segment_bytes = 65536;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < n; i++)
        world_put(w, 10);
    world_settle(w);
    sim_set_faults(w->sim, &f);
    world_put(w, 10);
    world_settle(w);
    world_until(w, some_were_moved);
    f = (struct sim_faults){ .capacity = 1 };
    sim_set_faults(w->sim, &f);
    world_turns(w, 30);
    f = (struct sim_faults){ .capacity = 0 };
    sim_set_faults(w->sim, &f);
    for (int i = 0; i < n; i++)
        world_done(w->messages[i]);
    world_settle_done(w);
    nothing_is_lost_or_back_now(w);
    while (world_stats(w).full)
        loop_turn(w->loop, 1);
    for (int round = 0; round < 3; round++) {
        traffic(w, 150);
        nothing_is_lost_or_back_now(w);
    }
    world_free(&w);
}

/* A crash tears the copy between the message and its state. So the message is in a young segment
 * and its state in an older one, which the next start must put together again when the segment with
 * the first copy is gone. */
static void a_copy_torn_before_its_state_does_not_cost_the_state(void **state)
{
    struct world *w = world_new(26);
    size_t from = 0;

    (void)state;
    assert_int_equal(world_open(w), 0);
    world_put(w, 700);
    for (int i = 1; i < 8; i++)
        world_put(w, 400);
    world_settle(w);
    assert_int_equal(world_stats(w).segments, 2);
    world_state(w->messages[0], 1); /* in the second segment */
    world_settle(w);
    for (int i = 1; i < 8; i++)
        world_done(w->messages[i]);
    world_settle_done(w);
    /* A little of each segment stays, until all of them are worth copying. */
    for (int round = 0; !world_stats(w).compacted; round++) {
        assert_true(round < 400);
        if (round % 8 == 0)
            world_put(w, 10);
        from = sim_time(w->sim);
        traffic(w, 1);
    }
    for (size_t ops = from; ops <= sim_time(w->sim); ops++) {
        for (uint32_t seed = 1; seed <= 40; seed++)
            assert_int_equal(world_check_two_crashes(w, ops, SIM_CHANCE, seed * 7919), 0);
    }
    world_free(&w);
}

/* Nobody waits for compaction: mail goes on while a segment is emptied. */
static void done_and_state_in_the_midst_of_a_copy_are_kept(void **state)
{
    struct sim_faults f = { .sync_fails = 1 };

    (void)state;
    for (uint32_t seed = 5; seed < 25; seed++) {
        struct world *w = world_new(seed);

        assert_int_equal(world_open(w), 0);
        for (int i = 0; i < 12; i++)
            world_put(w, 100);
        world_settle(w);
        sim_set_faults(w->sim, &f);
        world_put(w, 10);
        world_turns(w, seed % 7);
        for (int i = 0; i < 12; i += 3) {
            if (w->messages[i]->entry)
                world_done(w->messages[i]);
            world_state(w->messages[i + 1], (int)seed & 1);
            world_turns(w, seed % 3);
        }
        world_settle_done(w);
        nothing_is_lost_or_back_now(w);
        traffic(w, 5);
        nothing_is_lost_or_back_now(w);
        world_free(&w);
    }
}

/* The answer comes before the first slice is handed over: the next sync works, and so the slice is
 * durable; the one after it does not, nor does the truncation that is to take it back. */
static void spoil_the_second_slice(void *ctx, int result, struct spool_entry *entry)
{
    struct world *w = ctx;

    (void)entry;
    assert_int_equal(result, -EIO);
    sim_set_faults(w->sim, &(struct sim_faults){ .sync_passes = 1, .sync_fails = 2 });
}

/* Copies were written to a segment that could not be synced, and all its life it may or may not
 * have them. The process that knew has ended; the next one deletes all that is younger, with the
 * word that those messages are done. */
static void what_could_not_be_synced_is_remembered_by_the_next_process(void **state)
{
    struct world *w = world_new(4);
    struct spool_put *put;
    int n = 200;

    (void)state;
    w->cfg.segment_bytes = 65536;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < n; i++)
        world_put(w, 10);
    world_settle(w);
    sim_set_faults(w->sim, &(struct sim_faults){ .sync_fails = 2 });
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), 0);
    spool_put_commit(put, "", 0, spoil_the_second_slice, w);
    while (world_stats(w).sync_errors < 2)
        loop_turn(w->loop, 0);
    world_close(w);
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < n; i++)
        assert_non_null(w->messages[i]->entry);
    while (sim_exists(w->sim, 1, "00000001.seg"))
        loop_turn(w->loop, 1);
    for (int i = 128; i < n; i++) /* the second slice */
        world_done(w->messages[i]);
    world_settle_done(w);
    for (int round = 0; round < 4; round++) {
        traffic(w, 150);
        nothing_is_lost_or_back_now(w);
    }
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_old_messages_do_not_keep_much),
        cmocka_unit_test(a_half_live_segment_does_not_chain_all_that_follow),
        cmocka_unit_test(copies_that_stay_behind_do_not_come_back),
        cmocka_unit_test(a_compaction_that_was_interrupted_brings_nothing_back),
        cmocka_unit_test(a_copy_torn_before_its_state_does_not_cost_the_state),
        cmocka_unit_test(done_and_state_in_the_midst_of_a_copy_are_kept),
        cmocka_unit_test(what_could_not_be_synced_is_remembered_by_the_next_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
