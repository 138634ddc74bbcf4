/* account.h: whom a command runs as. */
#ifndef COMMON_ACCOUNT_H
#define COMMON_ACCOUNT_H

#include <stddef.h>
#include <sys/types.h>

#define ACCOUNT_GROUPS_MAX 64u /* supplementary groups of the user */

struct account {
    int other; /* somebody else than the worker: it has to become him */
    uid_t uid;
    gid_t gid;
    gid_t groups[ACCOUNT_GROUPS_MAX];
    size_t group_n;
    char name[128];
    char home[1024];
};

#endif
