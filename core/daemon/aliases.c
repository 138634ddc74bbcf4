/* daemon/aliases.c: keeps a worker's alias files fresh while it runs. */
#include "daemon/aliases.h"

#include <stdlib.h>

#include "log/log.h"
#include "util/mem.h"

#define MEND_USEC 5000000u

struct aliases {
    struct loop *loop;
    struct route_table *routes;
    uint64_t every; /* usec */
    int once;       /* files are read once; so only until that has worked */
    struct loop_timer *timer;
    struct alias_set *fresh; /* what a thread has read */
    struct alias_report report;
};

static void arm(struct aliases *a);

static int read_files(void *ctx)
{
    struct aliases *a = ctx;

    return route_aliases_load(a->routes, &a->fresh, &a->report);
}

static void log_lines(const struct config_errors *lines, int level, const char *event)
{
    for (size_t i = 0; i < lines->n; i++)
        log_event(level, "worker", event, "what=%s", log_q(lines->lines[i]));
}

static void on_read(void *ctx, int result)
{
    struct aliases *a = ctx;

    log_lines(&a->report.errors, POSTERN_LOG_ERROR, "alias.broken");
    log_lines(&a->report.warnings, POSTERN_LOG_WARNING, "alias.warning");
    alias_report_done(&a->report);
    if (result == 1) {
        log_event(POSTERN_LOG_NOTICE, "worker", "alias.read", "aliases=%zu memory=%zu",
                  alias_set_count(a->fresh), alias_set_bytes(a->fresh));
        route_aliases_swap(a->routes, &a->fresh);
    }
    if (!a->once || !route_aliases_whole(a->routes))
        arm(a);
}

static void on_timer(void *ctx)
{
    struct aliases *a = ctx;

    a->timer = NULL;
    loop_offload(a->loop, read_files, on_read, a);
}

static void arm(struct aliases *a)
{
    a->timer = loop_after(a->loop, a->every, on_timer, a);
}

struct aliases *aliases_new(struct loop *loop, const struct config *cfg, struct route_table *routes)
{
    struct aliases *a;

    log_lines(route_broken(routes), POSTERN_LOG_ERROR, "alias.broken");
    log_lines(route_warnings(routes), POSTERN_LOG_WARNING, "alias.warning");
    if (!route_has_aliases(routes) || (cfg->aliases.refresh <= 0 && route_aliases_whole(routes)))
        return NULL;
    a = mem_zalloc(sizeof *a);
    a->loop = loop;
    a->routes = routes;
    a->every = (uint64_t)cfg->aliases.refresh;
    if (cfg->aliases.refresh <= 0) {
        a->once = 1;
        a->every = MEND_USEC;
    }
    arm(a);
    return a;
}

void aliases_free(struct aliases **pa)
{
    struct aliases *a = *pa;

    if (!a)
        return;
    *pa = NULL;
    loop_cancel(&a->timer);
    alias_set_unref(&a->fresh);
    alias_report_done(&a->report);
    free(a);
}
