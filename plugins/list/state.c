/* state.c: see state.h.
 *
 *   list   ADDRESS
 *   post   HOW-MANY LAST-TIME LAST-ID MEMBERS FILE
 *   bounce COUNT FIRST-TIME LAST-TIME STATUS MEMBER REASON
 *
 * with tabs between. A line that does not parse is passed over: one torn by a crash must not hide
 * the others. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIELDS_MAX     7
#define STATE_LINE_MAX 4096u
#define LOCK_TRIES     200       /* of LOCK_PAUSE each */
#define LOCK_PAUSE     10000000L /* nanoseconds */
#define REPLACED_MAX   5
#define TIME_MAX       ((int64_t)1 << 48)

int state_path(const char *folder, const char *list, char *buf, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789._@-";
    size_t n = (size_t)snprintf(buf, size, "%s/", folder);

    for (const char *p = list; *p && n + 4 < size; p++) {
        if (strchr(plain, *p) && !(p == list && *p == '.'))
            buf[n++] = *p;
        else
            n += (size_t)snprintf(buf + n, size - n, "%%%02X", (unsigned char)*p);
        buf[n] = '\0';
        if (!p[1] && n + sizeof STATE_SUFFIX + sizeof ".new" < size) {
            strcpy(buf + n, STATE_SUFFIX);
            return 0;
        }
    }
    return -ENAMETOOLONG;
}

/* --- members --- */

static int compare(const void *a, const void *b)
{
    return strcasecmp(((const struct state_member *)a)->member,
                      ((const struct state_member *)b)->member);
}

static void free_member(void *p)
{
    struct state_member *m = p;

    free(m->member);
    free(m);
}

void state_done(struct state *s)
{
    tdestroy(s->tree, free_member);
    s->tree = NULL;
    s->n = 0;
}

const struct state_member *state_find(const struct state *s, const char *member)
{
    struct state_member key = { .member = (char *)(uintptr_t)member };
    void *const *found = tfind(&key, &s->tree, compare);

    return found ? *found : NULL;
}

int state_disabled(const struct state_member *m, int64_t limit, int64_t window, int64_t now)
{
    return m && limit > 0 && m->count >= (uint64_t)limit && now - m->last < window;
}

static int set_texts(struct state_member *m, const char *member, const char *status,
                     const char *reason)
{
    size_t len = strlen(member) + 1;
    char *text = malloc(len + strlen(reason) + 1);

    if (!text)
        return -ENOMEM;
    memcpy(text, member, len);
    strcpy(text + len, reason);
    free(m->member);
    m->member = text;
    m->reason = text + len;
    snprintf(m->status, sizeof m->status, "%s", status);
    return 0;
}

static int add_member(struct state *s, const struct state_member *from)
{
    struct state_member *m = calloc(1, sizeof *m);
    void *at = NULL;

    if (m && set_texts(m, from->member, from->status, from->reason) == 0)
        at = tsearch(m, &s->tree, compare);
    if (!at) {
        if (m)
            free_member(m);
        return -ENOMEM;
    }
    m->count = from->count;
    m->first = from->first;
    m->last = from->last;
    s->n++;
    return 0;
}

/* A bounce too long after the series began starts another one. */
static int merge_member(struct state *s, const struct state_member *from)
{
    struct state_member *m = (struct state_member *)(uintptr_t)state_find(s, from->member);

    if (!m)
        return add_member(s, from);
    if (from->first - m->first >= s->window) {
        m->count = 0;
        m->first = from->first;
    }
    m->count += from->count;
    m->last = from->last;
    return set_texts(m, from->member, from->status, from->reason);
}

struct walk {
    void (*each)(void *ctx, const struct state_member *m);
    void *ctx;
};

static void walk_one(const void *node, VISIT which, void *closure)
{
    const struct walk *w = closure;

    if (which == postorder || which == leaf)
        w->each(w->ctx, *(struct state_member *const *)node);
}

void state_each(const struct state *s, void (*each)(void *ctx, const struct state_member *m),
                void *ctx)
{
    struct walk w = { each, ctx };

    twalk_r(s->tree, walk_one, &w);
}

/* --- reading --- */

/* A damaged file may say anything: nothing of it may overflow. */
static int64_t read_time(const char *s)
{
    int64_t t = strtoll(s, NULL, 10);

    return t < 0 ? 0 : t > TIME_MAX ? TIME_MAX : t;
}

static int take_line(struct state *s, char *line)
{
    char *f[FIELDS_MAX] = { NULL };
    size_t n = 0;

    for (char *p = line; p && n < FIELDS_MAX; n++)
        f[n] = n + 1 < FIELDS_MAX ? strsep(&p, "\t") : p;
    if (n >= 2 && !strcmp(f[0], "list")) {
        snprintf(s->list, sizeof s->list, "%s", f[1]);
    } else if (n >= 6 && !strcmp(f[0], "post")) {
        s->posts += strtoull(f[1], NULL, 10);
        s->last_post = read_time(f[2]);
        snprintf(s->id, sizeof s->id, "%s", f[3]);
        s->members = strtoull(f[4], NULL, 10);
        snprintf(s->path, sizeof s->path, "%s", f[5]);
    } else if (n == FIELDS_MAX && !strcmp(f[0], "bounce") && *f[5]) {
        struct state_member m = { .member = f[5],
                                  .reason = f[6],
                                  .count = strtoull(f[1], NULL, 10),
                                  .first = read_time(f[2]),
                                  .last = read_time(f[3]) };

        snprintf(m.status, sizeof m.status, "%s", f[4]);
        return merge_member(s, &m);
    }
    return 0;
}

static int load_fd(struct state *s, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), r = 0;
    FILE *in = copy < 0 ? NULL : fdopen(copy, "r");
    char line[STATE_LINE_MAX];
    uint64_t read = 0;

    if (!in) {
        r = -errno;
        if (copy >= 0)
            close(copy);
        return r;
    }
    rewind(in);
    while (!r && read < STATE_BYTES_MAX && fgets(line, sizeof line, in)) {
        size_t len = strlen(line);

        read += len;
        if (!len || line[len - 1] != '\n')
            continue;
        line[len - 1] = '\0';
        r = take_line(s, line);
    }
    if (!r && ferror(in))
        r = -EIO;
    fclose(in);
    return r;
}

int state_load(struct state *s, const char *path, int64_t window)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r;

    memset(s, 0, sizeof *s);
    s->window = window;
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    r = load_fd(s, fd);
    close(fd);
    return r;
}

/* --- writing --- */

static int lock(int fd)
{
    const struct timespec pause = { .tv_nsec = LOCK_PAUSE };

    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        nanosleep(&pause, NULL);
    }
    return -EWOULDBLOCK;
}

static int still_there(const char *path, int fd)
{
    struct stat by_name, by_fd;

    return lstat(path, &by_name) == 0 && fstat(fd, &by_fd) == 0 && by_name.st_ino == by_fd.st_ino &&
        by_name.st_dev == by_fd.st_dev;
}

/* Opened and locked, or -errno. Another worker may just have put a new one in its place. */
static int open_locked(const char *path)
{
    for (int i = 0; i < REPLACED_MAX; i++) {
        int fd =
            open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
        int r = fd < 0 ? -errno : lock(fd);

        if (!r && still_there(path, fd))
            return fd;
        if (fd >= 0)
            close(fd);
        if (r < 0)
            return r;
    }
    return -EWOULDBLOCK;
}

struct rewriting {
    FILE *out;
    int64_t oldest; /* members whose last bounce is older do not come along */
    long room;      /* bytes that members may still take: it must not be rewritten all the time */
};

static void rewrite_member(void *ctx, const struct state_member *m)
{
    struct rewriting *w = ctx;

    if (m->last >= w->oldest && w->room > 0)
        w->room -= fprintf(w->out, "bounce\t%" PRIu64 "\t%" PRId64 "\t%" PRId64 "\t%s\t%s\t%s\n",
                           m->count, m->first, m->last, m->status, m->member, m->reason);
}

struct times {
    int64_t *t;
    size_t n;
};

static void gather_time(void *ctx, const struct state_member *m)
{
    struct times *t = ctx;

    t->t[t->n++] = m->last;
}

static int latest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* Of too many members the latest stay; and nobody whose series is long over. */
static int64_t oldest_kept(const struct state *s, int64_t now)
{
    struct times all = { s->n > STATE_MEMBERS_MAX ? calloc(s->n, sizeof *all.t) : NULL, 0 };
    int64_t oldest = now - 2 * s->window;

    if (!all.t)
        return oldest;
    state_each(s, gather_time, &all);
    qsort(all.t, all.n, sizeof *all.t, latest_first);
    if (all.t[STATE_MEMBERS_MAX - 1] > oldest)
        oldest = all.t[STATE_MEMBERS_MAX - 1];
    free(all.t);
    return oldest;
}

static int write_new(const struct state *s, const char *path, int64_t now)
{
    struct rewriting w = { .oldest = oldest_kept(s, now), .room = STATE_GROWN / 2 };
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640), r = 0;

    if (fd < 0)
        return -errno;
    w.out = fdopen(fd, "w");
    if (!w.out) {
        r = -errno;
        close(fd);
        return r;
    }
    fprintf(w.out, "list\t%s\n", s->list);
    if (s->posts)
        fprintf(w.out, "post\t%" PRIu64 "\t%" PRId64 "\t%s\t%" PRIu64 "\t%s\n", s->posts,
                s->last_post, s->id, s->members, s->path);
    state_each(s, rewrite_member, &w);
    if (fflush(w.out) != 0 || fsync(fd) < 0)
        r = -errno;
    if (fclose(w.out) != 0 && !r)
        r = -EIO;
    return r;
}

/* Under the lock of the old one, which everybody takes before he writes. */
static int rewrite(int fd, const char *path, int64_t window, int64_t now)
{
    char fresh[LIST_PATH_MAX + sizeof ".new"];
    struct state s = { .window = window };
    int r = load_fd(&s, fd);

    snprintf(fresh, sizeof fresh, "%s.new", path);
    if (!r)
        r = write_new(&s, fresh, now);
    if (!r && rename(fresh, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(fresh);
    state_done(&s);
    return r;
}

/* A line that a crash has torn is ended, so that it does not swallow ours. */
static int write_line(int fd, const char *list, const char *line)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char last = '\n', text[STATE_LINE_MAX + POSTERN_ADDRESS_MAX];
    int n;
    ssize_t written;

    if (size < 0 || (size > 0 && pread(fd, &last, 1, size - 1) != 1))
        return errno ? -errno : -EIO;
    if (size)
        n = snprintf(text, sizeof text, "%s%s\n", last == '\n' ? "" : "\n", line);
    else
        n = snprintf(text, sizeof text, "list\t%s\n%s\n", list, line);
    written = write(fd, text, (size_t)n);
    if (written == n)
        return fdatasync(fd) < 0 ? -errno : 0;
    n = written < 0 ? -errno : -ENOSPC;
    if (written > 0 && ftruncate(fd, size) < 0)
        return -errno;
    return n;
}

static int note(const char *path, const char *list, const char *line, int64_t window, int64_t now)
{
    int fd = open_locked(path), r;

    if (fd < 0)
        return fd;
    errno = 0;
    r = write_line(fd, list, line);
    if (!r && lseek(fd, 0, SEEK_END) > (off_t)STATE_GROWN)
        r = rewrite(fd, path, window, now);
    close(fd);
    return r;
}

int state_note_post(const char *path, const char *list, const char *id, uint64_t members,
                    const char *file, int64_t window, int64_t now)
{
    char line[STATE_LINE_MAX];

    if ((size_t)snprintf(line, sizeof line, "post\t1\t%" PRId64 "\t%s\t%" PRIu64 "\t%s", now, id,
                         members, file) >= sizeof line - 1)
        return -ENAMETOOLONG;
    return note(path, list, line, window, now);
}

/* reason: one line, and no tab in it matters, for it is the last field. */
int state_note_bounce(const char *path, const char *list, const char *member, const char *status,
                      const char *reason, int64_t window, int64_t now)
{
    char line[STATE_LINE_MAX];

    if (strchr(member, '\t') ||
        (size_t)snprintf(line, sizeof line, "bounce\t1\t%" PRId64 "\t%" PRId64 "\t%s\t%s\t%s", now,
                         now, status, member, reason) >= sizeof line - 1)
        return -EINVAL;
    return note(path, list, line, window, now);
}
