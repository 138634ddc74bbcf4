/* spool/analyze.c: the course of an analysis, and what of it must be done where the journal's books
 * are kept. See analyze.h. */
#include "spool/analyze-private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/text.h"

#define TOMB_LEN (FORMAT_HEADER + FORMAT_DONE_LEN)

const char *spool_folder(const struct spool *s)
{
    return CONTAINER(s, const struct journal, spool)->path;
}

int spool_emptying(const struct spool *s)
{
    const struct journal *j = CONTAINER(s, const struct journal, spool);

    LIST_EACH (&j->segments, n) {
        const struct segment *seg = CONTAINER(n, const struct segment, link);

        if (seg->barrier && !seg->unmovable)
            return 1;
    }
    return 0;
}

int spool_analysis_new(struct spool *s, const struct spool_analyze_setup *setup,
                       struct spool_report *report, struct spool_analysis **ret)
{
    struct journal *j = CONTAINER(s, struct journal, spool);
    struct spool_analysis *a;

    if (j->stats.pinned || j->load) /* or what is in it is still being told */
        return -EBUSY;
    a = mem_zalloc(sizeof *a);
    j->stats.pinned = 1;
    j->reading = 1;
    a->j = j;
    a->setup = *setup;
    a->setup.repair = setup->repair && j->loop;
    a->report = report;
    a->lost_tail = &a->lost;
    a->by_id = idmap_new();
    a->lost_dir = -1;
    *ret = a;
    return 0;
}

static void looks_done(struct spool_analysis *a)
{
    for (size_t i = 0; i < a->looks_n; i++) {
        journal_file_unref(&a->looks[i].file);
        journal_file_unref(&a->looks[i].state_file);
        journal_file_unref(&a->looks[i].content);
    }
    a->looks_n = 0;
}

static void scan_end(struct spool_analysis *a)
{
    if (!a->file)
        return;
    scan_done(&a->scan);
    journal_file_unref(&a->file);
}

/* All segments were read, and what is in them looked at: from here on they may go. */
static void reading_over(struct spool_analysis *a)
{
    if (!a->j->reading)
        return;
    a->j->reading = 0;
    if (!a->j->loop)
        return;
    segment_sweep(a->j);
    compact_consider(a->j);
}

void spool_analysis_free(struct spool_analysis **pa)
{
    struct spool_analysis *a = *pa;
    struct segment *s;

    if (!a)
        return;
    *pa = NULL;
    scan_end(a);
    looks_done(a);
    s = segment_find(a->j, a->seq);
    if (s)
        s->cursor = NULL;
    for (struct spool_lost *l = a->lost, *next; l; l = next) {
        next = l->next;
        journal_file_unref(&l->file);
        free(l->state);
        free(l);
    }
    idmap_free(&a->by_id);
    free(a->contents.v);
    free(a->segments.v);
    if (a->lost_dir >= 0)
        a->j->cfg.io->close(a->j->cfg.io->ctx, a->lost_dir);
    reading_over(a);
    a->j->stats.pinned = 0;
    free(a);
}

/* The first segment after that number. */
static struct segment *segment_after(const struct journal *j, uint32_t seq)
{
    LIST_EACH (&j->segments, n) {
        struct segment *s = CONTAINER(n, struct segment, link);

        if (s->seq > seq && !s->dropping)
            return s;
    }
    return NULL;
}

/* --- segments --- */

/* What this process has written is durable as far as the books go; of what was there before, the
 * replay knows how much was. */
static uint64_t durable_bytes(const struct journal *j, const struct segment *s)
{
    return s->seq > j->replayed ? s->size : s->durable;
}

static void cannot_open(struct spool_analysis *a, const struct segment *s, int err)
{
    char file[FORMAT_FILE_NAME];
    struct spool_finding *f;

    format_segment_name(file, s->seq);
    f = report_add(a->report, "unreadable", SPOOL_FOUND, file, -1);
    finding_found(f, "it can't be opened: %s", strerror(err));
    finding_expected(f, "a segment that can be read");
    finding_repair(f, "nothing: see to the file, or to the disk");
}

/* 1: the next segment waits to be scanned. 0: there is none. */
static int next_segment(struct spool_analysis *a)
{
    struct segment *s;

    while ((s = segment_after(a->j, a->seq))) {
        a->seq = s->seq;
        a->file = segment_open(a->j, s);
        if (!a->file) {
            cannot_open(a, s, errno);
            continue;
        }
        a->durable = durable_bytes(a->j, s);
        a->ended = a->damaged = 0;
        a->until = 0;
        scan_init(&a->scan, a->j->cfg.io, a->file->fd, s->size);
        a->report->facts.segments++;
        a->report->facts.segment_bytes += s->size;
        return 1;
    }
    return 0;
}

static void hold(struct spool_analysis *a, uint64_t id, const char *what, struct spool_finding *f)
{
    char why[200];
    int r;

    if (!a->setup.repair || !a->setup.hold)
        return;
    snprintf(why, sizeof why, "queue analyze: %s; what it reads may be wrong", what);
    r = a->setup.hold(a->setup.ctx, id, why);
    if (r < 0)
        finding_repair(f, "not repaired: it can't be put on hold now: %s", strerror(-r));
    else
        finding_repair(f, "put on hold; after the next start, analyze again to rebuild it");
    if (r == 0)
        report_mend(a->report, f);
}

/* A damaged record at a place where the books say that a message lives: it got bad since the start.
 */
static void meet_books(struct spool_analysis *a, struct spool_lost *l, const struct segment *s)
{
    LIST_EACH (&s->messages, n) {
        const struct journal_entry *e = CONTAINER(n, const struct journal_entry, in_messages);
        struct spool_finding *f = report_at(a->report, l->finding);

        l->known |= l->id && e->base.id == l->id;
        if (e->at < l->at || e->at >= l->at + l->len)
            continue;
        l->known = l->live = 1;
        if (f)
            f->id = e->base.id;
        if (!e->done)
            hold(a, e->base.id, "its record is damaged", f);
    }
}

/* What was found in this slice is compared with the books at once: what they don't know now is
 * either lost, or was done before; then its DONE record is durable, and is still to be read. */
static void meet_fresh(struct spool_analysis *a, struct segment *s)
{
    struct spool_lost *l = a->met ? a->met->next : a->lost;
    int open = 0;

    for (; l; l = l->next) {
        if (l->whole)
            l->known = idmap_get(a->j->files, l->id) != NULL;
        else if (s)
            meet_books(a, l, s);
        else
            l->known = 1; /* all of its messages have left meanwhile */
        open |= !l->known && !l->done;
        a->met = l;
    }
    if (s && open)
        a->until = s->size;
}

/* Live messages leave it, then it is set aside. Not when the damage is among what is live. */
static void retire(struct spool_analysis *a, struct segment *s)
{
    s->damaged = 1; /* so that it is renamed, not deleted */
    s->barrier = 1;
    compact_consider(a->j);
    segment_check(a->j, s);
}

static int live_damage(const struct spool_analysis *a)
{
    for (const struct spool_lost *l = a->lost; l; l = l->next) {
        if (l->seq == a->seq && l->live)
            return 1;
    }
    return 0;
}

/* 1: there is more of this segment to be read. */
static int segment_goes_on(struct spool_analysis *a)
{
    struct segment *s = segment_find(a->j, a->seq);

    meet_fresh(a, s);
    if (!a->ended)
        return 1;
    if (s && s->size >= a->until && a->until > a->scan.size) {
        a->report->facts.segment_bytes += s->size - a->scan.size;
        a->scan.size = s->size;
        a->durable = durable_bytes(a->j, s);
        a->ended = 0;
        return 1;
    }
    if (a->damaged && s && s->sealed && !s->dropping && a->setup.repair && !live_damage(a))
        retire(a, s);
    scan_end(a);
    return 0;
}

/* --- entries --- */

static int take_look(struct spool_analysis *a, struct segment *s, const struct journal_entry *e)
{
    struct analyze_look *l = &a->looks[a->looks_n];

    *l = (struct analyze_look){ .id = e->base.id,
                                .size = e->base.size,
                                .seq = s->seq,
                                .at = e->at,
                                .meta_len = e->meta_len,
                                .len = entry_record_len(e),
                                .large = e->large };
    l->file = segment_open(a->j, s);
    if (!l->file)
        return -errno;
    if (e->state_segment) {
        l->state_seq = e->state_segment->seq;
        l->state_at = e->state_at;
        l->state_len = e->state_len;
        l->state_file = segment_open(a->j, e->state_segment);
    }
    if (e->large) {
        l->content = journal_open_content(a->j, e);
        l->error = l->content ? 0 : errno;
    }
    a->looks_n++;
    return 0;
}

static void enqueue(struct spool_analysis *a, struct journal_entry *e, struct spool_finding *f)
{
    void *meta = NULL, *state = NULL;
    size_t meta_len = 0, state_len = 0;
    int r = journal_read_meta(&a->j->spool, &e->base, &meta, &meta_len);

    if (r == 0 && journal_read_state(&a->j->spool, &e->base, &state, &state_len) < 0)
        state = NULL;
    if (r == 0)
        r = a->setup.enqueue(a->setup.ctx, &e->base, meta, meta_len, state, state_len);
    free(meta);
    free(state);
    if (r == 0) {
        finding_repair(f, "taken into the queue");
        report_mend(a->report, f);
    } else {
        finding_repair(f, "not repaired: it can't be taken into the queue: %s", strerror(-r));
    }
}

static void not_in_queue(struct spool_analysis *a, const struct segment *s, struct journal_entry *e)
{
    char file[FORMAT_FILE_NAME];
    struct spool_finding *f;

    format_segment_name(file, s->seq);
    f = report_add(a->report, "not-in-queue", SPOOL_FOUND, file, e->at);
    if (f)
        f->id = e->base.id;
    finding_found(f, "a message that the queue does not hold");
    finding_expected(f, "that every message of the spool is in the queue");
    finding_repair(f, "take it into the queue");
    if (a->setup.repair && a->setup.enqueue)
        enqueue(a, e, f);
}

static void visit(struct spool_analysis *a, struct segment *s, struct journal_entry *e)
{
    for (struct spool_lost *l = idmap_get(a->by_id, e->base.id); l; l = l->same)
        l->known = 1;
    if (e->done)
        return; /* it is on its way out */
    if (a->setup.holds && !a->setup.holds(a->setup.ctx, e->base.id))
        not_in_queue(a, s, e);
    take_look(a, s, e);
}

/* 1: some entries wait to be looked at. 0: there are no more. */
static int next_entries(struct spool_analysis *a)
{
    struct segment *s = segment_find(a->j, a->seq);
    uint64_t bytes = 0;

    looks_done(a);
    for (unsigned n = 0; n < 16 * ANALYZE_SLICE_ENTRIES; n++) {
        struct journal_entry *e;

        if (!s || !s->cursor || s->cursor == &s->messages) {
            if (s)
                s->cursor = NULL;
            s = segment_after(a->j, a->seq);
            if (!s)
                break;
            a->seq = s->seq;
            s->cursor = s->messages.next;
            continue;
        }
        e = CONTAINER(s->cursor, struct journal_entry, in_messages);
        s->cursor = s->cursor->next;
        visit(a, s, e);
        bytes += e->meta_len + (e->large ? e->base.size : 0);
        if (a->looks_n == ANALYZE_SLICE_ENTRIES || bytes >= ANALYZE_SLICE_BYTES)
            break;
    }
    return s != NULL || a->looks_n;
}

static void hold_wrong(struct spool_analysis *a)
{
    for (size_t i = 0; i < a->looks_n; i++) {
        const struct analyze_look *l = &a->looks[i];

        for (size_t k = a->report->n; l->wrong && k-- > 0;) {
            struct spool_finding *f = &a->report->v[k];

            if (f->id != l->id || f->state != SPOOL_FOUND)
                continue;
            hold(a, l->id, f->found, f);
            break;
        }
    }
}

/* --- messages that nobody knows --- */

/* Only where the segment is still in the books: with it goes the DONE record that would tell. */
static void settle_whole(struct spool_analysis *a)
{
    for (struct spool_lost *l = a->lost; l; l = l->next) {
        const struct segment *s = l->whole ? segment_find(a->j, l->seq) : NULL;

        if (l->whole && (!s || s->dropping || idmap_get(a->j->files, l->id)))
            l->known = 1;
    }
}

/* Those whose content has gone are given up by the journal, with their segment. */
static void retire_whole(struct spool_analysis *a)
{
    for (struct spool_lost *l = a->lost; l && a->setup.repair; l = l->next) {
        struct segment *s = l->whole && !l->known && !l->done ? segment_find(a->j, l->seq) : NULL;

        if (s && s->sealed && !s->dropping)
            retire(a, s);
    }
}

/* --- files --- */

/* It belongs to a record that is good: what is wrong with it was said. */
static int was_said(const struct spool_analysis *a, uint64_t id)
{
    for (const struct spool_lost *l = idmap_get(a->by_id, id); l; l = l->same) {
        if (l->whole && !l->known && !l->done)
            return 1;
    }
    return 0;
}

static void keep_unknown(struct spool_analysis *a)
{
    uint32_t newest =
        list_empty(&a->j->segments) ? 0 : CONTAINER(a->j->segments.prev, struct segment, link)->seq;
    size_t kept = 0;

    for (size_t i = 0; i < a->contents.n; i++) {
        if (!idmap_get(a->j->files, a->contents.v[i]) && !was_said(a, a->contents.v[i]))
            a->contents.v[kept++] = a->contents.v[i];
    }
    a->contents.n = kept;
    kept = 0;
    for (size_t i = 0; i < a->segments.n; i++) {
        uint32_t seq = (uint32_t)a->segments.v[i];

        /* One with a greater number is being begun now. */
        if (seq < newest && !segment_find(a->j, seq))
            a->segments.v[kept++] = seq;
    }
    a->segments.n = kept;
}

/* --- the course --- */

static void sum_up(struct spool_analysis *a)
{
    struct spool_facts *facts = &a->report->facts;
    uint64_t needed = 0, all = 0;

    LIST_EACH (&a->j->segments, n) {
        const struct segment *s = CONTAINER(n, const struct segment, link);

        all += s->size;
        needed += FORMAT_HEADER + FORMAT_SEGMENT_LEN + s->live_bytes +
            (uint64_t)s->tombs_needed * TOMB_LEN;
    }
    facts->live_messages = a->j->stats.live_messages;
    facts->live_bytes = a->j->stats.live_bytes;
    facts->reclaimable_bytes = all > needed ? all - needed : 0;
}

int spool_analysis_prepare(struct spool_analysis *a)
{
    switch (a->phase) {
    case ANALYZE_SEGMENTS:
        if ((a->file && segment_goes_on(a)) || next_segment(a))
            return 1;
        a->phase = ANALYZE_ENTRIES;
        a->seq = 0;
        /* fall through */
    case ANALYZE_ENTRIES:
        hold_wrong(a);
        if (next_entries(a))
            return 1;
        looks_done(a);
        settle_whole(a);
        reading_over(a);
        a->phase = ANALYZE_CONTENT;
        return 1;
    case ANALYZE_CONTENT:
        retire_whole(a);
        a->phase = ANALYZE_LIST;
        return 1;
    case ANALYZE_LIST:
        keep_unknown(a);
        a->phase = ANALYZE_STRAYS;
        return 1;
    case ANALYZE_STRAYS:
        a->phase = ANALYZE_END;
        sum_up(a);
        /* fall through */
    case ANALYZE_END:
        break;
    }
    return 0;
}

int spool_analysis_work(void *arg)
{
    struct spool_analysis *a = arg;

    switch (a->phase) {
    case ANALYZE_SEGMENTS:
        analyze_scan(a);
        break;
    case ANALYZE_ENTRIES:
        analyze_looks(a);
        break;
    case ANALYZE_CONTENT:
        analyze_lost_contents(a);
        break;
    case ANALYZE_LIST:
        analyze_list(a);
        break;
    case ANALYZE_STRAYS:
        analyze_strays(a);
        break;
    case ANALYZE_END:
        break;
    }
    return 0;
}

/* --- what is lost --- */

/* One that could not be given a name by its header was perhaps rebuilt by an earlier analysis: then
 * its copy was there before. */
static int worth_reading(const struct spool_lost *l)
{
    return l->finding >= 0 && !l->known && !l->done && (l->id || l->copied);
}

struct spool_lost *spool_analysis_next_lost(struct spool_analysis *a)
{
    struct spool_lost *l = a->salvaged ? a->salvaged->next : a->lost;

    while (l && !worth_reading(l))
        l = l->next;
    if (l)
        a->salvaged = l;
    return a->setup.repair ? l : NULL;
}

void spool_lost_settle(struct spool_analysis *a, struct spool_lost *l, uint64_t as, const char *why)
{
    struct spool_finding *f = report_at(a->report, l->finding);
    char copied[sizeof f->repair], id[14];

    if (!f)
        return;
    snprintf(copied, sizeof copied, "%s", f->repair);
    if (as)
        finding_repair(f, "%.120s; rebuilt on hold as %s", copied, text_id(as, id, sizeof id));
    else
        finding_repair(f, "%.120s; not rebuilt: %s", copied, why);
    /* From now on it is done: no later start or analysis is to find it again. */
    if (as && l->id)
        journal_bury(a->j, l->id, l->seq);
}
