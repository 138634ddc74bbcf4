/* target.c: see target.h.
 *
 * The kernel sees to it that the path stays below the root, whatever somebody else renames or links
 * in there meanwhile (openat2). The folder of the file is held open, and everything else is done by
 * way of it: by a name without a slash, or, for the locks, by "/proc/self/fd/FOLDER/NAME". */
#include "target.h"
#include "../common/write.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_TRIES 5 /* times that the file may be replaced under our hands */
#define OPEN_FLAGS (O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

_Static_assert(TARGET_BUF <= UNDO_LEN_MAX, "what is written at once can be noted");
_Static_assert(LOCK_LEFT_MAX >= UNDO_LINE_MAX, "a note fits into what a lock may carry");

/* --- folders --- */

static int open_beneath(int root, const char *path)
{
    struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                            .resolve =
                                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    long fd = syscall(SYS_openat2, root, path, &how, sizeof how);

    return fd < 0 ? -errno : (int)fd;
}

/* A folder that may be read by whom may read the file may be searched by him. */
static mode_t folder_mode(const struct settings *set)
{
    mode_t mode = (mode_t)file_mode(set->mode);

    return 0700 | mode | ((mode & 0444) >> 2);
}

/* Makes what is missing of the path, a component at a time. */
static int make_folders(const struct settings *set, int root, const char *path)
{
    char part[FILE_PATH_MAX];
    size_t at = 0;
    int up = open_beneath(root, "."), r = up < 0 ? up : 0;

    while (!r && path[at]) {
        size_t len = strcspn(path + at, "/");
        int down;

        memcpy(part, path + at, len);
        part[len] = '\0';
        if (mkdirat(up, part, folder_mode(set)) == 0)
            r = fsync(up) < 0 ? -errno : 0;
        else if (errno != EEXIST)
            r = -errno;
        down = r < 0 ? r : open_beneath(up, part);
        close(up);
        up = down;
        r = down < 0 ? down : 0;
        at += len + (path[at + len] == '/');
    }
    return r < 0 ? r : up;
}

static void complain_open(const struct target *t, int r, struct problem *reterr)
{
    if (r == -ELOOP || r == -EXDEV)
        problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                    "the path %s has a symbolic link in it", t->name);
    else if (r == -ENOSYS)
        problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_PLUGIN, STATUS(4, 3, 5),
                    "cannot open %s safely: this kernel has no openat2 (Linux 5.6)", t->name);
    else
        problem_errno(reterr, -r, "open", t->name);
}

/* leaf: the name without its folders, in name->path. */
static int open_folder(struct target *t, const struct settings *set, const struct file_name *name,
                       struct problem *reterr)
{
    char path[FILE_PATH_MAX];
    const char *slash = strrchr(name->path, '/');
    int root = open(name->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root < 0) {
        int err = errno;

        problem_errno(reterr, err, "open the root", name->root);
        reterr->cause = POSTERN_CAUSE_PLUGIN;
        return -err;
    }
    t->leaf = slash ? slash + 1 : name->path;
    snprintf(path, sizeof path, "%.*s", slash ? (int)(slash - name->path) : 1,
             slash ? name->path : ".");
    t->folder = open_beneath(root, path);
    if (t->folder == -ENOENT && set->make_folders)
        t->folder = make_folders(set, root, path);
    close(root);
    if (t->folder < 0) {
        complain_open(t, t->folder, reterr);
        return t->folder;
    }
    return 0;
}

/* --- the file --- */

static int check_file(const struct target *t, struct problem *reterr)
{
    const char *what = NULL;
    struct stat st;

    if (fstat(t->fd, &st) < 0) {
        int err = errno;

        problem_errno(reterr, err, "examine", t->name);
        return -err;
    }
    if (!S_ISREG(st.st_mode))
        what = "is not a regular file";
    else if (st.st_nlink > 1)
        what = "has more than one hard link";
    else if (st.st_uid != geteuid() && st.st_uid != 0)
        what = "belongs to somebody else";
    else if (st.st_mode & S_IWOTH)
        what = "can be written by everybody";
    if (!what)
        return 0;
    problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the file %s %s", t->name, what);
    return -EPERM;
}

static int create(struct target *t, const struct settings *set)
{
    mode_t mode = (mode_t)file_mode(set->mode);

    t->fd = openat(t->folder, t->leaf, OPEN_FLAGS | O_CREAT | O_EXCL, mode);
    if (t->fd < 0)
        return -errno;
    t->created = 1;
    return fchmod(t->fd, mode) < 0 ? -errno : 0; /* whatever the umask is */
}

static int open_file(struct target *t, const struct settings *set, struct problem *reterr)
{
    int r = 0;

    for (int i = 0; i < OPEN_TRIES; i++) {
        t->fd = openat(t->folder, t->leaf, OPEN_FLAGS);
        r = t->fd < 0 ? -errno : 0;
        if (r == -ENOENT && set->create)
            r = create(t, set);
        if (r != -EEXIST)
            break;
    }
    if (!r)
        return check_file(t, reterr);
    complain_open(t, r, reterr);
    return r;
}

/* A program that rewrites a file renames another one over it: a lock on the old is worthless. */
static int still_there(const struct target *t)
{
    struct stat by_name, by_fd;

    return fstatat(t->folder, t->leaf, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
        fstat(t->fd, &by_fd) == 0 && by_name.st_ino == by_fd.st_ino &&
        by_name.st_dev == by_fd.st_dev;
}

static int lock_both(struct target *t, const struct settings *set, char left[LOCK_LEFT_MAX],
                     struct problem *reterr)
{
    int r = lock_file(t->fd);

    if (r < 0) {
        if (r != -EWOULDBLOCK)
            problem_errno(reterr, -r, "lock", t->name);
        return r;
    }
    if (set->dot_lock == DOT_NO)
        return 0;
    r = lock_dot(t->locked, set->lock_stale, &t->dot, left);
    if (r == -EWOULDBLOCK || !r)
        return r;
    if (set->dot_lock == DOT_TRY && (r == -EACCES || r == -EPERM || r == -EROFS))
        return 0;
    problem_errno(reterr, -r, "make a lock file for", t->name);
    return r;
}

/* The size, and, in an mbox, a line end where the last writer left none. */
static int find_end(struct target *t, const struct settings *set, struct problem *reterr)
{
    off_t end = lseek(t->fd, 0, SEEK_END);
    char last = '\n';
    int r = 0;

    errno = 0;
    if (end < 0 || (end > 0 && pread(t->fd, &last, 1, end - 1) != 1)) {
        r = errno ? -errno : -EIO;
        problem_errno(reterr, -r, "read", t->name);
        return r;
    }
    t->size = t->durable = (uint64_t)end;
    undo_begin(&t->undo, t->fd, t->size, t->dot.free ? t->dot.fd : -1, t->dot.free);
    if (last != '\n' && set->format == FORMAT_MBOX) {
        r = target_write(t, "\n", 1);
        if (!r)
            r = target_flush(t); /* a message's start is the size of the file, see target_undo */
        if (r < 0)
            problem_errno(reterr, -r, "write to", t->name);
    }
    return r;
}

static void let_go(struct target *t)
{
    if (t->dot.fd >= 0)
        lock_undot(t->locked, &t->dot);
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

static int open_locked(struct target *t, const struct settings *set, struct problem *reterr)
{
    char left[LOCK_LEFT_MAX] = "";
    int r = 0;

    for (int i = 0; i < OPEN_TRIES; i++) {
        r = open_file(t, set, reterr);
        if (!r)
            r = lock_both(t, set, left, reterr);
        if (!r && still_there(t)) {
            t->torn = undo_apply(left, t->fd, &t->torn_at, &t->torn_len);
            return find_end(t, set, reterr);
        }
        let_go(t);
        if (r < 0)
            return r;
    }
    return -EWOULDBLOCK; /* it is being replaced all the time */
}

int target_open(struct target *t, const struct settings *set, const struct file_name *name,
                struct problem *reterr)
{
    int r;

    t->folder = t->fd = t->dot.fd = t->undo.fd = -1;
    t->created = t->torn = 0;
    t->size = t->durable = t->len = 0;
    snprintf(t->name, sizeof t->name, "%s/%s", name->root, name->path);
    r = open_folder(t, set, name, reterr);
    if (!r) {
        snprintf(t->locked, sizeof t->locked, "/proc/self/fd/%d/%s", t->folder, t->leaf);
        r = open_locked(t, set, reterr);
    }
    if (r < 0)
        target_close(t);
    return r;
}

/* --- writing --- */

int target_flush(struct target *t)
{
    int r;

    if (!t->len)
        return 0;
    undo_note(&t->undo, t->buf, t->len);
    r = write_all(t->fd, t->buf, t->len);
    t->len = 0;
    return r;
}

int target_write(struct target *t, const void *data, size_t len)
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
            int r = target_flush(t);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

int target_undo(struct target *t, uint64_t size)
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

int target_sync(struct target *t)
{
    int r = target_flush(t);

    if (!r && fdatasync(t->fd) < 0)
        r = -errno;
    if (!r && t->created && fsync(t->folder) < 0) /* the file is there when its folder says so */
        r = -errno;
    if (!r)
        r = undo_end(&t->undo);
    if (!r) {
        t->created = 0;
        t->durable = t->size;
    }
    return r;
}

void target_close(struct target *t)
{
    if (t->fd >= 0 && t->size != t->durable)
        (void)target_undo(t, t->durable);
    let_go(t);
    if (t->folder >= 0)
        close(t->folder);
    t->folder = -1;
}
