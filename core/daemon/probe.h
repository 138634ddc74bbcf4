/* daemon/probe.h: a configuration is validated by a process of its own. */
#ifndef DAEMON_PROBE_H
#define DAEMON_PROBE_H

#include <jansson.h>
#include <sys/types.h>

#include "util/loop.h"

struct probe;

/* Once, from the loop. answer: what the process printed (borrowed), or NULL with why in words. */
typedef void probe_done(void *ctx, json_t *answer, const char *why);

/* Starts `program worker --probe` with the snapshot. 0 or -errno. */
int  probe_start(struct loop *loop, const char *program, int snapshot_fd, probe_done *done,
                 void *ctx, struct probe **ret);
int  probe_gone(struct probe *p, pid_t pid, int status); /* a child has ended. 1: it was this one */
void probe_free(struct probe **p); /* also one that runs: it is ended, and done is not called */

#endif
