/* daemon/drop.h: a worker becomes less than it was. */
#ifndef DAEMON_DROP_H
#define DAEMON_DROP_H

#include "config/config.h"

/* User, group, supplementary groups as configured; no new privileges ever after. 0 or -errno, with
 * why in words. When not started by root, only the last. */
int drop_privileges(const struct config_server *s, char *why, size_t why_size);

#endif
