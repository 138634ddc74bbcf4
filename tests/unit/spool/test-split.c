/* A shard that is given away in parts: at any moment, and after a crash at any moment, each message
 * is in one shard, and only there; what was done stays done; nothing is copied. */
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

#include "util/clock.h"
#include "util/mem.h"
#include "world.h"

#define SHARD     "/sim/shard-07"
#define PARTS_MAX 8

/* One who adopts. */
struct adopter {
    struct world *w;
    struct spool *spool;
    unsigned part[PARTS_MAX];
    size_t parts_n;
    uint64_t given; /* messages in parts */
    int opened, told, result;
    int close_at; /* 1: in opened; 2: with the first message; 3: in told */
    size_t replayed;
    char why[256];
};

static void on_part(void *ctx, unsigned number, uint64_t messages)
{
    struct adopter *a = ctx;

    assert_false(a->opened);
    assert_true(a->parts_n < PARTS_MAX);
    a->part[a->parts_n++] = number;
    a->given += messages;
}

static void on_opened(void *ctx, int result, const char *why)
{
    struct adopter *a = ctx;

    assert_false(a->opened);
    a->opened = 1;
    a->result = result;
    snprintf(a->why, sizeof a->why, "%s", why);
    if (a->close_at == 1)
        spool_close(&a->spool);
}

static void on_replay(void *ctx, uint64_t id, struct spool_entry *entry, const void *meta,
                      size_t meta_len, const void *state, size_t state_len, uint64_t size)
{
    struct adopter *a = ctx;

    assert_true(a->opened && !a->told);
    a->replayed++;
    world_replayed(a->w, id, entry, meta, meta_len, state, state_len, size);
}

static void on_told(void *ctx)
{
    struct adopter *a = ctx;

    assert_true(a->opened && !a->told);
    a->told = 1;
    if (a->close_at == 3)
        spool_close(&a->spool);
}

static int adopt(struct adopter *a, struct world *w, const char *path, unsigned parts,
                 uint64_t least)
{
    struct spool_config cfg = w->cfg;
    struct spool_adoption what = { .ctx = a,
                                   .parts = parts,
                                   .least = least,
                                   .part = on_part,
                                   .opened = on_opened,
                                   .replay = on_replay,
                                   .told = on_told };

    a->w = w;
    cfg.path = path;
    cfg.io = &w->sim->io;
    return spool_adopt(&cfg, w->loop, &what, &a->spool, a->why, sizeof a->why);
}

static void turn_until(struct world *w, const int *what)
{
    int64_t end = clock_mono() + 20000000;

    while (!*what && clock_mono() < end)
        loop_turn(w->loop, 1);
    assert_true(*what);
}

/* A world whose shard has others beside it. */
static struct world *world_of_shards(uint32_t seed)
{
    struct world *w = world_new(seed);

    w->cfg.path = SHARD;
    return w;
}

/* Small and large messages in several segments, some with a state, some done. */
static void live_a_little(struct world *w, unsigned n)
{
    assert_int_equal(world_open(w), 0);
    for (unsigned i = 0; i < n; i++) {
        world_put(w, i % 5 == 4 ? 2000 : 400 + i * 7);
        if (i % 3 == 2)
            world_settle(w);
        if (i % 4 == 0 && w->messages[i]->entry)
            world_state(w->messages[i], 0);
        if (i % 6 == 5)
            world_done(w->messages[i - 3]);
    }
    world_settle_done(w);
    world_close(w);
}

static size_t live_of(const struct world *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->messages_n; i++)
        n += w->messages[i]->done_asked == NEVER;
    return n;
}

static size_t seen_of(const struct world *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->messages_n; i++)
        n += w->messages[i]->seen != 0;
    return n;
}

/* As when an owner delivers: every second of those that it has is done, others get a state. */
static void deliver_some(struct world *w, struct spool *spool)
{
    struct spool *was = w->spool;

    w->spool = spool;
    for (size_t i = 0, k = 0; i < w->messages_n; i++) {
        struct message *m = w->messages[i];

        if (m->in != spool)
            continue;
        if (k++ % 2)
            world_done(m);
        else
            world_state(m, 1);
    }
    world_settle(w);
    w->spool = was;
}

static void claim(struct world *w, struct spool *spool)
{
    for (size_t i = 0; i < w->messages_n; i++) {
        if (w->messages[i]->entry && !w->messages[i]->in)
            w->messages[i]->in = spool;
    }
}

/* The spool is about to be closed. */
static void disclaim(struct world *w, struct spool *spool)
{
    for (size_t i = 0; i < w->messages_n; i++) {
        if (w->messages[i]->in != spool)
            continue;
        w->messages[i]->in = NULL;
        w->messages[i]->entry = NULL;
    }
}

static void leave(struct adopter *a)
{
    disclaim(a->w, a->spool);
    spool_close(&a->spool);
}

/* Until it has told all. */
static void adopt_all(struct adopter *a, struct world *w, const char *path, unsigned parts)
{
    assert_int_equal(adopt(a, w, path, parts, 2), 0);
    turn_until(w, &a->told);
    assert_int_equal(a->result, 0);
    claim(w, a->spool);
}

static void part_path(char *path, size_t size, unsigned number)
{
    char name[SPOOL_SHARD_NAME];

    spool_shard_name(name, number);
    snprintf(path, size, "/sim/%s", name);
}

static void begin_process(struct world *w)
{
    world_forget(w);
    w->loop = loop_new(1);
}

static void end_process(struct world *w)
{
    loop_free(&w->loop);
}

/* --- what a split is --- */

static void each_message_is_in_one_part_and_nothing_is_copied(void **state)
{
    struct world *w = world_of_shards(21);
    struct adopter a = { .told = 0 };
    size_t live, segments;

    (void)state;
    live_a_little(w, 40);
    live = live_of(w);
    segments = sim_count(w->sim, sim_folder(w->sim, SHARD), ".seg");
    assert_true(segments > 4);
    begin_process(w);
    adopt_all(&a, w, SHARD, 4);
    assert_int_equal(a.parts_n, 3);
    assert_int_equal(a.replayed, live / 4);
    assert_int_equal(a.given, live - live / 4);
    assert_int_equal(seen_of(w), live / 4);
    for (size_t i = 0; i < a.parts_n; i++) {
        struct adopter b = { .told = 0 };
        char path[64];

        part_path(path, sizeof path, a.part[i]);
        adopt_all(&b, w, path, 1);
        assert_int_equal(b.parts_n, 0);
        deliver_some(w, b.spool);
        leave(&b);
    }
    assert_int_equal(seen_of(w), live);
    assert_false(w->wrong);
    spool_close(&a.spool);
    end_process(w);
    assert_int_equal(world_check_shards(w, sim_time(w->sim), SIM_EVERYTHING, 1, 0), 0);
    world_free(&w);
}

static void a_short_shard_is_not_split(void **state)
{
    struct world *w = world_of_shards(22);
    struct adopter a = { .told = 0 };

    (void)state;
    live_a_little(w, 12);
    begin_process(w);
    assert_int_equal(adopt(&a, w, SHARD, 4, live_of(w) + 1), 0);
    turn_until(w, &a.told);
    assert_int_equal(a.parts_n, 0);
    assert_int_equal(seen_of(w), live_of(w));
    spool_close(&a.spool);
    end_process(w);
    world_free(&w);
}

static void a_part_can_be_split_again(void **state)
{
    struct world *w = world_of_shards(23);
    struct adopter a = { .told = 0 };
    char path[64];

    (void)state;
    live_a_little(w, 60);
    begin_process(w);
    adopt_all(&a, w, SHARD, 2);
    spool_close(&a.spool);
    part_path(path, sizeof path, a.part[0]);
    for (int again = 0; again < 12; again++) { /* as often as it may be, and then no more */
        struct adopter b = { .told = 0 };

        world_forget(w);
        adopt_all(&b, w, path, 2);
        deliver_some(w, b.spool);
        leave(&b);
    }
    end_process(w);
    assert_int_equal(world_check_shards(w, sim_time(w->sim), SIM_EVERYTHING, 1, 0), 0);
    world_free(&w);
}

/* A part may become a worker's own shard. */
static void a_part_takes_new_mail_and_a_rule_goes_with_its_segments(void **state)
{
    struct world *w = world_of_shards(24);
    struct adopter a = { .told = 0 };
    char path[64];

    (void)state;
    live_a_little(w, 20);
    begin_process(w);
    adopt_all(&a, w, SHARD, 2);
    spool_close(&a.spool);
    end_process(w);
    part_path(path, sizeof path, a.part[0]);
    w->cfg.path = path;
    assert_int_equal(world_open(w), 0);
    for (size_t i = 0, n = w->messages_n; i < n; i++) {
        if (w->messages[i]->entry)
            world_done(w->messages[i]);
    }
    world_put(w, 300);
    world_put(w, 1800);
    world_settle_done(w);
    world_close(w);
    assert_int_equal(world_check_shards(w, sim_time(w->sim), SIM_EVERYTHING, 1, 0), 0);
    for (int i = 0; i < 3; i++) { /* the old segments go, and then the file */
        assert_int_equal(world_open(w), 0);
        world_turns(w, 50);
        world_close(w);
    }
    assert_false(sim_exists(w->sim, sim_folder(w->sim, path), "range"));
    assert_int_equal(world_check_shards(w, sim_time(w->sim), SIM_EVERYTHING, 1, 0), 0);
    world_free(&w);
}

static void where_files_have_one_name_only_the_shard_stays_whole(void **state)
{
    struct world *w = world_of_shards(25);
    struct sim_faults f = { .link_fails = 1 };
    struct adopter a = { .told = 0 };

    (void)state;
    live_a_little(w, 20);
    begin_process(w);
    sim_set_faults(w->sim, &f);
    adopt_all(&a, w, SHARD, 3);
    assert_int_equal(a.parts_n, 0);
    assert_int_equal(seen_of(w), live_of(w));
    assert_int_equal(sim_folder(w->sim, SHARD "/split.new"), -1);
    spool_close(&a.spool);
    end_process(w);
    world_free(&w);
}

static void damage_is_not_multiplied(void **state)
{
    struct world *w = world_of_shards(26);
    struct adopter a = { .told = 0 };

    (void)state;
    live_a_little(w, 20);
    assert_int_equal(pwrite(sim_fd(w->sim, sim_folder(w->sim, SHARD), "00000001.seg"), "x", 1, 200),
                     1);
    begin_process(w);
    adopt_all(&a, w, SHARD, 3);
    assert_int_equal(a.parts_n, 0);
    spool_close(&a.spool);
    end_process(w);
    world_free(&w);
}

static void a_damaged_range_is_refused_in_words(void **state)
{
    struct world *w = world_of_shards(27);
    struct adopter a = { .told = 0 }, b = { .told = 0 };

    (void)state;
    live_a_little(w, 20);
    begin_process(w);
    adopt_all(&a, w, SHARD, 2);
    spool_close(&a.spool);
    assert_int_equal(pwrite(sim_fd(w->sim, sim_folder(w->sim, SHARD), "range"), "7", 1, 30), 1);
    assert_int_equal(adopt(&b, w, SHARD, 1, 2), 0);
    turn_until(w, &b.opened);
    assert_int_equal(b.result, -EBADMSG);
    assert_non_null(strstr(b.why, "shard-07/range is damaged"));
    spool_close(&b.spool);
    b = (struct adopter){ .told = 0 };
    assert_int_equal(ftruncate(sim_fd(w->sim, sim_folder(w->sim, SHARD), "range"), 3), 0);
    assert_int_equal(adopt(&b, w, SHARD, 1, 2), 0);
    turn_until(w, &b.opened);
    assert_int_equal(b.result, -EBADMSG);
    spool_close(&b.spool);
    end_process(w);
    world_free(&w);
}

static void a_shard_in_use_is_not_adopted(void **state)
{
    struct world *w = world_of_shards(28);
    struct adopter a = { .told = 0 }, b = { .told = 0 };

    (void)state;
    live_a_little(w, 6);
    begin_process(w);
    assert_int_equal(adopt(&a, w, SHARD, 1, 2), 0);
    assert_int_equal(adopt(&b, w, SHARD, 1, 2), -EBUSY);
    turn_until(w, &a.told);
    assert_int_equal(adopt(&b, w, SHARD, 1, 2), -EBUSY);
    spool_close(&a.spool);
    world_forget(w);
    adopt_all(&b, w, SHARD, 1);
    spool_close(&b.spool);
    end_process(w);
    world_free(&w);
}

static void closing_at_any_time_ends_the_telling(void **state)
{
    (void)state;
    for (int when = 0; when <= 3; when++) {
        struct world *w = world_of_shards(29);
        struct adopter a = { .close_at = when };

        live_a_little(w, 30);
        begin_process(w);
        assert_int_equal(adopt(&a, w, SHARD, 2, 2), 0);
        if (when == 0) /* while the thread is at it */
            spool_close(&a.spool);
        for (int i = 0; i < 200; i++) {
            loop_turn(w->loop, 0);
            usleep(100);
            if (when == 2 && a.replayed && a.spool)
                spool_close(&a.spool);
        }
        assert_null(a.spool);
        assert_int_equal(a.opened, when > 0);
        assert_int_equal(a.told, when == 3 || (when == 2 && a.told));
        loop_quiesce(w->loop);
        end_process(w);
        assert_int_equal(world_check_shards(w, sim_time(w->sim), SIM_EVERYTHING, 1, 0), 0);
        world_free(&w);
    }
}

/* More than one lot; and what was told may be done while the rest is being told. */
static void a_long_shard_is_told_in_many_turns(void **state)
{
    struct world *w = world_of_shards(30);
    struct adopter a = { .told = 0 };
    size_t most = 0, turns = 0;

    (void)state;
    w->cfg.segment_bytes = 65536;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < 2000; i++)
        world_put(w, 10);
    world_settle(w);
    world_close(w);
    begin_process(w);
    w->spool = NULL;
    assert_int_equal(adopt(&a, w, SHARD, 1, 2), 0);
    while (!a.told) {
        size_t before = a.replayed;

        loop_turn(w->loop, 1);
        turns += a.replayed > before;
        if (a.replayed - before > most)
            most = a.replayed - before;
        claim(w, a.spool);
        for (size_t i = before; i < a.replayed; i += 3) {
            w->spool = a.spool;
            world_done(w->messages[i]);
        }
    }
    assert_int_equal(a.replayed, 2000);
    assert_true(turns >= 4);
    assert_true(most <= 512);
    w->spool = NULL;
    spool_close(&a.spool);
    end_process(w);
    assert_int_equal(world_check_shards(w, sim_time(w->sim), SIM_EVERYTHING, 1, 0), 0);
    world_free(&w);
}

static void an_empty_shard_can_be_removed(void **state)
{
    struct world *w = world_of_shards(31);
    struct adopter a = { .told = 0 }, b = { .told = 0 };
    int top;

    (void)state;
    live_a_little(w, 20);
    begin_process(w);
    adopt_all(&a, w, SHARD, 1);
    assert_int_equal(spool_remove(&a.spool), 0); /* there is mail in it */
    world_forget(w);
    adopt_all(&b, w, SHARD, 1);
    w->spool = b.spool;
    for (size_t i = 0; i < w->messages_n; i++) {
        if (w->messages[i]->entry)
            world_done(w->messages[i]);
    }
    world_settle_done(w);
    w->spool = NULL;
    top = sim_folder(w->sim, SHARD);
    sim_add(w->sim, top, "00000001.damaged", "evidence", 8);
    assert_int_equal(spool_remove(&b.spool), 0);
    sim_remove(w->sim, top, "00000001.damaged");
    b = (struct adopter){ .told = 0 };
    adopt_all(&b, w, SHARD, 1);
    assert_int_equal(b.replayed, 0);
    assert_int_equal(spool_remove(&b.spool), 1);
    assert_int_equal(sim_folder(w->sim, SHARD), -1);
    assert_int_equal(sim_count(w->sim, top, ""), 0);
    end_process(w);
    for (size_t ops = 0; ops <= sim_time(w->sim); ops++) {
        assert_int_equal(world_check_shards(w, ops, SIM_NOTHING, 1, 0), 0);
        assert_int_equal(world_check_shards(w, ops, SIM_CHANCE, (uint32_t)ops + 1, 0), 0);
    }
    world_free(&w);
}

/* --- crashes --- */

/* The whole story: adopted, split, delivered from all parts, which are removed when empty. */
static void live_with_a_split(struct world *w, unsigned parts)
{
    struct adopter a = { .told = 0 };

    begin_process(w);
    adopt_all(&a, w, SHARD, parts);
    assert_int_equal(a.parts_n, parts - 1);
    deliver_some(w, a.spool);
    for (size_t i = 0; i < a.parts_n; i++) {
        struct adopter b = { .told = 0 };
        char path[64];

        part_path(path, sizeof path, a.part[i]);
        adopt_all(&b, w, path, 1);
        deliver_some(w, b.spool);
        disclaim(w, b.spool);
        spool_remove(&b.spool);
    }
    leave(&a);
    for (size_t i = 0; i < w->messages_n; i++) {
        struct message *m = w->messages[i];

        if (m->done_asked != NEVER && m->done_durable == NEVER)
            m->done_durable = sim_time(w->sim);
    }
    end_process(w);
}

static void a_split_survives_a_crash_at_any_operation(void **state)
{
    struct world *w = world_of_shards(32);
    size_t from;

    (void)state;
    live_a_little(w, 24);
    from = sim_time(w->sim);
    live_with_a_split(w, 3);
    for (size_t ops = from; ops <= sim_time(w->sim); ops++) {
        assert_int_equal(world_check_shards(w, ops, SIM_NOTHING, 1, 0), 0);
        assert_int_equal(world_check_shards(w, ops, SIM_EVERYTHING, 1, 0), 0);
        for (uint32_t seed = 1; seed <= 6; seed++)
            assert_int_equal(world_check_shards(w, ops, SIM_CHANCE, (uint32_t)ops * 7919 + seed, 0),
                             0);
    }
    world_free(&w);
}

/* Those who open the shards afterwards finish the split; they may crash, too. */
static void so_does_whoever_finishes_it(void **state)
{
    struct world *w = world_of_shards(33);
    size_t from, to;

    (void)state;
    live_a_little(w, 8);
    from = sim_time(w->sim);
    begin_process(w);
    {
        struct adopter a = { .told = 0 };

        adopt_all(&a, w, SHARD, 3);
        assert_int_equal(a.parts_n, 2);
        spool_close(&a.spool);
    }
    end_process(w);
    to = sim_time(w->sim);
    for (size_t ops = from; ops <= to; ops++) {
        assert_int_equal(world_check_shards(w, ops, SIM_NOTHING, 1, 1), 0);
        assert_int_equal(world_check_shards(w, ops, SIM_CHANCE, (uint32_t)ops * 31 + 7, 1), 0);
    }
    world_free(&w);
}

static void a_failing_disk_leaves_the_shard_whole_or_split(void **state)
{
    (void)state;
    for (int fail = 1; fail <= 12; fail++) {
        struct world *w = world_of_shards(34);
        struct sim_faults f = { .sync_fails = fail };
        struct adopter a = { .told = 0 };

        live_a_little(w, 16);
        begin_process(w);
        sim_set_faults(w->sim, &f);
        if (adopt(&a, w, SHARD, 3, 2) == 0) {
            turn_until(w, &a.opened);
            spool_close(&a.spool);
        }
        sim_set_faults(w->sim, &(struct sim_faults){ .sync_fails = 0 });
        loop_quiesce(w->loop);
        end_process(w);
        assert_int_equal(world_check_shards(w, sim_time(w->sim), SIM_EVERYTHING, 1, 0), 0);
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_in_one_part_and_nothing_is_copied),
        cmocka_unit_test(a_short_shard_is_not_split),
        cmocka_unit_test(a_part_can_be_split_again),
        cmocka_unit_test(a_part_takes_new_mail_and_a_rule_goes_with_its_segments),
        cmocka_unit_test(where_files_have_one_name_only_the_shard_stays_whole),
        cmocka_unit_test(damage_is_not_multiplied),
        cmocka_unit_test(a_damaged_range_is_refused_in_words),
        cmocka_unit_test(a_shard_in_use_is_not_adopted),
        cmocka_unit_test(closing_at_any_time_ends_the_telling),
        cmocka_unit_test(a_long_shard_is_told_in_many_turns),
        cmocka_unit_test(an_empty_shard_can_be_removed),
        cmocka_unit_test(a_split_survives_a_crash_at_any_operation),
        cmocka_unit_test(so_does_whoever_finishes_it),
        cmocka_unit_test(a_failing_disk_leaves_the_shard_whole_or_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
