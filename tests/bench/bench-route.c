/* How long a large routing table takes to load, and a decision to make:
 *
 *   bench-route [RULES [DECISIONS]]
 *
 * The rules are of all kinds that operators write: domains, ends of domains, addresses, users in
 * any domain, senders, and a few with wildcards that no index can sort out. Prints seconds,
 * microseconds and bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "route/route.h"

#define WILD_EVERY 10000 /* one rule in so many has wildcards on both sides of the @ */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long resident(void)
{
    long pages = 0, skip;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f) {
        if (fscanf(f, "%ld %ld", &skip, &pages) != 2)
            pages = 0;
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static void print_condition(FILE *f, unsigned i)
{
    switch (i % 6) {
    case 0:
        fprintf(f, "\"domain\": \"d%u.example\"", i);
        break;
    case 1:
        fprintf(f, "\"domain\": \".z%u.example\"", i);
        break;
    case 2:
        fprintf(f, "\"recipient\": \"u%u@big.example\"", i);
        break;
    case 3:
        fprintf(f, "\"recipient\": \"user%u@\"", i);
        break;
    case 4:
        fprintf(f, "\"sender\": \"@s%u.example\"", i);
        break;
    default:
        fprintf(f, "\"domain\": [\"e%u.example\", \".e%u.example\"]", i, i);
    }
}

static void print_rule(FILE *f, unsigned i)
{
    fputs(i ? ",\n{" : "{", f);
    if (i % WILD_EVERY == WILD_EVERY - 1)
        fprintf(f, "\"recipient\": \"*-%u@*.lists.example\"", i);
    else
        print_condition(f, i);
    fputs(", \"transport\": \"smtp-out\", \"next_hops\": \"[192.0.2.1]\"}", f);
}

static void write_config(const char *dir, unsigned rules)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/50-routing.json", dir);
    f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    fputs("{\"routing\": {\"rules\": [\n", f);
    for (unsigned i = 0; i < rules; i++)
        print_rule(f, i);
    fputs("\n]}}\n", f);
    fclose(f);
}

static void drop_config(const char *dir)
{
    char path[256];

    snprintf(path, sizeof path, "%s/50-routing.json", dir);
    unlink(path);
    rmdir(dir);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void decide(const struct route_table *t, unsigned rules, unsigned n)
{
    static const char *const parts[][2] = {
        { "ann@d", ".example" },    { "ann@a.b.z", ".example" }, { "u", "@big.example" },
        { "user", "@far.example" }, { "ann@n", ".example" },     { "ann@x.e", ".example" },
    };
    double *times = malloc(n * sizeof *times);
    unsigned seed = 1, by_rule = 0;

    for (unsigned i = 0; times && i < n; i++) {
        char rcpt[64], sender[64];
        struct route_query q = { .sender = sender, .rcpt = rcpt };
        struct route_decision d;
        double start;

        seed = seed * 1664525u + 1013904223u;
        snprintf(rcpt, sizeof rcpt, "%s%u%s", parts[i % 6][0], (seed >> 8) % rules,
                 parts[i % 6][1]);
        snprintf(sender, sizeof sender, "bob@s%u.example", (seed >> 4) % rules);
        start = now();
        if (route_decide(t, &q, &d, NULL) == 0)
            by_rule += !strcmp(d.rule->what, "rule");
        times[i] = (now() - start) * 1e6;
        route_decision_done(&d);
    }
    if (!times || !n)
        return;
    qsort(times, n, sizeof *times, by_size);
    printf("decisions %u by_rule %u median_us %.2f p99_us %.2f max_us %.1f\n", n, by_rule,
           times[n / 2], times[n - 1 - n / 100], times[n - 1]);
    free(times);
}

int main(int argc, char **argv)
{
    unsigned rules = argc > 1 ? (unsigned)atoi(argv[1]) : 100000;
    unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 600000;
    char dir[] = "/tmp/postern-bench-route-XXXXXX";
    struct config_errors errors = { 0 };
    struct route_table *t = NULL;
    struct config *cfg = NULL;
    double start, loaded, compiled;
    long before, with_config;

    if (rules == 0 || !mkdtemp(dir))
        return 1;
    write_config(dir, rules);
    before = resident();
    start = now();
    config_load(dir, NULL, &cfg, &errors);
    loaded = now();
    with_config = resident();
    if (cfg && !errors.n)
        route_compile(cfg, &t, &errors);
    compiled = now();
    drop_config(dir);
    for (size_t i = 0; i < errors.n; i++)
        fprintf(stderr, "%s\n", errors.lines[i]);
    if (t) {
        printf("rules %u load_s %.2f compile_s %.2f config_bytes %ld table_bytes %ld\n", rules,
               loaded - start, compiled - loaded, with_config - before, resident() - with_config);
        decide(t, rules, n);
    }
    route_free(&t);
    config_free(&cfg);
    config_errors_free(&errors);
    return 0;
}
