/* target.c: see target.h.
 *
 * The kernel sees to it that the path stays below the root, whatever somebody else renames or links
 * in there meanwhile (openat2). The folder of the file is held open, and everything else is done by
 * way of it: by a name without a slash, or, for the locks, by "/proc/self/fd/FOLDER/NAME". */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

    t->tail.folder = -1;
    if (root < 0) {
        int err = errno;

        problem_errno(reterr, err, "open the root", name->root);
        reterr->cause = POSTERN_CAUSE_PLUGIN;
        return -err;
    }
    t->tail.leaf = slash ? slash + 1 : name->path;
    snprintf(path, sizeof path, "%.*s", slash ? (int)(slash - name->path) : 1,
             slash ? name->path : ".");
    t->tail.folder = open_beneath(root, path);
    if (t->tail.folder == -ENOENT && set->make_folders)
        t->tail.folder = make_folders(set, root, path);
    close(root);
    if (t->tail.folder < 0) {
        complain_open(t, t->tail.folder, reterr);
        return t->tail.folder;
    }
    return 0;
}

/* --- the file --- */

static const char *refuse(const struct stat *st, const void *ctx)
{
    (void)ctx;
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return "belongs to somebody else";
    return st->st_mode & S_IWOTH ? "can be written by everybody" : NULL;
}

static int made(int fd, const void *ctx)
{
    const struct target *t = ctx;

    return fchmod(fd, t->mode) < 0 ? -errno : 0; /* whatever the umask is */
}

int target_open(struct target *t, const struct settings *set, const struct file_name *name,
                struct problem *reterr)
{
    int r;

    t->mode = (mode_t)file_mode(set->mode);
    t->how = (struct tail_how){
        .what = "file",
        .dot_lock = set->dot_lock,
        .lock_stale = set->lock_stale,
        .lines = set->format == FORMAT_MBOX,
        .create = set->create != 0,
        .mode = t->mode,
        .made = made,
        .refuse = refuse,
        .ctx = t,
    };
    tail_init(&t->tail, &t->how);
    snprintf(t->name, sizeof t->name, "%s/%s", name->root, name->path);
    r = open_folder(t, set, name, reterr);
    if (!r) {
        snprintf(t->locked, sizeof t->locked, "/proc/self/fd/%d/%s", t->tail.folder, t->tail.leaf);
        t->tail.name = t->name;
        t->tail.locked = t->locked;
        r = tail_open(&t->tail, reterr);
    }
    if (r < 0)
        target_close(t);
    return r;
}

void target_close(struct target *t)
{
    tail_close(&t->tail);
    if (t->tail.folder >= 0)
        close(t->tail.folder);
    t->tail.folder = -1;
}
