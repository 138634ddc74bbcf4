/* Queue groups: destinations with a schedule of their own. */
#include "route/compile.h"

#include <stdio.h>
#include <string.h>

#include "config/table.h"
#include "util/text.h"

#define RETRY_MIN 1000 /* usec, as for queue.retry */
#define RETRY_MAX POSTERN_DAYS(364)

static void compile_retry(struct compile *c, const struct config_origin *o,
                          const struct config_queue_group *from, struct route_group *g)
{
    int64_t *retry = arena_alloc(c->t->arena, from->retry.n * sizeof *retry);

    for (size_t i = 0; i < from->retry.n; i++) {
        if (text_duration_parse(from->retry.v[i], &retry[i]) < 0 || retry[i] < RETRY_MIN ||
            retry[i] > RETRY_MAX)
            compile_error(c, o, "retry", i, from->retry.n,
                          "found \"%s\", expected a duration from 1ms to 52w, like \"5m\"",
                          from->retry.v[i]);
    }
    g->retry = retry;
    g->retry_n = from->retry.n;
}

#define DIGITS "0123456789"

/* "22:00" at *text, which moves on. The minute of the day, or -1. */
static int parse_clock(const char **text)
{
    unsigned hour, minute;
    int n = 0;

    /* sscanf would take blanks and signs, too. */
    if (strspn(*text, DIGITS) != 2 || (*text)[2] != ':' || strspn(*text + 3, DIGITS) != 2 ||
        sscanf(*text, "%2u:%2u%n", &hour, &minute, &n) != 2 || n != 5 || hour > 24 || minute > 59 ||
        (hour == 24 && minute))
        return -1;
    *text += n;
    return (int)(hour * 60 + minute);
}

static int parse_hours(const char *text, struct route_hours *ret)
{
    int from = parse_clock(&text), to;

    if (from < 0 || *text++ != '-')
        return -1;
    to = parse_clock(&text);
    if (to < 0 || *text)
        return -1;
    ret->from = (uint16_t)(from % (24 * 60));
    ret->to = (uint16_t)(to % (24 * 60));
    return from == to ? -1 : 0;
}

static void compile_hours(struct compile *c, const struct config_origin *o,
                          const struct config_queue_group *from, struct route_group *g)
{
    struct route_hours *hours = arena_alloc(c->t->arena, from->hours.n * sizeof *hours);

    for (size_t i = 0; i < from->hours.n; i++) {
        if (parse_hours(from->hours.v[i], &hours[i]) < 0)
            compile_error(c, o, "hours", i, from->hours.n,
                          "found \"%s\", expected two times of a day, like \"22:00-06:00\"",
                          from->hours.v[i]);
    }
    g->hours = hours;
    g->hours_n = from->hours.n;
}

static const struct route_group *find(const struct route_table *t, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (text_casecmp(t->groups[i].name, name) == 0)
            return &t->groups[i];
    }
    return NULL;
}

static void compile_members(struct compile *c, const struct config_queue_group *from,
                            const struct route_group *g, struct group_pattern *patterns)
{
    struct domain_patterns domains;

    compile_domains(c, &g->origin, "domain", &from->domain, &domains);
    for (size_t i = 0; i < domains.n; i++) {
        const struct domain_pattern *p = &domains.v[i];

        if (p->kind != DOMAIN_EXACT)
            patterns[c->t->group_pattern_n++] = (struct group_pattern){ *p, g };
        else if (p->lower && !map_get(c->t->group_of, p->lower))
            map_set(c->t->group_of, p->lower, (void *)g);
    }
}

static void compile_one(struct compile *c, const struct config_queue_group *from, size_t i)
{
    const struct config_origin *o = &c->cfg->group_origins[i];
    struct route_group *g = &c->t->groups[i];

    g->name = arena_strdup(c->t->arena, from->name ? from->name : "");
    g->origin = compile_copy_origin(c->t->arena, o);
    if (!config_name_valid(g->name))
        compile_error(c, o, "name", 0, 1,
                      "found \"%s\", expected lower case letters, digits and '-'", g->name);
    else if (find(c->t, i, g->name))
        compile_error(c, o, "name", 0, 1, "there is another group \"%s\"", g->name);
    g->concurrency = (size_t)from->concurrency;
    compile_retry(c, o, from, g);
    compile_hours(c, o, from, g);
}

void compile_groups(struct compile *c)
{
    const struct config_queue_group *from = c->cfg->routing.queue_groups.v;
    struct route_table *t = c->t;
    struct group_pattern *patterns;
    size_t n = 0;

    t->group_n = c->cfg->routing.queue_groups.n;
    t->groups = arena_alloc(t->arena, t->group_n * sizeof *t->groups);
    for (size_t i = 0; i < t->group_n; i++)
        n += from[i].domain.n;
    patterns = arena_alloc(t->arena, n * sizeof *patterns);
    for (size_t i = 0; i < t->group_n; i++) {
        compile_one(c, &from[i], i);
        compile_members(c, &from[i], &t->groups[i], patterns);
    }
    t->group_patterns = patterns;
}

const struct route_group *compile_group(struct compile *c, const struct config_origin *origin,
                                        const char *key, const char *name)
{
    const struct route_group *g = find(c->t, c->t->group_n, name);
    const char *near = NULL;
    size_t best = SIZE_MAX;

    if (g)
        return g;
    for (size_t i = 0; i < c->t->group_n; i++) {
        if (config_nearer(name, c->t->groups[i].name, &best))
            near = c->t->groups[i].name;
    }
    if (near)
        compile_error(c, origin, key, 0, 1, "unknown queue group \"%s\"; did you mean \"%s\"?",
                      name, near);
    else
        compile_error(c, origin, key, 0, 1,
                      "unknown queue group \"%s\"; groups are named in /routing/queue_groups",
                      name);
    return NULL;
}
