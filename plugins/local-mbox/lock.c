/* lock.c: see lock.h. */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TEXT_MAX 256 /* pid, nodename (64 bytes at most) and name space */

/* An open file description lock: it collides with the fcntl locks of other programs like any, but
 * is not lost when another thread of ours closes the same file. */
int lock_file(int fd)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_OFD_SETLK, &l) == 0)
        return 0;
    return errno == EACCES || errno == EAGAIN ? -EWOULDBLOCK : -errno;
}

static int dot_path(const char *path, char *buf, size_t size)
{
    int n = snprintf(buf, size, "%s.lock", path);

    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Others look for a process id in it. The second line is for us: it says among whose processes that
 * id counts, so that a lock of our own, left by a crash, is known again. */
static size_t lock_text(long pid, char buf[LOCK_TEXT_MAX])
{
    char space[64];
    struct utsname u;
    ssize_t len = readlink("/proc/self/ns/pid", space, sizeof space);
    int n;

    if (len < 0 || len == sizeof space || uname(&u) < 0)
        n = snprintf(buf, LOCK_TEXT_MAX, "%ld\n", pid);
    else
        n = snprintf(buf, LOCK_TEXT_MAX, "%ld\npostern %s %.*s\n", pid, u.nodename, (int)len,
                     space);
    return (size_t)n;
}

static int make_file(const char *name)
{
    char text[LOCK_TEXT_MAX];
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    size_t n = lock_text((long)getpid(), text);

    if (fd < 0)
        return -errno;
    if (write(fd, text, n) < 0)
        n = 0; /* an empty lock is a lock */
    close(fd);
    return 0;
}

/* The lock appears with its text in it: one that we made and died over before we could write into
 * it would look like a stranger's, and hold up its user's mail until it is stale. */
static int make(const char *lock)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof name, "%s.%ld.%ld", lock, (long)getpid(), (long)gettid()), r;

    if (n < 0 || (size_t)n >= sizeof name)
        return make_file(lock);
    r = make_file(name);
    if (r == -EEXIST && !unlink(name)) /* of an earlier process with our numbers */
        r = make_file(name);
    if (r < 0)
        return r;
    r = link(name, lock) < 0 ? -errno : 0;
    unlink(name);
    return r == -EPERM || r == -EOPNOTSUPP ? make_file(lock) : r; /* no hard links here */
}

/* Did a process of ours make it that is no more? */
static int is_orphan(const char *lock, struct stat *ret)
{
    char said[LOCK_TEXT_MAX], ours[LOCK_TEXT_MAX];
    int fd = open(lock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n;
    long pid;

    if (fd < 0)
        return 0;
    n = fstat(fd, ret) < 0 ? -1 : read(fd, said, sizeof said - 1);
    close(fd);
    if (n <= 0)
        return 0;
    said[n] = '\0';
    pid = strtol(said, NULL, 10);
    if (pid <= 0 || pid > INT_MAX)
        return 0;
    lock_text(pid, ours);
    return strstr(ours, "\npostern ") && strcmp(said, ours) == 0 && kill((pid_t)pid, 0) < 0 &&
        errno == ESRCH;
}

static int is_stale(const char *lock, int64_t stale_usec, struct stat *ret)
{
    struct timespec now;

    /* CLOCK_REALTIME: the time of a file is wall time. */
    if (lstat(lock, ret) < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0)
        return 0;
    return (int64_t)(now.tv_sec - ret->st_mtim.tv_sec) * 1000000 > stale_usec;
}

/* Takes the stale lock away by renaming it first: should another program have replaced it just now,
 * we hold its fresh lock in our hands, see that by the inode, and put it back. */
static int break_stale(const char *lock, const struct stat *stale)
{
    char aside[PATH_MAX];
    struct stat st;
    int n = snprintf(aside, sizeof aside, "%s.%ld", lock, (long)getpid());

    if (n < 0 || (size_t)n >= sizeof aside)
        return -ENAMETOOLONG;
    if (rename(lock, aside) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (lstat(aside, &st) == 0 && (st.st_ino != stale->st_ino || st.st_dev != stale->st_dev) &&
        link(aside, lock) < 0 && errno != EEXIST)
        return -errno;
    unlink(aside);
    return 0;
}

int lock_dot(const char *path, int64_t stale_usec)
{
    char lock[PATH_MAX];
    struct stat st;
    int r = dot_path(path, lock, sizeof lock);

    if (r < 0)
        return r;
    r = make(lock);
    if (r == -EEXIST && (is_stale(lock, stale_usec, &st) || is_orphan(lock, &st))) {
        r = break_stale(lock, &st);
        if (!r)
            r = make(lock);
    }
    return r == -EEXIST ? -EWOULDBLOCK : r;
}

void lock_undot(const char *path)
{
    char lock[PATH_MAX];

    if (dot_path(path, lock, sizeof lock) == 0)
        unlink(lock);
}
