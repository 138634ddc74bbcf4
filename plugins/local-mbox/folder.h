/* folder.h: from a recipient's address to a mailbox's place: user+FOLDER@domain, and the patterns
 * that an operator has set up. */
#ifndef LOCAL_MBOX_FOLDER_H
#define LOCAL_MBOX_FOLDER_H

#include "users.h"

#define ADDRESSEE_KEY_MAX (USER_MAX + DOMAIN_MAX + 1)

struct addressee {           /* what an address says */
    char name[USER_MAX];     /* as it is spelt                       */
    char folder[FOLDER_MAX]; /* "" for the inbox                     */
    char domain[DOMAIN_MAX]; /* lower case; "" when there is none    */
};

/* Pure. 0; -EINVAL: it can't be a mailbox; -EBADMSG: its folder can't be one. Both with a static
 * sentence. */
int addressee_parse(const struct settings *set, const char *rcpt, struct addressee *ret,
                    const char **reterr_why);
/* What all addresses of a mailbox, and of the folders in it, have in common. */
void addressee_key(const struct settings *set, const struct addressee *a,
                   char ret[ADDRESSEE_KEY_MAX]);

/* Is the pattern of a mailbox sound? 0, or -EINVAL with words. */
int folder_check(const struct settings *set, char *why, size_t why_size);
/* Is the mailbox below the user's home? */
int folder_at_home(const struct settings *set);

/* The place of the user's inbox (folder "") or another folder of his. Uses his name, home and
 * domain. 0 or -ENAMETOOLONG. */
int folder_path(const struct settings *set, const struct user *user, const char *folder, char *buf,
                size_t size);
/* Finds user->root, and user->path by the folder that is asked for: a missing one may mean the
 * inbox. May block. 0 or -errno. */
int folder_place(const struct settings *set, const char *folder, struct user *user);
/* Makes what is missing of the folders above a place, as far as it was the pattern that named
 * them. 0 or -errno. */
int folder_parents(const struct settings *set, const struct user *user, const char *path);

#endif
