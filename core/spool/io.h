/* spool/io.h: the few file system calls the spool makes, as a table, so that tests can stand a disk
 * below it that fills up, fails, tears writes and forgets what was not synced. Returns as the
 * system calls do, but -errno instead of -1. A folder is opened with
 * open(AT_FDCWD, path, O_DIRECTORY). Any thread; descriptors are real ones, since content backed by
 * a file is read with pread(2). */
#ifndef SPOOL_IO_H
#define SPOOL_IO_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

struct spool_io {
    void *ctx;
    int (*open)(void *ctx, int dir, const char *name, int flags, mode_t mode);
    ssize_t (*pwritev)(void *ctx, int fd, const struct iovec *iov, int n, off_t at);
    ssize_t (*pread)(void *ctx, int fd, void *buf, size_t len, off_t at);
    int (*fdatasync)(void *ctx, int fd);
    int (*fsync_dir)(void *ctx, int dir);
    int (*ftruncate)(void *ctx, int fd, off_t size);
    int (*fallocate)(void *ctx, int fd, off_t size);
    int (*unlink)(void *ctx, int dir, const char *name);
    int (*rename)(void *ctx, int dir, const char *from, const char *to);
    /* To another folder, where the name must be free: -EEXIST. Folders can be moved, too. */
    int (*move)(void *ctx, int dir, const char *from, int to_dir, const char *to);
    int (*close)(void *ctx, int fd);
    int64_t (*free_bytes)(void *ctx, int dir);
    int64_t (*size)(void *ctx, int fd);
    int (*mkdir)(void *ctx, int dir, const char *name, mode_t mode);
    int (*rmdir)(void *ctx, int dir, const char *name);
    /* One more name, in another folder, for a file. */
    int (*link)(void *ctx, int dir, const char *name, int to_dir, const char *to);
    int (*stat)(void *ctx, int dir, const char *name, struct stat *ret); /* of a link: the link */
    int (*chmod)(void *ctx, int dir, const char *name, mode_t mode);
    int (*chown)(void *ctx, int dir, const char *name, uid_t owner); /* the group stays */
    /* Takes the advisory lock of fd, until it is closed; does not wait: -EAGAIN, it is taken. */
    int (*lock)(void *ctx, int fd, int exclusive);
    /* Calls each with the names in a folder, "." and ".." left out. */
    int (*list)(void *ctx, int dir, void (*each)(void *each_ctx, const char *name), void *each_ctx);
};

extern const struct spool_io spool_io_real;

#endif
