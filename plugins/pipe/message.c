/* message.c: see message.h.
 *
 * A small message is given in memory, a large one in a file without a name. A file with a name is
 * locked as long as the worker that made it lives, so that others can tell what has been left by
 * one that was killed. */
#include "message.h"
#include "../common/write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_MAX (1024u * 1024) /* larger messages go through a file           */
#define READ_MAX   16384u         /* also as much as is searched for Delivered-To */
#define PREFIX     "postern-pipe-"
#define SUFFIX     ".eml"
#define SWEEP_AGE  60 /* seconds: a file younger than that may not be locked yet */
#define FIRST_FD   3  /* below it the child's own begin */

struct writer {
    int fd;
    struct postern_lines lines;
    char in[READ_MAX];
    char out[POSTERN_LINES_ROOM(READ_MAX)];
};

/* --- the file --- */

int message_name(const char *folder, char *buf, size_t size)
{
    uint64_t random;
    int n;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        return -EAGAIN;
    n = snprintf(buf, size, "%s/" PREFIX "%016llx" SUFFIX, folder, (unsigned long long)random);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* In memory, or, for more than that, in a file that has no name (any more). */
static int open_nameless(const struct run *run)
{
    char name[sizeof run->file];
    int fd, r;

    if (run->size <= MEMORY_MAX)
        return memfd_create("message", MFD_CLOEXEC);
    fd = open(run->pipe->set->tmp, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    r = message_name(run->pipe->set->tmp, name, sizeof name);
    if (r < 0) {
        errno = -r;
        return -1;
    }
    fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        unlink(name);
    return fd;
}

static int open_named(struct run *run)
{
    int fd = open(run->file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int err = errno;

        unlink(run->file);
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

/* It is the command's user who reads it, and may delete it. */
static int open_file(struct run *run)
{
    const struct account *a = &run->pipe->account;
    int low = *run->file ? open_named(run) : open_nameless(run), fd, r = 0;

    if (low < 0)
        return -errno;
    fd = low;
    if (low < FIRST_FD) {
        fd = fcntl(low, F_DUPFD_CLOEXEC, FIRST_FD);
        r = fd < 0 ? -errno : 0;
        close(low);
    }
    if (!r && a->other && fchown(fd, a->uid, a->gid) < 0) {
        r = -errno;
        close(fd);
    }
    if (r < 0 && *run->file)
        unlink(run->file);
    return r < 0 ? r : fd;
}

/* --- the message --- */

static int64_t read_guarded(struct run *run, uint64_t at, void *buf, size_t len)
{
    int64_t n = -ECANCELED;

    pthread_mutex_lock(&run->lock);
    if (!run->cancelled)
        n = run->pipe->svc->content_read(run->content, at, buf, len);
    pthread_mutex_unlock(&run->lock);
    return n;
}

static int write_head(const struct run *run, struct writer *w)
{
    const struct settings *set = run->pipe->set;
    const char *end = set->line_ends == ENDS_CRLF ? "\r\n" : "\n";
    char line[POSTERN_MBOX_FROM_MAX];
    size_t n;
    int r = 0;

    if (set->from_line) {
        n = postern_mbox_from(run->sender, time(NULL), line, sizeof line);
        r = write_all(w->fd, line, n);
    }
    if (!r && set->return_path) {
        snprintf(line, sizeof line, "Return-Path: <%s>%s", run->sender, end);
        r = write_all(w->fd, line, strlen(line));
    }
    if (!r && set->delivered_to && run->rcpt) {
        snprintf(line, sizeof line, "Delivered-To: %s%s", run->rcpt, end);
        r = write_all(w->fd, line, strlen(line));
    }
    return r;
}

static int write_piece(const struct run *run, struct writer *w, size_t len)
{
    if (run->pipe->set->line_ends == ENDS_CRLF)
        return write_all(w->fd, w->in, len);
    return write_all(w->fd, w->out, postern_lines_add(&w->lines, w->in, len, w->out));
}

/* -ELOOP: it has been here before. */
static int write_content(struct run *run, struct writer *w)
{
    const struct settings *set = run->pipe->set;
    uint64_t at = 0;
    int64_t n;
    int r;

    while ((n = read_guarded(run, at, w->in, sizeof w->in)) > 0) {
        if (!at && set->delivered_to && run->rcpt &&
            postern_field_holds(w->in, (size_t)n, "Delivered-To", run->rcpt))
            return -ELOOP;
        r = write_piece(run, w, (size_t)n);
        if (r < 0)
            return r;
        at += (uint64_t)n;
    }
    if (n < 0)
        return (int)n;
    if (at != run->size)
        return -EIO;
    if (set->line_ends == ENDS_CRLF)
        return 0;
    return write_all(w->fd, w->out, postern_lines_end(&w->lines, w->out));
}

static int fill(struct run *run, int fd)
{
    const struct settings *set = run->pipe->set;
    struct writer *w = malloc(sizeof *w);
    int r;

    if (!w)
        return -ENOMEM;
    w->fd = fd;
    w->lines = (struct postern_lines){ .size = sizeof w->lines };
    w->lines.flags |= set->quote_from ? POSTERN_LINES_QUOTE : 0;
    w->lines.flags |= set->from_line ? POSTERN_LINES_GAP : 0;
    r = write_head(run, w);
    if (!r)
        r = write_content(run, w);
    if (!r && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    free(w);
    return r;
}

static void complain(struct run *run, int r)
{
    if (r == -ELOOP)
        problem_set(&run->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 4, 6),
                    "mail for %s loops: it was delivered to this address before", run->rcpt);
    else
        problem_errno(&run->problem, -r, "make a temporary file of the message in",
                      run->pipe->set->tmp);
}

int message_make(struct run *run)
{
    int fd = open_file(run), r;

    if (fd < 0) {
        *run->file = '\0'; /* it is not ours, if there is one */
        complain(run, fd);
        return fd;
    }
    r = fill(run, fd);
    if (r < 0) {
        close(fd);
        message_remove(run);
        complain(run, r);
        return r;
    }
    if (*run->file)
        run->lock_fd = fd;
    else
        run->in = fd;
    return 0;
}

void message_remove(struct run *run)
{
    if (*run->file)
        unlink(run->file); /* gone already when the command did it */
    *run->file = '\0';
    if (run->lock_fd >= 0)
        close(run->lock_fd);
    run->lock_fd = -1;
}

/* --- what others have left --- */

static int is_ours(const char *name)
{
    size_t len = strlen(name);

    return len == strlen(PREFIX) + 16 + strlen(SUFFIX) && !strncmp(name, PREFIX, strlen(PREFIX)) &&
        !strcmp(name + len - strlen(SUFFIX), SUFFIX);
}

static void sweep_one(int folder, const char *name, uid_t command_uid)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && time(NULL) - st.st_mtime > SWEEP_AGE &&
        (st.st_uid == geteuid() || st.st_uid == command_uid) && flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(folder, name, 0);
    close(fd);
}

void message_sweep(const char *folder, uid_t command_uid)
{
    DIR *d = opendir(folder);
    struct dirent *e;

    if (!d)
        return;
    while ((e = readdir(d))) {
        if (is_ours(e->d_name))
            sweep_one(dirfd(d), e->d_name, command_uid);
    }
    closedir(d);
}
