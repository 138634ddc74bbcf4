/* append.c: see append.h.
 *
 * A job can be cancelled while the thread is at work. The mutex makes that clean: content is read
 * under it, so nobody reads content whose job is gone; and the decision that the batch is durable
 * is taken under it, so a recipient that was reported as deferred is not in the file, and what is
 * in the file is reported as delivered. */
#include "append.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "target.h"

#define READ_MAX 16384u

struct work { /* the thread's memory */
    struct sheet *sheet;
    struct target target;
    char in[READ_MAX];
    char out[POSTERN_LINES_ROOM(READ_MAX)];
};

/* --- one message --- */

static int64_t read_guarded(struct work *w, struct entry *e, uint64_t at)
{
    int64_t n = -ECANCELED;

    pthread_mutex_lock(&w->sheet->lock);
    if (!e->cancelled)
        n = w->sheet->a.svc->content_read(e->content, at, w->in, sizeof w->in);
    pthread_mutex_unlock(&w->sheet->lock);
    return n;
}

static int write_text(struct work *w, const char *text)
{
    return target_write(&w->target, text, strlen(text));
}

/* The separator, and what final delivery adds (RFC 5321 4.4). */
static int write_head(struct work *w, const struct entry *e)
{
    const struct settings *set = w->sheet->a.set;
    const char *end = set->line_ends == ENDS_CRLF ? "\r\n" : "\n";
    char line[POSTERN_MBOX_FROM_MAX];
    int r = 0;

    if (set->format == FORMAT_MBOX) {
        postern_mbox_from(e->sender, time(NULL), line, sizeof line);
        r = write_text(w, line);
    }
    if (!r && set->return_path) {
        snprintf(line, sizeof line, "Return-Path: <%s>%s", e->sender, end);
        r = write_text(w, line);
    }
    if (!r && set->delivered_to) {
        snprintf(line, sizeof line, "Delivered-To: %s%s", e->rcpt, end);
        r = write_text(w, line);
    }
    return r;
}

static int write_content(struct work *w, struct entry *e)
{
    const struct settings *set = w->sheet->a.set;
    struct postern_lines lines = { .size = sizeof lines };
    uint64_t at = 0;
    int64_t n = 0;
    int r = 0;

    if (set->format == FORMAT_MBOX)
        lines.flags = POSTERN_LINES_QUOTE | POSTERN_LINES_GAP;
    while (!r && (n = read_guarded(w, e, at)) > 0) {
        if (set->line_ends == ENDS_CRLF)
            r = target_write(&w->target, w->in, (size_t)n);
        else
            r = target_write(&w->target, w->out,
                             postern_lines_add(&lines, w->in, (size_t)n, w->out));
        at += (uint64_t)n;
    }
    if (r < 0 || n < 0)
        return r < 0 ? r : (int)n;
    if (at != e->content_size)
        return -EIO;
    if (set->line_ends == ENDS_CRLF)
        return 0;
    return target_write(&w->target, w->out, postern_lines_end(&lines, w->out));
}

static int over_size(struct work *w, struct entry *e)
{
    uint64_t max = (uint64_t)w->sheet->a.set->max_size;

    if (!max || (e->content_size <= max && w->target.size <= max - e->content_size))
        return 0;
    if (e->content_size > max)
        problem_set(&e->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 2, 3),
                    "the message is larger than the file may be (%llu bytes)",
                    (unsigned long long)max);
    else
        problem_set(&e->problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 2, 2),
                    "the file is full (%llu of %llu bytes are used)",
                    (unsigned long long)w->target.size, (unsigned long long)max);
    return 1;
}

static void log_undo(struct work *w, uint64_t at, int r)
{
    if (r < 0)
        w->sheet->a.svc->log(
            w->sheet->a.host, POSTERN_LOG_ERROR, "file.damaged",
            "path=\"%s\" why=\"an unfinished message could not be removed: %s\" at=%llu",
            w->target.name, strerror(-r), (unsigned long long)at);
}

static void log_torn(struct work *w)
{
    const struct append *a = &w->sheet->a;

    if (w->target.torn > 0)
        a->svc->log(a->host, POSTERN_LOG_NOTICE, "file.torn",
                    "path=\"%s\" at=%llu removed=%llu note=\"a delivery was cut short here\"",
                    w->target.name, (unsigned long long)w->target.torn_at,
                    (unsigned long long)w->target.torn_len);
    else if (w->target.torn < 0)
        a->svc->log(a->host, POSTERN_LOG_WARNING, "file.torn",
                    "path=\"%s\" why=\"a delivery was cut short here, and what is there now is not "
                    "only ours: it stays\"",
                    w->target.name);
}

static void append_one(struct work *w, struct entry *e)
{
    int r;

    if (over_size(w, e)) {
        e->state = ENTRY_DONE;
        return;
    }
    e->start = w->target.size;
    r = write_head(w, e);
    if (!r)
        r = write_content(w, e);
    if (!r)
        r = target_flush(&w->target);
    if (!r) {
        e->state = ENTRY_WRITTEN;
        return;
    }
    problem_errno(&e->problem, -r, "append to", w->target.name);
    log_undo(w, e->start, target_undo(&w->target, e->start));
    e->state = ENTRY_DONE;
}

/* --- a batch --- */

static void settle_rest(struct sheet *s, const struct problem *p)
{
    struct entry *e;

    for (e = TAILQ_FIRST(&s->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->state == ENTRY_DONE)
            continue;
        e->problem = *p;
        e->state = ENTRY_DONE;
    }
}

/* Who was written is delivered now, unless somebody was cancelled in the meantime: returns him. */
static struct entry *commit(struct work *w)
{
    struct entry *e, *gone = NULL;

    pthread_mutex_lock(&w->sheet->lock);
    for (e = TAILQ_FIRST(&w->sheet->batch); e && !gone; e = TAILQ_NEXT(e, link)) {
        if (e->cancelled && e->state == ENTRY_WRITTEN)
            gone = e;
    }
    if (!gone) {
        for (e = TAILQ_FIRST(&w->sheet->batch); e; e = TAILQ_NEXT(e, link)) {
            if (e->state != ENTRY_WRITTEN)
                continue;
            problem_set(&e->problem, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, STATUS(2, 0, 0),
                        "delivered to file %s", w->target.name);
            e->state = ENTRY_DONE;
        }
        w->sheet->committed = 1;
    }
    pthread_mutex_unlock(&w->sheet->lock);
    return gone;
}

/* Takes a cancelled message out of the file again. Those behind it have to be written once more. */
static int take_out(struct work *w, struct entry *gone)
{
    int r = target_undo(&w->target, gone->start);

    log_undo(w, gone->start, r);
    if (r < 0)
        return r;
    gone->state = ENTRY_DONE;
    for (struct entry *e = TAILQ_NEXT(gone, link); e; e = TAILQ_NEXT(e, link)) {
        if (e->state == ENTRY_WRITTEN)
            e->state = ENTRY_TODO;
    }
    return 0;
}

static void append_all(struct work *w)
{
    struct problem p;
    struct entry *e, *gone;
    int r;

    do {
        for (e = TAILQ_FIRST(&w->sheet->batch); e; e = TAILQ_NEXT(e, link)) {
            if (e->state == ENTRY_TODO)
                append_one(w, e);
        }
        r = target_sync(&w->target);
        if (r < 0) {
            problem_errno(&p, -r, "make durable", w->target.name);
            settle_rest(w->sheet, &p); /* target_close takes them out */
            return;
        }
        gone = commit(w);
    } while (gone && take_out(w, gone) == 0);
    if (gone) {
        problem_set(&p, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 0),
                    "the file %s could not be cut back", w->target.name);
        settle_rest(w->sheet, &p);
    }
}

int append_batch(void *ctx)
{
    struct sheet *s = ctx;
    struct work *w = malloc(sizeof *w);
    struct problem p;
    int r;

    if (!w) {
        problem_errno(&p, ENOMEM, "write to", s->name.path);
        settle_rest(s, &p);
        return 0;
    }
    w->sheet = s;
    r = target_open(&w->target, s->a.set, &s->name, &p);
    if (!r) {
        log_torn(w);
        append_all(w);
        target_close(&w->target);
    } else if (r != -EWOULDBLOCK) {
        settle_rest(s, &p);
    }
    free(w);
    return r == -EWOULDBLOCK ? r : 0;
}
