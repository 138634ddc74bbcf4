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
#include <strings.h>
#include <time.h>

#include "mbox.h"
#include "quote.h"

#define READ_MAX      16384u /* also as much of the header as is searched for Delivered-To */
#define SEPARATOR_MAX (POSTERN_ADDRESS_MAX + 64)

struct work { /* the thread's memory */
    struct mailbox *box;
    struct mbox mbox;
    char in[READ_MAX];
    char out[QUOTE_ROOM(READ_MAX)];
};

static void done(struct entry *e)
{
    e->state = ENTRY_DONE;
}

/* --- one message --- */

static int64_t read_guarded(struct work *w, struct entry *e, uint64_t at)
{
    int64_t n = -ECANCELED;

    pthread_mutex_lock(&w->box->lock);
    if (!e->cancelled)
        n = w->box->a.svc->content_read(e->content, at, w->in, sizeof w->in);
    pthread_mutex_unlock(&w->box->lock);
    return n;
}

/* The separator, and what final delivery adds (RFC 5321 4.4). A blank in the sender would end
 * it. */
static int write_head(struct work *w, const struct entry *e)
{
    char line[SEPARATOR_MAX], date[40], sender[POSTERN_ADDRESS_MAX + 1];
    time_t now = time(NULL);
    struct tm tm;
    int r;

    postern_text_clean(e->sender, strlen(e->sender), sender, sizeof sender);
    /* Readers take the line apart at blanks, and some know ASCII only; Return-Path has it all. */
    for (char *p = sender; *p; p++) {
        if (*p == ' ' || (unsigned char)*p >= 0x80)
            *p = '-';
    }
    localtime_r(&now, &tm);
    strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &tm);
    snprintf(line, sizeof line, "From %s %s\n", *sender ? sender : "MAILER-DAEMON", date);
    r = mbox_write(&w->mbox, line, strlen(line));
    if (r < 0)
        return r;
    snprintf(line, sizeof line, "Return-Path: <%s>\n", e->sender);
    r = mbox_write(&w->mbox, line, strlen(line));
    if (r < 0)
        return r;
    snprintf(line, sizeof line, "Delivered-To: %s\n", e->rcpt);
    return mbox_write(&w->mbox, line, strlen(line));
}

/* Was it delivered to this very address before? Then somebody forwards it in a circle. */
static int comes_back(const struct work *w, const struct entry *e, size_t n)
{
    struct postern_field f = { .size = sizeof f };
    size_t pos = 0, len = strlen(e->rcpt);

    while (postern_field_next(w->in, n, &pos, &f) == 1) {
        const char *v = f.value;
        size_t left = f.value_len;

        if (!postern_field_is(&f, "Delivered-To"))
            continue;
        while (left && strchr(" \t\r\n", *v))
            v++, left--;
        while (left && strchr(" \t\r\n", v[left - 1]))
            left--;
        if (left == len && !strncasecmp(v, e->rcpt, len))
            return 1;
    }
    return 0;
}

/* -ELOOP: see comes_back. */
static int write_content(struct work *w, struct entry *e)
{
    struct quote q = { 0 };
    uint64_t at = 0;
    int64_t n;
    int r;

    while ((n = read_guarded(w, e, at)) > 0) {
        if (!at && comes_back(w, e, (size_t)n))
            return -ELOOP;
        r = mbox_write(&w->mbox, w->out, quote_add(&q, w->in, (size_t)n, w->out));
        if (r < 0)
            return r;
        at += (uint64_t)n;
    }
    if (n < 0)
        return (int)n;
    if (at != e->content_size)
        return -EIO;
    return mbox_write(&w->mbox, w->out, quote_end(&q, w->out));
}

static int over_quota(struct work *w, struct entry *e)
{
    uint64_t max = (uint64_t)w->box->a.set->max_size;

    if (!max || (e->content_size <= max && w->mbox.size <= max - e->content_size))
        return 0;
    if (e->content_size > max)
        problem_set(&e->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 2, 3),
                    "the message is larger than a mailbox may be (%llu bytes)",
                    (unsigned long long)max);
    else
        problem_set(&e->problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 2, 2),
                    "the mailbox is full (%llu of %llu bytes are used)",
                    (unsigned long long)w->mbox.size, (unsigned long long)max);
    return 1;
}

static void log_undo(struct work *w, const struct entry *e, int r)
{
    if (r < 0)
        w->box->a.svc->log(
            w->box->a.host, POSTERN_LOG_ERROR, "mbox.damaged",
            "path=\"%s\" why=\"an unfinished message could not be removed: %s\" at=%llu",
            w->mbox.path, strerror(-r), (unsigned long long)e->start);
}

/* A worker was killed while it appended here: what it left is taken out, and comes again whole. */
static void log_torn(struct work *w)
{
    const struct append *a = &w->box->a;

    if (w->mbox.torn > 0)
        a->svc->log(a->host, POSTERN_LOG_NOTICE, "mbox.torn",
                    "path=\"%s\" at=%llu removed=%llu note=\"a delivery was cut short here\"",
                    w->mbox.path, (unsigned long long)w->mbox.torn_at,
                    (unsigned long long)w->mbox.torn_len);
    else if (w->mbox.torn < 0)
        a->svc->log(a->host, POSTERN_LOG_WARNING, "mbox.torn",
                    "path=\"%s\" why=\"a delivery was cut short here, and what is there now is not "
                    "only ours: it stays\"",
                    w->mbox.path);
}

static void append_one(struct work *w, struct entry *e)
{
    int r;

    if (over_quota(w, e)) {
        done(e);
        return;
    }
    e->start = w->mbox.size;
    r = write_head(w, e);
    if (!r)
        r = write_content(w, e);
    if (!r)
        r = mbox_flush(&w->mbox);
    if (!r) {
        e->state = ENTRY_WRITTEN;
        return;
    }
    if (r == -ELOOP)
        problem_set(&e->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 4, 6),
                    "mail for %s loops: it was delivered to this address before", e->rcpt);
    else
        problem_errno(&e->problem, -r, "append to the mailbox", w->mbox.path);
    log_undo(w, e, mbox_undo(&w->mbox, e->start));
    done(e);
}

/* --- a batch --- */

/* Finds the mailboxes of the entries. The first one found is the batch's; who has another one waits
 * for the next batch. Equal spellings are looked up once. 0: there is nobody to deliver to. */
static int find_users(struct work *w, struct user *ret)
{
    struct user user;
    const char *spelling = NULL;
    struct entry *e;
    int r = 0, found = 0;

    for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->state == ENTRY_DONE)
            continue;
        if (!spelling || strcmp(spelling, e->name) != 0) {
            spelling = e->name;
            r = user_find(w->box->a.set, e->name, &user);
        }
        e->state = ENTRY_TODO;
        if (!r && !found) {
            *ret = user;
            found = 1;
        }
        if (!r && strcmp(user.name, ret->name) != 0) {
            e->state = ENTRY_AGAIN;
        } else if (r == -ENOENT) {
            problem_set(&e->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 1),
                        "no such user here: %s", e->name);
            done(e);
        } else if (r < 0) {
            problem_errno(&e->problem, -r, "look up the user", e->name);
            done(e);
        }
    }
    return found;
}

/* Everybody's fate who has none yet. */
static void settle_rest(struct mailbox *box, const struct problem *p)
{
    struct entry *e;

    for (e = TAILQ_FIRST(&box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->state != ENTRY_TODO && e->state != ENTRY_WRITTEN)
            continue;
        e->problem = *p;
        done(e);
    }
}

/* Who was written is delivered now, unless somebody was cancelled in the meantime: returns him. */
static struct entry *commit(struct work *w)
{
    struct entry *e, *gone = NULL;

    pthread_mutex_lock(&w->box->lock);
    for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->cancelled && e->state == ENTRY_WRITTEN && !gone)
            gone = e;
    }
    if (!gone) {
        for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
            if (e->state != ENTRY_WRITTEN)
                continue;
            problem_set(&e->problem, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, STATUS(2, 0, 0),
                        "delivered to mailbox %s", w->mbox.path);
            done(e);
        }
        w->box->committed = 1;
    }
    pthread_mutex_unlock(&w->box->lock);
    return gone;
}

/* Takes a cancelled message out of the file again. Those behind it have to be written once more. */
static int take_out(struct work *w, struct entry *gone)
{
    struct entry *e;
    int r = mbox_undo(&w->mbox, gone->start);

    log_undo(w, gone, r);
    if (r < 0)
        return r;
    done(gone);
    for (e = TAILQ_NEXT(gone, link); e; e = TAILQ_NEXT(e, link)) {
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
        for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
            if (e->state == ENTRY_TODO)
                append_one(w, e);
        }
        r = mbox_sync(&w->mbox);
        if (r < 0) {
            problem_errno(&p, -r, "make durable the mailbox", w->mbox.path);
            settle_rest(w->box, &p); /* mbox_close takes them out */
            return;
        }
        gone = commit(w);
    } while (gone && take_out(w, gone) == 0);
    if (gone) {
        problem_set(&p, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 0),
                    "the mailbox %s could not be cut back", w->mbox.path);
        settle_rest(w->box, &p);
    }
}

int append_batch(void *ctx)
{
    struct mailbox *box = ctx;
    struct work *w = malloc(sizeof *w);
    struct user user;
    struct problem p;
    int r = 0;

    if (!w) {
        problem_errno(&p, ENOMEM, "write to the mailbox of", box->key);
        settle_rest(box, &p);
        return 0;
    }
    w->box = box;
    if (find_users(w, &user)) {
        r = mbox_open(&w->mbox, box->a.set, &user, &p);
        if (!r) {
            log_torn(w);
            append_all(w);
            mbox_close(&w->mbox);
        } else if (r != -EWOULDBLOCK) {
            settle_rest(w->box, &p);
        }
    }
    free(w);
    return r == -EWOULDBLOCK ? r : 0;
}
