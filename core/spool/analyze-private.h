/* spool/analyze-private.h: what the files of an analysis know of each other. */
#ifndef SPOOL_ANALYZE_PRIVATE_H
#define SPOOL_ANALYZE_PRIVATE_H

#include "spool/analyze.h"
#include "spool/journal-scan.h"
#include "spool/journal.h"

#define ANALYZE_SLICE_BYTES   (8u << 20) /* read in one slice, about */
#define ANALYZE_SLICE_ENTRIES 64u
#define ANALYZE_COPY_BYTES    262144u
#define ANALYZE_STATE_MAX     (1u << 20) /* a longer state of a lost message is not kept */

enum analyze_phase {
    ANALYZE_SEGMENTS, /* every record of every segment */
    ANALYZE_ENTRIES,  /* what the journal believes to be live */
    ANALYZE_CONTENT,  /* large messages that nobody believes in any more */
    ANALYZE_LIST,     /* the folders: what is there? */
    ANALYZE_STRAYS,   /* that nobody knows, is it really there? */
    ANALYZE_END
};

/* A record whose message may be lost: a damaged one, or a large message's with nobody to own it. */
struct spool_lost {
    struct spool_lost   *next, *same; /* all of them; those with the same id */
    uint64_t             id;          /* 0: not known */
    uint32_t             seq;
    uint64_t             at, len;
    struct journal_file *file; /* a reference */
    void                *state;
    size_t               state_len;
    ptrdiff_t            finding; /* in the report; -1: none */
    unsigned             whole : 1; /* the record is intact: what is wrong is its content file */
    unsigned             copied : 1; /* it is in lost+found now, and was not before */
    unsigned             known : 1; /* the journal knows the message */
    unsigned             done : 1;  /* a DONE record was read */
    unsigned             live : 1;  /* the journal believes it to be right here */
};

/* One live message of the slice. */
struct analyze_look {
    uint64_t             id, size;
    uint32_t             seq, at, meta_len, len, state_at, state_len, state_seq;
    int                  large, wrong;
    struct journal_file *file, *state_file, *content; /* references */
    int                  error; /* of opening */
};

struct analyze_names {
    uint64_t *v;
    size_t    n, cap;
};

struct spool_analysis {
    struct journal            *j;
    struct spool_analyze_setup setup;
    struct spool_report       *report;
    enum analyze_phase         phase;
    uint32_t                   seq; /* the segment that is looked at */

    struct journal_file *file; /* NULL: none is being scanned */
    struct scan          scan;
    uint64_t             durable; /* of that segment */
    int                  ended, damaged;
    uint64_t             until; /* read on up to here, since something may be settled there */

    struct spool_lost *lost, **lost_tail;
    struct spool_lost *met;      /* up to here they were compared with the books */
    struct spool_lost *salvaged; /* up to here they were rebuilt */
    struct idmap      *by_id; /* to struct spool_lost */

    struct analyze_look looks[ANALYZE_SLICE_ENTRIES];
    size_t              looks_n;

    struct analyze_names contents, segments; /* whose owner is in question */
    int                  lost_dir;           /* lost+found; -1: not opened yet */
};

/* analyze-report.c: NULL when it is past the limit (and counted). */
struct spool_finding *report_add(struct spool_report *r, const char *kind, int state,
                                 const char *file, int64_t at);
void report_mend(struct spool_report *r, struct spool_finding *f); /* it is repaired now */
struct spool_finding *report_at(struct spool_report *r, ptrdiff_t i); /* NULL for -1 */
void finding_found(struct spool_finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void finding_expected(struct spool_finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void finding_repair(struct spool_finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* analyze-disk.c: on any thread. */
void analyze_scan(struct spool_analysis *a);
void analyze_looks(struct spool_analysis *a);
void analyze_lost_contents(struct spool_analysis *a);

/* analyze-folder.c: on any thread. */
void analyze_list(struct spool_analysis *a);
void analyze_strays(struct spool_analysis *a);
/* Copies that stretch of file to lost+found/NAME. 0; 1: it is there already; -errno. */
int  analyze_copy_aside(struct spool_analysis *a, const struct journal_file *file, uint64_t at,
                        uint64_t len, const char *name);
int  analyze_open_lost(struct spool_analysis *a); /* lost+found; a descriptor of a, or -errno */

#endif
