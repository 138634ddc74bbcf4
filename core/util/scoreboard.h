/* util/scoreboard.h: what each worker is doing now, in memory that the supervisor shares with them.
 *
 * A worker writes its own row, the supervisor reads all of them, also after a crash: then the row
 * says in which plugin and with which message it happened. Everything is a lock-free atomic; a row
 * that is read while it is written may be a moment old, never torn in a way that matters. */
#ifndef UTIL_SCOREBOARD_H
#define UTIL_SCOREBOARD_H

#include <stdatomic.h>
#include <stdint.h>

#define SCORE_WORKERS 256u /* rows: generations overlap, so twice as many as workers at most */
#define SCORE_FLYING  128u /* messages with a transport, remembered by row */

enum score_count {
    SCORE_ACCEPTED,
    SCORE_DELIVERED,
    SCORE_DEFERRED,
    SCORE_FAILED,
    SCORE_BOUNCED,
    SCORE_MESSAGES,    /* in its queue now */
    SCORE_IN_FLIGHT,   /* jobs */
    SCORE_CONNECTIONS, /* streams */
    SCORE_COUNTS
};

struct score_flying {
    _Atomic uint64_t message;  /* 0: free */
    _Atomic int64_t  since;    /* monotonic usec */
    _Atomic uint32_t instance; /* index in the configuration's instances */
};

struct score_row {
    _Atomic int64_t     beat;     /* monotonic usec, about twice a second */
    _Atomic uint32_t    instance; /* 1 + index of the instance whose callback is running; 0: none */
    _Atomic uint64_t    message;  /* being handled in that callback; 0: not known */
    _Atomic int64_t     since;    /* monotonic usec: when that callback was entered */
    _Atomic uint32_t    sandbox;  /* the version of Landlock's ABI that holds it; 0: none does */
    _Atomic uint64_t    counts[SCORE_COUNTS];
    struct score_flying flying[SCORE_FLYING];
};

struct scoreboard {
    struct score_row rows[SCORE_WORKERS];
};

/* Makes one (*ret_fd to be inherited), or maps the one behind fd. NULL with errno. */
struct scoreboard *scoreboard_new(int *ret_fd);
struct scoreboard *scoreboard_map(int fd);
void               scoreboard_free(struct scoreboard **s);

/* --- a worker's own row; row NULL: no effect --- */
void score_enter(struct score_row *row, uint32_t instance, uint64_t message);
void score_leave(struct score_row *row);
void score_fly(struct score_row *row, uint32_t instance, uint64_t message);
void score_land(struct score_row *row, uint64_t message);
void score_clear(struct score_row *row); /* by the supervisor, before a new worker takes the row */

#endif
