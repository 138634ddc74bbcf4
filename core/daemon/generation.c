/* daemon/generation.c: a configuration and its workers, as one thing that comes up or does not. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/activation.h"
#include "daemon/supervisor.h"
#include "daemon/worker.h"
#include "log/log.h"
#include "util/cleanup.h"
#include "util/mem.h"

#define BIND_TRIES \
    40 /* at the start, 50 ms apart: workers of a gateway that was killed may still be going */

static int snapshot_file(const struct buf *bytes)
{
    int fd = memfd_create("postern-configuration", MFD_CLOEXEC);
    int r = fd < 0 ? 0 : config_snapshot_write(fd, bytes);

    if (r < 0) {
        close(fd);
        errno = -r;
        return -1;
    }
    return fd;
}

/* --- what the probe says --- */

static int take_answer(struct generation *g, json_t *answer, struct config_errors *errors)
{
    json_t *lines = json_object_get(answer, "errors"), *line;
    size_t i;

    json_array_foreach (lines, i, line)
        config_error(errors, NULL, NULL, "%s", json_string_value(line));
    g->listen = json_incref(json_object_get(answer, "listen"));
    return json_array_size(lines) ? EX_CONFIG : 0;
}

/* --- preparing --- */

static const char *item(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static int bind_one(struct supervisor *sv, const char *endpoint, const char *where, char *why,
                    size_t why_size)
{
    int r = listeners_bind(sv->listeners, endpoint, where, why, why_size);

    for (int i = 0; r == -EADDRINUSE && !sv->current && i < BIND_TRIES; i++) {
        usleep(50000);
        r = listeners_bind(sv->listeners, endpoint, where, why, why_size);
    }
    return r;
}

static int bind_all(struct generation *g, struct config_errors *errors)
{
    char why[512];
    json_t *l;
    size_t i;

    /* What a reload brings is bound where it says: a socket that is free again has some other
     * address. */
    activation_match(g->sv->listeners, g->listen, !g->sv->current);
    json_array_foreach (g->listen, i, l) {
        int r = bind_one(g->sv, item(l, "endpoint"), item(l, "where"), why, sizeof why);

        if (r < 0) {
            config_error(errors, NULL, NULL, "%s", why);
            return r == -EACCES || r == -EPERM ? EX_NOPERM : EX_UNAVAILABLE;
        }
    }
    return 0;
}

static int twice(const struct generation *g, struct config_errors *errors)
{
    json_t *a, *b;
    size_t i, k;

    json_array_foreach (g->listen, i, a) {
        json_array_foreach (g->listen, k, b) {
            if (k <= i || strcmp(item(a, "endpoint"), item(b, "endpoint")))
                continue;
            config_error(errors, NULL, NULL, "%s: %s is listened on in %s too", item(b, "where"),
                         item(b, "endpoint"), item(a, "where"));
            return EX_CONFIG;
        }
    }
    return 0;
}

static size_t worker_count(const struct config *cfg)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (cfg->server.workers > 0)
        return (size_t)cfg->server.workers;
    return cores > 0 && cores <= 64 ? (size_t)cores : 1;
}

static void make_children(struct generation *g)
{
    g->n = worker_count(g->config);
    g->children = mem_zalloc(g->n * sizeof *g->children);
    for (size_t i = 0; i < g->n; i++) {
        g->children[i].gen = g;
        g->children[i].slot = (unsigned)i;
        g->children[i].shard = (unsigned)i;
        g->children[i].channel = -1;
    }
}

/* An unreadable file is told apart from a wrong one by its words (config.h). */
static int config_code(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++) {
        if (strstr(errors->lines[i], "can't be read"))
            return EX_NOINPUT;
    }
    return EX_CONFIG;
}

/* Asked once: the supervisor's loop waits for no name service later on. */
static uid_t workers_user(const struct config *cfg)
{
    const struct passwd *pw = NULL;

    if (cfg->server.user && geteuid() == 0)
        pw = getpwnam(cfg->server.user);
    return pw ? pw->pw_uid : geteuid();
}

/* The core's sections, from the very bytes that were validated. */
static int load_core(struct generation *g, struct config_errors *errors)
{
    struct stat st;
    void *bytes = MAP_FAILED;

    if (g->snapshot_fd >= 0 && !fstat(g->snapshot_fd, &st))
        bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, g->snapshot_fd, 0);
    if (bytes == MAP_FAILED) {
        config_error(errors, NULL, NULL, "the configuration can't be read again: %s",
                     strerror(errno));
        return EX_OSERR;
    }
    config_load_snapshot(bytes, (size_t)st.st_size, &g->config, errors);
    munmap(bytes, (size_t)st.st_size);
    g->user = g->config ? workers_user(g->config) : geteuid();
    return errors->n ? EX_CONFIG : 0;
}

static void on_probed(void *ctx, json_t *answer, const char *why)
{
    struct generation *g = ctx;

    probe_free(&g->probe);
    reload_probed(g->sv, answer, why);
}

static int begin_probe(struct generation *g, struct config_errors *errors)
{
    AUTO(buf_free) struct buf bytes = { 0 };
    struct supervisor *sv = g->sv;
    int r;

    config_snapshot(sv->config_dir, sv->state, &bytes, errors);
    if (errors->n)
        return config_code(errors);
    g->snapshot_fd = snapshot_file(&bytes);
    if (g->snapshot_fd < 0) {
        config_error(errors, NULL, NULL, "no memory for the configuration: %s", strerror(errno));
        return EX_OSERR;
    }
    r = probe_start(sv->loop, sv->program, g->snapshot_fd, on_probed, g, &g->probe);
    if (r < 0) {
        config_error(errors, NULL, NULL, "no process to validate the configuration: %s",
                     strerror(-r));
        return EX_OSERR;
    }
    return 0;
}

/* What waits in the old folder would be left behind, and workers of both generations would hold
 * shards in different places: that is for a stop and a move. */
static int same_spool(const struct supervisor *sv, const struct config *cfg,
                      struct config_errors *errors)
{
    struct stat old, new;

    if (!strcmp(sv->spool_path, cfg->spool.path) ||
        (!stat(sv->spool_path, &old) && !stat(cfg->spool.path, &new) &&
         old.st_dev == new.st_dev &&old.st_ino == new.st_ino))
        return 0;
    config_error(errors, cfg->source, "/spool/path",
                 "found %s, expected %s as long as the gateway runs: a reload would leave behind "
                 "what waits there; stop the gateway, move the folder, start it again",
                 cfg->spool.path, sv->spool_path);
    return EX_CONFIG;
}

/* The shards guard themselves; this guards against a second gateway that would take turns with
 * us. */
int generation_lock(struct generation *g, struct config_errors *errors)
{
    struct supervisor *sv = g->sv;
    const struct config *cfg = g->config;
    AUTO_FREE char *file = mem_printf("%s/lock", cfg->spool.path);
    int fd, err;

    if (sv->spool_path)
        return same_spool(sv, cfg, errors);
    shard_folder(cfg);
    fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        err = errno;
        if (fd >= 0)
            close(fd);
        config_error(errors, cfg->source, "/spool/path", "the spool can't be opened: %s: %s",
                     cfg->spool.path,
                     err == EWOULDBLOCK ? "another gateway has it" : strerror(err));
        return err == EWOULDBLOCK ? EX_TEMPFAIL : err == EACCES ? EX_NOPERM : EX_CANTCREAT;
    }
    sv->spool_lock = fd;
    sv->spool_path = mem_strdup(cfg->spool.path);
    return 0;
}

static struct generation *generation_make(struct supervisor *sv)
{
    struct generation *g = mem_zalloc(sizeof *g);

    list_init(&g->link);
    g->sv = sv;
    g->number = ++sv->numbers;
    g->snapshot_fd = -1;
    return g;
}

int generation_new(struct supervisor *sv, struct generation **ret, struct config_errors *errors)
{
    struct generation *g = generation_make(sv);
    int code = begin_probe(g, errors);

    if (code)
        generation_free(&g);
    else
        *ret = g;
    return code;
}

int generation_prepare(struct generation *g, json_t *answer, const char *why,
                       struct config_errors *errors)
{
    int code;

    if (!answer) {
        config_error(errors, NULL, NULL, "%s", why);
        return EX_SOFTWARE;
    }
    if (take_answer(g, answer, errors))
        return config_code(errors);
    code = load_core(g, errors);
    if (!code)
        code = twice(g, errors);
    if (!code)
        code = bind_all(g, errors);
    if (!code)
        make_children(g);
    return code;
}

int generation_repeat(struct supervisor *sv, struct generation **ret, struct config_errors *errors)
{
    struct generation *g = generation_make(sv);

    g->listen = json_incref(sv->current->listen);
    g->snapshot_fd = fcntl(sv->current->snapshot_fd, F_DUPFD_CLOEXEC, 0);
    if (load_core(g, errors)) {
        generation_free(&g);
        return EX_OSERR;
    }
    make_children(g);
    *ret = g;
    return 0;
}

void generation_start(struct generation *g)
{
    for (size_t i = 0; i < g->n; i++)
        child_start(&g->children[i]);
}

void generation_drain(struct generation *g, const char *why)
{
    probe_free(&g->probe);
    for (size_t i = 0; i < g->n; i++)
        child_drain(&g->children[i], why);
}

size_t generation_alive(const struct generation *g)
{
    size_t n = 0;

    for (size_t i = 0; g && i < g->n; i++)
        n += g->children[i].pid != 0;
    return n;
}

void generation_free(struct generation **pg)
{
    struct generation *g = *pg;

    if (!g)
        return;
    *pg = NULL;
    list_del(&g->link);
    probe_free(&g->probe);
    for (size_t i = 0; i < g->n; i++) {
        loop_cancel(&g->children[i].respawn);
        loop_cancel(&g->children[i].kill);
    }
    if (g->snapshot_fd >= 0)
        close(g->snapshot_fd);
    json_decref(g->listen);
    config_free(&g->config);
    free(g->children);
    free(g);
}

/* --- listeners that nobody wants any more --- */

struct unwanted {
    struct supervisor *sv;
    char **endpoints;
    size_t n;
};

int generation_wants(const struct generation *g, const char *endpoint)
{
    json_t *l;
    size_t i;

    if (!g)
        return 0;
    json_array_foreach (g->listen, i, l) {
        if (!strcmp(item(l, "endpoint"), endpoint))
            return 1;
    }
    return 0;
}

static void collect_unwanted(void *ctx, const char *endpoint, int fd)
{
    struct unwanted *u = ctx;

    (void)fd;
    if (generation_wants(u->sv->current, endpoint) || generation_wants(u->sv->next, endpoint))
        return;
    u->endpoints = mem_realloc(u->endpoints, (u->n + 1) * sizeof *u->endpoints);
    u->endpoints[u->n++] = mem_strdup(endpoint);
}

void generation_listeners(struct supervisor *sv)
{
    struct unwanted u = { .sv = sv };

    listeners_each(sv->listeners, collect_unwanted, &u);
    for (size_t i = 0; i < u.n; i++) {
        listeners_drop(sv->listeners, u.endpoints[i]);
        free(u.endpoints[i]);
    }
    free(u.endpoints);
}
