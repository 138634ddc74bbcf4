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

/* Where mail goes, in short: "smtp-out gw.example,*" (transport and next hops as they are for this
 * recipient), "fail 5.1.1", "hold", "discard". */
static inline void tables_goes(struct tables *t, struct route_query q, const char *expected)
{
    char found[512], own[260];
    struct route_decision d;
    size_t n;

    assert_int_equal(route_decide(t->table, &q, &d, NULL), 0);
    switch (d.action) {
    case ROUTE_TRANSPORT:
        n = (size_t)snprintf(found, sizeof found, "%s", d.transport);
        for (size_t i = 0; i < d.next_hop_n; i++)
            n += (size_t)snprintf(found + n, sizeof found - n, "%s%s", i ? "," : " ",
                                  route_next_hop(&d, i, own, sizeof own));
        break;
    case ROUTE_FAIL:
        snprintf(found, sizeof found, "fail %u.%u.%u", d.status[0], d.status[1], d.status[2]);
        break;
    default:
        snprintf(found, sizeof found, "%s", d.action == ROUTE_HOLD ? "hold" : "discard");
    }
    if (strcmp(found, expected) != 0)
        print_error("for %s:\n", q.rcpt);
    assert_string_equal(found, expected);
    route_decision_done(&d);
}

static inline void tables_to(struct tables *t, const char *rcpt, const char *expected)
{
    tables_goes(t, (struct route_query){ .rcpt = rcpt }, expected);
}

/* By which row: "gateway", "virtual domain", ... */
static inline void tables_by(struct tables *t, const char *rcpt, const char *what)
{
    struct route_decision d;

    assert_int_equal(
        route_decide(t->table, &(struct route_query){ .rcpt = rcpt }, &d, NULL), 0);
    assert_string_equal(d.rule->what, what);
    route_decision_done(&d);
}

#endif
