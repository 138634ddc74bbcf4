/* plan.h: what one run of the command is given: its arguments and its environment. Pure. */
#ifndef PIPE_PLAN_H
#define PIPE_PLAN_H

#include "pipe.h"

#define PLAN_ARGS_MAX 1024u
#define PLAN_ENV_MAX  96u /* ours, and the operator's */

struct plan_rcpt {
    const char *address, *original;
};

struct plan_from { /* everything is borrowed during the call */
    const struct settings  *set;
    const struct account   *account;
    const char             *alias; /* the command that the route names; NULL: the option's */
    const char             *sender, *id, *client;
    const char             *file;  /* the temporary file's name; NULL: there is none       */
    uint64_t                size;  /* of the message as it was accepted                    */
    const struct plan_rcpt *rcpts;
    size_t                  n;
};

struct plan {
    const char *path;
    char *argv[PLAN_ARGS_MAX + 1];
    char *envp[PLAN_ENV_MAX + 1];
    size_t argc, envc, used;
    char text[PIPE_TEXT_MAX];
};

/* 0: free(*ret) when done. -errno: *reterr says what becomes of the recipients, and why. */
int plan_make(const struct plan_from *from, struct plan **ret, struct problem *reterr);

/* Is this a placeholder's name? */
int plan_knows(const char *name);

#endif
