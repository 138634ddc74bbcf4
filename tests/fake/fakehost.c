/* fakehost.c: life, time, log and scripts of the fake host; see fakehost.h. */
#include "fakehost.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "fakehost-internal.h"

#define TURNS_MAX 1000000u /* of one fakehost_run: more is a plugin that spins */

/* --- memory and complaints --- */

void *fake_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (!p)
        abort();
    return p;
}

char *fake_strdup(const char *s)
{
    size_t len = strlen(s) + 1;

    return memcpy(fake_alloc(len), s, len);
}

void *fake_keep(struct fakehost *h, size_t size)
{
    struct memory *m = fake_alloc(sizeof *m + size);

    m->next = h->memory;
    h->memory = m;
    return m->data;
}

void bytes_add(struct bytes *b, const void *data, size_t len)
{
    if (b->cap - b->len <= len) {
        b->cap = (b->len + len + 64) * 2;
        b->data = realloc(b->data, b->cap);
        if (!b->data)
            abort();
    }
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = 0;
}

void fake_complain(struct fakehost *h, const char *fmt, ...)
{
    char what[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (h->fail) {
        h->fail(h->fail_ctx, what);
        return;
    }
    fprintf(stderr, "fakehost: %s\n", what);
    abort();
}

void fakehost_on_failure(struct fakehost *h, void (*fail)(void *ctx, const char *what), void *ctx)
{
    h->fail = fail;
    h->fail_ctx = ctx;
}

void fake_on_loop(struct fakehost *h, const char *service)
{
    if (h->offloading)
        fake_complain(h, "%s was called from offloaded work", service);
    if (h->closed)
        fake_complain(h, "%s was called after close", service);
}

int fake_failure(struct fakehost *h, enum fakehost_call call)
{
    if (!h->failures[call].armed)
        return 0;
    if (h->failures[call].skip) {
        h->failures[call].skip--;
        return 0;
    }
    h->failures[call].armed = 0;
    return h->failures[call].err;
}

void fakehost_fail(struct fakehost *h, enum fakehost_call call, unsigned skip, int err)
{
    h->failures[call].armed = 1;
    h->failures[call].skip = skip;
    h->failures[call].err = err;
}

void fakehost_hold(struct fakehost *h, enum fakehost_call call, int on)
{
    h->held[call] = (unsigned char)(on != 0);
}

/* --- scripts --- */

struct scripted *fake_scripted(struct fakehost *h, char type, const char *name)
{
    struct scripted *others = NULL;

    for (struct scripted *s = h->script; s; s = s->next) {
        if (s->type != type)
            continue;
        if (!s->name)
            others = s;
        else if (name && strcasecmp(s->name, name) == 0)
            return s;
    }
    return others;
}

struct scripted *fake_script(struct fakehost *h, char type, const char *name)
{
    struct scripted *s = fake_scripted(h, type, name);

    if (s && (s->name != NULL) == (name != NULL)) {
        free(s->list);
        s->list = NULL;
        return s;
    }
    s = fake_alloc(sizeof *s);
    s->type = type;
    s->name = name ? fake_strdup(name) : NULL;
    s->next = h->script;
    h->script = s;
    return s;
}

/* --- log --- */

POSTERN_PRINTF(4, 5)
static void fake_log(postern_host *door, int level, const char *event, const char *fmt, ...)
{
    struct fakehost *h = door->fake;
    char head[160], text[4096];
    va_list ap;
    int n;

    n = snprintf(head, sizeof head, "%d %s ", level, event);
    bytes_add(&h->log, head, (size_t)n < sizeof head ? (size_t)n : sizeof head - 1);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (strpbrk(text, "\r\n"))
        fake_complain(h, "a line end in the log: %s %s", event, text);
    bytes_add(&h->log, text, strlen(text));
    bytes_add(&h->log, "\n", 1);
    if (level <= POSTERN_LOG_ERROR && !h->errors_allowed)
        h->errors++;
}

const char *fakehost_log(const struct fakehost *h)
{
    return h->log.data ? h->log.data : "";
}

size_t fakehost_logged(const struct fakehost *h, const char *text)
{
    size_t n = 0;

    for (const char *p = fakehost_log(h); *p;) {
        const char *end = strchr(p, '\n');
        char *hit = memmem(p, (size_t)(end - p), text, strlen(text));

        n += hit != NULL;
        p = end + 1;
    }
    return n;
}

void fakehost_allow_errors(struct fakehost *h)
{
    h->errors_allowed = 1;
}

/* --- time, descriptors, threads --- */

struct pending *fake_later(struct fakehost *h, enum fakehost_call kind, uint64_t when,
                           void (*run)(struct fakehost *, struct pending *))
{
    struct pending *p = fake_alloc(sizeof *p), **at = &h->pending;

    p->id = ++h->next_id;
    p->when = when;
    p->born = h->turn;
    p->kind = kind;
    p->run = run;
    while (*at)
        at = &(*at)->next;
    *at = p;
    return p;
}

static void run_done(struct fakehost *h, struct pending *p)
{
    (void)h;
    p->done(p->ctx, p->result);
}

static int fake_after(postern_host *door, uint64_t usec, postern_done *done, void *ctx,
                      uint64_t *ret_id)
{
    struct fakehost *h = door->fake;
    struct pending *p;
    int r = fake_failure(h, FAKEHOST_AFTER);

    fake_on_loop(h, "after");
    if (r < 0)
        return r;
    p = fake_later(h, FAKEHOST_AFTER, h->clock + (usec ? usec : 1), run_done);
    p->done = done;
    p->ctx = ctx;
    *ret_id = p->id;
    return 0;
}

static uint64_t fake_now(postern_host *door)
{
    return door->fake->clock;
}

static int fake_watch(postern_host *door, int fd, unsigned events, postern_ready *ready, void *ctx,
                      uint64_t *ret_id)
{
    struct fakehost *h = door->fake;
    struct watched *w;
    int r = fake_failure(h, FAKEHOST_WATCH);

    fake_on_loop(h, "watch");
    if (r < 0)
        return r;
    w = fake_alloc(sizeof *w);
    w->id = ++h->next_id;
    w->fd = fd;
    w->events = events;
    w->call = ready;
    w->ctx = ctx;
    w->next = h->watches;
    h->watches = w;
    *ret_id = w->id;
    return 0;
}

struct offloaded {
    int (*work)(void *ctx);
};

static void run_offloaded(struct fakehost *h, struct pending *p)
{
    struct offloaded *o = p->object;
    int r;

    h->offloading = 1;
    r = o->work(p->ctx);
    h->offloading = 0;
    p->done(p->ctx, r);
}

static int fake_offload(postern_host *door, int (*work)(void *ctx), postern_done *done, void *ctx)
{
    struct fakehost *h = door->fake;
    struct offloaded *o;
    struct pending *p;
    int r = fake_failure(h, FAKEHOST_OFFLOAD);

    fake_on_loop(h, "offload");
    if (r < 0)
        return r;
    o = fake_keep(h, sizeof *o);
    o->work = work;
    p = fake_later(h, FAKEHOST_OFFLOAD, 0, run_offloaded);
    p->object = o;
    p->done = done;
    p->ctx = ctx;
    return 0;
}

static int forgettable(const struct pending *p)
{
    return p->kind == FAKEHOST_AFTER || p->kind == FAKEHOST_RESOLVE_MX ||
        p->kind == FAKEHOST_RESOLVE_HOST || p->kind == FAKEHOST_ROUTE_ASK;
}

static void fake_forget(postern_host *door, uint64_t id)
{
    struct fakehost *h = door->fake;

    fake_on_loop(h, "forget");
    for (struct pending **at = &h->pending; id && *at; at = &(*at)->next) {
        struct pending *p = *at;

        if (p->id == id && forgettable(p)) {
            *at = p->next;
            free(p);
            return;
        }
    }
    for (struct watched **at = &h->watches; id && *at; at = &(*at)->next) {
        struct watched *w = *at;

        if (w->id == id) {
            *at = w->next;
            free(w);
            return;
        }
    }
}

void fakehost_ready(struct fakehost *h, int fd, unsigned events)
{
    for (struct watched *w = h->watches; w; w = w->next) {
        if (w->fd == fd)
            w->ready |= events & w->events;
    }
}

/* Takes the first completion that is due in this turn off the list. */
static struct pending *take_due(struct fakehost *h)
{
    for (struct pending **at = &h->pending; *at; at = &(*at)->next) {
        struct pending *p = *at;

        if (p->when || p->born == h->turn || h->held[p->kind])
            continue;
        *at = p->next;
        return p;
    }
    return NULL;
}

static size_t turn_watches(struct fakehost *h)
{
    size_t n = 0;
    int again = 1;

    while (again) {
        again = 0;
        for (struct watched *w = h->watches; w; w = w->next) {
            unsigned events = w->ready;

            if (!events)
                continue;
            w->ready = 0;
            n++;
            w->call(w->ctx, events);
            again = 1; /* the list may be another one by now */
            break;
        }
    }
    return n;
}

size_t fakehost_turn(struct fakehost *h)
{
    struct pending *p;
    size_t n = 0;

    h->turn++;
    while ((p = take_due(h))) {
        n++;
        p->run(h, p);
        free(p);
    }
    n += turn_watches(h);
    n += fake_stream_turn(h);
    fake_mail_turn(h);
    return n;
}

void fakehost_run(struct fakehost *h)
{
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        if (!fakehost_turn(h))
            return;
    }
    fake_complain(h, "the plugin does not come to rest");
}

static struct pending **earliest_timer(struct fakehost *h)
{
    struct pending **first = NULL;

    for (struct pending **at = &h->pending; *at; at = &(*at)->next) {
        if ((*at)->when && (!first || (*at)->when < (*first)->when))
            first = at;
    }
    return first;
}

void fakehost_advance(struct fakehost *h, uint64_t usec)
{
    uint64_t target = h->clock + usec;

    fakehost_run(h);
    for (;;) {
        struct pending **timer = earliest_timer(h);
        uint64_t deadline = fake_stream_deadline(h);

        if (timer && (*timer)->when <= target && (!deadline || (*timer)->when <= deadline)) {
            struct pending *p = *timer;

            *timer = p->next;
            h->clock = p->when;
            p->run(h, p);
            free(p);
        } else if (deadline && deadline <= target) {
            h->clock = deadline;
            fake_stream_expire(h);
        } else {
            break;
        }
        fakehost_run(h);
    }
    h->clock = target;
}

/* --- facts --- */

static const char *fake_hostname(postern_host *door)
{
    return door->fake->hostname;
}

static const char *fake_instance(postern_host *door)
{
    return door->fake->plugin ? door->fake->plugin->name : "instance";
}

static uint64_t fake_size_limit(postern_host *door)
{
    return door->fake->size_limit;
}

void fakehost_hostname(struct fakehost *h, const char *name)
{
    free(h->hostname);
    h->hostname = fake_strdup(name);
}

void fakehost_worker(struct fakehost *h, const char *user, uint32_t uid)
{
    h->worker_user = user;
    h->worker_uid = uid;
}

void fakehost_size_limit(struct fakehost *h, uint64_t bytes)
{
    h->size_limit = bytes;
}

/* --- life --- */

struct fakehost *fakehost_new(void)
{
    struct fakehost *h = fake_alloc(sizeof *h);
    struct postern_services *v = &h->services;

    h->door.fake = h;
    h->clock = 1000000; /* not 0, which many use for "never" */
    h->output_max = 1024 * 1024;
    h->rcpts_max = 10000;
    h->hostname = fake_strdup("gw.example");
    v->size = sizeof *v;
    v->log = fake_log;
    v->after = fake_after;
    v->now = fake_now;
    v->watch = fake_watch;
    v->offload = fake_offload;
    v->forget = fake_forget;
    v->hostname = fake_hostname;
    v->instance = fake_instance;
    v->size_limit = fake_size_limit;
    fake_mail_services(v);
    fake_stream_services(v);
    fake_names_services(v);
    return h;
}

void fakehost_set(struct fakehost *h, const char *key, const char *value)
{
    struct setting *s = fake_keep(h, sizeof *s);

    s->key = fake_keep(h, strlen(key) + 1);
    s->value = fake_keep(h, strlen(value) + 1);
    memcpy(s->key, key, strlen(key) + 1);
    memcpy(s->value, value, strlen(value) + 1);
    s->next = h->set; /* the newest is found first */
    h->set = s;
}

int fakehost_open(struct fakehost *h, const struct postern_plugin *plugin)
{
    void *self = NULL;
    int r;

    if (plugin->abi_major != POSTERN_ABI_MAJOR || plugin->size != sizeof *plugin)
        fake_complain(h, "the plugin was built for another ABI");
    h->settings = fake_keep(h, plugin->settings_size);
    if (plugin->options) {
        r = fake_fill(h, plugin->options, "", h->settings);
        if (r < 0)
            return r;
    }
    if (plugin->check) {
        r = plugin->check(h->settings, h->why, sizeof h->why);
        if (r < 0)
            return r;
    }
    if (POSTERN_HAS(plugin, check_facts)) {
        struct postern_facts facts = { .size = sizeof facts,
                                       .hostname = h->hostname,
                                       .user = h->worker_user,
                                       .uid =
                                           h->worker_user ? h->worker_uid : (uint32_t)geteuid() };

        r = plugin->check_facts(&facts, h->settings, h->why, sizeof h->why);
        if (r < 0)
            return r;
    }
    h->plugin = plugin;
    r = plugin->open(&h->door, &h->services, h->settings, &self);
    if (r < 0)
        h->plugin = NULL;
    else
        h->self = self;
    return r;
}

const char *fakehost_why(const struct fakehost *h)
{
    return h->why;
}

void *fakehost_self(const struct fakehost *h)
{
    return h->self;
}

void fakehost_drain(struct fakehost *h)
{
    if (h->plugin && h->plugin->drain)
        h->plugin->drain(h->self);
}

postern_host *fakehost_host(struct fakehost *h)
{
    return &h->door;
}

const struct postern_services *fakehost_services(const struct fakehost *h)
{
    return &h->services;
}

/* Offloaded work cannot be called off, so a host lets it end before it closes the plugin. */
static void finish_offloaded(struct fakehost *h)
{
    for (int again = 1; again;) {
        again = 0;
        h->held[FAKEHOST_OFFLOAD] = 0;
        for (struct pending *p = h->pending; p; p = p->next)
            again |= p->kind == FAKEHOST_OFFLOAD;
        if (again)
            fakehost_turn(h);
    }
}

/* Completions that the plugin cannot call off (a commit, say) are dropped without a word: nothing
 * is called after close. Those it could have forgotten are complained about. */
static void end_pending(struct fakehost *h)
{
    struct pending *p;
    struct watched *w;
    size_t timers = 0, watches = 0;

    while ((p = h->pending)) {
        h->pending = p->next;
        timers += (size_t)forgettable(p);
        free(p);
    }
    while ((w = h->watches)) {
        h->watches = w->next;
        watches++;
        free(w);
    }
    if (timers)
        fake_complain(h, "%zu timers or look-ups were left", timers);
    if (watches)
        fake_complain(h, "%zu watches were left", watches);
}

static void free_all(struct fakehost *h)
{
    struct scripted *s;
    struct memory *m;

    while ((s = h->script)) {
        h->script = s->next;
        free(s->name);
        free(s->list);
        free(s);
    }
    while ((m = h->memory)) {
        h->memory = m->next;
        free(m);
    }
    free(h->hostname);
    free(h->log.data);
    free(h);
}

void fakehost_close(struct fakehost **hp)
{
    struct fakehost *h = *hp;

    if (!h)
        return;
    if (h->plugin) {
        finish_offloaded(h);
        if (h->plugin->close)
            h->plugin->close(h->self);
    }
    h->closed = 1;
    end_pending(h);
    fake_stream_end(h);
    fake_mail_end(h);
    fake_names_end(h);
    if (h->errors)
        fake_complain(h, "%zu unexpected errors in the log:\n%s", h->errors, fakehost_log(h));
    *hp = NULL;
    free_all(h);
}
