/* plugins/passwd: the users of the system, or of a password file, as a directory.
 *
 * Every question goes to a thread: behind the system's database may be a network. Known gap: a
 * system with tens of thousands of users in LDAP may not want full_names, which reads them all. */
#include "passwd.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/turns.h"
#include "names.h"

#define ENTRY_MIN 1024u
#define ENTRY_MAX (1024u * 1024)
#define LOGIN_MAX 256u

/* clang-format off */
#define OPT(member, type, ...) POSTERN_OPT(struct settings, member, POSTERN_OPT_##type, __VA_ARGS__)

static const struct postern_option options[] = {
    OPT(file, PATH,
        .doc = "A file like /etc/passwd that is read instead of asking the system; it is read "
               "again when it has changed."),
    OPT(full_names, BOOL, .dflt = "false",
        .doc = "Whether the full name in an entry is an alias: Firstname.Lastname. A name that "
               "two users have is nobody's."),
    OPT(uid_min, INT, .dflt = "0", .min = 0, .max = UINT32_MAX,
        .doc = "Users with a smaller number do not count."),
    OPT(uid_max, INT, .dflt = "4294967294", .min = 0, .max = UINT32_MAX,
        .doc = "Users with a larger number do not count."),
    OPT(concurrency, INT, .dflt = "2", .min = 1, .max = 32,
        .doc = "Questions asked at a time, of each worker. Each takes one of "
               "server.offload_threads while it waits for the answer; more wait in line."),
    OPT(refresh, DURATION, .dflt = "5m", .min = 0, .max = POSTERN_DAYS(1),
        .doc = "How old the list of full names may get before the system is asked again."),
    {.key = NULL},
};
/* clang-format on */

struct passwd_dir {
    postern_host *host;
    const struct postern_services *svc;
    const struct settings *set;
    struct names *names;
    struct turns turns;
};

struct question {     /* on its way to a thread and back */
    struct turn turn; /* first */
    uint32_t kind;
    char name[POSTERN_LOCAL_MAX + 1];  /* as written */
    char lower[POSTERN_LOCAL_MAX + 1]; /* and in lower case */
    char target[LOGIN_MAX + 1];
    char why[NAMES_WHY_MAX];
};

/* --- on a thread --- */

static int find_user(const struct settings *set, const char *name, char *why, size_t why_size)
{
    struct passwd pw, *found = NULL;
    char *buf = NULL;
    int r = ERANGE;

    for (size_t size = ENTRY_MIN; r == ERANGE && size <= ENTRY_MAX; size *= 4) {
        free(buf);
        buf = malloc(size);
        r = buf ? getpwnam_r(name, &pw, buf, size, &found) : ENOMEM;
    }
    if (!r && (!found || !passwd_counts(set, pw.pw_uid)))
        r = ENOENT;
    free(buf);
    if (!r)
        return 0;
    if (r == ENOENT || r == ESRCH) /* what getpwnam(3) says of absence */
        return -ENOENT;
    snprintf(why, why_size, "cannot look up a user: %s", strerror(r));
    return -EAGAIN;
}

static int find_one(struct question *q, const char *name)
{
    const struct passwd_dir *d = q->turn.turns->self;

    if (d->set->file)
        return names_user(d->names, name, (int64_t)q->turn.now, q->why, sizeof q->why);
    return find_user(d->set, name, q->why, sizeof q->why);
}

static int work(void *ctx)
{
    struct question *q = ctx;
    const struct passwd_dir *d = q->turn.turns->self;
    int r;

    if (q->kind == POSTERN_LOOKUP_ALIAS) {
        q->target[0] = '\0';
        return names_full(d->names, q->lower, (int64_t)q->turn.now, q->target, LOGIN_MAX, q->why,
                          sizeof q->why);
    }
    r = find_one(q, q->name);
    if (r == -ENOENT && strcmp(q->name, q->lower) != 0)
        r = find_one(q, q->lower);
    return r;
}

/* --- on the loop --- */

static void done(struct turn *turn, int result)
{
    struct question *q = (struct question *)turn;
    const char *value = result == -EAGAIN ? q->why : q->target;

    turn->turns->svc->lookup_answer(turn->lookup, result, &value,
                                    result == -ENOENT || !*value ? 0 : 1);
    free(q);
}

static void question_free(struct turn *turn)
{
    free((struct question *)turn);
}

static const struct turns_ops turns_ops = {
    .work = work,
    .done = done,
    .free = question_free,
};

/* What no user is called, however the database reads it. */
static int is_login(const char *name)
{
    size_t len = strlen(name);

    if (!len || len > POSTERN_LOCAL_MAX)
        return 0;
    for (const char *p = name; *p; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == ':' || *p == '/')
            return 0;
    }
    return 1;
}

static void copy_lower(char *to, const char *from)
{
    for (; *from; from++)
        *to++ = (char)(*from >= 'A' && *from <= 'Z' ? *from + ('a' - 'A') : *from);
    *to = '\0';
}

static int lookup(void *self, postern_lookup *l)
{
    struct passwd_dir *d = self;
    const struct postern_services *svc = d->svc;
    const char *local = svc->lookup_local(l);
    uint32_t kind = svc->lookup_kind(l);
    struct question *q;
    int r;

    /* Nobody is called by an address, and names that no login can have need no thread. */
    if (!is_login(local) || (kind != POSTERN_LOOKUP_USER && kind != POSTERN_LOOKUP_ALIAS) ||
        (kind == POSTERN_LOOKUP_ALIAS &&
         (!d->set->full_names || strchr(svc->lookup_key(l), '@')))) {
        svc->lookup_answer(l, -ENOENT, NULL, 0);
        return 0;
    }
    q = calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    q->turn.lookup = l;
    q->kind = kind;
    memcpy(q->name, local, strlen(local) + 1);
    copy_lower(q->lower, local);
    r = turns_ask(&d->turns, &q->turn);
    if (r < 0)
        free(q);
    return r;
}

static int passwd_check(const void *settings, char *why, size_t why_size)
{
    const struct settings *set = settings;

    if (set->uid_min <= set->uid_max)
        return 0;
    snprintf(why, why_size, "uid_min (%lld) is larger than uid_max (%lld)", (long long)set->uid_min,
             (long long)set->uid_max);
    return -EINVAL;
}

static int passwd_open(postern_host *host, const struct postern_services *svc, const void *settings,
                       void **ret_self)
{
    struct passwd_dir *d;

    if (!POSTERN_HAS(svc, lookup_answer))
        return -ENOSYS;
    d = calloc(1, sizeof *d);
    if (d)
        d->names = names_new(settings);
    if (!d || !d->names) {
        free(d);
        return -ENOMEM;
    }
    d->host = host;
    d->svc = svc;
    d->set = settings;
    turns_init(&d->turns, host, svc, &turns_ops, d, d->set->concurrency);
    *ret_self = d;
    return 0;
}

static void passwd_close(void *self)
{
    struct passwd_dir *d = self;

    turns_done(&d->turns);
    names_free(&d->names);
    free(d);
}

static const struct postern_directory_ops directory = {
    .size = sizeof directory,
    .lookup = lookup,
};

POSTERN_PLUGIN(passwd, .name = "passwd", .version = "0.1.0",
               .summary = "the users of the system, or of a password file, as a directory",
               .options = options, .settings_size = sizeof(struct settings), .check = passwd_check,
               .open = passwd_open, .close = passwd_close, .directory = &directory,
               .flags = POSTERN_PLUGIN_PATHS);
