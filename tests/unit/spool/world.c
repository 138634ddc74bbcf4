#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/log.h"
#include "util/clock.h"
#include "util/content.h"
#include "util/mem.h"

/* --- what is in a message --- */

static void fill(char *p, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (char)sim_random(&seed);
}

static size_t meta_of(const struct message *m, char buf[256])
{
    size_t n = (size_t)snprintf(buf, 256, "meta of %016" PRIx64 " ", m->id);

    memset(buf + n, 'm', m->seed % 100);
    return n + m->seed % 100;
}

static size_t state_of(const struct message *m, unsigned i, char buf[256])
{
    size_t n = (size_t)snprintf(buf, 256, "state %u of %016" PRIx64 " ", i, m->id);

    memset(buf + n, 's', (m->seed + i) % 60);
    return n + (m->seed + i) % 60;
}

static int which_state(const struct message *m, const void *state, size_t len)
{
    char buf[256];

    for (unsigned i = 0; i < m->states_n; i++) {
        if (state_of(m, i, buf) == len && !memcmp(buf, state, len))
            return (int)i;
    }
    return -2;
}

/* --- the process --- */

struct state_wait {
    struct list link;
    struct message *m;
    unsigned i;
};

struct world *world_new(uint32_t seed)
{
    struct world *w = mem_zalloc(sizeof *w);
    const struct log_config quiet = { .level = -1 };

    if (!getenv("SPOOL_LOG"))
        log_open(&quiet); /* every fault is reported, and there are many */
    w->seed = seed ? seed : 1;
    w->sim = sim_new(seed);
    list_init(&w->waits);
    w->cfg = (struct spool_config){
        .path = "/sim",
        .segment_bytes = 4096,
        .inline_bytes = 1500,
        .cache_bytes = 4000,
        .reserve_bytes = 4096,
        .min_free_bytes = 1,
        .lazy_sync_usec = 2000,
        .shard = 7,
    };
    return w;
}

static struct message *message_by_id(struct world *w, uint64_t id)
{
    for (size_t i = 0; i < w->messages_n; i++) {
        if (w->messages[i]->id == id)
            return w->messages[i];
    }
    return NULL;
}

static void complain(struct world *w, const struct message *m, const char *what)
{
    w->wrong = 1;
    fprintf(stderr, "# message %zu: %s (acked %zd, done %zd/%zd)\n", m ? (size_t)(m->id >> 8) : 0,
            what, m ? (ssize_t)m->acked : 0, m ? (ssize_t)m->done_asked : 0,
            m ? (ssize_t)m->done_durable : 0);
}

void world_replayed(void *ctx, uint64_t id, struct spool_entry *entry, const void *meta,
                    size_t meta_len, const void *state, size_t state_len, uint64_t content_size)
{
    struct world *w = ctx;
    struct message *m = message_by_id(w, id);
    char buf[256];

    if (!m) {
        complain(w, m, "never written, but replayed");
        return;
    }
    if (m->seen)
        complain(w, m, "replayed twice");
    m->seen = 1;
    m->entry = entry;
    m->seen_state = state ? which_state(m, state, state_len) : -1;
    if (m->seen_state < -1)
        complain(w, m, "has a state that it never had");
    if (content_size != m->size || meta_of(m, buf) != meta_len || memcmp(buf, meta, meta_len))
        complain(w, m, "has another size or meta");
}

void world_forget(struct world *w)
{
    for (size_t i = 0; i < w->messages_n; i++) {
        w->messages[i]->seen = 0;
        w->messages[i]->seen_state = -1;
        w->messages[i]->entry = NULL;
        w->messages[i]->in = NULL;
    }
    w->wrong = 0;
}

static int open_on(struct world *w, struct sim *sim, struct loop *loop, struct spool **ret)
{
    struct spool_config cfg = w->cfg;

    cfg.io = w->real ? NULL : &sim->io;
    world_forget(w);
    return spool_open(&cfg, loop, world_replayed, w, ret, w->why, sizeof w->why);
}

int world_open(struct world *w)
{
    int r;

    w->loop = loop_new(0);
    r = open_on(w, w->sim, w->loop, &w->spool);
    if (r < 0)
        loop_free(&w->loop);
    return r;
}

/* Who still waits when the spool is closed hears nothing more. */
static void forget_process(struct world *w)
{
    struct list *n;

    while ((n = list_pop(&w->waits)))
        free(CONTAINER(n, struct state_wait, link));
    for (size_t i = 0; i < w->messages_n; i++)
        w->messages[i]->entry = NULL;
    w->in_flight = 0;
}

void world_close(struct world *w)
{
    if (!w->spool)
        return;
    spool_close(&w->spool);
    loop_free(&w->loop);
    forget_process(w);
}

void world_free(struct world **pw)
{
    struct world *w = *pw;

    *pw = NULL;
    world_close(w);
    for (size_t i = 0; i < w->messages_n; i++)
        free(w->messages[i]);
    free(w->messages);
    sim_free(&w->sim);
    free(w);
}

/* What is now known for sure about each message, seen from the life that begins: everything that
 * was found was promised at its moment 0, and what was not found is gone for good. */
static void begin_life(struct world *w)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->messages_n; i++) {
        struct message *m = w->messages[i];

        m->acked = m->seen ? 0 : NEVER;
        m->result = m->seen ? 0 : -EIO;
        m->done_asked = m->done_durable = m->seen ? NEVER : 0;
        for (unsigned k = 0; k < m->states_n; k++) {
            m->state_asked[k] = (int)k <= m->seen_state ? 0 : NEVER;
            m->state_durable[k] = (int)k <= m->seen_state ? 0 : NEVER;
        }
        m->states_n = m->seen ? (unsigned)(m->seen_state + 1) : 0;
        w->messages[kept++] = m;
    }
}

void world_crash(struct world *w, size_t ops, enum sim_luck luck, uint32_t seed)
{
    struct sim *after = sim_crash(w->sim, ops, luck, seed);

    /* The dying process may scribble on, but the disk it scribbles on is not there any more. */
    world_close(w);
    sim_free(&w->sim);
    w->sim = after;
}

/* --- doings --- */

static void committed(void *ctx, int result, struct spool_entry *entry)
{
    struct message *m = ctx;

    m->world->in_flight--;
    m->result = result;
    if (result)
        return;
    m->acked = sim_time(m->world->sim);
    m->entry = entry;
}

struct message *world_put_as(struct world *w, uint64_t id, size_t size)
{
    struct message *m = mem_zalloc(sizeof *m);
    struct spool_put *put;
    char meta[256], *data = mem_alloc(size + 1);
    size_t meta_len;
    int r;

    m->id = id;
    m->seed = sim_random(&w->seed);
    m->size = size;
    m->world = w;
    m->acked = m->done_asked = m->done_durable = NEVER;
    m->result = 1;
    w->messages = mem_realloc(w->messages, (w->messages_n + 1) * sizeof(struct message *));
    w->messages[w->messages_n++] = m;
    fill(data, size, m->seed);
    r = spool_put_new(w->spool, m->id, size, &put);
    for (size_t at = 0; r >= 0 && at < size;) {
        size_t n = 1 + sim_random(&w->seed) % (size - at);

        r = spool_put_write(put, data + at, n);
        at += n;
    }
    free(data);
    if (r < 0) {
        m->result = r;
        return m;
    }
    meta_len = meta_of(m, meta);
    w->in_flight++;
    spool_put_commit(put, meta, meta_len, committed, m);
    return m;
}

struct message *world_put(struct world *w, size_t size)
{
    return world_put_as(w, spool_new_id(w->spool), size);
}

static void state_stored(void *ctx, int result)
{
    struct state_wait *wait = ctx;
    struct message *m = wait->m;

    m->world->in_flight--;
    if (result == 0) {
        for (unsigned i = 0; i <= wait->i; i++) {
            if (m->state_durable[i] == NEVER)
                m->state_durable[i] = sim_time(m->world->sim);
        }
    }
    list_del(&wait->link);
    free(wait);
}

void world_state(struct message *m, int sync)
{
    struct state_wait *wait;
    char buf[256];
    size_t len;

    if (m->states_n == WORLD_STATES)
        return;
    wait = mem_alloc(sizeof *wait);
    *wait = (struct state_wait){ .m = m, .i = m->states_n++ };
    list_add_tail(&m->world->waits, &wait->link);
    m->state_asked[wait->i] = sim_time(m->world->sim);
    m->state_durable[wait->i] = NEVER;
    len = state_of(m, wait->i, buf);
    m->world->in_flight++;
    spool_state(m->world->spool, m->entry, buf, len, sync, state_stored, wait);
}

void world_done(struct message *m)
{
    m->done_asked = sim_time(m->world->sim);
    spool_done(m->world->spool, m->entry);
    m->entry = NULL;
}

void world_turns(struct world *w, unsigned n)
{
    while (n--)
        loop_turn(w->loop, 0);
}

void world_until(struct world *w, int (*is)(struct world *w))
{
    int64_t end = clock_mono() + 20000000;

    while (!is(w)) {
        if (clock_mono() > end) {
            fprintf(stderr, "# the spool does not come to rest\n");
            abort();
        }
        loop_turn(w->loop, 1);
    }
}

static int answered(struct world *w)
{
    return !w->in_flight;
}

static int ended(struct world *w)
{
    unsigned live = 0;

    for (size_t i = 0; i < w->messages_n; i++)
        live += w->messages[i]->entry != NULL;
    return !w->in_flight && world_stats(w).live_messages == live;
}

void world_settle(struct world *w)
{
    world_until(w, answered);
}

void world_settle_done(struct world *w)
{
    world_until(w, ended);
    for (size_t i = 0; i < w->messages_n; i++) {
        struct message *m = w->messages[i];

        if (m->done_asked != NEVER && m->done_durable == NEVER)
            m->done_durable = sim_time(w->sim);
    }
}

static int content_intact(struct spool *spool, const struct message *m)
{
    char *want = mem_alloc(m->size + 1), *have = mem_alloc(m->size + 1);
    postern_content *c = spool_content(spool, m->entry);
    size_t at = 0;
    int64_t n = 1;
    int ok;

    fill(want, m->size, m->seed);
    while (c && at < m->size && n > 0) {
        n = content_read(c, at, have + at, m->size - at);
        at += n > 0 ? (size_t)n : 0;
    }
    ok = c && c->size == m->size && at == m->size && !memcmp(want, have, m->size);
    content_unref(&c);
    free(want);
    free(have);
    return ok;
}

int world_intact(struct message *m)
{
    char buf[256];
    void *meta = NULL;
    size_t len = 0;
    int ok = spool_read_meta(m->world->spool, m->entry, &meta, &len) == 0 &&
        len == meta_of(m, buf) && !memcmp(meta, buf, len);

    free(meta);
    return ok && content_intact(m->world->spool, m);
}

struct spool_stats world_stats(struct world *w)
{
    struct spool_stats st;

    spool_stats(w->spool, &st);
    return st;
}

/* --- comparing --- */

static void check_message(struct world *w, struct message *m, struct spool *spool, size_t ops)
{
    int oldest = -1;

    if (!m->seen) {
        if (m->acked <= ops && (m->done_asked == NEVER || m->done_asked > ops))
            complain(w, m, "was acknowledged, and is lost");
        return;
    }
    if (m->done_durable <= ops)
        complain(w, m, "was done, and is back");
    for (unsigned i = 0; i < m->states_n; i++) {
        if (m->state_durable[i] <= ops)
            oldest = (int)i;
    }
    if (m->seen_state < oldest)
        complain(w, m, "has lost a state that was durable");
    if (m->seen_state >= 0 && m->state_asked[m->seen_state] > ops)
        complain(w, m, "has a state from the future");
    if (!content_intact(spool, m))
        complain(w, m, "has other content");
}

static int compare(struct world *w, struct spool *spool, size_t ops)
{
    for (size_t i = 0; i < w->messages_n; i++)
        check_message(w, w->messages[i], spool, ops);
    return w->wrong;
}

/* Opens that disk and compares. 0, or a sentence is printed. */
static int look_at(struct world *w, struct sim *sim, struct loop *loop, size_t ops,
                   struct spool **ret)
{
    struct spool_stats st;
    int wrong;

    if (open_on(w, sim, loop, ret) < 0)
        return 1;
    wrong = compare(w, *ret, ops);
    spool_stats(*ret, &st);
    if (st.damaged_records || st.damaged_segments) {
        fprintf(stderr, "# a mere crash was taken for damage\n");
        wrong = 1;
    }
    return wrong;
}

/* Lets the process work until the first segment is gone; then a second crash, at any operation. */
static int look_again(struct world *w, struct sim *sim, struct loop *loop, size_t ops)
{
    size_t n;
    int wrong = 0;

    for (int i = 0; i < 50 && sim_exists(sim, 1, "00000001.seg"); i++) {
        loop_turn(loop, 0);
        usleep(200);
    }
    n = sim_time(sim);
    for (size_t i = 0; i <= n && !wrong; i++) {
        struct sim *after = sim_crash(sim, i, SIM_NOTHING, 1);
        struct spool *spool = NULL;

        wrong = look_at(w, after, NULL, ops, &spool);
        if (spool)
            spool_close(&spool);
        sim_free(&after);
    }
    return wrong;
}

static int check_crash(struct world *w, size_t ops, enum sim_luck luck, uint32_t seed, int twice)
{
    struct sim *sim = sim_crash(w->sim, ops, luck, seed);
    struct spool *spool = NULL;
    struct loop *loop = loop_new(0);
    struct spool_entry **entries = mem_alloc((w->messages_n + 1) * sizeof(struct spool_entry *));
    int wrong;

    for (size_t i = 0; i < w->messages_n; i++)
        entries[i] = w->messages[i]->entry; /* of the process that may be running all the while */
    /* Looking first, which must change nothing; then in earnest. */
    wrong = look_at(w, sim, NULL, ops, &spool);
    if (spool)
        spool_close(&spool);
    if (!wrong) {
        wrong = look_at(w, sim, loop, ops, &spool);
        if (!wrong && twice)
            wrong = look_again(w, sim, loop, ops);
        if (spool)
            spool_close(&spool);
    }
    for (size_t i = 0; i < w->messages_n; i++)
        w->messages[i]->entry = entries[i];
    free(entries);
    loop_free(&loop);
    sim_free(&sim);
    if (wrong)
        fprintf(stderr, "# after operation %zu, luck %d, seed %" PRIu32 " %s\n", ops, (int)luck,
                seed, w->why);
    return wrong;
}

int world_check_crash(struct world *w, size_t ops, enum sim_luck luck, uint32_t seed)
{
    return check_crash(w, ops, luck, seed, 0);
}

int world_check_two_crashes(struct world *w, size_t ops, enum sim_luck luck, uint32_t seed)
{
    return check_crash(w, ops, luck, seed, 1);
}

/* --- several shards --- */

struct shards {
    struct world *w;
    struct sim *sim;
    struct loop *loop;
    struct spool *v[SPOOL_SHARDS];
    size_t n;
    int wrong;
};

static void look_in(struct shards *s, const char *path)
{
    struct world *w = s->w;
    struct spool_config cfg = w->cfg;
    struct spool_stats st;
    struct spool *spool;

    if (sim_folder(s->sim, path) < 0 || s->wrong)
        return;
    cfg.io = &s->sim->io;
    cfg.path = path;
    if (spool_open(&cfg, s->loop, world_replayed, w, &spool, w->why, sizeof w->why) < 0) {
        fprintf(stderr, "# %s can't be opened: %s\n", path, w->why);
        s->wrong = 1;
        return;
    }
    s->v[s->n++] = spool;
    for (size_t i = 0; i < w->messages_n; i++) {
        if (w->messages[i]->seen && !w->messages[i]->in)
            w->messages[i]->in = spool;
    }
    spool_stats(spool, &st);
    if (st.damaged_records || st.damaged_segments) {
        fprintf(stderr, "# %s: a mere crash was taken for damage\n", path);
        s->wrong = 1;
    }
}

/* Who only looks finds parts on their way, too: what was decided is decided. */
static int look_in_all(struct world *w, struct sim *sim, struct loop *loop, size_t ops)
{
    struct shards s = { .w = w, .sim = sim, .loop = loop };
    char name[SPOOL_SHARD_NAME], path[64];

    world_forget(w);
    for (unsigned i = 0; i < SPOOL_SHARDS; i++) {
        spool_shard_name(name, i);
        snprintf(path, sizeof path, "/sim/%s", name);
        look_in(&s, path);
        for (unsigned k = 1; k < 4 && !loop; k++) {
            snprintf(path, sizeof path, "/sim/%s/split/%02u", name, k);
            look_in(&s, path);
        }
    }
    for (size_t i = 0; i < w->messages_n; i++)
        check_message(w, w->messages[i], w->messages[i]->in, ops);
    for (size_t i = 0; i < s.n; i++)
        spool_close(&s.v[i]);
    return s.wrong || w->wrong;
}

static int check_shards(struct world *w, struct sim *sim, size_t ops, unsigned depth)
{
    struct loop *loop = loop_new(0);
    int wrong = look_in_all(w, sim, NULL, ops) || look_in_all(w, sim, loop, ops);
    size_t n = sim_time(sim);

    loop_free(&loop);
    for (size_t i = 0; i <= n && depth && !wrong; i++) {
        for (int luck = SIM_NOTHING; luck <= SIM_CHANCE && !wrong; luck++) {
            struct sim *after = sim_crash(sim, i, (enum sim_luck)luck, (uint32_t)i + 1);

            wrong = check_shards(w, after, ops, depth - 1);
            sim_free(&after);
        }
    }
    return wrong;
}

int world_check_shards(struct world *w, size_t ops, enum sim_luck luck, uint32_t seed,
                       unsigned depth)
{
    struct sim *sim = sim_crash(w->sim, ops, luck, seed);
    int wrong = check_shards(w, sim, ops, depth);

    sim_free(&sim);
    if (wrong)
        fprintf(stderr, "# after operation %zu, luck %d, seed %" PRIu32 " %s\n", ops, (int)luck,
                seed, w->why);
    return wrong;
}

int world_check(struct world *w, size_t ops)
{
    int wrong = compare(w, w->spool, ops);

    begin_life(w);
    return wrong;
}
