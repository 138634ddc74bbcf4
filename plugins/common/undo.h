/* undo.h: what is being appended, noted in the lock file before it is written, so that whoever
 * finds the lock of a process that was killed can take its unfinished piece out again.
 *
 * The note is one line: since which size we have been appending, and hashes of everything from
 * there up to each place at which a kill may have stopped the write. A piece is taken out only when
 * it is, byte for byte, what was noted: then nobody else has appended behind it, and nobody was
 * told that it is delivered, since the note goes before that is said. A note counts only until the
 * next boot: after a power cut an old one may have outlived the report. */
#ifndef COMMON_UNDO_H
#define COMMON_UNDO_H

#include <stddef.h>
#include <stdint.h>

#define UNDO_LEN_MAX  65536u /* bytes in one note        */
#define UNDO_LINE_MAX 768u   /* a note, with its line end */

struct undo {
    int      fd;    /* the lock file's; -1: there is none, or it can't be written */
    uint64_t where; /* in it                                                      */
    uint64_t dev, ino;        /* of the mailbox                           */
    uint64_t start, at, hash; /* appended so far: [start, at), and its hash */
};

/* The mailbox `box` is about to grow from `size`; notes go to lock_fd, which stays the caller's. */
void undo_begin(struct undo *u, int box, uint64_t size, int lock_fd, uint64_t where);
/* len bytes (UNDO_LEN_MAX at most) are appended next. */
void undo_note(struct undo *u, const char *data, size_t len);
/* The mailbox was cut back to `size`. */
void undo_cut(struct undo *u, int box, uint64_t size);
/* What was appended stays from now on. 0; -errno: it may still be taken out, so say nothing of
 * it. */
int undo_end(struct undo *u);

/* Takes out of the mailbox what the dead owner of its lock noted. 1: done, *ret_at is its size now
 * and *ret_len what was taken; 0: there is nothing to take out; -EBADMSG: there is, and more or
 * something else, so it stays; -errno. */
int undo_apply(const char *line, int box, uint64_t *ret_at, uint64_t *ret_len);

#endif
