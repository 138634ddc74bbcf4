/* Every kind of damage is found and said, with repair nothing of it is lost, and a spool that is
 * sound has no findings, however busy it is. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "spool/analyze.h"
#include "spool/journal-format.h"
#include "util/loop.h"
#include "world.h"

#define BEGIN 64

/* --- a shard on the real file system --- */

static char folder[64];

static struct world *real_world(uint32_t seed)
{
    struct world *w = world_new(seed);
    static char path[80];

    strcpy(folder, "/tmp/test-analyze-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/shard-07", folder);
    w->real = 1;
    w->cfg.path = path;
    w->cfg.keep_orphans = 1;
    w->cfg.segment_bytes = 65536;
    assert_int_equal(world_open(w), 0);
    return w;
}

static void end(struct world *w)
{
    char command[100];

    world_free(&w);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

/* Three small messages, the fourth large, all closed. */
static struct world *four_messages(uint32_t seed)
{
    struct world *w = real_world(seed);

    for (int i = 0; i < 4; i++) {
        world_put(w, i < 3 ? 200 : 5000);
        world_settle(w);
    }
    world_close(w);
    return w;
}

static const char *in_shard(const char *name)
{
    static char path[160];

    snprintf(path, sizeof path, "%s/shard-07/%s", folder, name);
    return path;
}

static const char *content_of(const struct message *m)
{
    static char name[64];

    snprintf(name, sizeof name, "content/%016llx", (unsigned long long)m->id);
    return name;
}

static int exists(const char *name)
{
    return access(in_shard(name), F_OK) == 0;
}

static void flip(const char *name, off_t at)
{
    int fd = open(in_shard(name), O_RDWR);
    unsigned char c;

    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x10;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static void make_file(const char *name, const char *text)
{
    int fd = open(in_shard(name), O_WRONLY | O_CREAT | O_EXCL, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* Where record i of the first segment is. */
static off_t record_at(int i)
{
    int fd = open(in_shard("00000001.seg"), O_RDONLY);
    unsigned char h[FORMAT_HEADER];
    off_t at = BEGIN;

    for (; i > 0; i--) {
        assert_int_equal(pread(fd, h, sizeof h, at), sizeof h);
        at += FORMAT_HEADER + (off_t)format_u32_read(h + 8);
    }
    close(fd);
    return at;
}

/* --- analysing --- */

/* What the world's messages begin with; anything else can't be decoded. */
static enum spool_check check(const void *meta, size_t meta_len, const void *state,
                              size_t state_len)
{
    if (meta_len < 8 || memcmp(meta, "meta of ", 8))
        return SPOOL_CHECK_META;
    return state && (state_len < 6 || memcmp(state, "state ", 6)) ? SPOOL_CHECK_STATE
                                                                  : SPOOL_CHECK_OK;
}

struct queue { /* a queue that holds all but one */
    uint64_t missing, taken, held;
    char why[200];
};

static int holds(void *ctx, uint64_t id)
{
    return id != ((struct queue *)ctx)->missing;
}

static int enqueue(void *ctx, struct spool_entry *e, const void *meta, size_t meta_len,
                   const void *state, size_t state_len)
{
    if (check(meta, meta_len, state, state_len) != SPOOL_CHECK_OK)
        return -EBADMSG;
    ((struct queue *)ctx)->taken = spool_entry_id(e);
    return 0;
}

static int hold(void *ctx, uint64_t id, const char *why)
{
    struct queue *q = ctx;

    q->held = id;
    snprintf(q->why, sizeof q->why, "%s", why);
    return 0;
}

static struct spool_analyze_setup setup_of(struct queue *q, int repair)
{
    return (struct spool_analyze_setup){ .ctx = q,
                                         .repair = repair,
                                         .owner = geteuid(),
                                         .check = check,
                                         .holds = q ? holds : NULL,
                                         .enqueue = q ? enqueue : NULL,
                                         .hold = q ? hold : NULL };
}

static struct spool_report analyze(struct spool *s, struct queue *q, int repair,
                                   struct spool_analysis **ret)
{
    static struct spool_report report; /* the analysis may outlive this call */
    struct spool_analyze_setup setup = setup_of(q, repair);
    struct spool_analysis *a;

    report = (struct spool_report){ 0 };
    assert_int_equal(spool_analysis_new(s, &setup, &report, &a), 0);
    while (spool_analysis_prepare(a))
        assert_int_equal(spool_analysis_work(a), 0);
    if (ret)
        *ret = a;
    else
        spool_analysis_free(&a);
    return report;
}

/* With the gateway down. */
static struct spool_report look(struct world *w)
{
    struct spool_config cfg = w->cfg;
    struct spool *s;
    struct spool_report report;
    char why[200];

    cfg.io = NULL;
    assert_int_equal(spool_open(&cfg, NULL, NULL, NULL, &s, why, sizeof why), 0);
    report = analyze(s, NULL, 0, NULL);
    spool_close(&s);
    return report;
}

static const struct spool_finding *find(const struct spool_report *r, const char *kind)
{
    for (size_t i = 0; i < r->n; i++) {
        if (!strcmp(r->v[i].kind, kind)) {
            assert_true(*r->v[i].found && *r->v[i].expected && *r->v[i].repair);
            return &r->v[i];
        }
    }
    for (size_t i = 0; i < r->n; i++)
        print_message("%s %s: %s\n", r->v[i].kind, r->v[i].file, r->v[i].found);
    fail_msg("no finding is a %s", kind);
    return NULL;
}

static void nothing_is_wrong(struct world *w)
{
    struct spool_report r = look(w);

    for (size_t i = 0; i < r.n; i++)
        print_message("%s %s: %s\n", r.v[i].kind, r.v[i].file, r.v[i].found);
    assert_int_equal(r.faults, 0);
    spool_report_done(&r);
}

static int emptied(struct world *w)
{
    return !spool_emptying(w->spool);
}

/* --- tests --- */

static void a_sound_spool_has_no_findings_and_is_counted(void **state)
{
    struct world *w = four_messages(1);
    struct spool_report r = look(w);

    (void)state;
    assert_int_equal(r.n, 0);
    assert_int_equal(r.faults, 0);
    assert_int_equal(r.facts.live_messages, 4);
    assert_int_equal(r.facts.messages, 4);
    assert_int_equal(r.facts.segments, 1);
    assert_int_equal(r.facts.content_files, 1);
    assert_int_equal(r.facts.content_bytes, 5000);
    assert_int_equal(r.facts.reclaimable_bytes, 0);
    spool_report_done(&r);
    assert_int_equal(world_open(w), 0);
    world_done(w->messages[0]);
    world_settle_done(w);
    r = analyze(w->spool, NULL, 0, NULL);
    assert_int_equal(r.faults, 0);
    assert_true(r.facts.reclaimable_bytes >= 200);
    assert_int_equal(r.facts.dones, 1);
    spool_report_done(&r);
    end(w);
}

static void a_flipped_byte_is_found_copied_aside_and_can_be_rebuilt(void **state)
{
    static const int places[] = { 4, 17, 30, 33, 100 }; /* header, id, its CRC, payload */

    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct world *w = four_messages(2);
        const struct spool_finding *f;
        struct spool_analysis *a;
        struct spool_report r;
        struct spool_lost *l;
        struct spool_salvage s;
        struct queue q = { 0 };
        off_t at = record_at(1);
        char copy[80];
        int in_meta = places[i] == 33; /* the length of the meta: then nothing is left to go by */

        /* A second life vouches for what the first has written. */
        assert_int_equal(world_open(w), 0);
        world_close(w);
        flip("00000001.seg", at + places[i]);
        r = look(w);
        assert_int_equal(r.faults, 1);
        f = find(&r, "damaged-record");
        assert_string_equal(f->file, "00000001.seg");
        assert_int_equal(f->at, at);
        assert_int_equal(f->bytes,
                         record_at(2) - at > 0 && places[i] > 30 ? record_at(2) - at
                                                                 : (off_t)f->bytes);
        assert_non_null(strstr(f->repair, "lost+found"));
        assert_int_equal(f->state, SPOOL_FOUND);
        assert_false(exists("lost+found"));
        spool_report_done(&r);

        assert_int_equal(world_open(w), 0);
        r = analyze(w->spool, &q, 1, &a);
        f = find(&r, "damaged-record");
        assert_int_equal(f->state, SPOOL_REPAIRED);
        snprintf(copy, sizeof copy, "lost+found/00000001-%lld.record", (long long)at);
        assert_true(exists(copy));
        l = spool_analysis_next_lost(a);
        assert_non_null(l);
        assert_int_equal(spool_lost_read(a, l, &s), in_meta ? -ENODATA : 0);
        if (!in_meta) {
            assert_int_equal(s.size, 200);
            assert_memory_equal(s.meta, "meta of ", 8);
            spool_salvage_done(&s);
        }
        assert_null(spool_analysis_next_lost(a));
        spool_lost_settle(a, l, in_meta ? 0 : 1, "no envelope");
        spool_analysis_free(&a);
        spool_report_done(&r);
        world_until(w, emptied);
        world_close(w);
        assert_true(exists("00000001.damaged"));
        nothing_is_wrong(w);
        end(w);
    }
}

static void a_damaged_record_of_a_message_that_is_done_is_not_rebuilt(void **state)
{
    struct world *w = four_messages(3);
    struct spool_analysis *a;
    struct spool_report r;
    struct queue q = { 0 };

    (void)state;
    assert_int_equal(world_open(w), 0);
    world_done(w->messages[1]);
    world_settle_done(w);
    world_close(w);
    flip("00000001.seg", record_at(1) + 100);
    assert_int_equal(world_open(w), 0);
    r = analyze(w->spool, &q, 1, &a);
    assert_int_equal(find(&r, "damaged-record")->state, SPOOL_REPAIRED);
    assert_null(spool_analysis_next_lost(a));
    spool_analysis_free(&a);
    spool_report_done(&r);
    end(w);
}

static void a_record_that_gets_bad_while_its_message_waits_is_held(void **state)
{
    struct world *w = four_messages(4);
    struct spool_report r;
    struct queue q = { 0 };

    (void)state;
    assert_int_equal(world_open(w), 0);
    flip("00000001.seg", record_at(1) + 100);
    r = analyze(w->spool, &q, 1, NULL);
    find(&r, "damaged-record");
    assert_int_equal(q.held, w->messages[1]->id);
    assert_non_null(strstr(q.why, "damaged"));
    spool_report_done(&r);
    end(w);
}

static void a_truncated_segment_shows_what_is_missing(void **state)
{
    struct world *w = four_messages(5);
    const struct spool_finding *f;
    struct spool_report r;
    off_t at = record_at(2);

    (void)state;
    assert_int_equal(world_open(w), 0);
    world_close(w);
    assert_int_equal(truncate(in_shard("00000001.seg"), at + 50), 0);
    r = look(w);
    f = find(&r, "damaged-record");
    assert_int_equal(f->at, at);
    assert_int_equal(f->bytes, 50);
    f = find(&r, "orphan-content"); /* the large message's record was behind it */
    assert_string_equal(f->file, content_of(w->messages[3]));
    spool_report_done(&r);
    end(w);
}

static void a_torn_end_is_a_note(void **state)
{
    struct world *w = four_messages(6);
    struct spool_report r;
    int fd = open(in_shard("00000001.seg"), O_WRONLY | O_APPEND);

    (void)state;
    assert_int_equal(write(fd, "half a record", 13), 13);
    close(fd);
    r = look(w);
    assert_int_equal(r.faults, 0);
    assert_int_equal(find(&r, "torn")->bytes, 13);
    assert_int_equal(r.facts.torn_bytes, 13);
    spool_report_done(&r);
    end(w);
}

static void a_content_file_that_is_wrong_or_gone_is_found(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        struct world *w = four_messages(7);
        const char *kind = gone ? "content-missing" : "content-damaged";
        struct message *m = w->messages[3];
        struct spool_analysis *a;
        struct spool_report r;
        struct spool_lost *l;
        struct spool_salvage s;
        struct queue q = { 0 };

        if (gone)
            unlink(in_shard(content_of(m)));
        else
            flip(content_of(m), 3000);
        r = look(w);
        assert_int_equal(find(&r, kind)->id, m->id);
        assert_string_equal(find(&r, kind)->file, content_of(m));
        spool_report_done(&r);
        assert_int_equal(world_open(w), 0);
        r = analyze(w->spool, &q, 1, &a);
        assert_int_equal(find(&r, kind)->state, SPOOL_REPAIRED);
        l = spool_analysis_next_lost(a);
        assert_int_equal(spool_lost_read(a, l, &s), gone ? -ENOENT : 0);
        if (!gone) {
            assert_int_equal(s.size, 5000);
            spool_salvage_done(&s);
        }
        spool_lost_settle(a, l, gone ? 0 : 1, "no content");
        spool_analysis_free(&a);
        spool_report_done(&r);
        world_until(w, emptied);
        world_close(w);
        nothing_is_wrong(w);
        end(w);
    }
}

static void content_that_gets_wrong_while_its_message_waits_is_held(void **state)
{
    struct world *w = four_messages(8);
    struct message *m = w->messages[3];
    struct spool_report r;
    struct queue q = { 0 };

    (void)state;
    assert_int_equal(world_open(w), 0);
    flip(content_of(m), 10);
    r = analyze(w->spool, &q, 1, NULL);
    assert_int_equal(find(&r, "content-damaged")->id, m->id);
    assert_int_equal(q.held, m->id);
    spool_report_done(&r);
    q.held = 0;
    unlink(in_shard(content_of(m)));
    r = analyze(w->spool, &q, 1, NULL);
    assert_int_equal(find(&r, "content-missing")->id, m->id);
    assert_int_equal(q.held, m->id);
    spool_report_done(&r);
    end(w);
}

static void an_orphan_is_moved_to_lost_and_found(void **state)
{
    struct world *w = four_messages(9);
    struct spool_report r;

    (void)state;
    make_file("content/00000000000abc07", "all that is left");
    r = look(w);
    assert_int_equal(r.faults, 1);
    assert_string_equal(find(&r, "orphan-content")->file, "content/00000000000abc07");
    assert_int_equal(find(&r, "orphan-content")->bytes, 16);
    spool_report_done(&r);
    assert_int_equal(world_open(w), 0);
    r = analyze(w->spool, NULL, 1, NULL);
    assert_int_equal(find(&r, "orphan-content")->state, SPOOL_REPAIRED);
    spool_report_done(&r);
    assert_false(exists("content/00000000000abc07"));
    assert_true(exists("lost+found/00000000000abc07.content"));
    world_close(w);
    r = look(w);
    assert_int_equal(r.faults, 0);
    assert_int_equal(r.facts.lost_files, 1);
    assert_int_equal(r.facts.lost_bytes, 16);
    spool_report_done(&r);
    end(w);
}

static void unknown_files_are_noted_and_left_alone(void **state)
{
    struct world *w = four_messages(10);
    struct spool_report r;

    (void)state;
    make_file("notes.txt", "mine");
    make_file("content/0123", "mine");
    assert_int_equal(mkdir(in_shard("more"), 0700), 0);
    assert_int_equal(symlink("/nowhere", in_shard("link")), 0);
    assert_int_equal(world_open(w), 0);
    r = analyze(w->spool, NULL, 1, NULL);
    assert_int_equal(r.faults, 0);
    assert_int_equal(r.n, 4);
    find(&r, "unknown-file");
    spool_report_done(&r);
    assert_true(exists("notes.txt") && exists("content/0123"));
    end(w);
}

static void modes_are_mended(void **state)
{
    struct world *w = four_messages(11);
    struct spool_report r;
    struct stat st;

    (void)state;
    chmod(in_shard("00000001.seg"), 0644);
    chmod(in_shard("content"), 0755);
    r = look(w);
    assert_int_equal(r.faults, 2);
    assert_non_null(strstr(find(&r, "wrong-mode")->expected, "0"));
    spool_report_done(&r);
    assert_int_equal(world_open(w), 0);
    r = analyze(w->spool, NULL, 1, NULL);
    assert_int_equal(r.faults, 2);
    assert_int_equal(r.mended, 2);
    spool_report_done(&r);
    world_close(w);
    assert_int_equal(stat(in_shard("00000001.seg"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(in_shard("content"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    nothing_is_wrong(w);
    /* And without opening the spool, which may not be possible. */
    chmod(in_shard("lock"), 0);
    r = (struct spool_report){ 0 };
    spool_analyze_modes(w->cfg.path, geteuid(), 1, &r);
    assert_int_equal(r.faults, 1);
    assert_int_equal(r.mended, 1);
    spool_report_done(&r);
    end(w);
}

static void an_owner_who_is_another_is_found(void **state)
{
    struct world *w = four_messages(12);
    struct spool_report r = { 0 };

    (void)state;
    spool_analyze_modes(w->cfg.path, geteuid() + 1, 0, &r);
    assert_true(r.faults >= 5); /* the folders, a segment, the lock, the reserve, a content file */
    find(&r, "wrong-owner");
    assert_int_equal(r.mended, 0);
    spool_report_done(&r);
    end(w);
}

static void an_envelope_or_state_that_cannot_be_decoded_is_found(void **state)
{
    struct world *w = real_world(13);
    struct spool_report r;
    struct spool_put *put;
    struct message *m = world_put(w, 100);

    (void)state;
    world_settle(w);
    spool_state(w->spool, m->entry, "nonsense", 8, 0, NULL, NULL);
    assert_int_equal(spool_put_new(w->spool, spool_new_id(w->spool), 0, &put), 0);
    spool_put_commit(put, "nonsense", 8, NULL, NULL);
    world_close(w);
    r = look(w);
    assert_int_equal(r.faults, 2);
    find(&r, "envelope");
    assert_int_equal(find(&r, "state")->id, m->id);
    spool_report_done(&r);
    end(w);
}

static void a_message_that_the_queue_does_not_hold_is_taken_in(void **state)
{
    struct world *w = four_messages(14);
    struct queue q = { .missing = w->messages[2]->id };
    struct spool_report r;

    (void)state;
    assert_int_equal(world_open(w), 0);
    r = analyze(w->spool, &q, 0, NULL);
    assert_int_equal(r.faults, 1);
    assert_int_equal(find(&r, "not-in-queue")->id, q.missing);
    assert_int_equal(q.taken, 0);
    spool_report_done(&r);
    r = analyze(w->spool, &q, 1, NULL);
    assert_int_equal(r.mended, 1);
    assert_int_equal(q.taken, q.missing);
    spool_report_done(&r);
    end(w);
}

static void there_is_one_analysis_at_a_time(void **state)
{
    struct world *w = four_messages(15);
    struct spool_analyze_setup setup = setup_of(NULL, 0);
    struct spool_report r = { 0 };
    struct spool_analysis *a, *b;

    (void)state;
    assert_int_equal(world_open(w), 0);
    assert_int_equal(spool_analysis_new(w->spool, &setup, &r, &a), 0);
    assert_int_equal(spool_analysis_new(w->spool, &setup, &r, &b), -EBUSY);
    assert_int_equal(world_stats(w).pinned, 1);
    spool_analysis_prepare(a);
    spool_analysis_free(&a);
    assert_int_equal(world_stats(w).pinned, 0);
    spool_report_done(&r);
    end(w);
}

static void findings_are_told_up_to_a_limit_and_counted_beyond(void **state)
{
    struct world *w = real_world(16);
    struct spool_report r;
    unsigned n = SPOOL_FINDINGS_MAX + 20;

    (void)state;
    world_put(w, 10);
    world_settle(w);
    world_close(w);
    for (unsigned i = 0; i < n; i++) {
        char name[64];

        snprintf(name, sizeof name, "content/%014x07", 1000 + i);
        make_file(name, "x");
    }
    r = look(w);
    assert_int_equal(r.n, SPOOL_FINDINGS_MAX);
    assert_int_equal(r.faults, n);
    assert_int_equal(r.untold, 20);
    spool_report_done(&r);
    end(w);
}

/* --- no false alarms --- */

/* Mail comes and goes while it is looked at, a slice at a time: with large content, compaction,
 * segments that are dropped, outcomes that are not durable yet, and a disk that fails now and
 * then. */
static void some_traffic(struct world *w, unsigned faults)
{
    uint32_t dice = sim_random(&w->seed) % 100;
    struct message *m = NULL;

    for (size_t i = w->messages_n; i > 0 && !m; i--) {
        struct message *c = w->messages[sim_random(&w->seed) % w->messages_n];

        m = c->entry ? c : NULL;
    }
    if (dice < 35)
        world_put(w, dice < 8 ? 1600 + sim_random(&w->seed) % 5000 : sim_random(&w->seed) % 900);
    else if (m && dice < 50)
        world_state(m, dice < 40);
    else if (m && dice < 85)
        world_done(m);
    else if (dice < 90)
        world_settle(w);
    else if (dice < 92 && faults)
        sim_set_faults(w->sim, &(struct sim_faults){ .sync_fails = 1 });
    else
        world_turns(w, 1 + dice % 4);
}

static void a_busy_spool_that_is_sound_has_no_findings(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 25; seed++) {
        struct world *w = world_new(seed * 77);
        struct spool_analyze_setup setup = setup_of(NULL, 0);

        assert_int_equal(world_open(w), 0);
        for (int i = 0; i < 200; i++)
            some_traffic(w, 0);
        for (int round = 0; round < 6; round++) {
            struct spool_report r = { 0 };
            struct spool_analysis *a;

            assert_int_equal(spool_analysis_new(w->spool, &setup, &r, &a), 0);
            while (spool_analysis_prepare(a)) {
                for (int i = 0; i < 4; i++)
                    some_traffic(w, seed % 2);
                spool_analysis_work(a);
                for (int i = 0; i < 4; i++)
                    some_traffic(w, seed % 2);
            }
            spool_analysis_free(&a);
            for (size_t i = 0; i < r.n; i++)
                print_message("seed %u: %s %s at %lld: %s\n", seed, r.v[i].kind, r.v[i].file,
                              (long long)r.v[i].at, r.v[i].found);
            assert_int_equal(r.faults, 0);
            spool_report_done(&r);
        }
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_spool_has_no_findings_and_is_counted),
        cmocka_unit_test(a_flipped_byte_is_found_copied_aside_and_can_be_rebuilt),
        cmocka_unit_test(a_damaged_record_of_a_message_that_is_done_is_not_rebuilt),
        cmocka_unit_test(a_record_that_gets_bad_while_its_message_waits_is_held),
        cmocka_unit_test(a_truncated_segment_shows_what_is_missing),
        cmocka_unit_test(a_torn_end_is_a_note),
        cmocka_unit_test(a_content_file_that_is_wrong_or_gone_is_found),
        cmocka_unit_test(content_that_gets_wrong_while_its_message_waits_is_held),
        cmocka_unit_test(an_orphan_is_moved_to_lost_and_found),
        cmocka_unit_test(unknown_files_are_noted_and_left_alone),
        cmocka_unit_test(modes_are_mended),
        cmocka_unit_test(an_owner_who_is_another_is_found),
        cmocka_unit_test(an_envelope_or_state_that_cannot_be_decoded_is_found),
        cmocka_unit_test(a_message_that_the_queue_does_not_hold_is_taken_in),
        cmocka_unit_test(there_is_one_analysis_at_a_time),
        cmocka_unit_test(findings_are_told_up_to_a_limit_and_counted_beyond),
        cmocka_unit_test(a_busy_spool_that_is_sound_has_no_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
