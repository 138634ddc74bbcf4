/* queue/bounce.c: what can't be delivered is reported to its sender; what can't be reported, to the
 * postmaster; what can't even reach him is held. Nothing is dropped.
 *
 * The failed recipients leave the queue only when the DSN is durable: a crash in between makes a
 * second DSN, never none. */
#include "queue/branch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "message/dsn.h"
#include "message/header.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/content.h"
#include "util/mem.h"
#include "util/text.h"

#define BOUNCE_HEAD_MAX (1u << 20) /* header sections are returned whole up to here */
#define BOUNCE_AGAIN    60000000   /* usec until a DSN that could not be written is tried again */

struct bounce {
    struct list link; /* queue.bounces */
    struct queue *q;
    struct qmsg *m;
    postern_content *content;
    char *head; /* read by a thread when content is on disk */
    size_t head_len;
    char *to;
    int to_postmaster;
    const char *owner; /* interned: of a list, whom this one is for; NULL: the sender's */
    uint64_t id;       /* of the DSN */
    struct envelope *env;
};

static void bounce_free(struct bounce **pb)
{
    struct bounce *b = *pb;

    *pb = NULL;
    list_del(&b->link);
    intern_unref(b->q->texts, &b->owner);
    content_unref(&b->content);
    free(b->head);
    free(b->to);
    free(b->env);
    free(b);
}

void bounce_free_all(struct queue *q)
{
    struct list *n;

    while ((n = list_pop(&q->bounces))) {
        struct bounce *b = CONTAINER(n, struct bounce, link);

        bounce_free(&b);
    }
}

static void failed_wait(struct queue *q, struct qmsg *m, int64_t next_try)
{
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        if (m->rcpts[i].state != RCPT_FAILED)
            continue;
        rcpt_set(q, &m->rcpts[i], RCPT_FAILED, WAIT_SPOOL);
        m->rcpts[i].next_try = next_try;
    }
    branch_report_later(q, m, next_try);
}

static void count_leaf(void *ctx, const struct qleaf *leaf)
{
    (void)leaf;
    ++*(size_t *)ctx;
}

/* It is told of, all of it: in this report, or in the last one that its places ask for. */
static int is_reported(const struct queue *q, const struct qmsg *m, size_t i, const char *owner)
{
    struct qbranch *b = branch_get(q, m, i);
    size_t left = 0;

    if (!b)
        return !owner;
    b->whole &= owner != NULL; /* the sender's report has said that */
    branch_each_failed(q, m, i, count_leaf, &left);
    return !left;
}

static void failed_reported(struct queue *q, struct qmsg *m, const char *owner)
{
    branch_reported(q, m, owner);
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        if (m->rcpts[i].state != RCPT_FAILED || !is_reported(q, m, i, owner))
            continue;
        rcpt_set(q, &m->rcpts[i], RCPT_DONE, WAIT_NEW);
        m->rcpts[i].next_try = 0;
    }
}

/* The DSN could not be written now: the failures stand, and are reported later. */
static void bounce_later(struct bounce **pb, int err)
{
    struct bounce *b = *pb;
    struct queue *q = b->q;
    struct qmsg *m = b->m;
    char id[16];

    log_event(POSTERN_LOG_ERROR, "queue", "bounce.write", "id=%s why=%s",
              text_id(m->id, id, sizeof id), log_q(strerror(-err)));
    m->bouncing = 0;
    failed_wait(q, m, loop_now(q->loop) + BOUNCE_AGAIN);
    bounce_free(pb);
    msg_schedule(q, m); /* its other recipients may be due before */
    queue_kick(q);
}

static void on_durable(void *ctx, int result, struct spool_entry *entry)
{
    struct bounce *b = ctx;
    struct queue *q = b->q;
    struct qmsg *m = b->m;
    char id[16], about[16];

    if (result < 0) {
        bounce_later(&b, result);
        return;
    }
    log_event(POSTERN_LOG_INFO, "queue", "bounce.sent", "id=%s about=%s to=%s",
              text_id(b->id, id, sizeof id), text_id(m->id, about, sizeof about), log_q(b->to));
    q->bounced++;
    queue_add(q, b->id, entry, STEAL_PTR(b->env));
    m->bouncing = 0;
    failed_reported(q, m, b->owner);
    bounce_free(&b);
    msg_settled(q, m, 1);
}

struct collection {
    const struct bounce *b;
    struct dsn_rcpt *out;
    size_t n;
    const char *rcpt; /* as the sender named it */
    const struct qrcpt *r;
};

/* A command or a file is nobody's business but ours: the sender knows it by the alias. */
static int is_address(const struct qleaf *leaf)
{
    return !strchr("|>", *leaf->key) || !*leaf->key;
}

static void collect_leaf(void *ctx, const struct qleaf *leaf)
{
    struct collection *c = ctx;
    struct dsn_rcpt *out;

    if (leaf->owner != c->b->owner)
        return;
    out = &c->out[c->n++];
    *out = (struct dsn_rcpt){ .rcpt = is_address(leaf) ? leaf->shown : c->rcpt,
                              .original = is_address(leaf) ? c->rcpt : NULL,
                              .action = "failed",
                              .diagnostic = leaf->text,
                              .diagnostic_type = leaf->smtp ? "smtp" : NULL,
                              .remote = leaf->remote,
                              .last_attempt_usec = (int64_t)c->r->tried * 1000000 };
    memcpy(out->status, leaf->status, sizeof leaf->status);
}

static size_t collect(const struct bounce *b, struct dsn_rcpt *rcpts)
{
    struct collection c = { .b = b, .out = rcpts };
    struct dsn_rcpt *out = rcpts;
    const struct qmsg *m = b->m;
    const char *rcpt = envelope_first_rcpt(m->env);
    size_t n;

    for (size_t i = 0; i < m->env->rcpt_n; i++, rcpt = envelope_next_text(rcpt)) {
        const struct qrcpt *r = &m->rcpts[i];

        c.rcpt = rcpt;
        c.r = r;
        branch_each_failed(b->q, m, i, collect_leaf, &c);
        if (r->state != RCPT_FAILED || b->owner || branch_tells(b->q, m, i))
            continue;
        n = c.n++;
        out[n] = (struct dsn_rcpt){ .rcpt = rcpt,
                                    .action = "failed",
                                    .diagnostic = r->text,
                                    .diagnostic_type = r->smtp ? "smtp" : NULL,
                                    .remote = r->remote,
                                    .last_attempt_usec = (int64_t)r->tried * 1000000 };
        memcpy(out[n].status, r->status, sizeof r->status);
        /* A temporary status that lasted too long is final now; RFC 3463 keeps its 4. */
    }
    return c.n;
}

static void compose(const struct bounce *b, const char *head, size_t head_len, struct buf *out)
{
    const struct config *cfg = b->q->config;
    struct dsn_rcpt *rcpts =
        mem_zalloc((b->m->env->rcpt_n + branch_failed(b->q, b->m)) * sizeof *rcpts);
    /* In the envelope, a name without a domain is local as it is. */
    char *to AUTO_FREE = config_whole_address(cfg, b->to), from[320], id[16];
    struct dsn d = { .hostname = cfg->server.hostname,
                     .from = from,
                     .to = to,
                     .queue_id = text_id(b->m->id, id, sizeof id),
                     .sender = envelope_sender(b->m->env),
                     .arrived_usec = b->m->env->received_usec,
                     .now_usec = clock_wall(),
                     .to_postmaster = b->to_postmaster,
                     .rcpts = rcpts,
                     .head = head,
                     .head_len = head_len,
                     .content_size = spool_entry_size(b->m->entry),
                     .body_max = (uint64_t)cfg->queue.bounce_body_max,
                     .utf8 = (b->m->env->flags & POSTERN_MAIL_UTF8) != 0 };

    snprintf(from, sizeof from, "MAILER-DAEMON@%s", cfg->server.hostname);
    d.rcpt_n = collect(b, rcpts);
    dsn_compose(&d, out);
    free(rcpts);
}

static struct envelope *bounce_envelope(const struct bounce *b)
{
    const char *rcpts[] = { b->to };

    return envelope_new(&(struct envelope_new){
        .received_usec = clock_wall(),
        .flags = ENVELOPE_BOUNCE | (b->to_postmaster ? ENVELOPE_POSTMASTER : 0u) |
            (b->m->env->flags & (POSTERN_MAIL_8BIT | POSTERN_MAIL_UTF8)),
        .sender = "",
        .ingress = "bounce",
        .client = "",
        .rcpt_n = 1,
        .rcpts = rcpts });
}

/* A notice to the postmaster that can't be delivered goes nowhere else: it is kept, on hold. */
static void hold_notice(struct queue *q, struct qmsg *m)
{
    char id[16], text[QUEUE_TEXT_MAX];

    branch_again(q, m); /* when it is released */
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        struct qrcpt *r = &m->rcpts[i];
        uint16_t status[3];

        if (r->state != RCPT_FAILED)
            continue;
        memcpy(status, r->status, sizeof status);
        snprintf(text, sizeof text, "a notice to the postmaster that can't be delivered: %s%s%s",
                 r->remote ? r->remote : "", r->remote ? " said: " : "",
                 r->text ? r->text : "no reason given");
        rcpt_text(q, r, text, status);
        rcpt_hold(q, r, 0);
        log_event(POSTERN_LOG_ERROR, "queue", "bounce.held", "id=%s why=%s",
                  text_id(m->id, id, sizeof id), log_q(text));
    }
    msg_settled(q, m, 1);
}

/* One that came back to us, such as from a hub that hands back what it gets, has lost its flag. */
static int is_notice(const struct bounce *b, const char *head, size_t head_len)
{
    return b->to_postmaster && header_count(head, header_end(head, head_len), DSN_NOTICE_FIELD) > 0;
}

static void hold_instead(struct bounce *b)
{
    struct queue *q = b->q;
    struct qmsg *m = b->m;

    m->bouncing = 0;
    bounce_free(&b);
    hold_notice(q, m);
}

static void write_dsn(struct bounce *b, const char *head, size_t head_len)
{
    struct queue *q = b->q;
    struct spool_put *put = NULL;
    struct buf text = { 0 }, meta = { 0 };
    int r;

    if (is_notice(b, head, head_len)) {
        hold_instead(b);
        return;
    }
    compose(b, head, head_len, &text);
    b->id = spool_new_id(q->spools[0]);
    r = spool_put_new(q->spools[0], b->id, text.len, &put);
    if (r >= 0)
        r = spool_put_write(put, text.data, text.len);
    buf_free(&text);
    if (r < 0) {
        spool_put_free(&put);
        bounce_later(&b, r);
        return;
    }
    b->env = bounce_envelope(b);
    envelope_encode(b->env, &meta);
    spool_put_commit(put, meta.data, meta.len, on_durable, b);
    buf_free(&meta);
}

static size_t head_size(const postern_content *c)
{
    return c->size < BOUNCE_HEAD_MAX ? (size_t)c->size : BOUNCE_HEAD_MAX;
}

/* On a thread. The memory is taken here and not before, so that ten thousand messages that expire
 * together hold what the threads are at, and no more. */
static int read_head(void *ctx)
{
    struct bounce *b = ctx;
    size_t size = head_size(b->content);

    b->head = malloc(size ? size : 1);
    if (!b->head)
        return -ENOMEM;
    while (b->head_len < size) {
        int64_t n =
            content_read(b->content, b->head_len, b->head + b->head_len, size - b->head_len);

        if (n <= 0)
            return (int)n;
        b->head_len += (size_t)n;
    }
    return 0;
}

/* Will it be readable in a minute? */
static int is_passing(int err)
{
    return err == -ENOMEM || err == -EMFILE || err == -ENFILE || err == -EAGAIN;
}

/* The original can't be read, and may never be: its sender is told without it, rather than
 * never. */
static void without_original(struct bounce *b, int err)
{
    char id[16];

    if (is_passing(err)) {
        bounce_later(&b, err);
        return;
    }
    log_event(POSTERN_LOG_ERROR, "queue", "bounce.content",
              "id=%s why=%s note=\"reported without the original\"",
              text_id(b->m->id, id, sizeof id), log_q(strerror(-err)));
    write_dsn(b, "", 0);
}

static void on_head(void *ctx, int result)
{
    struct bounce *b = ctx;
    char *head = STEAL_PTR(b->head);

    if (result < 0)
        without_original(b, result);
    else
        write_dsn(b, head, b->head_len);
    free(head);
}

/* Whose report is the next: the sender's before those of lists. */
static const char *next_owner(const struct queue *q, const struct qmsg *m)
{
    for (size_t i = 0; i < m->env->rcpt_n; i++) {
        if (m->rcpts[i].state == RCPT_FAILED && !branch_tells(q, m, i))
            return NULL;
    }
    return branch_owner(q, m);
}

void bounce_start(struct queue *q, struct qmsg *m)
{
    const char *sender = envelope_sender(m->env);
    struct bounce *b;

    if (m->env->flags & ENVELOPE_POSTMASTER) {
        hold_notice(q, m);
        return;
    }
    b = mem_zalloc(sizeof *b);
    list_add_tail(&q->bounces, &b->link);
    b->q = q;
    b->m = m;
    b->owner = intern_ref(q->texts, next_owner(q, m));
    b->to_postmaster = !*sender && !b->owner;
    b->to = mem_strdup(b->to_postmaster ? q->config->server.postmaster
                           : b->owner   ? b->owner
                                        : sender);
    m->bouncing = 1;
    heap_remove(&q->due, &m->due);
    b->content = spool_content(msg_spool(q, m), m->entry);
    if (!b->content) {
        without_original(b, errno ? -errno : -EIO);
        return;
    }
    if (content_memory(b->content)) {
        write_dsn(b, content_memory(b->content), head_size(b->content));
        return;
    }
    loop_offload(q->loop, read_head, on_head, b);
}
