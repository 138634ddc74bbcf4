/* daemon/activation.h: sockets that a service manager has bound for us (sd_listen_fds(3)), without
 * its library: they begin at descriptor 3, and the environment says how many there are. */
#ifndef DAEMON_ACTIVATION_H
#define DAEMON_ACTIVATION_H

#include <jansson.h>

#include "daemon/daemon.h"

#define ACTIVATION_FIRST 3   /* SD_LISTEN_FDS_START */
#define ACTIVATION_MAX   64u /* sockets that are taken; a worker can't be given more */

/* Takes them over, if they are meant for this process, and cleans the environment, which is not for
 * workers. What is no listening stream socket is closed, with a warning. */
void activation_take(struct listeners *l);

/* Gives each listener in listen ([{endpoint, where, instance}]) that is not bound yet the socket
 * that was passed for it: the one with its address and port; or else, if by_name, when an instance
 * has one listener left and one socket has its name, that one. */
void activation_match(struct listeners *l, const json_t *listen, int by_name);

/* Closes what matched nothing, with a warning each. */
void activation_over(struct listeners *l);

#endif
