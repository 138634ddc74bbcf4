/* Aliases in JSON (RFC 8259): one object, from names to targets.
 *
 *   { "john":   "jb134a",
 *     "sales":  ["ann", "bob@example.org", {"local": "archive"}],
 *     "ticket": {"pipe": ["/usr/bin/newticket", "helpdesk"]},
 *     "staff":  {"owner": "ann", "members": "staff.list"} }
 *
 * The outer object is walked here and its values are handed to jansson one by one: so there is
 * never a tree of a million nodes, and every alias knows its line. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "config/engine.h"
#include "route/alias-read.h"
#include "util/buf.h"
#include "util/cleanup.h"

#define NESTING_MAX 4u /* of brackets in one value: more says nothing to us */

static void skip(struct alias_reader *r)
{
    while (r->p < r->end && strchr(" \t\n", *r->p))
        alias_step(r);
}

static int expect(struct alias_reader *r, char c, const char *what)
{
    char found[32];

    skip(r);
    if (r->p == r->end || *r->p != c)
        return alias_error(r, r->p, "%s, expected %s", alias_found(r, found, sizeof found), what);
    r->p++;
    return 0;
}

/* Says at the value's beginning, and with a pointer to the place inside, what is wrong. */
static int wrong(const struct alias_reader *r, const char *at, const json_t *value,
                 const char *expected)
{
    char *text AUTO_FREE =
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

    return alias_error(r, at, "found %.60s, expected %s", text ? text : "nothing", expected);
}

/* Brackets would nest on jansson's stack. Quotes are followed as it will. */
static int check_nesting(const struct alias_reader *r)
{
    unsigned depth = 0;
    int quoted = 0;

    for (const char *p = r->p; p < r->end; p++) {
        if (quoted && *p == '\\' && p + 1 < r->end)
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (!quoted && (*p == '{' || *p == '['))
            depth++;
        else if (!quoted && !depth && strchr(",:}]", *p))
            return 0; /* the end of the value */
        else if (!quoted && (*p == '}' || *p == ']'))
            depth--;
        if (depth > NESTING_MAX)
            return alias_error(r, p, "nested too deeply");
    }
    return 0;
}

/* One value at r->p. NULL with the error said. New reference. */
static json_t *read_value(struct alias_reader *r)
{
    json_error_t e;
    json_t *value;

    if (check_nesting(r) < 0)
        return NULL;
    value = json_loadb(r->p, (size_t)(r->end - r->p),
                       JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &e);
    for (int i = 0; i < e.position && r->p < r->end; i++)
        alias_step(r);
    if (!value)
        alias_error(r, r->p, "%s", e.text);
    return value;
}

/* --- targets --- */

static int add_string(struct alias_reader *r, const char *at, const json_t *value,
                      const char *expected,
                      int (*add)(struct alias_reader *, const char *, const char *, size_t))
{
    if (!json_is_string(value))
        return wrong(r, at, value, expected);
    return add(r, at, json_string_value(value), json_string_length(value));
}

static int add_pipe(struct alias_reader *r, const char *at, const json_t *value)
{
    struct buf words = { 0 };
    int n;

    if (json_is_string(value))
        return alias_add_special(r, at, ALIAS_PIPE, 0, json_string_value(value),
                                 json_string_length(value));
    if (!json_is_array(value) || !json_array_size(value))
        return wrong(r, at, value, "a command: a text, or a list of words");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *word = json_array_get(value, i);

        if (!json_is_string(word)) {
            buf_free(&words);
            return wrong(r, at, word, "a word of a command");
        }
        buf_add(&words, json_string_value(word), json_string_length(word) + 1);
    }
    n = alias_add_special(r, at, ALIAS_PIPE, ALIAS_ARGV, words.data, words.len);
    buf_free(&words);
    return n;
}

static int add_path(struct alias_reader *r, const char *at, const json_t *value,
                    enum alias_kind kind)
{
    if (!json_is_string(value) || !json_string_length(value))
        return wrong(r, at, value, "a path");
    return alias_add_special(r, at, kind, 0, json_string_value(value), json_string_length(value));
}

/* The only key beside comments, or "": there are none, or several. */
static const char *only_key(json_t *object, json_t **ret_value)
{
    const char *only = "", *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach (object, key, value) {
        if (config_is_comment(key))
            continue;
        only = key;
        *ret_value = value;
        n++;
    }
    return n == 1 ? only : "";
}

static int add_object(struct alias_reader *r, const char *at, json_t *object)
{
    json_t *value = NULL;
    const char *key = only_key(object, &value);

    if (!strcmp(key, "address"))
        return add_string(r, at, value, "an address", alias_add_address);
    if (!strcmp(key, "local"))
        return add_string(r, at, value, "the name of a local user", alias_add_local);
    if (!strcmp(key, "pipe"))
        return add_pipe(r, at, value);
    if (!strcmp(key, "file"))
        return add_path(r, at, value, ALIAS_FILE);
    if (!strcmp(key, "include"))
        return add_path(r, at, value, ALIAS_INCLUDE);
    return wrong(r, at, object,
                 "one of \"address\", \"local\", \"pipe\", \"file\", \"include\" and its value");
}

static int add_target(struct alias_reader *r, const char *at, json_t *value)
{
    if (json_is_object(value))
        return add_object(r, at, value);
    return add_string(r, at, value, "a target: a text or an object", alias_add_text);
}

static int add_targets(struct alias_reader *r, const char *at, json_t *value)
{
    if (!json_is_array(value))
        return add_target(r, at, value);
    if (!json_array_size(value))
        return wrong(r, at, value, "a target at least");
    for (size_t i = 0; i < json_array_size(value); i++) {
        char inside[32];
        int n;

        snprintf(inside, sizeof inside, "/%zu", i);
        r->inside = inside;
        n = add_target(r, at, json_array_get(value, i));
        r->inside = NULL;
        if (n < 0)
            return n;
    }
    return 0;
}

/* {"owner": address, "members": file or list of targets} */
static int add_list(struct alias_reader *r, const char *at, json_t *object)
{
    json_t *members = json_object_get(object, "members");
    const char *key;
    json_t *value;
    int n;

    json_object_foreach (object, key, value) {
        if (strcmp(key, "owner") && strcmp(key, "members") && !config_is_comment(key))
            return alias_error(r, at, "unknown key \"%.60s\", expected \"owner\" and \"members\"",
                               key);
    }
    if (r->personal)
        return alias_error(r, at, "found a mailing list: personal aliases may hold none");
    n = add_string(r, at, json_object_get(object, "owner"), "\"owner\" with an address",
                   alias_add_owner);
    if (n < 0)
        return n;
    if (!members)
        return wrong(r, at, object, "\"members\" beside \"owner\"");
    return json_is_array(members) ? add_targets(r, at, members)
                                  : add_path(r, at, members, ALIAS_INCLUDE);
}

/* --- the file --- */

static int read_pair(struct alias_reader *r)
{
    const char *at = r->p;
    json_t *name AUTO(json_decrefp) = read_value(r);
    json_t *value AUTO(json_decrefp) = NULL;
    int list, n;

    if (!name)
        return -EINVAL;
    if (!json_is_string(name))
        return wrong(r, at, name, "the name of an alias in quotes");
    if (expect(r, ':', "':' after the name of the alias") < 0)
        return -EINVAL;
    skip(r);
    value = read_value(r);
    if (!value)
        return -EINVAL;
    if (config_is_comment(json_string_value(name)))
        return 0;
    list = json_object_get(value, "owner") || json_object_get(value, "members");
    n = alias_begin(r, at, json_string_value(name), json_string_length(name),
                    list ? ALIAS_RECORD_LIST : 0);
    if (n < 0)
        return n;
    return list ? add_list(r, at, value) : add_targets(r, at, value);
}

int alias_read_json(struct alias_reader *r)
{
    char found[32];

    if (expect(r, '{', "'{': an object of aliases") < 0)
        return -EINVAL;
    skip(r);
    if (r->p < r->end && *r->p == '}') {
        r->p++;
    } else {
        for (;;) {
            skip(r);
            r->entry_line = r->line;
            if (read_pair(r) < 0)
                return -EINVAL;
            skip(r);
            if (r->p < r->end && *r->p == '}')
                break;
            if (expect(r, ',', "',' or '}'") < 0)
                return -EINVAL;
        }
        r->p++;
    }
    skip(r);
    if (r->p < r->end)
        return alias_error(r, r->p, "%s, expected nothing more",
                           alias_found(r, found, sizeof found));
    return 0;
}
