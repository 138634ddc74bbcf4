/* spool/journal-segment.c: which segments there are, which of them are still needed, and by whom.
 *
 * A segment goes when no message or newest state is in it, no DONE record in it is needed by
 * another segment that still has the message, and no older segment is in the midst of being
 * compacted. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/mem.h"

struct journal_file *journal_file_new(const struct spool_io *io, int fd)
{
    struct journal_file *f = mem_alloc(sizeof *f);

    atomic_init(&f->refs, 1);
    f->fd = fd;
    f->io = io;
    return f;
}

struct journal_file *journal_file_ref(struct journal_file *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void journal_file_unref(struct journal_file **pf)
{
    struct journal_file *f = *pf;

    *pf = NULL;
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    f->io->close(f->io->ctx, f->fd);
    free(f);
}

struct segment *segment_new(uint32_t seq, uint32_t salt)
{
    struct segment *s = mem_zalloc(sizeof *s);

    s->seq = seq;
    s->salt = salt;
    list_init(&s->link);
    list_init(&s->messages);
    list_init(&s->states);
    list_init(&s->open_link);
    return s;
}

void segment_free(struct segment *s)
{
    journal_file_unref(&s->file);
    free(s->needs);
    free(s->tombs);
    free(s);
}

void segment_add(struct journal *j, struct segment *s)
{
    struct list *before = j->segments.prev;

    while (before != &j->segments && CONTAINER(before, struct segment, link)->seq > s->seq)
        before = before->prev;
    list_add_head(before, &s->link);
    j->stats.segments++;
}

struct segment *segment_find(const struct journal *j, uint32_t seq)
{
    for (struct list *n = j->segments.prev; n != &j->segments; n = n->prev) {
        struct segment *s = CONTAINER(n, struct segment, link);

        if (s->seq == seq)
            return s;
        if (s->seq < seq)
            break;
    }
    return NULL;
}

/* --- tombstones --- */

static void need_change(struct segment *of, struct segment *in, int by)
{
    uint32_t i = of->needs_n;

    while (i > 0 && of->needs[i - 1].in != in)
        i--;
    if (i == 0) {
        if (of->needs_n == of->needs_cap) {
            of->needs_cap = of->needs_cap ? of->needs_cap * 2 : 4;
            of->needs = mem_realloc(of->needs, of->needs_cap * sizeof *of->needs);
        }
        i = ++of->needs_n;
        of->needs[i - 1] = (struct segment_need){ in, 0 };
    }
    of->needs[i - 1].n += (uint32_t)by;
    in->tombs_needed += (uint32_t)by;
    if (!of->needs[i - 1].n)
        of->needs[i - 1] = of->needs[--of->needs_n];
}

void segment_tomb_add(struct segment *in, struct segment *of, uint64_t id)
{
    if (in == of)
        return;
    need_change(of, in, 1);
    if (in->tombs_n == in->tombs_cap) {
        in->tombs_cap = in->tombs_cap ? in->tombs_cap * 2 : 16;
        in->tombs = mem_realloc(in->tombs, in->tombs_cap * sizeof *in->tombs);
    }
    in->tombs[in->tombs_n++] = (struct segment_tomb){ id, of->seq };
}

void segment_tomb_moved(struct segment *from, struct segment *to, struct segment *of, uint64_t id)
{
    need_change(of, from, -1);
    segment_tomb_add(to, of, id);
}

/* An old copy may stand in a segment that could not be emptied: that one needs the DONE, too. */
void segment_bury_copies(struct journal *j, struct segment *in, const struct segment *of,
                         uint64_t id)
{
    LIST_EACH (&j->segments, n) {
        struct segment *s = CONTAINER(n, struct segment, link);

        if (s->barrier && s != of)
            segment_tomb_add(in, s, id);
    }
}

/* --- letting go --- */

static int unused(const struct segment *s)
{
    return s->sealed && !s->dropping && list_empty(&s->messages) && list_empty(&s->states) &&
        !s->tombs_needed;
}

static void drop(struct journal *j, struct segment *s)
{
    struct request *r = request_new(REQ_DROP, 0, 0);

    s->dropping = 1;
    segment_close(j, s);
    r->segment = s;
    r->u.drop.seq = s->seq;
    r->u.drop.rename = s->damaged;
    if (s->damaged)
        log_event(POSTERN_LOG_WARNING, "spool", "spool.segment.aside",
                  "segment=%" PRIu32 " renamed_to=%08" PRIu32 ".damaged", s->seq, s->seq);
    journal_hand(j, r);
}

void segment_sweep(struct journal *j)
{
    if (j->closing)
        return; /* the next start does it */
    LIST_EACH (&j->segments, n) {
        struct segment *s = CONTAINER(n, struct segment, link);

        if (unused(s) && !(j->reading && s->damaged))
            drop(j, s);
        if (s->barrier && !s->unmovable)
            break;
    }
}

void segment_check(struct journal *j, struct segment *s)
{
    if (!s->sealed || !list_empty(&s->messages) || !list_empty(&s->states))
        return;
    if (s->tombs_needed)
        compact_consider(j);
    else
        segment_sweep(j);
}

void segment_gone(struct journal *j, struct segment *s)
{
    for (uint32_t i = 0; i < s->needs_n; i++) {
        struct segment *in = s->needs[i].in;

        in->tombs_needed -= s->needs[i].n;
        if (in->tombs_needed)
            continue;
        in->tombs_n = in->tombs_cap = 0;
        free(in->tombs);
        in->tombs = NULL;
    }
    list_del(&s->link);
    j->stats.segments--;
    segment_free(s);
    segment_sweep(j);
}

/* --- descriptors of segments --- */

void segment_close(struct journal *j, struct segment *s)
{
    if (!s->file)
        return;
    list_del(&s->open_link);
    j->open_segments_n--;
    journal_file_unref(&s->file);
}

void segment_opened(struct journal *j, struct segment *s, struct journal_file *f)
{
    s->file = f;
    list_add_tail(&j->open_segments, &s->open_link);
    if (++j->open_segments_n > JOURNAL_OPEN_MAX)
        segment_close(j, CONTAINER(j->open_segments.next, struct segment, open_link));
}

struct journal_file *segment_open(struct journal *j, struct segment *s)
{
    const struct spool_io *io = j->cfg.io;
    char name[FORMAT_FILE_NAME];
    int fd;

    if (s->file) {
        list_del(&s->open_link);
        list_add_tail(&j->open_segments, &s->open_link);
        return journal_file_ref(s->file);
    }
    format_segment_name(name, s->seq);
    fd = io->open(io->ctx, j->dir, name, O_RDONLY, 0);
    if (fd < 0) {
        errno = -fd;
        return NULL;
    }
    segment_opened(j, s, journal_file_new(io, fd));
    return journal_file_ref(s->file);
}
