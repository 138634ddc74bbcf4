/* spool/io.c: the real file system. See io.h. */
#include "spool/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A quota is a disk that is full for us. */
static int fault(void)
{
    return errno == EDQUOT ? -ENOSPC : -errno;
}

static int real_open(void *ctx, int dir, const char *name, int flags, mode_t mode)
{
    int fd;

    (void)ctx;
    do
        fd = openat(dir, name, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? fault() : fd;
}

static ssize_t real_pwritev(void *ctx, int fd, const struct iovec *iov, int n, off_t at)
{
    ssize_t r;

    (void)ctx;
    do
        r = pwritev(fd, iov, n, at);
    while (r < 0 && errno == EINTR);
    return r < 0 ? fault() : r;
}

static ssize_t real_pread(void *ctx, int fd, void *buf, size_t len, off_t at)
{
    ssize_t r;

    (void)ctx;
    do
        r = pread(fd, buf, len, at);
    while (r < 0 && errno == EINTR);
    return r < 0 ? fault() : r;
}

/* fdatasync is not repeated after EINTR or any failure: the kernel may have dropped the dirty pages
 * and say 0 the second time. The caller leaves the file instead. */
static int real_fdatasync(void *ctx, int fd)
{
    (void)ctx;
    return fdatasync(fd) < 0 ? fault() : 0;
}

static int real_fsync_dir(void *ctx, int dir)
{
    (void)ctx;
    return fsync(dir) < 0 ? fault() : 0;
}

static int real_ftruncate(void *ctx, int fd, off_t size)
{
    (void)ctx;
    return ftruncate(fd, size) < 0 ? fault() : 0;
}

static int real_fallocate(void *ctx, int fd, off_t size)
{
    (void)ctx;
    errno = posix_fallocate(fd, 0, size); /* writes zeros where the file system knows no better */
    return errno ? fault() : 0;
}

static int real_unlink(void *ctx, int dir, const char *name)
{
    (void)ctx;
    return unlinkat(dir, name, 0) < 0 ? fault() : 0;
}

static int real_rename(void *ctx, int dir, const char *from, const char *to)
{
    (void)ctx;
    return renameat(dir, from, dir, to) < 0 ? fault() : 0;
}

static int real_move(void *ctx, int dir, const char *from, int to_dir, const char *to)
{
    struct stat st;

    (void)ctx;
    if (!renameat2(dir, from, to_dir, to, RENAME_NOREPLACE))
        return 0;
    if (errno != EINVAL)
        return fault();
    /* A file system that can't say "unless it is there". The folders are ours alone. */
    if (!fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW))
        return -EEXIST;
    return renameat(dir, from, to_dir, to) < 0 ? fault() : 0;
}

static int real_close(void *ctx, int fd)
{
    (void)ctx;
    return close(fd) < 0 ? fault() : 0;
}

static int64_t real_free_bytes(void *ctx, int dir)
{
    struct statvfs st;

    (void)ctx;
    if (fstatvfs(dir, &st) < 0)
        return -errno;
    return (int64_t)st.f_bavail * (int64_t)st.f_frsize;
}

static int64_t real_size(void *ctx, int fd)
{
    struct stat st;

    (void)ctx;
    return fstat(fd, &st) < 0 ? fault() : (int64_t)st.st_size;
}

static int real_mkdir(void *ctx, int dir, const char *name, mode_t mode)
{
    (void)ctx;
    return mkdirat(dir, name, mode) < 0 ? fault() : 0;
}

static int real_rmdir(void *ctx, int dir, const char *name)
{
    (void)ctx;
    return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? fault() : 0;
}

static int real_link(void *ctx, int dir, const char *name, int to_dir, const char *to)
{
    (void)ctx;
    return linkat(dir, name, to_dir, to, 0) < 0 ? fault() : 0;
}

static int real_stat(void *ctx, int dir, const char *name, struct stat *ret)
{
    (void)ctx;
    return fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW) < 0 ? fault() : 0;
}

static int real_chmod(void *ctx, int dir, const char *name, mode_t mode)
{
    (void)ctx;
    return fchmodat(dir, name, mode, 0) < 0 ? fault() : 0;
}

static int real_chown(void *ctx, int dir, const char *name, uid_t owner)
{
    (void)ctx;
    return fchownat(dir, name, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 ? fault() : 0;
}

static int real_lock(void *ctx, int fd, int exclusive)
{
    (void)ctx;
    if (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    return 0;
}

static int real_list(void *ctx, int dir, void (*each)(void *each_ctx, const char *name),
                     void *each_ctx)
{
    /* A descriptor of its own: reading a folder moves an offset that dup() would share. */
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *d;
    int r;

    (void)ctx;
    if (!folder) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    /* cppcheck-suppress readdirCalled ; the stream is ours alone */
    for (errno = 0; (d = readdir(folder)); errno = 0) {
        if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
            each(each_ctx, d->d_name);
    }
    r = -errno;
    closedir(folder);
    return r;
}

const struct spool_io spool_io_real = {
    .open = real_open,
    .pwritev = real_pwritev,
    .pread = real_pread,
    .fdatasync = real_fdatasync,
    .fsync_dir = real_fsync_dir,
    .ftruncate = real_ftruncate,
    .fallocate = real_fallocate,
    .unlink = real_unlink,
    .rename = real_rename,
    .move = real_move,
    .close = real_close,
    .free_bytes = real_free_bytes,
    .size = real_size,
    .mkdir = real_mkdir,
    .rmdir = real_rmdir,
    .link = real_link,
    .stat = real_stat,
    .chmod = real_chmod,
    .chown = real_chown,
    .lock = real_lock,
    .list = real_list,
};
