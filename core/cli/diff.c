/* cli/diff.c: postern diff OLD NEW [--addresses FILE] [--queue] [--json]: what would go elsewhere
 * under another configuration? Both are compiled, with their alias files, and both are asked about
 * every address. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/routes.h"
#include "config/table.h"
#include "util/cleanup.h"

struct side {
    const char *dir;
    struct config *cfg;
    struct route_table *routes;
    struct cli_lookup *lookup;
};

struct diff {
    struct cli_common common;
    struct side old, new;
    const char *addresses; /* a file */
    int queue;
    json_t *list; /* of differences; NULL: they are printed */
    size_t asked, changed, bad;
};

static int diff_usage(const char *what, const char *text)
{
    return cli_usage("diff",
                     "%s%s%s; expected OLD NEW (folders of configuration), and --addresses FILE or "
                     "--queue, [--json]",
                     what, *text ? " " : "", text);
}

static int parse_one(struct diff *d, int argc, char **argv, int *i)
{
    int r = cli_common_option(&d->common, argc, argv, i);

    if (r == 0)
        r = cli_value("--addresses", argc, argv, i, &d->addresses);
    if (r != 0)
        return r < 0 ? EX_USAGE : EX_OK;
    if (strcmp(argv[*i], "--queue") == 0)
        d->queue = 1;
    else if (argv[*i][0] == '-')
        return diff_usage("unknown option", argv[*i]);
    else if (!d->old.dir)
        d->old.dir = argv[*i];
    else if (!d->new.dir)
        d->new.dir = argv[*i];
    else
        return diff_usage("unexpected argument", argv[*i]);
    return EX_OK;
}

static int parse(struct diff *d, int argc, char **argv)
{
    cli_common_init(&d->common);
    for (int i = 1; i < argc; i++) {
        int code = parse_one(d, argc, argv, &i);

        if (code != EX_OK)
            return code;
    }
    if (!d->new.dir)
        return diff_usage(d->old.dir ? "one folder only" : "no folders", "");
    if (!d->addresses && !d->queue)
        return diff_usage("nothing to ask about", "");
    return EX_OK;
}

static int load(const struct diff *d, struct side *s)
{
    struct cli_common common = d->common;
    struct config_errors errors = { 0 };
    int code;

    common.config_dir = s->dir;
    code = cli_load_config(&common, &s->cfg);
    if (code == EX_OK && route_compile(s->cfg, &s->routes, &errors) < 0)
        code = cli_print_errors(&errors);
    config_errors_free(&errors);
    s->lookup = cli_lookup_new(s->cfg, s->routes);
    return code;
}

/* --- one address --- */

/* All the places where it goes, and who may send there, in words that differ when these do. 0, or
 * -EINVAL: it is no address. */
static int outcome_of(const struct side *s, const struct route_query *q, struct buf *out)
{
    struct route_expansion x;
    int r = cli_expand(s->routes, q, 0, s->lookup, &x);

    if (r == -EINVAL)
        buf_printf(out, "no address: %s", x.leaves[0].decision.text);
    else
        route_expansion_outcome(q, &x, 1, out);
    route_expansion_done(&x);
    return r == -EINVAL ? r : 0;
}

static void differs(struct diff *d, const struct route_query *q, const char *id, const char *was,
                    const char *is)
{
    d->changed++;
    if (d->list) {
        json_t *j = json_pack("{s:o, s:o, s:o}", "recipient", config_text_json(q->rcpt), "old",
                              config_text_json(was), "new", config_text_json(is));

        if (q->sender)
            json_object_set_new(j, "sender", config_text_json(q->sender));
        if (id)
            json_object_set_new(j, "id", config_text_json(id));
        json_array_append_new(d->list, j);
        return;
    }
    printf("%s%s%s", id ? id : "", id ? "  " : "", q->rcpt);
    if (q->sender)
        printf(" from <%s>", q->sender);
    printf("\n  - %s\n  + %s\n", was, is);
}

/* 0, or -EINVAL and why, malloc'ed: to neither of them it is an address. */
static int ask(struct diff *d, const struct route_query *q, const char *id, char **reterr_why)
{
    struct buf was = { 0 }, is = { 0 };
    int r = outcome_of(&d->old, q, &was), also = outcome_of(&d->new, q, &is);

    if (r < 0 && also < 0) {
        *reterr_why = mem_strdup(was.data);
    } else {
        r = 0;
        d->asked++;
        if (strcmp(was.data, is.data) != 0)
            differs(d, q, id, was.data, is.data);
    }
    buf_free(&was);
    buf_free(&is);
    return r;
}

/* --- where addresses come from --- */

/* "from, address", as in a file of expectations, whose right side is not looked at. */
static int one_line(void *ctx, size_t number, char *line, const char *why)
{
    struct diff *d = ctx;
    struct route_expectation e;
    char *whole AUTO_FREE = NULL, *fault AUTO_FREE = NULL;
    int r = -1;

    if (line) {
        line += strspn(line, " \t\r");
        if (!*line || *line == '#')
            return EX_OK;
        whole = mem_printf("%s%s", line, strstr(line, "->") ? "" : " -> hold");
        r = route_expect_parse(whole, &e, &why);
    }
    if (r < 0) {
        d->bad++;
        fprintf(stderr, "postern: %s:%zu: %s\n", d->addresses, number, why);
        return EX_OK;
    }
    if (ask(d, &(struct route_query){ .sender = e.sender, .rcpt = e.rcpt }, NULL, &fault) < 0) {
        d->bad++;
        fprintf(stderr, "postern: %s:%zu: %s: %s\n", d->addresses, number, e.rcpt, fault);
    }
    return EX_OK;
}

static int waits(const json_t *rcpt)
{
    const char *state = json_string_value(json_object_get(rcpt, "state"));

    return !state || (strcmp(state, "delivered") != 0 && strcmp(state, "done") != 0);
}

static void one_message(void *ctx, const json_t *m)
{
    struct diff *d = ctx;
    json_t *rcpt;
    size_t i;

    json_array_foreach (json_object_get(m, "recipients"), i, rcpt) {
        struct route_query q = {
            .sender = json_string_value(json_object_get(m, "sender")),
            .rcpt = json_string_value(json_object_get(rcpt, "recipient")),
            .ingress = json_string_value(json_object_get(m, "ingress")),
        };

        char *why AUTO_FREE = NULL;

        if (q.rcpt && waits(rcpt)) /* what waits there was an address */
            ask(d, &q, json_string_value(json_object_get(m, "id")), &why);
    }
}

/* --- the verb --- */

static int run(struct diff *d)
{
    int code = load(d, &d->old);

    if (code == EX_OK)
        code = load(d, &d->new);
    if (code == EX_OK && d->addresses)
        code = cli_each_line(d->addresses, one_line, d);
    if (code == EX_OK && d->queue)
        code = cli_queue_each(d->old.cfg, one_message, d);
    if (code != EX_OK)
        return code;
    if (d->list) {
        json_dumpf(d->list, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        printf("%zu of %zu would go elsewhere\n", d->changed, d->asked);
    }
    return d->bad ? EX_DATAERR : EX_OK;
}

static void side_done(struct side *s)
{
    cli_lookup_free(&s->lookup);
    route_free(&s->routes);
    config_free(&s->cfg);
}

int cli_diff(int argc, char **argv)
{
    struct diff d = { .asked = 0 };
    int code = parse(&d, argc, argv);

    if (code != EX_OK)
        return code;
    if (d.common.json)
        d.list = json_array();
    code = run(&d);
    side_done(&d.old);
    side_done(&d.new);
    json_decref(d.list);
    return code;
}
