/* How fast is the spool alone? Appends messages through a real loop with so many in flight, opens
 * the spool again with all of them live, then says done to each.
 *
 *   bench-spool FOLDER [messages [bytes [in-flight]]]
 *
 * One line a phase, key=value. The folder must not exist or be empty; it is left for a look. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spool/spool.h"
#include "util/clock.h"
#include "util/loop.h"

struct bench {
    struct loop *loop;
    struct spool *spool;
    char *data;
    size_t bytes;
    unsigned long to_begin, in_flight, stored, wanted;
    struct spool_entry **entries;
};

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
        (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static unsigned long rss_kib(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long total, resident = 0;

    if (f && fscanf(f, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (unsigned long)(sysconf(_SC_PAGESIZE) / 1024);
}

static void begin_one(struct bench *b);

static void stored(void *ctx, int result, struct spool_entry *entry)
{
    struct bench *b = ctx;

    if (result) {
        fprintf(stderr, "commit: %s\n", strerror(-result));
        exit(1);
    }
    b->entries[b->stored++] = entry;
    b->in_flight--;
    if (b->to_begin)
        begin_one(b);
    if (b->stored == b->wanted)
        loop_stop(b->loop);
}

static void begin_one(struct bench *b)
{
    static const char meta[] = "sender@example.org\0recipient@example.net";
    struct spool_put *put;
    int r = spool_put_new(b->spool, spool_new_id(b->spool), b->bytes, &put);

    if (r == 0)
        r = spool_put_write(put, b->data, b->bytes);
    if (r < 0) {
        fprintf(stderr, "put: %s\n", strerror(-r));
        exit(1);
    }
    b->to_begin--;
    b->in_flight++;
    spool_put_commit(put, meta, sizeof meta, stored, b);
}

static void replayed(void *ctx, uint64_t id, struct spool_entry *entry, const void *meta,
                     size_t meta_len, const void *state, size_t state_len, uint64_t content_size)
{
    struct bench *b = ctx;

    (void)id, (void)meta, (void)meta_len, (void)state, (void)state_len, (void)content_size;
    b->entries[b->stored++] = entry;
}

static void open_spool(struct bench *b, const char *path)
{
    struct spool_config cfg = { .path = path };
    char why[256];

    b->stored = 0;
    b->loop = loop_new(0);
    if (spool_open(&cfg, b->loop, replayed, b, &b->spool, why, sizeof why) < 0) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
}

static void close_spool(struct bench *b)
{
    spool_close(&b->spool);
    loop_free(&b->loop);
}

static void append_all(struct bench *b, unsigned long in_flight)
{
    struct spool_stats st;
    double cpu = cpu_seconds(), seconds;
    int64_t began = clock_mono();

    b->to_begin = b->wanted;
    while (b->in_flight < in_flight && b->to_begin)
        begin_one(b);
    loop_run(b->loop);
    seconds = (double)(clock_mono() - began) / 1e6;
    cpu = cpu_seconds() - cpu;
    spool_stats(b->spool, &st);
    printf("append messages=%lu bytes=%zu in_flight=%lu seconds=%.2f per_second=%.0f groups=%lu "
           "cpu_usec=%.2f\n",
           b->wanted, b->bytes, in_flight, seconds, (double)b->wanted / seconds,
           (unsigned long)st.synced_groups, cpu * 1e6 / (double)b->wanted);
}

/* In a process of its own, so that the memory it used does not count for the replay. */
static void append_in_child(struct bench *b, const char *path, unsigned long in_flight)
{
    pid_t child;
    int status;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        open_spool(b, path);
        append_all(b, in_flight);
        close_spool(b);
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status) {
        fprintf(stderr, "appending failed\n");
        exit(1);
    }
}

static void replay_all(struct bench *b, const char *path)
{
    unsigned long before = rss_kib(), after;
    int64_t began = clock_mono();
    struct spool_stats st;

    open_spool(b, path);
    after = rss_kib();
    spool_stats(b->spool, &st);
    printf("replay messages=%lu seconds=%.2f rss_kib=%lu rss_bytes_per_message=%.0f damaged=%lu\n",
           b->stored, (double)(clock_mono() - began) / 1e6, after,
           ((double)after - (double)before) * 1024 / (double)(b->stored ? b->stored : 1),
           (unsigned long)st.damaged_records);
}

static void done_all(struct bench *b)
{
    double cpu = cpu_seconds();
    int64_t began = clock_mono();
    struct spool_stats st = { .live_messages = 1 };

    for (unsigned long i = 0; i < b->stored; i++)
        spool_done(b->spool, b->entries[i]);
    while (st.live_messages) {
        loop_turn(b->loop, 1);
        spool_stats(b->spool, &st);
    }
    printf("done messages=%lu seconds=%.2f cpu_usec=%.2f segments=%lu\n", b->stored,
           (double)(clock_mono() - began) / 1e6,
           (cpu_seconds() - cpu) * 1e6 / (double)(b->stored ? b->stored : 1),
           (unsigned long)st.segments);
}

int main(int argc, char **argv)
{
    struct bench b = { .wanted = 100000, .bytes = 1024 };
    unsigned long in_flight = 20;

    if (argc < 2 || argc > 5) {
        fprintf(stderr, "usage: bench-spool FOLDER [messages [bytes [in-flight]]]\n");
        return 64;
    }
    if (argc > 2)
        b.wanted = strtoul(argv[2], NULL, 10);
    if (argc > 3)
        b.bytes = strtoul(argv[3], NULL, 10);
    if (argc > 4)
        in_flight = strtoul(argv[4], NULL, 10);
    if (!b.wanted || !b.bytes || !in_flight)
        return 64;
    b.data = malloc(b.bytes);
    b.entries = calloc(b.wanted, sizeof *b.entries);
    if (!b.data || !b.entries)
        return 1;
    memset(b.data, 'x', b.bytes);
    memset(b.entries, 0xff,
           b.wanted * sizeof *b.entries); /* resident before anything is measured */
    append_in_child(&b, argv[1], in_flight);
    replay_all(&b, argv[1]);
    done_all(&b);
    close_spool(&b);
    free(b.data);
    free(b.entries);
    return 0;
}
