/* config/defaults.c: what holds where no file says otherwise, written as an operator would write
 * it, and read by the very same code. Values "${...}" are put in when the machine's name and the
 * folders are known. Core keys that are not here have their defaults in their tables
 * (config/sections.c). */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/engine.h"
#include "config/load.h"
#include "util/cleanup.h"

static const char defaults[] =
    "{\n"
    "  \"server\": { \"hostname\": \"${hostname}\" },\n"
    "  \"spool\": { \"path\": \"${spool}\" },\n"
    "  \"control\": { \"socket\": \"${control}\" },\n"
    "  \"ingress\": {\n"
    "    \"smtp-in\": { \"plugin\": \"smtp-in\" }\n"
    "  },\n"
    "  \"transports\": {\n"
    "    \"local-mbox\": { \"plugin\": \"local-mbox\", \"path\": \"${mail}\" },\n"
    "    \"smtp-out\": { \"plugin\": \"smtp-out\" }\n"
    "  },\n"
    "  \"routing\": {\n"
    "    \"local_domains\": [\"${hostname}\", \"localhost\"],\n"
    "    \"local_transport\": \"local-mbox\",\n"
    "    \"default\": { \"transport\": \"smtp-out\" }\n"
    "  }\n"
    "}\n";

struct substitute {
    const char *name;
    char *value;
};

static json_t *put_in(json_t *value, const struct substitute *s)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_object(value)) {
        json_object_foreach (value, key, item)
            json_object_set_new(value, key, put_in(item, s));
    } else if (json_is_array(value)) {
        json_array_foreach (value, i, item)
            json_array_set_new(value, i, put_in(item, s));
    } else if (json_is_string(value)) {
        for (; s->name; s++) {
            if (!strcmp(json_string_value(value), s->name))
                return json_string(s->value);
        }
    }
    return json_incref(value);
}

/* The machine's name as it is: looking for its domain could mean waiting for DNS. */
static char *machine_name(void)
{
    char name[HOST_NAME_MAX + 1] = "";

    if (gethostname(name, sizeof name) < 0 || !*name)
        return mem_strdup("localhost");
    name[sizeof name - 1] = '\0';
    return mem_strdup(name);
}

/* Below the state folder where there is one, made absolute; else the customary place. */
static char *place(const char *state, const char *below, const char *customary)
{
    char *cwd AUTO_FREE = NULL;

    if (!state || !*state)
        return mem_strdup(customary);
    if (*state == '/')
        return mem_printf("%s/%s", state, below);
    cwd = getcwd(NULL, 0);
    return mem_printf("%s/%s/%s", cwd ? cwd : "", state, below);
}

json_t *config_defaults(const char *hostname, const char *state, struct config_errors *errors)
{
    struct substitute s[] = {
        { "${hostname}", hostname ? mem_strdup(hostname) : machine_name() },
        { "${spool}", place(state, "spool", "/var/spool/postern") },
        { "${mail}", place(state, "mail", "/var/mail") },
        { "${control}", place(state, "control.sock", "/run/postern/control.sock") },
        { NULL, NULL },
    };
    json_t *root = config_parse(CONFIG_BUILT_IN, defaults, sizeof defaults - 1, errors);

    if (root) {
        json_t *done = put_in(root, s);

        json_decref(root);
        root = done;
    }
    for (size_t i = 0; s[i].name; i++)
        free(s[i].value);
    return root;
}
