#include "sim-io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/mem.h"

#define ROOT    0
#define TOP     1 /* "/sim", which is there from the beginning, */
#define CONTENT 2 /* and "/sim/content" */
#define SECTOR  512u

struct sim_file {
    int fd;     /* what a running process sees */
    char *base; /* durable when the log began */
    size_t base_len;
};

struct sim_name {
    struct sim_name *next;
    struct sim_file *file; /* NULL: it is a folder's */
    int dir;               /* the folder's number */
    int folder;            /* that it stands in */
    char name[40];
};

enum op_kind { OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_CREATE, OP_UNLINK, OP_RENAME, OP_SYNC_DIR };

struct sim_op {
    enum op_kind kind;
    struct sim_file *file;
    int dir; /* of what a name is created or renamed, if it is a folder */
    int folder, to_folder;
    uint64_t at, len;
    char *data;
    char name[40], to[40];
};

uint32_t sim_random(uint32_t *seed)
{
    uint32_t x = *seed ? *seed : 1;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *seed = x;
}

/* --- names --- */

static struct sim_name **name_find(struct sim_name **list, int folder, const char *name)
{
    while (*list && ((*list)->folder != folder || strcmp((*list)->name, name)))
        list = &(*list)->next;
    return list;
}

static void name_set(struct sim_name **list, int folder, const char *name, struct sim_file *file,
                     int dir)
{
    struct sim_name **at = name_find(list, folder, name);

    if (!*at) {
        *at = mem_zalloc(sizeof **at);
        (*at)->folder = folder;
        snprintf((*at)->name, sizeof(*at)->name, "%s", name);
    }
    (*at)->file = file;
    (*at)->dir = dir;
}

static void name_del(struct sim_name **list, int folder, const char *name)
{
    struct sim_name **at = name_find(list, folder, name), *gone = *at;

    if (!gone)
        return;
    *at = gone->next;
    free(gone);
}

static struct sim_name *names_copy(const struct sim_name *from)
{
    struct sim_name *to = NULL;

    for (; from; from = from->next)
        name_set(&to, from->folder, from->name, from->file, from->dir);
    return to;
}

static void names_free(struct sim_name **list)
{
    while (*list)
        name_del(list, (*list)->folder, (*list)->name);
}

/* --- files --- */

static struct sim_file *file_new(struct sim *sim, const char *base, size_t len)
{
    struct sim_file *f = mem_zalloc(sizeof *f);

    f->fd = memfd_create("sim", MFD_CLOEXEC);
    f->base = mem_alloc(len + 1);
    f->base_len = len;
    if (len)
        memcpy(f->base, base, len);
    if (f->fd < 0 || (len && pwrite(f->fd, base, len, 0) != (ssize_t)len))
        abort();
    sim->files = mem_realloc(sim->files, (sim->files_n + 1) * sizeof(struct sim_file *));
    sim->files[sim->files_n++] = f;
    return f;
}

static uint64_t file_size(const struct sim_file *f)
{
    return (uint64_t)lseek(f->fd, 0, SEEK_END);
}

static struct sim_op *log_op(struct sim *sim, enum op_kind kind, struct sim_file *file)
{
    struct sim_op *op;

    if (sim->ops_n == sim->ops_cap) {
        sim->ops_cap = sim->ops_cap ? sim->ops_cap * 2 : 64;
        sim->ops = mem_realloc(sim->ops, sim->ops_cap * sizeof *sim->ops);
    }
    op = &sim->ops[sim->ops_n++];
    *op = (struct sim_op){ .kind = kind, .file = file };
    return op;
}

static struct sim_op *log_name(struct sim *sim, enum op_kind kind, const struct sim_name *what)
{
    struct sim_op *op = log_op(sim, kind, what->file);

    op->dir = what->dir;
    op->folder = what->folder;
    snprintf(op->name, sizeof op->name, "%s", what->name);
    return op;
}

/* A name that was not there. */
static void create(struct sim *sim, int folder, const char *name, struct sim_file *file, int dir)
{
    name_set(&sim->names, folder, name, file, dir);
    log_name(sim, OP_CREATE, *name_find(&sim->names, folder, name));
}

static int is_empty(struct sim *sim, int dir)
{
    for (struct sim_name *n = sim->names; n; n = n->next) {
        if (n->folder == dir)
            return 0;
    }
    return 1;
}

/* The folder of that path, or -1. */
static int resolve(struct sim *sim, int dir, const char *path)
{
    while (*path) {
        size_t len = strcspn(path, "/");
        char name[40];
        struct sim_name *n;

        snprintf(name, sizeof name, "%.*s", (int)len, path);
        path += len + (path[len] == '/');
        if (!len)
            continue;
        if (!strcmp(name, "..")) {
            for (n = sim->names; n && (n->file || n->dir != dir);)
                n = n->next;
            dir = n ? n->folder : ROOT;
            continue;
        }
        n = *name_find(&sim->names, dir, name);
        if (!n || n->file)
            return -1;
        dir = n->dir;
    }
    return dir;
}

static uint64_t used(struct sim *sim)
{
    uint64_t n = 0;

    for (struct sim_name *m = sim->names; m; m = m->next) {
        struct sim_name *other = sim->names;

        while (other != m && other->file != m->file)
            other = other->next;
        if (m->file && other == m) /* its first name */
            n += file_size(m->file);
    }
    return n;
}

static int take_fault(int *n)
{
    if (!*n)
        return 0;
    if (*n > 0)
        --*n;
    return 1;
}

/* --- the table --- */

static int add_fd(struct sim *sim, struct sim_file *file, int dir, int real)
{
    int fd = fcntl(real, F_DUPFD_CLOEXEC, 10);

    if (fd < 0 || fd >= SIM_FDS)
        abort();
    sim->fds[fd].file = file;
    sim->fds[fd].dir = dir;
    sim->fds[fd].locked = 0;
    return fd;
}

static int sim_open(void *ctx, int dir, const char *name, int flags, mode_t mode)
{
    struct sim *sim = ctx;
    struct sim_name *n;
    int folder, r;

    (void)mode;
    pthread_mutex_lock(&sim->lock);
    folder = dir < 0 ? ROOT : sim->fds[dir].dir;
    if (flags & O_DIRECTORY) {
        int found = resolve(sim, folder, name);

        r = found < 0 ? -ENOENT : add_fd(sim, NULL, found, STDERR_FILENO);
    } else {
        n = *name_find(&sim->names, folder, name);
        if (n && !n->file) {
            r = -EISDIR;
        } else if (n && (flags & O_EXCL)) {
            r = -EEXIST;
        } else if (n) {
            r = add_fd(sim, n->file, 0, n->file->fd);
        } else if (!(flags & O_CREAT)) {
            r = -ENOENT;
        } else if (sim->faults.open_fails) {
            r = -EIO;
        } else {
            struct sim_file *f = file_new(sim, NULL, 0);

            create(sim, folder, name, f, 0);
            r = add_fd(sim, f, 0, f->fd);
        }
    }
    pthread_mutex_unlock(&sim->lock);
    return r;
}

/* How much of a write of len bytes the disk takes. */
static uint64_t taken(struct sim *sim, const struct sim_file *f, uint64_t at, uint64_t len)
{
    uint64_t end = at + len, size = file_size(f);

    if (sim->faults.capacity && end > size) {
        uint64_t all = used(sim),
                 room = all < sim->faults.capacity ? sim->faults.capacity - all : 0;

        if (end - size > room)
            len = size + room > at ? size + room - at : 0;
    }
    if (sim->faults.short_writes && len > 1)
        len = 1 + sim_random(&sim->seed) % len;
    return len;
}

static ssize_t sim_pwritev(void *ctx, int fd, const struct iovec *iov, int n, off_t at)
{
    struct sim *sim = ctx;
    struct sim_file *f;
    uint64_t want = 0, len;
    char *data;
    ssize_t r = -EIO;

    pthread_mutex_lock(&sim->lock);
    f = sim->fds[fd].file;
    for (int i = 0; i < n; i++)
        want += iov[i].iov_len;
    data = mem_alloc(want);
    want = 0;
    for (int i = 0; i < n; i++) {
        memcpy(data + want, iov[i].iov_base, iov[i].iov_len);
        want += iov[i].iov_len;
    }
    if (!take_fault(&sim->faults.write_fails)) {
        len = taken(sim, f, (uint64_t)at, want);
        r = len || !want ? (ssize_t)len : -ENOSPC;
    }
    if (r > 0) {
        struct sim_op *op = log_op(sim, OP_WRITE, f);

        if (pwrite(f->fd, data, (size_t)r, at) != r)
            abort();
        op->at = (uint64_t)at;
        op->len = (uint64_t)r;
        op->data = data;
    } else {
        free(data);
    }
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int unreadable(struct sim *sim, const struct sim_file *f, uint64_t at, uint64_t len)
{
    struct sim_name *n;

    if (!sim->faults.read_fails)
        return 0;
    n = *name_find(&sim->names, TOP, sim->faults.read_name);
    return n && n->file == f && at < sim->faults.read_to && at + len > sim->faults.read_from;
}

static ssize_t sim_pread(void *ctx, int fd, void *buf, size_t len, off_t at)
{
    struct sim *sim = ctx;
    ssize_t r;

    pthread_mutex_lock(&sim->lock);
    if (unreadable(sim, sim->fds[fd].file, (uint64_t)at, len))
        r = -EIO;
    else
        r = pread(fd, buf, len, at);
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int sim_fdatasync(void *ctx, int fd)
{
    struct sim *sim = ctx;
    int r = 0;

    pthread_mutex_lock(&sim->lock);
    if (!take_fault(&sim->faults.sync_passes) && take_fault(&sim->faults.sync_fails))
        r = -EIO;
    else
        log_op(sim, OP_SYNC, sim->fds[fd].file);
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int sim_fsync_dir(void *ctx, int dir)
{
    struct sim *sim = ctx;

    pthread_mutex_lock(&sim->lock);
    log_op(sim, OP_SYNC_DIR, NULL)->folder = sim->fds[dir].dir;
    pthread_mutex_unlock(&sim->lock);
    return 0;
}

static int sim_ftruncate(void *ctx, int fd, off_t size)
{
    struct sim *sim = ctx;

    pthread_mutex_lock(&sim->lock);
    if (ftruncate(fd, size) < 0)
        abort();
    log_op(sim, OP_TRUNCATE, sim->fds[fd].file)->len = (uint64_t)size;
    pthread_mutex_unlock(&sim->lock);
    return 0;
}

static int sim_fallocate(void *ctx, int fd, off_t size)
{
    struct sim *sim = ctx;
    uint64_t have;
    int r = 0;

    pthread_mutex_lock(&sim->lock);
    have = file_size(sim->fds[fd].file);
    if ((uint64_t)size > have) {
        if (sim->faults.capacity && used(sim) + (uint64_t)size - have > sim->faults.capacity)
            r = -ENOSPC;
        else if (ftruncate(fd, size) < 0)
            abort();
        else
            log_op(sim, OP_TRUNCATE, sim->fds[fd].file)->len = (uint64_t)size;
    }
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int drop_name(struct sim *sim, int dir, const char *name, int is_dir)
{
    struct sim_name *n;
    int r = 0;

    pthread_mutex_lock(&sim->lock);
    n = *name_find(&sim->names, sim->fds[dir].dir, name);
    if (!n)
        r = -ENOENT;
    else if (!is_dir != !!n->file)
        r = is_dir ? -ENOTDIR : -EISDIR;
    else if (is_dir && !is_empty(sim, n->dir))
        r = -ENOTEMPTY;
    if (r == 0) {
        log_name(sim, OP_UNLINK, n);
        name_del(&sim->names, n->folder, name);
    }
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int sim_unlink(void *ctx, int dir, const char *name)
{
    return drop_name(ctx, dir, name, 0);
}

static int sim_rmdir(void *ctx, int dir, const char *name)
{
    return drop_name(ctx, dir, name, 1);
}

static int move(struct sim *sim, int dir, const char *from, int to_dir, const char *to, int replace)
{
    struct sim_name *n, *over;
    int r = 0;

    pthread_mutex_lock(&sim->lock);
    n = *name_find(&sim->names, sim->fds[dir].dir, from);
    over = *name_find(&sim->names, sim->fds[to_dir].dir, to);
    if (!n)
        r = -ENOENT;
    else if (over && (!replace || !over->file))
        r = -EEXIST;
    if (r == 0) {
        struct sim_op *op = log_name(sim, OP_RENAME, n);
        struct sim_name was = *n;

        op->to_folder = sim->fds[to_dir].dir;
        snprintf(op->to, sizeof op->to, "%s", to);
        name_del(&sim->names, was.folder, from);
        name_set(&sim->names, op->to_folder, to, was.file, was.dir);
    }
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int sim_rename(void *ctx, int dir, const char *from, const char *to)
{
    return move(ctx, dir, from, dir, to, 1);
}

static int sim_move(void *ctx, int dir, const char *from, int to_dir, const char *to)
{
    return move(ctx, dir, from, to_dir, to, 0);
}

static int sim_link(void *ctx, int dir, const char *name, int to_dir, const char *to)
{
    struct sim *sim = ctx;
    struct sim_name *n;
    int r = 0;

    pthread_mutex_lock(&sim->lock);
    n = *name_find(&sim->names, sim->fds[dir].dir, name);
    if (!n || !n->file)
        r = n ? -EPERM : -ENOENT;
    else if (*name_find(&sim->names, sim->fds[to_dir].dir, to))
        r = -EEXIST;
    else if (sim->faults.link_fails)
        r = -EPERM;
    else
        create(sim, sim->fds[to_dir].dir, to, n->file, 0);
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int sim_close(void *ctx, int fd)
{
    struct sim *sim = ctx;

    pthread_mutex_lock(&sim->lock);
    sim->fds[fd].locked = 0;
    sim->fds[fd].file = NULL;
    sim->fds[fd].dir = 0;
    close(fd);
    pthread_mutex_unlock(&sim->lock);
    return 0;
}

static int64_t sim_free_bytes(void *ctx, int dir)
{
    struct sim *sim = ctx;
    uint64_t n;
    int64_t r = INT64_MAX;

    (void)dir;
    pthread_mutex_lock(&sim->lock);
    if (sim->faults.capacity) {
        n = used(sim);
        r = n < sim->faults.capacity ? (int64_t)(sim->faults.capacity - n) : 0;
    }
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int64_t sim_size(void *ctx, int fd)
{
    struct sim *sim = ctx;
    int64_t r;

    pthread_mutex_lock(&sim->lock);
    r = (int64_t)file_size(sim->fds[fd].file);
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int sim_mkdir(void *ctx, int dir, const char *name, mode_t mode)
{
    struct sim *sim = ctx;
    int folder, r = -EEXIST;

    (void)mode;
    pthread_mutex_lock(&sim->lock);
    folder = dir < 0 ? ROOT : sim->fds[dir].dir;
    if (resolve(sim, folder, name) < 0) {
        const char *slash = strrchr(name, '/');
        char parent[40];

        /* A path: what is before its last part is there. */
        snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - name) : 0, name);
        create(sim, resolve(sim, folder, parent), slash ? slash + 1 : name, NULL, sim->dirs_n++);
        r = 0;
    }
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int sim_stat(void *ctx, int dir, const char *name, struct stat *ret)
{
    struct sim *sim = ctx;
    struct sim_name *n;
    int r = -ENOENT;

    pthread_mutex_lock(&sim->lock);
    n = *name_find(&sim->names, sim->fds[dir].dir, name);
    if (n) {
        memset(ret, 0, sizeof *ret);
        r = n->file && fstat(n->file->fd, ret) < 0 ? -errno : 0;
        ret->st_mode = n->file ? S_IFREG | 0600 : S_IFDIR | 0700;
        ret->st_uid = geteuid();
    }
    pthread_mutex_unlock(&sim->lock);
    return r;
}

/* There are no owners, modes and further folders on this disk. */
static int sim_chmod(void *ctx, int dir, const char *name, mode_t mode)
{
    (void)ctx, (void)dir, (void)name, (void)mode;
    return -ENOSYS;
}

static int sim_chown(void *ctx, int dir, const char *name, uid_t owner)
{
    (void)ctx, (void)dir, (void)name, (void)owner;
    return -ENOSYS;
}

static int sim_lock(void *ctx, int fd, int exclusive)
{
    struct sim *sim = ctx;
    int r = 0;

    pthread_mutex_lock(&sim->lock);
    for (int i = 0; i < SIM_FDS; i++) {
        if (i != fd && sim->fds[i].file == sim->fds[fd].file &&
            (sim->fds[i].locked == 2 || (exclusive && sim->fds[i].locked)))
            r = -EAGAIN;
    }
    if (r == 0)
        sim->fds[fd].locked = exclusive ? 2 : 1;
    pthread_mutex_unlock(&sim->lock);
    return r;
}

static int sim_list(void *ctx, int dir, void (*each)(void *each_ctx, const char *name),
                    void *each_ctx)
{
    struct sim *sim = ctx;

    pthread_mutex_lock(&sim->lock);
    for (struct sim_name *n = sim->names; n; n = n->next) {
        if (n->folder == sim->fds[dir].dir)
            each(each_ctx, n->name);
    }
    pthread_mutex_unlock(&sim->lock);
    return 0;
}

/* --- what a crash leaves --- */

struct bytes {
    char *p;
    size_t len;
};

static void bytes_size(struct bytes *b, uint64_t size)
{
    if (size > b->len) {
        b->p = mem_realloc(b->p, (size_t)size + 1);
        memset(b->p + b->len, 0, (size_t)size - b->len);
    }
    b->len = (size_t)size;
}

static void apply(struct bytes *b, const struct sim_op *op, uint64_t from, uint64_t to)
{
    if (op->kind == OP_TRUNCATE) {
        bytes_size(b, op->len);
        return;
    }
    if (op->at + to > b->len)
        bytes_size(b, op->at + to);
    memcpy(b->p + op->at + from, op->data + from, (size_t)(to - from));
}

/* Sector by sector, each by chance; and the very last operation may be torn at any byte. */
static void apply_by_chance(struct bytes *b, const struct sim_op *op, int last, uint32_t *seed)
{
    uint64_t len = op->len, step;

    if (op->kind == OP_TRUNCATE) {
        if (sim_random(seed) & 1)
            bytes_size(b, op->len);
        return;
    }
    if (last)
        len = sim_random(seed) % (len + 1);
    if (sim_random(seed) & 1) {
        apply(b, op, 0, len);
        return;
    }
    for (uint64_t at = 0; at < len; at += step) {
        step = SECTOR - (op->at + at) % SECTOR;
        if (step > len - at)
            step = len - at;
        if (sim_random(seed) & 1)
            apply(b, op, at, at + step);
    }
}

/* Content of a file after so many operations. */
static struct bytes settle(const struct sim *sim, const struct sim_file *f, size_t ops,
                           enum sim_luck luck, uint32_t *seed)
{
    struct bytes b = { mem_alloc(f->base_len + 1), f->base_len };
    size_t synced = 0;

    memcpy(b.p, f->base, f->base_len);
    for (size_t i = 0; i < ops; i++) {
        if (sim->ops[i].file == f && sim->ops[i].kind == OP_SYNC)
            synced = i;
    }
    for (size_t i = 0; i < ops; i++) {
        const struct sim_op *op = &sim->ops[i];

        if (op->file != f || (op->kind != OP_WRITE && op->kind != OP_TRUNCATE))
            continue;
        if (i < synced || luck == SIM_EVERYTHING)
            apply(&b, op, 0, op->len);
        else if (luck == SIM_CHANCE)
            apply_by_chance(&b, op, i + 1 == ops, seed);
    }
    return b;
}

static void apply_name(struct sim_name **names, const struct sim_op *op)
{
    switch (op->kind) {
    case OP_CREATE:
        name_set(names, op->folder, op->name, op->file, op->dir);
        break;
    case OP_UNLINK:
        name_del(names, op->folder, op->name);
        break;
    default:
        name_del(names, op->folder, op->name);
        name_set(names, op->to_folder, op->to, op->file, op->dir);
        break;
    }
}

static struct sim_name *settle_names(const struct sim *sim, size_t ops, enum sim_luck luck,
                                     uint32_t *seed)
{
    struct sim_name *names = names_copy(sim->durable);
    size_t *synced = mem_zalloc((size_t)sim->dirs_n * sizeof *synced);

    for (size_t i = 0; i < ops; i++) {
        if (sim->ops[i].kind == OP_SYNC_DIR)
            synced[sim->ops[i].folder] = i;
    }
    for (size_t i = 0; i < ops; i++) {
        const struct sim_op *op = &sim->ops[i];

        if (op->kind != OP_CREATE && op->kind != OP_UNLINK && op->kind != OP_RENAME)
            continue;
        /* What went from one folder to another is sure to be there when both were synced. */
        if ((i < synced[op->folder] && (op->kind != OP_RENAME || i < synced[op->to_folder])) ||
            luck == SIM_EVERYTHING || (luck == SIM_CHANCE && sim_random(seed) & 1))
            apply_name(&names, op);
    }
    free(synced);
    return names;
}

/* A file that has several names is still one. */
static struct sim_file *file_after(struct sim *after, const struct sim_name *names,
                                   const struct sim_name *of)
{
    for (const struct sim_name *n = names; n != of; n = n->next) {
        if (n->file == of->file)
            return (*name_find(&after->names, n->folder, n->name))->file;
    }
    return NULL;
}

struct sim *sim_crash(struct sim *sim, size_t ops, enum sim_luck luck, uint32_t seed)
{
    struct sim *after = sim_new(seed);
    struct sim_name *names;

    pthread_mutex_lock(&sim->lock);
    if (ops > sim->ops_n)
        ops = sim->ops_n;
    names = settle_names(sim, ops, luck, &seed);
    after->dirs_n = sim->dirs_n;
    for (struct sim_name *n = names; n; n = n->next) {
        struct sim_file *f = n->file ? file_after(after, names, n) : NULL;

        if (n->file && !f) {
            struct bytes b = settle(sim, n->file, ops, luck, &seed);

            f = file_new(after, b.p, b.len);
            free(b.p);
        }
        name_set(&after->names, n->folder, n->name, f, n->dir);
        name_set(&after->durable, n->folder, n->name, f, n->dir);
    }
    names_free(&names);
    pthread_mutex_unlock(&sim->lock);
    return after;
}

/* --- for tests --- */

struct sim *sim_new(uint32_t seed)
{
    struct sim *sim = mem_zalloc(sizeof *sim);
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE); /* who lists may ask what it is */
    pthread_mutex_init(&sim->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    sim->seed = seed;
    sim->dirs_n = CONTENT + 1;
    for (int i = 0; i < 2; i++) {
        name_set(i ? &sim->names : &sim->durable, ROOT, "sim", NULL, TOP);
        name_set(i ? &sim->names : &sim->durable, TOP, "content", NULL, CONTENT);
    }
    sim->io = (struct spool_io){
        .ctx = sim,
        .open = sim_open,
        .pwritev = sim_pwritev,
        .pread = sim_pread,
        .fdatasync = sim_fdatasync,
        .fsync_dir = sim_fsync_dir,
        .ftruncate = sim_ftruncate,
        .fallocate = sim_fallocate,
        .unlink = sim_unlink,
        .rename = sim_rename,
        .move = sim_move,
        .close = sim_close,
        .free_bytes = sim_free_bytes,
        .size = sim_size,
        .mkdir = sim_mkdir,
        .rmdir = sim_rmdir,
        .link = sim_link,
        .stat = sim_stat,
        .chmod = sim_chmod,
        .chown = sim_chown,
        .lock = sim_lock,
        .list = sim_list,
    };
    return sim;
}

void sim_free(struct sim **psim)
{
    struct sim *sim = *psim;

    if (!sim)
        return;
    *psim = NULL;
    for (size_t i = 0; i < sim->ops_n; i++)
        free(sim->ops[i].data);
    free(sim->ops);
    names_free(&sim->names);
    names_free(&sim->durable);
    for (size_t i = 0; i < sim->files_n; i++) {
        close(sim->files[i]->fd);
        free(sim->files[i]->base);
        free(sim->files[i]);
    }
    free(sim->files);
    pthread_mutex_destroy(&sim->lock);
    free(sim);
}

size_t sim_time(struct sim *sim)
{
    size_t n;

    pthread_mutex_lock(&sim->lock);
    n = sim->ops_n;
    pthread_mutex_unlock(&sim->lock);
    return n;
}

void sim_set_faults(struct sim *sim, const struct sim_faults *faults)
{
    pthread_mutex_lock(&sim->lock);
    sim->faults = *faults;
    pthread_mutex_unlock(&sim->lock);
}

int sim_fd(struct sim *sim, int folder, const char *name)
{
    struct sim_name *n;

    pthread_mutex_lock(&sim->lock);
    n = *name_find(&sim->names, folder, name);
    pthread_mutex_unlock(&sim->lock);
    return n && n->file ? n->file->fd : -1;
}

int sim_folder(struct sim *sim, const char *path)
{
    int r;

    pthread_mutex_lock(&sim->lock);
    r = resolve(sim, ROOT, path);
    pthread_mutex_unlock(&sim->lock);
    return r;
}

int sim_exists(struct sim *sim, int folder, const char *name)
{
    return sim_fd(sim, folder, name) >= 0;
}

size_t sim_count(struct sim *sim, int folder, const char *suffix)
{
    size_t n = 0, len = strlen(suffix);

    pthread_mutex_lock(&sim->lock);
    for (struct sim_name *m = sim->names; m; m = m->next) {
        size_t name_len = strlen(m->name);

        if (m->folder == folder && name_len >= len && !strcmp(m->name + name_len - len, suffix))
            n++;
    }
    pthread_mutex_unlock(&sim->lock);
    return n;
}

void sim_add(struct sim *sim, int folder, const char *name, const void *data, size_t len)
{
    struct sim_file *f = file_new(sim, data, len);

    name_set(&sim->names, folder, name, f, 0);
    name_set(&sim->durable, folder, name, f, 0);
}

void sim_remove(struct sim *sim, int folder, const char *name)
{
    name_del(&sim->names, folder, name);
    name_del(&sim->durable, folder, name);
}
