/* place.c: see place.h.
 *
 * One instance serves one list (option or parameter "list"), or as many as its folder has files
 * for. The convention of owner- is that of the gateway's aliases, so that both can stand in for
 * each other. */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define OWNER_PREFIX "owner-"

/* --- small things --- */

static void lower(char *s)
{
    for (; *s; s++) {
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s + ('a' - 'A'));
    }
}

int place_same(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

/* local@domain, the local part quoted where it must be. 0 or -errno. */
static int join(const char *local, const char *domain, char *buf, size_t size)
{
    int n = postern_address_quote(local, strlen(local), buf, size);

    if (n < 0)
        return n;
    if ((size_t)snprintf(buf + n, size - (size_t)n, "@%s", domain) >= size - (size_t)n)
        return -ENOBUFS;
    return 0;
}

void place_verp_decode(const char *extension, char *buf, size_t size)
{
    const char *equals = strrchr(extension, '=');
    char local[POSTERN_LOCAL_MAX + 1];
    struct postern_address a = { .size = sizeof a };
    const char *why;

    *buf = '\0';
    if (!equals || equals == extension || (size_t)(equals - extension) >= sizeof local)
        return;
    snprintf(local, sizeof local, "%.*s", (int)(equals - extension), extension);
    if (join(local, equals + 1, buf, size) < 0 ||
        postern_address_parse(buf, strlen(buf), POSTERN_ADDRESS_UTF8, &a, &why) < 0)
        *buf = '\0';
}

/* --- templates --- */

struct values {
    const struct place *place;
    int uri;
};

static int put(const char *text, int uri, char *buf, size_t size)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~@";
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    for (; *text; text++) {
        int code = uri && !strchr(plain, *text);

        if (size - n < (code ? 3u : 1u))
            return -ENOBUFS;
        if (code) {
            buf[n++] = '%';
            buf[n++] = hex[(unsigned char)*text >> 4];
            buf[n++] = hex[(unsigned char)*text & 15];
        } else {
            buf[n++] = *text;
        }
    }
    return (int)n;
}

static int value(void *ctx, const char *name, const char *argument, char *buf, size_t size)
{
    const struct values *v = ctx;
    const struct {
        const char *name, *text;
    } known[] = {
        { "list", v->place->list },
        { "name", v->place->name },
        { "domain", v->place->domain },
        { "bounces", v->place->bounces },
        { "owner", *v->place->owner ? v->place->owner : v->place->bounces },
    };

    for (size_t i = 0; i < sizeof known / sizeof *known && !argument; i++) {
        if (!strcmp(name, known[i].name))
            return put(known[i].text, v->uri, buf, size);
    }
    return -ENOENT;
}

int place_text(const struct place *p, const char *text, int uri, char *buf, size_t size,
               const char **reterr_at)
{
    struct values v = { p, uri };

    return postern_template_expand(text, value, &v, buf, size, reterr_at);
}

/* --- the file of members --- */

static const char *const types[] = { ".list", ".dis" };

/* Is it the file of that list? 0: no; else the lower the better. */
static unsigned rank(const char *file, const char *name)
{
    size_t len = strlen(name);

    if (strncasecmp(file, name, len) != 0)
        return 0;
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        if (!strcasecmp(file + len, types[i]))
            return i + 1;
    }
    return 0;
}

/* VMS writes names in capitals, and others do not: the folder is looked through. */
static int find_in_folder(const char *folder, const char *name, char *buf, size_t size)
{
    char best[256] = "";
    unsigned best_rank = 0;
    struct dirent *e;
    DIR *d;
    int err;

    if (!*name || *name == '.' || strchr(name, '/'))
        return -ENOENT;
    d = opendir(folder);
    if (!d)
        return -errno;
    for (errno = 0; (e = readdir(d)) != NULL; errno = 0) {
        unsigned r = rank(e->d_name, name);

        if (!r || (best_rank && (r > best_rank || (r == best_rank && strcmp(e->d_name, best) > 0))))
            continue;
        best_rank = r;
        snprintf(best, sizeof best, "%s", e->d_name);
    }
    err = errno;
    closedir(d);
    if (err)
        return -err;
    if (!best_rank)
        return -ENOENT;
    return (size_t)snprintf(buf, size, "%s/%s", folder, best) < size ? 0 : -ENAMETOOLONG;
}

static int is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    while (len && folder[len - 1] == '/')
        len--;
    return !strncmp(path, folder, len) && path[len] == '/' && path[len + 1];
}

static int below_roots(const struct settings *set, const char *path)
{
    if (strstr(path, "/../") || strlen(path) >= LIST_PATH_MAX)
        return 0;
    for (size_t i = 0; i < set->roots.n; i++) {
        if (is_below(path, set->roots.v[i]))
            return 1;
    }
    return 0;
}

/* The same on the disk, as for files that aliases read: a link would make members, and lines in
 * the log, of what others keep to themselves. What is not there is told when it is opened. */
static int leads_out(const struct settings *set, const char *path)
{
    char real[PATH_MAX], root[PATH_MAX];

    if (!realpath(path, real))
        return 0;
    for (size_t i = 0; i < set->roots.n; i++) {
        if (realpath(set->roots.v[i], root) && is_below(real, root))
            return 0;
    }
    return 1;
}

/* 0, or -EPERM with what is wrong about the file that the route names. */
static int check_roots(const struct settings *set, const char *path, struct problem *reterr)
{
    const char *why = "which is below none of the roots";

    if (below_roots(set, path)) {
        if (!leads_out(set, path))
            return 0;
        why = "where a link leads out of the roots";
    }
    problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the route names the members' file %s, %s", path, why);
    return -EPERM;
}

/* name: of the list. 0; -ENOENT: there is no such list; another -errno. */
static int find_file(const struct settings *set, const struct route_says *route, const char *name,
                     char *buf, size_t size, struct problem *reterr)
{
    const char *path = route->members ? route->members : set->members;
    int r;

    *buf = '\0';
    if (route->members && check_roots(set, path, reterr) < 0)
        return -EPERM;
    if (!path)
        return 0;
    if (route->members || !is_folder(path)) {
        snprintf(buf, size, "%s", path);
        return 0;
    }
    r = find_in_folder(path, name, buf, size);
    if (r == -ENOENT)
        problem_set(reterr, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 1),
                    "there is no list of the name %s", name);
    else if (r < 0)
        problem_errno(reterr, -r, "look for lists in", path);
    return r;
}

/* --- names --- */

/* "owner-NAME", "NAME-owner", "NAME-request": NAME. 1 or 0. */
static int owner_of(const char *user, char *buf, size_t size)
{
    static const char *const suffixes[] = { "-owner", "-request" };
    size_t len = strlen(user), prefix = sizeof OWNER_PREFIX - 1;

    if (!strncasecmp(user, OWNER_PREFIX, prefix) && user[prefix]) {
        snprintf(buf, size, "%s", user + prefix);
        return 1;
    }
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t n = strlen(suffixes[i]);

        if (len > n && !strcasecmp(user + len - n, suffixes[i])) {
            snprintf(buf, size, "%.*s", (int)(len - n), user);
            return 1;
        }
    }
    return 0;
}

static int fill_names(struct place *p, const char *name, const char *domain, struct problem *reterr)
{
    char local[POSTERN_LOCAL_MAX + sizeof OWNER_PREFIX];
    int r;

    snprintf(p->name, sizeof p->name, "%s", name);
    snprintf(p->domain, sizeof p->domain, "%s", domain);
    lower(p->name);
    lower(p->domain);
    snprintf(local, sizeof local, OWNER_PREFIX "%s", p->name);
    r = join(p->name, p->domain, p->list, sizeof p->list);
    if (!r)
        r = join(local, p->domain, p->bounces, sizeof p->bounces);
    if (r < 0)
        problem_set(reterr, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 3),
                    "%s@%s cannot be the address of a list", name, domain);
    return r;
}

static int parse(const char *address, struct postern_recipient *ret, struct problem *reterr)
{
    const char *why = "it has no domain";
    int r;

    ret->size = sizeof *ret;
    r = postern_recipient_parse(address, "+", ret, &why);
    if (!r && *ret->domain)
        return 0;
    problem_set(reterr, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 3),
                "%s is no address of a list: %s", address, why);
    return -EINVAL;
}

/* The route knows the list. What is not its owner's is for it, whatever its name. */
static int known_list(struct place *p, const char *list, const struct postern_recipient *r,
                      struct problem *reterr)
{
    struct postern_recipient known;
    char name[POSTERN_LOCAL_MAX + 1];

    if (parse(list, &known, reterr) < 0)
        return -EINVAL;
    p->role = owner_of(r->user, name, sizeof name) && !strcasecmp(name, known.local) ? ROLE_OWNER
                                                                                     : ROLE_POST;
    return fill_names(p, known.local, known.domain, reterr);
}

/* A list of the folder may be called "owner-x"; where there is none, it is the owner of x. */
static int unknown_list(const struct settings *set, const struct route_says *route, struct place *p,
                        const struct postern_recipient *r, struct problem *reterr)
{
    char name[POSTERN_LOCAL_MAX + 1];
    int is_owner = owner_of(r->user, name, sizeof name);

    if (is_owner && !route->members && set->members && is_folder(set->members) &&
        find_in_folder(set->members, r->user, p->file, sizeof p->file) == 0)
        is_owner = 0;
    p->role = is_owner ? ROLE_OWNER : ROLE_POST;
    return fill_names(p, is_owner ? name : r->user, r->domain, reterr);
}

static int fill_owner(const struct settings *set, const struct route_says *route, struct place *p,
                      struct problem *reterr)
{
    const char *text = route->owner ? route->owner : set->owner;
    char owner[sizeof p->owner];
    struct postern_address a = { .size = sizeof a };
    const char *why = "it is too long";
    int n = 0;

    if (!text)
        return 0;
    if (route->owner && strlen(text) < sizeof owner)
        strcpy(owner, text);
    else
        n = place_text(p, text, 0, owner, sizeof owner, NULL);
    if (n >= 0 && !strchr(owner, '@')) {
        size_t len = strlen(owner);

        n = snprintf(owner + len, sizeof owner - len, "@%s", p->domain);
        n = (size_t)n < sizeof owner - len ? n : -ENOBUFS;
    }
    if (n >= 0 &&
        postern_address_parse(owner, strlen(owner), POSTERN_ADDRESS_UTF8, &a, &why) >= 0) {
        strcpy(p->owner, owner);
        return 0;
    }
    problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the owner \"%.200s\" of the list %s is no address: %s", text, p->list, why);
    return -EINVAL;
}

int place_find(const struct settings *set, const struct route_says *route, const char *rcpt,
               const char *sender, struct place *ret, struct problem *reterr)
{
    const char *list = route->list ? route->list : set->list;
    struct postern_recipient r;
    int err;

    memset(ret, 0, sizeof *ret);
    if (parse(rcpt, &r, reterr) < 0)
        return -EINVAL;
    err = list ? known_list(ret, list, &r, reterr) : unknown_list(set, route, ret, &r, reterr);
    if (!err)
        err = find_file(set, route, ret->name, ret->file, sizeof ret->file, reterr);
    if (!err)
        err = fill_owner(set, route, ret, reterr);
    if (err < 0 || ret->role == ROLE_POST)
        return err;
    place_verp_decode(r.extension, ret->member, sizeof ret->member);
    if (!*sender)
        ret->role = ROLE_BOUNCE;
    return 0;
}
