/* spool/analyze-folder.c: what lies in a shard's folders: names, owners, modes, and files that
 * nobody knows; and lost+found, where those go. On any thread; see analyze.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/analyze-private.h"
#include "util/mem.h"

/* --- lost+found --- */

int analyze_open_lost(struct spool_analysis *a)
{
    const struct spool_io *io = a->j->cfg.io;
    int r;

    if (a->lost_dir >= 0)
        return a->lost_dir;
    if (a->setup.repair) {
        r = io->mkdir(io->ctx, a->j->dir, SPOOL_LOST_FOUND, 0700);
        if (r == 0)
            r = io->fsync_dir(io->ctx, a->j->dir);
        if (r < 0 && r != -EEXIST)
            return r;
    }
    a->lost_dir = io->open(io->ctx, a->j->dir, SPOOL_LOST_FOUND, O_RDONLY | O_DIRECTORY, 0);
    return a->lost_dir;
}

static int copy_bytes(const struct spool_io *io, int from, uint64_t at, uint64_t len, int to)
{
    char *buf = mem_alloc(ANALYZE_COPY_BYTES);
    uint64_t done = 0;
    int r = 0;

    while (r == 0 && done < len) {
        size_t n = len - done < ANALYZE_COPY_BYTES ? (size_t)(len - done) : ANALYZE_COPY_BYTES;
        struct iovec iov = { buf, n };

        r = journal_pread(io, from, buf, n, at + done);
        if (r == 0)
            r = journal_write_all(io, to, &iov, 1, done);
        done += n;
    }
    free(buf);
    return r < 0 ? r : io->fdatasync(io->ctx, to);
}

int analyze_copy_aside(struct spool_analysis *a, const struct journal_file *file, uint64_t at,
                       uint64_t len, const char *name)
{
    const struct spool_io *io = a->j->cfg.io;
    int dir = analyze_open_lost(a), fd, r;

    if (dir < 0)
        return dir;
    fd = io->open(io->ctx, dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fd == -EEXIST ? 1 : fd; /* the same place of the same segment: the same bytes */
    r = copy_bytes(io, file->fd, at, len, fd);
    io->close(io->ctx, fd);
    if (r == 0)
        r = io->fsync_dir(io->ctx, dir);
    if (r < 0)
        io->unlink(io->ctx, dir, name); /* half a copy would pass for a whole one */
    return r;
}

/* --- owners and modes --- */

struct modes {
    const struct spool_io *io;
    struct spool_report *report;
    uid_t owner;
    int repair;
    const char *prefix; /* of names in words: "content/" */
    int dir;
};

static void mended(struct modes *m, struct spool_finding *f, int r, const char *what)
{
    if (!m->repair) {
        finding_repair(f, "%s", what);
    } else if (r < 0) {
        finding_repair(f, "not repaired: %s: %s", what, strerror(-r));
    } else {
        finding_repair(f, "done: %s", what);
        report_mend(m->report, f);
    }
}

static void check_mode(struct modes *m, const char *name, const char *shown, const struct stat *st)
{
    mode_t want = S_ISDIR(st->st_mode) ? 0700 : 0600, have = st->st_mode & 07777;
    struct spool_finding *f;
    char what[64];

    if (!(have & ~want) && (have & 0600) == 0600)
        return;
    f = report_add(m->report, "wrong-mode", SPOOL_FOUND, shown, -1);
    finding_found(f, "mode %04o", (unsigned)have);
    finding_expected(f, "mode %04o", (unsigned)want);
    snprintf(what, sizeof what, "change its mode to %04o", (unsigned)want);
    mended(m, f, m->repair ? m->io->chmod(m->io->ctx, m->dir, name, want) : 0, what);
}

static void check_owner(struct modes *m, const char *name, const char *shown, const struct stat *st)
{
    struct spool_finding *f;
    char what[64];

    if (st->st_uid == m->owner)
        return;
    f = report_add(m->report, "wrong-owner", SPOOL_FOUND, shown, -1);
    finding_found(f, "it belongs to uid %u", (unsigned)st->st_uid);
    finding_expected(f, "uid %u", (unsigned)m->owner);
    snprintf(what, sizeof what, "give it to uid %u", (unsigned)m->owner);
    mended(m, f, m->repair ? m->io->chown(m->io->ctx, m->dir, name, m->owner) : 0, what);
}

/* 0: something of that name is there, and *ret says what. What is gone again is no matter. */
static int check_one(struct modes *m, const char *name, struct stat *ret)
{
    char shown[64];

    if (m->io->stat(m->io->ctx, m->dir, name, ret) < 0)
        return -ENOENT;
    if (!S_ISREG(ret->st_mode) && !S_ISDIR(ret->st_mode))
        return 0; /* not ours, whatever it is */
    snprintf(shown, sizeof shown, "%s%s", m->prefix, name);
    check_owner(m, name, shown, ret);
    check_mode(m, name, shown, ret);
    return 0;
}

/* --- what is there --- */

struct listing {
    struct spool_analysis *a; /* NULL: only modes are asked */
    struct modes modes;
    struct spool_facts *facts;
};

static void names_add(struct analyze_names *v, uint64_t id)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 64;
        v->v = mem_realloc(v->v, v->cap * sizeof *v->v);
    }
    v->v[v->n++] = id;
}

static void unknown(struct listing *l, const char *name, const struct stat *st)
{
    struct spool_finding *f;
    char shown[64];

    if (!l->a)
        return;
    snprintf(shown, sizeof shown, "%s%s", l->modes.prefix, name);
    f = report_add(l->modes.report, "unknown-file", SPOOL_NOTE, shown, -1);
    if (f && st->st_size > 0)
        f->bytes = (uint64_t)st->st_size;
    finding_found(f,
                  S_ISREG(st->st_mode)       ? "a file that is no part of a spool"
                      : S_ISDIR(st->st_mode) ? "a folder that is no part of a spool"
                                             : "neither a file nor a folder");
    finding_expected(f, "segments, content, lock, reserve");
    finding_repair(f, "nothing: it is in nobody's way");
}

static uint64_t size_of(const struct stat *st)
{
    return st->st_size > 0 ? (uint64_t)st->st_size : 0;
}

static void aside(struct spool_facts *facts, const struct stat *st)
{
    facts->aside_files++;
    facts->aside_bytes += size_of(st);
}

static void see_top(void *ctx, const char *name)
{
    struct listing *l = ctx;
    struct stat st;
    uint32_t seq;

    if (check_one(&l->modes, name, &st) < 0 || !strcmp(name, "content") ||
        !strcmp(name, SPOOL_LOST_FOUND))
        return;
    if (!S_ISREG(st.st_mode))
        unknown(l, name, &st);
    else if (format_segment_name_read(name, ".damaged", &seq) == 0)
        aside(l->facts, &st);
    else if (format_segment_name_read(name, ".seg", &seq) == 0 && l->a)
        names_add(&l->a->segments, seq);
    else if (format_segment_name_read(name, ".seg", &seq) < 0 && strcmp(name, "lock") &&
             strcmp(name, "reserve") && strcmp(name, JOURNAL_RANGE_NAME))
        unknown(l, name, &st);
}

static void see_content(void *ctx, const char *name)
{
    struct listing *l = ctx;
    char id_part[FORMAT_NAME_LEN + 1];
    struct stat st;
    uint64_t id;

    if (check_one(&l->modes, name, &st) < 0)
        return;
    snprintf(id_part, sizeof id_part, "%s", name);
    if (!S_ISREG(st.st_mode) || format_content_name_read(id_part, &id) < 0) {
        unknown(l, name, &st);
    } else if (!strcmp(name + FORMAT_NAME_LEN, ".damaged")) {
        aside(l->facts, &st);
    } else if (name[FORMAT_NAME_LEN]) {
        unknown(l, name, &st);
    } else {
        l->facts->content_files++;
        l->facts->content_bytes += size_of(&st);
        if (l->a)
            names_add(&l->a->contents, id);
    }
}

static void see_lost(void *ctx, const char *name)
{
    struct listing *l = ctx;
    struct stat st;

    if (check_one(&l->modes, name, &st) < 0)
        return;
    l->facts->lost_files++;
    l->facts->lost_bytes += size_of(&st);
}

static void list_folder(struct listing *l, int dir, const char *prefix,
                        void (*each)(void *ctx, const char *name))
{
    struct spool_finding *f;
    int r;

    if (dir < 0)
        return;
    l->modes.dir = dir;
    l->modes.prefix = prefix;
    r = l->modes.io->list(l->modes.io->ctx, dir, each, l);
    if (r == 0)
        return;
    f = report_add(l->modes.report, "unreadable", SPOOL_FOUND, *prefix ? prefix : ".", -1);
    finding_found(f, "the folder can't be listed: %s", strerror(-r));
    finding_expected(f, "a folder that can be read");
    finding_repair(f, "nothing: see to the disk");
}

static struct listing listing_of(struct spool_analysis *a)
{
    return (struct listing){ .a = a,
                             .facts = &a->report->facts,
                             .modes = { .io = a->j->cfg.io,
                                        .report = a->report,
                                        .owner = a->setup.owner,
                                        .repair = a->setup.repair } };
}

void analyze_list(struct spool_analysis *a)
{
    struct listing l = listing_of(a);

    list_folder(&l, a->j->dir, "", see_top);
    list_folder(&l, a->j->content_dir, "content/", see_content);
}

void spool_analyze_modes(const char *path, uid_t owner, int repair, struct spool_report *report)
{
    const struct spool_io *io = &spool_io_real;
    struct spool_facts unused = { 0 };
    struct listing l = { .facts = &unused,
                         .modes = { .io = io,
                                    .report = report,
                                    .owner = owner,
                                    .repair = repair,
                                    .prefix = "",
                                    .dir = AT_FDCWD } };
    static const char *const folders[] = { "content", SPOOL_LOST_FOUND };
    struct stat st;
    int top, dir;

    if (io->stat(io->ctx, AT_FDCWD, path, &st) == 0 && S_ISDIR(st.st_mode)) {
        check_owner(&l.modes, path, ".", &st);
        check_mode(&l.modes, path, ".", &st);
    }
    top = io->open(io->ctx, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (top < 0)
        return; /* who opens it next says why */
    list_folder(&l, top, "", see_top);
    for (size_t i = 0; i < 2; i++) {
        char prefix[16];

        snprintf(prefix, sizeof prefix, "%s/", folders[i]);
        dir = io->open(io->ctx, top, folders[i], O_RDONLY | O_DIRECTORY, 0);
        list_folder(&l, dir, prefix, i ? see_lost : see_content);
        if (dir >= 0)
            io->close(io->ctx, dir);
    }
    io->close(io->ctx, top);
}

/* --- files that nobody knows --- */

static void move_aside(struct spool_analysis *a, struct spool_finding *f, int dir, const char *name,
                       const char *to)
{
    const struct spool_io *io = a->j->cfg.io;
    int lost, r;

    if (!a->setup.repair) {
        finding_repair(f, "move it to " SPOOL_LOST_FOUND "/%s", to);
        return;
    }
    lost = analyze_open_lost(a);
    r = lost < 0 ? lost : io->move(io->ctx, dir, name, lost, to);
    if (r == 0)
        r = io->fsync_dir(io->ctx, lost);
    if (r == 0)
        r = io->fsync_dir(io->ctx, dir);
    if (r < 0) {
        finding_repair(f, "not repaired: it can't be moved to " SPOOL_LOST_FOUND "/%s: %s", to,
                       strerror(-r));
        return;
    }
    finding_repair(f, "moved to " SPOOL_LOST_FOUND "/%s", to);
    report_mend(a->report, f);
}

static void orphan(struct spool_analysis *a, uint64_t id)
{
    const struct spool_io *io = a->j->cfg.io;
    char name[FORMAT_NAME_LEN + 1], shown[64], to[64];
    struct spool_finding *f;
    struct stat st;

    format_content_name(name, id);
    if (io->stat(io->ctx, a->j->content_dir, name, &st) < 0)
        return; /* it has gone the way of its message */
    snprintf(shown, sizeof shown, "content/%s", name);
    snprintf(to, sizeof to, "%s.content", name);
    f = report_add(a->report, "orphan-content", SPOOL_FOUND, shown, -1);
    if (!f)
        return;
    f->bytes = size_of(&st);
    f->id = id;
    finding_found(f, "%" PRIu64 " bytes of content that no message owns", f->bytes);
    finding_expected(f, "a MESSAGE record that names it");
    move_aside(a, f, a->j->content_dir, name, to);
}

static void stray_segment(struct spool_analysis *a, uint32_t seq)
{
    const struct spool_io *io = a->j->cfg.io;
    char name[FORMAT_FILE_NAME];
    struct spool_finding *f;
    struct stat st;

    format_segment_name(name, seq);
    if (io->stat(io->ctx, a->j->dir, name, &st) < 0)
        return;
    f = report_add(a->report, "stray-segment", SPOOL_NOTE, name, -1);
    if (f)
        f->bytes = size_of(&st);
    finding_found(f, "a segment that came while the gateway ran");
    finding_expected(f, "only those that it has read at its start, or written");
    finding_repair(f, "nothing: the next start reads it");
}

void analyze_strays(struct spool_analysis *a)
{
    struct listing l = listing_of(a);

    for (size_t i = 0; i < a->contents.n; i++)
        orphan(a, a->contents.v[i]);
    for (size_t i = 0; i < a->segments.n; i++)
        stray_segment(a, (uint32_t)a->segments.v[i]);
    list_folder(&l, analyze_open_lost(a), SPOOL_LOST_FOUND "/", see_lost);
}
