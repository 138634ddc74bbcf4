/* daemon/adopt.c: shards that nobody has find a worker.
 *
 * They are looked for when a worker has gone or come, and every few seconds anyway. The worker with
 * the least to do gets it; what it was given and has not read yet counts. A long shard it splits,
 * and its parts are found here again, each for another worker. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "daemon/supervisor.h"
#include "log/log.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/mem.h"

#define ADOPT_USEC     200000u
#define MESSAGES_GUESS 1000u   /* in a shard of which nothing is known */
#define PAUSE          2000000 /* usec: until the second try; doubled each time */
#define PAUSE_MAX      300000000

static int is_taken(const char *path)
{
    AUTO_FREE char *lock = mem_printf("%s/lock", path);
    AUTO_CLOSE int fd = open(lock, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return 1; /* not a shard, or nothing in it yet */
    return flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* A place whose worker is on its way back takes its own shard again, unless that is long. */
static int is_expected(const struct supervisor *sv, unsigned number)
{
    for (size_t i = 0; i < sv->current->n; i++) {
        const struct child *c = &sv->current->children[i];

        if (c->shard == number && c->state != CHILD_READY)
            return 1;
    }
    return 0;
}

static struct child *least_loaded(struct supervisor *sv)
{
    struct child *best = NULL;
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < sv->current->n; i++) {
        struct child *c = &sv->current->children[i];
        uint64_t n;

        if (c->state != CHILD_READY)
            continue;
        n = atomic_load(&sv->board->rows[c->row].counts[SCORE_MESSAGES]) + c->given;
        if (n < least) {
            least = n;
            best = c;
        }
    }
    return best;
}

/* What is a part already is not split again before it has been through another crash. */
static void give(struct supervisor *sv, struct child *c, unsigned number)
{
    struct shard_note *s = &sv->shards[number];
    int marks = crash_marks(sv);

    if (channel_send(c->channel, CHANNEL_ADOPT, number, s->part ? 1 : sv->current->ready, NULL,
                     marks) == 0) {
        s->to = c;
        s->free = 0;
        s->given = s->part ? s->part : MESSAGES_GUESS;
        s->part = 0;
        c->given += s->given;
    }
    if (marks >= 0)
        close(marks);
}

/* --- those that can't be opened: so they stay, most likely, until somebody mends them. They are
 * tried less and less often, and the log is not filled with them. --- */

static int64_t pause_after(unsigned tries)
{
    int64_t pause = PAUSE;

    for (unsigned i = 1; i < tries && pause < PAUSE_MAX; i++)
        pause *= 2;
    return pause;
}

/* Once may be chance: another one was quicker. */
static void again(struct shard_note *s, unsigned number)
{
    if (!s->tries)
        return;
    s->told = 1;
    log_event(POSTERN_LOG_WARNING, "supervisor", "shard.adopt_waits",
              "shard=%u tries=%u next=%llds text=\"no worker could take it over; see "
              "shard.adopt\"",
              number, s->tries, (long long)(pause_after(s->tries + 1) / 1000000));
}

static void failed(struct shard_note *s)
{
    s->next = clock_mono() + pause_after(++s->tries);
    s->free = 1;
}

static void worked(struct shard_note *s, unsigned number)
{
    if (s->told)
        log_event(POSTERN_LOG_NOTICE, "supervisor", "shard.adopt_works", "shard=%u tries=%u",
                  number, s->tries);
    s->told = 0;
    s->tries = 0;
    s->next = 0;
}

/* --- looking --- */

static void look_at(struct supervisor *sv, const char *folder, unsigned number)
{
    struct shard_note *s = &sv->shards[number];
    char name[SPOOL_SHARD_NAME];
    struct child *c;
    char *path;

    if (s->empty || s->to)
        return;
    s->free = 1;
    if (is_expected(sv, number))
        return;
    spool_shard_name(name, number);
    path = mem_printf("%s/%s", folder, name);
    if (is_taken(path)) {
        worked(s, number);
        s->free = 0;
    } else if (clock_mono() >= s->next && (c = least_loaded(sv))) {
        again(s, number);
        give(sv, c, number);
    }
    free(path);
}

static void adopt_all(void *ctx)
{
    struct supervisor *sv = ctx;
    const char *folder = sv->current ? sv->current->config->spool.path : NULL;
    const struct dirent *e;
    DIR *d;

    sv->adopt_timer = NULL;
    sv->looked = 1;
    for (unsigned i = 0; i < WORKER_SHARDS; i++)
        sv->shards[i].free = 0;
    d = folder && !sv->stopping ? opendir(folder) : NULL;
    while (d && (e = readdir(d))) {
        unsigned number;
        char rest;

        if (sscanf(e->d_name, "shard-%u%c", &number, &rest) == 1 && number < WORKER_SHARDS)
            look_at(sv, folder, number);
    }
    if (d)
        closedir(d);
}

void adopt_watch(struct supervisor *sv)
{
    if (!sv->adopt_timer && !sv->stopping)
        sv->adopt_timer = loop_after(sv->loop, ADOPT_USEC, adopt_all, sv);
}

void adopt_soon(struct supervisor *sv)
{
    sv->looked = 0;
    adopt_watch(sv);
}

size_t adopt_unread(const struct supervisor *sv)
{
    size_t n = 0;

    for (unsigned i = 0; i < WORKER_SHARDS; i++)
        n += sv->shards[i].to || sv->shards[i].part || sv->shards[i].free;
    return n;
}

void adopt_part(struct supervisor *sv, unsigned number, uint64_t messages)
{
    if (number >= WORKER_SHARDS)
        return;
    sv->shards[number] = (struct shard_note){ .part = messages ? messages : MESSAGES_GUESS };
    adopt_soon(sv);
}

static void forget(struct shard_note *s)
{
    s->to->given -= s->given;
    s->to = NULL;
    s->given = 0;
}

void adopt_over(struct supervisor *sv, struct child *c, unsigned number, int ok)
{
    struct shard_note *s = &sv->shards[number % WORKER_SHARDS];

    if (s->to != c)
        return;
    forget(s);
    if (ok)
        worked(s, number);
    else
        failed(s);
}

void adopt_gone(struct supervisor *sv, struct child *c)
{
    for (unsigned i = 0; i < WORKER_SHARDS; i++) {
        if (sv->shards[i].to != c)
            continue;
        forget(&sv->shards[i]);
        sv->shards[i].free = 1;
    }
}

void adopt_again(struct supervisor *sv)
{
    for (unsigned i = 0; i < WORKER_SHARDS; i++)
        sv->shards[i].next = 0;
    adopt_soon(sv);
}
