/* passwd.h: what the files of this plugin share. */
#ifndef PASSWD_H
#define PASSWD_H

#include <postern/postern.h>

struct settings {
    const char *file; /* NULL: the system's database */
    int64_t     full_names;
    int64_t     uid_min, uid_max;
    int64_t     refresh;
    int64_t     concurrency;
};

/* 1: this user counts for mail. */
static inline int passwd_counts(const struct settings *set, uint32_t uid)
{
    return (int64_t)uid >= set->uid_min && (int64_t)uid <= set->uid_max;
}

#endif
