/* fakehost-option.c: settings from an option table, for tests: defaults, then what the test set.
 *
 * The rules are those of postern/option.h, but for JSON: values are text, list items are separated
 * by commas, and a member of an object is named "object.member". */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakehost-internal.h"

#define KEY_MAX 200

static int refuse(struct fakehost *h, const char *key, const char *value, const char *what)
{
    snprintf(h->why, sizeof h->why, "%s: \"%s\" is %s", key, value, what);
    return -EINVAL;
}

static const char *find_set(const struct fakehost *h, const char *key)
{
    for (const struct setting *s = h->set; s; s = s->next) {
        if (strcmp(s->key, key) == 0)
            return s->value;
    }
    return NULL;
}

static char *keep_text(struct fakehost *h, const char *s, size_t len)
{
    return memcpy(fake_keep(h, len + 1), s, len);
}

/* "1h30m" in microseconds, or "25M" in bytes: numbers, each with a unit of the table. */
struct unit {
    const char *name;
    int64_t worth;
};

static const struct unit durations[] = { { "ms", 1000 },
                                         { "us", 1 },
                                         { "s", 1000000 },
                                         { "m", 60 * INT64_C(1000000) },
                                         { "h", 3600 * INT64_C(1000000) },
                                         { "d", 86400 * INT64_C(1000000) },
                                         { "w", 604800 * INT64_C(1000000) },
                                         { NULL, 0 } };
static const struct unit sizes[] = {
    { "K", 1024 }, { "M", 1024 * 1024 }, { "G", 1024 * 1024 * 1024 }, { NULL, 0 }
};

static int read_units(const char *s, const struct unit *units, int64_t *ret)
{
    int64_t sum = 0;

    do {
        const struct unit *u = units;
        char *end;
        int64_t n = strtoll(s, &end, 10);

        if (end == s)
            return -EINVAL;
        while (u->name && strncmp(end, u->name, strlen(u->name)) != 0)
            u++;
        if (!u->name)
            return -EINVAL;
        sum += n * u->worth;
        s = end + strlen(u->name);
    } while (*s);
    *ret = sum;
    return 0;
}

static int read_choice(const char *choices, const char *value, int64_t *ret)
{
    int64_t i = 0;

    for (const char *p = choices;; i++) {
        size_t len = strcspn(p, "|");

        if (strlen(value) == len && strncmp(p, value, len) == 0) {
            *ret = i;
            return 0;
        }
        if (!p[len])
            return -EINVAL;
        p += len + 1;
    }
}

static int read_number(const struct postern_option *o, const char *value, int64_t *ret)
{
    char *end;

    switch (o->type) {
    case POSTERN_OPT_BOOL:
        return read_choice("false|true", value, ret);
    case POSTERN_OPT_CHOICE:
        return read_choice(o->choices, value, ret);
    case POSTERN_OPT_DURATION:
        return read_units(value, durations, ret);
    default:
        break;
    }
    *ret = strtoll(value, &end, 10);
    if (end == value)
        return -EINVAL;
    if (!*end)
        return 0;
    return o->type == POSTERN_OPT_SIZE ? read_units(value, sizes, ret) : -EINVAL;
}

static int fill_number(struct fakehost *h, const struct postern_option *o, const char *key,
                       const char *value, void *member)
{
    int64_t number = 0;

    if (value && read_number(o, value, &number) < 0)
        return refuse(h, key, value, "not of the right kind");
    if (value && o->min != o->max && (number < o->min || number > o->max))
        return refuse(h, key, value, "out of bounds");
    *(int64_t *)member = number;
    return 0;
}

static int fill_list(struct fakehost *h, const struct postern_option *o, const char *key,
                     const char *value, struct postern_strings *ret)
{
    const char **v;
    size_t n = 0;

    v = fake_keep(h, (value ? strlen(value) + 1 : 1) * sizeof *v);
    for (const char *p = value; p && *p;) {
        size_t len;

        p += strspn(p, " ");
        len = strcspn(p, ",");
        v[n++] = keep_text(h, p, len);
        p += len + (p[len] == ',');
    }
    if (o->min != o->max && ((int64_t)n < o->min || (int64_t)n > o->max))
        return refuse(h, key, value ? value : "", "of the wrong length");
    ret->n = n;
    ret->v = v;
    return 0;
}

static int fill_one(struct fakehost *h, const struct postern_option *o, const char *key,
                    void *member)
{
    const char *value = find_set(h, key);
    char prefix[KEY_MAX + 2];

    if (!value && (o->flags & POSTERN_OPT_REQUIRED))
        return refuse(h, key, "", "required");
    if (!value)
        value = o->dflt;
    switch (o->type) {
    case POSTERN_OPT_STRING:
    case POSTERN_OPT_PATH:
    case POSTERN_OPT_SECRET:
        *(const char **)member = value ? keep_text(h, value, strlen(value)) : NULL;
        return 0;
    case POSTERN_OPT_STRINGS:
    case POSTERN_OPT_LISTEN:
        return fill_list(h, o, key, value, member);
    case POSTERN_OPT_OBJECT:
        snprintf(prefix, sizeof prefix, "%s.", key);
        return fake_fill(h, o->sub, prefix, member);
    case POSTERN_OPT_OBJECTS: /* none: no test has asked for some yet */
        return value ? refuse(h, key, value, "a list of objects, which the fake host has not") : 0;
    default:
        return fill_number(h, o, key, value, member);
    }
}

static int known(const struct postern_option *table, const char *key)
{
    for (const struct postern_option *o = table; o->key; o++) {
        size_t len = strlen(o->key);

        if (strncmp(o->key, key, len) != 0)
            continue;
        if (!key[len])
            return 1;
        if (key[len] == '.' && o->sub && known(o->sub, key + len + 1))
            return 1;
    }
    return 0;
}

int fake_fill(struct fakehost *h, const struct postern_option *table, const char *prefix,
              void *settings)
{
    for (const struct setting *s = h->set; s && !*prefix; s = s->next) {
        if (!known(table, s->key))
            return refuse(h, s->key, s->value, "for an unknown key");
    }
    for (const struct postern_option *o = table; o->key; o++) {
        char key[KEY_MAX];
        int r;

        if (!o->doc)
            fake_complain(h, "option %s has no doc", o->key);
        snprintf(key, sizeof key, "%s%s", prefix, o->key);
        r = fill_one(h, o, key, (char *)settings + o->offset);
        if (r < 0)
            return r;
    }
    return 0;
}
