/* queue/branch.c: recipients that stand for several places. */
#include "queue/branch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define LEAVES_MAX 1000000u /* of one message, in a record; more is damage */
#define SCAN_MAX   32u      /* leaves among which one is looked for one by one */

struct qtree { /* the branches of one message */
    uint32_t n;
    struct qbranch v[];
};

static struct qtree *tree_of(const struct queue *q, const struct qmsg *m)
{
    return q->trees && idmap_count(q->trees) ? idmap_get(q->trees, m->id) : NULL;
}

struct qbranch *branch_get(const struct queue *q, const struct qmsg *m, size_t i)
{
    struct qtree *t = tree_of(q, m);

    for (uint32_t k = 0; t && k < t->n; k++) {
        if (t->v[k].index == i)
            return &t->v[k];
    }
    return NULL;
}

struct qbranch *branch_make(struct queue *q, struct qmsg *m, size_t i)
{
    struct qbranch *b = branch_get(q, m, i);
    struct qtree *t;
    uint32_t n;

    if (b)
        return b;
    t = tree_of(q, m);
    n = t ? t->n : 0;
    t = mem_realloc(t, sizeof *t + (n + 1) * sizeof t->v[0]);
    t->v[n] = (struct qbranch){ .index = (uint32_t)i };
    t->n = n + 1;
    if (!q->trees)
        q->trees = idmap_new();
    idmap_set(q->trees, m->id, t);
    return &t->v[n];
}

static struct qleaf *find_key(const struct qbranch *b, const char *key)
{
    uintptr_t found;

    if (b->by_key) {
        found = (uintptr_t)map_get(b->by_key, key);
        return found ? &b->v[found - 1] : NULL;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        if (!strcmp(b->v[i].key, key))
            return &b->v[i];
    }
    return NULL;
}

static void note_key(struct qbranch *b, uint32_t i)
{
    if (!b->by_key && b->n < SCAN_MAX)
        return;
    if (!b->by_key) {
        b->by_key = map_new();
        i = 0;
    }
    for (; i < b->n; i++)
        map_set(b->by_key, b->v[i].key, (void *)(uintptr_t)(i + 1));
}

struct qleaf *branch_leaf(struct queue *q, struct qbranch *b, const char *key, const char *shown)
{
    struct qleaf *leaf = find_key(b, key);

    if (leaf)
        return leaf;
    if (!(b->n & (b->n - 1))) /* 0, and powers of two */
        b->v = mem_realloc(b->v, (b->n ? 2 * b->n : 1) * sizeof *b->v);
    b->v[b->n] =
        (struct qleaf){ .key = intern_ref(q->texts, key), .shown = intern_ref(q->texts, shown) };
    b->n++;
    note_key(b, b->n - 1);
    return &b->v[b->n - 1];
}

void leaf_fail(struct queue *q, struct qleaf *leaf, const char *text, const char *remote, int smtp,
               const uint16_t status[3])
{
    char cut[QUEUE_TEXT_MAX];

    intern_unref(q->texts, &leaf->text);
    intern_unref(q->texts, &leaf->remote);
    if (!text)
        text = "no reason given";
    leaf->text = intern_ref(q->texts, postern_text_clean(text, strlen(text), cut, sizeof cut));
    leaf->remote = intern_ref(q->texts, remote);
    leaf->smtp = (uint8_t)smtp;
    memcpy(leaf->status, status, sizeof leaf->status);
    leaf->state = LEAF_FAILED;
}

/* --- what an attempt has come to --- */

void branch_begin(struct qbranch *b)
{
    b->deferred = b->put_off = b->held = 0;
    b->next_try = 0;
    b->group = NULL;
}

static const struct qleaf *find_state(const struct qbranch *b, enum leaf_state state)
{
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->v[i].state == state)
            return &b->v[i];
    }
    return NULL;
}

/* Every leaf is served, one way or the other. */
static void finish(struct queue *q, struct qrcpt *r, const struct qbranch *b)
{
    const struct qleaf *failed = find_state(b, LEAF_FAILED);

    if (failed) {
        rcpt_text(q, r, failed->text, failed->status);
        rcpt_said(q, r, failed->remote, failed->smtp);
        rcpt_set(q, r, RCPT_FAILED, WAIT_BACKOFF);
        r->next_try = 0;
        return;
    }
    rcpt_set(q, r, find_state(b, LEAF_DELIVERED) ? RCPT_DELIVERED : RCPT_DONE, WAIT_NEW);
}

void branch_conclude(struct queue *q, struct qmsg *m, struct qbranch *b)
{
    struct qrcpt *r = &m->rcpts[b->index];

    if (b->out || r->routed == ROUTED_PARKED || r->routed == ROUTED_ASKING)
        return;
    r->routed = ROUTED_NOT;
    if (r->state != RCPT_WAITING)
        return; /* an operator has decided otherwise meanwhile */
    if (b->held) {
        rcpt_set(q, r, RCPT_HELD, WAIT_HELD);
    } else if (b->deferred) {
        rcpt_defer(q, r, b->reason, b->group);
    } else if (b->put_off) {
        rcpt_set(q, r, RCPT_WAITING, b->reason);
        r->next_try = b->next_try;
    } else {
        finish(q, r, b);
    }
}

/* --- reports --- */

size_t branch_failed(const struct queue *q, const struct qmsg *m)
{
    const struct qtree *t = tree_of(q, m);
    size_t n = 0;

    for (uint32_t k = 0; t && k < t->n; k++) {
        for (uint32_t i = 0; i < t->v[k].n; i++)
            n += t->v[k].v[i].state == LEAF_FAILED;
    }
    return n;
}

static void each_failed_becomes(struct queue *q, struct qmsg *m, enum leaf_state state)
{
    struct qtree *t = tree_of(q, m);

    for (uint32_t k = 0; t && k < t->n; k++) {
        for (uint32_t i = 0; i < t->v[k].n; i++) {
            if (t->v[k].v[i].state == LEAF_FAILED)
                t->v[k].v[i].state = (uint8_t)state;
        }
    }
}

void branch_reported(struct queue *q, struct qmsg *m)
{
    each_failed_becomes(q, m, LEAF_DONE);
}

void branch_again(struct queue *q, struct qmsg *m)
{
    each_failed_becomes(q, m, LEAF_NEW);
}

void branch_each_failed(const struct queue *q, const struct qmsg *m, size_t i,
                        void (*each)(void *ctx, const struct qleaf *leaf), void *ctx)
{
    const struct qbranch *b = branch_get(q, m, i);

    for (uint32_t k = 0; b && k < b->n; k++) {
        if (b->v[k].state == LEAF_FAILED)
            each(ctx, &b->v[k]);
    }
}

/* --- on disk --- */

static int is_kept(const struct qleaf *leaf)
{
    return leaf->state >= LEAF_DELIVERED;
}

static uint32_t kept_leaves(const struct qbranch *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n; i++)
        n += (uint32_t)is_kept(&b->v[i]);
    return n;
}

static void leaf_encode(const struct qleaf *leaf, struct buf *out)
{
    buf_put_u8(out, leaf->state);
    buf_put_u8(out, leaf->smtp);
    for (int k = 0; k < 3; k++)
        buf_put_u16(out, leaf->status[k]);
    buf_put_str(out, leaf->key);
    buf_put_str(out, leaf->shown);
    buf_put_str(out, leaf->text);
    buf_put_str(out, leaf->remote);
}

int branch_any(const struct queue *q, const struct qmsg *m)
{
    return tree_of(q, m) != NULL;
}

void branch_encode(const struct queue *q, const struct qmsg *m, struct buf *out)
{
    const struct qtree *t = tree_of(q, m);

    buf_put_u32(out, t ? t->n : 0);
    for (uint32_t k = 0; t && k < t->n; k++) {
        const struct qbranch *b = &t->v[k];

        buf_put_u32(out, b->index);
        buf_put_u8(out, b->whole);
        buf_put_u32(out, kept_leaves(b));
        for (uint32_t i = 0; i < b->n; i++) {
            if (is_kept(&b->v[i]))
                leaf_encode(&b->v[i], out);
        }
    }
}

static char *read_text(struct rd *in)
{
    size_t len;
    const char *s = rd_bytes(in, &len);
    char *text = mem_alloc(len + 1);

    memcpy(text, s ? s : "", len);
    text[len] = '\0';
    return text;
}

static void leaf_decode(struct queue *q, struct qbranch *b, struct rd *in)
{
    uint8_t state = rd_u8(in), smtp = rd_u8(in);
    uint16_t status[3];
    char *key, *shown, *text, *remote;
    struct qleaf *leaf;

    for (int k = 0; k < 3; k++)
        status[k] = rd_u16(in);
    key = read_text(in);
    shown = read_text(in);
    text = read_text(in);
    remote = read_text(in);
    in->bad |= state < LEAF_DELIVERED || state > LEAF_DONE;
    if (!in->bad) {
        leaf = branch_leaf(q, b, key, shown);
        if (*text || state == LEAF_FAILED)
            leaf_fail(q, leaf, text, *remote ? remote : NULL, smtp != 0, status);
        leaf->state = state;
    }
    free(key);
    free(shown);
    free(text);
    free(remote);
}

int branch_decode(struct queue *q, struct qmsg *m, struct rd *in)
{
    uint32_t n = rd_u32(in), total = 0;

    in->bad |= n > m->env->rcpt_n;
    for (uint32_t k = 0; k < n && !in->bad; k++) {
        uint32_t index = rd_u32(in);
        uint8_t whole = rd_u8(in);
        uint32_t leaves = rd_u32(in);
        struct qbranch *b;

        in->bad |= index >= m->env->rcpt_n || leaves > LEAVES_MAX - total;
        if (in->bad)
            break;
        total += leaves;
        b = branch_make(q, m, index);
        b->whole = whole != 0;
        for (uint32_t i = 0; i < leaves && !in->bad; i++)
            leaf_decode(q, b, in);
    }
    if (in->bad)
        branch_forget(q, m);
    return in->bad ? -EBADMSG : 0;
}

/* --- for operators --- */

static json_t *text_json(const char *s)
{
    json_t *v = s ? json_string(s) : json_null();
    char clean[QUEUE_TEXT_MAX];

    return v ? v : json_string(postern_text_clean(s, strlen(s), clean, sizeof clean));
}

json_t *branch_json(const struct queue *q, const struct qmsg *m, size_t i)
{
    static const char *const names[] = { "waiting", "in flight", "delivered", "failed", "done" };
    const struct qbranch *b = branch_get(q, m, i);
    json_t *list;

    if (!b || !b->n)
        return NULL;
    list = json_array();
    for (uint32_t k = 0; k < b->n; k++) {
        const struct qleaf *leaf = &b->v[k];
        json_t *o = json_object();

        json_object_set_new(o, "place", text_json(leaf->shown));
        json_object_set_new(o, "state", json_string(names[leaf->state]));
        if (leaf->text)
            json_object_set_new(o, "text", text_json(leaf->text));
        if (leaf->remote)
            json_object_set_new(o, "remote", text_json(leaf->remote));
        json_array_append_new(list, o);
    }
    return list;
}

/* --- the end --- */

static void tree_free(struct queue *q, struct qtree *t)
{
    for (uint32_t k = 0; t && k < t->n; k++) {
        for (uint32_t i = 0; i < t->v[k].n; i++) {
            struct qleaf *leaf = &t->v[k].v[i];

            intern_unref(q->texts, &leaf->key);
            intern_unref(q->texts, &leaf->shown);
            intern_unref(q->texts, &leaf->text);
            intern_unref(q->texts, &leaf->remote);
        }
        map_free(&t->v[k].by_key, NULL);
        free(t->v[k].v);
    }
    free(t);
}

void branch_forget(struct queue *q, const struct qmsg *m)
{
    if (tree_of(q, m))
        tree_free(q, idmap_del(q->trees, m->id));
}

void branch_free_all(struct queue *q)
{
    idmap_free(&q->trees); /* each message has taken its own with it */
}
