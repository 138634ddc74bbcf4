/* spool/analyze.h: compares what lies in a shard's folder with what its journal believes, and mends
 * what can be mended without losing a byte.
 *
 * It goes by slices, so that a worker's loop is never held up: prepare and take are short and run
 * where the spool's other calls do; work reads the disk, and runs on any thread in between. What
 * prepare hands to work can't change under it (descriptors are shared, records are never
 * overwritten), and what may have changed meanwhile is asked again before it is called wrong: a
 * busy spool that is sound has no findings.
 *
 * Nothing is ever deleted. What --repair takes out of the way goes to lost+found/ in the shard. */
#ifndef SPOOL_ANALYZE_H
#define SPOOL_ANALYZE_H

#include <sys/types.h>

#include "spool/spool.h"

#define SPOOL_FINDINGS_MAX 1000u /* told one by one; the rest is counted                        */
#define SPOOL_LOST_FOUND   "lost+found"

enum spool_finding_state {
    SPOOL_NOTE,    /* worth knowing, nothing wrong     */
    SPOOL_FOUND,   /* wrong                            */
    SPOOL_REPAIRED /* it was, and is mended or on hold */
};

struct spool_finding {
    const char *kind; /* a constant word, for programs */
    int         state;
    char        file[64]; /* in the shard's folder */
    int64_t     at;       /* in the file; -1: all of it */
    uint64_t    bytes, id; /* 0: not known */
    char        found[160], expected[120];
    char        repair[200]; /* what --repair would do, or has done */
};

struct spool_facts {
    uint64_t segments, segment_bytes, live_messages, live_bytes, reclaimable_bytes;
    uint64_t messages, states, dones; /* records read */
    uint64_t damaged_bytes, torn_bytes;
    uint64_t content_files, content_bytes;
    uint64_t aside_files, aside_bytes; /* set aside: .damaged */
    uint64_t lost_files, lost_bytes;   /* in lost+found */
};

struct spool_report { /* all zeros: an empty one */
    struct spool_finding *v;
    size_t                n, cap;
    uint64_t              untold;        /* findings past the limit */
    uint64_t              faults, mended; /* findings that are no notes; of these, repaired */
    struct spool_facts    facts;
};
void spool_report_done(struct spool_report *r);

/* What is a sound envelope (meta) and state is the queue's business. NULL pointers: not asked. */
enum spool_check { SPOOL_CHECK_OK, SPOOL_CHECK_META, SPOOL_CHECK_STATE };
struct spool_analyze_setup {
    void *ctx;
    int   repair; /* needs a spool that was opened with a loop */
    uid_t owner;  /* of all files */
    /* Any thread. state is NULL when there is none. */
    enum spool_check (*check)(const void *meta, size_t meta_len, const void *state,
                              size_t state_len);
    /* On the loop. Does the queue hold this message? */
    int (*holds)(void *ctx, uint64_t id);
    /* On the loop: takes it into the queue. 0 or -errno. */
    int (*enqueue)(void *ctx, struct spool_entry *e, const void *meta, size_t meta_len,
                   const void *state, size_t state_len);
    /* On the loop: puts it on hold. 0 or -errno. */
    int (*hold)(void *ctx, uint64_t id, const char *why);
};

const char *spool_folder(const struct spool *s); /* borrowed */

/* 1: a segment with damage is being emptied; then it is set aside. */
int spool_emptying(const struct spool *s);

struct spool_analysis;
/* The report, the spool and what setup points to must outlive it. While there is one, the spool's
 * stats say `pinned`, and who could close it waits. -EBUSY: there is one already. */
int  spool_analysis_new(struct spool *s, const struct spool_analyze_setup *setup,
                        struct spool_report *report, struct spool_analysis **ret);
void spool_analysis_free(struct spool_analysis **a); /* not while work runs */
int  spool_analysis_prepare(struct spool_analysis *a); /* 0: that was all */
int  spool_analysis_work(void *a);                     /* always 0; see loop_offload */

/* --- messages that are lost to the queue, but not to the disk: with repair, afterwards --- */
struct spool_lost;
struct spool_salvage {
    void       *bytes; /* of the record */
    const char *meta, *state; /* in bytes; state apart, NULL: none */
    size_t      meta_len, state_len;
    const char *content; /* in bytes; NULL: in fd */
    int         fd;
    uint64_t    size; /* of the content */
    char        from[96]; /* where it was, in words */
};
struct spool_lost *spool_analysis_next_lost(struct spool_analysis *a); /* NULL: that was the last */
int  spool_lost_read(struct spool_analysis *a, struct spool_lost *l,
                     struct spool_salvage *ret); /* any thread; -ENODATA: no message in it */
void spool_salvage_done(struct spool_salvage *s);
/* as: the id under which it is durable now, on hold; 0: it could not be had, because of why. */
void spool_lost_settle(struct spool_analysis *a, struct spool_lost *l, uint64_t as,
                       const char *why);

/* --- a folder that may not be open to us ---
 * Kinds, owners and modes of what is in a shard; with repair they are mended. Any thread. */
void spool_analyze_modes(const char *path, uid_t owner, int repair, struct spool_report *report);

#endif
