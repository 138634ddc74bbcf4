/* account.c: see pipe.h. Looked up once, when the plugin is opened: a change of the user's groups
 * counts from the next reload on. */
#include "pipe.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_MIN 1024u
#define ENTRY_MAX (1024u * 1024)

static int keep(struct account *a, const struct passwd *pw)
{
    if (strlen(pw->pw_name) >= sizeof a->name || strlen(pw->pw_dir) >= sizeof a->home)
        return ENAMETOOLONG;
    a->uid = pw->pw_uid;
    a->gid = pw->pw_gid;
    snprintf(a->name, sizeof a->name, "%s", pw->pw_name);
    snprintf(a->home, sizeof a->home, "%s", *pw->pw_dir ? pw->pw_dir : "/");
    return 0;
}

/* By name, or by number when that is NULL. */
static int find_user(const char *name, uid_t uid, struct account *ret)
{
    struct passwd pw, *found = NULL;
    char *buf = NULL;
    int r = ERANGE;

    for (size_t size = ENTRY_MIN; r == ERANGE && size <= ENTRY_MAX; size *= 4) {
        free(buf);
        buf = malloc(size);
        if (!buf)
            return -ENOMEM;
        r = name ? getpwnam_r(name, &pw, buf, size, &found)
                 : getpwuid_r(uid, &pw, buf, size, &found);
    }
    if (!r)
        r = found ? keep(ret, &pw) : ENOENT;
    free(buf);
    return -r;
}

static int find_group(const char *name, gid_t *ret)
{
    struct group g, *found = NULL;
    char *buf = NULL;
    int r = ERANGE;

    for (size_t size = ENTRY_MIN; r == ERANGE && size <= ENTRY_MAX; size *= 4) {
        free(buf);
        buf = malloc(size);
        if (!buf)
            return -ENOMEM;
        r = getgrnam_r(name, &g, buf, size, &found);
    }
    if (!r && found)
        *ret = g.gr_gid;
    else if (!r)
        r = ENOENT;
    free(buf);
    return -r;
}

static int find_groups(struct account *a)
{
    int n = (int)ACCOUNT_GROUPS_MAX;

    if (getgrouplist(a->name, a->gid, a->groups, &n) < 0)
        return -E2BIG;
    a->group_n = (size_t)n;
    return 0;
}

/* The worker's own account. It may have no name: containers run with bare numbers. */
static void stay(uid_t uid, struct account *ret)
{
    if (find_user(NULL, uid, ret) == 0)
        return;
    ret->uid = uid;
    ret->gid = getegid();
    snprintf(ret->name, sizeof ret->name, "%lu", (unsigned long)uid);
    snprintf(ret->home, sizeof ret->home, "/");
}

static int may_become(const struct settings *set, uid_t uid, const struct account *a, char *why,
                      size_t why_size)
{
    if (uid == 0 || (a->uid == uid && !set->group))
        return 0;
    snprintf(
        why, why_size,
        "%s is \"%s\", but the workers run with user id %lu, and only root can become somebody "
        "else: run the command as that user by leaving this out, or run workers as root (no "
        "server.user)",
        a->uid == uid ? "group" : "user", a->uid == uid ? set->group : set->user,
        (unsigned long)uid);
    return -EPERM;
}

int account_find(const struct settings *set, uid_t uid, struct account *ret, char *why,
                 size_t why_size)
{
    int r;

    memset(ret, 0, sizeof *ret);
    if (!set->user && uid == 0) {
        snprintf(why, why_size,
                 "the workers run as root, and so would the command: say in \"user\" "
                 "whom it runs as");
        return -EPERM;
    }
    if (!set->user && !set->group) {
        stay(uid, ret);
        return 0;
    }
    r = find_user(set->user, uid, ret);
    if (r < 0) {
        snprintf(why, why_size, "user: there is no user \"%s\"%s%s", set->user ? set->user : "",
                 r == -ENOENT ? "" : ": ", r == -ENOENT ? "" : strerror(-r));
        return r;
    }
    if (set->group && (r = find_group(set->group, &ret->gid)) < 0) {
        snprintf(why, why_size, "group: there is no group \"%s\"%s%s", set->group,
                 r == -ENOENT ? "" : ": ", r == -ENOENT ? "" : strerror(-r));
        return r;
    }
    r = may_become(set, uid, ret, why, why_size);
    if (r < 0)
        return r;
    ret->other = ret->uid != uid || set->group != NULL;
    if (ret->other && (r = find_groups(ret)) < 0)
        snprintf(why, why_size, "user: \"%s\" is in more than %u groups", ret->name,
                 ACCOUNT_GROUPS_MAX);
    return r;
}
