/* daemon/drop.c: see drop.h. */
#include "daemon/drop.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define DROP_GROUPS 65u

static int find_group(const char *name, gid_t *ret, char *why, size_t why_size)
{
    const struct group *g;

    errno = 0;
    g = getgrnam(name);
    if (!g) {
        snprintf(why, why_size, "there is no group \"%s\"", name);
        return errno ? -errno : -ENOENT;
    }
    *ret = g->gr_gid;
    return 0;
}

static int set_groups(const struct config_server *s, const char *user, gid_t gid, char *why,
                      size_t why_size)
{
    gid_t list[DROP_GROUPS] = { gid };
    size_t n = 1;

    if (!s->groups.n) {
        if (initgroups(user, gid) == 0)
            return 0;
        snprintf(why, why_size, "can't take on the groups of \"%s\": %s", user, strerror(errno));
        return -errno;
    }
    for (size_t i = 0; i < s->groups.n && n < DROP_GROUPS; i++, n++) {
        int r = find_group(s->groups.v[i], &list[n], why, why_size);

        if (r < 0)
            return r;
    }
    if (setgroups(n, list) == 0)
        return 0;
    snprintf(why, why_size, "can't take on the groups: %s", strerror(errno));
    return -errno;
}

static int become(const struct config_server *s, char *why, size_t why_size)
{
    const struct passwd *pw;
    gid_t gid;
    uid_t uid;
    int r;

    errno = 0;
    pw = getpwnam(s->user);
    if (!pw) {
        snprintf(why, why_size, "there is no user \"%s\"", s->user);
        return errno ? -errno : -ENOENT;
    }
    uid = pw->pw_uid;
    gid = pw->pw_gid;
    r = s->group ? find_group(s->group, &gid, why, why_size) : 0;
    if (r == 0)
        r = set_groups(s, s->user, gid, why, why_size);
    if (r < 0)
        return r;
    if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
        snprintf(why, why_size, "can't become \"%s\": %s", s->user, strerror(errno));
        return -errno;
    }
    /* Trust nobody: a worker that could go back has dropped nothing. */
    if (uid != 0 && setuid(0) == 0) {
        snprintf(why, why_size, "privileges could be taken back after they were dropped");
        return -EPERM;
    }
    return 0;
}

int drop_privileges(const struct config_server *s, char *why, size_t why_size)
{
    int r = 0;

    if (s->user && geteuid() == 0)
        r = become(s, why, why_size);
    if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        snprintf(why, why_size, "no_new_privs: %s", strerror(errno));
        r = -errno;
    }
    return r;
}
