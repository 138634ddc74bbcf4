/* message.c: see message.h. Content is read under the mailbox's mutex, see append.c. */
#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SEPARATOR_MAX (POSTERN_ADDRESS_MAX + 64)

static int64_t read_guarded(struct work *w, struct entry *e, uint64_t at, char *buf, size_t len)
{
    int64_t n = -ECANCELED;

    pthread_mutex_lock(&w->box->lock);
    if (!e->cancelled)
        n = w->box->a.svc->content_read(e->content, at, buf, len);
    pthread_mutex_unlock(&w->box->lock);
    return n;
}

static int put(struct work *w, const char *data, size_t len)
{
    return work_is_maildir(w) ? maildir_write(&w->maildir, data, len)
                              : mbox_write(&w->mbox, data, len);
}

/* The separator. A blank in the sender would end it. */
static int write_separator(struct work *w, const struct entry *e)
{
    char line[SEPARATOR_MAX], date[40], sender[POSTERN_ADDRESS_MAX + 1];
    time_t now = time(NULL);
    struct tm tm;

    postern_text_clean(e->sender, strlen(e->sender), sender, sizeof sender);
    /* Readers take the line apart at blanks, and some know ASCII only; Return-Path has it all. */
    for (char *p = sender; *p; p++) {
        if (*p == ' ' || (unsigned char)*p >= 0x80)
            *p = '-';
    }
    localtime_r(&now, &tm);
    strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &tm);
    snprintf(line, sizeof line, "From %s %s\n", *sender ? sender : "MAILER-DAEMON", date);
    return put(w, line, strlen(line));
}

/* Was it delivered to this very address before? Then somebody forwards it in a circle. */
static int comes_back(const struct work *w, const struct entry *e, size_t n)
{
    struct postern_field f = { .size = sizeof f };
    size_t pos = 0, len = strlen(e->rcpt);

    while (postern_field_next(w->head, n, &pos, &f) == 1) {
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

static int write_quoted(struct work *w, struct quote *q, const char *data, size_t len)
{
    return put(w, w->out, quote_add(q, data, len, w->out));
}

static int write_range(struct work *w, struct entry *e, struct quote *q, uint64_t at, uint64_t end)
{
    while (at < end) {
        size_t want = end - at < sizeof w->in ? (size_t)(end - at) : sizeof w->in;
        int64_t n = read_guarded(w, e, at, w->in, want);
        int r;

        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        r = write_quoted(w, q, w->in, (size_t)n);
        if (r < 0)
            return r;
        at += (uint64_t)n;
    }
    return 0;
}

static int write_text(struct work *w, struct quote *q, const char *text, uint64_t len)
{
    int r = 0;

    while (!r && len) {
        size_t n = len < MESSAGE_READ_MAX ? (size_t)len : MESSAGE_READ_MAX;

        r = write_quoted(w, q, text, n);
        text += n;
        len -= n;
    }
    return r;
}

static int write_pieces(struct work *w, struct entry *e, const struct present *p)
{
    struct quote q = { .plain = work_is_maildir(w) };
    int r = 0;

    for (size_t i = 0; !r && i < p->n; i++) {
        const struct piece *piece = &p->pieces[i];

        r = piece->text ? write_text(w, &q, piece->text, piece->to)
                        : write_range(w, e, &q, piece->from, piece->to);
    }
    return r ? r : put(w, w->out, quote_end(&q, w->out));
}

/* As much of the message's beginning as is to be looked at. Bytes, or -errno. */
static int64_t read_head(struct work *w, struct entry *e)
{
    size_t wanted = present_wants(w->set), len = 0;

    if (wanted < MESSAGE_READ_MAX) /* for comes_back */
        wanted = MESSAGE_READ_MAX;
    while (len < wanted) {
        int64_t n = read_guarded(w, e, len, w->head + len, wanted - len);

        if (n < 0)
            return n;
        if (!n)
            break;
        len += (size_t)n;
    }
    return (int64_t)len;
}

int message_write(struct work *w, struct entry *e)
{
    int64_t n = read_head(w, e);
    const struct present_from from = {
        .set = w->set,
        .sender = e->sender,
        .rcpt = e->rcpt,
        .user = w->box->user->name,
        .hostname = w->box->a.hostname,
        .head = w->head,
        .head_len = n > 0 ? (size_t)n : 0,
        .size = e->content_size,
    };
    struct present p;
    int r = n < 0 ? (int)n : 0;

    if (!r && comes_back(w, e, (size_t)n))
        return -ELOOP;
    if (!r)
        r = present_make(&from, &p);
    if (r < 0)
        return r;
    if (!work_is_maildir(w))
        r = write_separator(w, e);
    if (!r)
        r = write_pieces(w, e, &p);
    present_free(&p);
    return r;
}
