/* plugins/lmdb: a map of aliases that `postern map build` made, as a directory.
 *
 * A look-up reads a few pages of a mapped file and answers at once. The file is never written to: a
 * new version takes its place by a rename, and is found by a stat at most every `refresh`. Known
 * gap: pages that are not in memory are read from the disk while the loop waits; the kernel is told
 * to have them ready. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mapfile.h"

struct settings {
    const char *path;
    int64_t users;
    int64_t refresh;
};

/* clang-format off */
#define OPT(member, type, ...) POSTERN_OPT(struct settings, member, POSTERN_OPT_##type, __VA_ARGS__)

static const struct postern_option options[] = {
    OPT(path, PATH, .flags = POSTERN_OPT_REQUIRED,
        .doc = "The map: a file made by `postern map build`."),
    OPT(users, BOOL, .dflt = "false",
        .doc = "Whether each name in the map is a user too, for routing.users."),
    OPT(refresh, DURATION, .dflt = "1s", .min = 0, .max = POSTERN_HOURS(1),
        .doc = "How often it is looked whether another map has taken its place."),
    {.key = NULL},
};
/* clang-format on */

struct lmdb_dir {
    postern_host *host;
    const struct postern_services *svc;
    const struct settings *set;
    struct mapfile *map;
    uint64_t looked;
    int complained; /* of the file that is in its place now */
};

/* A new map that can't be used leaves the one before in place. */
static void refresh(struct lmdb_dir *d)
{
    uint64_t now = d->svc->now(d->host);
    char why[MAPFILE_WHY_MAX];
    struct mapfile *fresh;
    int changed;

    if (now - d->looked < (uint64_t)d->set->refresh)
        return;
    d->looked = now;
    changed = mapfile_changed(d->map, d->set->path);
    if (!changed)
        d->complained = 0;
    if (!changed || (changed < 0 && d->complained))
        return;
    if (mapfile_open(d->set->path, &fresh, why, sizeof why) < 0) {
        if (!d->complained)
            d->svc->log(d->host, POSTERN_LOG_WARNING, "map.refused",
                        "why=%s then=\"the map that was read before stays\"",
                        POSTERN_LOG_QUOTED(why));
        d->complained = 1;
        return;
    }
    mapfile_close(&d->map);
    d->map = fresh;
    d->complained = 0;
    d->svc->log(d->host, POSTERN_LOG_INFO, "map.read", "file=%s aliases=%llu",
                POSTERN_LOG_QUOTED(d->set->path), (unsigned long long)mapfile_count(fresh));
}

struct asked {
    const struct postern_services *svc;
    postern_lookup *lookup;
};

static void found(void *ctx, const char *const *values, size_t n)
{
    struct asked *a = ctx;

    a->svc->lookup_answer(a->lookup, 0, values, n);
}

static int lookup(void *self, postern_lookup *l)
{
    struct lmdb_dir *d = self;
    struct asked asked = { d->svc, l };
    char why[MAPFILE_WHY_MAX] = "";
    const char *words = why;
    int r = -ENOENT;

    refresh(d);
    if (d->svc->lookup_kind(l) == POSTERN_LOOKUP_ALIAS || d->set->users)
        r = mapfile_get(d->map, d->svc->lookup_key(l), found, &asked, why, sizeof why);
    if (r == -ENOENT)
        d->svc->lookup_answer(l, -ENOENT, NULL, 0);
    else if (r < 0)
        d->svc->lookup_answer(l, -EAGAIN, &words, 1);
    return 0;
}

/* The map as it is now: a gateway that could not start is better told before. */
static int check_facts(const struct postern_facts *facts, const void *settings, char *why,
                       size_t why_size)
{
    const struct settings *set = settings;
    char fault[MAPFILE_WHY_MAX];
    struct mapfile *map;
    int r = mapfile_open(set->path, &map, fault, sizeof fault);

    (void)facts;
    if (r < 0) {
        snprintf(why, why_size, "path: %s", fault);
        return r;
    }
    mapfile_close(&map);
    return 0;
}

static int lmdb_open(postern_host *host, const struct postern_services *svc, const void *settings,
                     void **ret_self)
{
    struct lmdb_dir *d;
    char why[MAPFILE_WHY_MAX];
    int r;

    if (!POSTERN_HAS(svc, lookup_answer))
        return -ENOSYS;
    d = calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    d->host = host;
    d->svc = svc;
    d->set = settings;
    d->looked = svc->now(host);
    r = mapfile_open(d->set->path, &d->map, why, sizeof why);
    if (r < 0) {
        svc->log(host, POSTERN_LOG_ERROR, "map.open", "why=%s", POSTERN_LOG_QUOTED(why));
        free(d);
        return r;
    }
    svc->log(host, POSTERN_LOG_DEBUG, "map.read", "file=%s aliases=%llu",
             POSTERN_LOG_QUOTED(d->set->path), (unsigned long long)mapfile_count(d->map));
    *ret_self = d;
    return 0;
}

static void lmdb_close(void *self)
{
    struct lmdb_dir *d = self;

    mapfile_close(&d->map);
    free(d);
}

static const struct postern_directory_ops directory = {
    .size = sizeof directory,
    .flags = POSTERN_DIRECTORY_COMMANDS, /* the map was made of alias files of this machine */
    .lookup = lookup,
};

POSTERN_PLUGIN(lmdb, .name = "lmdb", .version = "0.1.0",
               .summary = "a compiled map of aliases, as a directory", .options = options,
               .settings_size = sizeof(struct settings), .open = lmdb_open, .close = lmdb_close,
               .directory = &directory, .check_facts = check_facts, .flags = POSTERN_PLUGIN_PATHS);
