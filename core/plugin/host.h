/* plugin/host.h: running plugins: instances, and the services they are given.
 *
 * A host is one instance's door to its worker. Everything an instance has taken (timers, watches,
 * queries, streams, listeners) is known to its host, so that closing leaves nothing behind. */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <postern/plugin.h>

#include "config/config.h"
#include "dns/dns.h"
#include "queue/queue.h"
#include "route/route.h"
#include "spool/spool.h"
#include "util/loop.h"
#include "util/scoreboard.h"

/* The bound socket of an endpoint, by the text in the configuration; -1: there is none. */
typedef int host_listener_fd(void *ctx, const char *endpoint);

/* What all instances of a worker share. */
struct host_env {
    struct loop              *loop;
    const struct config      *config;
    const struct route_table *routes;
    struct spool             *spool;
    struct queue             *queue;
    struct dns               *dns;
    struct score_row         *row; /* of the scoreboard; NULL: none */
    host_listener_fd         *listener_fd;
    void                     *listener_ctx;
};

struct hosts; /* all instances of a worker */

struct hosts *hosts_new(const struct host_env *env);
/* Opens every enabled instance; -errno at the first that can't, with why in words. */
int  hosts_open(struct hosts *h, char *why, size_t why_size);
/* Only those that answer questions: for who asks the router by hand. The rest of env may be NULL
 * then but for loop, config and routes. */
int  hosts_open_directories(struct hosts *h, char *why, size_t why_size);
void hosts_accept(struct hosts *h, int on); /* starts or stops all listeners */
void hosts_drain(struct hosts *h);
void hosts_free(struct hosts **h); /* closes plugins, then whatever they left */
size_t hosts_streams(const struct hosts *h); /* connections that stand */
size_t hosts_submissions(const struct hosts *h);

/* The queue's carrier. ctx: the hosts. */
int  hosts_deliver(void *ctx, const char *transport, postern_job *job);
void hosts_cancel(void *ctx, const char *transport, postern_job *job);

/* The queue's asker. ctx: the hosts. */
void hosts_ask(void *ctx, const struct route_need *need, void (*done)(void *ctx), void *done_ctx);

/* Gives a connection to an ingress that attaches (name NULL: the first that does). Takes fd. 0 or
 * -errno. */
int hosts_attach(struct hosts *h, const char *ingress, int fd);

/* A submission on behalf of the core itself (`postern send`): the same road as a plugin's. */
postern_host *hosts_core(struct hosts *h);

extern const struct postern_services host_services;

#endif
