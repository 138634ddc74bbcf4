/* plugin/submit.c: a message on its way in: from the plugin's hands, through the checks that hold
 * for every ingress, into the spool, and from there to the queue. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "log/log.h"
#include "message/header.h"
#include "plugin/submit-private.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/text.h"
#include "util/textset.h"

#define SUBMIT_FLAGS (POSTERN_MAIL_8BIT | POSTERN_MAIL_UTF8 | POSTERN_MAIL_LIST | POSTERN_MAIL_VERP)

struct postern_submit {
    struct list link; /* host.submits */
    postern_host *host;
    struct spool_put *put;
    struct submit_head *head; /* NULL: it went on, or was never held back */
    uint64_t size;            /* of what was written, before it was edited */
    uint64_t id;
    uint32_t flags;
    char *sender, *client;
    struct textset rcpts;
    struct envelope *env; /* once committed */
    int refused;          /* why it is not committed, -errno */
    postern_done *done;
    void *ctx;
    char id_text[16];
};

static int size_limit(const postern_host *h, uint64_t size)
{
    int64_t max = h->env->config->server.message_size_max;

    return max > 0 && size > (uint64_t)max ? -EFBIG : 0;
}

/* What goes into MAIL and RCPT of the next hop must be one address and nothing else, whoever
 * says it. */
static int is_address(const char *text)
{
    struct postern_address a = { .size = sizeof a };
    const char *why;

    return postern_address_parse(text, strlen(text), POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE,
                                 &a, &why) >= 0;
}

/* New senders are for mail of our own users; what comes from the world keeps its own. */
static void take_sender(postern_submit *s, const struct postern_envelope *e)
{
    if (e->flags & POSTERN_MAIL_TRUSTED) {
        s->sender = submit_sender(s->host, s->id_text, e->sender);
        s->head = submit_head_new(s->host, s->id_text, s->flags);
    } else {
        s->sender = mem_strdup(e->sender);
    }
}

/* Domains never differ by case. What comes before the '@' is the domain's own business, but who
 * writes a list, as who writes an alias, does not mean two people. */
static void fold_domain(char *rcpt, size_t len)
{
    char *at = memrchr(rcpt, '@', len);

    if (at && rcpt[len - 1] != '"') /* that is a name alone, with an '@' in its quotes */
        text_lower_str(at);
}

static void fold_all(char *rcpt, size_t len)
{
    (void)len;
    text_lower_str(rcpt);
}

int host_submit_new(postern_host *h, const struct postern_envelope *e, postern_submit **ret)
{
    postern_submit *s;
    int r;

    if (!e->sender || (*e->sender && !is_address(e->sender)))
        return -EINVAL;
    if (size_limit(h, e->size_hint) < 0)
        return -EFBIG;
    s = mem_zalloc(sizeof *s);
    s->host = h;
    s->id = spool_new_id(h->env->spool);
    r = spool_put_new(h->env->spool, s->id, e->size_hint, &s->put);
    if (r < 0) {
        free(s);
        return r;
    }
    s->flags = e->flags & SUBMIT_FLAGS;
    s->rcpts.fold = s->flags & POSTERN_MAIL_LIST ? fold_all : fold_domain;
    s->client = e->client ? mem_strdup(e->client) : NULL;
    text_id(s->id, s->id_text, sizeof s->id_text);
    take_sender(s, e);
    h->submissions++;
    list_add_tail(&h->submits, &s->link);
    *ret = s;
    return 0;
}

void host_submit_notice(postern_submit *s)
{
    s->flags |= ENVELOPE_POSTMASTER;
}

const char *host_submit_id(const postern_submit *s)
{
    return s->id_text;
}

const char *host_submit_sender(const postern_submit *s)
{
    return s->sender;
}

size_t host_submit_rcpts(const postern_submit *s)
{
    return s->rcpts.n;
}

/* A list is as long as its owner makes it; what a client says of one is another matter. */
static size_t rcpts_max(const postern_submit *s)
{
    size_t max = (size_t)s->host->env->config->server.recipients_max;

    return s->flags & POSTERN_MAIL_LIST || max > ENVELOPE_MAX_RCPTS ? ENVELOPE_MAX_RCPTS : max;
}

int host_submit_rcpt(postern_submit *s, const char *rcpt)
{
    if (!is_address(rcpt))
        return -EINVAL;
    if (textset_has(&s->rcpts, rcpt))
        return 0; /* named twice: one copy is enough */
    if (s->rcpts.n >= rcpts_max(s))
        return -E2BIG;
    return textset_add(&s->rcpts, rcpt);
}

static int has_8bit(const unsigned char *p, size_t len)
{
    unsigned all = 0;

    for (size_t i = 0; i < len; i++)
        all |= p[i];
    return all >= 0x80;
}

static int pass_on(postern_submit *s, const void *data, size_t len)
{
    /* 8-bit content whose sender did not say so still has to be declared to the next hop. */
    if (!(s->flags & POSTERN_MAIL_8BIT) && has_8bit(data, len))
        s->flags |= POSTERN_MAIL_8BIT;
    return spool_put_write(s->put, data, len);
}

static int pass_head_on(postern_submit *s)
{
    const struct buf *head = submit_head_end(s->head);
    int r = head->len ? pass_on(s, head->data, head->len) : 0;

    submit_head_free(&s->head);
    return r;
}

int host_submit_write(postern_submit *s, const void *data, size_t len)
{
    int r = size_limit(s->host, s->size + len);

    if (r < 0)
        return r;
    s->size += len;
    if (!s->head)
        return pass_on(s, data, len);
    return submit_head_write(s->head, data, len) ? pass_head_on(s) : 0;
}

void host_submit_room(postern_submit *s, postern_done *done, void *ctx)
{
    spool_put_room(s->put, done, ctx);
}

void host_submit_free(postern_submit *s)
{
    if (!s)
        return;
    s->host->submissions--;
    list_del(&s->link);
    spool_put_free(&s->put);
    submit_head_free(&s->head);
    textset_done(&s->rcpts);
    free(s->sender);
    free(s->client);
    free(s->env);
    free(s);
}

void host_submit_free_all(postern_host *h)
{
    LIST_EACH_SAFE (&h->submits, it, tmp)
        host_submit_free(CONTAINER(it, postern_submit, link));
}

static void on_durable(void *ctx, int result, struct spool_entry *entry)
{
    postern_submit *s = ctx;

    if (result >= 0) {
        queue_add(s->host->env->queue, s->id, entry, s->env);
        s->env = NULL;
    } else {
        /* A full disk the spool has told of already, once; this is only who met it. */
        log_event(result == -ENOSPC ? POSTERN_LOG_INFO : POSTERN_LOG_ERROR, s->host->name,
                  "spool.refused", "id=%s why=%s", s->id_text, log_q(strerror(-result)));
    }
    s->done(s->ctx, result);
    host_submit_free(s);
}

static void refuse_now(void *arg)
{
    postern_submit *s = arg;

    s->done(s->ctx, s->refused);
    host_submit_free(s);
}

static void submit_envelope(postern_submit *s, unsigned hops)
{
    s->env = envelope_new(
        &(struct envelope_new){ .received_usec = clock_wall(),
                                .flags = s->flags,
                                .hops = hops > UINT16_MAX ? UINT16_MAX : (uint16_t)hops,
                                .sender = s->sender,
                                .ingress = s->host->name,
                                .client = s->client,
                                .rcpt_n = s->rcpts.n,
                                .packed = s->rcpts.text.data,
                                .packed_len = s->rcpts.text.len });
}

/* How often it has been on its way already; 0, or -ELOOP: too often. */
static int count_hops(const postern_submit *s, unsigned *ret)
{
    size_t head_len;
    const char *head = spool_put_head(s->put, &head_len);

    *ret = header_count(head, header_end(head, head_len), "Received");
    return *ret > (unsigned)s->host->env->config->server.hop_count_max ? -ELOOP : 0;
}

void host_submit_commit(postern_submit *s, postern_done *done, void *ctx)
{
    struct buf meta = { 0 };
    unsigned hops = 0;
    int r = s->head ? pass_head_on(s) : 0; /* all of it is head; 1, "wait", is no matter now */

    s->done = done;
    s->ctx = ctx;
    if (r >= 0)
        r = s->rcpts.n ? count_hops(s, &hops) : -EINVAL;
    if (r < 0) {
        s->refused = r;
        loop_post(s->host->env->loop, refuse_now, s);
        return;
    }
    submit_envelope(s, hops);
    envelope_encode(s->env, &meta);
    spool_put_commit(s->put, meta.data, meta.len, on_durable, s);
    s->put = NULL;
    buf_free(&meta);
}
