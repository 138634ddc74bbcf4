/* append.c: see append.h, and ../common/batch.h for how a batch goes. */
#include "append.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common/batch.h"
#include "target.h"

#define READ_MAX 16384u

struct work { /* the thread's memory */
    const struct settings *set;
    struct target target;
    char in[READ_MAX];
    char out[POSTERN_LINES_ROOM(READ_MAX)];
};

/* --- one message --- */

static int write_text(struct work *w, const char *text)
{
    return tail_write(&w->target.tail, text, strlen(text));
}

/* The separator, and what final delivery adds (RFC 5321 4.4). */
static int write_head(struct work *w, const struct delivery *d)
{
    const char *end = w->set->line_ends == ENDS_CRLF ? "\r\n" : "\n";
    char line[POSTERN_MBOX_FROM_MAX];
    int r = 0;

    if (w->set->format == FORMAT_MBOX) {
        postern_mbox_from(d->sender, time(NULL), line, sizeof line);
        r = write_text(w, line);
    }
    if (!r && w->set->return_path) {
        snprintf(line, sizeof line, "Return-Path: <%s>%s", d->sender, end);
        r = write_text(w, line);
    }
    if (!r && w->set->delivered_to) {
        snprintf(line, sizeof line, "Delivered-To: %s%s", d->rcpt, end);
        r = write_text(w, line);
    }
    return r;
}

static int write_content(struct work *w, struct delivery *d)
{
    struct postern_lines lines = { .size = sizeof lines };
    uint64_t at = 0;
    int64_t n = 0;
    int r = 0;

    if (w->set->format == FORMAT_MBOX)
        lines.flags = POSTERN_LINES_QUOTE | POSTERN_LINES_GAP;
    while (!r && (n = batch_read(d, at, w->in, sizeof w->in)) > 0) {
        if (w->set->line_ends == ENDS_CRLF)
            r = tail_write(&w->target.tail, w->in, (size_t)n);
        else
            r = tail_write(&w->target.tail, w->out,
                           postern_lines_add(&lines, w->in, (size_t)n, w->out));
        at += (uint64_t)n;
    }
    if (r < 0 || n < 0)
        return r < 0 ? r : (int)n;
    if (at != d->content_size)
        return -EIO;
    if (w->set->line_ends == ENDS_CRLF)
        return 0;
    return tail_write(&w->target.tail, w->out, postern_lines_end(&lines, w->out));
}

static int over_size(struct work *w, struct delivery *d)
{
    uint64_t max = (uint64_t)w->set->max_size, size = w->target.tail.size;

    if (!max || (d->content_size <= max && size <= max - d->content_size))
        return 0;
    if (d->content_size > max)
        problem_set(&d->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 2, 3),
                    "the message is larger than the file may be (%llu bytes)",
                    (unsigned long long)max);
    else
        problem_set(&d->problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 2, 2),
                    "the file is full (%llu of %llu bytes are used)", (unsigned long long)size,
                    (unsigned long long)max);
    return 1;
}

static int append_one(void *work, struct delivery *d)
{
    struct work *w = work;
    int r;

    if (over_size(w, d))
        return -EFBIG;
    r = write_head(w, d);
    if (!r)
        r = write_content(w, d);
    if (!r)
        r = tail_flush(&w->target.tail);
    if (r < 0)
        problem_errno(&d->problem, -r, "append to", w->target.name);
    return r;
}

/* --- a batch --- */

static int append_batch(struct place *place)
{
    struct sheet *s = (struct sheet *)place;
    struct work *w = malloc(sizeof *w);
    struct problem p;
    int r;

    if (!w) {
        problem_errno(&p, ENOMEM, "write to", s->name.path);
        batch_settle(place, &p);
        return 0;
    }
    w->set = place->a.self;
    r = target_open(&w->target, w->set, &s->name, &p);
    if (!r) {
        batch_append(&(struct batch){
            .place = place,
            .tail = &w->target.tail,
            .append = append_one,
            .work = w,
            .torn = "file.torn",
            .damaged = "file.damaged",
        });
        target_close(&w->target);
    } else if (r != -EWOULDBLOCK) {
        batch_settle(place, &p);
    }
    free(w);
    return r == -EWOULDBLOCK ? r : 0;
}

static void name_of(const struct delivery *d, char *buf, size_t size)
{
    const struct sheet *s = (const struct sheet *)d->place;

    snprintf(buf, size, "the file %s/%s", s->name.root, s->name.path);
}

const struct queue_ops append_ops = {
    .place_size = sizeof(struct sheet),
    .delivery_size = sizeof(struct delivery),
    .append = append_batch,
    .name = name_of,
};
