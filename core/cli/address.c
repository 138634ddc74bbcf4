/* cli/address.c: postern address ADDRESS... [--to FORM] [--json]: one address in all the ways
 * in which SMTP, DECnet, Message Router and VMS MAIL write it, with each step from one to the
 * other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "address/address.h"
#include "address/forms.h"
#include "cli/cli.h"
#include "util/mem.h"

#define FIRST_SPECIAL ADDRESS_PERCENT /* from here on, only some addresses have the form */

struct options {
    struct cli_common common;
    struct postern_address_site site;
    const char *to; /* NULL: all */
    int form;
    int n;
    char **addresses;
};

static int address_usage(const char *what, const char *text)
{
    return cli_usage("address",
                     "%s%s%s; expected ADDRESS... [--to smtp|decnet|mr|vms] [--json] "
                     "[--domain DOMAIN] [--host NAME] [--decnet-domain DOMAIN] [--node NODE] "
                     "[--mrgate NAME] [--rewrite-mts]",
                     what, *text ? " " : "", text);
}

/* 1: consumed; 0: not an option; -1: printed. */
static int parse_option(struct options *o, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        const char **value;
    } values[] = {
        { "--to", &o->to },          { "--domain", &o->site.domain },
        { "--host", &o->site.host }, { "--decnet-domain", &o->site.decnet_domain },
        { "--node", &o->site.node }, { "--mrgate", &o->site.mrgate },
    };
    int r = cli_common_option(&o->common, argc, argv, i);

    for (size_t k = 0; r == 0 && k < sizeof values / sizeof values[0]; k++)
        r = cli_value(values[k].name, argc, argv, i, values[k].value);
    if (r != 0)
        return r;
    if (strcmp(argv[*i], "--rewrite-mts") == 0) {
        o->site.flags |= POSTERN_SITE_REWRITE_MTS;
        return 1;
    }
    if (argv[*i][0] != '-')
        return 0;
    address_usage("unknown option", argv[*i]);
    return -1;
}

static int check_domain(const char *option, const char *domain)
{
    struct address_fault fault = { NULL, 0 };
    char shown[256];

    if (!domain || address_domain_check(domain, strlen(domain), POSTERN_ADDRESS_UTF8, &fault) == 0)
        return EX_OK;
    return cli_error(EX_USAGE, "%s %s: %s", option, domain,
                     address_fault_text(&fault, domain, strlen(domain), shown, sizeof shown));
}

static int check_node(const char *node)
{
    struct postern_decnet hop;
    char text[128];

    if (!node)
        return EX_OK;
    snprintf(text, sizeof text, "%s::USER", node);
    if (postern_decnet_split(text, strlen(text), &hop, NULL) == 0 && !hop.access &&
        hop.node_len == strlen(node))
        return EX_OK;
    return cli_error(EX_USAGE, "--node %s: expected the name of a DECnet node, like HQ", node);
}

static int check_options(struct options *o)
{
    int code = check_domain("--domain", o->site.domain);

    if (code == EX_OK)
        code = check_domain("--host", o->site.host);
    if (code == EX_OK)
        code = check_domain("--decnet-domain", o->site.decnet_domain);
    if (code == EX_OK)
        code = check_node(o->site.node);
    for (o->form = ADDRESS_SMTP; code == EX_OK && o->to && o->form < FIRST_SPECIAL; o->form++) {
        if (strcmp(o->to, address_form_name((enum address_form)o->form)) == 0)
            return EX_OK;
    }
    if (code == EX_OK && o->to)
        return address_usage("there is no form", o->to);
    return code == EX_OK && o->n == 0 ? address_usage("no address", "") : code;
}

static int parse_options(struct options *o, int argc, char **argv)
{
    int rest = 0; /* after "--" all are addresses */

    cli_common_init(&o->common);
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
    return check_options(o);
}

/* --- for people --- */

static char *clean(struct arena *a, const char *text)
{
    size_t size = strlen(text) + 1;

    return postern_text_clean(text, size - 1, arena_alloc(a, size), size);
}

static void print_steps(const struct address_version *v, struct arena *a)
{
    for (size_t i = 0; i < v->step_n; i++)
        printf("             %-18s %s -> %s\n", v->steps[i].rule, clean(a, v->steps[i].before),
               clean(a, v->steps[i].after));
}

static void print_all(const struct address_forms *f, const char *address, struct arena *a)
{
    printf("%s\n  %-8s %s\n", clean(a, address), "is", f->kind);
    for (int i = 0; i < ADDRESS_FORMS; i++) {
        const struct address_version *v = &f->forms[i];
        const char *name = address_form_name((enum address_form)i);

        if (v->text)
            printf("  %-8s %s\n", name, clean(a, v->text));
        else if (v->why)
            printf("  %-8s none: %s\n", name, v->why);
        print_steps(v, a);
    }
}

static int print_one(const struct options *o, const struct address_forms *f, const char *address,
                     struct arena *a)
{
    const struct address_version *v = &f->forms[o->form];

    if (!v->text)
        return cli_error(EX_DATAERR, "%s: there is no %s form: %s", clean(a, address), o->to,
                         v->why);
    puts(clean(a, v->text));
    if (o->form != ADDRESS_SMTP)
        print_steps(&f->forms[ADDRESS_SMTP], a);
    print_steps(v, a);
    return EX_OK;
}

/* --- for programs --- */

static json_t *version_json(const struct address_version *v, struct arena *a)
{
    json_t *steps = json_array();

    for (size_t i = 0; i < v->step_n; i++)
        json_array_append_new(steps,
                              json_pack("{s:s, s:s, s:s}", "rule", v->steps[i].rule, "before",
                                        clean(a, v->steps[i].before), "after",
                                        clean(a, v->steps[i].after)));
    return json_pack("{s:s?, s:s?, s:o}", "text", v->text ? clean(a, v->text) : NULL, "why",
                     v->text ? NULL : v->why, "steps", steps);
}

static json_t *forms_json(const struct options *o, const struct address_forms *f,
                          const char *address, struct arena *a)
{
    json_t *forms = json_object();

    for (int i = 0; i < ADDRESS_FORMS; i++) {
        const struct address_version *v = &f->forms[i];
        int wanted = o->to ? i == ADDRESS_SMTP || i == o->form : v->text || v->why;

        if (wanted)
            json_object_set_new(forms, address_form_name((enum address_form)i), version_json(v, a));
    }
    return json_pack("{s:s, s:s, s:o}", "address", clean(a, address), "is", f->kind, "forms",
                     forms);
}

/* --- one by one --- */

static int refuse(const char *address, const struct address_fault *fault, struct arena *a,
                  json_t *list)
{
    char shown[256];
    const char *why = fault->why;

    if (fault->at != ADDRESS_NOWHERE)
        why = address_fault_text(fault, address, strlen(address), shown, sizeof shown);
    if (list)
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "address", clean(a, address), "error", why));
    return cli_error(EX_DATAERR, "%s: %s", clean(a, address), why);
}

static int show(const struct options *o, const char *address, json_t *list)
{
    struct arena *a = arena_new();
    struct address_forms forms;
    struct address_fault fault = { NULL, 0 };
    char *bare = cli_strip_brackets(address);
    int code = EX_OK;

    if (address_forms(a, &o->site, bare, strlen(bare), &forms, &fault) < 0) {
        code = refuse(bare, &fault, a, list);
    } else if (list) {
        json_array_append_new(list, forms_json(o, &forms, bare, a));
        code = o->to && !forms.forms[o->form].text ? EX_DATAERR : EX_OK;
    } else if (o->to) {
        code = print_one(o, &forms, bare, a);
    } else {
        print_all(&forms, bare, a);
    }
    free(bare);
    arena_free(&a);
    return code;
}

static int show_all(const struct options *o)
{
    json_t *list = o->common.json ? json_array() : NULL;
    int code = EX_OK;

    for (int i = 0; i < o->n; i++) {
        int one = show(o, o->addresses[i], list);

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

/* Without --host the names are the configuration's, which must then be a good one. */
static int load_and_show(struct options *o)
{
    struct config *cfg = NULL;
    int code = o->site.host ? EX_OK : cli_load_config(&o->common, &cfg);

    if (code != EX_OK)
        return code;
    if (cfg && !o->site.domain)
        o->site.domain = cfg->routing.substitute_domain;
    if (cfg)
        o->site.host = config_own_name(cfg);
    code = show_all(o);
    config_free(&cfg);
    return code;
}

int cli_address(int argc, char **argv)
{
    struct options o = {
        .site = { .size = sizeof o.site },
        .addresses = mem_zalloc(((size_t)argc + 1) * sizeof *o.addresses),
    };
    int code = parse_options(&o, argc, argv);

    if (code == EX_OK)
        code = load_and_show(&o);
    free(o.addresses);
    return code;
}
