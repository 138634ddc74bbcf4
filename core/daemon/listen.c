/* daemon/listen.c: the gateway's listeners, found in the plugins' own option tables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "net/stream.h"
#include "util/mem.h"

struct listeners {
    size_t n;
    struct {
        const char *endpoint; /* borrowed from the settings */
        int         fd;
    } * v;
};

int listeners_fd(void *ctx, const char *endpoint)
{
    const struct listeners *l = ctx;

    for (size_t i = 0; i < l->n; i++) {
        if (!strcmp(l->v[i].endpoint, endpoint))
            return l->v[i].fd;
    }
    return -1;
}

static int bind_one(struct listeners *l, const struct config_instance *in, const char *key,
                    const char *endpoint, char *why, size_t why_size)
{
    char reason[256];
    int  fd, r;

    if (listeners_fd(l, endpoint) >= 0) {
        snprintf(why, why_size, "%s#%s/%s: %s is listened on by another instance too",
                 in->origin.file, in->origin.pointer, key, endpoint);
        return -EADDRINUSE;
    }
    r = net_bind(endpoint, &fd, reason, sizeof reason);
    if (r < 0) {
        snprintf(why, why_size, "%s#%s/%s: can't listen on %s", in->origin.file, in->origin.pointer, key,
                 reason);
        return r;
    }
    l->v = mem_realloc(l->v, (l->n + 1) * sizeof *l->v);
    l->v[l->n].endpoint = endpoint;
    l->v[l->n].fd = fd;
    l->n++;
    return 0;
}

static int bind_instance(struct listeners *l, const struct config_instance *in, char *why,
                         size_t why_size)
{
    const struct postern_plugin *d = in->descriptor;
    const char                  *row = (const char *)d->options;

    for (; row && ((const struct postern_option *)(const void *)row)->key; row += d->option_size) {
        const struct postern_option  *o = (const void *)row;
        const struct postern_strings *list;

        if (o->type != POSTERN_OPT_LISTEN)
            continue;
        list = (const void *)((const char *)in->settings + o->offset);
        for (size_t i = 0; i < list->n; i++) {
            int r = bind_one(l, in, o->key, list->v[i], why, why_size);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

int listeners_bind(const struct config *cfg, struct listeners **ret, char *why, size_t why_size)
{
    struct listeners *l = mem_zalloc(sizeof *l);

    for (size_t i = 0; i < cfg->instance_n; i++) {
        int r = cfg->instances[i].enabled ? bind_instance(l, &cfg->instances[i], why, why_size) : 0;

        if (r < 0) {
            listeners_free(&l);
            return r;
        }
    }
    *ret = l;
    return 0;
}

void listeners_free(struct listeners **pl)
{
    struct listeners *l = *pl;

    if (!l)
        return;
    *pl = NULL;
    for (size_t i = 0; i < l->n; i++) {
        close(l->v[i].fd);
        if (!strncmp(l->v[i].endpoint, "unix:", 5))
            unlink(l->v[i].endpoint + 5);
    }
    free(l->v);
    free(l);
}
