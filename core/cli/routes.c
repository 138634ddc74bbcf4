/* cli/routes.c: see routes.h. */
#include "cli/routes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "config/read.h"
#include "config/table.h"
#include "util/cleanup.h"

/* A NUL would end the line too early, and hide what follows. */
static const char *line_fault(const char *line, size_t len)
{
    if (len > ROUTE_EXPECT_LINE_MAX)
        return "the line is too long";
    return memchr(line, 0, len) ? "found a NUL, expected text" : NULL;
}

int cli_each_line(const char *path, cli_line_fn *each, void *ctx)
{
    char *text AUTO_FREE = NULL;
    size_t len, number = 0;
    int code = EX_OK, r = config_read_file(AT_FDCWD, path, CLI_ROUTES_MAX, &text, &len);

    if (r < 0)
        return cli_error(EX_NOINPUT, "%s: %s", path, config_read_why(r));
    for (char *line = text; line < text + len && code == EX_OK;) {
        char *end = memchr(line, '\n', (size_t)(text + len - line));
        char *next = end ? end + 1 : text + len;
        const char *why = line_fault(line, (size_t)((end ? end : next) - line));

        *(end ? end : next) = 0;
        code = each(ctx, ++number, why ? NULL : line, why);
        line = next;
    }
    return code;
}

static void read_personal(const struct route_table *t, const struct route_expansion *e)
{
    struct alias_report report = { 0 };

    route_personal(t, e->wanted, e->wanted_len, &report);
    for (size_t i = 0; i < report.errors.n; i++)
        fprintf(stderr, "postern: %s\n", report.errors.lines[i]);
    alias_report_done(&report);
}

int cli_expand(const struct route_table *t, const struct route_query *q, int trace,
               struct cli_lookup *lookup, struct route_expansion *ret)
{
    struct expand_walk *walk = expand_walk_new(t, q, trace);
    const struct route_expansion *e;
    int r;

    while ((r = expand_walk_step(walk, SIZE_MAX, &e)) == -EAGAIN) {
        if (e->wanted)
            read_personal(t, e);
        if (e->need_n)
            cli_lookup_ask(lookup, e);
    }
    expand_walk_take(&walk, ret);
    return r;
}

/* --- what is expected --- */

struct check {
    const struct route_table *t;
    struct cli_lookup *lookup;
    const char *path;
    json_t *results; /* may be NULL */
    size_t good, wrong, bad;
};

/* Of places that an alias names there may be many rows: the alias decided. */
static json_t *decided_json(const struct route_expansion *x)
{
    json_t *j = route_rule_json(x->aliased ? x->first.rule : x->leaves[0].decision.rule);

    if (x->aliased)
        json_object_set_new(j, "alias",
                            json_pack("{s:o, s:I}", "file", config_text_json(x->alias_file), "line",
                                      (json_int_t)x->alias_line));
    return j;
}

static void print_decided(const struct route_expansion *x)
{
    const struct route_rule *rule = x->leaves[0].decision.rule;

    if (x->aliased)
        printf(", by alias (%s:%u)\n", x->alias_file, (unsigned)x->alias_line);
    else
        printf(", by %s %zu (%s#%s)\n", rule->what, rule->number ? rule->number : 1,
               rule->origin.file, rule->origin.pointer);
}

static void report(struct check *c, size_t number, const char *rcpt, const char *found,
                   const struct route_expansion *x)
{
    if (c->results) {
        json_array_append_new(c->results,
                              json_pack("{s:I, s:o, s:b, s:o, s:o}", "line", (json_int_t)number,
                                        "recipient", config_text_json(rcpt), "ok", 0, "found",
                                        config_text_json(found), "rule",
                                        x ? decided_json(x) : json_null()));
    } else if (x) {
        printf("%s:%zu: %s: found %s", c->path, number, rcpt, found);
        print_decided(x);
    } else {
        printf("%s:%zu: %s: %s\n", c->path, number, rcpt, found);
    }
}

static void compare(struct check *c, size_t number, const struct route_expectation *e)
{
    const struct route_query q = { .sender = e->sender, .rcpt = e->rcpt };
    struct route_expansion x;
    struct buf found = { 0 };

    if (cli_expand(c->t, &q, 0, c->lookup, &x) == -EINVAL) {
        const char *why = x.leaves[0].decision.text;

        c->bad++;
        report(c, number, e->rcpt, why ? why : "not an address", NULL);
    } else if (route_expect_holds(e, &x)) {
        c->good++;
        if (c->results)
            json_array_append_new(c->results,
                                  json_pack("{s:I, s:o, s:b}", "line", (json_int_t)number,
                                            "recipient", config_text_json(e->rcpt), "ok", 1));
    } else {
        c->wrong++;
        route_expansion_outcome(&q, &x, 0, &found);
        report(c, number, e->rcpt, found.data, &x);
    }
    buf_free(&found);
    route_expansion_done(&x);
}

/* A line that can't be read is told on the standard error, also with --json. */
static int one_line(void *ctx, size_t number, char *line, const char *why)
{
    struct check *c = ctx;
    struct route_expectation e;
    int r = line ? route_expect_parse(line, &e, &why) : -1;

    if (r < 0) {
        c->bad++;
        fprintf(stderr, "postern: %s:%zu: %s\n", c->path, number, why);
    } else if (r) {
        compare(c, number, &e);
    }
    return EX_OK;
}

int cli_check_routes(const struct route_table *t, struct cli_lookup *lookup, const char *path,
                     json_t *results)
{
    struct check c = { .t = t, .lookup = lookup, .path = path, .results = results };
    int code = cli_each_line(path, one_line, &c);

    if (code != EX_OK)
        return code;
    if (!results)
        printf("%zu of %zu routes are as expected\n", c.good, c.good + c.wrong + c.bad);
    return c.bad ? EX_DATAERR : c.wrong ? EX_CONFIG : EX_OK;
}
