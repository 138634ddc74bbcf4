/* names.c: see names.h. Two sorted arrays; reading makes new ones and puts them in place whole. */
#include "names.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRY_MIN      1024u
#define ENTRY_MAX      (1024u * 1024)
#define NAME_MAX_BYTES 512u /* of a full name as an address */

struct name {
    char *key;   /* what is looked for, lower case for full names */
    char *login; /* whose it is; NULL: several users', and so nobody's */
};
struct list {
    struct name *v;
    size_t n, cap;
};

struct names {
    const struct settings *set;
    pthread_mutex_t lock; /* guards the rest */
    struct list logins, fulls;
    int64_t read_at; /* 0: never */
    struct stat seen;
};

/* The system's list has one cursor in the whole process. */
static pthread_mutex_t cursor = PTHREAD_MUTEX_INITIALIZER;

struct names *names_new(const struct settings *set)
{
    struct names *n = calloc(1, sizeof *n);

    if (!n)
        return NULL;
    n->set = set;
    pthread_mutex_init(&n->lock, NULL);
    return n;
}

static void list_free(struct list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i].key);
        free(l->v[i].login);
    }
    free(l->v);
    *l = (struct list){ NULL, 0, 0 };
}

void names_free(struct names **n)
{
    if (!*n)
        return;
    list_free(&(*n)->logins);
    list_free(&(*n)->fulls);
    pthread_mutex_destroy(&(*n)->lock);
    free(*n);
    *n = NULL;
}

static int list_add(struct list *l, const char *key, const char *login)
{
    struct name *v = l->v;

    if (l->n == NAMES_USERS_MAX)
        return -E2BIG;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        v = realloc(v, l->cap * sizeof *v);
        if (!v)
            return -ENOMEM;
        l->v = v;
    }
    v[l->n] = (struct name){ strdup(key), strdup(login) };
    l->n++; /* counted first, so that half of one is freed too */
    return v[l->n - 1].key && v[l->n - 1].login ? 0 : -ENOMEM;
}

/* --- full names --- */

static void lower(char *s)
{
    for (; *s; s++) {
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s + ('a' - 'A'));
    }
}

/* Adds a character of a name; blanks become one dot between words. -EINVAL: no plain name. */
static int put(char *name, size_t *len, int *words, char c)
{
    unsigned char u = (unsigned char)c;

    if (*len + 1 >= NAME_MAX_BYTES)
        return -EINVAL;
    if (c == ' ' || c == '\t' || c == '.') {
        if (*len && name[*len - 1] != '.')
            name[(*len)++] = '.';
        return 0;
    }
    if (!isalnum(u) && u < 0x80 && !strchr("-_'", c))
        return -EINVAL;
    *words += !*len || name[*len - 1] == '.';
    name[(*len)++] = c;
    return 0;
}

/* "Beth M. Jones,Room 7" to "beth.m.jones"; "&" is the login. -EINVAL: one word, or none that
 * could be an address: most of the kind are no people. */
static int full_name(const struct passwd *pw, char name[NAME_MAX_BYTES])
{
    const char *gecos = pw->pw_gecos ? pw->pw_gecos : "";
    size_t len = 0;
    int words = 0, r = 0;

    for (const char *p = gecos; *p && *p != ',' && !r; p++) {
        if (*p != '&')
            r = put(name, &len, &words, *p);
        for (const char *q = pw->pw_name; *p == '&' && *q && !r; q++)
            r = put(name, &len, &words, *q);
    }
    while (len && name[len - 1] == '.')
        len--;
    name[len] = '\0';
    lower(name);
    return r < 0 || words < 2 ? -EINVAL : 0;
}

/* --- reading --- */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->key, ((const struct name *)b)->key);
}

/* Sorts; of names that come up twice one is left, and it is nobody's. */
static void finish(struct list *l, int unique)
{
    size_t kept = 0;

    if (!l->n)
        return;
    qsort(l->v, l->n, sizeof *l->v, by_key);
    for (size_t i = 1; i < l->n; i++) {
        if (strcmp(l->v[i].key, l->v[kept].key) != 0) {
            l->v[++kept] = l->v[i];
            continue;
        }
        if (unique && l->v[kept].login && strcmp(l->v[i].login, l->v[kept].login) != 0) {
            free(l->v[kept].login);
            l->v[kept].login = NULL;
        }
        free(l->v[i].key);
        free(l->v[i].login);
    }
    l->n = kept + 1;
}

static int add_user(const struct settings *set, const struct passwd *pw, struct list *logins,
                    struct list *fulls)
{
    char name[NAME_MAX_BYTES];
    int r;

    if (!passwd_counts(set, pw->pw_uid))
        return 0;
    r = list_add(logins, pw->pw_name, pw->pw_name);
    if (!r && set->full_names && full_name(pw, name) == 0)
        r = list_add(fulls, name, pw->pw_name);
    return r;
}

/* One entry of the file (NULL: of the system's list). 0, ENOENT at the end, or an errno. */
static int next_entry(FILE *in, struct passwd *pw, char *buf, size_t size)
{
    struct passwd *found = NULL;
    int r = in ? fgetpwent_r(in, pw, buf, size, &found) : getpwent_r(pw, buf, size, &found);

    return r ? r : found ? 0 : ENOENT;
}

static int read_entries(const struct settings *set, FILE *in, struct list *logins,
                        struct list *fulls)
{
    size_t size = ENTRY_MIN;
    char *buf = malloc(size), *more;
    struct passwd pw;
    int r = buf ? 0 : -ENOMEM;

    while (!r) {
        int e = next_entry(in, &pw, buf, size);

        if (e == ENOENT)
            break;
        if (e == ERANGE && size < ENTRY_MAX) { /* the same one comes again */
            size *= 4;
            more = realloc(buf, size);
            buf = more ? more : buf;
            r = more ? 0 : -ENOMEM;
            continue;
        }
        r = e ? -e : add_user(set, &pw, logins, fulls);
    }
    free(buf);
    return r;
}

static int read_all(const struct settings *set, struct list *logins, struct list *fulls,
                    struct stat *ret_seen)
{
    FILE *in;
    int r;

    if (!set->file) {
        pthread_mutex_lock(&cursor);
        setpwent();
        r = read_entries(set, NULL, logins, fulls);
        endpwent();
        pthread_mutex_unlock(&cursor);
        return r;
    }
    in = fopen(set->file, "re");
    if (!in)
        return -errno;
    r = fstat(fileno(in), ret_seen) < 0 ? -errno : read_entries(set, in, logins, fulls);
    fclose(in);
    return r;
}

/* --- freshness --- */

static int same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
        a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
        a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int is_fresh(const struct names *n, int64_t now)
{
    struct stat st;

    if (!n->read_at)
        return 0;
    if (n->set->file)
        return stat(n->set->file, &st) == 0 && same_file(&st, &n->seen);
    return now - n->read_at <= n->set->refresh;
}

/* With the lock. What could not be read is no list of nobody. */
static int refresh(struct names *n, int64_t now, char *why, size_t why_size)
{
    struct list logins = { NULL, 0, 0 }, fulls = { NULL, 0, 0 };
    struct stat seen = { 0 };
    int r;

    if (is_fresh(n, now))
        return 0;
    r = read_all(n->set, &logins, &fulls, &seen);
    if (r < 0) {
        list_free(&logins);
        list_free(&fulls);
        snprintf(why, why_size, "cannot read %s: %s",
                 n->set->file ? n->set->file : "the list of users",
                 r == -E2BIG ? "there are more than a million users" : strerror(-r));
        return -EAGAIN;
    }
    finish(&logins, 0);
    finish(&fulls, 1);
    list_free(&n->logins);
    list_free(&n->fulls);
    n->logins = logins;
    n->fulls = fulls;
    n->seen = seen;
    n->read_at = now;
    return 0;
}

/* --- asking --- */

static const struct name *find(const struct list *l, const char *key)
{
    struct name wanted = { (char *)key, NULL };

    return l->n ? bsearch(&wanted, l->v, l->n, sizeof *l->v, by_key) : NULL;
}

int names_user(struct names *n, const char *login, int64_t now, char *why, size_t why_size)
{
    int r;

    pthread_mutex_lock(&n->lock);
    r = refresh(n, now, why, why_size);
    if (!r && !find(&n->logins, login))
        r = -ENOENT;
    pthread_mutex_unlock(&n->lock);
    return r;
}

int names_full(struct names *n, const char *full, int64_t now, char *ret_login, size_t size,
               char *why, size_t why_size)
{
    const struct name *found;
    char key[NAME_MAX_BYTES];
    int r;

    if (strlen(full) >= sizeof key)
        return -ENOENT;
    snprintf(key, sizeof key, "%s", full);
    lower(key);
    pthread_mutex_lock(&n->lock);
    r = refresh(n, now, why, why_size);
    if (!r) {
        found = find(&n->fulls, key);
        if (!found || !found->login || strlen(found->login) >= size)
            r = -ENOENT;
        else
            memcpy(ret_login, found->login, strlen(found->login) + 1);
    }
    pthread_mutex_unlock(&n->lock);
    return r;
}
