/* users.c: see users.h.
 *
 * A name becomes a file name, so it is a wall: no separator, nothing hidden, no control character,
 * and not the name of another mailbox's lock. */
#include "users.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "folder.h"

#define LOCK_SUFFIX   ".lock"
#define PASSWD_MIN    1024u
#define PASSWD_MAX    (1024u * 1024)
#define SUBADDRESS_AT '+'

static int has_control(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return 1;
    }
    return 0;
}

static const char *refuse_name(const char *name)
{
    size_t len = strlen(name);

    if (!len)
        return "the local part names nobody";
    if (name[0] == '.')
        return "a mailbox name cannot begin with a dot";
    if (strchr(name, '/') || has_control(name))
        return "the local part cannot be a mailbox name";
    if (len >= sizeof LOCK_SUFFIX && !strcasecmp(name + len - sizeof LOCK_SUFFIX + 1, LOCK_SUFFIX))
        return "a mailbox name cannot end in .lock";
    return NULL;
}

int user_name(const char *rcpt, char ret_name[USER_MAX], const char **reterr_why)
{
    struct postern_address a = { .size = sizeof a };
    char plain[POSTERN_LOCAL_MAX + 1], *plus;
    const char *why;
    int n;

    if (postern_address_parse(rcpt, strlen(rcpt), POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a,
                              reterr_why) < 0)
        return -EINVAL;
    n = postern_address_unquote(a.local, a.local_len, plain, sizeof plain);
    why = n < 0 || memchr(plain, 0, (size_t)n) ? "the local part cannot be a mailbox name" : NULL;
    if (!why) {
        plus = strchr(plain, SUBADDRESS_AT);
        if (plus && plus > plain)
            *plus = '\0';
        why = strlen(plain) >= USER_MAX ? "the local part is too long" : refuse_name(plain);
    }
    if (why) {
        *reterr_why = why;
        return -EINVAL;
    }
    memcpy(ret_name, plain, strlen(plain) + 1);
    return 0;
}

void user_fold_text(const char *text, char *buf, size_t size)
{
    size_t i;

    for (i = 0; i < size - 1 && text[i]; i++)
        buf[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    buf[i] = '\0';
}

void user_fold(const char *name, char ret_key[USER_MAX])
{
    user_fold_text(name, ret_key, USER_MAX);
}

int user_path(const struct settings *set, const char *name, char *buf, size_t size)
{
    int n = snprintf(buf, size, "%s/%s", set->path, name);

    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static void take_name(struct user *u, const char *name, const char *domain)
{
    memset(u, 0, sizeof *u);
    memcpy(u->name, name, strlen(name) + 1); /* checked: shorter than USER_MAX */
    snprintf(u->domain, sizeof u->domain, "%s", domain);
}

static int find_passwd(const char *name, const char *domain, struct user *ret)
{
    struct passwd pw, *found = NULL;
    char *buf = NULL;
    int r = ERANGE;

    for (size_t size = PASSWD_MIN; r == ERANGE && size <= PASSWD_MAX; size *= 4) {
        free(buf);
        buf = malloc(size);
        r = buf ? getpwnam_r(name, &pw, buf, size, &found) : ENOMEM;
    }
    if (!r && found) {
        take_name(ret, name, domain);
        ret->known = 1;
        ret->uid = pw.pw_uid;
        ret->gid = pw.pw_gid;
        snprintf(ret->home, sizeof ret->home, "%s", pw.pw_dir ? pw.pw_dir : "");
    } else if (!r || r == ENOENT || r == ESRCH) { /* what getpwnam(3) says of absence */
        r = ENOENT;
    }
    free(buf);
    return -r;
}

static int find_file(const struct settings *set, const char *name, const char *domain,
                     struct user *ret)
{
    struct stat st;
    int r;

    take_name(ret, name, domain);
    r = folder_path(set, ret, "", ret->root, sizeof ret->root);
    if (r < 0)
        return r;
    if (lstat(ret->root, &st) == 0)
        return 0;
    r = -errno;
    /* Nobody has a mailbox where no folder is: that says nothing about users. */
    return r == -ENOENT && !set->mailbox && stat(set->path, &st) < 0 ? -ENOTDIR : r;
}

static int find(const struct settings *set, const char *name, const char *domain, struct user *ret)
{
    return set->users == USERS_PASSWD ? find_passwd(name, domain, ret)
                                      : find_file(set, name, domain, ret);
}

int user_find(const struct settings *set, const char *name, const char *domain, struct user *ret)
{
    char folded[USER_MAX];
    int r = find(set, name, domain, ret);

    if (r != -ENOENT)
        return r;
    user_fold(name, folded);
    if (strcmp(folded, name) != 0)
        r = find(set, folded, domain, ret);
    if (r == -ENOENT && set->users == USERS_ANY) {
        take_name(ret, folded, domain);
        r = 0;
    }
    return r;
}
