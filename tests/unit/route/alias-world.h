/* A folder of alias files for one test, and the set that a section "aliases" makes of them. In
 * files and in the section, "@" + "DIR" + "@" is the folder. The gateway is gw.example.com; local
 * are that, example.com and museum.example.org; virtual.example has addresses only. */
#ifndef TESTS_ROUTE_ALIAS_WORLD_H
#define TESTS_ROUTE_ALIAS_WORLD_H

#include <errno.h>

#include "../config/scratch.h"
#include "alias-kit.h"
#include "util/cleanup.h"

struct world {
    struct scratch scratch;
    struct config *cfg;
    struct alias_set *set;
    struct alias_report report;
};

/* malloc'ed: text with the folder's name put in. */
static inline char *world_text(const struct world *w, const char *text)
{
    struct buf out = { 0 };
    const char *at;

    for (; (at = strstr(text, "@DIR@")); text = at + 5) {
        buf_add(&out, text, (size_t)(at - text));
        buf_adds(&out, w->scratch.dir);
    }
    buf_adds(&out, text);
    buf_reserve(&out, 1);
    return out.data;
}

static inline void world_file(const struct world *w, const char *name, const char *text)
{
    char *own AUTO_FREE = world_text(w, text);

    scratch_file(&w->scratch, name, own);
}

static inline void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    scratch_init(&w->scratch);
}

/* Loads (again): returns what alias_set_load did; the report is of this time only. */
static inline int world_load(struct world *w)
{
    struct alias_set *fresh = NULL;
    int r;

    alias_report_done(&w->report);
    r = alias_set_load(&w->cfg->aliases, w->set, &fresh, &w->report);
    if (r)
        alias_set_swap(&w->set, &fresh);
    return r;
}

/* section: what stands in the braces. */
static inline void world_config(struct world *w, const char *section)
{
    char *text AUTO_FREE = world_text(w, section), *dir AUTO_FREE = NULL;
    char *json AUTO_FREE = mem_printf("{\"aliases\": {%s}}", text);
    struct config_errors errors = { 0 };

    dir = scratch_path(&w->scratch, "conf.d");
    assert_int_equal(mkdir(dir, 0700), 0);
    scratch_file(&w->scratch, "conf.d/10-aliases.json", json);
    config_load(dir, NULL, &w->cfg, &errors);
    for (size_t i = 0; i < errors.n; i++)
        print_message("%s\n", errors.lines[i]);
    assert_int_equal(errors.n, 0);
    config_errors_free(&errors);
}

static inline void world_good(struct world *w, const char *section)
{
    world_config(w, section);
    assert_int_equal(world_load(w), 1);
    for (size_t i = 0; i < w->report.errors.n; i++)
        print_message("%s\n", w->report.errors.lines[i]);
    assert_int_equal(w->report.errors.n, 0);
}

static inline void world_done(struct world *w)
{
    alias_set_unref(&w->set);
    alias_report_done(&w->report);
    config_free(&w->cfg);
    scratch_done(&w->scratch);
}

/* A line of a report, without the folder's name before it. */
static inline const char *world_line(const struct world *w, const char *line)
{
    size_t n = strlen(w->scratch.dir);

    return strncmp(line, w->scratch.dir, n) == 0 ? line + n + 1 : line;
}

static inline int world_domain(void *ctx, const char *domain)
{
    (void)ctx;
    if (strcmp(domain, "virtual.example") == 0)
        return ALIAS_DOMAIN_VIRTUAL;
    return strcmp(domain, "example.com") == 0 || strcmp(domain, "museum.example.org") == 0
        ? ALIAS_DOMAIN_LOCAL
        : 0;
}

/* One leaf a line: "kind text [folder=] [owner=] [status]". */
static inline void world_leaf(const struct world *w, const struct alias_leaf *l, struct buf *out)
{
    static const char *const kinds[] = { "", "address", "local", "pipe", "file", "include",
                                         "list" };
    const char *text = world_line(w, l->text);

    buf_printf(out, "%s %s", kinds[l->kind], text);
    if (l->flags & ALIAS_OWN)
        buf_adds(out, " own");
    if (l->folder)
        buf_printf(out, " folder=%s", l->folder);
    if (l->owner)
        buf_printf(out, " owner=%s", l->owner);
    if (l->error)
        buf_printf(out, " %u.%u.%u", l->status[0], l->status[1], l->status[2]);
    buf_adds(out, "\n");
}

static inline struct alias_expand world_how(const struct world *w)
{
    return (struct alias_expand){ .set = w->set,
                                  .hostname = "gw.example.com",
                                  .domain = world_domain };
}

static inline void world_expect_how(const struct world *w, const struct alias_expand *how,
                                    const char *address, const char *leaves)
{
    struct alias_expansion e;
    struct buf out = { 0 };

    assert_int_equal(alias_expand(how, address, &e), 0);
    assert_true(e.n > 0);
    for (size_t i = 0; i < e.n; i++)
        world_leaf(w, &e.leaves[i], &out);
    assert_string_equal(out.data, leaves);
    buf_free(&out);
    alias_expansion_done(&e);
}

static inline void world_expect(const struct world *w, const char *address, const char *leaves)
{
    struct alias_expand how = world_how(w);

    world_expect_how(w, &how, address, leaves);
}

#endif
