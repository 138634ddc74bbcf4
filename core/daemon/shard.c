/* daemon/shard.c: which folder of the spool is a worker's own, and those it takes over.
 *
 * A shard is a folder guarded by a lock; whoever gets the lock replays it and owns it. That is the
 * one mechanism for start, crash, reload and a changed number of workers. */
#include <errno.h>
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

/* mkdir -p */
static int make_folders(const char *path, mode_t mode)
{
    char *copy = mem_strdup(path);
    int r = 0;

    for (char *p = copy + 1;; p++) {
        char c = *p;

        if (c && c != '/')
            continue;
        *p = '\0';
        r = mkdir(copy, mode) < 0 && errno != EEXIST ? -errno : 0;
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

static int open_number(struct worker *w, unsigned number, struct spool **ret, char *why,
                       size_t why_size)
{
    const struct config_spool *s = &w->plan.config->spool;
    char *path = mem_printf("%s/shard-%02u", s->path, number);
    struct spool_config cfg = {
        .path = path,
        .segment_bytes = (uint64_t)s->segment_size,
        .inline_bytes = (uint64_t)s->inline_max,
        .cache_bytes = (uint64_t)s->cache,
        .reserve_bytes = (uint64_t)s->reserve,
        .min_free_bytes = (uint64_t)s->min_free,
        .lazy_sync_usec = s->sync_delay,
        .shard = (uint8_t)number,
    };
    int r = spool_open(&cfg, w->loop, queue_replay, w->queue, ret, why, why_size);

    free(path);
    return r;
}

/* The first that nobody has, beginning with the one this worker had before. */
int worker_shard_open(struct worker *w, char *why, size_t why_size)
{
    int r = -EBUSY;

    for (unsigned i = w->setup->shard; i < WORKER_SHARDS && r == -EBUSY; i += w->setup->step) {
        r = open_number(w, i, &w->spool, why, why_size);
        w->shard = i;
    }
    return r;
}

void worker_shard_adopt(struct worker *w, unsigned number)
{
    struct adopted *a;
    struct spool *spool = NULL;
    struct spool_stats s;
    char why[512];
    int r = w->drain_until ? -EBUSY : queue_adopt_begin(w->queue);

    if (r < 0)
        return;
    r = open_number(w, number, &spool, why, sizeof why);
    queue_adopt_end(w->queue, r < 0 ? NULL : spool);
    if (r < 0) {
        if (r != -EBUSY) /* busy: somebody was quicker, which is fine */
            log_event(POSTERN_LOG_ERROR, "worker", "shard.adopt", "shard=%u why=%s", number,
                      log_q(why));
        return;
    }
    spool_stats(spool, &s);
    log_event(POSTERN_LOG_NOTICE, "worker", "shard.adopted", "shard=%u messages=%llu replay=%.3fs",
              number, (unsigned long long)s.live_messages, (double)s.replay_usec / 1e6);
    a = mem_zalloc(sizeof *a);
    a->spool = spool;
    a->number = number;
    list_add_tail(&w->adopted, &a->link);
}

static void let_go(struct worker *w, struct adopted *a)
{
    queue_spool_forget(w->queue, a->spool);
    spool_close(&a->spool);
    list_del(&a->link);
    free(a);
}

void worker_shards_look(struct worker *w)
{
    LIST_EACH_SAFE (&w->adopted, it, tmp) {
        struct adopted *a = CONTAINER(it, struct adopted, link);
        struct spool_stats s;
        unsigned number;

        spool_stats(a->spool, &s);
        if (s.live_messages || s.pinned)
            continue;
        log_event(POSTERN_LOG_INFO, "worker", "shard.empty", "shard=%u", a->number);
        number = a->number;
        let_go(w, a);
        channel_send(w->setup->channel, CHANNEL_EMPTY, number, 0, NULL, -1);
    }
}

void worker_shards_close(struct worker *w)
{
    LIST_EACH_SAFE (&w->adopted, it, tmp)
        let_go(w, CONTAINER(it, struct adopted, link));
}
