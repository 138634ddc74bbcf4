/* privilege.c: see privilege.h.
 *
 * The kernel keeps these ids for each thread. libc's setgroups() would change them in all threads,
 * so the system call is made as it is. */
#include "privilege.h"

#include <errno.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SYS_setgroups32
#define SETGROUPS SYS_setgroups32
#else
#define SETGROUPS SYS_setgroups
#endif

void privilege_return(struct privilege *p)
{
    if (!p->taken)
        return;
    setfsuid(0); /* first: the rest needs root */
    setfsgid(getegid());
    (void)syscall(SETGROUPS, p->group_n, p->groups);
    p->taken = 0;
}

int privilege_take(struct privilege *p, const struct user *user)
{
    memset(p, 0, sizeof *p);
    if (geteuid() != 0 || !user->known || user->uid == 0)
        return 0;
    p->group_n = getgroups(PRIVILEGE_GROUPS_MAX, p->groups);
    if (p->group_n < 0 || syscall(SETGROUPS, 1, &user->gid) < 0)
        return -errno;
    p->taken = 1;
    setfsgid(user->gid);
    setfsuid(user->uid);
    /* These two report nothing; asking with an impossible id changes nothing and tells. */
    if ((uid_t)setfsuid((uid_t)-1) == user->uid && (gid_t)setfsgid((gid_t)-1) == user->gid)
        return 0;
    privilege_return(p);
    return -EPERM;
}
