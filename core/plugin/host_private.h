/* plugin/host_private.h: what the files of the host know of each other. */
#ifndef PLUGIN_HOST_PRIVATE_H
#define PLUGIN_HOST_PRIVATE_H

#include "net/stream.h"
#include "plugin/host.h"
#include "util/list.h"
#include "util/map.h"

struct host_listener {
    struct host_listener *next;
    struct listener      *listener; /* NULL while not accepting */
    int                   fd;
    postern_accept_cb    *accept;
    void                 *ctx;
};

struct host_tls {
    struct host_tls *next;
    postern_tls     *tls;
};

struct postern_host {
    struct list                   link; /* hosts.all */
    struct hosts                 *hosts;
    const struct host_env        *env;
    const struct config_instance *instance; /* NULL: the core's own */
    const char                   *name;
    void                         *self; /* the plugin's */
    int                           opened;
    struct stream_owner           streams;
    struct host_listener         *listeners;
    struct host_tls              *tls;
    uint64_t                      last_id;
    struct idmap                 *pending; /* id to struct host_pending: timers, watches, queries */
    struct list                   pending_list;
    struct list                   submits; /* postern_submit */
    struct list                   lookups; /* postern_lookup: what a directory has to answer */
    uint64_t                      asked;   /* how many it got */
    size_t                        submissions;
};

struct hosts {
    struct host_env env;
    struct list     all; /* postern_host */
    struct map     *transports; /* instance name to postern_host */
    struct map     *directories; /* likewise */
    struct list     questions;  /* directory_question */
    struct map     *asking;     /* what they ask to directory_question */
    postern_host   *core;
    int             accepting;
};

/* submit.c */
int         host_submit_new(postern_host *, const struct postern_envelope *, postern_submit **ret);
const char *host_submit_id(const postern_submit *);
const char *host_submit_sender(const postern_submit *);
size_t      host_submit_rcpts(const postern_submit *);
int         host_submit_rcpt(postern_submit *, const char *rcpt);
int         host_submit_write(postern_submit *, const void *data, size_t len);
void        host_submit_room(postern_submit *, postern_done *, void *ctx);
void        host_submit_commit(postern_submit *, postern_done *, void *ctx);
void        host_submit_free(postern_submit *);
void        host_submit_free_all(postern_host *); /* the loop does not turn any more */

/* directory.c */
uint32_t    host_lookup_kind(const postern_lookup *);
const char *host_lookup_key(const postern_lookup *);
const char *host_lookup_local(const postern_lookup *);
const char *host_lookup_domain(const postern_lookup *);
void        host_lookup_answer(postern_lookup *, int result, const char *const *values, size_t n);
void        host_lookups_free(postern_host *); /* the plugin is closed */
void        hosts_questions_free(struct hosts *);

/* ask.c */
struct host_ask;
struct host_pending;
struct host_ask *host_ask_new(postern_host *h, struct host_pending *p, const char *sender,
                              const char *rcpt);
void             host_ask_free(struct host_ask **a); /* NULL is fine */
struct route_query;
/* From what is in memory. -EAGAIN: it has to be asked. */
int host_verdict_known(postern_host *h, const struct route_query *q, struct postern_verdict *ret);

/* services.c */
void host_verdict(const struct route_decision *d, struct postern_verdict *ret);

/* pending.c */
int  host_route_ask(postern_host *h, const char *sender, const char *rcpt, postern_verdict_cb *cb,
                    void *ctx, uint64_t *ret_id);
void host_ask_over(struct host_pending *p, int result, const struct postern_verdict *verdict);
int  host_after(postern_host *h, uint64_t usec, postern_done *done, void *ctx, uint64_t *ret_id);
int  host_watch(postern_host *h, int fd, unsigned events, postern_ready *ready, void *ctx,
                uint64_t *ret_id);
void host_forget(postern_host *h, uint64_t id);
int  host_resolve_mx(postern_host *h, const char *domain, postern_mx_cb *cb, void *ctx,
                     uint64_t *ret_id);
int  host_resolve_host(postern_host *h, const char *name, postern_host_cb *cb, void *ctx,
                       uint64_t *ret_id);
void host_forget_all(postern_host *h);

/* host.c */
void host_enter(postern_host *, uint64_t message); /* around a plugin's callback: scoreboard */
void host_leave(postern_host *);
void host_submit_notice(postern_submit *); /* to the postmaster: if it fails it is held */
void host_listener_start(postern_host *, struct host_listener *);

#endif
