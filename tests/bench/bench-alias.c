/* bench-alias: what a great many aliases cost: time to load them, memory, time of a look-up.
 *
 *   make -C build tests/bench/bench-alias && build/tests/bench/bench-alias [COUNT]
 *
 * Writes the aliases (a million, unless told otherwise) into a temporary folder, in each syntax,
 * loads them the way the gateway does, looks them all up in an order that no cache foresees, and
 * prints a line for each syntax. */
#include "bench-common.h"

#include <unistd.h>

#include "route/alias.h"

#define LOOKUPS 2000000u
#define STRIDE  7919u /* a prime: visits all of them, far apart */

struct syntax {
    const char *name;
    int64_t syntax; /* as aliases.files[].syntax */
    const char *begin, *before, *between, *after, *end;
};
static const struct syntax syntaxes[] = {
    { "tcpware", 1, "", "", ": ", ";\n", "" },
    { "sendmail", 2, "", "", ": ", "\n", "" },
    { "json", 3, "{\"x\": \"y\"", ",\n\"", "\": \"", "\"", "}\n" },
};

static long resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0, all;

    if (!f || fscanf(f, "%ld %ld", &all, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void write_file(const char *path, const struct syntax *s, unsigned count)
{
    FILE *f = fopen(path, "w");

    if (!f)
        die(EX_CANTCREAT, "%s: %s", path, strerror(errno));
    fputs(s->begin, f);
    for (unsigned i = 0; i < count; i++)
        fprintf(f, "%suser%06u%sfirst.last%u@mail.example.com%s", s->before, i, s->between, i,
                s->after);
    fputs(s->end, f);
    if (fclose(f))
        die(EX_IOERR, "%s: %s", path, strerror(errno));
}

/* Seconds of CPU for one look-up. prefix "user" hits, another misses. */
static double look_up(const struct alias_set *set, const char *prefix, unsigned count, int hits)
{
    struct alias_answer answer;
    struct alias_target target;
    unsigned found = 0;
    double start = own_cpu_seconds();

    for (unsigned i = 0; i < LOOKUPS; i++) {
        char local[32];
        struct alias_query q = { .local = local, .domain = "example.com", .local_domain = 1 };

        q.local_len = (size_t)snprintf(local, sizeof local, "%s%06u", prefix,
                                       (unsigned)((uint64_t)i * STRIDE % count));
        found += alias_lookup(set, &q, &answer) && alias_answer_next(&answer, &target);
    }
    start = own_cpu_seconds() - start;
    if (found != (hits ? LOOKUPS : 0))
        die(EX_SOFTWARE, "%u of %u look-ups found something", found, LOOKUPS);
    return start / LOOKUPS;
}

/* What the loop around look_up costs by itself. */
static double overhead(unsigned count)
{
    volatile size_t sum = 0;
    double start = own_cpu_seconds();

    for (unsigned i = 0; i < LOOKUPS; i++) {
        char local[32];

        sum += (size_t)snprintf(local, sizeof local, "user%06u",
                                (unsigned)((uint64_t)i * STRIDE % count));
    }
    return (own_cpu_seconds() - start) / LOOKUPS;
}

static void measure(const struct syntax *s, const char *path, unsigned count)
{
    struct config_alias_file file = { path, s->syntax };
    struct config_aliases cfg = { .files = { 1, &file },
                                  .virtual_aliases = 1,
                                  .owners = 1,
                                  .subaddress = "+",
                                  .depth = 20,
                                  .expansion_max = 1000 };
    struct alias_report report = { 0 };
    struct alias_set *set = NULL;
    long before = resident_bytes();
    double start = now_seconds(), cpu = own_cpu_seconds(), load, hit, miss, loop;

    alias_set_load(&cfg, NULL, &set, &report);
    load = now_seconds() - start;
    cpu = own_cpu_seconds() - cpu;
    if (report.errors.n)
        die(EX_DATAERR, "%s", report.errors.lines[0]);
    loop = overhead(count);
    hit = look_up(set, "user", count, 1) - loop;
    miss = look_up(set, "none", count, 0) - loop;
    printf("%-9s %zu aliases: load %.2f s (CPU %.2f s), %.1f MB (resident +%.1f MB), "
           "look-up %.0f ns, miss %.0f ns\n",
           s->name, alias_set_count(set), load, cpu, (double)alias_set_bytes(set) / 1e6,
           (double)(resident_bytes() - before) / 1e6, hit * 1e9, miss * 1e9);
    alias_set_unref(&set);
    alias_report_done(&report);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000u;
    char dir[] = "/tmp/postern-bench-XXXXXX", path[64];

    if (!count || !mkdtemp(dir))
        die(EX_USAGE, "expected a number of aliases, and a /tmp to write to");
    snprintf(path, sizeof path, "%s/aliases", dir);
    for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++) {
        write_file(path, &syntaxes[i], count);
        measure(&syntaxes[i], path, count);
        unlink(path);
    }
    rmdir(dir);
    return 0;
}
