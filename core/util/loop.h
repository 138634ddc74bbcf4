/* util/loop.h: the worker's event loop, its end-of-turn work, and the offload pool.
 *
 * libevent does the waiting. A turn is one pass over the events that are ready; what was noted
 * during a turn (settled recipients, queued output, spool records, log lines) is done at its end,
 * all at once: that is what makes "no service calls back before it has returned" true, and what
 * makes groups. */
#ifndef UTIL_LOOP_H
#define UTIL_LOOP_H

#include <event2/event.h>

#include <stdint.h>

#include "util/list.h"

struct loop;

struct loop *loop_new(unsigned offload_threads);
void         loop_free(struct loop **l); /* waits for offloaded work; its done() does not run */
struct event_base *loop_base(struct loop *l);
int64_t            loop_now(const struct loop *l); /* clock_mono() at the start of the turn */
void               loop_run(struct loop *l);       /* until loop_stop */
void               loop_turn(struct loop *l, int block); /* one turn, for tests */
void               loop_stop(struct loop *l);

/* Work to do once at the end of this turn (or of the next, when asked for from the loop's outside
 * or during the end of a turn). Noting a task that is noted already does nothing. Tasks of a lower
 * stage run first; a task may note others: they run in the same end of turn if their stage is not
 * over. */
enum loop_stage {
    LOOP_STAGE_WORK,
    LOOP_STAGE_OUTPUT,
    LOOP_STAGE_DISK,
    LOOP_STAGE_LOG,
    LOOP_STAGES
};
struct loop_task {
    struct list link;
    void (*run)(void *ctx);
    void *ctx;
};
void loop_note(struct loop *l, struct loop_task *t, enum loop_stage stage);
void loop_forget(struct loop_task *t); /* it will not run; no effect when not noted */

/* One-shot timer. NULL ctx is fine. The handle dies when it fires or is cancelled. */
struct loop_timer;
struct loop_timer *loop_after(struct loop *l, uint64_t usec, void (*fire)(void *ctx), void *ctx);
void               loop_cancel(struct loop_timer **t); /* clears *t; NULL is fine */

/* Runs work(ctx) on a pool thread, then done(ctx, result) on the loop. */
void loop_offload(struct loop *l, int (*work)(void *ctx), void (*done)(void *ctx, int result),
                  void *ctx);

/* Runs turns until all that was offloaded is over and its done functions have run: before the end,
 * so that nobody is closed while a thread still works for him. */
void loop_quiesce(struct loop *l);

/* From any thread: runs fn(ctx) on the loop soon. */
void loop_post(struct loop *l, void (*fn)(void *ctx), void *ctx);

#endif
