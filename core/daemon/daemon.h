/* daemon/daemon.h: who keeps it alive. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "config/config.h"
#include "plugin/host.h"
#include "plugin/plugin.h"

/* --- listeners: bound once, before any plugin is opened --- */
struct listeners;

/* Binds every POSTERN_OPT_LISTEN value of every enabled instance. -errno, why in words with the place in
 * the configuration. */
int  listeners_bind(const struct config *cfg, struct listeners **ret, char *why, size_t why_size);
void listeners_free(struct listeners **l);
int  listeners_fd(void *l, const char *endpoint); /* host_listener_fd */

/* --- a validated configuration: everything that can be known without starting --- */
struct plan {
    struct config         *config;
    struct plugin_catalog *catalog;
    struct route_table    *routes;
};
/* Loads, resolves plugins, compiles routes. Errors are added; 0 or -EINVAL. */
int  plan_load(const char *dir, const char *state, struct plan *ret, struct config_errors *errors);
void plan_done(struct plan *p);

/* --- the worker: a complete small gateway --- */
struct worker_stats { /* for status */
    int64_t started; /* monotonic usec */
};
/* Runs until SIGTERM or SIGINT. A sysexits code; errors were printed or logged. */
int worker_run(const struct plan *plan, struct listeners *listeners, int control_fd);

/* --- control socket --- */
struct control;
struct control_env {
    struct loop         *loop;
    const struct config *config;
    struct hosts        *hosts;
    struct queue        *queue;
    struct spool        *spool;
    int64_t              started;
};
int             control_bind(const char *path, int *ret_fd, char *why, size_t why_size);
struct control *control_new(const struct control_env *env, int fd);
void            control_free(struct control **c);

#endif
