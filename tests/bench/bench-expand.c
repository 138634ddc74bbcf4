/* bench-expand: how long an alias that stands for a great many addresses holds up the loop.
 *
 *   make -C build tests/bench/bench-expand && build/tests/bench/bench-expand [MEMBERS [ROUNDS]]
 *
 * Writes an alias with so many members (100000, unless told otherwise) into a temporary folder, and
 * finds out all of its places, in one go and in steps, as the queue does, one in a turn of the
 * loop: once with members elsewhere, once with members who are local. Of so many rounds the best is
 * told. */
#include "bench-common.h"

#include <unistd.h>

#include "route/expand.h"

static FILE *create(const char *dir, const char *name)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    if (!f)
        die(EX_CANTCREAT, "%s: %s", path, strerror(errno));
    return f;
}

static void complete(FILE *f)
{
    if (fclose(f))
        die(EX_IOERR, "%s", strerror(errno));
}

static const char *const files[] = { "10.json", "aliases", "far", "here" };

static void write_files(const char *dir, unsigned members)
{
    FILE *f = create(dir, files[0]);

    fprintf(f,
            "{\"server\": {\"hostname\": \"gw.example.com\"}, \"aliases\": {\"files\": [{\"path\": "
            "\"%s/aliases\"}], \"roots\": [\"%s\"], \"expansion_max\": 500000},\n \"routing\": "
            "{\"rules\": [{\"domain\": \"*.example\", \"transport\": \"smtp-out\"}]}}\n",
            dir, dir);
    complete(f);
    f = create(dir, files[1]);
    fprintf(f, "far: :include:%s/far\nhere: :include:%s/here\n", dir, dir);
    complete(f);
    f = create(dir, files[2]);
    for (unsigned i = 0; i < members; i++)
        fprintf(f, "member%u@far.example\n", i);
    complete(f);
    f = create(dir, files[3]);
    for (unsigned i = 0; i < members; i++)
        fprintf(f, "member%u\n", i);
    complete(f);
}

/* Seconds of CPU: others may be at work, too. */
static double cpu_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

#define BUDGET 5000u /* of a step: ROUTE_BUDGET in core/queue/attempt.h */

static double whole(const struct route_table *t, const struct route_query *q, size_t *ret_places)
{
    double start = cpu_seconds();
    struct route_expansion e;

    if (route_expand(t, q, 0, &e) < 0 || !e.aliased)
        die(EX_SOFTWARE, "%s is no alias", q->rcpt);
    *ret_places = e.n;
    route_expansion_done(&e);
    return cpu_seconds() - start;
}

/* The longest step. */
static double in_steps(const struct route_table *t, const struct route_query *q,
                       unsigned *ret_steps)
{
    struct expand_walk *w = expand_walk_new(t, q, 0);
    const struct route_expansion *e;
    double longest = 0;
    int r;

    *ret_steps = 0;
    do {
        double start = cpu_seconds(), took;

        r = expand_walk_step(w, BUDGET, &e);
        took = cpu_seconds() - start;
        longest = took > longest ? took : longest;
        ++*ret_steps;
    } while (r == -EINPROGRESS);
    expand_walk_free(&w);
    return longest;
}

static void expand(const struct route_table *t, const char *alias, unsigned rounds)
{
    char rcpt[64];
    struct route_query q = { .sender = "ann@far.example", .rcpt = rcpt, .ingress = "smtp-in" };
    double best = 0, longest = 0;
    unsigned steps = 0;
    size_t places = 0;

    snprintf(rcpt, sizeof rcpt, "%s@gw.example.com", alias);
    for (unsigned i = 0; i < rounds; i++) {
        double took = whole(t, &q, &places), step = in_steps(t, &q, &steps);

        best = !i || took < best ? took : best;
        longest = !i || step < longest ? step : longest;
    }
    printf("%s places %zu whole_ms %.1f steps %u longest_step_ms %.1f\n", alias, places, best * 1e3,
           steps, longest * 1e3);
}

int main(int argc, char **argv)
{
    unsigned members = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000u;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5u;
    char dir[] = "/tmp/postern-bench-expand-XXXXXX", path[256];
    struct config_errors errors = { 0 };
    struct route_table *t = NULL;
    struct config *cfg = NULL;

    if (!members || !rounds || !mkdtemp(dir))
        die(EX_USAGE, "usage: bench-expand [MEMBERS [ROUNDS]]");
    write_files(dir, members);
    if (config_load(dir, NULL, &cfg, &errors) == 0)
        route_compile(cfg, &t, &errors);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
    for (size_t i = 0; i < errors.n; i++)
        fprintf(stderr, "%s\n", errors.lines[i]);
    if (t) {
        expand(t, "far", rounds);
        expand(t, "here", rounds);
    }
    route_free(&t);
    config_free(&cfg);
    config_errors_free(&errors);
    return t ? 0 : 1;
}
