/* turns.h: questions to a directory that need a thread each, a few at a time. The others wait in
 * line, so that a database which hangs cannot take all threads from those who write mailboxes.
 * Shared by directories whose clients block. */
#ifndef COMMON_TURNS_H
#define COMMON_TURNS_H

#include <postern/postern.h>
#include <sys/queue.h>

#define TURNS_WAITING_MAX 10000u /* questions in line; more are not taken */

struct turn { /* a question; what the plugin adds stands behind it */
    STAILQ_ENTRY(turn) link;
    struct turns   *turns;
    postern_lookup *lookup;
    uint64_t        now; /* services' now() when its turn came */
};

struct turns_ops { /* what differs from plugin to plugin */
    int (*work)(void *turn); /* on a thread */
    void (*done)(struct turn *, int result); /* on the loop: answers it, and frees */
    void (*free)(struct turn *); /* it was answered: its turn never came */
    /* Not NULL: nobody is asked now, and why; who waits is told so. May be NULL. */
    const char *(*pause)(void *self);
};

struct turns { /* one instance's */
    postern_host                  *host;
    const struct postern_services *svc;
    const struct turns_ops        *ops;
    void                          *self; /* the plugin's */
    int64_t                        running, max;
    size_t                         waiting;
    STAILQ_HEAD(turn_line, turn) line;
};

void turns_init(struct turns *t, postern_host *host, const struct postern_services *svc,
                const struct turns_ops *ops, void *self, int64_t max);
/* Its lookup is set. 0: it is or will be answered; -errno: it was not taken. */
int turns_ask(struct turns *t, struct turn *q);
/* Answers those in line: the gateway ends. None is running. */
void turns_done(struct turns *t);

#endif
