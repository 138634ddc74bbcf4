/* daemon/generation.c: a configuration and its workers, as one thing that comes up or does not. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/supervisor.h"
#include "daemon/worker.h"
#include "log/log.h"
#include "util/cleanup.h"
#include "util/mem.h"

#define PROBE_MSEC 60000
#define PROBE_MAX  (4u << 20)
#define BIND_TRIES \
    40 /* at the start, 50 ms apart: workers of a gateway that was killed may still be going */

static int snapshot_file(const struct buf *bytes)
{
    int fd = memfd_create("postern-configuration", MFD_CLOEXEC);
    size_t at = 0;

    while (fd >= 0 && at < bytes->len) {
        ssize_t n = write(fd, bytes->data + at, bytes->len - at);

        if (n <= 0) {
            close(fd);
            return -1;
        }
        at += (size_t)n;
    }
    return fd;
}

/* --- the probe: plugins are loaded and asked in a process of their own --- */

static pid_t start_probe(const struct supervisor *sv, int snapshot_fd, int *ret_out)
{
    int out[2];
    pid_t pid;

    if (pipe2(out, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        char snapshot[32];
        char *argv[] = { sv->program, (char[]){ "worker" }, (char[]){ "--probe" }, snapshot, NULL };

        snprintf(snapshot, sizeof snapshot, "--snapshot=%d", snapshot_fd);
        fcntl(snapshot_fd, F_SETFD, 0);
        dup2(out[1], STDOUT_FILENO);
        execv(sv->program, argv);
        _exit(127);
    }
    close(out[1]);
    if (pid < 0)
        close(out[0]);
    else
        *ret_out = out[0];
    return pid;
}

static int read_probe(int fd, struct buf *out)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    while (out->len < PROBE_MAX) {
        ssize_t n;

        if (poll(&p, 1, PROBE_MSEC) <= 0 && errno != EINTR)
            return -ETIMEDOUT;
        buf_reserve(out, 65536);
        n = read(fd, out->data + out->len, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        out->len += (size_t)n;
    }
    return -EFBIG;
}

/* The answer, or NULL with why it did not come. New reference. */
static json_t *probe(const struct supervisor *sv, int snapshot_fd, char *why, size_t why_size)
{
    struct buf text = { 0 };
    int out = -1, status = 0, r;
    pid_t pid = start_probe(sv, snapshot_fd, &out);
    json_t *answer = NULL;
    json_error_t e;

    if (pid < 0) {
        snprintf(why, why_size, "no process to validate the configuration: %s", strerror(errno));
        return NULL;
    }
    r = read_probe(out, &text);
    close(out);
    if (r < 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r >= 0 && text.len)
        answer = json_loadb(text.data, text.len, 0, &e);
    if (!answer && WIFSIGNALED(status))
        snprintf(why, why_size, "a plugin died when it was loaded (signal %d)", WTERMSIG(status));
    else if (!answer)
        snprintf(why, why_size, "the configuration could not be validated in time, or at all");
    buf_free(&text);
    return answer;
}

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

static int validate(struct generation *g, struct config_errors *errors)
{
    AUTO(buf_free) struct buf bytes = { 0 };
    char why[256];
    json_t *answer;
    int code;

    config_snapshot(g->sv->config_dir, g->sv->state, &bytes, errors);
    if (errors->n)
        return config_code(errors);
    g->snapshot_fd = snapshot_file(&bytes);
    if (g->snapshot_fd < 0) {
        config_error(errors, NULL, NULL, "no memory for the configuration: %s", strerror(errno));
        return EX_OSERR;
    }
    answer = probe(g->sv, g->snapshot_fd, why, sizeof why);
    if (!answer) {
        config_error(errors, NULL, NULL, "%s", why);
        return EX_SOFTWARE;
    }
    code = take_answer(g, answer, errors);
    json_decref(answer);
    if (code)
        return config_code(errors);
    config_load_snapshot(bytes.data, bytes.len, &g->config, errors);
    return errors->n ? EX_CONFIG : 0;
}

/* The shards guard themselves; this guards against a second gateway that would take turns with
 * us. */
int generation_lock(struct generation *g, struct config_errors *errors)
{
    struct supervisor *sv = g->sv;
    const struct config *cfg = g->config;
    AUTO_FREE char *file = mem_printf("%s/lock", cfg->spool.path);
    int fd, err;

    if (sv->spool_path && !strcmp(sv->spool_path, cfg->spool.path))
        return 0;
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
    if (sv->spool_lock >= 0)
        close(sv->spool_lock);
    sv->spool_lock = fd;
    free(sv->spool_path);
    sv->spool_path = mem_strdup(cfg->spool.path);
    return 0;
}

int generation_prepare(struct supervisor *sv, struct generation **ret, struct config_errors *errors)
{
    struct generation *g = mem_zalloc(sizeof *g);
    int code;

    list_init(&g->link);
    g->sv = sv;
    g->number = ++sv->numbers;
    g->snapshot_fd = -1;
    code = validate(g, errors);
    if (!code)
        code = twice(g, errors);
    if (!code)
        code = bind_all(g, errors);
    if (code) {
        generation_free(&g);
        generation_listeners(sv);
        return code;
    }
    make_children(g);
    *ret = g;
    return 0;
}

int generation_repeat(struct supervisor *sv, struct generation **ret, struct config_errors *errors)
{
    const struct generation *like = sv->current;
    struct generation *g = mem_zalloc(sizeof *g);
    struct stat st;
    void *bytes = MAP_FAILED;

    list_init(&g->link);
    g->sv = sv;
    g->number = ++sv->numbers;
    g->listen = json_incref(like->listen);
    g->snapshot_fd = fcntl(like->snapshot_fd, F_DUPFD_CLOEXEC, 0);
    if (g->snapshot_fd >= 0 && !fstat(g->snapshot_fd, &st))
        bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, g->snapshot_fd, 0);
    if (bytes == MAP_FAILED) {
        config_error(errors, NULL, NULL, "the configuration can't be read again: %s",
                     strerror(errno));
    } else {
        config_load_snapshot(bytes, (size_t)st.st_size, &g->config, errors);
        munmap(bytes, (size_t)st.st_size);
    }
    if (errors->n) {
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
