/* spool/analyze-disk.c: what an analysis reads: segments, the places where live messages are, and
 * the content files of messages that nobody knows. On any thread; see analyze.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spool/analyze-private.h"
#include "util/crc32c.h"
#include "util/mem.h"

#define RECORD_FILE "%08" PRIu32 "-%" PRIu64 ".record" /* in lost+found: segment and offset */

static const char *type_name(const struct format_header *h)
{
    static const char *const names[] = { "record", "MESSAGE", "STATE", "DONE", "BEGIN" };

    return h && h->type <= FORMAT_BEGIN ? names[h->type] : names[0];
}

/* --- records whose message may be lost --- */

static struct spool_lost *add_lost(struct spool_analysis *a, uint64_t id, uint64_t at, uint64_t len)
{
    struct spool_lost *l = mem_zalloc(sizeof *l);

    *l = (struct spool_lost){ .id = id, .seq = a->seq, .at = at, .len = len, .finding = -1 };
    l->file = journal_file_ref(a->file);
    *a->lost_tail = l;
    a->lost_tail = &l->next;
    if (id) {
        l->same = idmap_get(a->by_id, id);
        idmap_set(a->by_id, id, l);
    }
    return l;
}

static void copy_aside(struct spool_analysis *a, struct spool_lost *l, struct spool_finding *f)
{
    char name[48];
    int r;

    snprintf(name, sizeof name, RECORD_FILE, l->seq, l->at);
    if (!a->setup.repair) {
        finding_repair(f,
                       "copy it to " SPOOL_LOST_FOUND "/%s; if its message is not known "
                       "elsewhere, rebuild it on hold",
                       name);
        return;
    }
    r = analyze_copy_aside(a, l->file, l->at, l->len, name);
    l->copied = r == 0;
    if (r < 0) {
        finding_repair(f, "not repaired: it can't be copied to " SPOOL_LOST_FOUND "/%s: %s", name,
                       strerror(-r));
        return;
    }
    finding_repair(f, "copied to " SPOOL_LOST_FOUND "/%s", name);
    report_mend(a->report, f);
}

/* --- damage --- */

/* Bytes 16 to 23 of what should be a header: an id that this shard can have made, or 0. */
static uint64_t guess_id(const struct spool_analysis *a, uint64_t at, uint64_t len)
{
    unsigned char head[FORMAT_HEADER];
    uint64_t id;

    if (len < sizeof head || journal_pread(a->scan.io, a->scan.fd, head, sizeof head, at) < 0)
        return 0;
    id = (uint64_t)format_u32_read(head + 16) | (uint64_t)format_u32_read(head + 20) << 32;
    return id <= a->j->last_id ? id : 0;
}

static void torn(struct spool_analysis *a, const char *file, uint64_t at, uint64_t len)
{
    struct spool_finding *f = report_add(a->report, "torn", SPOOL_NOTE, file, (int64_t)at);

    a->report->facts.torn_bytes += len;
    if (!f)
        return;
    f->bytes = len;
    finding_found(f, "%" PRIu64 " bytes that a crash tore", len);
    finding_expected(f, "nothing: they were never acknowledged");
    finding_repair(f, "nothing to do");
}

/* h: the header, when that much is good. */
static void damaged(struct spool_analysis *a, uint64_t at, uint64_t len,
                    const struct format_header *h, const char *what)
{
    char file[FORMAT_FILE_NAME];
    struct spool_finding *f;
    struct spool_lost *l;

    format_segment_name(file, a->seq);
    if (at >= a->durable && !a->scan.unreadable) {
        torn(a, file, at, len);
        return;
    }
    a->damaged = 1;
    a->report->facts.damaged_bytes += len;
    f = report_add(a->report, "damaged-record", SPOOL_FOUND, file, (int64_t)at);
    if (!f)
        return; /* past the limit: nothing of it is touched either */
    f->bytes = len;
    l = add_lost(a, h ? h->id : guess_id(a, at, len), at, len);
    l->finding = f - a->report->v;
    f->id = h ? h->id : 0;
    finding_found(f, "%s: %s", type_name(h), what);
    finding_expected(f, "a record whose checksums are true");
    copy_aside(a, l, f);
}

/* --- records --- */

/* NULL, or what is wrong with a MESSAGE whose checksums are true. */
static const char *message_fault(struct spool_analysis *a, const struct scan_record *rec)
{
    uint32_t meta_len = format_u32_read(rec->word);
    unsigned char tail[FORMAT_LARGE_LEN];
    struct format_large large;
    uint64_t rest, id;

    if (meta_len > FORMAT_META_MAX || meta_len > rec->h.length - FORMAT_WORD)
        return "its envelope is longer than the record";
    rest = rec->h.length - FORMAT_WORD - meta_len;
    if (!(rec->h.flags & FORMAT_F_LARGE))
        return rest <= FORMAT_INLINE_MAX ? NULL : "its content is too long for a record";
    if (rest != FORMAT_LARGE_LEN ||
        journal_pread(a->scan.io, a->scan.fd, tail, sizeof tail,
                      rec->at + FORMAT_HEADER + FORMAT_WORD + meta_len) < 0 ||
        format_large_read(tail, &large) < 0)
        return "it does not name its content file";
    if (format_content_name_read(large.name, &id) < 0 || id != rec->h.id)
        return "it names the content file of another message";
    return NULL;
}

static void read_message(struct spool_analysis *a, const struct scan_record *rec)
{
    uint64_t len = FORMAT_HEADER + (uint64_t)rec->h.length;
    const char *fault = message_fault(a, rec);

    a->report->facts.messages++;
    if (fault) {
        damaged(a, rec->at, len, &rec->h, fault);
        return;
    }
    /* Of the same message there is a good copy after all. */
    for (struct spool_lost *l = idmap_get(a->by_id, rec->h.id); l; l = l->same)
        l->known |= !l->whole;
    if (rec->h.flags & FORMAT_F_LARGE)
        add_lost(a, rec->h.id, rec->at, len)->whole = 1;
}

static void read_state(struct spool_analysis *a, const struct scan_record *rec)
{
    void *state = NULL;

    a->report->facts.states++;
    for (struct spool_lost *l = idmap_get(a->by_id, rec->h.id); l; l = l->same) {
        if (rec->h.length > ANALYZE_STATE_MAX)
            continue;
        state = mem_alloc(rec->h.length + 1u);
        if (journal_pread(a->scan.io, a->scan.fd, state, rec->h.length, rec->at + FORMAT_HEADER) <
            0) {
            free(state);
            continue;
        }
        free(l->state);
        l->state = state;
        l->state_len = rec->h.length;
    }
}

static void read_done(struct spool_analysis *a, const struct scan_record *rec)
{
    uint32_t of = format_u32_read(rec->word);
    char file[FORMAT_FILE_NAME];
    struct spool_finding *f;

    a->report->facts.dones++;
    for (struct spool_lost *l = idmap_get(a->by_id, rec->h.id); l; l = l->same)
        l->done = 1;
    if (of && of <= a->seq)
        return;
    format_segment_name(file, a->seq);
    f = report_add(a->report, "bad-reference", SPOOL_FOUND, file, (int64_t)rec->at);
    if (!f)
        return;
    f->id = rec->h.id;
    f->bytes = FORMAT_HEADER + rec->h.length;
    finding_found(f, "DONE: its MESSAGE is said to be in segment %" PRIu32, of);
    finding_expected(f, "a segment from 1 to %" PRIu32, a->seq);
    finding_repair(f, "nothing: the message is done all the same");
}

static void read_record(struct spool_analysis *a, const struct scan_record *rec)
{
    if (rec->gap)
        damaged(a, rec->at - rec->gap, rec->gap, NULL, "no record can be made out");
    if (rec->h.type != FORMAT_BEGIN && !range_has(&a->j->range, a->seq, rec->h.id))
        return; /* another shard's, which has the segment too */
    if (!rec->intact) {
        damaged(a, rec->at, FORMAT_HEADER + (uint64_t)rec->h.length, &rec->h,
                "its payload's checksum is wrong");
        return;
    }
    switch (rec->h.type) {
    case FORMAT_MESSAGE:
        read_message(a, rec);
        break;
    case FORMAT_STATE:
        read_state(a, rec);
        break;
    case FORMAT_DONE:
        read_done(a, rec);
        break;
    default:
        break;
    }
}

static void note_unreadable(struct spool_analysis *a)
{
    char file[FORMAT_FILE_NAME];
    struct spool_finding *f;

    format_segment_name(file, a->seq);
    f = report_add(a->report, "unreadable", SPOOL_FOUND, file, -1);
    if (f)
        f->bytes = a->scan.unreadable;
    finding_found(f, "the disk does not give %" PRIu64 " bytes of it", a->scan.unreadable);
    finding_expected(f, "that all of it can be read");
    finding_repair(f, "nothing: see to the disk");
}

void analyze_scan(struct spool_analysis *a)
{
    uint64_t from = a->scan.pos;
    struct scan_record rec;

    while (a->scan.pos - from < ANALYZE_SLICE_BYTES) {
        if (scan_next(&a->scan, &rec)) {
            read_record(a, &rec);
            continue;
        }
        if (rec.gap)
            damaged(a, rec.at - rec.gap, rec.gap, NULL, "no record can be made out");
        if (a->scan.unreadable)
            note_unreadable(a);
        a->scan.unreadable = 0;
        a->ended = 1;
        return;
    }
}

/* --- what is believed to be live --- */

struct bytes {
    unsigned char *p;
    size_t cap;
};

/* len bytes of it, and a record's header of that kind among them. NULL, or what is wrong. */
static const char *read_head(const struct journal_file *f, uint32_t at, size_t len, uint8_t type,
                             uint64_t id, uint32_t payload, struct bytes *b)
{
    struct format_header h;

    if (len > b->cap) {
        b->cap = len + 4096;
        b->p = mem_realloc(b->p, b->cap);
    }
    if (journal_pread(f->io, f->fd, b->p, len, at) < 0)
        return "it can't be read";
    if (format_header_guess(b->p, &h) < 0)
        return "no record is there";
    if (h.type != type || h.id != id || h.length != payload)
        return "there is another record";
    return NULL;
}

static void look_wrong(struct spool_analysis *a, struct analyze_look *l, const char *kind,
                       uint32_t seq, uint32_t at, const char *what, const char *expected)
{
    char file[FORMAT_FILE_NAME];
    struct spool_finding *f;

    format_segment_name(file, seq);
    l->wrong = 1;
    f = report_add(a->report, kind, SPOOL_FOUND, file, at);
    if (f)
        f->id = l->id;
    finding_found(f, "%s", what);
    finding_expected(f, "%s", expected);
    finding_repair(f,
                   a->setup.hold ? "put the message on hold; its record stays as it is"
                                 : "nothing: its record stays as it is");
}

static void check_content(struct spool_analysis *a, struct analyze_look *l)
{
    char file[64], name[FORMAT_NAME_LEN + 1];
    unsigned char tail[FORMAT_LARGE_LEN];
    struct spool_finding *f;
    struct format_large large;
    const char *kind = "content-damaged", *what = NULL;

    format_content_name(name, l->id);
    snprintf(file, sizeof file, "content/%s", name);
    if (!l->content) {
        kind = "content-missing";
        what = strerror(l->error);
    } else if (journal_pread(l->file->io, l->file->fd, tail, sizeof tail,
                             (uint64_t)l->at + FORMAT_HEADER + FORMAT_WORD + l->meta_len) < 0 ||
               format_large_read(tail, &large) < 0 || large.size != l->size) {
        return; /* that the record is bad was said */
    } else if (l->content->io->size(l->content->io->ctx, l->content->fd) != (int64_t)large.size) {
        what = "its size is another";
    } else if (verify_bytes(l->content->io, l->content->fd, &large) < 0) {
        what = "its checksum is wrong";
    }
    if (!what)
        return;
    l->wrong = 1;
    f = report_add(a->report, kind, SPOOL_FOUND, file, -1);
    if (f)
        f->id = l->id;
    finding_found(f, "%s", what);
    finding_expected(f, "%" PRIu64 " bytes, the content of a message that waits", l->size);
    finding_repair(f, a->setup.hold ? "put the message on hold" : "nothing");
}

static void look_at(struct spool_analysis *a, struct analyze_look *l, struct bytes *b,
                    struct bytes *state)
{
    size_t head = FORMAT_HEADER + FORMAT_WORD + l->meta_len;
    const char *bad =
        read_head(l->file, l->at, head, FORMAT_MESSAGE, l->id, l->len - FORMAT_HEADER, b);
    enum spool_check check = SPOOL_CHECK_OK;

    if (bad) {
        look_wrong(a, l, "record-missing", l->seq, l->at, bad, "the MESSAGE of one that waits");
        return;
    }
    if (l->state_file) {
        bad = read_head(l->state_file, l->state_at, FORMAT_HEADER + (size_t)l->state_len,
                        FORMAT_STATE, l->id, l->state_len, state);
        if (bad)
            look_wrong(a, l, "record-missing", l->state_seq, l->state_at, bad,
                       "the STATE of a message that waits");
    }
    if (a->setup.check)
        check = a->setup.check(b->p + FORMAT_HEADER + FORMAT_WORD, l->meta_len,
                               l->state_file && !bad ? state->p + FORMAT_HEADER : NULL,
                               l->state_file && !bad ? l->state_len : 0);
    if (check == SPOOL_CHECK_META)
        look_wrong(a, l, "envelope", l->seq, l->at, "an envelope that can't be decoded",
                   "one that this program writes");
    else if (check == SPOOL_CHECK_STATE)
        look_wrong(a, l, "state", l->state_seq, l->state_at, "a state that can't be decoded",
                   "one that this program writes");
    if (l->large)
        check_content(a, l);
}

void analyze_looks(struct spool_analysis *a)
{
    struct bytes b = { NULL, 0 }, state = { NULL, 0 };

    for (size_t i = 0; i < a->looks_n; i++)
        look_at(a, &a->looks[i], &b, &state);
    free(b.p);
    free(state.p);
}

/* --- large messages in no book: the record is good, so it is the content that is not --- */

static void lost_content(struct spool_analysis *a, struct spool_lost *l)
{
    const struct spool_io *io = a->j->cfg.io;
    char name[FORMAT_NAME_LEN + 1], file[64];
    struct spool_finding *f;
    struct stat st;
    int there;

    format_content_name(name, l->id);
    snprintf(file, sizeof file, "%s.damaged", name);
    there = a->j->content_dir >= 0 &&
        (io->stat(io->ctx, a->j->content_dir, file, &st) == 0 ||
         io->stat(io->ctx, a->j->content_dir, name, &st) == 0);
    snprintf(file, sizeof file, "content/%s", name);
    f = report_add(a->report, there ? "content-damaged" : "content-missing", SPOOL_FOUND, file, -1);
    if (!f)
        return;
    l->finding = f - a->report->v;
    f->id = l->id;
    finding_found(f, there ? "not what its record says it is" : "no such file");
    finding_expected(f, "the content of the MESSAGE in segment %08" PRIu32 " at %" PRIu64, l->seq,
                     l->at);
    copy_aside(a, l, f);
}

void analyze_lost_contents(struct spool_analysis *a)
{
    for (struct spool_lost *l = a->lost; l; l = l->next) {
        if (l->whole && !l->known && !l->done)
            lost_content(a, l);
    }
}

/* --- what can be had of a lost message --- */

static int open_content(struct spool_analysis *a, uint64_t id, uint64_t *ret_size)
{
    const struct spool_io *io = a->j->cfg.io;
    char name[FORMAT_NAME_LEN + 1], other[FORMAT_NAME_LEN + 16];
    int fd = -ENOENT, lost = analyze_open_lost(a);
    int64_t size;

    format_content_name(name, id);
    if (a->j->content_dir >= 0) {
        fd = io->open(io->ctx, a->j->content_dir, name, O_RDONLY, 0);
        snprintf(other, sizeof other, "%s.damaged", name);
        if (fd < 0)
            fd = io->open(io->ctx, a->j->content_dir, other, O_RDONLY, 0);
    }
    snprintf(other, sizeof other, "%s.content", name);
    if (fd < 0 && lost >= 0)
        fd = io->open(io->ctx, lost, other, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    size = io->size(io->ctx, fd);
    if (size < 0) {
        io->close(io->ctx, fd);
        return (int)size;
    }
    *ret_size = (uint64_t)size;
    return fd;
}

/* Takes the bytes apart as those of a MESSAGE. Its header may be what is damaged, so that only the
 * payload's own structure is asked. */
static int take_apart(struct spool_analysis *a, const struct spool_lost *l, struct spool_salvage *s)
{
    const unsigned char *p = s->bytes, *tail;
    uint32_t meta_len = format_u32_read(p + FORMAT_HEADER), length = format_u32_read(p + 8);
    uint64_t len = l->len, rest;
    struct format_large large;

    if (length >= FORMAT_WORD && length < len - FORMAT_HEADER)
        len = FORMAT_HEADER + (uint64_t)length; /* several records in a row are bad */
    if (meta_len > FORMAT_META_MAX || meta_len > len - FORMAT_HEADER - FORMAT_WORD)
        return -ENODATA;
    s->meta = (const char *)p + FORMAT_HEADER + FORMAT_WORD;
    s->meta_len = meta_len;
    if (!a->setup.check || a->setup.check(s->meta, meta_len, NULL, 0) != SPOOL_CHECK_OK)
        return -ENODATA;
    rest = len - FORMAT_HEADER - FORMAT_WORD - meta_len;
    tail = p + FORMAT_HEADER + FORMAT_WORD + meta_len;
    if (l->state && a->setup.check(s->meta, meta_len, l->state, l->state_len) == SPOOL_CHECK_OK) {
        s->state = l->state;
        s->state_len = l->state_len;
    }
    if (rest == FORMAT_LARGE_LEN && format_large_read(tail, &large) == 0) {
        uint64_t id = 0;

        format_content_name_read(large.name, &id);
        s->fd = open_content(a, id, &s->size);
        return s->fd < 0 ? s->fd : 0;
    }
    s->content = (const char *)tail;
    s->size = rest;
    return 0;
}

int spool_lost_read(struct spool_analysis *a, struct spool_lost *l, struct spool_salvage *ret)
{
    struct spool_salvage s = { .fd = -1 };
    int r;

    if (l->len < FORMAT_HEADER + FORMAT_WORD || l->len > FORMAT_HEADER + FORMAT_PAYLOAD_MAX)
        return -ENODATA;
    s.bytes = malloc((size_t)l->len);
    if (!s.bytes)
        return -ENOMEM;
    r = journal_pread(l->file->io, l->file->fd, s.bytes, (size_t)l->len, l->at);
    if (r == 0)
        r = take_apart(a, l, &s);
    if (r < 0) {
        spool_salvage_done(&s);
        return r;
    }
    snprintf(s.from, sizeof s.from, "segment %08" PRIu32 " at %" PRIu64, l->seq, l->at);
    *ret = s;
    return 0;
}

void spool_salvage_done(struct spool_salvage *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->bytes);
    *s = (struct spool_salvage){ .fd = -1 };
}
