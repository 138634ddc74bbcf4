/* maildir.c: see maildir.h.
 *
 * What is in a user's home is his: as root we act as the user there. What a kill leaves under tmp
 * is litter, which goes after a day and a half, as the customs of Maildirs have it. */
#include "maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"

#define FOLDER_MODE  0700
#define FILE_MODE    0600
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define MARK         "maildirfolder" /* says that a folder is one of Maildir++ */
#define LITTER_AGE   (36 * 3600)     /* seconds                                */
#define LITTER_MAX   1000            /* entries of tmp that are looked at      */
#define NAME_TRIES   5
#define HOST_MAX     64u

/* --- folders --- */

static int give(int fd, const struct user *user)
{
    if (geteuid() == 0 && user->known && fchown(fd, user->uid, user->gid) < 0)
        return -errno;
    return 0;
}

/* Opens a folder; makes it if that is wanted, and then it is the user's. *ret_made (may be NULL):
 * it is new. */
static int open_folder(int at, const char *name, const struct user *user, int make, int *ret_made)
{
    int fd = openat(at, name, FOLDER_FLAGS), r;

    if (fd >= 0)
        return fd;
    if (errno != ENOENT || !make)
        return -errno;
    if (mkdirat(at, name, FOLDER_MODE) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(at, name, FOLDER_FLAGS);
    if (fd < 0)
        return -errno;
    r = give(fd, user);
    if (r < 0) {
        close(fd);
        return r;
    }
    if (ret_made)
        *ret_made = 1;
    return fd;
}

static void close_both(struct maildir *m)
{
    if (m->tmp >= 0)
        close(m->tmp);
    if (m->ready >= 0)
        close(m->ready);
    m->tmp = m->ready = -1;
}

/* tmp, new and cur of the folder, and that they are there for good. */
static int open_parts(struct maildir *m, int folder, int make)
{
    int made = 0, cur;

    m->tmp = open_folder(folder, "tmp", &m->user, make, &made);
    if (m->tmp < 0)
        return m->tmp;
    m->ready = open_folder(folder, "new", &m->user, make, &made);
    if (m->ready < 0)
        return m->ready;
    cur = open_folder(folder, "cur", &m->user, make, &made);
    if (cur < 0)
        return cur;
    close(cur);
    return made && fsync(folder) < 0 ? -errno : 0;
}

static int mark_folder(int folder)
{
    int fd = openat(folder, MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);

    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* A folder of Maildir++ in the Maildir that is open. */
static int enter(struct maildir *m, int root, int make, int *ret_folder)
{
    const char *name = strrchr(m->user.path, '/') + 1;
    int made = 0, fd = open_folder(root, name, &m->user, make, &made), r = 0;

    if (fd < 0)
        return fd;
    if (made)
        r = mark_folder(fd);
    if (!r && made && fsync(root) < 0)
        r = -errno;
    if (r < 0)
        close(fd);
    else
        *ret_folder = fd;
    return r;
}

static void sweep(const struct maildir *m)
{
    int fd = openat(m->tmp, ".", FOLDER_FLAGS);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    time_t now = time(NULL);
    struct stat st;

    if (fd >= 0 && !dir)
        close(fd);
    if (!dir)
        return;
    for (int i = 0; i < LITTER_MAX && (entry = readdir(dir)); i++) {
        if (entry->d_name[0] != '.' &&
            fstatat(m->tmp, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            now - st.st_mtime > LITTER_AGE)
            unlinkat(m->tmp, entry->d_name, 0);
    }
    closedir(dir);
}

/* As whom: below a home as its owner from the very beginning; elsewhere the Maildir itself may have
 * to be made in a folder that is not the user's, and what is in it is his. */
static int open_all(struct maildir *m, const struct settings *set)
{
    int make = set->users != USERS_EXISTING, root, folder, made = 0, r = 0;

    if (folder_at_home(set))
        r = privilege_take(&m->privilege, &m->user);
    if (!r && make)
        r = folder_parents(set, &m->user, m->user.root);
    if (r < 0)
        return r;
    root = open_folder(AT_FDCWD, m->user.root, &m->user, make, &made);
    if (root < 0)
        return root;
    folder = root;
    if (!m->privilege.taken)
        r = privilege_take(&m->privilege, &m->user);
    if (!r)
        r = open_parts(m, root, make);
    /* A pattern with {folder} names a Maildir of its own, else it is a folder in this one. */
    if (!r && m->user.in_folder) {
        close_both(m);
        r = enter(m, root, 1, &folder);
        if (!r)
            r = open_parts(m, folder, 1);
        if (folder != root)
            close(folder);
    }
    close(root);
    return r;
}

static int sync_parent(const struct maildir *m)
{
    char parent[PATH_MAX];
    char *slash;
    int fd, r = 0;

    memcpy(parent, m->user.root, sizeof parent);
    slash = strrchr(parent, '/');
    if (!slash || slash == parent)
        return 0;
    *slash = '\0';
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -errno; /* a folder that we may write to, but not read */
    if (fsync(fd) < 0)
        r = -errno;
    close(fd);
    return r;
}

int maildir_open(struct maildir *m, const struct settings *set, const struct user *user,
                 struct problem *reterr)
{
    struct stat st;
    int fresh, r;

    memset(m, 0, sizeof *m);
    m->tmp = m->ready = m->fd = -1;
    m->user = *user;
    if (user->in_folder && set->mailbox && strstr(set->mailbox, "{folder}")) {
        memcpy(m->user.root, user->path, sizeof m->user.root);
        m->user.in_folder = 0;
    }
    fresh = lstat(m->user.root, &st) < 0;
    r = open_all(m, set);
    if (!r && fresh)
        r = sync_parent(m);
    if (!r)
        sweep(m);
    privilege_return(&m->privilege);
    if (r < 0) {
        maildir_close(m);
        if (r == -ELOOP || r == -ENOTDIR)
            problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                        "%s, or a part of it, is no folder, or a symbolic link", m->user.path);
        else
            mailbox_errno(reterr, -r, "open the Maildir", m->user.path);
    }
    return r;
}

void maildir_close(struct maildir *m)
{
    maildir_abandon(m);
    close_both(m);
}

/* --- messages --- */

/* "/" and ":" have a meaning in file names of a Maildir. */
static void host_part(const char *hostname, char buf[HOST_MAX])
{
    size_t n = 0;

    for (; *hostname && n + 5 < HOST_MAX; hostname++) {
        if (*hostname == '/' || *hostname == ':' || *hostname == ',')
            n += (size_t)snprintf(buf + n, HOST_MAX - n, "\\%03o", (unsigned)*hostname);
        else
            buf[n++] = *hostname;
    }
    buf[n] = '\0';
}

static int make_name(struct maildir *m, const char *hostname)
{
    char host[HOST_MAX];
    struct timespec now;
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -EAGAIN;
    clock_gettime(CLOCK_REALTIME, &now);
    host_part(hostname, host);
    snprintf(m->name, sizeof m->name, "%lld.M%ldP%ldQ%uR%016llx.%s", (long long)now.tv_sec,
             now.tv_nsec / 1000, (long)getpid(), m->number++, (unsigned long long)random,
             *host ? host : "localhost");
    return 0;
}

int maildir_begin(struct maildir *m, const char *hostname)
{
    int r = -EEXIST;

    m->size = 0;
    for (int i = 0; i < NAME_TRIES && r == -EEXIST; i++) {
        r = make_name(m, hostname);
        if (r < 0)
            return r;
        r = privilege_take(&m->privilege, &m->user);
        if (r < 0)
            return r;
        m->fd = openat(m->tmp, m->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       FILE_MODE);
        r = m->fd < 0 ? -errno : 0;
        privilege_return(&m->privilege);
    }
    return r;
}

int maildir_write(struct maildir *m, const void *data, size_t len)
{
    const char *p = data;

    m->size += len;
    while (len) {
        ssize_t n = write(m->fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

void maildir_abandon(struct maildir *m)
{
    if (m->fd < 0)
        return;
    close(m->fd);
    m->fd = -1;
    if (privilege_take(&m->privilege, &m->user) == 0)
        unlinkat(m->tmp, m->name, 0);
    privilege_return(&m->privilege);
}

/* Under no circumstances over another message; not every file system can say so. */
static int publish(struct maildir *m, const char *name)
{
    if (renameat2(m->tmp, m->name, m->ready, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(m->tmp, m->name, m->ready, name, 0) < 0)
        return -errno;
    unlinkat(m->tmp, m->name, 0);
    return 0;
}

int maildir_end(struct maildir *m, char ret_name[MAILDIR_NAME_MAX])
{
    int n = snprintf(ret_name, MAILDIR_NAME_MAX, "%s,S=%llu", m->name, (unsigned long long)m->size);
    int r = n < 0 || n >= (int)MAILDIR_NAME_MAX ? -ENAMETOOLONG : 0;

    if (!r && fsync(m->fd) < 0)
        r = -errno;
    if (!r)
        r = privilege_take(&m->privilege, &m->user);
    if (!r)
        r = publish(m, ret_name);
    privilege_return(&m->privilege);
    if (r < 0) {
        maildir_abandon(m);
        return r;
    }
    close(m->fd);
    m->fd = -1;
    return 0;
}

int maildir_sync(struct maildir *m)
{
    return fsync(m->ready) < 0 ? -errno : 0;
}

int maildir_take_back(struct maildir *m, const char *name)
{
    int r = privilege_take(&m->privilege, &m->user);

    if (!r && unlinkat(m->ready, name, 0) < 0)
        r = -errno;
    privilege_return(&m->privilege);
    return r;
}
