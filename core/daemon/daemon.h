/* daemon/daemon.h: who keeps it alive: a supervisor that only watches, and workers that do the
 * work. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "config/config.h"
#include "util/scoreboard.h"
#include "plugin/host.h"
#include "plugin/plugin.h"

/* --- a validated configuration: everything that can be known without starting --- */
struct plan {
    struct config         *config;
    struct plugin_catalog *catalog;
    struct route_table    *routes;
};
enum plan_use {
    PLAN_JUDGE, /* what is wrong with it is an error; text files are read, and kept */
    PLAN_WORK   /* it was found good: a worker comes up, whatever became of the alias files since */
};
/* From a snapshot: resolves plugins, compiles routes. Errors are added; 0 or -EINVAL. */
int  plan_load(const void *snapshot, size_t len, enum plan_use use, struct plan *ret,
               struct config_errors *errors);
void plan_done(struct plan *p);

/* --- listeners: bound once, by the supervisor, and inherited --- */
struct listeners;
struct listeners *listeners_new(void);
void              listeners_free(struct listeners **l); /* unlinks unix sockets that we bound */
/* Calls each(ctx, endpoint, where, instance) for every POSTERN_OPT_LISTEN value of the enabled
 * instances; where is the place in the configuration. */
typedef void listeners_want(void *ctx, const char *endpoint, const char *where,
                            const char *instance);
void listeners_wanted(const struct config *cfg, listeners_want *each, void *ctx);
/* Binds, or keeps what is bound already. -errno, why in words with the place in the
 * configuration. */
int  listeners_bind(struct listeners *l, const char *endpoint, const char *where, char *why,
                    size_t why_size);
void listeners_give(struct listeners *l, const char *endpoint, int fd); /* inherited; takes fd */
int  listeners_fd(void *l, const char *endpoint);                       /* host_listener_fd */
void listeners_each(const struct listeners *l,
                    void (*each)(void *ctx, const char *endpoint, int fd),
                    void *ctx);
void listeners_drop(struct listeners *l, const char *endpoint);
void listeners_leave(struct listeners *l); /* closes all, without unlinking: others listen on */

/* Sockets that were bound by a service manager (daemon/activation.h) and are no listener's yet. One
 * that was becomes one of these again when its listener is dropped. */
void listeners_pass(struct listeners *l, const char *name, int fd); /* takes fd */
void listeners_passed(const struct listeners *l,
                      void (*each)(void *ctx, const char *name, int fd), void *ctx);
void listeners_claim(struct listeners *l, const char *endpoint, int fd); /* one of these */
void listeners_forget_passed(struct listeners *l);                       /* closes them */

/* --- the supervisor: runs until SIGTERM or SIGINT; a sysexits code --- */
int supervisor_run(const char *config_dir, const char *state);

/* --- a worker: what `postern worker` was given --- */
struct worker_setup {
    int               snapshot_fd, channel, scoreboard_fd;
    unsigned          row;
    unsigned          shard; /* the first to try */
    unsigned          step;  /* then so many further, and so on */
    struct listeners *listeners;
};
int worker_run(const struct worker_setup *setup);
int worker_probe(int snapshot_fd); /* validates; prints a JSON object on standard output */

/* --- control --- */
struct control;
struct control_env {
    struct loop         *loop;
    const struct config *config;
    struct hosts        *hosts;
    struct queue        *queue;
    struct spool        *spool;
    int64_t              started;
    size_t             (*unread)(const void *ctx); /* shards whose messages are not all told yet */
    const void          *ctx;
};
int             control_bind(const char *path, int *ret_fd, char *why, size_t why_size);
struct control *control_new(const struct control_env *env);
void            control_free(struct control **c);
void            control_take(struct control *c, int fd, char kind); /* a connection; takes fd */
/* The same, for a worker that can't: it is told why, and closed. */
void            control_turn_away(int fd, char kind, const char *why);
size_t          control_sessions(const struct control *c);

#endif
