/* daemon/notify.h: telling systemd (sd_notify(3)), without its library: one datagram. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

void    notify_service(const char *state); /* "READY=1\n..."; no effect without NOTIFY_SOCKET */
int64_t notify_watchdog_usec(void);        /* how often systemd wants to hear; 0: never */

#endif
