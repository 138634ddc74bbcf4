/* fakehost-mail.c: the fake host's spool, router and queue. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fakehost-internal.h"

/* --- submissions --- */

struct postern_submit {
    struct postern_submit *next;
    struct fakehost *h;
    struct fakehost_message m;
    struct bytes data; /* what m.data shows */
    size_t since_room; /* bytes taken since there was room last */
    int wait;          /* submit_write has said so */
    int spoiled;       /* a write failed: it can only be freed */
};

static void need_open(const struct postern_submit *s, const char *service)
{
    fake_on_loop(s->h, service);
    if (s->m.fate != FAKEHOST_OPEN)
        fake_complain(s->h, "%s on submission %s, which has ended", service, s->m.id);
}

static int fake_submit_new(postern_host *door, const struct postern_envelope *e,
                           postern_submit **ret)
{
    struct fakehost *h = door->fake;
    struct postern_submit *s, **at = &h->submits;
    char id[32];
    int r = fake_failure(h, FAKEHOST_SUBMIT_NEW);

    fake_on_loop(h, "submit_new");
    if (e->size < sizeof *e || !e->sender)
        fake_complain(h, "submit_new: the envelope has no size or no sender");
    if (r < 0)
        return r;
    s = fake_alloc(sizeof *s);
    s->h = h;
    snprintf(id, sizeof id, "msg%zu", ++h->submit_n);
    s->m.id = fake_strdup(id);
    s->m.sender = fake_strdup(e->sender);
    s->m.client = e->client ? fake_strdup(e->client) : NULL;
    s->m.protocol = e->protocol ? fake_strdup(e->protocol) : NULL;
    s->m.flags = e->flags;
    s->m.size_hint = e->size_hint;
    bytes_add(&s->data, "", 0);
    s->m.data = s->data.data;
    while (*at)
        at = &(*at)->next;
    *at = s;
    *ret = s;
    return 0;
}

static const char *fake_submit_id(const postern_submit *s)
{
    need_open(s, "submit_id");
    return s->m.id;
}

static const char *fake_submit_sender(const postern_submit *s)
{
    need_open(s, "submit_sender");
    return s->m.sender;
}

static size_t fake_submit_rcpts(const postern_submit *s)
{
    need_open(s, "submit_rcpts");
    return s->m.rcpt_n;
}

static int is_same_rcpt(const struct fakehost_message *m, const char *a, const char *b)
{
    const char *at = strrchr(a, '@');
    size_t local = m->flags & POSTERN_MAIL_LIST || !at ? 0 : (size_t)(at - a);

    return !strncmp(a, b, local) && !strcasecmp(a + local, b + local);
}

static int fake_submit_rcpt(postern_submit *s, const char *rcpt)
{
    struct fakehost_message *m = &s->m;
    int r = fake_failure(s->h, FAKEHOST_SUBMIT_RCPT);

    need_open(s, "submit_rcpt");
    if (r < 0)
        return r;
    if (!*rcpt)
        return -EINVAL;
    for (size_t i = 0; i < m->rcpt_n; i++) {
        if (is_same_rcpt(m, m->rcpts[i], rcpt))
            return 0;
    }
    if (m->rcpt_n >= s->h->rcpts_max)
        return -E2BIG;
    m->rcpts = realloc(m->rcpts, (m->rcpt_n + 1) * sizeof *m->rcpts);
    if (!m->rcpts)
        abort();
    m->rcpts[m->rcpt_n++] = fake_strdup(rcpt);
    return 0;
}

static int fake_submit_write(postern_submit *s, const void *data, size_t len)
{
    struct fakehost *h = s->h;
    struct fakehost_message *m = &s->m;
    int r = fake_failure(h, FAKEHOST_SUBMIT_WRITE);

    need_open(s, "submit_write");
    if (s->wait)
        fake_complain(h, "submit_write on %s before submit_room called back", m->id);
    if (s->spoiled)
        fake_complain(h, "submit_write on %s after a write of it failed", m->id);
    if (!r && h->size_limit && m->len + len > h->size_limit)
        r = -EFBIG;
    if (r < 0) {
        s->spoiled = 1;
        return r;
    }
    bytes_add(&s->data, data, len);
    m->data = s->data.data;
    m->len = s->data.len;
    s->since_room += len;
    s->wait = h->write_room && s->since_room >= h->write_room;
    return s->wait;
}

static void run_room(struct fakehost *h, struct pending *p)
{
    struct postern_submit *s = p->object;

    (void)h;
    s->wait = 0;
    s->since_room = 0;
    p->done(p->ctx, 0);
}

static void fake_submit_room(postern_submit *s, postern_done *done, void *ctx)
{
    struct pending *p;

    need_open(s, "submit_room");
    p = fake_later(s->h, FAKEHOST_SUBMIT_ROOM, 0, run_room);
    p->object = s;
    p->done = done;
    p->ctx = ctx;
}

static void drop_room(struct postern_submit *s)
{
    for (struct pending **at = &s->h->pending; *at;) {
        struct pending *p = *at;

        if (p->kind == FAKEHOST_SUBMIT_ROOM && p->object == s) {
            *at = p->next;
            free(p);
        } else {
            at = &p->next;
        }
    }
}

static void run_commit(struct fakehost *h, struct pending *p)
{
    struct postern_submit *s = p->object;

    (void)h;
    s->m.fate = p->result < 0 ? FAKEHOST_REFUSED : FAKEHOST_DURABLE;
    p->done(p->ctx, p->result);
}

static void fake_submit_commit(postern_submit *s, postern_done *done, void *ctx)
{
    struct pending *p;

    need_open(s, "submit_commit");
    if (!s->m.rcpt_n)
        fake_complain(s->h, "submit_commit on %s, which has no recipients", s->m.id);
    if (s->spoiled)
        fake_complain(s->h, "submit_commit on %s after a write of it failed", s->m.id);
    drop_room(s);
    s->m.fate = FAKEHOST_COMMITTING;
    p = fake_later(s->h, FAKEHOST_SUBMIT_COMMIT, 0, run_commit);
    p->object = s;
    p->done = done;
    p->ctx = ctx;
    p->result = fake_failure(s->h, FAKEHOST_SUBMIT_COMMIT);
}

static void fake_submit_free(postern_submit *s)
{
    if (!s)
        return;
    need_open(s, "submit_free");
    drop_room(s);
    s->m.fate = FAKEHOST_ABANDONED;
}

const struct fakehost_message *fakehost_message(const struct fakehost *h, size_t i)
{
    const struct postern_submit *s = h->submits;

    while (s && i--)
        s = s->next;
    return s ? &s->m : NULL;
}

size_t fakehost_messages(const struct fakehost *h, enum fakehost_fate fate)
{
    size_t n = 0;

    for (const struct postern_submit *s = h->submits; s; s = s->next)
        n += s->m.fate == fate;
    return n;
}

void fakehost_write_room(struct fakehost *h, size_t bytes)
{
    h->write_room = bytes;
}

void fakehost_rcpts_max(struct fakehost *h, size_t n)
{
    h->rcpts_max = n;
}

static void end_submits(struct fakehost *h)
{
    struct postern_submit *s;
    size_t left = 0;

    while ((s = h->submits)) {
        h->submits = s->next;
        left += s->m.fate == FAKEHOST_OPEN;
        for (size_t i = 0; i < s->m.rcpt_n; i++)
            free(s->m.rcpts[i]);
        free(s->m.rcpts);
        free(s->m.id);
        free(s->m.sender);
        free(s->m.client);
        free(s->m.protocol);
        free(s->data.data);
        free(s);
    }
    if (left)
        fake_complain(h, "%zu submissions were left", left);
}

/* --- the router --- */

static void verdict_of(struct fakehost *h, const char *rcpt, struct postern_verdict *ret)
{
    struct scripted *s = fake_scripted(h, 'v', rcpt);

    memset(ret, 0, sizeof *ret);
    if (s)
        *ret = s->verdict;
    else
        ret->kind = POSTERN_VERDICT_ANYONE;
    ret->size = sizeof *ret;
}

struct route_question {
    postern_verdict_cb *cb;
    char rcpt[]; /* as it was when it was asked */
};

static void run_route_ask(struct fakehost *h, struct pending *p)
{
    struct route_question *q = p->object;
    struct postern_verdict verdict;
    int r = fake_failure(h, FAKEHOST_ROUTE_ASK);

    verdict_of(h, q->rcpt, &verdict);
    q->cb(p->ctx, r, r < 0 ? NULL : &verdict);
}

static int fake_route_ask(postern_host *door, const char *sender, const char *rcpt,
                          postern_verdict_cb *cb, void *ctx, uint64_t *ret_id)
{
    struct fakehost *h = door->fake;
    struct route_question *q = fake_keep(h, sizeof *q + strlen(rcpt) + 1);
    struct pending *p = fake_later(h, FAKEHOST_ROUTE_ASK, 0, run_route_ask);

    fake_on_loop(h, "route_ask");
    if (!sender)
        fake_complain(h, "route_ask: no sender");
    q->cb = cb;
    strcpy(q->rcpt, rcpt);
    p->object = q;
    p->ctx = ctx;
    *ret_id = p->id;
    return 0;
}

static int fake_route_check(postern_host *door, const char *sender, const char *rcpt,
                            struct postern_verdict *ret)
{
    struct fakehost *h = door->fake;
    int r = fake_failure(h, FAKEHOST_ROUTE_CHECK);

    fake_on_loop(h, "route_check");
    if (!sender || ret->size < sizeof *ret)
        fake_complain(h, "route_check: no sender, or the verdict has no size");
    if (r < 0)
        return r;
    verdict_of(h, rcpt, ret);
    return 0;
}

void fakehost_verdict(struct fakehost *h, const char *rcpt, uint32_t kind, const char *status,
                      const char *text)
{
    struct scripted *s = fake_script(h, 'v', rcpt);

    memset(&s->verdict, 0, sizeof s->verdict);
    s->verdict.kind = kind;
    if (status)
        sscanf(status, "%hu.%hu.%hu", &s->verdict.status[0], &s->verdict.status[1],
               &s->verdict.status[2]);
    snprintf(s->verdict.text, sizeof s->verdict.text, "%s", text ? text : "");
}

/* --- content --- */

struct postern_content {
    struct fakehost *h;
    char *data;
    size_t len;
};

const char *fake_content(const postern_content *c, size_t *ret_len)
{
    *ret_len = c->len;
    return c->data;
}

static uint64_t fake_content_size(const postern_content *c)
{
    return c->len;
}

static int64_t fake_content_read(const postern_content *c, uint64_t at, void *buf, size_t len)
{
    int r = fake_failure(c->h, FAKEHOST_CONTENT_READ);

    if (!c->h->offloading)
        fake_complain(c->h, "content_read was called on the loop: it may read a disk");
    if (r < 0)
        return r;
    if (at >= c->len)
        return 0;
    if (len > c->len - at)
        len = (size_t)(c->len - at);
    memcpy(buf, c->data + at, len);
    return (int64_t)len;
}

/* --- jobs --- */

struct fate_of {
    int settled;
    struct postern_outcome outcome;
};

/* What the plugin may see. It is freed when the last recipient is settled, the outcomes are not. */
struct job_view {
    char *id, *sender, *destination, *client;
    char **rcpts, **originals, **next_hops, **params; /* end in NULL */
    uint32_t *next_hop_flags;
    int released;
    struct postern_content content;
    uint32_t flags;
};

struct postern_job {
    struct postern_job *next;
    struct fakehost *h;
    struct job_view *view; /* NULL: the job is gone */
    size_t n, left;
    struct fate_of *fates;
    int refused; /* deliver did not take it */
};

static struct job_view *view_of(const postern_job *j, const char *service)
{
    if (!j->view) {
        fake_complain(j->h, "%s on a job that is gone", service);
        abort(); /* there is nothing to give back, whatever the test does of complaints */
    }
    return j->view;
}

static const char *fake_job_id(const postern_job *j)
{
    return view_of(j, "job_id")->id;
}

static const char *fake_job_sender(const postern_job *j)
{
    return view_of(j, "job_sender")->sender;
}

static size_t fake_job_rcpts(const postern_job *j)
{
    (void)view_of(j, "job_rcpts");
    return j->n;
}

static const char *fake_job_rcpt(const postern_job *j, size_t i)
{
    struct job_view *v = view_of(j, "job_rcpt");

    if (i >= j->n)
        fake_complain(j->h, "job_rcpt: there is no recipient %zu", i);
    return v->rcpts[i];
}

static const char *fake_job_original(const postern_job *j, size_t i)
{
    struct job_view *v = view_of(j, "job_original");

    return i < j->n ? v->originals[i] : NULL;
}

static const char *fake_job_client(const postern_job *j)
{
    return view_of(j, "job_client")->client;
}

static const char *fake_job_destination(const postern_job *j)
{
    return view_of(j, "job_destination")->destination;
}

static const char *fake_job_next_hop(const postern_job *j, size_t i)
{
    char **hops = view_of(j, "job_next_hop")->next_hops;

    while (*hops && i--)
        hops++;
    return *hops;
}

static int fake_job_released(const postern_job *j, size_t i)
{
    struct job_view *v = view_of(j, "job_released");

    return i < j->n && v->released;
}

static uint32_t fake_job_next_hop_flags(const postern_job *j, size_t i)
{
    struct job_view *v = view_of(j, "job_next_hop_flags");
    size_t n = 0;

    while (v->next_hops[n])
        n++;
    return i < n ? v->next_hop_flags[i] : 0;
}

static const char *fake_job_param(const postern_job *j, const char *name)
{
    size_t len = strlen(name);

    for (char **p = view_of(j, "job_param")->params; *p; p++) {
        if (strncmp(*p, name, len) == 0 && (*p)[len] == '=')
            return *p + len + 1;
    }
    return NULL;
}

static uint32_t fake_job_flags(const postern_job *j)
{
    return view_of(j, "job_flags")->flags;
}

static postern_content *fake_job_content(const postern_job *j)
{
    return &view_of(j, "job_content")->content;
}

/* A diagnostic is one line of text, and a status belongs to its fate (RFC 3463 2). */
static void check_outcome(const postern_job *j, size_t i, const struct postern_outcome *o)
{
    static const unsigned class[] = { 0, 2, 4, 5 };

    if (o->size < sizeof *o || o->fate < POSTERN_DELIVERED || o->fate > POSTERN_FAILED)
        fake_complain(j->h, "job_settle: recipient %zu has no fate", i);
    else if (o->status[0] != class[o->fate])
        fake_complain(j->h, "job_settle: recipient %zu: status %u.%u.%u does not fit fate %u", i,
                      o->status[0], o->status[1], o->status[2], o->fate);
    for (const char *p = o->diagnostic; p && *p; p++) {
        if ((unsigned char)*p < 32 || *p == 127)
            fake_complain(j->h, "job_settle: control characters in \"%s\"", o->diagnostic);
    }
}

static const char *keep(struct fakehost *h, const char *s)
{
    return s ? memcpy(fake_keep(h, strlen(s) + 1), s, strlen(s) + 1) : NULL;
}

static void fake_job_settle(postern_job *j, size_t i, const struct postern_outcome *o)
{
    fake_on_loop(j->h, "job_settle");
    if (i >= j->n) {
        fake_complain(j->h, "job_settle: there is no recipient %zu", i);
        return;
    }
    if (j->fates[i].settled) {
        fake_complain(j->h, "recipient %zu was settled twice", i);
        return;
    }
    check_outcome(j, i, o);
    j->fates[i].settled = 1;
    j->fates[i].outcome = *o;
    j->fates[i].outcome.diagnostic = keep(j->h, o->diagnostic);
    j->fates[i].outcome.remote = keep(j->h, o->remote);
    j->left--;
}

static char **copy_list(const char *const *list)
{
    size_t n = 0;
    char **copy;

    while (list && list[n])
        n++;
    copy = fake_alloc((n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = fake_strdup(list[i]);
    return copy;
}

static void free_list(char **list)
{
    for (char **p = list; *p; p++)
        free(*p);
    free(list);
}

static void free_view(struct postern_job *j)
{
    struct job_view *v = j->view;

    if (!v)
        return;
    free(v->id);
    free(v->sender);
    free(v->destination);
    free(v->client);
    free_list(v->rcpts);
    free_list(v->originals);
    free_list(v->next_hops);
    free(v->next_hop_flags);
    free_list(v->params);
    free(v->content.data);
    free(v);
    j->view = NULL;
}

static void copy_flags(struct job_view *v, const uint32_t *from)
{
    size_t n = 0;

    while (v->next_hops[n])
        n++;
    v->next_hop_flags = fake_alloc((n + 1) * sizeof *v->next_hop_flags);
    if (from)
        memcpy(v->next_hop_flags, from, n * sizeof *from);
}

static struct postern_job *new_job(struct fakehost *h, const struct fakehost_job *from)
{
    struct postern_job *j = fake_alloc(sizeof *j);
    struct job_view *v = fake_alloc(sizeof *v);

    v->id = fake_strdup(from->id ? from->id : "job");
    v->sender = fake_strdup(from->sender ? from->sender : "");
    v->destination = fake_strdup(from->destination ? from->destination : "");
    v->client = fake_strdup(from->client ? from->client : "");
    v->rcpts = copy_list(from->rcpts);
    v->originals = copy_list(from->originals ? from->originals : from->rcpts);
    v->next_hops = copy_list(from->next_hops);
    copy_flags(v, from->next_hop_flags);
    v->released = from->released;
    v->params = copy_list(from->params);
    v->content.h = h;
    v->content.data = fake_alloc(from->content_len);
    v->content.len = from->content_len;
    if (from->content_len)
        memcpy(v->content.data, from->content, from->content_len);
    v->flags = from->flags;
    j->h = h;
    j->view = v;
    while (v->rcpts[j->n])
        j->n++;
    j->left = j->n;
    j->fates = fake_alloc(j->n * sizeof *j->fates);
    j->next = h->jobs;
    h->jobs = j;
    return j;
}

postern_job *fakehost_deliver(struct fakehost *h, const struct fakehost_job *from, int *ret_result)
{
    struct postern_job *j = new_job(h, from);
    int r = h->plugin->transport->deliver(h->self, j);

    if (r < 0) {
        if (j->left != j->n)
            fake_complain(h, "deliver returned %d and settled recipients all the same", r);
        j->refused = 1;
        free_view(j);
    } else if (!j->left) {
        free_view(j);
    }
    if (ret_result)
        *ret_result = r;
    return j;
}

void fakehost_cancel(struct fakehost *h, postern_job *j)
{
    if (!j->view) {
        fake_complain(h, "fakehost_cancel: that job is gone");
        return;
    }
    h->plugin->transport->cancel(h->self, j);
    if (j->left)
        fake_complain(h, "cancel left %zu recipients without a fate", j->left);
    else
        free_view(j);
}

size_t fakehost_unsettled(const postern_job *j)
{
    return j->left;
}

const struct postern_outcome *fakehost_outcome(const postern_job *j, size_t i)
{
    return i < j->n && j->fates[i].settled ? &j->fates[i].outcome : NULL;
}

static void end_jobs(struct fakehost *h)
{
    struct postern_job *j;
    size_t left = 0;

    while ((j = h->jobs)) {
        h->jobs = j->next;
        left += j->refused ? 0 : j->left;
        free_view(j);
        free(j->fates);
        free(j);
    }
    if (left)
        fake_complain(h, "%zu recipients were left without a fate", left);
}

/* --- for fakehost.c --- */

void fake_mail_turn(struct fakehost *h)
{
    for (struct postern_job *j = h->jobs; j; j = j->next) {
        if (!j->left)
            free_view(j);
    }
}

void fake_mail_end(struct fakehost *h)
{
    end_submits(h);
    end_jobs(h);
}

void fake_mail_services(struct postern_services *v)
{
    v->job_id = fake_job_id;
    v->job_sender = fake_job_sender;
    v->job_rcpts = fake_job_rcpts;
    v->job_rcpt = fake_job_rcpt;
    v->job_destination = fake_job_destination;
    v->job_next_hop = fake_job_next_hop;
    v->job_next_hop_flags = fake_job_next_hop_flags;
    v->job_released = fake_job_released;
    v->job_param = fake_job_param;
    v->job_flags = fake_job_flags;
    v->job_content = fake_job_content;
    v->job_settle = fake_job_settle;
    v->job_client = fake_job_client;
    v->job_original = fake_job_original;
    v->content_size = fake_content_size;
    v->content_read = fake_content_read;
    v->submit_new = fake_submit_new;
    v->submit_id = fake_submit_id;
    v->submit_sender = fake_submit_sender;
    v->submit_rcpts = fake_submit_rcpts;
    v->submit_rcpt = fake_submit_rcpt;
    v->submit_write = fake_submit_write;
    v->submit_room = fake_submit_room;
    v->submit_commit = fake_submit_commit;
    v->submit_free = fake_submit_free;
    v->route_check = fake_route_check;
    v->route_ask = fake_route_ask;
}
