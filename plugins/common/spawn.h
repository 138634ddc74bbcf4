/* spawn.h: a new process, with nothing of the worker in it. Blocks until the program runs: for
 * threads only. Shared by plugins that run commands. */
#ifndef COMMON_SPAWN_H
#define COMMON_SPAWN_H

#include <sys/resource.h>

#include "account.h"

struct spawn_limit {
    int what; /* RLIMIT_... */
    rlim_t max, hard; /* hard: 0: the same */
};
#define SPAWN_LIMITS_MAX 8

struct spawn { /* everything is borrowed during the call */
    const char *path;
    char *const *argv, *const *envp;
    const char *cwd;
    mode_t umask;
    int in, out; /* 0; 1 and 2 of the process; both above 2 here */
    const struct account *account;
    struct spawn_limit limits[SPAWN_LIMITS_MAX];
    size_t limit_n;
};

/* The process leads a session and a process group of its own, has no descriptors but 0 to 2, no
 * signal ignored or blocked, and is killed when the thread that started it ends, so with the
 * worker. 0, and *ret_pidfd is the caller's; -errno, and *reterr_what says at what ("execute"), and
 * *reterr_path with which path. */
int spawn_start(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd, const char **reterr_what,
                const char **reterr_path);

#endif
