/* queue/branch.c: recipients that stand for several places. */
#include "queue/branch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define LEAVES_MAX 1000000u /* of one message, in a record; more is damage */
#define WRITE_USEC 10       /* for each leaf: so long its message's next state waits */
#define WRITE_MANY 256u     /* leaves; for less it does not wait */
#define SCAN_MAX   32u      /* leaves among which one is looked for one by one */

struct qtree {          /* the branches of one message, by index */
    int64_t report_at;  /* monotonic: not before, for failures that are not reported */
    int64_t write_at;   /* likewise, for the next state */
    int unwritten;      /* leaves have come to something since the last one */
    struct map *places; /* keys of leaves that are out or delivered, to 1 + the recipient; NULL:
                         * there is one branch only */
    uint32_t n;
    struct qbranch v[];
};

static struct qtree *tree_of(const struct queue *q, const struct qmsg *m)
{
    return q->trees && idmap_count(q->trees) ? idmap_get(q->trees, m->id) : NULL;
}

/* The place of recipient i's branch, or where it would be. */
static uint32_t place_of(const struct qtree *t, size_t i)
{
    uint32_t low = 0, high = t ? t->n : 0;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (t->v[middle].index < i)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct qbranch *branch_get(const struct queue *q, const struct qmsg *m, size_t i)
{
    struct qtree *t = tree_of(q, m);
    uint32_t k = place_of(t, i);

    return t && k < t->n && t->v[k].index == i ? &t->v[k] : NULL;
}

static void note_places(struct qtree *t)
{
    if (!t->places)
        t->places = map_new();
    for (uint32_t k = 0; k < t->n; k++) {
        const struct qbranch *b = &t->v[k];

        for (uint32_t i = 0; i < b->n; i++) {
            if (b->v[i].state == LEAF_DELIVERED || b->v[i].state == LEAF_OUT)
                map_set(t->places, b->v[i].key, (void *)(uintptr_t)(b->index + 1));
        }
    }
}

struct qbranch *branch_make(struct queue *q, struct qmsg *m, size_t i)
{
    struct qbranch *b = branch_get(q, m, i);
    struct qtree *t;
    uint32_t n, k;

    if (b)
        return b;
    t = tree_of(q, m);
    n = t ? t->n : 0;
    k = place_of(t, i); /* nearly always the end */
    if (!(n & (n - 1))) /* 0, and powers of two */
        t = mem_realloc(t, sizeof *t + (n ? 2 * (size_t)n : 1) * sizeof t->v[0]);
    if (!n)
        memset(t, 0, sizeof *t);
    memmove(&t->v[k + 1], &t->v[k], (n - k) * sizeof t->v[0]);
    t->v[k] = (struct qbranch){ .index = (uint32_t)i };
    t->n = n + 1;
    if (t->n == 2)
        note_places(t);
    if (!q->trees)
        q->trees = idmap_new();
    idmap_set(q->trees, m->id, t);
    return &t->v[k];
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
        b->v = mem_realloc(b->v, (b->n ? 2 * (size_t)b->n : 1) * sizeof *b->v);
    b->v[b->n] =
        (struct qleaf){ .key = intern_ref(q->texts, key), .shown = intern_ref(q->texts, shown) };
    b->n++;
    note_key(b, b->n - 1);
    return &b->v[b->n - 1];
}

static void leaf_becomes(struct qbranch *b, struct qleaf *leaf, enum leaf_state state)
{
    b->failed -= leaf->state == LEAF_FAILED;
    leaf->state = (uint8_t)state;
    b->failed += leaf->state == LEAF_FAILED;
}

void leaf_said(struct queue *q, struct qleaf *leaf, const char *text, const char *remote, int smtp,
               const uint16_t status[3])
{
    char cut[QUEUE_TEXT_MAX];
    const char *said =
        text ? intern_ref(q->texts, postern_text_clean(text, strlen(text), cut, sizeof cut)) : NULL;
    const char *by = intern_ref(q->texts, remote);

    intern_unref(q->texts, &leaf->text);
    intern_unref(q->texts, &leaf->remote);
    leaf->text = said;
    leaf->remote = by;
    leaf->smtp = (uint8_t)smtp;
    memcpy(leaf->status, status, sizeof leaf->status);
}

void leaf_fail(struct queue *q, struct qbranch *b, struct qleaf *leaf, const char *text,
               const char *remote, int smtp, const uint16_t status[3])
{
    leaf_said(q, leaf, text ? text : "no reason given", remote, smtp, status);
    leaf_becomes(b, leaf, LEAF_FAILED);
}

/* --- places that several recipients stand for --- */

void branch_takes(struct queue *q, struct qmsg *m, struct qbranch *b, struct qleaf *leaf)
{
    struct qtree *t = tree_of(q, m);

    leaf->state = LEAF_OUT;
    b->out++;
    if (t->places)
        map_set(t->places, leaf->key, (void *)(uintptr_t)(b->index + 1));
}

int branch_shares(struct queue *q, struct qmsg *m, struct qbranch *b, struct qleaf *leaf)
{
    struct qtree *t = tree_of(q, m);
    uintptr_t index = t->places ? (uintptr_t)map_get(t->places, leaf->key) : 0;
    struct qbranch *other = index ? branch_get(q, m, index - 1) : NULL;
    struct qleaf *first = other && other != b ? find_key(other, leaf->key) : NULL;

    if (!first)
        return 0;
    if (first->state == LEAF_DELIVERED) {
        leaf->state = LEAF_DELIVERED;
        return 1;
    }
    if (first->state != LEAF_OUT)
        return 0;
    leaf->state = LEAF_OUT;
    leaf->follows = 1;
    leaf->next = first->next;
    first->next = b->index + 1;
    b->out++;
    return 1;
}

struct qbranch *branch_next_follower(struct queue *q, struct qmsg *m, struct qleaf *leaf,
                                     struct qleaf **ret)
{
    struct qtree *t = tree_of(q, m);
    struct qbranch *b = leaf->next ? branch_get(q, m, leaf->next - 1) : NULL;

    if (!b) {
        if (t->places && leaf->state != LEAF_DELIVERED)
            map_del(t->places, leaf->key);
        return NULL;
    }
    *ret = find_key(b, leaf->key);
    leaf->next = (*ret)->next;
    (*ret)->next = 0;
    (*ret)->follows = 0;
    (*ret)->state = LEAF_NEW;
    b->out--;
    return b;
}

/* --- what an attempt has come to --- */

void branch_begin(struct qbranch *b)
{
    if (!b->goes_on) {
        b->deferred = b->held = 0;
        b->attempt++;
    }
    b->goes_on = b->put_off = 0;
    b->next_try = 0;
    b->group = NULL;
}

void branch_put_off(struct qbranch *b, enum wait_reason reason, int64_t next_try)
{
    if (b->put_off && b->next_try <= next_try)
        return;
    b->put_off = 1;
    b->next_try = next_try;
    if (!b->deferred)
        b->reason = (uint8_t)reason;
}

/* What was deferred while others were in line is not tried again when their turn comes. */
int branch_wants(const struct qbranch *b, const struct qleaf *leaf)
{
    return leaf->state == LEAF_NEW && leaf->attempt != b->attempt;
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

/* Only what is held is left. */
static void hold(struct queue *q, struct qrcpt *r, const struct qbranch *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const struct qleaf *leaf = &b->v[i];

        if (leaf->state != LEAF_NEW || !leaf->held || leaf->attempt != b->attempt)
            continue;
        rcpt_text(q, r, leaf->text, leaf->status);
        rcpt_said(q, r, leaf->remote, leaf->smtp);
        break;
    }
    rcpt_hold(q, r, b->held);
}

void branch_conclude(struct queue *q, struct qmsg *m, struct qbranch *b)
{
    struct qrcpt *r = &m->rcpts[b->index];

    if (r->state == RCPT_WAITING && r->reason == WAIT_IN_FLIGHT && !b->flying)
        rcpt_set(q, r, RCPT_WAITING, WAIT_LIMIT);
    if (b->out || r->routed > ROUTED_JOB)
        return;
    r->routed = ROUTED_NOT;
    if (b->goes_on && r->state == RCPT_WAITING)
        return; /* it is due */
    b->goes_on = b->expires = 0;
    if (r->state != RCPT_WAITING)
        return; /* an operator has decided otherwise meanwhile */
    if (b->deferred) {
        rcpt_defer(q, r, b->reason, b->group);
    } else if (b->put_off) {
        rcpt_set(q, r, RCPT_WAITING, b->reason);
        r->next_try = b->next_try;
    } else if (b->held) { /* the others are through */
        hold(q, r, b);
    } else {
        finish(q, r, b);
    }
}

/* --- reports --- */

size_t branch_failed(const struct queue *q, const struct qmsg *m)
{
    const struct qtree *t = tree_of(q, m);
    size_t n = 0;

    for (uint32_t k = 0; t && k < t->n; k++)
        n += t->v[k].failed;
    return n;
}

static void failed_becomes(struct qbranch *b, const char *owner, int all, enum leaf_state state)
{
    for (uint32_t i = 0; b->failed && i < b->n; i++) {
        if (b->v[i].state == LEAF_FAILED && (all || b->v[i].owner == owner))
            leaf_becomes(b, &b->v[i], state);
    }
}

void branch_reported(struct queue *q, struct qmsg *m, const char *owner)
{
    struct qtree *t = tree_of(q, m);

    for (uint32_t k = 0; t && k < t->n; k++)
        failed_becomes(&t->v[k], owner, 0, LEAF_DONE);
}

void branch_again(struct queue *q, struct qmsg *m)
{
    struct qtree *t = tree_of(q, m);

    for (uint32_t k = 0; t && k < t->n; k++)
        failed_becomes(&t->v[k], NULL, 1, LEAF_NEW);
}

int branch_tells(const struct queue *q, const struct qmsg *m, size_t i)
{
    const struct qbranch *b = branch_get(q, m, i);

    return b && !b->whole;
}

const char *branch_owner(const struct queue *q, const struct qmsg *m)
{
    const struct qtree *t = tree_of(q, m);
    const char *owner = NULL;

    for (uint32_t k = 0; t && k < t->n; k++) {
        for (uint32_t i = 0; i < t->v[k].n; i++) {
            const struct qleaf *leaf = &t->v[k].v[i];

            if (leaf->state == LEAF_FAILED && !leaf->owner)
                return NULL;
            if (leaf->state == LEAF_FAILED && !owner)
                owner = leaf->owner;
        }
    }
    return owner;
}

int64_t branch_report_at(const struct queue *q, const struct qmsg *m)
{
    return branch_failed(q, m) ? tree_of(q, m)->report_at : INT64_MAX;
}

void branch_report_later(struct queue *q, struct qmsg *m, int64_t at)
{
    struct qtree *t = tree_of(q, m);

    if (t)
        t->report_at = at;
}

void branch_each_failed(const struct queue *q, const struct qmsg *m, size_t i,
                        void (*each)(void *ctx, const struct qleaf *leaf), void *ctx)
{
    const struct qbranch *b = branch_get(q, m, i);

    for (uint32_t k = 0; b && b->failed && k < b->n; k++) {
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
    buf_put_str(out, leaf->shown == leaf->key ? NULL : leaf->shown);
    buf_put_str(out, leaf->text);
    buf_put_str(out, leaf->remote);
    buf_put_str(out, leaf->owner);
}

int branch_may_write(struct queue *q, struct qmsg *m)
{
    struct qtree *t = tree_of(q, m);
    int64_t now = loop_now(q->loop);
    uint32_t n = 0;

    if (!t)
        return 1;
    t->unwritten = m->jobs && q->running && t->write_at > now;
    for (uint32_t k = 0; !t->unwritten && k < t->n; k++)
        n += t->v[k].n;
    if (!t->unwritten)
        t->write_at = n < WRITE_MANY ? 0 : now + (int64_t)n * WRITE_USEC;
    return !t->unwritten;
}

int64_t branch_write_at(const struct queue *q, const struct qmsg *m)
{
    const struct qtree *t = tree_of(q, m);

    return t && t->unwritten ? t->write_at : INT64_MAX;
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
    char *key, *shown, *text, *remote, *owner;
    struct qleaf *leaf;

    for (int k = 0; k < 3; k++)
        status[k] = rd_u16(in);
    key = read_text(in);
    shown = read_text(in);
    text = read_text(in);
    remote = read_text(in);
    owner = read_text(in);
    in->bad |= state < LEAF_DELIVERED || state > LEAF_DONE;
    if (!in->bad) {
        leaf = branch_leaf(q, b, key, *shown ? shown : key);
        if (*text || state == LEAF_FAILED)
            leaf_fail(q, b, leaf, text, *remote ? remote : NULL, smtp != 0, status);
        leaf_becomes(b, leaf, state);
        if (*owner && !leaf->owner)
            leaf->owner = intern_ref(q->texts, owner);
    }
    free(key);
    free(shown);
    free(text);
    free(remote);
    free(owner);
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
    if (n > 1 && !in->bad)
        note_places(tree_of(q, m));
    if (in->bad)
        branch_forget(q, m);
    return in->bad ? -EBADMSG : 0;
}

/* --- for operators --- */

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

        json_object_set_new(o, "place", queue_text_json(leaf->shown));
        json_object_set_new(o, "state", json_string(names[leaf->state]));
        if (leaf->text)
            json_object_set_new(o, "text", queue_text_json(leaf->text));
        if (leaf->remote)
            json_object_set_new(o, "remote", queue_text_json(leaf->remote));
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
            intern_unref(q->texts, &leaf->owner);
        }
        map_free(&t->v[k].by_key, NULL);
        free(t->v[k].v);
    }
    if (t)
        map_free(&t->places, NULL);
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
