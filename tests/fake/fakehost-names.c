/* fakehost-names.c: the fake host's DNS: answers from the test's script. */
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

void fake_names_services(struct postern_services *v)
{
    v->resolve_mx = fake_resolve_mx;
    v->resolve_host = fake_resolve_host;
}
