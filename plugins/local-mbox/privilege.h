/* privilege.h: being a mailbox's user for a while, so that what he has put in the way (a link to
 * somebody else's file) leads nowhere that he could not go himself.
 *
 * It concerns the calling thread's access to files and nothing else, and it only does something in
 * a worker that runs as root. */
#ifndef LOCAL_MBOX_PRIVILEGE_H
#define LOCAL_MBOX_PRIVILEGE_H

#include "users.h"

#define PRIVILEGE_GROUPS_MAX 256

struct privilege {
    int taken;
    int group_n;
    gid_t groups[PRIVILEGE_GROUPS_MAX];
};

/* 0, or -errno: then nothing has changed. */
int privilege_take(struct privilege *p, const struct user *user);
void privilege_return(struct privilege *p);

#endif
