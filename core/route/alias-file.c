/* One file: is it another than the last time, and if so, what does it say? */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "config/read.h"
#include "route/alias-set.h"
#include "util/cleanup.h"

struct alias_source *alias_source_ref(struct alias_source *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void alias_source_unref(struct alias_source **s)
{
    struct alias_source *old = STEAL_PTR(*s);

    if (!old || atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) > 1)
        return;
    alias_map_done(&old->map);
    free(old->file);
    free(old);
}

void alias_file_free(struct alias_file **f)
{
    if (!*f)
        return;
    alias_source_unref(&(*f)->source);
    free((*f)->path);
    free((*f)->why);
    free(*f);
    *f = NULL;
}

static int same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int same_stamp(const struct alias_stamp *a, const struct alias_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
        same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime);
}

/* --- complaints: as the readers said them, and what came of it --- */

static void pass_on(struct config_errors *from, struct config_errors *to, const char *suffix)
{
    for (size_t i = 0; i < from->n; i++)
        config_error(to, NULL, NULL, "%s%s", from->lines[i], suffix);
}

static void report_read(struct alias_report *own, const struct alias_limits *how, int kept,
                        struct alias_report *report)
{
    const char *suffix = kept ? "; the version that was read before stays" : "";

    pass_on(&own->warnings, &report->warnings, "");
    pass_on(&own->errors, how->gentle ? &report->warnings : &report->errors, suffix);
    alias_report_done(own);
}

/* --- reading --- */

/* Nobody else may put words into a user's mouth. */
static int check_owner(const struct alias_file *f, const struct stat *st,
                       const struct alias_limits *how, struct alias_report *report)
{
    if (st->st_uid != how->owner && st->st_uid != 0)
        config_error(&report->errors, f->path, NULL,
                     "it belongs to user %u, expected user %u: not read", (unsigned)st->st_uid,
                     (unsigned)how->owner);
    else if (st->st_mode & (S_IWGRP | S_IWOTH))
        config_error(&report->errors, f->path, NULL,
                     "others may write to it (mode %03o), expected only its owner: not read",
                     (unsigned)(st->st_mode & 0777));
    else
        return 0;
    return -EPERM;
}

static int read_open(struct alias_file *f, int fd, const struct alias_limits *how,
                     struct alias_report *report)
{
    struct alias_source *s;
    struct alias_text text = { 0 };
    int r = config_read_fd(fd, how->max, &text.data, &text.len);

    if (r < 0) {
        config_error(&report->errors, f->path, NULL, "%s",
                     r == -EFBIG        ? "too large"
                         : r == -EINVAL ? "no regular file"
                                        : strerror(-r));
        if (r == -EFBIG)
            config_error(&report->errors, f->path, NULL, "expected at most %zu bytes", how->max);
        return r;
    }
    s = mem_zalloc(sizeof *s);
    atomic_init(&s->refs, 1);
    s->file = mem_strdup(f->path);
    alias_map_init(&s->map);
    r = alias_read(how->syntax, f->path, &text, how->personal, &s->map, report);
    if (r < 0) {
        alias_source_unref(&s);
        return r;
    }
    f->source = s;
    return 0;
}

static void lend(struct alias_file *f, const struct alias_file *old)
{
    if (old && old->source)
        f->source = alias_source_ref(old->source);
    else if (old && old->why && !f->why)
        f->why = mem_strdup(old->why);
}

/* Mail that needs it is told so, as long as nothing else is known of it. */
static void note_why(struct alias_file *f, const struct alias_report *own)
{
    if (f->source)
        return;
    free(f->why);
    f->why = mem_strdup(own->errors.n ? own->errors.lines[0] : f->path);
}

static void missing(struct alias_file *f, const struct alias_limits *how,
                    const struct alias_file *old, struct alias_report *report)
{
    struct alias_report own = { 0 };

    f->seen_errno = errno;
    f->broken = 1;
    if (how->personal && (f->seen_errno == ENOENT || f->seen_errno == ENOTDIR)) {
        f->broken = 0; /* nothing is what most users have */
        f->fresh = !old || old->seen_errno != f->seen_errno;
        return;
    }
    lend(f, old);
    if (old && old->seen_errno == f->seen_errno)
        return;
    f->fresh = 1;
    config_error(&own.errors, f->path, NULL, "%s",
                 how->personal && f->seen_errno == ELOOP ? "it is a link: not followed"
                                                         : strerror(f->seen_errno));
    note_why(f, &own);
    report_read(&own, how, f->source != NULL, report);
}

static void load_open(struct alias_file *f, int fd, const struct alias_limits *how,
                      const struct alias_file *old, struct alias_report *report)
{
    struct alias_report own = { 0 };
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0) {
        missing(f, how, old, report);
        return;
    }
    f->seen = (struct alias_stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
    if (old && !old->seen_errno && same_stamp(&f->seen, &old->seen)) {
        f->broken = old->broken;
        lend(f, old);
        return;
    }
    f->fresh = 1;
    r = how->personal ? check_owner(f, &st, how, &own) : 0;
    if (!r)
        r = read_open(f, fd, how, &own);
    f->broken = r < 0;
    note_why(f, &own);
    /* A file that is his no more is not his word any more. */
    if (r < 0 && r != -EPERM)
        lend(f, old);
    report_read(&own, how, r < 0 && f->source, report);
}

struct alias_file *alias_file_load(const char *path, const struct alias_limits *how,
                                   const struct alias_file *old, struct alias_report *report)
{
    /* O_NONBLOCK: a FIFO must not keep us waiting before we see that it is one. */
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (how->personal ? O_NOFOLLOW : 0);
    struct alias_file *f = mem_zalloc(sizeof *f);
    int fd AUTO_CLOSE = open(path, flags);

    f->path = mem_strdup(path);
    if (fd < 0)
        missing(f, how, old, report);
    else
        load_open(f, fd, how, old, report);
    return f;
}
