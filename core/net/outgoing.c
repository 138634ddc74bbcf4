/* net/outgoing.c: see outgoing.h.
 *
 * The place in the content is exact to the byte: `pos` is the next byte to send, and `twice`
 * says that the dot there was sent once already, as the one that transparency adds. */
#include "net/outgoing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/dots.h"
#include "util/mem.h"

#include <postern/stream.h>

struct piece { /* a run of content in memory */
    const char *data;
    uint64_t at;
    size_t len;
};

/* A piece being read. It outlives the outgoing when that is freed while a thread still reads. */
struct ahead {
    struct outgoing *whose; /* NULL: nobody wants it any more */
    postern_content *content;
    uint64_t at;
    size_t want;
    int64_t got; /* bytes, or -errno */
    int ready;
    char data[];
};

struct outgoing {
    struct loop *loop;
    postern_content *content;
    void (*ready)(void *ctx);
    void *ctx;
    uint64_t pos;
    struct piece piece;
    struct ahead *held;  /* what piece.data lies in, for content on disk */
    struct ahead *ahead; /* the piece after it */
    const char *tail;    /* what ends the data; set when pos came to the end */
    int error;
    uint8_t dots, twice;
    char before[2]; /* the two bytes before the piece; at first, as if a line had just ended */
};

static void ahead_free(struct ahead **a)
{
    if (!*a)
        return;
    content_unref(&(*a)->content);
    free(*a);
    *a = NULL;
}

static int ahead_read(void *ctx)
{
    struct ahead *a = ctx;
    size_t n = 0;

    while (n < a->want) {
        int64_t r = content_read(a->content, a->at + n, a->data + n, a->want - n);

        if (r <= 0) {
            a->got = r ? r : -EIO; /* shorter than it says */
            return 0;
        }
        n += (size_t)r;
    }
    a->got = (int64_t)n;
    return 0;
}

static void outgoing_advance(struct outgoing *o);

static void ahead_done(void *ctx, int result)
{
    struct ahead *a = ctx;
    struct outgoing *o = a->whose;

    (void)result;
    a->ready = 1;
    if (!o) {
        ahead_free(&a);
        return;
    }
    if (!o->held) {
        outgoing_advance(o);
        o->ready(o->ctx);
    }
}

/* Begins to read the piece at `at`, if there is one. */
static void outgoing_read(struct outgoing *o, uint64_t at)
{
    uint64_t left = o->content->size - at;
    size_t want = left < OUTGOING_PIECE ? (size_t)left : OUTGOING_PIECE;
    struct ahead *a;

    if (!want)
        return;
    a = malloc(sizeof *a + want);
    if (!a) {
        o->error = -ENOMEM;
        return;
    }
    *a = (struct ahead){ .whose = o, .content = content_ref(o->content), .at = at, .want = want };
    o->ahead = a;
    loop_offload(o->loop, ahead_read, ahead_done, a);
}

/* Goes on to the piece that was read ahead, when it is there. */
static void outgoing_advance(struct outgoing *o)
{
    struct ahead *a = o->ahead;

    if (!a || !a->ready)
        return;
    o->ahead = NULL;
    o->held = a;
    if (a->got < 0) {
        o->error = (int)a->got;
        return;
    }
    o->piece = (struct piece){ a->data, a->at, (size_t)a->got };
    outgoing_read(o, a->at + (uint64_t)a->got);
}

struct outgoing *outgoing_new(struct loop *l, postern_content *c, uint64_t at, uint32_t flags,
                              void (*ready)(void *ctx), void *ctx)
{
    struct outgoing *o = mem_zalloc(sizeof *o);

    o->loop = l;
    o->content = content_ref(c);
    o->ready = ready;
    o->ctx = ctx;
    o->pos = o->piece.at = at;
    o->dots = (flags & POSTERN_CONTENT_DOTS) != 0;
    memcpy(o->before, "\r\n", 2);
    if (content_memory(c))
        o->piece = (struct piece){ c->data + at, at, (size_t)(c->size - at) };
    else
        outgoing_read(o, at);
    return o;
}

void outgoing_free(struct outgoing **po)
{
    struct outgoing *o = *po;

    if (!o)
        return;
    *po = NULL;
    ahead_free(&o->held);
    if (o->ahead && !o->ahead->ready)
        o->ahead->whose = NULL; /* ahead_done frees it */
    else
        ahead_free(&o->ahead);
    content_unref(&o->content);
    free(o);
}

/* The last two bytes up to the piece's end, whatever its length. */
static void outgoing_last_two(const struct outgoing *o, char ret[2])
{
    const struct piece *p = &o->piece;

    ret[0] = p->len >= 2 ? p->data[p->len - 2] : o->before[p->len];
    ret[1] = p->len >= 1 ? p->data[p->len - 1] : o->before[1];
}

static const char *outgoing_tail(const struct outgoing *o)
{
    char last[2];

    if (!o->dots)
        return "";
    outgoing_last_two(o, last);
    return memcmp(last, "\r\n", 2) ? "\r\n.\r\n" : ".\r\n";
}

/* Adds stretches of the piece, from pos on; *ret_end is where they end. Returns how many. */
static int outgoing_stretches(const struct outgoing *o, struct iovec *iov, int max, size_t limit,
                              uint64_t *ret_end)
{
    const struct piece *p = &o->piece;
    size_t from = (size_t)(o->pos - p->at), len = p->len;
    int again = o->twice, n = 0;

    if (len - from > limit)
        len = from + limit;
    while (from < len && n < max) {
        size_t run = len - from;

        if (o->dots)
            run = dots_stretch(p->data, from, len, o->before[1], again, &again);
        iov[n].iov_base = (void *)(uintptr_t)(p->data + from); /* sendmsg does not write there */
        iov[n++].iov_len = run;
        from += run - (size_t)again;
    }
    *ret_end = p->at + from;
    return n;
}

int outgoing_fill(struct outgoing *o, struct iovec *iov, int max, size_t limit, int *ret_last)
{
    uint64_t end = o->pos;
    int n = 0;

    *ret_last = 0;
    if (o->error)
        return o->error;
    if (o->pos < o->content->size)
        n = outgoing_stretches(o, iov, max - 1, limit, &end);
    if (end < o->content->size)
        return n;
    if (!o->tail)
        o->tail = outgoing_tail(o);
    if (*o->tail) {
        iov[n].iov_base = (void *)(uintptr_t)o->tail;
        iov[n++].iov_len = strlen(o->tail);
    }
    *ret_last = 1;
    return n;
}

/* m bytes of a stretch were sent. */
static void outgoing_stretch_took(struct outgoing *o, const struct iovec *iov, size_t m)
{
    const struct piece *p = &o->piece;
    size_t from = (size_t)((const char *)iov->iov_base - p->data), last = from + m - 1;
    int was_twice = o->twice;

    if (!m)
        return;
    o->pos = p->at + from + m;
    o->twice = 0;
    /* Only a stretch's last byte can be a dot at the beginning of a line, except for the one
     * that the stretch began with because it is sent again. */
    if (o->dots && m == iov->iov_len && dots_begins(p->data, last, o->before[1]) &&
        !(was_twice && m == 1)) {
        o->pos--;
        o->twice = 1;
    }
}

static void outgoing_piece_end(struct outgoing *o)
{
    char last[2];

    if (o->pos < o->piece.at + o->piece.len || !o->held)
        return;
    outgoing_last_two(o, last);
    memcpy(o->before, last, sizeof last);
    o->piece = (struct piece){ .at = o->pos };
    ahead_free(&o->held);
    outgoing_advance(o);
}

size_t outgoing_took(struct outgoing *o, const struct iovec *iov, int pieces, size_t n)
{
    size_t left = n;

    for (int i = 0; i < pieces && left; i++) {
        size_t m = iov[i].iov_len < left ? iov[i].iov_len : left;

        if (o->tail && iov[i].iov_base == o->tail)
            o->tail += m;
        else if (o->pos < o->content->size)
            outgoing_stretch_took(o, &iov[i], m);
        else
            break;
        left -= m;
    }
    outgoing_piece_end(o);
    return n - left;
}

int outgoing_done(const struct outgoing *o)
{
    return o->pos == o->content->size && o->tail && !*o->tail;
}
