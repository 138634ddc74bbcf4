/* daemon/aliases.h: keeps a worker's alias files fresh while it runs. */
#ifndef DAEMON_ALIASES_H
#define DAEMON_ALIASES_H

#include "config/config.h"
#include "route/expand.h"
#include "util/loop.h"

struct aliases;

/* Looks at the files of `routes` every aliases.refresh, on a thread, and puts what has changed in
 * place on the loop. NULL when there is nothing to look at. */
struct aliases *aliases_new(struct loop *loop, const struct config *cfg,
                            struct route_table *routes);
void            aliases_free(struct aliases **a); /* behind loop_quiesce */

#endif
