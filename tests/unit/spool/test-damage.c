/* What is damaged is reported and kept, what is readable is found, and what a crash tore is cut. */
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

#include "spool/journal-format.h"
#include "util/content.h"
#include "util/crc32c.h"
#include "world.h"

#define BEGIN 64 /* the first record after the segment's own */

/* A world with so many messages of 200 bytes in its first segment, closed. */
static struct world *with_messages(uint32_t seed, int n)
{
    struct world *w = world_new(seed);

    w->cfg.segment_bytes = 65536;
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < n; i++) {
        world_put(w, 200);
        world_settle(w);
    }
    world_close(w);
    return w;
}

/* Where message i's record is, by walking the headers. */
static off_t record_at(struct world *w, int i, uint32_t *ret_len)
{
    int fd = sim_fd(w->sim, 1, "00000001.seg");
    unsigned char h[FORMAT_HEADER];
    off_t at = BEGIN;

    for (;; i--) {
        uint32_t len;

        assert_int_equal(pread(fd, h, sizeof h, at), sizeof h);
        len = format_u32_read(h + 8);
        if (i == 0) {
            *ret_len = FORMAT_HEADER + len;
            return at;
        }
        at += FORMAT_HEADER + (off_t)len;
    }
}

static void spoil(struct world *w, const char *name, off_t at)
{
    int fd = sim_fd(w->sim, 1, name);
    unsigned char c;

    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x55;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static int seen(struct world *w)
{
    int n = 0;

    for (size_t i = 0; i < w->messages_n; i++)
        n += w->messages[i]->seen;
    return n;
}

static void a_spoiled_payload_costs_one_message_and_sets_the_segment_aside(void **state)
{
    struct world *w = with_messages(1, 5);
    uint32_t len;

    (void)state;
    spoil(w, "00000001.seg", record_at(w, 2, &len) + 100);
    assert_int_equal(world_open(w), 0);
    assert_int_equal(seen(w), 4);
    assert_int_equal(w->messages[2]->seen, 0);
    assert_int_equal(world_stats(w).damaged_records, 1);
    assert_int_equal(world_stats(w).damaged_segments, 1);
    for (int i = 0; i < 5; i++) {
        if (i != 2)
            assert_true(world_intact(w->messages[i]));
    }
    assert_true(sim_exists(w->sim, 1, "00000001.seg")); /* there is live mail in it */
    for (int i = 0; i < 5; i++) {
        if (i != 2)
            world_done(w->messages[i]);
    }
    world_settle_done(w);
    world_close(w);
    assert_false(sim_exists(w->sim, 1, "00000001.seg"));
    assert_true(sim_exists(w->sim, 1, "00000001.damaged"));
    /* It is out of the way, and no longer counted. */
    assert_int_equal(world_open(w), 0);
    assert_int_equal(seen(w), 0);
    assert_int_equal(world_stats(w).damaged_records, 0);
    world_free(&w);
}

static void a_spoiled_header_is_passed_over_by_searching(void **state)
{
    (void)state;
    for (off_t byte = 0; byte < (off_t)FORMAT_HEADER; byte++) {
        struct world *w = with_messages(2, 4);
        uint32_t len;

        spoil(w, "00000001.seg", record_at(w, 1, &len) + byte);
        assert_int_equal(world_open(w), 0);
        assert_int_equal(seen(w), 3);
        assert_int_equal(w->messages[1]->seen, 0);
        assert_int_equal(world_stats(w).damaged_records, 1);
        assert_true(world_intact(w->messages[3]));
        world_free(&w);
    }
}

static void a_spoiled_begin_of_a_segment_hides_nothing(void **state)
{
    (void)state;
    for (off_t byte = 0; byte < BEGIN; byte += 3) {
        struct world *w = with_messages(3, 4);

        spoil(w, "00000001.seg", byte);
        assert_int_equal(world_open(w), 0);
        assert_int_equal(seen(w), 4);
        for (int i = 0; i < 4; i++)
            assert_true(world_intact(w->messages[i]));
        world_free(&w);
    }
}

static void a_missing_piece_costs_only_what_was_in_it(void **state)
{
    struct world *w = with_messages(4, 10);
    uint32_t len;
    off_t from = record_at(w, 3, &len) + 17, to = record_at(w, 6, &len) + 5;
    static char zeros[2000];

    (void)state;
    assert_int_equal(pwrite(sim_fd(w->sim, 1, "00000001.seg"), zeros, (size_t)(to - from), from),
                     to - from);
    assert_int_equal(world_open(w), 0);
    assert_int_equal(seen(w), 6); /* 3, 4, 5 and 6 are lost */
    assert_true(world_stats(w).damaged_records >= 1);
    world_free(&w);
}

static void a_torn_end_is_cut_and_is_no_damage(void **state)
{
    uint32_t len;
    struct world *w = with_messages(5, 3);
    off_t last = record_at(w, 2, &len);

    (void)state;
    for (off_t keep = 1; keep < (off_t)len; keep += 37) {
        struct sim *copy = sim_crash(w->sim, NEVER, SIM_EVERYTHING, 1), *original = w->sim;
        uint64_t torn;

        w->sim = copy;
        assert_int_equal(ftruncate(sim_fd(copy, 1, "00000001.seg"), last + keep), 0);
        assert_int_equal(world_open(w), 0);
        assert_int_equal(seen(w), 2);
        torn = world_stats(w).torn_bytes;
        assert_int_equal(torn, keep);
        assert_int_equal(world_stats(w).damaged_records, 0);
        world_close(w);
        /* Next time there is nothing left to be said about it. */
        assert_int_equal(world_open(w), 0);
        assert_int_equal(seen(w), 2);
        assert_int_equal(world_stats(w).torn_bytes, 0);
        world_close(w);
        sim_free(&copy);
        w->sim = original;
    }
    world_free(&w);
}

/* One group of three, of which a crash left the second whole: not one of them was acknowledged. */
static void a_hole_that_a_crash_tore_never_becomes_damage(void **state)
{
    struct world *w = with_messages(12, 0);
    uint32_t len;
    off_t last;

    (void)state;
    sim_remove(w->sim, 1, "00000001.seg"); /* the first life was only a warm-up */
    assert_int_equal(world_open(w), 0);
    for (int i = 0; i < 3; i++)
        world_put(w, 200);
    world_settle(w);
    world_close(w);
    spoil(w, "00000001.seg", record_at(w, 0, &len) + 100);
    last = record_at(w, 2, &len);
    assert_int_equal(ftruncate(sim_fd(w->sim, 1, "00000001.seg"), last + 50), 0);
    for (int life = 0; life < 3; life++) {
        assert_int_equal(world_open(w), 0);
        assert_int_equal(seen(w), 1);
        assert_true(world_intact(w->messages[1]));
        assert_int_equal(world_stats(w).damaged_records, 0);
        assert_true(world_stats(w).torn_bytes > 0);
        world_close(w);
    }
    world_free(&w);
}

static void an_end_that_was_durable_is_damage_and_is_not_cut(void **state)
{
    struct world *w = with_messages(6, 3);
    uint32_t len;
    off_t last = record_at(w, 2, &len);

    (void)state;
    assert_int_equal(world_open(w), 0); /* begins a second segment, which vouches for the first */
    world_close(w);
    spoil(w, "00000001.seg", last + 60);
    assert_int_equal(world_open(w), 0);
    assert_int_equal(seen(w), 2);
    assert_int_equal(world_stats(w).damaged_records, 1);
    assert_int_equal(world_stats(w).torn_bytes, 0);
    assert_int_equal(lseek(sim_fd(w->sim, 1, "00000001.seg"), 0, SEEK_END), last + len);
    world_free(&w);
}

/* What a segment says of the one before counts only if it is what was written. */
static void a_spoiled_word_for_the_segment_before_is_not_believed(void **state)
{
    struct world *w = with_messages(13, 3);
    int fd = sim_fd(w->sim, 1, "00000001.seg");
    off_t size = lseek(fd, 0, SEEK_END);

    (void)state;
    assert_int_equal(world_open(w), 0);
    world_close(w);
    assert_int_equal(pwrite(fd, "what a crash has torn", 21, size), 21);
    spoil(w, "00000002.seg", FORMAT_HEADER + 18); /* in prev_synced: it becomes far larger */
    assert_int_equal(world_open(w), 0);
    assert_int_equal(seen(w), 3);
    assert_int_equal(world_stats(w).damaged_records, 0);
    assert_true(world_stats(w).torn_bytes >= 21);
    world_free(&w);
}

/* A record that somebody sends us as the content of a mail, in the hope that the record before it
 * gets damaged one day: DONE for all mail, or mail from nowhere. */
static size_t forge(unsigned char *out, uint8_t type, uint64_t id, uint32_t salt)
{
    struct format_header h = { .type = type, .id = id, .salt = salt };

    h.length = type == FORMAT_DONE ? FORMAT_DONE_LEN : FORMAT_WORD + 4;
    memset(out + FORMAT_HEADER, 0, h.length);
    h.payload_crc = crc32c(0, out + FORMAT_HEADER, h.length);
    format_header(out, &h);
    return FORMAT_HEADER + h.length;
}

static void content_cannot_forge_records(void **state)
{
    struct world *w = world_new(7);
    unsigned char content[200];
    struct spool_put *put;
    struct message *victim;
    uint32_t len;
    size_t n;

    (void)state;
    assert_int_equal(world_open(w), 0);
    victim = world_put(w, 200);
    world_settle(w);
    n = forge(content, FORMAT_DONE, victim->id, 0);
    n += forge(content + n, FORMAT_MESSAGE, victim->id + 256, 0);
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), 0);
    assert_int_equal(spool_put_write(put, content, n), 0);
    spool_put_commit(put, "", 0, NULL, NULL);
    world_close(w);
    spoil(w, "00000001.seg",
          record_at(w, 1, &len) + 9); /* its length: so the search begins in it */
    assert_int_equal(world_open(w), 0);
    assert_int_equal(victim->seen, 1);
    assert_int_equal(w->wrong, 0); /* a message that never was would be noticed */
    assert_int_equal(world_stats(w).live_messages, 1);
    world_free(&w);
}

static void an_unreadable_place_costs_only_what_is_there(void **state)
{
    struct world *w = with_messages(8, 60);
    struct sim_faults f = { .read_fails = 1, .read_name = "00000001.seg" };

    (void)state;
    f.read_from = 8192;
    f.read_to = 8193;
    sim_set_faults(w->sim, &f);
    assert_int_equal(world_open(w), 0);
    /* One sector of 4096 bytes; records are a little more than 240 bytes. */
    assert_in_range(seen(w), 60 - 20, 60 - 10);
    assert_int_equal(world_stats(w).damaged_segments, 1);
    world_free(&w);
}

static void large_message(struct world **ret, struct message **ret_m, char name[40])
{
    struct world *w = world_new(9);
    struct message *m;

    assert_int_equal(world_open(w), 0);
    m = world_put(w, 5000);
    world_put(w, 100);
    world_settle(w);
    world_close(w);
    format_content_name(name, m->id);
    *ret = w;
    *ret_m = m;
}

static void a_damaged_content_file_is_kept_and_not_delivered(void **state)
{
    struct world *w;
    struct message *m;
    char name[40], aside[64];
    unsigned char c;

    (void)state;
    large_message(&w, &m, name);
    assert_int_equal(pread(sim_fd(w->sim, 2, name), &c, 1, 3000), 1);
    c ^= 1;
    assert_int_equal(pwrite(sim_fd(w->sim, 2, name), &c, 1, 3000), 1);
    assert_int_equal(world_open(w), 0);
    assert_int_equal(m->seen, 0);
    assert_int_equal(w->messages[1]->seen, 1);
    assert_int_equal(world_stats(w).damaged_records, 1);
    snprintf(aside, sizeof aside, "%s.damaged", name);
    assert_true(sim_exists(w->sim, 2, aside));
    world_done(w->messages[1]);
    world_settle_done(w);
    world_close(w);
    assert_int_equal(world_open(w), 0);
    world_close(w);
    assert_true(sim_exists(w->sim, 2, aside));
    assert_true(sim_exists(w->sim, 1, "00000001.damaged"));
    world_free(&w);
}

static void a_missing_content_file_is_reported(void **state)
{
    struct world *w;
    struct message *m;
    char name[40];

    (void)state;
    large_message(&w, &m, name);
    sim_remove(w->sim, 2, name);
    assert_int_equal(world_open(w), 0);
    assert_int_equal(m->seen, 0);
    assert_int_equal(world_stats(w).damaged_records, 1);
    world_free(&w);
}

static void an_unfinished_content_file_is_removed_unless_there_is_damage(void **state)
{
    struct world *w = with_messages(10, 3);
    uint32_t len;

    (void)state;
    sim_add(w->sim, 2, "00000000000abc07", "half", 4);
    sim_add(w->sim, 2, "notes.txt", "not ours", 8);
    assert_int_equal(world_open(w), 0);
    world_close(w);
    assert_false(sim_exists(w->sim, 2, "00000000000abc07"));
    assert_true(sim_exists(w->sim, 2, "notes.txt"));
    sim_add(w->sim, 2, "00000000000abc07", "all that is left?", 17);
    spoil(w, "00000001.seg", record_at(w, 1, &len) + 50);
    assert_int_equal(world_open(w), 0);
    world_close(w);
    assert_true(sim_exists(w->sim, 2, "00000000000abc07"));
    world_free(&w);
}

static void a_newer_format_is_refused_in_words(void **state)
{
    struct world *w = with_messages(11, 1);
    int fd = sim_fd(w->sim, 1, "00000001.seg");
    unsigned char p[BEGIN];
    struct format_header h;

    (void)state;
    assert_int_equal(pread(fd, p, sizeof p, 0), sizeof p);
    assert_int_equal(format_header_read(p, 0, &h), 0);
    p[FORMAT_HEADER] = FORMAT_VERSION + 1;
    h.payload_crc = crc32c(0, p + FORMAT_HEADER, FORMAT_SEGMENT_LEN);
    format_header(p, &h);
    assert_int_equal(pwrite(fd, p, sizeof p, 0), sizeof p);
    assert_int_equal(world_open(w), -EPROTONOSUPPORT);
    assert_non_null(strstr(w->why, "format 2"));
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spoiled_payload_costs_one_message_and_sets_the_segment_aside),
        cmocka_unit_test(a_spoiled_header_is_passed_over_by_searching),
        cmocka_unit_test(a_spoiled_begin_of_a_segment_hides_nothing),
        cmocka_unit_test(a_missing_piece_costs_only_what_was_in_it),
        cmocka_unit_test(a_torn_end_is_cut_and_is_no_damage),
        cmocka_unit_test(a_hole_that_a_crash_tore_never_becomes_damage),
        cmocka_unit_test(an_end_that_was_durable_is_damage_and_is_not_cut),
        cmocka_unit_test(a_spoiled_word_for_the_segment_before_is_not_believed),
        cmocka_unit_test(content_cannot_forge_records),
        cmocka_unit_test(an_unreadable_place_costs_only_what_is_there),
        cmocka_unit_test(a_damaged_content_file_is_kept_and_not_delivered),
        cmocka_unit_test(a_missing_content_file_is_reported),
        cmocka_unit_test(an_unfinished_content_file_is_removed_unless_there_is_damage),
        cmocka_unit_test(a_newer_format_is_refused_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
