/* spool/journal-replay.c: reads all segments at start and finds out what is live.
 *
 * Segments are read in order, records in order; of two records about the same message the later one
 * counts. What is not a good record is either torn (above what was known to be durable when the
 * process died: it was never acknowledged) or damaged (below it: reported, and its segment is never
 * deleted). Whatever is readable after it is found again. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "spool/journal-scan.h"
#include "util/clock.h"
#include "util/crc32c.h"
#include "util/mem.h"
#include "util/text.h"

#define GAPS_MAX 32u /* told one by one for each segment; the last one stands for all that follow */

struct gap {
    uint64_t at, len;
    uint64_t id; /* of the message whose record this was; 0: not known */
};

struct replay {
    struct journal *j;
    struct idmap *ids;   /* of live messages, to their entries */
    struct idmap *early; /* of messages not seen yet, to their newest struct early_state */
    uint32_t *seqs;
    size_t seqs_n, seqs_cap;
    uint32_t lowest, greatest; /* number of any segment, set aside ones too */
    int aside;                 /* 1: there are segments that were set aside */
    int bad;                   /* 1: a segment before could not be synced when it was written */
    struct replay_end end;
    char *why;
    size_t why_size;
};

/* A STATE may stand before the MESSAGE: a copy that compaction had made was torn after the message,
 * so the state stayed where it was, and the segment with the first copy went. */
struct early_state {
    struct segment *segment;
    uint32_t at, len;
};

/* One segment while it is read. */
struct reading {
    struct replay *rp;
    struct segment *s;
    struct scan scan;
    struct gap gaps[GAPS_MAX];
    unsigned gaps_n;
    uint64_t good_end; /* of the last good record */
    uint64_t durable;  /* known to have been so */
};

/* --- records --- */

static void note_gap(struct reading *rd, uint64_t at, uint64_t len, uint64_t id)
{
    struct gap *last = rd->gaps_n ? &rd->gaps[rd->gaps_n - 1] : NULL;

    if (!len)
        return;
    if (rd->gaps_n == GAPS_MAX || (last && last->at + last->len == at && !id)) {
        last->len = at + len - last->at;
        return;
    }
    rd->gaps[rd->gaps_n++] = (struct gap){ at, len, id };
}

/* What the content's size is, or -EBADMSG: the record is not what we write. */
static int64_t message_size(struct reading *rd, const struct scan_record *rec, uint32_t meta_len)
{
    unsigned char tail[FORMAT_LARGE_LEN];
    struct format_large large;
    uint64_t rest;
    int r;

    if (meta_len > FORMAT_META_MAX || meta_len > rec->h.length - FORMAT_WORD)
        return -EBADMSG;
    rest = rec->h.length - FORMAT_WORD - meta_len;
    if (!(rec->h.flags & FORMAT_F_LARGE))
        return rest <= FORMAT_INLINE_MAX ? (int64_t)rest : -EBADMSG;
    if (rest != FORMAT_LARGE_LEN)
        return -EBADMSG;
    r = journal_pread(rd->scan.io, rd->scan.fd, tail, sizeof tail,
                      rec->at + FORMAT_HEADER + FORMAT_WORD + meta_len);
    if (r < 0 || format_large_read(tail, &large) < 0 || large.size > INT64_MAX)
        return -EBADMSG;
    return (int64_t)large.size;
}

/* The first MESSAGE with this id: an entry for it, with the state that was met before. */
static struct journal_entry *new_message(struct replay *rp, uint64_t id, uint64_t size,
                                         uint32_t meta_len, int large)
{
    struct journal_entry *e = entry_new(id, size, meta_len, large);
    struct early_state *early = idmap_del(rp->early, id);

    idmap_set(rp->ids, id, e);
    if (early)
        entry_place_state(e, early->segment, early->at, early->len);
    free(early);
    rp->j->stats.live_messages++;
    rp->j->stats.live_bytes += size;
    return e;
}

static int replay_message(struct reading *rd, const struct scan_record *rec)
{
    struct journal_entry *e = idmap_get(rd->rp->ids, rec->h.id);
    uint32_t meta_len = format_u32_read(rec->word);
    int64_t size = message_size(rd, rec, meta_len);
    int large = (rec->h.flags & FORMAT_F_LARGE) != 0;

    if (size < 0 || !rec->h.id)
        return -EBADMSG;
    if (e && (e->base.size != (uint64_t)size || e->meta_len != meta_len || e->large != large))
        return -EBADMSG; /* no copy that we made */
    if (e) {
        /* Compaction was interrupted. */
        e->segment->barrier = 1;
        e->moved = 1;
    } else {
        e = new_message(rd->rp, rec->h.id, (uint64_t)size, meta_len, large);
        e->moved = rd->rp->bad ? 1 : 0; /* what could not be synced may hold a copy all the same */
    }
    entry_place(e, rd->s, (uint32_t)rec->at);
    return 0;
}

static void replay_state(struct reading *rd, const struct scan_record *rec)
{
    struct journal_entry *e = idmap_get(rd->rp->ids, rec->h.id);
    struct early_state *early;

    if (e) {
        entry_place_state(e, rd->s, (uint32_t)rec->at, rec->h.length);
        return;
    }
    early = idmap_get(rd->rp->early, rec->h.id);
    if (!early) {
        early = mem_alloc(sizeof *early);
        idmap_set(rd->rp->early, rec->h.id, early);
    }
    *early = (struct early_state){ rd->s, (uint32_t)rec->at, rec->h.length };
}

static void replay_done(struct reading *rd, const struct scan_record *rec)
{
    struct replay *rp = rd->rp;
    struct segment *of = segment_find(rp->j, format_u32_read(rec->word)), *also = NULL;
    struct journal_entry *e = idmap_del(rp->ids, rec->h.id);

    free(idmap_del(rp->early, rec->h.id));
    if (e) {
        also = e->segment;
        if (e->moved)
            segment_bury_copies(rp->j, rd->s, also, rec->h.id);
        entry_free(rp->j, e);
    }
    if (of)
        segment_tomb_add(rd->s, of, rec->h.id);
    if (also && also != of)
        segment_tomb_add(rd->s, also, rec->h.id);
}

static void replay_record(struct reading *rd, const struct scan_record *rec)
{
    struct journal *j = rd->rp->j;
    uint64_t len = FORMAT_HEADER + (uint64_t)rec->h.length, before = rd->good_end;

    if (rec->h.synced > rd->durable)
        rd->durable = rec->h.synced;
    if (rec->h.id > j->last_id)
        j->last_id = rec->h.id;
    if (!rec->intact) {
        note_gap(rd, rec->at, len, rec->h.id);
        return;
    }
    rd->good_end = rec->at + len;
    if (rec->h.type != FORMAT_BEGIN && !range_has(&j->range, rd->s->seq, rec->h.id))
        return; /* another shard's */
    switch (rec->h.type) {
    case FORMAT_MESSAGE:
        if (replay_message(rd, rec) < 0) {
            note_gap(rd, rec->at, len, rec->h.id);
            rd->good_end = before;
        }
        break;
    case FORMAT_STATE:
        replay_state(rd, rec);
        break;
    case FORMAT_DONE:
        replay_done(rd, rec);
        break;
    default:
        break;
    }
}

/* --- a segment --- */

/* The segment after this one says how much of this one was durable when it began. */
static uint32_t durable_by_next(struct replay *rp, uint32_t seq, uint32_t next)
{
    const struct spool_io *io = rp->j->cfg.io;
    unsigned char p[FORMAT_HEADER + FORMAT_SEGMENT_LEN];
    char name[FORMAT_FILE_NAME];
    struct format_header h;
    struct format_segment s;
    int fd, r;

    format_segment_name(name, next);
    fd = io->open(io->ctx, rp->j->dir, name, O_RDONLY, 0);
    if (fd < 0)
        return 0;
    r = journal_pread(io, fd, p, sizeof p, 0);
    io->close(io->ctx, fd);
    if (r < 0 || format_header_read(p, 0, &h) < 0 || h.type != FORMAT_BEGIN ||
        crc32c(0, p + FORMAT_HEADER, FORMAT_SEGMENT_LEN) != h.payload_crc)
        return 0;
    format_segment_read(p + FORMAT_HEADER, &s);
    return s.prev_seq == seq ? s.prev_synced : 0;
}

/* Says what is wrong with the segment, and marks it if something is that must not be. */
static void judge_gaps(struct reading *rd)
{
    struct spool_stats *st = &rd->rp->j->stats;
    char id[14];

    for (unsigned i = 0; i < rd->gaps_n; i++) {
        const struct gap *g = &rd->gaps[i];

        if (g->at >= rd->durable && !rd->scan.unreadable) {
            st->torn_bytes += g->len;
            log_event(POSTERN_LOG_NOTICE, "spool", "spool.torn",
                      "segment=%" PRIu32 " at=%" PRIu64 " bytes=%" PRIu64, rd->s->seq, g->at,
                      g->len);
            continue;
        }
        st->damaged_records++;
        rd->s->damaged = 1;
        log_event(POSTERN_LOG_ERROR, "spool", "spool.damaged",
                  "id=%s segment=%" PRIu32 " at=%" PRIu64 " bytes=%" PRIu64,
                  g->id ? text_id(g->id, id, sizeof id) : "-", rd->s->seq, g->at, g->len);
    }
    if (rd->scan.unreadable)
        rd->s->damaged = 1;
    if (rd->s->damaged)
        st->damaged_segments++;
}

/* The newest segment is where the last process may have died: what it wrote and did not sync is
 * made durable before it is believed, and a torn end is cut, lest it pass for damage next time. */
static int settle_newest(struct reading *rd, const char *name)
{
    struct journal *j = rd->rp->j;
    const struct spool_io *io = j->cfg.io;
    int cut = rd->good_end < rd->scan.size && rd->good_end >= rd->durable && !rd->s->damaged;
    int fd, r = 0;

    if (!j->loop)
        return 0;
    fd = io->open(io->ctx, j->dir, name, O_RDWR, 0);
    if (fd < 0)
        return fd;
    if (cut)
        r = io->ftruncate(io->ctx, fd, (off_t)rd->good_end);
    if (r == 0)
        r = io->fdatasync(io->ctx, fd);
    io->close(io->ctx, fd);
    if (r < 0) {
        log_event(POSTERN_LOG_ERROR, "spool", "spool.segment.failed",
                  "segment=%" PRIu32 " error=%s", rd->s->seq, log_q(strerror(-r)));
        rd->s->barrier = 1; /* have it copied away */
        rd->rp->end.bad_from = rd->s->seq;
        return 0;
    }
    if (cut)
        rd->s->size = rd->good_end;
    /* Not with a hole before the end: it was torn, and may not be called damage later. */
    if (!rd->gaps_n || (cut && rd->gaps[0].at >= rd->good_end))
        rd->durable = rd->good_end;
    return 0;
}

/* What could not be synced may come back after the next crash, whatever it reads as now. So it goes
 * before all that is younger, as it would have if the process had lived on. */
static void note_bad(struct reading *rd)
{
    const struct format_segment *begin = &rd->scan.segment;

    if (!rd->scan.begun || !begin->bad_from)
        return;
    LIST_EACH (&rd->rp->j->segments, n) {
        struct segment *s = CONTAINER(n, struct segment, link);

        if (s->seq < begin->bad_from || s->seq >= rd->s->seq)
            continue;
        s->barrier = 1;
        rd->rp->bad = 1;
    }
}

static int read_records(struct reading *rd)
{
    struct scan_record rec;

    if (rd->scan.begun && rd->scan.segment.version != FORMAT_VERSION) {
        snprintf(rd->rp->why, rd->rp->why_size,
                 "%s: segment %" PRIu32 " has format %u, this program knows %u", rd->rp->j->path,
                 rd->s->seq, rd->scan.segment.version, FORMAT_VERSION);
        return -EPROTONOSUPPORT;
    }
    note_bad(rd);
    while (scan_next(&rd->scan, &rec)) {
        if (atomic_load(&rd->rp->j->abandon))
            return -ECANCELED;
        note_gap(rd, rec.at - rec.gap, rec.gap, 0);
        replay_record(rd, &rec);
    }
    note_gap(rd, rec.at - rec.gap, rec.gap, 0);
    rd->s->salt = rd->scan.salt;
    return 0;
}

static int replay_opened(struct reading *rd, int fd, const char *name, uint32_t next)
{
    const struct spool_io *io = rd->rp->j->cfg.io;
    int64_t size = io->size(io->ctx, fd);
    int r;

    if (size < 0)
        return (int)size;
    if (size > UINT32_MAX)
        size = UINT32_MAX; /* more than we ever write */
    rd->s->size = (uint64_t)size;
    if (next)
        rd->durable = durable_by_next(rd->rp, rd->s->seq, next);
    scan_init(&rd->scan, io, fd, (uint64_t)size);
    r = read_records(rd);
    if (r == 0) {
        judge_gaps(rd);
        if (!next)
            r = settle_newest(rd, name);
    }
    scan_done(&rd->scan);
    if (r == 0)
        rd->rp->end.last_synced = (uint32_t)rd->durable;
    rd->s->durable = rd->durable;
    return r;
}

/* next: number of the following segment; 0: this is the newest. */
static int replay_segment(struct replay *rp, uint32_t seq, uint32_t next)
{
    struct journal *j = rp->j;
    const struct spool_io *io = j->cfg.io;
    struct reading *rd = mem_zalloc(sizeof *rd);
    char name[FORMAT_FILE_NAME];
    int fd, r;

    rd->rp = rp;
    rd->s = segment_new(seq, 0);
    rd->s->sealed = 1;
    rd->s->sealed_usec = clock_mono();
    segment_add(j, rd->s);
    format_segment_name(name, seq);
    fd = io->open(io->ctx, j->dir, name, O_RDONLY, 0);
    r = fd < 0 ? fd : replay_opened(rd, fd, name, next);
    if (fd >= 0)
        io->close(io->ctx, fd);
    if (r == -EIO) {
        /* Nothing of it can be read. It is set aside at once: would it come back to life one day,
         * its messages would not know that they are done. */
        log_event(POSTERN_LOG_ERROR, "spool", "spool.unreadable", "segment=%" PRIu32, seq);
        rd->s->damaged = 1;
        j->stats.damaged_segments++;
        r = 0;
    }
    if (r < 0 && r != -EPROTONOSUPPORT)
        snprintf(rp->why, rp->why_size, "%s/%s: %s", j->path, name, strerror(-r));
    free(rd);
    return r;
}

/* --- all of them --- */

static void see_name(void *ctx, const char *name)
{
    struct replay *rp = ctx;
    uint32_t seq;

    if (format_segment_name_read(name, ".damaged", &seq) == 0) {
        rp->aside = 1;
    } else if (format_segment_name_read(name, ".seg", &seq) == 0) {
        if (rp->seqs_n == rp->seqs_cap) {
            rp->seqs_cap = rp->seqs_cap ? rp->seqs_cap * 2 : 64;
            rp->seqs = mem_realloc(rp->seqs, rp->seqs_cap * sizeof *rp->seqs);
        }
        rp->seqs[rp->seqs_n++] = seq;
    } else {
        return;
    }
    if (seq > rp->greatest)
        rp->greatest = seq;
    if (seq < rp->lowest)
        rp->lowest = seq;
}

static int by_number(const void *pa, const void *pb)
{
    const uint32_t *a = pa, *b = pb;

    return *a < *b ? -1 : *a > *b;
}

/* A rule about segments that are all gone goes before a new segment could take one's number. */
static int drop_range(struct replay *rp)
{
    struct journal *j = rp->j;
    const struct spool_io *io = j->cfg.io;
    unsigned before = j->range.n;
    int r;

    range_forget(&j->range, rp->lowest);
    if (!before || j->range.n || !j->loop)
        return 0;
    r = io->unlink(io->ctx, j->dir, JOURNAL_RANGE_NAME);
    return r < 0 ? r : io->fsync_dir(io->ctx, j->dir);
}

static int list_segments(struct replay *rp)
{
    const struct spool_io *io = rp->j->cfg.io;
    int r = io->list(io->ctx, rp->j->dir, see_name, rp);

    if (r == 0)
        r = drop_range(rp);
    if (r < 0)
        snprintf(rp->why, rp->why_size, "cannot list %s: %s", rp->j->path, strerror(-r));
    else if (rp->seqs_n)
        qsort(rp->seqs, rp->seqs_n, sizeof *rp->seqs, by_number);
    return r;
}

static int replay_segments(struct replay *rp)
{
    int r = list_segments(rp);

    for (size_t i = 0; r == 0 && i < rp->seqs_n; i++)
        r = replay_segment(rp, rp->seqs[i], i + 1 < rp->seqs_n ? rp->seqs[i + 1] : 0);
    if (!rp->seqs_n || rp->seqs[rp->seqs_n - 1] != rp->greatest)
        rp->end.last_synced = 0;
    rp->end.last_seq = rp->greatest;
    return r;
}

/* --- what was found --- */

static int by_id(const void *pa, const void *pb)
{
    const struct journal_entry *const *a = pa, *const *b = pb;

    return (*a)->base.id < (*b)->base.id ? -1 : (*a)->base.id > (*b)->base.id;
}

static struct journal_entry **sorted_entries(struct journal *j, size_t *ret_n)
{
    size_t n = 0;
    struct journal_entry **v = mem_alloc((size_t)(j->stats.live_messages + 1) * sizeof *v);

    LIST_EACH (&j->segments, sn) {
        struct segment *s = CONTAINER(sn, struct segment, link);

        LIST_EACH (&s->messages, n_entry)
            v[n++] = CONTAINER(n_entry, struct journal_entry, in_messages);
    }
    qsort(v, n, sizeof *v, by_id);
    *ret_n = n;
    return v;
}

void journal_give_up(struct journal *j, struct journal_entry *e)
{
    char id[14], name[FORMAT_NAME_LEN + 1];

    format_content_name(name, e->base.id);
    log_event(POSTERN_LOG_ERROR, "spool", "spool.damaged",
              "id=%s segment=%" PRIu32 " at=%" PRIu32 " content_file=%s",
              text_id(e->base.id, id, sizeof id), e->segment->seq, e->at, e->large ? name : "none");
    j->stats.damaged_records++;
    if (!e->segment->damaged)
        j->stats.damaged_segments++;
    e->segment->damaged = 1;
    entry_free(j, e);
}

int journal_scan(struct journal *j, struct replay_found *ret, char *why, size_t why_size)
{
    struct replay rp = { .j = j, .lowest = UINT32_MAX, .why = why, .why_size = why_size };
    int r;

    rp.ids = idmap_new();
    rp.early = idmap_new();
    r = replay_segments(&rp);
    idmap_each(rp.early, free);
    idmap_free(&rp.early);
    free(rp.seqs);
    if (r < 0) {
        idmap_free(&rp.ids);
        return r;
    }
    *ret = (struct replay_found){ .ids = rp.ids, .aside = rp.aside, .end = rp.end };
    ret->v = sorted_entries(j, &ret->n);
    j->replayed = rp.end.last_seq;
    return 0;
}

/* Reads the files of large messages. What is damaged is no longer among what was found. */
static int verify_all(struct journal *j, struct replay_found *found)
{
    size_t kept = 0;
    int r = 0;

    for (size_t i = 0; i < found->n; i++) {
        struct journal_entry *e = found->v[i];

        if (r >= 0 && e->large)
            r = atomic_load(&j->abandon) ? -ECANCELED : verify_content(j, e);
        if (r > 0) {
            idmap_del(found->ids, e->base.id);
            journal_give_up(j, e);
            r = 0;
            continue;
        }
        found->v[kept++] = e;
        if (e->large)
            idmap_set(j->files, e->base.id, j);
    }
    found->n = kept;
    return r;
}

int journal_verify(struct journal *j, struct replay_found *found, char *why, size_t why_size)
{
    int r = verify_all(j, found);

    if (r < 0) {
        snprintf(why, why_size, "cannot read the messages in %s: %s", j->path, strerror(-r));
        return r;
    }
    verify_orphans(j, found->ids, found->aside || j->stats.damaged_segments);
    return 0;
}

void journal_found_free(struct replay_found *found)
{
    idmap_free(&found->ids);
    free(found->v);
    found->v = NULL;
}
