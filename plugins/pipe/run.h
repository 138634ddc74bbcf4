/* run.h: one command for one recipient, or for all of a job.
 *
 * A run waits for its turn, is launched by a thread, and then watched by the loop: its output until
 * nobody writes any more, and the process until it ends. The end of the process is the end of the
 * run, whoever else still holds its output open. */
#ifndef PIPE_RUN_H
#define PIPE_RUN_H

#include <pthread.h>
#include <sys/queue.h>

#include "plan.h"

#define RUN_OUTPUT_MAX 640u /* bytes of output that are kept for the diagnostic */

TAILQ_HEAD(runs, run);

struct pipe { /* one instance */
    postern_host                  *host;
    const struct postern_services *svc;
    const struct settings         *set;
    struct account                 account;
    struct exits                   exits;
    mode_t                         umask;
    int                            null_fd;
    struct runs                    waiting, active;
    size_t                         active_n;
};

enum run_state { RUN_WAITING, RUN_LAUNCHING, RUN_RUNNING, RUN_CLEANING };

struct run {
    TAILQ_ENTRY(run) link; /* of waiting or active */
    struct pipe     *pipe;
    postern_job     *job;      /* NULL: its recipients are settled; job and content are gone */
    size_t           first, n; /* of the job's recipients */
    int              state;    /* enum run_state */

    /* for the thread */
    pthread_mutex_t  lock; /* guards `cancelled`, and each read of content */
    int              cancelled;
    postern_content *content;
    uint64_t         size;
    struct plan     *plan;
    struct problem   problem;
    int              in;            /* the message; above 2 */
    int              lock_fd;       /* a file with a name is ours as long as this is open */
    char             file[PIPE_PATH_MAX + 64]; /* its name; "" when it has none */
    char            *sender, *rcpt; /* copies; rcpt: of the only recipient, else NULL */

    /* of the process */
    pid_t    pid;
    int      pidfd, out; /* out: what it says */
    uint64_t exit_watch, out_watch, timer;
    int      timed_out;
    uint64_t said;       /* bytes of output in all */
    size_t   kept;
    char     output[RUN_OUTPUT_MAX];
};

/* Adds runs for recipients [first, first + n) of the job, for `step` of them each. */
void run_add(struct pipe *p, postern_job *job, size_t first, size_t n, size_t step);
/* Starts what may start. */
void run_pump(struct pipe *p);
/* Settles what is left of the job, and kills its commands. */
void run_cancel(struct pipe *p, postern_job *job);
/* Kills and forgets all that is left. */
void run_end_all(struct pipe *p);

#endif
