/* daemon/shard.c: which folder of the spool is a worker's own, and those it takes over.
 *
 * A shard is a folder guarded by a lock; whoever gets the lock replays it and owns it. That is the
 * one mechanism for start, crash, reload and a changed number of workers. A worker's own shard is
 * new or short when it starts; everything else that lies in the spool is adopted, which holds up
 * nobody, and a long one is split among all workers on that occasion. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/channel.h"
#include "daemon/worker.h"
#include "log/log.h"
#include "util/mem.h"

#define OWN_BYTES_MAX      (1u << 20) /* of journal in a worker's own shard at its start */
#define SPLIT_MESSAGES_MIN 1000u      /* fewer in a shard are left to one worker */

/* mkdir -p */
/* The name of a folder that was just made is only as durable as the folder it stands in. */
static int sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = !slash ? mem_strdup(".")
        : slash == path   ? mem_strdup("/")
                          : mem_strndup(path, (size_t)(slash - path));
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = fd < 0 || fsync(fd) < 0;

    r = r ? -errno : 0;
    if (fd >= 0)
        close(fd);
    free(parent);
    return r;
}

static int make_folders(const char *path, mode_t mode)
{
    char *copy = mem_strdup(path);
    int r = 0;

    for (char *p = copy + 1;; p++) {
        char c = *p;

        if (c && c != '/')
            continue;
        *p = '\0';
        r = mkdir(copy, mode) < 0 ? (errno == EEXIST ? 0 : -errno) : sync_parent(copy);
        *p = c;
        if (!c)
            break;
    }
    free(copy);
    return access(path, F_OK) ? r : 0;
}

/* A spool that root made must be the workers' user's. */
int shard_folder(const struct config *cfg)
{
    const struct passwd *pw;
    struct stat st;

    make_folders(cfg->spool.path, 0700); /* what is wrong with it is said when it is opened */
    if (!cfg->server.user || geteuid() != 0)
        return 0;
    pw = getpwnam(cfg->server.user);
    if (pw && !stat(cfg->spool.path, &st) && st.st_uid == 0 &&
        chown(cfg->spool.path, pw->pw_uid, pw->pw_gid))
        return -errno;
    return 0;
}

void worker_shards_prepare(struct worker *w)
{
    list_init(&w->adopted);
}

static char *shard_path(const struct worker *w, unsigned number)
{
    char name[SPOOL_SHARD_NAME];

    spool_shard_name(name, number);
    return mem_printf("%s/%s", w->plan.config->spool.path, name);
}

static struct spool_config spool_config_of(const struct worker *w, unsigned number,
                                           const char *path)
{
    const struct config_spool *s = &w->plan.config->spool;

    return (struct spool_config){
        .path = path,
        .segment_bytes = (uint64_t)s->segment_size,
        .inline_bytes = (uint64_t)s->inline_max,
        .cache_bytes = (uint64_t)s->cache,
        .reserve_bytes = (uint64_t)s->reserve,
        .min_free_bytes = (uint64_t)s->min_free,
        .lazy_sync_usec = s->sync_delay,
        .shard = (uint8_t)number,
    };
}

/* --- its own --- */

/* Bytes of journal in a shard's folder; 0: there is none. */
static uint64_t journal_bytes(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    uint64_t n = 0;

    while (d && (e = readdir(d))) {
        const char *dot = strrchr(e->d_name, '.');
        struct stat st;

        if (dot && !strcmp(dot, ".seg") && !fstatat(dirfd(d), e->d_name, &st, 0))
            n += (uint64_t)st.st_size;
    }
    if (d)
        closedir(d);
    return n;
}

static int open_own(struct worker *w, unsigned number, uint64_t most, char *why, size_t why_size)
{
    char *path = shard_path(w, number);
    struct spool_config cfg = spool_config_of(w, number, path);
    int r = -EBUSY;

    if (journal_bytes(path) <= most)
        r = spool_open(&cfg, w->loop, queue_replay, w->queue, &w->spool, why, why_size);
    free(path);
    return r;
}

/* The first that nobody has and that is short, beginning with the one this worker had before. What
 * may take a while to read is left to be adopted like any other: so a start takes no longer for a
 * long queue, and all share in it. */
int worker_shard_open(struct worker *w, char *why, size_t why_size)
{
    int r = -EBUSY;

    for (int any = 0; any < 2 && r == -EBUSY; any++) {
        for (unsigned i = w->setup->shard; i < WORKER_SHARDS && r == -EBUSY; i += w->setup->step) {
            r = open_own(w, i, any ? UINT64_MAX : OWN_BYTES_MAX, why, why_size);
            w->shard = i;
        }
    }
    return r;
}

/* --- adopted ones --- */

static void tell(const struct worker *w, uint32_t verb, unsigned number, uint64_t messages)
{
    channel_send(w->setup->channel, verb, number, messages, NULL, -1);
}

static void let_go(struct adopted *a)
{
    struct worker *w = a->worker;

    queue_adopt_end(&a->adoption);
    queue_spool_forget(w->queue, a->spool);
    spool_close(&a->spool);
    list_del(&a->link);
    free(a);
}

static void on_part(void *ctx, unsigned number, uint64_t messages)
{
    const struct adopted *a = ctx;

    tell(a->worker, CHANNEL_PART, number, messages);
}

/* Busy: somebody was quicker, which is fine; cancelled: this worker drains. */
static void not_adopted(const struct worker *w, unsigned number, int result, const char *why)
{
    if (result == -EBUSY || result == -ECANCELED) {
        tell(w, CHANNEL_ADOPTED, number, 0);
        return;
    }
    log_event(POSTERN_LOG_ERROR, "worker", "shard.adopt", "shard=%u why=%s", number, log_q(why));
    tell(w, CHANNEL_NOT_ADOPTED, number, 0);
}

static void on_opened(void *ctx, int result, const char *why)
{
    struct adopted *a = ctx;
    struct worker *w = a->worker;
    unsigned number = a->number;

    if (result == 0) {
        result = queue_adopt_begin(w->queue, a->spool, &a->adoption);
        why = "this worker has too many shards";
    }
    if (result == 0)
        return;
    not_adopted(w, number, result, why);
    let_go(a);
}

static void on_replay(void *ctx, uint64_t id, struct spool_entry *entry, const void *meta,
                      size_t meta_len, const void *state, size_t state_len, uint64_t content_size)
{
    struct adopted *a = ctx;

    a->messages++;
    queue_adopt(a->adoption, id, entry, meta, meta_len, state, state_len, content_size);
}

static void on_told(void *ctx)
{
    struct adopted *a = ctx;
    struct spool_stats s;

    a->told = 1;
    queue_adopt_end(&a->adoption);
    spool_stats(a->spool, &s);
    log_event(POSTERN_LOG_NOTICE, "worker", "shard.adopted", "shard=%u messages=%llu replay=%.3fs",
              a->number, (unsigned long long)a->messages, (double)s.replay_usec / 1e6);
    worker_score(a->worker); /* it is asked for when the next shard is given away */
    tell(a->worker, CHANNEL_ADOPTED, a->number, a->messages);
}

void worker_shard_adopt(struct worker *w, unsigned number, unsigned parts)
{
    struct adopted *a = mem_zalloc(sizeof *a);
    char *path = shard_path(w, number), why[512];
    struct spool_config cfg = spool_config_of(w, number, path);
    struct spool_adoption what = { .ctx = a,
                                   .parts = parts,
                                   .least = SPLIT_MESSAGES_MIN,
                                   .part = on_part,
                                   .opened = on_opened,
                                   .replay = on_replay,
                                   .told = on_told };
    int r = w->drain_until ? -EBUSY : spool_adopt(&cfg, w->loop, &what, &a->spool, why, sizeof why);

    free(path);
    a->worker = w;
    a->number = number;
    list_init(&a->link);
    if (r == 0) {
        list_add_tail(&w->adopted, &a->link);
        return;
    }
    not_adopted(w, number, r, why);
    free(a);
}

static int is_empty(const struct adopted *a)
{
    struct spool_stats s;

    if (!a->told)
        return 0;
    spool_stats(a->spool, &s);
    return !s.live_messages && !s.pinned;
}

size_t worker_shards_unread(const void *worker)
{
    const struct worker *w = worker;
    size_t n = 0;

    LIST_EACH (&w->adopted, it)
        n += !CONTAINER(it, struct adopted, link)->told;
    return n;
}

void worker_shards_look(struct worker *w)
{
    LIST_EACH_SAFE (&w->adopted, it, tmp) {
        struct adopted *a = CONTAINER(it, struct adopted, link);
        unsigned number = a->number;
        int removed;

        if (!is_empty(a))
            continue;
        queue_spool_forget(w->queue, a->spool);
        removed = spool_remove(&a->spool);
        log_event(POSTERN_LOG_INFO, "worker", "shard.empty", "shard=%u removed=%s", number,
                  removed ? "yes" : "no");
        let_go(a);
        if (!removed) /* something was set aside in it: it need not be looked at again */
            tell(w, CHANNEL_EMPTY, number, 0);
    }
}

/* Those that are still being read, or told: the next worker goes on with them. */
void worker_shards_abandon(struct worker *w)
{
    LIST_EACH_SAFE (&w->adopted, it, tmp) {
        struct adopted *a = CONTAINER(it, struct adopted, link);

        if (!a->told)
            spool_abandon(a->spool);
    }
}

void worker_shards_close(struct worker *w)
{
    LIST_EACH_SAFE (&w->adopted, it, tmp)
        let_go(CONTAINER(it, struct adopted, link));
}
