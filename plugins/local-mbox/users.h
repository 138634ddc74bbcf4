/* users.h: whose mailbox a recipient means. */
#ifndef LOCAL_MBOX_USERS_H
#define LOCAL_MBOX_USERS_H

#include <limits.h>
#include <sys/types.h>

#include "local-mbox.h"

#define USER_MAX   128u  /* bytes of a user's name, NUL included */
#define FOLDER_MAX 64u   /* likewise of a folder's               */
#define DOMAIN_MAX 256u  /* likewise of a domain's               */
#define HOME_MAX   1024u /* likewise of a home                   */

struct user {
    char  name[USER_MAX]; /* of his mailbox */
    char  domain[DOMAIN_MAX];
    int   known; /* uid, gid and home are his */
    uid_t uid;
    gid_t gid;
    char  home[HOME_MAX];
    int   in_folder;      /* path is another folder than the inbox */
    char  root[PATH_MAX]; /* of the inbox; these are folder_place's */
    char  path[PATH_MAX]; /* of what is delivered to               */
};

/* The name in a recipient's address: the local part without quotes and without "+folder". Pure. 0
 * or -EINVAL with a static sentence when that can't be the name of a mailbox. */
int user_name(const char *rcpt, char ret_name[USER_MAX], const char **reterr_why);

/* The name as all its spellings have it, for comparing. */
void user_fold(const char *name, char ret_key[USER_MAX]);

/* The same of any text; it is cut to size. */
void user_fold_text(const char *text, char *buf, size_t size);

/* Finds the user, by the exact name first, then in lower case. domain: of the address, for
 * patterns that have it. May block. 0; -ENOENT: there is none; other -errno: could not be found
 * out. */
int user_find(const struct settings *set, const char *name, const char *domain, struct user *ret);

/* "folder/name" into buf. -ENAMETOOLONG. */
int user_path(const struct settings *set, const char *name, char *buf, size_t size);

#endif
