/* Any bytes as a segment: replay must not crash, hang, or allocate by what the bytes say, and what
 * it finds must be usable. The first byte says how the rest is taken: 1: with its checksums mended,
 * so that more than the checksums is tried; 2: for writing too; 4: there is a second segment after
 * it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/spool/sim-io.h"
#include "log/log.h"
#include "spool/analyze.h"
#include "spool/journal-format.h"
#include "spool/spool.h"
#include "util/content.h"
#include "util/crc32c.h"

#define MEND    1
#define WRITING 2
#define SECOND  4
#define ENTRIES 64
#define BEGIN   (FORMAT_HEADER + FORMAT_SEGMENT_LEN)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
    struct spool_entry *entries[ENTRIES];
    size_t n;
};

static void replayed(void *ctx, uint64_t id, struct spool_entry *entry, const void *meta,
                     size_t meta_len, const void *state, size_t state_len, uint64_t content_size)
{
    struct found *f = ctx;

    if (id != spool_entry_id(entry) || content_size != spool_entry_size(entry))
        abort();
    /* Reads all of both, for the sanitizer. */
    crc32c(crc32c(0, meta, meta_len), state ? state : "", state ? state_len : 0);
    if (f->n < ENTRIES)
        f->entries[f->n++] = entry;
}

/* Each record's checksums are made right, unless bit 7 of its flags asks for a wrong one; types and
 * lengths are brought into what the file has room for. */
static void mend(uint8_t *p, size_t size)
{
    struct format_segment s;
    size_t at;

    if (size < BEGIN)
        return;
    format_segment_read(p + FORMAT_HEADER, &s);
    s.version = FORMAT_VERSION;
    format_segment(p + FORMAT_HEADER, &s);
    for (at = 0; size - at >= FORMAT_HEADER;) {
        struct format_header h = { .type = at ? 1 + p[at + 4] % 3 : FORMAT_BEGIN };
        int wrong = p[at + 5] & 128;
        size_t room = size - at - FORMAT_HEADER;

        h.flags = h.type == FORMAT_MESSAGE ? p[at + 5] & FORMAT_F_LARGE : 0;
        h.length = format_u32_read(p + at + 8) % (uint32_t)(room < 300 ? room + 1 : 300);
        if (h.type == FORMAT_DONE)
            h.length = FORMAT_DONE_LEN;
        if (h.type == FORMAT_BEGIN)
            h.length = FORMAT_SEGMENT_LEN;
        if (h.length > room)
            return;
        h.synced = format_u32_read(p + at + 12);
        h.id = p[at + 16]; /* few ids, so that records meet */
        h.salt = at ? s.salt : 0;
        h.payload_crc = crc32c(0, p + at + FORMAT_HEADER, h.length) ^ (wrong && at ? 1 : 0);
        format_header(p + at, &h);
        at += FORMAT_HEADER + h.length;
    }
}

static void use(struct spool *spool, struct found *f, int writing)
{
    for (size_t i = 0; i < f->n; i++) {
        postern_content *c = spool_content(spool, f->entries[i]);
        char buf[512];
        void *p;
        size_t len;

        if (c)
            content_read(c, 0, buf, sizeof buf);
        content_unref(&c);
        if (spool_read_meta(spool, f->entries[i], &p, &len) == 0)
            free(p);
        if (spool_read_state(spool, f->entries[i], &p, &len) == 0)
            free(p);
        if (writing && i % 2)
            spool_done(spool, f->entries[i]);
        else if (writing)
            spool_state(spool, f->entries[i], "x", 1, 0, NULL, NULL);
    }
}

static enum spool_check any(const void *meta, size_t meta_len, const void *state, size_t state_len)
{
    /* Reads all of both, for the sanitizer. */
    crc32c(crc32c(0, meta, meta_len), state ? state : "", state ? state_len : 0);
    return SPOOL_CHECK_OK;
}

/* An analysis, with repair where there is somebody to write; what is lost is read, not rebuilt. */
static void analyze(struct spool *spool, int writing)
{
    struct spool_analyze_setup setup = { .repair = writing, .check = any };
    struct spool_report report = { 0 };
    struct spool_salvage s;
    struct spool_analysis *a;
    struct spool_lost *l;

    if (spool_analysis_new(spool, &setup, &report, &a) < 0)
        abort();
    while (spool_analysis_prepare(a))
        spool_analysis_work(a);
    while ((l = spool_analysis_next_lost(a))) {
        int r = spool_lost_read(a, l, &s);

        if (r == 0) {
            crc32c(0, s.meta, s.meta_len);
            crc32c(0, s.content ? s.content : "", s.content ? (size_t)s.size : 0);
            spool_salvage_done(&s);
        }
        spool_lost_settle(a, l, r == 0 ? 1 : 0, "no reason");
    }
    spool_analysis_free(&a);
    spool_report_done(&report);
}

static void open_and_use(struct sim *sim, struct loop *loop)
{
    struct spool_config cfg = { .path = "/sim", .io = &sim->io, .reserve_bytes = 1 };
    struct found f = { .n = 0 };
    struct spool *spool;
    char why[200];

    if (spool_open(&cfg, loop, replayed, &f, &spool, why, sizeof why) < 0)
        return;
    analyze(spool, loop != NULL);
    use(spool, &f, loop != NULL);
    if (loop)
        loop_turn(loop, 0);
    spool_close(&spool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct log_config quiet = { .level = -1 };
    uint8_t *copy;
    struct sim *sim;
    int how;

    if (!size)
        return 0;
    log_open(&quiet);
    how = *data++;
    size--;
    copy = malloc(size + 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    if (how & MEND)
        mend(copy, size);
    sim = sim_new(1);
    sim_add(sim, 1, "00000001.seg", copy, size);
    if (how & SECOND)
        sim_add(sim, 1, "00000002.seg", copy, size / 2);
    sim_add(sim, 2, "0000000000000001", "content", 7);
    open_and_use(sim, NULL);
    if (how & WRITING) {
        struct loop *loop = loop_new(0);

        open_and_use(sim, loop);
        loop_free(&loop);
    }
    sim_free(&sim);
    free(copy);
    return 0;
}
