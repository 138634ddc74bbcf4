/* notify.h: a command of the operator's that is told of new mail, as VMS broadcast it (T-23, T-69,
 * T-129). Delivery neither waits for it nor depends on it. On the loop. */
#ifndef LOCAL_MBOX_NOTIFY_H
#define LOCAL_MBOX_NOTIFY_H

#include <sys/queue.h>

#include "local-mbox.h"
#include "users.h"

#define NOTIFY_MAX      8u    /* commands at a time; mail that comes meanwhile is not told of */
#define NOTIFY_ARGS_MAX 32u   /* words of the command                                         */
#define NOTIFY_TEXT_MAX 8192u /* bytes of them, filled in                                     */

LIST_HEAD(notify_list, notice);

struct notify { /* one instance's */
    postern_host *host;
    const struct postern_services *svc;
    const struct settings *set;
    struct notify_list running;
    unsigned n;
};

struct notify_mail { /* everything is borrowed during the call */
    const char *id, *sender, *rcpt;
    const struct user *user;
    const char *folder;
};

void notify_init(struct notify *n, postern_host *host, const struct postern_services *svc,
                 const struct settings *set);
void notify_send(struct notify *n, const struct notify_mail *mail);
void notify_done(struct notify *n); /* ends what still runs */

/* Is the command sound? 0 or -EINVAL, with words. */
int notify_check(const struct settings *set, char *why, size_t why_size);

#endif
