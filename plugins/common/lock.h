/* lock.h: the two locks of a mailbox that mail programs agree on: fcntl, and a file "NAME.lock".
 *
 * Neither waits: who finds a mailbox locked comes back later. So the order in which programs take
 * the two cannot deadlock (Debian policy 11.6), and no thread sleeps on a lock. */
#ifndef COMMON_LOCK_H
#define COMMON_LOCK_H

#include <stdint.h>

#define LOCK_LEFT_MAX 768u /* UNDO_LINE_MAX fits */

/* 0, -EWOULDBLOCK: somebody has it, or -errno. Released when fd is closed. */
int lock_file(int fd);

struct dot_lock {
    int      fd;   /* of "path.lock", to note in it what is being appended; -1: not locked */
    uint64_t free; /* where in it: behind the lines that say whose it is; 0: no room      */
};

/* Makes "path.lock". A lock file not touched for stale_usec is taken for a dead program's and
 * replaced, and one that a crash of our own has left, at once; call this with the fcntl lock held,
 * so that only one of us does so at a time. left: what one of us had noted in the lock that was
 * replaced, a line, else "". It is in the new lock, too, until something is noted there. 0,
 * -EWOULDBLOCK, or -errno. */
int  lock_dot(const char *path, int64_t stale_usec, struct dot_lock *ret,
              char left[LOCK_LEFT_MAX]);
void lock_undot(const char *path, struct dot_lock *l);

#endif
