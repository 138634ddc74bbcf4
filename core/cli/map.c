/* cli/map.c: postern map build FILE FROM...: alias files compiled into a map for plugins/lmdb.
 * postern map get FILE NAME...: what stands in it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "config/table.h"
#include "route/alias-lmdb.h"
#include "util/clock.h"

struct options {
    struct cli_common common;
    const char *syntax; /* NULL: by the names of the files */
    int n;
    char **words;
};

static int map_usage(const char *what, const char *text)
{
    return cli_usage("map",
                     "%s%s%s; expected build FILE FROM... [--syntax tcpware|sendmail|json], or "
                     "get FILE NAME...",
                     what, *text ? " " : "", text);
}

/* "auto" is what it is without the option. */
static int64_t syntax_number(const char *name)
{
    static const char *const names[] = { "auto", "tcpware", "sendmail", "json" };

    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return (int64_t)i;
    }
    return name ? -1 : 0;
}

static int parse_options(struct options *o, int argc, char **argv)
{
    cli_common_init(&o->common);
    for (int i = 1; i < argc; i++) {
        int r = cli_common_option(&o->common, argc, argv, &i);

        if (!r)
            r = cli_value("--syntax", argc, argv, &i, &o->syntax);
        if (r < 0)
            return EX_USAGE;
        if (!r && argv[i][0] == '-')
            return map_usage("unknown option", argv[i]);
        if (!r)
            o->words[o->n++] = argv[i];
    }
    if (syntax_number(o->syntax) < 0)
        return map_usage("unknown syntax", o->syntax);
    if (!o->n || (strcmp(o->words[0], "build") && strcmp(o->words[0], "get")))
        return map_usage(o->n ? "unknown verb" : "no verb", o->n ? o->words[0] : "");
    return o->n < 3 ? map_usage("too few words", "") : EX_OK;
}

static void print_lines(const struct config_errors *e, const char *before)
{
    for (size_t i = 0; i < e->n; i++)
        fprintf(stderr, "postern: %s%s\n", before, e->lines[i]);
}

static void print_json(const char *file, size_t count)
{
    json_t *r =
        json_pack("{s:o, s:I}", "file", config_text_json(file), "aliases", (json_int_t)count);

    json_dumpf(r, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(r);
}

static int build(const struct options *o, const struct config *cfg)
{
    size_t n = (size_t)o->n - 2, count = 0;
    struct config_alias_file *files = mem_zalloc(n * sizeof *files);
    struct alias_report report = { { 0 }, { 0 } };
    int64_t began = clock_mono();
    int r;

    for (size_t i = 0; i < n; i++)
        files[i] = (struct config_alias_file){ o->words[2 + i], syntax_number(o->syntax) };
    r = alias_lmdb_build(&cfg->aliases, files, n, o->words[1], &count, &report);
    print_lines(&report.warnings, "warning: ");
    print_lines(&report.errors, "");
    if (!r && o->common.json)
        print_json(o->words[1], count);
    else if (!r)
        printf("%s: %zu aliases in %.2f s\n", o->words[1], count,
               (double)(clock_mono() - began) / 1e6);
    if (r < 0 && !report.errors.n)
        cli_error(EX_IOERR, "%s: %s", o->words[1], strerror(-r));
    alias_report_done(&report);
    free(files);
    return !r ? EX_OK : r == -EINVAL ? EX_DATAERR : EX_CANTCREAT;
}

/* 67 when one of them is not there, as `postern route` has it. */
static int get(const struct options *o)
{
    int code = EX_OK;

    for (int i = 2; i < o->n; i++) {
        struct buf out = { 0 };
        const char *why = "";
        int r = alias_lmdb_get(o->words[1], o->words[i], &out, &why);

        if (r == -ENOENT)
            code = EX_NOUSER;
        else if (r < 0)
            code = cli_error(r == -EINVAL ? EX_DATAERR : EX_NOINPUT, "%s: %s",
                             r == -EINVAL ? o->words[i] : o->words[1], why);
        if (!r)
            printf("%s", out.data ? out.data : "");
        buf_free(&out);
        if (r < 0 && r != -ENOENT)
            break;
    }
    return code;
}

int cli_map(int argc, char **argv)
{
    struct options o = { .words = mem_alloc((size_t)argc * sizeof *o.words) };
    struct config *cfg = NULL;
    int code = parse_options(&o, argc, argv);

    if (code == EX_OK && strcmp(o.words[0], "get") == 0)
        code = get(&o);
    else if (code == EX_OK) {
        code = cli_load_config(&o.common, &cfg);
        if (code == EX_OK)
            code = build(&o, cfg);
    }
    config_free(&cfg);
    free(o.words);
    return code;
}
