/* mbox.c: see mbox.h.
 *
 * Mailboxes often stand in a folder that others may write to, and we may be root. So what is at the
 * path is not trusted: no symbolic link, no second hard link, a regular file, the right owner; and
 * it is looked at through the descriptor, not by its name. */
#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "../common/write.h"

#define MBOX_MODE  0600
#define OPEN_TRIES 5 /* times that the file may be replaced under our hands */
#define OPEN_FLAGS (O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

_Static_assert(LOCK_LEFT_MAX >= UNDO_LINE_MAX, "a note fits into what a lock may carry");

/* Somebody might own a mailbox that was made for him by name; nobody shall own another's. */
static int check_file(const struct mbox *m, const struct user *user, struct problem *reterr)
{
    const char *what = NULL;
    struct stat st;

    if (fstat(m->fd, &st) < 0) {
        int err = errno;

        problem_errno(reterr, err, "examine", m->path);
        return -err;
    }
    if (!S_ISREG(st.st_mode))
        what = "is not a regular file";
    else if (st.st_nlink > 1)
        what = "has more than one hard link";
    else if (user->known && st.st_uid != user->uid && st.st_uid != geteuid())
        what = "belongs to somebody else";
    if (!what)
        return 0;
    problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the mailbox %s %s", m->path, what);
    return -EPERM;
}

static int create(struct mbox *m, const struct user *user)
{
    m->fd = open(m->path, OPEN_FLAGS | O_CREAT | O_EXCL, MBOX_MODE);
    if (m->fd < 0)
        return -errno;
    m->created = 1;
    if (user->known && geteuid() == 0 && fchown(m->fd, user->uid, user->gid) < 0) {
        int err = errno;

        unlink(m->path);
        return -err;
    }
    return 0;
}

static int open_file(struct mbox *m, const struct settings *set, const struct user *user,
                     struct problem *reterr)
{
    int r = 0;

    for (int i = 0; i < OPEN_TRIES; i++) {
        m->fd = open(m->path, OPEN_FLAGS);
        r = m->fd < 0 ? -errno : 0;
        if (r == -ENOENT && set->users != USERS_EXISTING)
            r = create(m, user);
        if (r != -EEXIST)
            break;
    }
    if (!r)
        return check_file(m, user, reterr);
    if (r == -ELOOP)
        problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                    "the mailbox %s is a symbolic link", m->path);
    else
        problem_errno(reterr, -r, "open", m->path);
    return r;
}

/* A program that rewrites a mailbox renames another file over it: a lock on the old one is
 * worthless. */
static int still_there(const struct mbox *m)
{
    struct stat by_name, by_fd;

    return lstat(m->path, &by_name) == 0 && fstat(m->fd, &by_fd) == 0 &&
        by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
}

static int lock_both(struct mbox *m, const struct settings *set, char left[LOCK_LEFT_MAX],
                     struct problem *reterr)
{
    int r = lock_file(m->fd);

    if (r < 0) {
        if (r != -EWOULDBLOCK)
            problem_errno(reterr, -r, "lock", m->path);
        return r;
    }
    if (set->dot_lock == DOT_NO)
        return 0;
    r = lock_dot(m->path, set->lock_stale, &m->dot, left);
    if (r == -EWOULDBLOCK || !r)
        return r;
    if (set->dot_lock == DOT_TRY && (r == -EACCES || r == -EPERM || r == -EROFS))
        return 0;
    problem_errno(reterr, -r, "make a lock file for", m->path);
    return r;
}

/* The size, and a line end where the last writer left none: a separator must begin a line. */
static int find_end(struct mbox *m, struct problem *reterr)
{
    off_t end = lseek(m->fd, 0, SEEK_END);
    char last = '\n';
    int r = 0;

    if (end < 0 || (end > 0 && pread(m->fd, &last, 1, end - 1) != 1)) {
        r = errno ? -errno : -EIO;
        problem_errno(reterr, -r, "read", m->path);
        return r;
    }
    m->size = m->durable = (uint64_t)end;
    undo_begin(&m->undo, m->fd, m->size, m->dot.free ? m->dot.fd : -1, m->dot.free);
    if (last != '\n') {
        r = mbox_write(m, "\n", 1);
        if (!r)
            r = mbox_flush(m); /* a message's start is the size of the file, see mbox_undo */
        if (r < 0)
            problem_errno(reterr, -r, "write to", m->path);
    }
    return r;
}

static void let_go(struct mbox *m)
{
    if (m->dot.fd >= 0)
        lock_undot(m->path, &m->dot);
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
}

int mbox_open(struct mbox *m, const struct settings *set, const struct user *user,
              struct problem *reterr)
{
    char left[LOCK_LEFT_MAX] = "";
    int r = folder_parents(set, user, user->path);

    memcpy(m->path, user->path, sizeof m->path);
    m->fd = m->dot.fd = m->undo.fd = -1;
    m->created = m->torn = 0;
    m->size = m->durable = m->len = 0;
    if (r < 0) {
        problem_errno(reterr, -r, "make the folders of", m->path);
        return r;
    }
    for (int i = 0; i < OPEN_TRIES; i++) {
        r = open_file(m, set, user, reterr);
        if (!r)
            r = lock_both(m, set, left, reterr);
        if (!r && still_there(m)) {
            m->torn = undo_apply(left, m->fd, &m->torn_at, &m->torn_len);
            r = find_end(m, reterr);
            if (r < 0)
                mbox_close(m);
            return r;
        }
        let_go(m);
        if (r < 0)
            return r;
    }
    return -EWOULDBLOCK; /* it is being replaced all the time */
}

/* --- writing --- */

int mbox_flush(struct mbox *m)
{
    int r;

    if (!m->len)
        return 0;
    undo_note(&m->undo, m->buf, m->len);
    r = write_all(m->fd, m->buf, m->len);
    m->len = 0;
    return r;
}

int mbox_write(struct mbox *m, const void *data, size_t len)
{
    for (const char *p = data; len;) {
        size_t n = sizeof m->buf - m->len;

        if (n > len)
            n = len;
        memcpy(m->buf + m->len, p, n);
        m->size += n;
        m->len += n;
        p += n;
        len -= n;
        if (m->len == sizeof m->buf) {
            int r = mbox_flush(m);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

int mbox_undo(struct mbox *m, uint64_t size)
{
    m->len = 0;
    m->size = size;
    if (m->durable > size)
        m->durable = size;
    if (ftruncate(m->fd, (off_t)size) < 0)
        return -errno;
    undo_cut(&m->undo, m->fd, size);
    return 0;
}

/* A new file is only there for good when its folder says so. */
static int sync_folder(const struct mbox *m)
{
    char folder[PATH_MAX];
    char *slash;
    int fd, r = 0;

    memcpy(folder, m->path, strlen(m->path) + 1);
    slash = strrchr(folder, '/');
    if (!slash)
        return 0;
    *slash = '\0';
    fd = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -errno; /* a folder that we may write to, but not read */
    if (fsync(fd) < 0)
        r = -errno;
    close(fd);
    return r;
}

int mbox_sync(struct mbox *m)
{
    int r = mbox_flush(m);

    if (!r && fdatasync(m->fd) < 0)
        r = -errno;
    if (!r && m->created)
        r = sync_folder(m);
    if (!r)
        r = undo_end(&m->undo);
    if (!r) {
        m->created = 0;
        m->durable = m->size;
    }
    return r;
}

void mbox_close(struct mbox *m)
{
    if (m->size != m->durable)
        (void)mbox_undo(m, m->durable);
    let_go(m);
}
