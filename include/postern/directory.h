/* postern/directory.h: directories: plugins that know who exists here, and what names stand for.
 *
 * A directory is asked, one question at a time, and answers each exactly once: at once, or later
 * from the loop (blocking clients go through offload). The host keeps answers for a while, asks the
 * same question once however many messages wait for it, and gives up on one that never comes; what
 * is answered after that is ignored. Since 1.1. */
#ifndef POSTERN_DIRECTORY_H
#define POSTERN_DIRECTORY_H

#include <postern/types.h>

/* What is asked. */
enum postern_lookup_kind {
    POSTERN_LOOKUP_USER = 1, /* is there a user (a mailbox) of that name? Values do not matter    */
    POSTERN_LOOKUP_ALIAS = 2 /* what does the name stand for? The values are its targets          */
};

/* Targets are written as in alias files (docs/aliases.md): an address; a local name; "_name" for
 * its mailbox. With POSTERN_DIRECTORY_COMMANDS also "|command", ">file" (by month, when the name
 * has no type), ">>file" and, as the first one, "::owner": the alias is a mailing list, and
 * bounces go to its owner. A local part that begins with one of these signs has to stand in
 * quotes. */
#define POSTERN_LOOKUP_VALUES_MAX 10000u /* targets of one answer; more are refused               */
#define POSTERN_LOOKUP_VALUE_MAX  8192u  /* bytes of one of them                                  */

struct postern_directory_ops {
    size_t   size;
    uint64_t flags; /* POSTERN_DIRECTORY_*                                                        */
    /* A question. 0: it is or will be answered by lookup_answer, exactly once, from here or later,
     * and at the latest in close. <0 (-errno): not taken, and not to be answered: who asks tries
     * again later. */
    int (*lookup)(void *self, postern_lookup *);
};

/* Who writes to what this plugin reads may as well write the configuration, so that targets may
 * run commands and append to files. Not for a directory on another machine. */
#define POSTERN_DIRECTORY_COMMANDS 1u

#endif
