/* cli/lookup.c: see lookup.h. */
#include "cli/lookup.h"

#include <stdlib.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "plugin/directory.h"
#include "plugin/plugin.h"
#include "util/mem.h"

struct cli_lookup {
    struct config *cfg;
    const struct route_table *routes;
    struct plugin_catalog *catalog;
    struct loop *loop;
    struct dns *dns;
    struct hosts *hosts;
    size_t waiting;
    int tried, open;
};

struct cli_lookup *cli_lookup_new(struct config *cfg, const struct route_table *t)
{
    struct cli_lookup *l = mem_zalloc(sizeof *l);

    l->cfg = cfg;
    l->routes = t;
    return l;
}

void cli_lookup_free(struct cli_lookup **pl)
{
    struct cli_lookup *l = *pl;

    if (!l)
        return;
    *pl = NULL;
    if (l->loop)
        loop_quiesce(l->loop);
    hosts_free(&l->hosts);
    dns_free(&l->dns);
    if (l->loop)
        loop_free(&l->loop);
    plugin_catalog_free(&l->catalog);
    free(l);
}

static int has_directories(const struct config *cfg)
{
    for (size_t i = 0; i < cfg->instance_n; i++) {
        if (cfg->instances[i].kind == CONFIG_DIRECTORY && cfg->instances[i].enabled)
            return 1;
    }
    return 0;
}

/* Only for directories: names are looked up without any plugin. */
static int find_plugins(struct cli_lookup *l)
{
    struct config_errors errors = { 0 };
    int code = EX_OK;

    if (!has_directories(l->cfg))
        return EX_OK;
    l->catalog = plugin_catalog_new();
    if (plugin_resolve(l->catalog, l->cfg, &errors) < 0)
        code = cli_print_errors(&errors);
    config_errors_free(&errors);
    return code;
}

static int open_sources(struct cli_lookup *l)
{
    struct host_env env = { .config = l->cfg, .routes = l->routes };
    char why[512];
    int code = find_plugins(l);

    if (code != EX_OK)
        return code;
    l->loop = env.loop = loop_new((unsigned)l->cfg->server.offload_threads);
    if (dns_new(l->loop, &l->cfg->dns, &l->dns, why, sizeof why) < 0)
        return cli_error(EX_UNAVAILABLE, "the resolver can't start: %s", why);
    env.dns = l->dns;
    l->hosts = hosts_new(&env);
    return hosts_open_directories(l->hosts, why, sizeof why) < 0
        ? cli_error(EX_UNAVAILABLE, "%s", why)
        : EX_OK;
}

static void on_answer(void *ctx)
{
    struct cli_lookup *l = ctx;

    l->waiting--;
}

void cli_lookup_ask(struct cli_lookup *l, const struct route_expansion *e)
{
    if (!l->tried)
        l->open = open_sources(l) == EX_OK;
    l->tried = 1;
    for (size_t i = 0; i < e->need_n && !l->open; i++)
        route_answers_fail(route_answers_of(l->routes), &e->needs[i], "it could not be opened");
    for (size_t i = 0; i < e->need_n && l->open; i++) {
        l->waiting++;
        directory_ask(l->hosts, &e->needs[i], on_answer, l);
    }
    while (l->waiting) /* every question has a deadline */
        loop_turn(l->loop, 1);
}
