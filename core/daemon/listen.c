/* daemon/listen.c: the gateway's listeners, found in the plugins' own option tables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "net/stream.h"
#include "util/mem.h"

struct bound {
    char *endpoint;
    int fd;
    int ours;   /* we bound it, so its name is ours to remove */
    char *name; /* what a service manager called it; NULL: it has not bound it */
};

struct passed {
    char *name;
    int fd;
};

struct listeners {
    size_t n;
    struct bound *v;
    size_t passed_n;
    struct passed *passed;
};

struct listeners *listeners_new(void)
{
    return mem_zalloc(sizeof(struct listeners));
}

static struct bound *find(const struct listeners *l, const char *endpoint)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!strcmp(l->v[i].endpoint, endpoint))
            return &l->v[i];
    }
    return NULL;
}

int listeners_fd(void *ctx, const char *endpoint)
{
    const struct bound *b = find(ctx, endpoint);

    return b ? b->fd : -1;
}

static void add(struct listeners *l, const char *endpoint, int fd, int ours)
{
    l->v = mem_realloc(l->v, (l->n + 1) * sizeof *l->v);
    l->v[l->n++] = (struct bound){ mem_strdup(endpoint), fd, ours, NULL };
}

void listeners_give(struct listeners *l, const char *endpoint, int fd)
{
    add(l, endpoint, fd, 0);
}

int listeners_bind(struct listeners *l, const char *endpoint, const char *where, char *why,
                   size_t why_size)
{
    char reason[256];
    int fd, r;

    if (find(l, endpoint))
        return 0;
    r = net_bind(endpoint, &fd, reason, sizeof reason);
    if (r < 0) {
        snprintf(why, why_size, "%s: can't listen on %s", where, reason);
        return r;
    }
    add(l, endpoint, fd, 1);
    return 0;
}

static void want_instance(const struct config_instance *in, listeners_want *each, void *ctx)
{
    const struct postern_plugin *d = in->descriptor;
    const char *row = (const char *)d->options;

    for (; row && ((const struct postern_option *)(const void *)row)->key; row += d->option_size) {
        const struct postern_option *o = (const void *)row;
        const struct postern_strings *list;
        char *where;

        if (o->type != POSTERN_OPT_LISTEN)
            continue;
        list = (const void *)((const char *)in->settings + o->offset);
        where = mem_printf("%s#%s/%s", in->origin.file, in->origin.pointer, o->key);
        for (size_t i = 0; i < list->n; i++)
            each(ctx, list->v[i], where, in->name);
        free(where);
    }
}

void listeners_wanted(const struct config *cfg, listeners_want *each, void *ctx)
{
    for (size_t i = 0; i < cfg->instance_n; i++) {
        if (cfg->instances[i].enabled && cfg->instances[i].descriptor)
            want_instance(&cfg->instances[i], each, ctx);
    }
}

void listeners_each(const struct listeners *l,
                    void (*each)(void *ctx, const char *endpoint, int fd), void *ctx)
{
    for (size_t i = 0; i < l->n; i++)
        each(ctx, l->v[i].endpoint, l->v[i].fd);
}

static void let_go(struct bound *b, int unlink_it)
{
    close(b->fd);
    if (unlink_it && b->ours && !strncmp(b->endpoint, "unix:", 5))
        unlink(b->endpoint + 5);
    free(b->endpoint);
    free(b->name);
}

/* --- those that a service manager has bound --- */

static void pass(struct listeners *l, char *name, int fd)
{
    l->passed = mem_realloc(l->passed, (l->passed_n + 1) * sizeof *l->passed);
    l->passed[l->passed_n++] = (struct passed){ name, fd };
}

void listeners_pass(struct listeners *l, const char *name, int fd)
{
    pass(l, mem_strdup(name), fd);
}

void listeners_passed(const struct listeners *l, void (*each)(void *ctx, const char *name, int fd),
                      void *ctx)
{
    for (size_t i = 0; i < l->passed_n; i++)
        each(ctx, l->passed[i].name, l->passed[i].fd);
}

void listeners_claim(struct listeners *l, const char *endpoint, int fd)
{
    for (size_t i = 0; i < l->passed_n; i++) {
        if (l->passed[i].fd != fd)
            continue;
        add(l, endpoint, fd, 0);
        l->v[l->n - 1].name = l->passed[i].name;
        memmove(&l->passed[i], &l->passed[i + 1], (l->passed_n - i - 1) * sizeof *l->passed);
        l->passed_n--;
        return;
    }
}

void listeners_forget_passed(struct listeners *l)
{
    while (l->passed_n) {
        struct passed *p = &l->passed[--l->passed_n];

        close(p->fd);
        free(p->name);
    }
}

/* --- letting go --- */

void listeners_drop(struct listeners *l, const char *endpoint)
{
    struct bound *b = find(l, endpoint);

    if (!b)
        return;
    if (b->name) {
        pass(l, b->name, b->fd);
        free(b->endpoint);
    } else {
        let_go(b, 1);
    }
    *b = l->v[--l->n];
}

void listeners_leave(struct listeners *l)
{
    while (l->n)
        let_go(&l->v[--l->n], 0);
}

void listeners_free(struct listeners **pl)
{
    struct listeners *l = *pl;

    if (!l)
        return;
    *pl = NULL;
    while (l->n)
        let_go(&l->v[--l->n], 1);
    listeners_forget_passed(l);
    free(l->passed);
    free(l->v);
    free(l);
}
