/* tail.c: see tail.h.
 *
 * What is at the path is not trusted, since others may write to its folder and we may be root: no
 * symbolic link, no second hard link, a regular file, the right owner; and it is looked at through
 * the descriptor, not by its name. */
#include "tail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "write.h"

#define OPEN_TRIES 5 /* times that the file may be replaced under our hands */
#define OPEN_FLAGS (O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

_Static_assert(TAIL_BUF <= UNDO_LEN_MAX, "what is written at once can be noted");
_Static_assert(LOCK_LEFT_MAX >= UNDO_LINE_MAX, "a note fits into what a lock may carry");

/* Passes r on, with words for it. */
static int complain(const struct tail *t, int r, const char *what, struct problem *reterr)
{
    if (r < 0)
        problem_errno_of(reterr, t->how->errors, -r, what, t->name);
    return r;
}

/* --- opening --- */

static int check(const struct tail *t, struct problem *reterr)
{
    const char *wrong = NULL;
    struct stat st;

    if (fstat(t->fd, &st) < 0)
        return complain(t, -errno, "examine", reterr);
    if (!S_ISREG(st.st_mode))
        wrong = "is not a regular file";
    else if (st.st_nlink > 1)
        wrong = "has more than one hard link";
    else
        wrong = t->how->refuse(&st, t->how->ctx);
    if (!wrong)
        return 0;
    problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5), "the %s %s %s",
                t->how->what, t->name, wrong);
    return -EPERM;
}

static int create(struct tail *t)
{
    int r;

    t->fd = openat(t->folder, t->leaf, OPEN_FLAGS | O_CREAT | O_EXCL, t->how->mode);
    if (t->fd < 0)
        return -errno;
    t->created = 1;
    r = t->how->made(t->fd, t->how->ctx);
    if (r < 0)
        unlinkat(t->folder, t->leaf, 0);
    return r;
}

static int open_file(struct tail *t, struct problem *reterr)
{
    int r = 0;

    for (int i = 0; i < OPEN_TRIES; i++) {
        t->fd = openat(t->folder, t->leaf, OPEN_FLAGS);
        r = t->fd < 0 ? -errno : 0;
        if (r == -ENOENT && t->how->create)
            r = create(t);
        if (r != -EEXIST)
            break;
    }
    if (!r)
        return check(t, reterr);
    if (r != -ELOOP)
        return complain(t, r, "open", reterr);
    problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the %s %s is a symbolic link", t->how->what, t->name);
    return r;
}

/* A program that rewrites a file renames another one over it: a lock on the old is worthless. */
static int still_there(const struct tail *t)
{
    struct stat by_name, by_fd;

    return fstatat(t->folder, t->leaf, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
        fstat(t->fd, &by_fd) == 0 && by_name.st_ino == by_fd.st_ino &&
        by_name.st_dev == by_fd.st_dev;
}

static int lock_both(struct tail *t, char left[LOCK_LEFT_MAX], struct problem *reterr)
{
    int r = lock_file(t->fd);

    if (r < 0)
        return r == -EWOULDBLOCK ? r : complain(t, r, "lock", reterr);
    if (t->how->dot_lock == DOT_NO)
        return 0;
    r = lock_dot(t->locked, t->how->lock_stale, &t->dot, left);
    if (r == -EWOULDBLOCK || !r)
        return r;
    if (t->how->dot_lock == DOT_TRY && (r == -EACCES || r == -EPERM || r == -EROFS))
        return 0;
    return complain(t, r, "make a lock file for", reterr);
}

/* The size; and a line's end where the last writer left none. */
static int find_end(struct tail *t, struct problem *reterr)
{
    off_t end = lseek(t->fd, 0, SEEK_END);
    char last = '\n';
    int r = 0;

    errno = 0;
    if (end < 0 || (end > 0 && pread(t->fd, &last, 1, end - 1) != 1))
        return complain(t, errno ? -errno : -EIO, "read", reterr);
    t->size = t->durable = (uint64_t)end;
    undo_begin(&t->undo, t->fd, t->size, t->dot.free ? t->dot.fd : -1, t->dot.free);
    if (last != '\n' && t->how->lines) {
        r = tail_write(t, "\n", 1);
        if (!r)
            r = tail_flush(t); /* a message's start is the size of the file, see tail_undo */
    }
    return complain(t, r, "write to", reterr);
}

static void let_go(struct tail *t)
{
    if (t->dot.fd >= 0)
        lock_undot(t->locked, &t->dot);
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

void tail_init(struct tail *t, const struct tail_how *how)
{
    t->how = how;
    t->fd = t->dot.fd = t->undo.fd = -1;
    t->created = t->torn = 0;
    t->size = t->durable = t->len = 0;
}

int tail_open(struct tail *t, struct problem *reterr)
{
    char left[LOCK_LEFT_MAX] = "";
    int r = 0;

    for (int i = 0; i < OPEN_TRIES; i++) {
        r = open_file(t, reterr);
        if (!r)
            r = lock_both(t, left, reterr);
        if (!r && still_there(t)) {
            t->torn = undo_apply(left, t->fd, &t->torn_at, &t->torn_len);
            r = find_end(t, reterr);
            if (r < 0)
                tail_close(t);
            return r;
        }
        let_go(t);
        if (r < 0)
            return r;
    }
    return -EWOULDBLOCK; /* it is being replaced all the time */
}

/* --- writing --- */

int tail_flush(struct tail *t)
{
    int r;

    if (!t->len)
        return 0;
    undo_note(&t->undo, t->buf, t->len);
    r = write_all(t->fd, t->buf, t->len);
    t->len = 0;
    return r;
}

int tail_write(struct tail *t, const void *data, size_t len)
{
    for (const char *p = data; len;) {
        size_t n = sizeof t->buf - t->len;

        if (n > len)
            n = len;
        memcpy(t->buf + t->len, p, n);
        t->size += n;
        t->len += n;
        p += n;
        len -= n;
        if (t->len == sizeof t->buf) {
            int r = tail_flush(t);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

int tail_undo(struct tail *t, uint64_t size)
{
    t->len = 0;
    t->size = size;
    if (t->durable > size)
        t->durable = size;
    if (ftruncate(t->fd, (off_t)size) < 0)
        return -errno;
    undo_cut(&t->undo, t->fd, size);
    return 0;
}

/* A new file is only there for good when its folder says so. */
static int sync_folder(const struct tail *t)
{
    char path[PATH_MAX];
    const char *slash = strrchr(t->leaf, '/');
    size_t len = slash ? (size_t)(slash - t->leaf) + 1 : 0; /* with the slash, for "/" itself */
    int fd, r = 0;

    if (!len)
        return t->folder >= 0 && fsync(t->folder) < 0 ? -errno : 0;
    if (len >= sizeof path)
        return -ENAMETOOLONG;
    memcpy(path, t->leaf, len);
    path[len] = '\0';
    fd = openat(t->folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -errno; /* a folder that we may write to, but not read */
    if (fsync(fd) < 0)
        r = -errno;
    close(fd);
    return r;
}

int tail_sync(struct tail *t)
{
    int r = tail_flush(t);

    if (!r && fdatasync(t->fd) < 0)
        r = -errno;
    if (!r && t->created)
        r = sync_folder(t);
    if (!r)
        r = undo_end(&t->undo);
    if (!r) {
        t->created = 0;
        t->durable = t->size;
    }
    return r;
}

void tail_close(struct tail *t)
{
    if (t->fd >= 0 && t->size != t->durable)
        (void)tail_undo(t, t->durable);
    let_go(t);
}
