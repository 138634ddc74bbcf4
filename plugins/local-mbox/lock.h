/* lock.h: the two locks of a mailbox that mail programs agree on: fcntl, and a file "NAME.lock".
 *
 * Neither waits: who finds a mailbox locked comes back later. So the order in which programs take
 * the two cannot deadlock (Debian policy 11.6), and no thread sleeps on a lock. */
#ifndef LOCAL_MBOX_LOCK_H
#define LOCAL_MBOX_LOCK_H

#include <stdint.h>

/* 0, -EWOULDBLOCK: somebody has it, or -errno. Released when fd is closed. */
int lock_file(int fd);

/* Makes "path.lock". A lock file not touched for stale_usec is taken for a dead program's and
 * removed, and one that a crash of our own has left, at once; call this with the fcntl lock held,
 * so that only one of us does so at a time. 0, -EWOULDBLOCK, or -errno. */
int  lock_dot(const char *path, int64_t stale_usec);
void lock_undot(const char *path);

#endif
