/* users.h: whose mailbox a recipient means. */
#ifndef LOCAL_MBOX_USERS_H
#define LOCAL_MBOX_USERS_H

#include <sys/types.h>

#include "local-mbox.h"

#define USER_MAX 128u /* bytes of a user's name, NUL included */

struct user {
    char  name[USER_MAX]; /* of his mailbox file */
    int   known;          /* uid and gid are his */
    uid_t uid;
    gid_t gid;
};

/* The name in a recipient's address: the local part without quotes and without "+folder". Pure. 0
 * or -EINVAL with a static sentence when that can't be the name of a mailbox. */
int user_name(const char *rcpt, char ret_name[USER_MAX], const char **reterr_why);

/* The name as all its spellings have it, for comparing. */
void user_fold(const char *name, char ret_key[USER_MAX]);

/* Finds the user, by the exact name first, then in lower case. May block. 0; -ENOENT: there is
 * none; other -errno: could not be found out. */
int user_find(const struct settings *set, const char *name, struct user *ret);

/* "folder/name" into buf. -ENAMETOOLONG. */
int user_path(const struct settings *set, const char *name, char *buf, size_t size);

#endif
