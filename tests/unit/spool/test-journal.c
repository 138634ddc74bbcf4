/* The life of a message on a disk that works. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/content.h"
#include "util/loop.h"
#include "world.h"

static struct world *opened(uint32_t seed)
{
    struct world *w = world_new(seed);

    assert_int_equal(world_open(w), 0);
    return w;
}

/* Closes and opens again; everything promised must be there. */
static void reopen(struct world *w)
{
    world_close(w);
    assert_int_equal(world_open(w), 0);
    assert_int_equal(world_check(w, sim_time(w->sim)), 0);
    assert_int_equal(world_stats(w).damaged_records, 0);
    assert_int_equal(world_stats(w).torn_bytes, 0);
}

static void a_message_is_there_after_a_restart(void **state)
{
    struct world *w = opened(1);

    (void)state;
    for (size_t size = 0; size < 1400; size += 100)
        world_put(w, size);
    world_settle(w);
    assert_int_equal(world_stats(w).live_messages, 14);
    assert_int_equal(world_stats(w).appended, 14);
    reopen(w);
    assert_int_equal(world_stats(w).live_messages, 14);
    for (size_t i = 0; i < 14; i++)
        assert_true(world_intact(w->messages[i]));
    world_free(&w);
}

static void the_newest_state_counts(void **state)
{
    struct world *w = opened(2);
    struct message *m = world_put(w, 10);
    void *text;
    size_t len;

    (void)state;
    world_settle(w);
    assert_int_equal(spool_read_state(w->spool, m->entry, &text, &len), -ENODATA);
    for (int i = 0; i < 5; i++)
        world_state(m, 0);
    /* Not on the disk yet, but this is what is asked for. */
    assert_int_equal(spool_read_state(w->spool, m->entry, &text, &len), 0);
    assert_memory_equal(text, "state 4 ", 8);
    free(text);
    world_settle(w);
    assert_int_equal(spool_read_state(w->spool, m->entry, &text, &len), 0);
    assert_memory_equal(text, "state 4 ", 8);
    free(text);
    reopen(w);
    assert_int_equal(m->seen_state, 4);
    world_free(&w);
}

static void what_is_done_is_gone_and_so_is_its_segment(void **state)
{
    struct world *w = opened(3);

    (void)state;
    for (int i = 0; i < 30; i++)
        world_put(w, 500);
    world_settle(w);
    assert_true(world_stats(w).segments > 4);
    for (int i = 0; i < 30; i++)
        world_done(w->messages[i]);
    world_settle_done(w);
    reopen(w);
    assert_int_equal(world_stats(w).live_messages, 0);
    world_turns(w, 5);
    world_put(w, 1);
    world_settle(w);
    world_turns(w, 20);
    assert_true(world_stats(w).segments <= 2);
    world_free(&w);
}

static void a_state_may_be_followed_by_done_at_once(void **state)
{
    struct world *w = opened(4);
    struct message *m = world_put(w, 10);

    (void)state;
    world_settle(w);
    world_state(m, 0);
    world_state(m, 0);
    world_done(m);
    world_settle_done(w);
    reopen(w);
    assert_int_equal(m->seen, 0);
    world_free(&w);
}

static void closing_writes_what_was_handed_over(void **state)
{
    struct world *w = opened(5);
    struct message *kept = world_put(w, 700), *gone = world_put(w, 20), *late;

    (void)state;
    w->cfg.lazy_sync_usec = 3600000000;
    world_settle(w);
    world_state(kept, 0);
    world_state(kept, 0); /* waits for the first */
    world_done(gone);
    late = world_put(w, 2000);
    world_close(w);
    assert_int_equal(world_open(w), 0);
    assert_int_equal(kept->seen_state, 1);
    assert_int_equal(gone->seen, 0);
    assert_int_equal(late->seen, 1);
    world_free(&w);
}

static void large_content_has_a_file_of_its_own(void **state)
{
    struct world *w = opened(6);
    struct message *m = world_put(w, 300000);

    (void)state;
    world_settle(w);
    assert_int_equal(m->result, 0);
    assert_int_equal(sim_count(w->sim, 2, ""), 1);
    assert_true(world_intact(m));
    reopen(w);
    assert_true(world_intact(m));
    world_done(m);
    world_settle_done(w);
    world_close(w);
    assert_int_equal(sim_count(w->sim, 2, ""), 0);
    world_free(&w);
}

static void an_abandoned_put_leaves_nothing(void **state)
{
    struct world *w = opened(7);
    struct spool_put *small, *large;
    static char data[100000];

    (void)state;
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &small), 0);
    assert_int_equal(spool_put_write(small, data, 100), 0);
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &large), 0);
    assert_true(spool_put_write(large, data, sizeof data) >= 0);
    assert_true(spool_put_write(large, data, sizeof data) >= 0);
    assert_true(spool_put_write(large, data, sizeof data) >= 0);
    world_turns(w, 3);
    spool_put_free(&small);
    spool_put_free(&large);
    assert_null(large);
    world_close(w);
    assert_int_equal(sim_count(w->sim, 2, ""), 0);
    world_free(&w);
}

static void the_first_bytes_stay_at_hand(void **state)
{
    struct world *w = opened(8);
    struct spool_put *put;
    char piece[1000];
    const char *head;
    size_t len;

    (void)state;
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), 0);
    head = spool_put_head(put, &len);
    assert_int_equal(len, 0);
    for (int i = 0; i < 100; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        assert_true(spool_put_write(put, piece, sizeof piece) >= 0);
        assert_int_equal(spool_put_size(put), (i + 1) * 1000);
        head = spool_put_head(put, &len);
        assert_int_equal(len, i < 65 ? (i + 1) * 1000 : 65536);
        assert_int_equal(head[len - 1], 'a' + (int)((len - 1) / 1000) % 26);
    }
    assert_int_equal(head[0], 'a');
    assert_int_equal(head[1000], 'b');
    spool_put_free(&put);
    world_free(&w);
}

struct room {
    int called, result;
};

static void on_room(void *ctx, int result)
{
    struct room *r = ctx;

    r->called++;
    r->result = result;
}

static void a_disk_that_is_behind_asks_for_patience(void **state)
{
    struct world *w = opened(9);
    struct room room = { 0, -1 };
    struct spool_put *put;
    char *data = calloc(1, 300000);
    int r = 0;

    (void)state;
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), 0);
    for (int i = 0; i < 20 && r == 0; i++)
        r = spool_put_write(put, data, 300000); /* no turn of the loop: nothing is handed over */
    assert_int_equal(r, 1);
    assert_true(spool_put_size(put) < 3000000);
    spool_put_room(put, on_room, &room);
    assert_int_equal(room.called, 0);
    for (int i = 0; i < 1000 && !room.called; i++)
        loop_turn(w->loop, 1);
    assert_int_equal(room.called, 1);
    assert_int_equal(room.result, 0);
    assert_int_equal(spool_put_write(put, data, 10), 0);
    spool_put_free(&put);
    free(data);
    world_free(&w);
}

static void fresh_content_is_read_from_memory_until_it_is_uncached(void **state)
{
    struct world *w = opened(10);
    struct message *first = world_put(w, 1000), *m;
    postern_content *c;

    (void)state;
    world_settle(w);
    c = spool_content(w->spool, first->entry);
    assert_non_null(content_memory(c));
    /* A reader may keep it longer than the cache, and longer than the message. */
    for (int i = 0; i < 6; i++)
        m = world_put(w, 1000);
    world_settle(w);
    assert_true(world_stats(w).cache_bytes <= 4000);
    assert_non_null(content_memory(c));
    content_unref(&c);
    c = spool_content(w->spool, first->entry);
    assert_null(content_memory(c));
    content_unref(&c);
    c = spool_content(w->spool, m->entry);
    assert_non_null(content_memory(c));
    content_unref(&c);
    spool_uncache(w->spool, m->entry);
    c = spool_content(w->spool, m->entry);
    assert_null(content_memory(c));
    assert_true(world_intact(m));
    content_unref(&c);
    world_free(&w);
}

static void content_outlives_message_segment_and_spool(void **state)
{
    struct world *w = opened(11);
    struct message *small = world_put(w, 900), *large = world_put(w, 5000);
    postern_content *a, *b;
    char buf[16];

    (void)state;
    world_settle(w);
    spool_uncache(w->spool, small->entry);
    a = spool_content(w->spool, small->entry);
    b = spool_content(w->spool, large->entry);
    world_done(small);
    world_done(large);
    world_settle_done(w);
    for (int i = 0; i < 20; i++)
        world_put(w, 600);
    world_settle(w);
    spool_close(&w->spool);
    assert_int_equal(content_read(a, 0, buf, sizeof buf), 16);
    assert_int_equal(content_read(b, 4995, buf, sizeof buf), 5);
    content_unref(&a);
    content_unref(&b);
    loop_free(&w->loop);
    world_free(&w);
}

static void ids_ascend_across_restarts_and_name_the_shard(void **state)
{
    struct world *w = opened(12);
    uint64_t last = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 1000; k++) {
            uint64_t id = spool_new_id(w->spool);

            assert_true(id > last);
            assert_int_equal(id & 255, 7);
            last = id;
        }
        world_put(w, 10);
        assert_true(w->messages[w->messages_n - 1]->id > last);
        last = w->messages[w->messages_n - 1]->id;
        world_settle(w);
        reopen(w);
    }
    world_free(&w);
}

static void ids_ascend_when_the_clock_has_jumped_back(void **state)
{
    struct world *w = opened(13);
    uint64_t tomorrow = spool_new_id(w->spool) + ((uint64_t)86400 * 1000000 << 8);

    (void)state;
    world_put_as(w, tomorrow, 5);
    world_settle(w);
    reopen(w);
    assert_true(spool_new_id(w->spool) > tomorrow);
    /* Even when nothing of that message is left. */
    world_done(w->messages[0]);
    world_settle_done(w);
    for (int i = 0; i < 3; i++) {
        reopen(w);
        world_turns(w, 5);
    }
    assert_true(spool_new_id(w->spool) > tomorrow);
    world_free(&w);
}

static void a_reader_changes_nothing_and_cannot_write(void **state)
{
    struct world *w = opened(14);
    struct message *m = world_put(w, 100);
    struct spool_config cfg = w->cfg;
    struct spool *reader;
    struct spool_put *put;
    char why[200];
    size_t before;

    (void)state;
    cfg.io = &w->sim->io;
    world_settle(w);
    /* While a daemon has it, nobody else gets in. */
    assert_int_equal(spool_open(&cfg, NULL, NULL, NULL, &reader, why, sizeof why), -EBUSY);
    assert_non_null(strstr(why, "in use"));
    assert_int_equal(spool_open(&cfg, w->loop, NULL, NULL, &reader, why, sizeof why), -EBUSY);
    world_close(w);
    before = sim_time(w->sim);
    assert_int_equal(spool_open(&cfg, NULL, NULL, NULL, &reader, why, sizeof why), 0);
    assert_int_equal(spool_put_new(reader, 1, 0, &put), -EROFS);
    assert_int_equal(world_open(w), -EBUSY);
    spool_close(&reader);
    assert_int_equal(sim_time(w->sim), before);
    assert_int_equal(world_open(w), 0);
    assert_true(world_intact(m));
    world_free(&w);
}

struct answer {
    int called, result;
};

static void on_answer(void *ctx, int result, struct spool_entry *entry)
{
    struct answer *a = ctx;

    a->called++;
    a->result = result;
    assert_null(entry);
}

static void a_meta_beyond_its_limit_is_refused_and_the_spool_goes_on(void **state)
{
    struct world *w = opened(15);
    struct answer answer = { 0, 0 };
    struct spool_put *put;
    size_t size = (32u << 20) + 1;
    char *meta = calloc(1, size);

    (void)state;
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), 0);
    spool_put_commit(put, meta, size, on_answer, &answer);
    assert_int_equal(answer.called, 0);
    while (!answer.called)
        loop_turn(w->loop, 1);
    assert_int_equal(answer.result, -EMSGSIZE);
    world_put(w, 1);
    world_settle(w);
    reopen(w);
    assert_int_equal(world_stats(w).live_messages, 1);
    free(meta);
    world_free(&w);
}

static void the_real_file_system_does_as_well(void **state)
{
    char folder[] = "/tmp/test-journal-XXXXXX", path[64], command[96];
    struct world *w = world_new(16);
    struct spool_config cfg = w->cfg;
    struct spool *other;
    char why[200];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/shard", folder);
    w->real = 1;
    w->cfg.path = cfg.path = path;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < 20; i++)
        world_put(w, i % 5 ? (size_t)i * 70 : 20000);
    world_settle(w);
    assert_int_equal(spool_open(&cfg, NULL, NULL, NULL, &other, why, sizeof why), -EBUSY);
    for (int i = 0; i < 10; i++)
        world_done(w->messages[i]);
    world_state(w->messages[12], 1);
    world_settle_done(w);
    world_close(w);
    assert_int_equal(world_open(w), 0);
    assert_int_equal(world_stats(w).live_messages, 10);
    assert_int_equal(w->messages[12]->seen_state, 0);
    for (int i = 10; i < 20; i++)
        assert_true(world_intact(w->messages[i]));
    world_free(&w);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_there_after_a_restart),
        cmocka_unit_test(the_newest_state_counts),
        cmocka_unit_test(what_is_done_is_gone_and_so_is_its_segment),
        cmocka_unit_test(a_state_may_be_followed_by_done_at_once),
        cmocka_unit_test(closing_writes_what_was_handed_over),
        cmocka_unit_test(large_content_has_a_file_of_its_own),
        cmocka_unit_test(an_abandoned_put_leaves_nothing),
        cmocka_unit_test(the_first_bytes_stay_at_hand),
        cmocka_unit_test(a_disk_that_is_behind_asks_for_patience),
        cmocka_unit_test(fresh_content_is_read_from_memory_until_it_is_uncached),
        cmocka_unit_test(content_outlives_message_segment_and_spool),
        cmocka_unit_test(ids_ascend_across_restarts_and_name_the_shard),
        cmocka_unit_test(ids_ascend_when_the_clock_has_jumped_back),
        cmocka_unit_test(a_reader_changes_nothing_and_cannot_write),
        cmocka_unit_test(a_meta_beyond_its_limit_is_refused_and_the_spool_goes_on),
        cmocka_unit_test(the_real_file_system_does_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
