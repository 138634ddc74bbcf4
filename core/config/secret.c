/* config/secret.c: secrets: in the text, in a file, or in the environment. Never shown in an
 * error. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "config/engine.h"
#include "util/cleanup.h"

#define EXPECTED "expected a secret: text in quotes, {\"file\": \"path\"} or {\"env\": \"NAME\"}"

static int from_file(struct fill *f, const char *name, const char **member)
{
    const char *path = config_path_from(f->arena, config_fill_file(f), name);
    char *data AUTO_FREE = NULL;
    size_t len;
    int r = config_read_file(AT_FDCWD, path, CONFIG_SECRET_MAX, &data, &len);

    if (r == -EFBIG)
        return config_fill_error(f, "the secret's file %s is larger than %u bytes", path,
                                 CONFIG_SECRET_MAX);
    if (r == -EINVAL || r == -EISDIR)
        return config_fill_error(f, "the secret's file %s is not a regular file", path);
    if (r < 0)
        return config_fill_error(f, "cannot read the secret's file %s: %s", path, strerror(-r));
    if (len && data[len - 1] == '\n')
        data[--len] = '\0';
    if (len && data[len - 1] == '\r')
        data[--len] = '\0';
    if (!len)
        r = config_fill_error(f, "the secret's file %s is empty", path);
    else if (memchr(data, 0, len))
        r = config_fill_error(f, "the secret's file %s holds a NUL byte", path);
    else
        *member = arena_strndup(f->arena, data, len);
    explicit_bzero(data, len);
    return r;
}

static int from_env(struct fill *f, const char *name, const char **member)
{
    const char *value = getenv(name);

    if (!value || !*value)
        return config_fill_error(f, "the environment variable %s of this secret is %s", name,
                                 value ? "empty" : "not set");
    if (strlen(value) > CONFIG_SECRET_MAX)
        return config_fill_error(
            f, "the environment variable %s of this secret is larger than %u bytes", name,
            CONFIG_SECRET_MAX);
    *member = arena_strdup(f->arena, value);
    return 0;
}

int config_fill_secret(struct fill *f, json_t *value, const char **member)
{
    const char *key, *file, *env;
    char found[128];
    json_t *item;

    if (json_is_string(value)) {
        if (json_string_length(value) > CONFIG_SECRET_MAX)
            return config_fill_error(f, "the secret is larger than %u bytes", CONFIG_SECRET_MAX);
        *member = arena_strdup(f->arena, json_string_value(value));
        return 0;
    }
    if (!json_is_object(value))
        return config_fill_error(f, "found %s, " EXPECTED,
                                 json_is_number(value) ? "a number"
                                                       : config_found(value, found, sizeof found));
    json_object_foreach (value, key, item) {
        if (strcmp(key, "file") && strcmp(key, "env") && !config_is_comment(key))
            return config_fill_error(f, "found the key \"%s\", " EXPECTED, key);
    }
    file = json_string_value(json_object_get(value, "file"));
    env = json_string_value(json_object_get(value, "env"));
    if (json_object_get(value, "file") && json_object_get(value, "env"))
        return config_fill_error(f, "found both \"file\" and \"env\", " EXPECTED);
    if ((!file || !*file) && (!env || !*env))
        return config_fill_error(f, "found an object that names no file or variable, " EXPECTED);
    return file ? from_file(f, file, member) : from_env(f, env, member);
}
