/* message.c: see message.h. */
#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../common/batch.h"

static int put(struct work *w, const char *data, size_t len)
{
    return work_is_maildir(w) ? maildir_write(&w->maildir, data, len)
                              : tail_write(&w->mbox.tail, data, len);
}

static int write_separator(struct work *w, const struct entry *e)
{
    char line[POSTERN_MBOX_FROM_MAX];

    return put(w, line, postern_mbox_from(e->d.sender, time(NULL), line, sizeof line));
}

static int write_quoted(struct work *w, struct quote *q, const char *data, size_t len)
{
    return put(w, w->out, quote_add(q, data, len, w->out));
}

static int write_range(struct work *w, struct entry *e, struct quote *q, uint64_t at, uint64_t end)
{
    while (at < end) {
        size_t want = end - at < sizeof w->in ? (size_t)(end - at) : sizeof w->in;
        int64_t n = batch_read(&e->d, at, w->in, want);
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

    if (wanted < MESSAGE_READ_MAX) /* for Delivered-To */
        wanted = MESSAGE_READ_MAX;
    while (len < wanted) {
        int64_t n = batch_read(&e->d, len, w->head + len, wanted - len);

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
        .sender = e->d.sender,
        .rcpt = e->d.rcpt,
        .user = w->box->user->name,
        .hostname = w->a->hostname,
        .head = w->head,
        .head_len = n > 0 ? (size_t)n : 0,
        .size = e->d.content_size,
    };
    struct present p;
    int r = n < 0 ? (int)n : 0;

    /* To this very address before? Then somebody forwards it in a circle. */
    if (!r && postern_field_holds(w->head, (size_t)n, "Delivered-To", e->d.rcpt))
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
