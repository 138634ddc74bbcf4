/* plugin/resolve.c: from what the operator said of each instance to a plugin with its settings. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/sections.h"
#include "config/table.h"
#include "plugin/plugin.h"
#include "util/cleanup.h"

#define WHY_MAX 512u

/* The place that is wrong is the "plugin" key where there is one. */
static void complain(const struct config_instance *in, const char *what,
                     struct config_errors *errors)
{
    const char *below = json_object_get(in->object, "plugin") ? "/plugin" : "";
    char *pointer AUTO_FREE = mem_printf("%s%s", in->origin.pointer, below);

    config_error(errors, in->origin.file, pointer, "%s", what);
}

static const char *const lacks[] = {
    [CONFIG_INGRESS] = "brings no messages in",
    [CONFIG_TRANSPORT] = "delivers no messages",
    [CONFIG_DIRECTORY] = "knows no names",
};

static int offers(const struct postern_plugin *p, enum config_kind kind)
{
    switch (kind) {
    case CONFIG_INGRESS:
        return p->ingress != NULL;
    case CONFIG_TRANSPORT:
        return p->transport != NULL;
    default:
        return plugin_directory(p) != NULL;
    }
}

static const char *home_of(const struct postern_plugin *p)
{
    if (p->transport)
        return "transports";
    return p->ingress ? "ingress" : "directories";
}

static void load_one(struct plugin_catalog *c, struct config_instance *in,
                     struct config_errors *errors)
{
    const struct postern_plugin *p;
    char why[WHY_MAX], *what AUTO_FREE = NULL;

    if (!config_name_valid(in->plugin)) /* said at loading */
        return;
    if (plugin_load(c, in->plugin, &p, NULL, why, sizeof why) < 0)
        what = mem_strdup(why);
    else if (!offers(p, in->kind))
        what = mem_printf("plugin \"%s\" %s; it belongs in /%s", in->plugin, lacks[in->kind],
                          home_of(p));
    if (what)
        complain(in, what, errors);
    else
        in->descriptor = p;
}

/* Whom a worker will be: drop_privileges does nothing unless root starts it. An instance that is
 * disabled may be an example, for another machine. */
static int check_facts(const struct config *cfg, const struct config_instance *in, char *why,
                       size_t why_size)
{
    const struct postern_plugin *p = in->descriptor;
    struct postern_facts facts = { .size = sizeof facts,
                                   .hostname = cfg->server.hostname,
                                   .uid = (uint32_t)geteuid() };

    if (!in->enabled || !POSTERN_HAS(p, check_facts))
        return 0;
    if (cfg->server.user && facts.uid == 0) {
        const struct passwd *pw = getpwnam(cfg->server.user);

        facts.user = cfg->server.user;
        facts.uid = pw ? (uint32_t)pw->pw_uid : (uint32_t)-1;
    }
    return p->check_facts(&facts, in->settings, why, why_size);
}

/* Plugins begin with the option that is wrong: it is part of the place. */
static void refuse_settings(const struct config_instance *in, const char *why,
                            struct config_errors *errors)
{
    const struct postern_plugin *p = in->descriptor;
    size_t len = strcspn(why, ":");
    struct postern_option row;

    if (!*why)
        why = "the plugin refuses these settings and does not say why";
    for (size_t i = 0; why[len] && p->options && config_row(p->options, p->option_size, i, &row);
         i++) {
        if (strlen(row.key) == len && !strncmp(row.key, why, len)) {
            char *pointer AUTO_FREE = mem_printf("%s/%s", in->origin.pointer, row.key);

            why += len + 1;
            config_error(errors, in->origin.file, pointer, "%s", why + strspn(why, " "));
            return;
        }
    }
    config_error(errors, in->origin.file, in->origin.pointer, "%s", why);
}

static void fill_one(struct config *cfg, struct config_instance *in,
                     const struct config_hint *hints, struct config_errors *errors)
{
    static const struct postern_option none[] = { { 0 } };
    const struct postern_plugin *p = in->descriptor;
    char why[WHY_MAX] = "";

    in->settings = arena_alloc(cfg->arena, p->settings_size);
    if (config_fill_hinted(cfg->arena, p->options ? p->options : none, p->option_size, in->object,
                           &in->origin, config_instance_keys, hints, in->settings, errors) < 0)
        return;
    if ((p->check && p->check(in->settings, why, sizeof why) < 0) ||
        check_facts(cfg, in, why, sizeof why) < 0) {
        why[sizeof why - 1] = '\0';
        refuse_settings(in, why, errors);
    }
}

/* A key that one instance does not know may be at home with its neighbour. */
static struct config_hint *hints_of(const struct config *cfg)
{
    struct config_hint *hints = mem_zalloc((cfg->instance_n + 1) * sizeof *hints);
    size_t n = 0;

    for (size_t i = 0; i < cfg->instance_n; i++) {
        const struct config_instance *in = &cfg->instances[i];

        if (in->descriptor && in->descriptor->options)
            hints[n++] = (struct config_hint){ in->origin.pointer, in->descriptor->options,
                                               in->descriptor->option_size };
    }
    return hints;
}

int plugin_resolve(struct plugin_catalog *c, struct config *cfg, struct config_errors *errors)
{
    struct config_hint *hints AUTO_FREE = NULL;
    size_t before = errors->n;

    for (size_t i = 0; i < cfg->instance_n; i++)
        load_one(c, &cfg->instances[i], errors);
    hints = hints_of(cfg);
    for (size_t i = 0; i < cfg->instance_n; i++) {
        if (cfg->instances[i].descriptor)
            fill_one(cfg, &cfg->instances[i], hints, errors);
    }
    return errors->n > before ? -EINVAL : 0;
}
