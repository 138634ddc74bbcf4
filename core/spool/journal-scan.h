/* spool/journal-scan.h: reads a segment from its beginning, record after record, through a window
 * of constant size; after damage it finds the next good record by magic, header CRC and salt. */
#ifndef SPOOL_JOURNAL_SCAN_H
#define SPOOL_JOURNAL_SCAN_H

#include "spool/io.h"
#include "spool/journal-format.h"

struct scan {
    const struct spool_io *io;
    int                    fd;
    uint64_t               size, pos;
    unsigned char         *window;
    uint64_t               window_at;
    size_t                 window_len;
    struct format_segment  segment; /* from the first record, when begun */
    int                    begun;   /* 1: the segment's own first record is good */
    uint32_t               salt;
    int                    salted;      /* 1: salt is known */
    uint64_t               guess_bytes; /* may still be read to find the salt */
    uint64_t               unreadable;  /* bytes the disk would not give; taken as zeros */
};

struct scan_record {
    struct format_header h;
    uint64_t             at;      /* of the header in the file */
    uint64_t             gap;     /* bytes right before it that are no record */
    int                  intact;  /* 1: the payload's CRC is true */
    unsigned char        word[4]; /* first bytes of the payload */
};

/* Reads the first record, if it is good. size: of the file. */
void scan_init(struct scan *sc, const struct spool_io *io, int fd, uint64_t size);
void scan_done(struct scan *sc);
/* 1: *ret is the next record; 0: the end, ret->gap bytes before it are no record. */
int scan_next(struct scan *sc, struct scan_record *ret);

#endif
