/* queue/analyze.h: `postern queue analyze`: drives an analysis of a spool (spool/analyze.h), says
 * what the queue knows of its messages, and with repair rebuilds on hold what was lost. */
#ifndef QUEUE_ANALYZE_H
#define QUEUE_ANALYZE_H

#include <jansson.h>

#include "queue/queue.h"
#include "spool/analyze.h"

struct queue_analysis;

struct queue_analyze_setup {
    struct loop  *loop;
    struct queue *queue;
    struct spool *spool;
    int           repair;
    int           live; /* 1: ends by itself when the queue is stopped */
    uid_t         owner;
};

/* On the loop, in slices; done is called once, never before this has returned, with 0 or
 * -ECANCELED. -EBUSY: this spool is being analysed already. The report must outlive it. */
int  queue_analyze(const struct queue_analyze_setup *setup, struct spool_report *report,
                   void (*done)(void *ctx, int result), void *ctx, struct queue_analysis **ret);
void queue_analysis_stop(struct queue_analysis *a);  /* soon; done is called */
void queue_analysis_free(struct queue_analysis **a); /* after done, or when no more turns come */

/* Of a spool that was opened for reading only: blocking, all at once. 0 or -errno. */
int queue_analyze_reading(struct spool *spool, uid_t owner, struct spool_report *report);

/* state: "live", "free", "held" or "error", with why in words (NULL: none). */
json_t *queue_analyze_json(const char *shard, const char *state, const char *why,
                           const struct spool_report *report);

struct spool *queue_spool(const struct queue *q, unsigned i); /* NULL: none with that number */
#define QUEUE_ANALYZE_SPOOLS 64u /* numbers there can be */

#endif
