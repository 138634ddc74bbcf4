/* Routing tables for tests, from JSON as an operator writes it. The gateway is gw.example.com, with
 * the local domains example.com and .sub.example.com, the ingresses smtp-in and submission, and the
 * transports local-mbox, smtp-out, decnet, and asleep (not enabled). */
#ifndef TESTS_ROUTE_TABLES_H
#define TESTS_ROUTE_TABLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "route/route.h"

#define TABLES_LOCAL                                                                               \
    "\"local_domains\": [\"example.com\", \".sub.example.com\"], "                                 \
    "\"local_transport\": \"local-mbox\", \"default\": {\"transport\": \"smtp-out\"}"
#define TABLES_RULES(rules) TABLES_LOCAL ", \"rules\": [" rules "]"

static const char tables_base[] =
    "{\"server\": {\"hostname\": \"GW.Example.COM\"},"
    " \"ingress\": {\"smtp-in\": {}, \"submission\": {\"plugin\": \"smtp-in\"}},"
    " \"transports\": {\"local-mbox\": {}, \"smtp-out\": {},"
    "                  \"decnet\": {\"plugin\": \"smtp-out\"},"
    "                  \"asleep\": {\"plugin\": \"smtp-out\", \"enabled\": false}}}";

struct tables {
    struct config *cfg;
    struct route_table *table;
    struct config_errors errors;
};

static void tables_write(const char *dir, const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", dir, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    free(path);
}

/* routing: what stands in the section's braces. The file is called 50-routing.json. base NULL: as
 * above. */
static inline void tables_load(struct tables *t, const char *base, const char *routing)
{
    char dir[] = "/tmp/postern-route-XXXXXX", path[64];
    char *text = mem_printf("{\"routing\": {%s}}", routing);

    memset(t, 0, sizeof *t);
    assert_non_null(mkdtemp(dir));
    tables_write(dir, "10-base.json", base ? base : tables_base);
    tables_write(dir, "50-routing.json", text);
    config_load(dir, NULL, &t->cfg, &t->errors);
    assert_non_null(t->cfg);
    if (t->errors.n == 0)
        route_compile(t->cfg, &t->table, &t->errors);
    snprintf(path, sizeof path, "%s/10-base.json", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/50-routing.json", dir);
    unlink(path);
    rmdir(dir);
    free(text);
}

static inline void tables_done(struct tables *t)
{
    route_free(&t->table);
    config_free(&t->cfg);
    config_errors_free(&t->errors);
}

/* A table that has to compile. */
static inline void tables_good(struct tables *t, const char *routing)
{
    tables_load(t, NULL, routing);
    for (size_t i = 0; i < t->errors.n; i++)
        print_error("%s\n", t->errors.lines[i]);
    assert_int_equal(t->errors.n, 0);
    assert_non_null(t->table);
}

/* A table that must not compile: exactly this complaint, after the folder's name. */
static inline void tables_bad(const char *base, const char *routing, const char *complaint)
{
    struct tables t;
    const char *line, *name;

    tables_load(&t, base, routing);
    assert_int_equal(t.errors.n, 1);
    assert_null(t.table);
    line = t.errors.lines[0];
    name = strstr(line, ".json#");
    while (name && name > line && name[-1] != '/')
        name--;
    assert_string_equal(name ? name : line, complaint);
    tables_done(&t);
}

#endif
