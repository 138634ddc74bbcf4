/* quota.c: see quota.h.
 *
 * A mailbox is measured each time a batch is written to it, not remembered: others take mail out of
 * it. That means to read an mbox through where messages are limited, and to list the folders of a
 * Maildir, whose file names carry their sizes ("S=", Maildir++). */
#include "quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX    65536u
#define FOLDERS_MAX 10000u /* of one Maildir that are looked into */

int quota_counts(const struct settings *set)
{
    return set->quota == QUOTA_RESPECT && set->max_messages > 0;
}

int quota_limits(const struct settings *set)
{
    return set->quota == QUOTA_RESPECT && (set->max_messages > 0 || set->max_size > 0);
}

static void full(const struct settings *set, struct problem *ret, const char *what, uint64_t used,
                 uint64_t max)
{
    int refuse = set->full == FULL_REFUSE;

    problem_set(ret, refuse ? POSTERN_FAILED : POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT,
                refuse ? STATUS(5, 2, 2) : STATUS(4, 2, 2),
                "the mailbox is full (%llu of %llu %s are used)", (unsigned long long)used,
                (unsigned long long)max, what);
}

int quota_check(const struct settings *set, const struct quota *used, uint64_t bytes,
                struct problem *ret)
{
    uint64_t max = (uint64_t)set->max_size, most = (uint64_t)set->max_messages;

    if (set->quota == QUOTA_IGNORE)
        return 0;
    if (max && bytes > max)
        problem_set(ret, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 2, 3),
                    "the message is larger than a mailbox may be (%llu bytes)",
                    (unsigned long long)max);
    else if (max && used->bytes > max - bytes)
        full(set, ret, "bytes", used->bytes, max);
    else if (most && used->messages >= most)
        full(set, ret, "messages", used->messages, most);
    else
        return 0;
    return -EDQUOT;
}

void quota_errno(const struct settings *set, struct problem *p, int err, const char *what,
                 const char *path)
{
    mailbox_errno(p, err, what, path);
    if (err == EDQUOT && set->full == FULL_REFUSE) {
        p->fate = POSTERN_FAILED;
        memcpy(p->status, STATUS(5, 2, 2), sizeof p->status);
    }
}

/* --- mbox --- */

/* Counts lines that begin with "From ". at: how much of that the line so far has; -1: it is
 * another line. */
static uint64_t count(const char *data, size_t len, int *at)
{
    static const char from[] = "From ";
    uint64_t found = 0;

    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n') {
            *at = 0;
        } else if (*at >= 0 && data[i] == from[*at]) {
            if (!from[++*at]) {
                found++;
                *at = -1;
            }
        } else {
            *at = -1;
        }
    }
    return found;
}

int quota_of_mbox(int fd, uint64_t *ret_messages)
{
    char *buf = malloc(READ_MAX);
    uint64_t found = 0;
    off_t where = 0;
    int at = 0;
    ssize_t n;

    if (!buf)
        return -ENOMEM;
    while ((n = pread(fd, buf, READ_MAX, where)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        found += count(buf, (size_t)n, &at);
        where += n;
    }
    free(buf);
    if (n < 0)
        return -errno;
    *ret_messages = found;
    return 0;
}

/* --- Maildir --- */

/* "1234.M5P6.host,S=789:2,S" */
static int size_in_name(const char *name, uint64_t *ret)
{
    const char *s = strstr(name, ",S=");
    char *end;

    if (!s || s[3] < '0' || s[3] > '9')
        return -ENOENT;
    *ret = strtoull(s + 3, &end, 10);
    return 0;
}

static void add_file(int folder, const char *name, struct quota *q)
{
    struct stat st;
    uint64_t size;

    if (size_in_name(name, &size) < 0) {
        if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return; /* it has just been taken away */
        size = (uint64_t)st.st_size;
    }
    if (__builtin_add_overflow(q->bytes, size, &q->bytes))
        q->bytes = UINT64_MAX;
    q->messages++;
}

static DIR *open_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !dir)
        close(fd);
    return dir;
}

/* One that is not there holds nothing. */
static int add_files(int at, const char *name, struct quota *q)
{
    DIR *dir = open_folder(at, name);
    const struct dirent *entry;

    if (!dir)
        return errno == ENOENT ? 0 : -errno;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] != '.')
            add_file(dirfd(dir), entry->d_name, q);
    }
    closedir(dir);
    return 0;
}

static int add_folder(int folder, struct quota *q)
{
    int r = add_files(folder, "cur", q);

    return r < 0 ? r : add_files(folder, "new", q);
}

int quota_of_maildir(const char *root, struct quota *ret)
{
    DIR *dir = open_folder(AT_FDCWD, root);
    const struct dirent *entry;
    struct quota q = { 0 };
    unsigned n = 0;
    int r;

    if (!dir)
        return -errno;
    r = add_folder(dirfd(dir), &q);
    while (!r && n < FOLDERS_MAX && (entry = readdir(dir))) {
        const char *name = entry->d_name;
        int fd;

        if (name[0] != '.' || !name[1] || !strcmp(name, ".."))
            continue;
        fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            continue; /* a file of somebody else's */
        r = add_folder(fd, &q);
        close(fd);
        n++;
    }
    closedir(dir);
    if (!r)
        *ret = q;
    return r;
}
