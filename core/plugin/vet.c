/* plugin/vet.c: refuses a descriptor that cannot be right, in words, before any of its code
 * runs. */
#include "plugin/vet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/table.h"

/* What came later is read through POSTERN_HAS. */
#define SIZE_OF_MINOR_0 offsetof(struct postern_plugin, check_facts)

static int refuse(char *why, size_t why_size, const char *what)
{
    snprintf(why, why_size, "its descriptor is wrong: %s", what);
    return -EINVAL;
}

/* The first five members stand where they stand in every version, so that this can be asked. */
static int vet_version(const struct postern_plugin *p, char *why, size_t why_size)
{
    if (p->size < offsetof(struct postern_plugin, name) || p->size > PLUGIN_STRUCT_MAX)
        return refuse(why, why_size, "its size is no size");
    if (p->abi_major != POSTERN_ABI_MAJOR) {
        snprintf(why, why_size, "built for plugin ABI %u.%u, this postern speaks %u.%u: rebuild it",
                 p->abi_major, p->abi_minor, POSTERN_ABI_MAJOR, POSTERN_ABI_MINOR);
        return -EINVAL;
    }
    if (p->size < SIZE_OF_MINOR_0)
        return refuse(why, why_size, "it is smaller than its ABI version allows");
    return 0;
}

static int one_line(const char *s, size_t max)
{
    size_t len = s ? strlen(s) : 0;

    if (!len || len > max)
        return 0;
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return 0;
    }
    return 1;
}

static int vet_words(const struct postern_plugin *p, const char *name, char *why, size_t why_size)
{
    if (!p->name || !config_name_valid(p->name))
        return refuse(why, why_size, "its name is not made of lower case letters, digits and '-'");
    if (strcmp(p->name, name)) {
        snprintf(why, why_size, "its descriptor is wrong: it calls itself \"%s\"", p->name);
        return -EINVAL;
    }
    if (!one_line(p->version, CONFIG_NAME_MAX))
        return refuse(why, why_size, "it has no version");
    if (!one_line(p->summary, PLUGIN_SUMMARY_MAX))
        return refuse(why, why_size, "it has no summary of one line");
    return 0;
}

static int vet_capabilities(const struct postern_plugin *p, char *why, size_t why_size)
{
    const struct postern_ingress_ops *in = p->ingress;
    const struct postern_transport_ops *out = p->transport;
    const struct postern_directory_ops *names = POSTERN_HAS(p, directory) ? p->directory : NULL;

    if (!in && !out && !names)
        return refuse(why, why_size, "it offers nothing that this postern knows");
    if (in && (in->size < sizeof *in || in->size > PLUGIN_STRUCT_MAX))
        return refuse(why, why_size, "the size of its ingress operations is no size");
    if (out && (out->size < sizeof *out || out->size > PLUGIN_STRUCT_MAX))
        return refuse(why, why_size, "the size of its transport operations is no size");
    if (out && (!out->deliver || !out->cancel))
        return refuse(why, why_size, "a transport needs both deliver and cancel");
    if (names && (names->size < sizeof *names || names->size > PLUGIN_STRUCT_MAX))
        return refuse(why, why_size, "the size of its directory operations is no size");
    if (names && !names->lookup)
        return refuse(why, why_size, "a directory needs lookup");
    if (!p->open || !p->close)
        return refuse(why, why_size, "it needs both open and close");
    return 0;
}

/* They become "name=value". */
static int vet_params(const struct postern_plugin *p, char *why, size_t why_size)
{
    size_t n = 0;

    if (!POSTERN_HAS(p, params))
        return 0;
    for (; n < PLUGIN_PARAMS_MAX && p->params[n]; n++) {
        if (!one_line(p->params[n], CONFIG_NAME_MAX) || strchr(p->params[n], '='))
            return refuse(why, why_size, "one of its params has no name");
    }
    return n < PLUGIN_PARAMS_MAX ? 0 : refuse(why, why_size, "its list of params has no end");
}

static int vet_options(const struct postern_plugin *p, char *why, size_t why_size)
{
    struct postern_option row;
    char inner[256] = "";

    if (p->settings_size > PLUGIN_SETTINGS_MAX)
        return refuse(why, why_size, "its settings are larger than 1 MiB");
    if (!p->options)
        return 0;
    if (config_table_vet(p->options, p->option_size, p->settings_size, inner, sizeof inner) < 0)
        return refuse(why, why_size, inner);
    for (size_t i = 0; config_row(p->options, p->option_size, i, &row); i++) {
        if (!strcmp(row.key, "plugin") || !strcmp(row.key, "enabled"))
            return refuse(why, why_size, "the keys \"plugin\" and \"enabled\" are not its own");
    }
    return 0;
}

int plugin_vet(const struct postern_plugin *p, const char *name, char *why, size_t why_size)
{
    int r = vet_version(p, why, why_size);

    if (!r)
        r = vet_words(p, name, why, why_size);
    if (!r)
        r = vet_capabilities(p, why, why_size);
    if (!r)
        r = vet_options(p, why, why_size);
    if (!r)
        r = vet_params(p, why, why_size);
    return r;
}
