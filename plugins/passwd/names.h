/* names.h: all users, as a list in memory: for a password file of the operator's own, and for
 * Firstname.Lastname, which no database can be asked for. */
#ifndef NAMES_H
#define NAMES_H

#include "passwd.h"

#define NAMES_USERS_MAX 1000000u /* users that are read; one more is an error      */
#define NAMES_WHY_MAX   512u     /* bytes of a sentence about what went wrong      */

struct names;
struct names *names_new(const struct settings *set); /* NULL: no memory */
void          names_free(struct names **n);

/* Any thread, and they block: the list is read again when it is older than `refresh`, or when the
 * file is another. now: microseconds. 0; -ENOENT; -EAGAIN with a sentence in why. */
int names_user(struct names *n, const char *login, int64_t now, char *why, size_t why_size);
/* The login of the one user of that full name, written as Firstname.Lastname in any case. */
int names_full(struct names *n, const char *full, int64_t now, char *ret_login, size_t size,
               char *why, size_t why_size);

#endif
