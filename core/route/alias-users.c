/* Personal alias files: what was read of whom, and when it was last looked at.
 *
 * A thread reads (alias_users_load), the loop only looks up what was read; a lock of a few
 * instructions stands between them. Asking the password database and a user's home may take long:
 * so a look-up that finds nothing recent says -EAGAIN, and the caller has somebody load. */
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-set.h"
#include "util/clock.h"

#define PASSWD_MAX (1024u * 1024)
#define HOME_MAX   4096u

struct user {
    struct alias_file *file; /* constant once it is here; NULL: no such user */
    int64_t checked;
};

struct alias_users {
    const struct config_aliases *cfg;
    alias_home_fn *home;
    void *ctx;
    pthread_mutex_t lock; /* guards by_name and what is in it */
    struct map *by_name;
};

static int home_of(void *ctx, const char *user, char *ret_home, size_t size, uid_t *ret_uid)
{
    struct passwd pw, *found = NULL;
    char *buf = NULL;
    int r = ERANGE;

    (void)ctx;
    for (size_t n = 1024; r == ERANGE && n <= PASSWD_MAX; n *= 4) {
        free(buf);
        buf = mem_alloc(n);
        r = getpwnam_r(user, &pw, buf, n, &found);
    }
    if (found && strlen(found->pw_dir) < size) {
        memcpy(ret_home, found->pw_dir, strlen(found->pw_dir) + 1);
        *ret_uid = found->pw_uid;
    } else {
        found = NULL;
    }
    free(buf);
    return found ? 0 : -ENOENT;
}

struct alias_users *alias_users_new(const struct config_aliases *cfg, alias_home_fn *home,
                                    void *ctx)
{
    struct alias_users *u = mem_zalloc(sizeof *u);

    u->cfg = cfg;
    u->home = home ? home : home_of;
    u->ctx = ctx;
    u->by_name = map_new();
    pthread_mutex_init(&u->lock, NULL);
    return u;
}

static void free_user(void *p)
{
    struct user *user = p;

    if (!user)
        return;
    alias_file_free(&user->file);
    free(user);
}

void alias_users_free(struct alias_users **u)
{
    if (!*u)
        return;
    map_free(&(*u)->by_name, free_user);
    pthread_mutex_destroy(&(*u)->lock);
    free(*u);
    *u = NULL;
}

/* What alias_file_load needs of the version before, without the lock. */
static struct alias_file *copy_old(struct alias_users *u, const char *name)
{
    struct alias_file *copy = NULL;
    const struct user *user;

    pthread_mutex_lock(&u->lock);
    user = map_get(u->by_name, name);
    if (user && user->file) {
        copy = mem_alloc(sizeof *copy);
        *copy = *user->file;
        copy->path = mem_strdup(user->file->path);
        copy->why = NULL;
        if (copy->source)
            alias_source_ref(copy->source);
    }
    pthread_mutex_unlock(&u->lock);
    return copy;
}

static void keep(struct alias_users *u, const char *name, struct alias_file *file)
{
    struct user *user = mem_zalloc(sizeof *user);
    struct map *full = NULL;

    user->file = file;
    user->checked = clock_mono();
    pthread_mutex_lock(&u->lock);
    if (map_count(u->by_name) >= ALIAS_USERS_MAX && !map_get(u->by_name, name)) {
        full = u->by_name; /* rare, and cheap to build again */
        u->by_name = map_new();
    }
    user = map_set(u->by_name, name, user);
    pthread_mutex_unlock(&u->lock);
    free_user(user);
    if (full)
        map_free(&full, free_user);
}

int alias_users_load(struct alias_users *u, const char *name, struct alias_report *report)
{
    struct alias_limits how = { .syntax = ALIAS_SYNTAX_TCPWARE,
                                .max = ALIAS_PERSONAL_MAX,
                                .personal = 1 };
    struct alias_file *old, *file = NULL;
    char home[HOME_MAX], *path;

    if (u->cfg->user_file && u->home(u->ctx, name, home, sizeof home, &how.owner) == 0) {
        old = copy_old(u, name);
        path = mem_printf("%s/%s", home, u->cfg->user_file);
        file = alias_file_load(path, &how, old, report);
        free(path);
        alias_file_free(&old);
    }
    keep(u, name, file);
    return file && file->broken ? -EINVAL : 0;
}

int alias_users_lookup(struct alias_users *u, const char *name, const struct alias_query *q,
                       int64_t max_age, struct alias_answer *ret, struct alias_source **ret_source)
{
    struct alias_source *source = NULL;
    const struct user *user;
    int found = 0, known;

    if (!u->cfg->user_file)
        return 0;
    pthread_mutex_lock(&u->lock);
    user = map_get(u->by_name, name);
    known = user && clock_mono() - user->checked <= max_age;
    if (known && user->file && user->file->source)
        source = alias_source_ref(user->file->source);
    pthread_mutex_unlock(&u->lock);
    if (!known)
        return -EAGAIN;
    if (source)
        found = alias_lookup_personal(source, q, alias_subaddress(u->cfg), ret);
    if (found)
        *ret_source = source;
    else
        alias_source_unref(&source);
    return found;
}
