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

struct wanted {       /* a lock that is to be made */
    const char *left; /* noted in it from the start */
    struct dot_lock *ret;
};

static int make_file(const char *name, const struct wanted *want)
{
    char text[LOCK_TEXT_MAX + LOCK_LEFT_MAX];
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    size_t n = lock_text((long)getpid(), text), len = strlen(want->left);

    if (fd < 0)
        return -errno;
    want->ret->fd = fd;
    want->ret->free = n;
    memcpy(text + n, want->left, len);
    if (write(fd, text, n + len) < 0)
        want->ret->free = 0; /* an empty lock is a lock */
    return 0;
}

static void unmake(struct dot_lock *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

/* "lock.PID.TID", with the lock's text in it. */
static int make_aside(const char *lock, const struct wanted *want, char name[PATH_MAX])
{
    int n = snprintf(name, PATH_MAX, "%s.%ld.%ld", lock, (long)getpid(), (long)gettid()), r;

    if (n < 0 || n >= PATH_MAX)
        return -ENAMETOOLONG;
    r = make_file(name, want);
    if (r == -EEXIST && !unlink(name)) /* of an earlier process with our numbers */
        r = make_file(name, want);
    return r;
}

/* The lock appears with its text in it: one that we made and died over before we could write into
 * it would look like a stranger's, and hold up its user's mail until it is stale. */
static int make(const char *lock, const struct wanted *want)
{
    char name[PATH_MAX];
    int r = make_aside(lock, want, name);

    if (r == -ENAMETOOLONG)
        return make_file(lock, want);
    if (r < 0)
        return r;
    r = link(name, lock) < 0 ? -errno : 0;
    unlink(name);
    if (r < 0)
        unmake(want->ret);
    return r == -EPERM || r == -EOPNOTSUPP ? make_file(lock, want) : r; /* no hard links here */
}

struct found { /* the lock that is in the way */
    struct stat st;
    char text[LOCK_TEXT_MAX + LOCK_LEFT_MAX];
    size_t own; /* length of the lines that say that it is one of ours; 0: it is not */
};

static int look(const char *lock, struct found *ret)
{
    char ours[LOCK_TEXT_MAX];
    int fd = open(lock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n;
    long pid;

    if (fd < 0)
        return -errno;
    n = fstat(fd, &ret->st) < 0 ? -1 : read(fd, ret->text, sizeof ret->text - 1);
    close(fd);
    ret->text[n > 0 ? n : 0] = '\0';
    ret->own = 0;
    pid = strtol(ret->text, NULL, 10);
    if (pid <= 0 || pid > INT_MAX)
        return 0;
    lock_text(pid, ours);
    if (strstr(ours, "\npostern ") && strncmp(ret->text, ours, strlen(ours)) == 0)
        ret->own = strlen(ours);
    return 0;
}

/* Did a process of ours make it that is no more? */
static int is_orphan(const struct found *f)
{
    return f->own && kill((pid_t)strtol(f->text, NULL, 10), 0) < 0 && errno == ESRCH;
}

static int is_stale(const struct found *f, int64_t stale_usec)
{
    struct timespec now;

    /* CLOCK_REALTIME: the time of a file is wall time. */
    if (clock_gettime(CLOCK_REALTIME, &now) < 0)
        return 0;
    return (int64_t)(now.tv_sec - f->st.st_mtim.tv_sec) * 1000000 > stale_usec;
}

/* The note of a dead one of us. By what it says mail may be taken out of a mailbox: it must be our
 * hand's, in a folder where others may make files. */
static void note_of(const struct found *f, char left[LOCK_LEFT_MAX])
{
    const char *note = f->text + f->own, *end = strchr(note, '\n');

    left[0] = '\0';
    if (!f->own || !end || (size_t)(end + 1 - note) >= LOCK_LEFT_MAX)
        return;
    if (f->st.st_uid != geteuid() || f->st.st_nlink != 1 || f->st.st_mode & 022)
        return;
    memcpy(left, note, (size_t)(end + 1 - note));
    left[end + 1 - note] = '\0';
}

static int is_same(const char *path, const struct stat *st)
{
    struct stat now;

    return lstat(path, &now) == 0 && now.st_ino == st->st_ino && now.st_dev == st->st_dev;
}

/* Takes the stale lock away by renaming it first: should another program have replaced it just now,
 * we hold its fresh lock in our hands, see that by the inode, and put it back. */
static int break_stale(const char *lock, const struct stat *stale)
{
    char aside[PATH_MAX];
    int n = snprintf(aside, sizeof aside, "%s.%ld", lock, (long)getpid());

    if (n < 0 || (size_t)n >= sizeof aside)
        return -ENAMETOOLONG;
    if (rename(lock, aside) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!is_same(aside, stale) && link(aside, lock) < 0 && errno != EEXIST)
        return -errno;
    unlink(aside);
    return 0;
}

/* Ours and the stale one change places, so that at no time there is no lock, or one without the
 * stale one's note. Looked at afterwards, as above. */
static int replace(const char *lock, const struct stat *stale, const struct wanted *want)
{
    char name[PATH_MAX];
    int r = make_aside(lock, want, name);

    if (r < 0)
        return r;
    r = renameat2(AT_FDCWD, name, AT_FDCWD, lock, RENAME_EXCHANGE) < 0 ? -errno : 0;
    if (!r && !is_same(name, stale))
        r = renameat2(AT_FDCWD, name, AT_FDCWD, lock, RENAME_EXCHANGE) < 0 ? -errno : -EEXIST;
    unlink(name);
    if (r < 0)
        unmake(want->ret);
    return r;
}

static int take_over(const char *lock, const struct found *f, const struct wanted *want)
{
    int r = replace(lock, &f->st, want);

    if (r == -ENOENT)
        return make(lock, want);
    if (r != -EINVAL && r != -ENOSYS && r != -EOPNOTSUPP)
        return r;
    r = break_stale(lock, &f->st); /* a file system that can't exchange */
    return r < 0 ? r : make(lock, want);
}

int lock_dot(const char *path, int64_t stale_usec, struct dot_lock *ret, char left[LOCK_LEFT_MAX])
{
    struct wanted want = { "", ret };
    char lock[PATH_MAX];
    struct found found;
    int r = dot_path(path, lock, sizeof lock);

    left[0] = '\0';
    ret->fd = -1;
    if (r < 0)
        return r;
    r = make(lock, &want);
    if (r == -EEXIST && look(lock, &found) == 0 &&
        (is_stale(&found, stale_usec) || is_orphan(&found))) {
        note_of(&found, left);
        want.left = left;
        r = take_over(lock, &found, &want);
    }
    return r == -EEXIST ? -EWOULDBLOCK : r;
}

void lock_undot(const char *path, struct dot_lock *l)
{
    char lock[PATH_MAX];

    if (dot_path(path, lock, sizeof lock) == 0)
        unlink(lock);
    unmake(l);
}
