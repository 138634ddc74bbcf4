/* Loaded below a gateway by the system tests (LD_PRELOAD): a disk that fails and a clock that is
 * wrong, when the test says so.
 *
 * FAULTS_CONTROL names a file of struct control, which the test writes while the gateway runs;
 * FAULTS_FOLDER a folder: only what lies below it fails. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Known to harness/faults.py, too. The first six: the errno of each such call; 0: it works. */
struct control {
    _Atomic int32_t write, sync, open, rename, unlink, cut;
    _Atomic int32_t met, unused; /* how many calls have failed */
    _Atomic int64_t clock;       /* seconds the wall clock is ahead */
};

static struct control none, *control = &none;
static const char *folder;
static size_t folder_len;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULTS_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p = fd < 0 ? MAP_FAILED
                     : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    folder = getenv("FAULTS_FOLDER");
    folder_len = folder ? strlen(folder) : 0;
    if (p == MAP_FAILED || !folder_len) {
        static const char what[] = "faults: FAULTS_CONTROL or FAULTS_FOLDER can't be used\n";

        if (write(STDERR_FILENO, what, sizeof what - 1) < 0)
            abort();
        abort();
    }
    control = p;
}

#define REAL(ret, name, ...) \
    static ret (*real)(__VA_ARGS__); \
    if (!real) \
    *(void **)&real = dlsym(RTLD_NEXT, name)

static int below(const char *path)
{
    return folder_len && !strncmp(path, folder, folder_len);
}

static int fd_below(int fd)
{
    char link[64], path[4096];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return below(path);
}

/* A name in a folder, as openat(2) takes them. */
static int name_below(int dir, const char *name)
{
    return *name == '/' ? below(name) : dir != AT_FDCWD && fd_below(dir);
}

static int fails(int32_t error)
{
    atomic_fetch_add(&control->met, 1);
    errno = error;
    return -1;
}

#define FAIL_FD(what, fd) \
    do { \
        int32_t error = control->what; \
        if (error && fd_below(fd)) \
            return fails(error); \
    } while (0)
#define FAIL_NAME(what, dir, name) \
    do { \
        int32_t error = control->what; \
        if (error && name_below(dir, name)) \
            return fails(error); \
    } while (0)

/* --- the disk --- */

ssize_t write(int fd, const void *buf, size_t len)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    FAIL_FD(write, fd);
    return real(fd, buf, len);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    FAIL_FD(write, fd);
    return real(fd, buf, len, at);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
    FAIL_FD(write, fd);
    return real(fd, iov, n, at);
}

int ftruncate(int fd, off_t size)
{
    REAL(int, "ftruncate", int, off_t);
    FAIL_FD(cut, fd);
    return real(fd, size);
}

int fdatasync(int fd)
{
    REAL(int, "fdatasync", int);
    FAIL_FD(sync, fd);
    return real(fd);
}

int fsync(int fd)
{
    REAL(int, "fsync", int);
    FAIL_FD(sync, fd);
    return real(fd);
}

/* Only what is opened to be written. */
int openat(int dir, const char *name, int flags, ...)
{
    REAL(int, "openat", int, const char *, int, ...);
    mode_t mode = 0;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list ap;

        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    if (flags & (O_WRONLY | O_RDWR))
        FAIL_NAME(open, dir, name);
    return real(dir, name, flags, mode);
}

/* What programs call that were built for large files. */
#define ALIAS(name) __attribute__((alias(#name)))
ssize_t pwrite64(int fd, const void *buf, size_t len, off_t at) ALIAS(pwrite);
ssize_t pwritev64(int fd, const struct iovec *iov, int n, off_t at) ALIAS(pwritev);
int ftruncate64(int fd, off_t size) ALIAS(ftruncate);
int openat64(int dir, const char *name, int flags, ...) ALIAS(openat);

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *);
    FAIL_NAME(rename, AT_FDCWD, to);
    return real(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    REAL(int, "renameat", int, const char *, int, const char *);
    FAIL_NAME(rename, to_dir, to);
    return real(from_dir, from, to_dir, to);
}

int unlink(const char *name)
{
    REAL(int, "unlink", const char *);
    FAIL_NAME(unlink, AT_FDCWD, name);
    return real(name);
}

int unlinkat(int dir, const char *name, int flags)
{
    REAL(int, "unlinkat", int, const char *, int);
    FAIL_NAME(unlink, dir, name);
    return real(dir, name, flags);
}

/* --- the wall clock --- */

int clock_gettime(clockid_t id, struct timespec *ret)
{
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int r = real(id, ret);

    if (r == 0 && id == CLOCK_REALTIME)
        ret->tv_sec += control->clock;
    return r;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    REAL(int, "gettimeofday", struct timeval *, void *);
    int r = real(ret, zone);

    if (r == 0)
        ret->tv_sec += control->clock;
    return r;
}

time_t time(time_t *ret)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}
