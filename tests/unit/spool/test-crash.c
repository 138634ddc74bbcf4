/* A crash at any moment, with any part of what was not synced on the disk or not: what was
 * acknowledged is there and intact, what was done for sure does not come back, and no crash looks
 * like damage.
 *
 *   test-crash [lives [seed]]     more random histories, from another seed */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "world.h"

static unsigned lives = 500;
static uint32_t first_seed = 1;

/* --- every point of small histories --- */

static void check_all_points(struct world *w)
{
    size_t n = sim_time(w->sim);

    world_close(w);
    for (size_t ops = 0; ops <= n; ops++) {
        assert_int_equal(world_check_crash(w, ops, SIM_NOTHING, 1), 0);
        assert_int_equal(world_check_crash(w, ops, SIM_EVERYTHING, 1), 0);
        for (uint32_t seed = 1; seed <= 4; seed++)
            assert_int_equal(world_check_crash(w, ops, SIM_CHANCE, (uint32_t)ops * 7919 + seed), 0);
    }
    n = sim_time(w->sim); /* closing has written, too */
    assert_int_equal(world_check_crash(w, n, SIM_NOTHING, 1), 0);
}

static void small_messages_survive_a_crash_at_any_operation(void **state)
{
    struct world *w = world_new(11);

    (void)state;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < 12; i++) {
        struct message *m = world_put(w, (size_t)i * 90);

        if (i % 3 == 0)
            world_settle(w);
        if (i % 4 == 0 && m->entry)
            world_state(m, i % 8 == 0);
    }
    world_settle(w);
    world_done(w->messages[1]);
    world_state(w->messages[2], 1);
    world_settle_done(w);
    check_all_points(w);
    world_free(&w);
}

static void large_messages_survive_a_crash_at_any_operation(void **state)
{
    struct world *w = world_new(12);

    (void)state;
    assert_int_equal(world_open(w), 0);
    world_put(w, 1501);
    world_put(w, 300);
    world_settle(w);
    world_put(w, 9000);
    world_done(w->messages[0]);
    world_settle_done(w);
    check_all_points(w);
    world_free(&w);
}

static void segments_may_go_at_any_operation(void **state)
{
    struct world *w = world_new(13);

    (void)state;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < 24; i++) {
        world_put(w, 500);
        world_settle(w);
        if (i >= 3 && i % 5)
            world_done(w->messages[i - 3]);
        if (i % 6 == 0)
            world_state(w->messages[i], 0);
    }
    world_settle_done(w);
    assert_true(world_stats(w).segments < 8);
    check_all_points(w);
    world_free(&w);
}

/* --- random histories, life after life --- */

/* Most messages are soon done, a few stay for long: so segments are kept alive by little. */
static struct message *any_live(struct world *w, int to_end)
{
    size_t from = w->messages_n ? sim_random(&w->seed) % w->messages_n : 0;

    for (size_t i = 0; i < w->messages_n; i++) {
        struct message *m = w->messages[(from + i) % w->messages_n];

        if (m->entry && (!to_end || m->seed % 8 || sim_random(&w->seed) % 30 == 0))
            return m;
    }
    return NULL;
}

/* Once, and then the disk works again: a new segment is begun, for the outcomes too. */
static void have_a_fault(struct world *w)
{
    struct sim_faults f = { .short_writes = sim_random(&w->seed) & 1 };

    /* A write that fails may be a new segment's first: then a second passes before the next try. */
    if (sim_random(&w->seed) % 200 == 0)
        f.write_fails = 1;
    else if (sim_random(&w->seed) & 1)
        f.sync_fails = 1;
    sim_set_faults(w->sim, &f);
}

static void do_something(struct world *w)
{
    uint32_t dice = sim_random(&w->seed) % 100;
    struct message *m = any_live(w, dice >= 50);

    if (dice < 35)
        world_put(w, dice < 4 ? 1500 + sim_random(&w->seed) % 5000 : sim_random(&w->seed) % 900);
    else if (!m)
        world_settle(w);
    else if (dice < 50)
        world_state(m, dice < 40);
    else if (dice < 85)
        world_done(m);
    else if (dice < 90)
        world_settle_done(w);
    else if (dice < 93)
        assert_true(world_intact(m));
    else if (dice < 95)
        have_a_fault(w);
    else
        world_turns(w, 1 + dice % 4);
}

static void random_histories_survive_crash_after_crash(void **state)
{
    (void)state;
    for (unsigned history = 0; history < lives / 6 + 1; history++) {
        uint32_t seed = first_seed + history * 1000;
        struct world *w = world_new(seed);
        size_t ops = 0;

        for (unsigned life = 0; life < 6; life++) {
            assert_int_equal(world_open(w), 0);
            if (world_check(w, ops) || world_stats(w).damaged_records) {
                fprintf(stderr, "# history %u, life %u: %" PRIu64 " damaged records %s\n", seed,
                        life, world_stats(w).damaged_records, w->why);
                fail();
            }
            for (unsigned i = 0; i < 200; i++)
                do_something(w);
            ops = sim_time(w->sim);
            ops -= sim_random(&w->seed) % (ops / 2 + 1);
            world_crash(w, ops, (enum sim_luck)(sim_random(&w->seed) % 3), sim_random(&w->seed));
        }
        world_free(&w);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_messages_survive_a_crash_at_any_operation),
        cmocka_unit_test(large_messages_survive_a_crash_at_any_operation),
        cmocka_unit_test(segments_may_go_at_any_operation),
        cmocka_unit_test(random_histories_survive_crash_after_crash),
    };

    if (argc > 1)
        lives = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = (uint32_t)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
