/* cli/route.c: postern route ADDRESS... [--from A] [--ingress NAME] [--json] [--no-color]: where
 * would mail for these addresses go, and why? Asks the very function that the queue asks. And
 * postern route --table: the list that it goes through. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "address/address.h"
#include "cli/cli.h"
#include "cli/routes.h"
#include "plugin/plugin.h"
#include "route/sender.h"
#include "util/text.h"

struct options {
    struct cli_common common;
    struct route_query query;    /* the recipient changes */
    char *sender;                /* query.sender's memory */
    struct route_sender becomes; /* what it is in the envelope of mail that we let through */
    int colour;
    int table;
    struct cli_lookup *lookup;
    int n;
    char **addresses;
};

static int explain_usage(const char *what, const char *text)
{
    return cli_usage("route",
                     "%s%s%s; expected ADDRESS... [--from ADDRESS] [--ingress NAME], or --table; "
                     "[--json] [--no-color]",
                     what, *text ? " " : "", text);
}

/* 1: consumed; 0: not an option; -1: printed. */
static int parse_option(struct options *o, int argc, char **argv, int *i)
{
    const char *from = NULL;
    int r = cli_common_option(&o->common, argc, argv, i);

    if (r == 0)
        r = cli_value("--from", argc, argv, i, &from);
    if (from) {
        free(o->sender);
        o->sender = cli_strip_brackets(from);
        o->query.sender = o->sender;
    }
    if (r == 0)
        r = cli_value("--ingress", argc, argv, i, &o->query.ingress);
    if (r != 0)
        return r;
    if (strcmp(argv[*i], "--no-color") == 0) {
        o->colour = 0;
        return 1;
    }
    if (strcmp(argv[*i], "--table") == 0) {
        o->table = 1;
        return 1;
    }
    if (argv[*i][0] != '-')
        return 0;
    explain_usage("unknown option", argv[*i]);
    return -1;
}

static int parse_options(struct options *o, int argc, char **argv)
{
    const char *no_color = getenv("NO_COLOR");
    int rest = 0; /* after "--" all are addresses */

    cli_common_init(&o->common);
    o->colour = isatty(STDOUT_FILENO) && (!no_color || !*no_color);
    for (int i = 1; i < argc; i++) {
        int r = 0;

        if (!rest && strcmp(argv[i], "--") == 0) {
            rest = 1;
            continue;
        }
        if (!rest)
            r = parse_option(o, argc, argv, &i);
        if (r < 0)
            return EX_USAGE;
        if (r == 0)
            o->addresses[o->n++] = argv[i];
    }
    if (o->table && o->n)
        return explain_usage("--table takes no address", "");
    return o->n || o->table ? EX_OK : explain_usage("no address", "");
}

/* Says where it went wrong, which the router has no room for. */
static void print_fault(const char *address, int sender)
{
    char shown[256], clean[256];
    struct postern_address parsed;
    struct address_fault fault = { NULL, 0 };

    if (address_parse(address, strlen(address), POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE,
                      &parsed, &fault) == 0) {
        fprintf(stderr, "postern: %s: the domain is no valid internationalized name\n", address);
        return;
    }
    fprintf(stderr, "postern: %s%s: %s\n", sender ? "--from " : "",
            postern_text_clean(address, strlen(address), clean, sizeof clean),
            address_fault_text(&fault, address, strlen(address), shown, sizeof shown));
}

/* Nothing is to be said of senders where nothing is done with them. */
static int has_sender(const struct options *o, const struct route_table *t)
{
    return o->sender && *o->sender && route_sender_places(t);
}

static void print(const struct options *o, const struct route_table *t, const struct route_query *q,
                  const struct route_expansion *e, int code, json_t *list)
{
    struct buf out = { 0 };

    if (list) {
        json_t *j = route_expansion_json(q, e);

        if (has_sender(o, t))
            json_object_set_new(j, "sender_becomes",
                                route_sender_json(t, o->sender, o->query.ingress));
        json_object_set_new(j, "accepted", json_boolean(route_expansion_accepted(t, e)));
        json_array_append_new(list, j);
        return;
    }
    route_expansion_explain(q, e, o->colour, &out);
    if (code != EX_OK && route_expansion_accepted(t, e))
        buf_printf(&out, "     but only once it has been accepted: the message %s\n",
                   code == EX_TEMPFAIL ? "waits" : "comes back to its sender");
    fputs(out.data, stdout);
    buf_free(&out);
}

/* EX_NOUSER: nobody gets it; EX_TEMPFAIL: nobody gets it now. */
static int code_of(const struct route_expansion *e)
{
    int code = EX_NOUSER;

    for (size_t i = 0; i < e->n; i++) {
        const struct route_decision *d = &e->leaves[i].decision;

        if (d->action != ROUTE_FAIL)
            return EX_OK;
        if (d->status[0] == 4)
            code = EX_TEMPFAIL;
    }
    return code;
}

static void note_rule(void *ctx, const char *rule, const char *before, size_t before_len,
                      const char *after, size_t after_len)
{
    (void)before;
    (void)before_len;
    (void)after;
    (void)after_len;
    *(const char **)ctx = rule;
}

/* What a relay has damaged is put right as smtp-in does it. buf has POSTERN_ADDRESS_SIZE bytes. */
static void repair(struct route_query *q, char *buf)
{
    struct postern_address_site site = { .size = sizeof site,
                                         .step = note_rule,
                                         .ctx = &q->repair };

    if (postern_address_repair(&site, q->rcpt, strlen(q->rcpt), buf, POSTERN_ADDRESS_SIZE, NULL) <
            0 ||
        !q->repair)
        return;
    q->was = q->rcpt;
    q->rcpt = buf;
}

/* One address: EX_OK; as code_of; EX_DATAERR when it is none. */
static int explain(const struct options *o, const struct route_table *t, const char *address,
                   json_t *list)
{
    char *rcpt = cli_strip_brackets(address), repaired[POSTERN_ADDRESS_SIZE];
    struct route_query q = o->query;
    struct route_expansion e;
    int code = EX_OK;

    q.rcpt = rcpt;
    repair(&q, repaired);
    if (o->becomes.address)
        q.sender = o->becomes.address;
    if (cli_expand(t, &q, 1, o->lookup, &e) == -EINVAL) {
        print_fault(rcpt, 0);
        code = EX_DATAERR;
    } else {
        code = code_of(&e);
    }
    q.sender = o->sender;
    if (code != EX_DATAERR || list)
        print(o, t, &q, &e, code, list);
    route_expansion_done(&e);
    free(rcpt);
    return code;
}

/* The sender is the same for all of them, so it is told of once. */
static void explain_sender(struct options *o, const struct route_table *t)
{
    struct buf out = { 0 };

    if (!has_sender(o, t))
        return;
    route_sender(t, o->sender, o->query.ingress, ROUTE_SENDER_ENVELOPE, &o->becomes);
    if (o->common.json)
        return;
    route_sender_explain(t, o->sender, o->query.ingress, o->colour, &out);
    fputs(out.data, stdout);
    buf_free(&out);
}

static int explain_all(struct options *o, const struct route_table *t)
{
    json_t *list = o->common.json ? json_array() : NULL;
    int code = EX_OK;

    explain_sender(o, t);
    for (int i = 0; i < o->n; i++) {
        int one = explain(o, t, o->addresses[i], list);

        if (code == EX_OK)
            code = one;
    }
    if (list) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(list);
    }
    return code;
}

static int print_table(const struct options *o, const struct route_table *t)
{
    struct buf out = { 0 };
    size_t dead;

    if (o->common.json) {
        json_t *list = route_list_json(t);

        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(list);
        return EX_OK;
    }
    dead = route_list(t, o->colour, &out);
    fputs(out.data, stdout);
    buf_free(&out);
    if (dead)
        fprintf(stderr, "postern: %zu of %zu rows can never match\n", dead, route_rows(t));
    return EX_OK;
}

/* A name that does not exist would match no rule, and the answer would mislead. */
static int check_ingress(const struct options *o, const struct config *cfg)
{
    for (size_t i = 0; i < cfg->instance_n && o->query.ingress; i++) {
        if (cfg->instances[i].kind == CONFIG_INGRESS &&
            text_casecmp(cfg->instances[i].name, o->query.ingress) == 0)
            return EX_OK;
    }
    if (!o->query.ingress || text_casecmp(o->query.ingress, "bounce") == 0)
        return EX_OK; /* "bounce": the gateway's own notifications */
    if (text_casecmp(o->query.ingress, "local") == 0)
        return EX_OK; /* `postern send` */
    return cli_error(EX_DATAERR, "--ingress %s: there is no such ingress", o->query.ingress);
}

/* What plugins say of themselves is a part of the explanation. What is wrong with one that mail
 * does not need here is for `postern check` to tell. */
static void find_plugins(struct config *cfg)
{
    struct plugin_catalog *catalog = plugin_catalog_new();
    struct config_errors errors = { 0 };

    plugin_resolve(catalog, cfg, &errors);
    config_errors_free(&errors);
    plugin_catalog_free(&catalog);
}

static int load_and_explain(struct options *o)
{
    struct config_errors errors = { 0 };
    struct config *cfg = NULL;
    struct route_table *t = NULL;
    int code = cli_load_config(&o->common, &cfg);

    if (code != EX_OK)
        return code;
    find_plugins(cfg);
    if (route_compile(cfg, &t, &errors) < 0)
        code = cli_print_errors(&errors);
    if (code == EX_OK)
        code = check_ingress(o, cfg);
    o->lookup = cli_lookup_new(cfg, t);
    if (code == EX_OK)
        code = o->table ? print_table(o, t) : explain_all(o, t);
    cli_lookup_free(&o->lookup);
    config_errors_free(&errors);
    route_free(&t);
    config_free(&cfg);
    return code;
}

/* The same goes for a sender that is no address. */
static int check_sender(const struct options *o)
{
    struct postern_address parsed;
    struct address_fault fault = { NULL, 0 };

    if (!o->sender || !*o->sender ||
        address_parse(o->sender, strlen(o->sender), POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE,
                      &parsed, &fault) == 0)
        return EX_OK;
    print_fault(o->sender, 1);
    return EX_DATAERR;
}

int cli_route(int argc, char **argv)
{
    struct options o = { .addresses = mem_zalloc(((size_t)argc + 1) * sizeof *o.addresses) };
    int code = parse_options(&o, argc, argv);

    if (code == EX_OK)
        code = check_sender(&o);
    if (code == EX_OK)
        code = load_and_explain(&o);
    free(o.becomes.address);
    free(o.sender);
    free(o.addresses);
    return code;
}
