/* A spool on a simulated disk, and what must be in it: every message with the moments (in
 * operations of the disk) at which it was promised, changed and ended. After a crash the two are
 * compared. */
#ifndef TESTS_SPOOL_WORLD_H
#define TESTS_SPOOL_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "sim-io.h"
#include "spool/spool.h"
#include "util/list.h"

#define WORLD_STATES 24
#define NEVER        SIZE_MAX

struct message {
    uint64_t            id;
    uint32_t            seed;
    size_t              size;
    struct spool_entry *entry;  /* NULL: not live in this process */
    int                 result; /* of the commit; 1: none yet */
    size_t              acked;  /* when the commit was answered with 0 */
    size_t              done_asked, done_durable;
    unsigned            states_n;
    size_t              state_asked[WORLD_STATES], state_durable[WORLD_STATES];
    struct world       *world;
    /* filled in by a replay */
    int           seen, seen_state; /* -1: no state */
    struct spool *in;               /* where it was seen */
};

struct world {
    struct sim         *sim;
    struct loop        *loop;
    struct spool       *spool;
    struct spool_config cfg;
    struct message    **messages;
    size_t              messages_n;
    uint32_t            seed;
    struct list         waits; /* for states */
    unsigned            in_flight; /* commits and states that were not answered */
    int                 real;      /* on the real file system, in cfg.path */
    int                 wrong;     /* a replay showed something that never was */
    char                why[256];
};

/* A world without a process: small segments, so that small histories have many. */
struct world *world_new(uint32_t seed);
void          world_free(struct world **w);
int           world_open(struct world *w); /* with a loop, on w->sim */
void          world_close(struct world *w);
/* Whatever the disk had at that moment is all there is; the process is gone. */
void world_crash(struct world *w, size_t ops, enum sim_luck luck, uint32_t seed);

struct message *world_put(struct world *w, size_t size);
struct message *world_put_as(struct world *w, uint64_t id, size_t size);
void            world_state(struct message *m, int sync);
void            world_done(struct message *m);
void            world_turns(struct world *w, unsigned n);
void            world_settle(struct world *w);      /* until all commits and states are answered */
void            world_settle_done(struct world *w); /* and until all DONE are durable */
void            world_until(struct world *w, int (*is)(struct world *w)); /* fails after 20 s */
/* Content and meta of a live message, read the way a transport does. 1: as they were written. */
int world_intact(struct message *m);

/* Opens what a crash after `ops` operations left, and compares. 0, or a sentence is printed. */
int world_check_crash(struct world *w, size_t ops, enum sim_luck luck, uint32_t seed);
/* The same; and again for a second crash at any operation of the process that is started then. */
int world_check_two_crashes(struct world *w, size_t ops, enum sim_luck luck, uint32_t seed);
/* The same for all shards that are in the folder of this one, by whatever crash: each message is in
 * one of them. depth: so many more crashes, at any operation of those who open them. */
int world_check_shards(struct world *w, size_t ops, enum sim_luck luck, uint32_t seed,
                       unsigned depth);
/* For those who open spools by themselves; forget first. ctx: the world. */
void            world_forget(struct world *w);
spool_replay_cb world_replayed;
/* The same for the world as it is after world_open: what was promised by then must be there. */
int world_check(struct world *w, size_t ops);

struct spool_stats world_stats(struct world *w);

#endif
