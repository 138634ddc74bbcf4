/* fakehost-names.c: the fake host's DNS: answers from the test's script; and questions to
 * directories. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakehost-internal.h"

#define ANSWERS_MAX 64

struct question {
    char *name;
    postern_mx_cb *mx;
    postern_host_cb *host;
};

/* Cuts "a, b" into items, in place. */
static size_t split(char *list, char **items)
{
    size_t n = 0;

    for (char *p = list; *p && n < ANSWERS_MAX;) {
        p += strspn(p, " ,");
        if (!*p)
            break;
        items[n++] = p;
        p += strcspn(p, ",");
        if (*p)
            *p++ = 0;
    }
    return n;
}

static void run_mx(struct fakehost *h, struct pending *p)
{
    struct question *q = p->object;
    struct scripted *s = fake_scripted(h, 'm', q->name);
    struct postern_mx mx[ANSWERS_MAX];
    char *list, *items[ANSWERS_MAX];
    size_t n;

    if (!s || s->result < 0) {
        q->mx(p->ctx, s ? s->result : -ENOENT, NULL, 0);
        return;
    }
    list = fake_strdup(s->list);
    n = split(list, items);
    for (size_t i = 0; i < n; i++) {
        char *name;

        memset(&mx[i], 0, sizeof mx[i]);
        mx[i].size = sizeof mx[i];
        mx[i].preference = (uint32_t)strtoul(items[i], &name, 10);
        name += strspn(name, " ");
        mx[i].name = strcmp(name, ".") == 0 ? "" : name;
        mx[i].source = "dns mx";
    }
    q->mx(p->ctx, 0, mx, n);
    free(list);
}

static void run_host(struct fakehost *h, struct pending *p)
{
    struct question *q = p->object;
    struct scripted *s = fake_scripted(h, 'a', q->name);
    char *list, *items[ANSWERS_MAX];
    size_t n;

    if (!s || s->result < 0) {
        q->host(p->ctx, s ? s->result : -ENOENT, NULL, 0);
        return;
    }
    list = fake_strdup(s->list);
    n = split(list, items);
    q->host(p->ctx, 0, (const char *const *)items, n);
    free(list);
}

static struct pending *ask(struct fakehost *h, enum fakehost_call kind, const char *name, void *ctx,
                           struct question **ret_q)
{
    struct question *q = fake_keep(h, sizeof *q);
    struct pending *p = fake_later(h, kind, 0, kind == FAKEHOST_RESOLVE_MX ? run_mx : run_host);

    q->name = fake_keep(h, strlen(name) + 1);
    memcpy(q->name, name, strlen(name) + 1);
    p->object = q;
    p->ctx = ctx;
    *ret_q = q;
    return p;
}

static int fake_resolve_mx(postern_host *door, const char *domain, postern_mx_cb *cb, void *ctx,
                           uint64_t *ret_id)
{
    struct question *q;
    int r = fake_failure(door->fake, FAKEHOST_RESOLVE_MX);

    fake_on_loop(door->fake, "resolve_mx");
    if (r < 0)
        return r;
    *ret_id = ask(door->fake, FAKEHOST_RESOLVE_MX, domain, ctx, &q)->id;
    q->mx = cb;
    return 0;
}

static int fake_resolve_host(postern_host *door, const char *name, postern_host_cb *cb, void *ctx,
                             uint64_t *ret_id)
{
    struct question *q;
    int r = fake_failure(door->fake, FAKEHOST_RESOLVE_HOST);

    fake_on_loop(door->fake, "resolve_host");
    if (r < 0)
        return r;
    *ret_id = ask(door->fake, FAKEHOST_RESOLVE_HOST, name, ctx, &q)->id;
    q->host = cb;
    return 0;
}

static void answer(struct fakehost *h, char type, const char *name, int result, const char *list)
{
    struct scripted *s = fake_script(h, type, name);

    s->result = result;
    s->list = fake_strdup(list ? list : "");
}

void fakehost_mx(struct fakehost *h, const char *domain, int result, const char *list)
{
    answer(h, 'm', domain, result, list);
}

void fakehost_addresses(struct fakehost *h, const char *name, int result, const char *list)
{
    answer(h, 'a', name, result, list);
}

/* --- directories --- */

struct postern_lookup {
    postern_lookup *next;
    struct fakehost *fake;
    uint32_t kind;
    char *key, *local, *domain;
    int taken, answered, result;
    struct bytes values;
};

static uint32_t fake_lookup_kind(const postern_lookup *l)
{
    return l->kind;
}

static const char *fake_lookup_key(const postern_lookup *l)
{
    return l->key;
}

static const char *fake_lookup_local(const postern_lookup *l)
{
    return l->local;
}

static const char *fake_lookup_domain(const postern_lookup *l)
{
    return l->domain;
}

static void fake_lookup_answer(postern_lookup *l, int result, const char *const *values, size_t n)
{
    fake_on_loop(l->fake, "lookup_answer");
    if (l->answered)
        fake_complain(l->fake, "the lookup of %s was answered twice", l->key);
    if (result != 0 && result != -ENOENT && result != -EAGAIN)
        fake_complain(l->fake, "the lookup of %s was answered with %d", l->key, result);
    l->answered = 1;
    l->result = result;
    for (size_t i = 0; i < n; i++) {
        bytes_add(&l->values, ", ", i ? 2 : 0);
        bytes_add(&l->values, values[i], strlen(values[i]));
    }
}

postern_lookup *fakehost_lookup(struct fakehost *h, uint32_t kind, const char *key,
                                const char *local, const char *domain, int *ret_result)
{
    const char *at = strrchr(key, '@');
    size_t len = at ? (size_t)(at - key) : strlen(key);
    postern_lookup *l = fake_alloc(sizeof *l);
    int r;

    l->next = h->lookups;
    h->lookups = l;
    l->fake = h;
    l->kind = kind;
    l->key = fake_strdup(key);
    l->local = fake_strdup(local ? local : key);
    if (!local)
        l->local[len] = 0;
    l->domain = fake_strdup(domain ? domain : at ? at + 1 : h->hostname);
    r = h->plugin->directory->lookup(h->self, l);
    l->taken = r == 0;
    if (r < 0 && l->answered)
        fake_complain(h, "the lookup of %s was answered and not taken", key);
    if (ret_result)
        *ret_result = r;
    return l;
}

int fakehost_answer(const postern_lookup *l)
{
    return l->answered ? l->result : 1;
}

const char *fakehost_values(const postern_lookup *l)
{
    return l->values.data ? l->values.data : "";
}

void fake_names_end(struct fakehost *h)
{
    postern_lookup *l;

    while ((l = h->lookups)) {
        h->lookups = l->next;
        if (l->taken && !l->answered)
            fake_complain(h, "the lookup of %s was not answered", l->key);
        free(l->key);
        free(l->local);
        free(l->domain);
        free(l->values.data);
        free(l);
    }
}

void fake_names_services(struct postern_services *v)
{
    v->resolve_mx = fake_resolve_mx;
    v->resolve_host = fake_resolve_host;
    v->lookup_kind = fake_lookup_kind;
    v->lookup_key = fake_lookup_key;
    v->lookup_local = fake_lookup_local;
    v->lookup_domain = fake_lookup_domain;
    v->lookup_answer = fake_lookup_answer;
}
