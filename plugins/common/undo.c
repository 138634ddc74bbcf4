/* undo.c: see undo.h. */
#include "undo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_START UINT64_C(14695981039346656037) /* FNV-1a */
#define HASH_PRIME UINT64_C(1099511628211)
#define STEP       4096u /* a kill stops a write at the end of a page, or of the write */
#define STOPS_MAX  (UNDO_LEN_MAX / STEP + 2)
#define BOOT_LEN   36u /* of a boot's id */
#define READ_MAX   8192u
#define NO_NOTE    "-\n"

struct note {
    char boot[BOOT_LEN + 1];
    uint64_t dev, ino, start, at, len;
    uint64_t hashes[STOPS_MAX]; /* of [start, stop), for each stop */
    size_t n;
};

static uint64_t hash_add(uint64_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)data[i]) * HASH_PRIME;
    return hash;
}

/* Where the write of [at, end) may have been stopped, next after `from`. */
static uint64_t next_stop(uint64_t from, uint64_t end)
{
    uint64_t stop = (from / STEP + 1) * STEP;

    return stop < end ? stop : end;
}

static int boot_id(char buf[BOOT_LEN + 1])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, BOOT_LEN);

    if (fd >= 0)
        close(fd);
    buf[n == BOOT_LEN ? BOOT_LEN : 0] = '\0';
    return n == BOOT_LEN ? 0 : -ENOENT;
}

/* --- writing notes --- */

/* One call within one page, so a kill leaves the old line or the new one. What stood there may have
 * been longer: only the first line counts. */
static int put(struct undo *u, const char *line, size_t len)
{
    ssize_t n;

    if (u->fd < 0)
        return 0;
    n = pwrite(u->fd, line, len, (off_t)u->where);
    if (n == (ssize_t)len)
        return 0;
    u->fd = -1;
    return n < 0 ? -errno : -ENOSPC;
}

static void put_note(struct undo *u, const struct note *note)
{
    char line[UNDO_LINE_MAX];
    int len = snprintf(line, sizeof line,
                       "append %s %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64,
                       note->boot, u->dev, u->ino, u->start, note->at, note->len);

    for (size_t i = 0; i < note->n && len > 0 && (size_t)len < sizeof line; i++)
        len += snprintf(line + len, sizeof line - (size_t)len, " %" PRIx64, note->hashes[i]);
    if (len > 0 && (size_t)len + 1 < sizeof line) {
        line[len++] = '\n';
        (void)put(u, line, (size_t)len); /* without a note the piece is what it was: left there */
    }
}

void undo_begin(struct undo *u, int box, uint64_t size, int lock_fd, uint64_t where)
{
    struct stat st;

    *u = (struct undo){ .fd = -1, .where = where, .start = size, .at = size, .hash = HASH_START };
    if (lock_fd < 0 || fstat(box, &st) < 0)
        return;
    u->fd = lock_fd;
    u->dev = st.st_dev;
    u->ino = st.st_ino;
}

void undo_note(struct undo *u, const char *data, size_t len)
{
    struct note note = { .at = u->at, .len = len };
    uint64_t at = u->at, end = at + len;

    if (u->fd < 0 || len > UNDO_LEN_MAX || boot_id(note.boot) < 0) {
        u->fd = -1;
        return;
    }
    note.hashes[note.n++] = u->hash;
    while (at < end) {
        uint64_t stop = next_stop(at, end);

        u->hash = hash_add(u->hash, data + (at - u->at), (size_t)(stop - at));
        note.hashes[note.n++] = u->hash;
        at = stop;
    }
    put_note(u, &note);
    u->at = end;
}

int undo_end(struct undo *u)
{
    return put(u, NO_NOTE, sizeof NO_NOTE - 1);
}

/* --- reading them --- */

/* Hashes on from *at to `to`. */
static int hash_file(int box, uint64_t *at, uint64_t to, uint64_t *hash)
{
    char buf[READ_MAX];

    while (*at < to) {
        size_t want = to - *at < sizeof buf ? (size_t)(to - *at) : sizeof buf;
        ssize_t n = pread(box, buf, want, (off_t)*at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        *hash = hash_add(*hash, buf, (size_t)n);
        *at += (uint64_t)n;
    }
    return 0;
}

void undo_cut(struct undo *u, int box, uint64_t size)
{
    uint64_t at = u->start, hash = HASH_START;

    if (u->fd < 0)
        return;
    if (size < u->start || hash_file(box, &at, size, &hash) < 0) {
        (void)undo_end(u);
        u->fd = -1;
        return;
    }
    u->at = size;
    u->hash = hash;
    undo_note(u, "", 0);
}

static int read_note(const char *line, struct note *ret)
{
    int used = 0;

    memset(ret, 0, sizeof *ret);
    if (sscanf(line, "append %36s %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 "%n",
               ret->boot, &ret->dev, &ret->ino, &ret->start, &ret->at, &ret->len, &used) != 6)
        return -ENODATA;
    if (ret->at < ret->start || ret->len > UNDO_LEN_MAX || ret->at > INT64_MAX - ret->len)
        return -ENODATA;
    for (line += used; *line == ' ' && ret->n < STOPS_MAX; line += used, ret->n++) {
        if (sscanf(line, " %" SCNx64 "%n", &ret->hashes[ret->n], &used) != 1)
            return -ENODATA;
    }
    return *line == '\n' ? 0 : -ENODATA;
}

/* Is [start, size) of the mailbox what was noted, up to a place where a write may have stopped? */
static int is_ours(const struct note *note, int box, uint64_t size)
{
    uint64_t at = note->start, hash = HASH_START, stop = note->at, end = note->at + note->len;

    for (size_t i = 0; i < note->n && stop <= size; i++) {
        int r = hash_file(box, &at, stop, &hash);

        if (r < 0)
            return r;
        if (hash != note->hashes[i])
            return -EBADMSG;
        if (stop == size)
            return 0;
        stop = next_stop(stop, end);
    }
    return -EBADMSG;
}

int undo_apply(const char *line, int box, uint64_t *ret_at, uint64_t *ret_len)
{
    struct note note;
    char boot[BOOT_LEN + 1];
    struct stat st;
    uint64_t size;
    int r;

    if (read_note(line, &note) < 0 || boot_id(boot) < 0 || strcmp(boot, note.boot) != 0)
        return 0;
    if (fstat(box, &st) < 0)
        return -errno;
    size = (uint64_t)st.st_size;
    if (st.st_dev != note.dev || st.st_ino != note.ino || size <= note.start)
        return 0;
    r = is_ours(&note, box, size);
    if (r < 0)
        return r;
    if (ftruncate(box, (off_t)note.start) < 0)
        return -errno;
    *ret_at = note.start;
    *ret_len = size - note.start;
    return 1;
}
