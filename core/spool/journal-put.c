/* spool/journal-put.c: a new message on its way in.
 *
 * Content gathers in memory; when it grows past inline_bytes it becomes large: it is handed to the
 * disk thread in chunks, which writes them into content/ID, and only its first bytes are kept. */
#include "spool/journal-writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define FIRST_BYTES 4096u  /* allocated for a message of unknown size  */
#define HINT_SLACK  1024u  /* trace headers that a peer did not count  */
#define COPY_MAX    65536u /* above this, shrinking in place is cheaper than a copy */

struct journal_put {
    struct spool_put base;
    struct journal *j;
    uint64_t id, size;
    char *data; /* content so far; of a large message: the chunk being filled */
    size_t len, cap;
    char *head;                /* large: its first JOURNAL_HEAD_BYTES */
    struct content_file *file; /* large */
    int error;
    postern_done *room;
    void *room_ctx;
    struct loop_task room_task;
};

/* The caller asked for room: tell him, unless the disk is still behind. An error is room too: he
 * learns it from his next write. */
static void tell_room(void *arg)
{
    struct journal_put *p = arg;
    postern_done *room = p->room;

    if (!room || (p->file && p->file->pending > JOURNAL_BACKLOG / 2 && !p->error))
        return;
    p->room = NULL;
    room(p->room_ctx, 0);
}

int journal_put_new(struct spool *s, uint64_t id, uint64_t size_hint, struct spool_put **ret)
{
    struct journal *j = CONTAINER(s, struct journal, spool);
    int r = journal_accepts(j);
    struct journal_put *p;

    if (r < 0)
        return r;
    p = mem_zalloc(sizeof *p);
    p->base.spool = s;
    p->j = j;
    p->id = id;
    p->cap = size_hint ? JOURNAL_HINT_MAX : FIRST_BYTES;
    if (size_hint && size_hint < JOURNAL_HINT_MAX - HINT_SLACK)
        p->cap = (size_t)size_hint + HINT_SLACK;
    p->room_task.run = tell_room;
    p->room_task.ctx = p;
    p->data = malloc(p->cap);
    if (!p->data) {
        free(p);
        return -ENOMEM;
    }
    *ret = &p->base;
    return 0;
}

/* --- large content --- */

static void hand_chunk(struct journal_put *p, char *data, size_t len)
{
    struct request *r = request_new(REQ_CHUNK, p->id, 0);

    r->u.chunk.file = p->file;
    r->u.chunk.data = data;
    r->u.chunk.len = len;
    p->file->pending += len;
    p->j->room_taken += len;
    journal_hand(p->j, r);
}

/* What is in memory so far becomes the first chunk. */
static int go_large(struct journal_put *p)
{
    size_t keep = p->len < JOURNAL_HEAD_BYTES ? p->len : JOURNAL_HEAD_BYTES;
    char *chunk = malloc(JOURNAL_CHUNK_BYTES);

    p->head = malloc(JOURNAL_HEAD_BYTES);
    if (!p->head || !chunk) {
        free(chunk);
        return -ENOMEM;
    }
    if (keep)
        memcpy(p->head, p->data, keep);
    p->file = mem_zalloc(sizeof *p->file);
    p->file->id = p->id;
    p->file->put = p;
    p->file->fd = -1;
    idmap_set(p->j->files, p->id, p->j);
    if (p->len)
        hand_chunk(p, p->data, p->len);
    else
        free(p->data);
    p->data = chunk;
    p->cap = JOURNAL_CHUNK_BYTES;
    p->len = 0;
    return 0;
}

static int write_large(struct journal_put *p, const char *data, size_t len)
{
    if (p->size < JOURNAL_HEAD_BYTES) {
        size_t room = JOURNAL_HEAD_BYTES - (size_t)p->size;

        memcpy(p->head + p->size, data, len < room ? len : room);
    }
    p->size += len;
    while (len) {
        size_t n = p->cap - p->len;

        if (n > len)
            n = len;
        memcpy(p->data + p->len, data, n);
        p->len += n;
        data += n;
        len -= n;
        if (p->len == p->cap) {
            char *next = malloc(JOURNAL_CHUNK_BYTES);

            if (!next)
                return -ENOMEM;
            hand_chunk(p, p->data, p->len);
            p->data = next;
            p->len = 0;
        }
    }
    return p->file->pending > JOURNAL_BACKLOG;
}

void journal_chunk_completed(struct journal *j, struct request *r)
{
    struct content_file *f = r->u.chunk.file;
    struct journal_put *p = f->put;

    f->pending -= r->u.chunk.len;
    if (r->result == -ENOSPC)
        journal_disk_full(j);
    if (p) {
        if (r->result && !p->error)
            p->error = r->result == -ENOSPC ? -ENOSPC : -EIO;
        if (p->room && !j->closing)
            loop_note(j->loop, &p->room_task, LOOP_STAGE_WORK);
    }
    free(r->u.chunk.data);
    request_free(r);
}

/* --- the calls --- */

static int grow(struct journal_put *p, size_t need)
{
    size_t cap = p->cap;
    char *data;

    while (cap < need)
        cap *= 2;
    if (cap == p->cap)
        return 0;
    data = realloc(p->data, cap);
    if (!data)
        return -ENOMEM;
    p->data = data;
    p->cap = cap;
    return 0;
}

int journal_put_write(struct spool_put *base, const void *data, size_t len)
{
    struct journal_put *p = CONTAINER(base, struct journal_put, base);
    uint64_t limit = p->j->cfg.inline_bytes;
    int r;

    if (p->error || !len)
        return p->error;
    if (!p->file && (p->len >= limit || len > limit - p->len)) {
        r = go_large(p);
        if (r < 0) {
            p->error = r;
            return r;
        }
    }
    if (p->file) {
        r = write_large(p, data, len);
    } else {
        r = grow(p, p->len + len);
        if (r == 0) {
            memcpy(p->data + p->len, data, len);
            p->len += len;
            p->size += len;
        }
    }
    if (r < 0)
        p->error = r;
    return r;
}

void journal_put_room(struct spool_put *base, postern_done *done, void *ctx)
{
    struct journal_put *p = CONTAINER(base, struct journal_put, base);

    p->room = done;
    p->room_ctx = ctx;
    loop_note(p->j->loop, &p->room_task, LOOP_STAGE_WORK);
}

uint64_t journal_put_size(const struct spool_put *base)
{
    return CONTAINER(base, const struct journal_put, base)->size;
}

const char *journal_put_head(const struct spool_put *base, size_t *ret_len)
{
    const struct journal_put *p = CONTAINER(base, const struct journal_put, base);

    if (!p->file) {
        *ret_len = p->len;
        return p->data;
    }
    *ret_len = p->size < JOURNAL_HEAD_BYTES ? (size_t)p->size : JOURNAL_HEAD_BYTES;
    return p->head;
}

static void put_end(struct journal_put *p)
{
    loop_forget(&p->room_task);
    free(p->data);
    free(p->head);
    free(p);
}

static void remove_file(struct journal *j, struct content_file *f)
{
    struct request *r = request_new(REQ_REMOVE, f->id, 0);

    f->put = NULL;
    r->u.remove.file = f;
    journal_hand(j, r);
}

void journal_put_free(struct spool_put *base)
{
    struct journal_put *p = CONTAINER(base, struct journal_put, base);

    if (p->file)
        remove_file(p->j, p->file);
    put_end(p);
}

/* The cache should count what it really holds. Short content moves to a place of its size: shrunk
 * where it stands, it would leave a rest that fills with index entries, and when it goes a hole too
 * small for the next content to come in; the memory of a long queue would grow by all of it. */
static struct cached *take_content(struct journal_put *p)
{
    char *data = p->data, *fit;

    if (p->cap > COPY_MAX) {
        fit = realloc(data, p->len ? p->len : 1);
        data = fit ? fit : data;
    } else if (p->cap > p->len + p->len / 8) {
        fit = malloc(p->len ? p->len : 1);
        if (fit) {
            memcpy(fit, data, p->len);
            free(data);
            data = fit;
        }
    }
    p->data = NULL;
    return cached_new(data, p->len);
}

void journal_put_commit(struct spool_put *base, const void *meta, size_t meta_len,
                        spool_commit_cb *done, void *ctx)
{
    struct journal_put *p = CONTAINER(base, struct journal_put, base);
    int too_much = meta_len > FORMAT_META_MAX;
    size_t tail = p->file ? FORMAT_LARGE_LEN : 0;
    struct request *r;

    if (p->file && p->len && !p->error) {
        hand_chunk(p, p->data, p->len);
        p->data = NULL;
    }
    r = request_new(REQ_MESSAGE, p->id, too_much ? 0 : FORMAT_WORD + meta_len + tail);
    /* A put that is spoiled goes the same road, so that its answer does not come too early. */
    r->result = too_much ? -EMSGSIZE : p->error;
    r->u.message.done = done;
    r->u.message.ctx = ctx;
    r->u.message.size = p->size;
    r->u.message.file = p->file;
    if (!too_much) {
        r->u.message.meta_len = (uint32_t)meta_len;
        format_u32(r->head + FORMAT_HEADER, (uint32_t)meta_len);
        if (meta_len)
            memcpy(r->head + FORMAT_HEADER + FORMAT_WORD, meta, meta_len);
    }
    if (p->file) {
        p->file->put = NULL;
    } else {
        r->u.message.content = take_content(p);
        r->len += (uint32_t)p->len;
        p->j->room_taken += r->len;
    }
    journal_hand(p->j, r);
    put_end(p);
}

static void message_refused(struct journal *j, struct request *r)
{
    if (r->result == -ENOSPC)
        journal_disk_full(j);
    else if (r->result != -EMSGSIZE && r->result != -ENOMEM)
        r->result = -EIO;
    if (r->u.message.file && r->u.message.buried)
        free(r->u.message.file); /* goes when the TOMB is durable: see compact_completed */
    else if (r->u.message.file)
        remove_file(j, r->u.message.file);
    if (!j->closing)
        r->u.message.done(r->u.message.ctx, r->result, NULL);
}

void journal_message_completed(struct journal *j, struct request *r)
{
    struct cached *content = r->u.message.content;
    postern_content *unused = content ? &content->content : NULL;
    struct journal_entry *e;

    if (r->result || j->closing) {
        if (r->result)
            message_refused(j, r);
        else
            free(r->u.message.file);
        content_unref(&unused);
        request_free(r);
        return;
    }
    e = entry_new(r->id, r->u.message.size, r->u.message.meta_len, !content);
    entry_place(e, r->segment, r->at);
    j->stats.live_messages++;
    j->stats.live_bytes += e->base.size;
    free(r->u.message.file);
    if (content)
        cache_put(j, e, content);
    r->u.message.done(r->u.message.ctx, 0, &e->base);
    request_free(r);
}
