/* folder.c: see folder.h.
 *
 * Folders are named as TCPware's mail server does (T-84): letters, which are upper case, '#' and
 * '_'; a comma is an error. Anything else behind the '+' is a tag that its owner has made up, and
 * means the inbox. */
#include "folder.h"

#include <errno.h>
#include <postern/delivery.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "privilege.h"

#define INBOX       "INBOX"
#define AT_HOME     "~/"
#define PARENT_MODE 0755

/* --- addresses --- */

static void take_folder(const char *extension, char ret[FOLDER_MAX])
{
    size_t n = strlen(extension);

    if (!n || n >= FOLDER_MAX ||
        strspn(extension, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#_") != n)
        return;
    for (size_t i = 0; i <= n; i++)
        ret[i] = (char)(extension[i] >= 'a' && extension[i] <= 'z' ? extension[i] - ('a' - 'A')
                                                                   : extension[i]);
    if (!strcmp(ret, INBOX))
        *ret = '\0';
}

/* It may become the name of a folder in the file system. */
static int take_domain(const char *domain, char ret[DOMAIN_MAX])
{
    if (strlen(domain) >= DOMAIN_MAX || *domain == '.' || strchr(domain, '/'))
        return -EINVAL;
    user_fold_text(domain, ret, DOMAIN_MAX);
    return 0;
}

int addressee_parse(const struct settings *set, const char *rcpt, struct addressee *ret,
                    const char **reterr_why)
{
    struct postern_recipient r = { .size = sizeof r };
    struct addressee a = { .name = "" };
    int err = user_name(rcpt, a.name, reterr_why);

    if (err < 0)
        return err;
    if (set->lowercase_user) {
        char folded[USER_MAX];

        user_fold(a.name, folded);
        memcpy(a.name, folded, sizeof folded);
    }
    if (postern_recipient_parse(rcpt, "+", &r, reterr_why) < 0)
        return -EINVAL;
    if (take_domain(r.domain, a.domain) < 0) {
        *reterr_why = "the domain cannot be a folder";
        return -EINVAL;
    }
    if (set->folders != FOLDERS_NO) {
        if (strchr(r.extension, ',')) {
            *reterr_why = "a folder's name has no comma";
            return -EBADMSG;
        }
        take_folder(r.extension, a.folder);
    }
    *ret = a;
    return 0;
}

static int uses(const struct settings *set, const char *placeholder)
{
    return set->mailbox && strstr(set->mailbox, placeholder) != NULL;
}

void addressee_key(const struct settings *set, const struct addressee *a,
                   char ret[ADDRESSEE_KEY_MAX])
{
    char folded[USER_MAX];

    user_fold(a->name, folded);
    snprintf(ret, ADDRESSEE_KEY_MAX, "%s%s%s", folded, uses(set, "{domain}") ? "@" : "",
             uses(set, "{domain}") ? a->domain : "");
}

/* --- patterns --- */

struct values {
    const struct user *user;
    const char *folder;
};

static int value(void *ctx, const char *name, const char *argument, char *buf, size_t size)
{
    const struct values *v = ctx;
    const char *text = !strcmp(name, "user") ? v->user->name
        : !strcmp(name, "domain")            ? v->user->domain
        : !strcmp(name, "folder")            ? (*v->folder ? v->folder : INBOX)
                                             : NULL;
    size_t n;

    if (!text || argument)
        return -ENOENT;
    n = strlen(text);
    if (n > size)
        return -ENOBUFS;
    memcpy(buf, text, n);
    return (int)n;
}

int folder_at_home(const struct settings *set)
{
    return set->mailbox && !strncmp(set->mailbox, AT_HOME, strlen(AT_HOME));
}

/* The pattern, filled in. The inbox and the folders of a user must not be one mailbox. */
static int fill_in(const struct settings *set, const struct values *v, char *buf, size_t size)
{
    size_t len = 0;
    int n;

    if (folder_at_home(set)) {
        n = snprintf(buf, size, "%s", v->user->home);
        if (n < 0 || (size_t)n >= size)
            return -ENAMETOOLONG;
        len = (size_t)n;
    }
    n = postern_template_expand(set->mailbox + (len ? 1 : 0), value, (void *)(uintptr_t)v,
                                buf + len, size - len, NULL);
    return n < 0 ? -ENAMETOOLONG : 0;
}

int folder_path(const struct settings *set, const struct user *user, const char *folder, char *buf,
                size_t size)
{
    const struct values v = { user, folder };
    int r = set->mailbox ? fill_in(set, &v, buf, size) : user_path(set, user->name, buf, size);
    size_t len;
    int n;

    if (r < 0 || !*folder || uses(set, "{folder}"))
        return r;
    len = strlen(buf);
    n = snprintf(buf + len, size - len, "%s%s", set->format == FORMAT_MAILDIR ? "/." : "+", folder);
    return n < 0 || (size_t)n >= size - len ? -ENAMETOOLONG : 0;
}

int folder_check(const struct settings *set, char *why, size_t why_size)
{
    static const struct user nobody = { .name = "u", .domain = "d", .home = "/h" };
    const struct values v = { &nobody, "F" };
    char buf[POSTERN_TEMPLATE_NAME_MAX + 4096];

    if (!set->mailbox)
        return 0;
    if (*set->mailbox != '/' && !folder_at_home(set))
        snprintf(why, why_size,
                 "mailbox: found \"%s\", expected \"/...\", or \"~/...\" for the "
                 "user's home",
                 set->mailbox);
    else if (!uses(set, "{user}") && !folder_at_home(set))
        snprintf(why, why_size, "mailbox: \"%s\" is the same for all users; say {user} in it",
                 set->mailbox);
    else if (folder_at_home(set) && set->users != USERS_PASSWD)
        snprintf(why, why_size,
                 "mailbox: only users of the system have a home; \"~/\" wants "
                 "\"users\": \"passwd\"");
    else if (strstr(set->mailbox, "/../") || strstr(set->mailbox, "{{"))
        snprintf(why, why_size, "mailbox: no \"/../\" and no \"{{\" in \"%s\"", set->mailbox);
    else if (fill_in(set, &v, buf, sizeof buf) < 0)
        snprintf(why, why_size, "mailbox: \"%s\" may have {user}, {domain} and {folder} in it",
                 set->mailbox);
    else
        return 0;
    return -EINVAL;
}

/* --- places --- */

static int is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

int folder_place(const struct settings *set, const char *folder, struct user *user)
{
    struct privilege privilege = { 0 };
    int r = folder_path(set, user, "", user->root, sizeof user->root);

    memcpy(user->path, user->root, sizeof user->path);
    user->in_folder = 0;
    if (r < 0 || !*folder)
        return r;
    r = folder_path(set, user, folder, user->path, sizeof user->path);
    if (r < 0)
        return r;
    if (folder_at_home(set))
        r = privilege_take(&privilege, user);
    user->in_folder = r == 0 && (set->folders == FOLDERS_YES || is_there(user->path));
    privilege_return(&privilege);
    if (!user->in_folder)
        memcpy(user->path, user->root, sizeof user->path);
    return r;
}

/* What stands before the first placeholder is the operator's to make, and a home, too. */
int folder_parents(const struct settings *set, const struct user *user, const char *path)
{
    char copy[PATH_MAX];
    size_t fixed;

    if (!set->mailbox || strlen(path) >= sizeof copy)
        return 0;
    fixed = folder_at_home(set) ? strlen(user->home) : strcspn(set->mailbox, "{");
    memcpy(copy, path, strlen(path) + 1);
    for (char *p = copy + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        if ((size_t)(p - copy) > fixed && mkdir(copy, PARENT_MODE) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    return 0;
}
