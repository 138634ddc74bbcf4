/* daemon/supervisor.h: inside the supervisor: generations of workers, and what their crashes teach.
 *
 * A generation is one configuration (its bytes, validated) and the workers that run it. There is
 * one current generation; during a reload the next one comes up beside it, and afterwards the old
 * one drains. */
#ifndef DAEMON_SUPERVISOR_H
#define DAEMON_SUPERVISOR_H

#include <jansson.h>
#include <sys/types.h>

#include "daemon/channel.h"
#include "daemon/daemon.h"
#include "daemon/probe.h"
#include "daemon/worker.h"
#include "util/list.h"
#include "util/loop.h"

struct supervisor;
struct generation;
struct door;

enum child_state { CHILD_NONE, CHILD_STARTING, CHILD_READY, CHILD_DRAINING };

struct child { /* one worker's place */
    struct generation *gen;
    unsigned           slot;  /* in the generation */
    unsigned           row;   /* in the scoreboard */
    unsigned           shard; /* it has or had */
    enum child_state   state;
    pid_t              pid; /* 0: none */
    int                channel;
    struct event      *ev;
    int64_t            started;
    unsigned           quick;   /* crashes soon after the start, in a row */
    uint64_t           given;   /* messages in shards that it is adopting */
    int                warned;  /* the watchdog has asked it for a stack */
    struct loop_timer *respawn;
    struct loop_timer *kill; /* a draining one that takes too long */
    int                failed_code;
    char               failed_text[944];
};

struct generation {
    struct list        link; /* supervisor.old */
    struct supervisor *sv;
    unsigned           number;
    struct probe      *probe; /* validating it just now */
    int                snapshot_fd;
    struct config     *config; /* the core's sections only are of interest here */
    uid_t              user;   /* whom its workers run as */
    json_t            *listen; /* [{endpoint, where, instance}] */
    size_t             n, ready;
    struct child      *children;
};

struct strike { /* against a message that was there when a worker died */
    uint64_t id;
    unsigned n;
    char     text[400]; /* plugin, signal, when */
};

struct shard_note { /* what is known of a shard */
    int           empty; /* 1: it holds no mail, and nobody has it */
    uint64_t      part;  /* messages in it when it was split off; 0: it was not */
    struct child *to;    /* is adopting it; NULL: nobody is */
    int           free;  /* 1: nobody had it when it was looked for, and nobody took it */
    uint64_t      given; /* for so many messages that counts */
    unsigned      tries; /* in vain, by workers */
    int           told;  /* 1: that was logged */
    int64_t       next;  /* not before that */
};

struct supervisor {
    const char        *config_dir, *state;
    char              *program; /* to start workers with: what stands on disk then */
    struct loop       *loop;
    struct scoreboard *board;
    int                board_fd;
    unsigned char      rows[SCORE_WORKERS];  /* 1: taken */
    struct shard_note  shards[WORKER_SHARDS];
    struct listeners  *listeners;
    int                spool_lock; /* on the spool's folder: one gateway each */
    char              *spool_path;
    struct door       *door, *next_door; /* the control socket; the one that a reload brings */
    struct list        fronts;           /* connections to it, see front.c */
    size_t             fronts_n;
    size_t             next_worker; /* round robin for connections */
    struct generation *current, *next;
    struct list        old;
    unsigned           numbers;
    struct strike     *strikes;
    size_t             strikes_n;
    struct event      *signals[4];
    struct loop_timer *watch_timer, *adopt_timer;
    unsigned           watches;
    int                looked; /* for shards that nobody has, since a worker came or went */
    int                again; /* a reload was asked for during a reload */
    int64_t            memory_at; /* a generation was last replaced because of its size; 0: never */
    int                stopping, code;
    char               last_error[2048]; /* of the last reload that failed */
    int64_t            started;
    uint64_t           crashes, reloads;
};

/* supervisor.c */
void supervisor_stopped(struct supervisor *sv); /* a child has gone: was it the last? */
int  supervisor_log(const struct config *cfg, struct config_errors *errors); /* opens it */

/* generation.c */
/* Takes a snapshot and has it validated by a child; reload_probed is called when that is over. 0,
 * or a sysexits code with one error a line in errors. */
int generation_new(struct supervisor *sv, struct generation **ret, struct config_errors *errors);
/* What the child has said (NULL: why not) is taken, and what the generation wants to listen on is
 * bound. The same. */
int generation_prepare(struct generation *g, json_t *answer, const char *why,
                       struct config_errors *errors);
/* The current one once more, from the same bytes. */
int  generation_repeat(struct supervisor *sv, struct generation **ret,
                       struct config_errors *errors);
/* Takes its spool for this gateway, which has one as long as it runs. 0, or a sysexits code with
 * the error in errors. */
int  generation_lock(struct generation *g, struct config_errors *errors);
void generation_start(struct generation *g);
void generation_drain(struct generation *g, const char *why);
void generation_free(struct generation **g); /* all its children have gone */
void generation_listeners(struct supervisor *sv); /* closes what no generation wants any more */
int    generation_wants(const struct generation *g, const char *endpoint); /* g may be NULL */
size_t generation_alive(const struct generation *g);

/* child.c */
void          child_start(struct child *c);
void          child_gone(struct child *c, int status);
void          child_drain(struct child *c, const char *why);
const char   *child_instance(const struct child *c, uint32_t index); /* its name, from a row */
struct child *child_find(struct supervisor *sv, pid_t pid);
struct child *child_pick(struct supervisor *sv); /* a ready worker, in turn; NULL: none */

/* crash.c */
void crash_note(struct supervisor *sv, const struct child *c, int status); /* reads its row */
int  crash_marks(const struct supervisor *sv); /* a file of them, to be closed; -1: none */
void crash_held(struct supervisor *sv, struct child *c,
                uint64_t id); /* it did what the mark wanted */
void crash_watch(struct supervisor *sv); /* beats and memory, once a second */

/* reload.c */
void reload_begin(struct supervisor *sv); /* also the very first generation */
void reload_probed(struct supervisor *sv, json_t *answer, const char *why);
void reload_same(struct supervisor *sv); /* new workers, of the same configuration */
void reload_ready(struct supervisor *sv); /* every worker of sv->next is up */
void reload_failed(struct supervisor *sv, const char *why);

/* adopt.c: shards that nobody has */
void adopt_soon(struct supervisor *sv);  /* a worker has come or gone */
void adopt_watch(struct supervisor *sv); /* somebody else may have left one */
/* How many there are whose messages no worker has told yet, as far as it is known. */
size_t adopt_unread(const struct supervisor *sv);
void adopt_part(struct supervisor *sv, unsigned number, uint64_t messages);
/* It has it, or could not have it. */
void adopt_over(struct supervisor *sv, struct child *c, unsigned number, int worked);
void adopt_gone(struct supervisor *sv, struct child *c); /* it takes no more */
void adopt_again(struct supervisor *sv);                 /* other workers: another try */

/* status.c: for `postern status`. New reference. */
json_t *status_json(const struct supervisor *sv);

/* front.c: the control socket */
/* Opens the door that cfg wants, beside the one there is. 0, or a sysexits code with errors. */
int  front_open(struct supervisor *sv, const struct config *cfg, struct config_errors *errors);
void front_settle(struct supervisor *sv, int keep); /* which stays: the new one (1), or the old */
void front_close(struct supervisor *sv);
void front_reload_done(struct supervisor *sv, int code, const char *text);

#endif
