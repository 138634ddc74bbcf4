/* route/alias.h: names that stand for other names: alias files, mailing lists, personal aliases.
 *
 * A set is everything that the section "aliases" names, read and made ready: constant, counted,
 * one snapshot. It is loaded by a thread (alias_set_load blocks), and put in place on the loop
 * (alias_set_swap); who still walks the old one keeps it. A file that does not parse is refused as
 * a whole: the version read before stays, and the report says where and why, once for each change.
 *
 * alias_lookup is one step: the targets of one address. alias_expand is the closure: all the places
 * where mail for an address ends up. Both read memory only, except for what alias_users keeps. */
#ifndef ROUTE_ALIAS_H
#define ROUTE_ALIAS_H

#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "route/pattern.h"

#define ALIAS_FILE_MAX     (256u << 20) /* bytes of an alias file                               */
#define ALIAS_LIST_MAX     (16u << 20)  /* bytes of a file with members of a list, or domains   */
#define ALIAS_PERSONAL_MAX (64u << 10)  /* bytes of a personal alias file                       */
#define ALIAS_TEXT_MAX     8192u        /* bytes of one name, target or line                    */
#define ALIAS_TARGETS_MAX  10000u       /* of one alias; a list file may hold more              */
#define ALIAS_INCLUDES_MAX 1000u        /* files that alias files name                          */
#define ALIAS_LISTS_MAX    10000u       /* .DIS files                                           */
#define ALIAS_USERS_MAX    200000u      /* personal files that are remembered: of a whole list  */

/* --- what was found wrong: "file:line:column: found X, expected Y" --- */

struct alias_report {
    struct config_errors errors;   /* something was refused */
    struct config_errors warnings; /* something was taken, but look at it */
};
void alias_report_done(struct alias_report *r);

/* --- targets --- */

enum alias_kind {
    ALIAS_ADDRESS = 1, /* text is an address; one without a domain is local                      */
    ALIAS_LOCAL = 2,   /* deliver to this user here, without looking for aliases again           */
    ALIAS_PIPE = 3,    /* text is a command; with ALIAS_ARGV its words, each followed by a NUL   */
    ALIAS_FILE = 4,    /* append to the file                                                     */
    ALIAS_INCLUDE = 5, /* the members are in the file                                            */
    ALIAS_LIST = 6     /* only as a leaf: a list that was not expanded                           */
};
#define ALIAS_OWN         1u /* LOCAL by "*": the alias's own name, kept from the mail hub (T-87) */
#define ALIAS_ARGV        2u /* PIPE: a list of words, not a line                                */
#define ALIAS_DATED       4u /* FILE: without a type, the month is the type: alias_file_name     */
#define ALIAS_UNQUALIFIED 8u /* ADDRESS: was said without a domain, and so is local              */

struct alias_target {
    enum alias_kind kind;
    unsigned        flags;
    const char     *text; /* NUL-terminated; LOCAL with OWN: "" */
    size_t          len;
    const char     *file; /* where it was said */
    uint32_t        line;
};

/* As a FILE it is no file: what goes there is discarded. */
#define ALIAS_DEV_NULL "/dev/null"

/* The file that an append goes to: with ALIAS_DATED and no type in the name, ".yyyy-mm" of that
 * moment, local time, is added (T-90). Returns buf, or NULL when it does not fit. */
char *alias_file_name(const char *path, unsigned flags, int64_t unix_seconds, char *buf,
                      size_t size);

/* --- the set --- */

struct alias_set;

/* Reads everything that cfg (borrowed as long as the set lives) names. old (may be NULL) lends what
 * has not changed. Blocks: for a thread, or before there is a loop. 1: *ret is a new set, also when
 * something was refused (alias_set_whole tells); 0: nothing differs from old, *ret is untouched. */
int               alias_set_load(const struct config_aliases *cfg, const struct alias_set *old,
                                 struct alias_set **ret, struct alias_report *report);
struct alias_set *alias_set_ref(struct alias_set *s); /* any thread */
void              alias_set_unref(struct alias_set **s);
/* On the loop: takes the new one, lets go of the one before. */
void alias_set_swap(struct alias_set **current, struct alias_set **fresh);

/* 0: some file or folder that was asked for could not be read and there is no version from before:
 * alias_lookup may say so. */
int    alias_set_whole(const struct alias_set *s);
size_t alias_set_count(const struct alias_set *s); /* aliases and lists, without members */
size_t alias_set_bytes(const struct alias_set *s); /* of memory, about */
/* --- one step --- */

struct alias_query {
    const char *local;         /* without quotes, lower case: route_address.local                */
    size_t      local_len;
    const char *domain;        /* normalized: route_address.domain                               */
    int         local_domain;  /* the router's judgement: names count                            */
    int         virtual_domain; /* its aliases are full addresses, whatever aliases.virtual says */
    int         keep_lists; /* lists whose members are in a file get mail for their owners, too   */
};

enum alias_how {
    ALIAS_BY_ADDRESS = 1, /* the full address                                              */
    ALIAS_BY_NAME = 2,    /* the local part                                                */
    ALIAS_BY_LIST = 3,    /* a .DIS file of that name                                      */
    ALIAS_BY_OWNER = 4,   /* owner-LIST, LIST-owner, LIST-request; list: the list keeps it  */
    ALIAS_BY_USER = 5     /* the user's own file                                           */
};

struct alias_source;
struct alias_answer { /* borrows from the set, and from itself: not to be copied */
    enum alias_how how;
    int            list;       /* it is a mailing list                                     */
    const char    *file;       /* where the alias stands                                   */
    uint32_t       line;
    size_t         folder_at;  /* of query.local: "user+folder" was answered as "user"; 0: no */
    size_t         name_at, name_len; /* likewise, BY_OWNER with list: the list's name         */
    struct alias_target owner; /* envelope sender of a list; kind 0: none                  */
    /* what is left of the targets; private to alias_answer_next */
    struct alias_target        one;
    const char                *at;
    size_t                     left;
    const struct alias_source *members;
    size_t                     next;
    const char                *why; /* with -EIO: in words, the set's */
    char                       owner_text[POSTERN_ADDRESS_MAX + 1];
};

/* 1 with the answer; 0: no alias; -EIO: nobody knows as long as a file can't be read: ret->why.
 * Whether a user of that name exists is for others to say. */
int alias_lookup(const struct alias_set *s, const struct alias_query *q, struct alias_answer *ret);
/* 1 with the next target, or 0: there are no more. */
int alias_answer_next(struct alias_answer *a, struct alias_target *ret);
/* Of a list: the path of the one file that its members are in, malloc'ed; NULL: there is none, or
 * more than that. */
char *alias_answer_file(const struct alias_set *s, const struct alias_answer *a);
/* The members that an INCLUDE target names, as an answer; or -ENOENT with a sentence. */
int alias_members(const struct alias_set *s, const struct alias_target *t, struct alias_answer *ret,
                  const char **reterr_why);

/* --- personal aliases: ~/NAME, when aliases.user_file allows them --- */

/* Whose is a name? 0, or -ENOENT. size bytes for the home folder. NULL in alias_users_new: the
 * password database. */
typedef int alias_home_fn(void *ctx, const char *user, char *ret_home, size_t size, uid_t *ret_uid);

/* Any thread may use it; nothing but alias_users_load blocks. */
struct alias_users;
struct alias_users *alias_users_new(const struct config_aliases *cfg, alias_home_fn *home,
                                    void *ctx);
void                alias_users_free(struct alias_users **u);
/* Reads the user's file, if it changed. What is wrong is reported once for each change, and leaves
 * the version read before. 0 also when there is no such file or user. */
int alias_users_load(struct alias_users *u, const char *user, struct alias_report *report);
/* The step for user files. 1, 0, or -EAGAIN: alias_users_load was not called for that user for
 * max_age microseconds. *ret_source keeps the answer alive: alias_source_unref. */
int  alias_users_lookup(struct alias_users *u, const char *user, const struct alias_query *q,
                        int64_t max_age, struct alias_answer *ret,
                        struct alias_source **ret_source);
void alias_source_unref(struct alias_source **s);

/* --- directories (alias-directory.c) --- */

struct route_answers;
struct route_answer;
struct route_need { /* a question that has no answer yet; see route/answers.h */
    uint32_t    kind;   /* enum postern_lookup_kind, for a directory; or ROUTE_NEED_ADDRESSES */
    const char *source; /* the directory, by its instance's name */
    const char *key;    /* as lookup_key: postern/services.h; of ADDRESSES: the domain */
    const char *local, *domain;
};

/* For the resolver: what addresses a domain has. */
#define ROUTE_NEED_ADDRESSES 0x80000000u
#define ROUTE_NEEDS_MAX      64u /* questions of one go; then it is seen what they have brought */

struct alias_expand;
struct alias_directory { /* what came of asking them; texts are the caller's arena's */
    struct arena        *arena;
    struct alias_source *source; /* keeps the answer alive: alias_source_unref */
    struct route_need    need;
    const char          *why;
    unsigned             known; /* how many questions, in their order, have "no" for an answer; who
                                 * asks again with it needs no answer to those */
};
/* The step for directories: 1 with the answer; 0; -EAGAIN: see need; -EIO: one can't say now, and
 * why. */
int alias_directory_lookup(const struct alias_expand *how, const struct alias_query *q,
                           struct alias_answer *answer, struct alias_directory *ret);

/* --- the closure --- */

#define ALIAS_DOMAIN_LOCAL   1
#define ALIAS_DOMAIN_VIRTUAL 2

struct alias_expand {
    const struct alias_set *set;
    struct alias_users     *users;    /* NULL: personal files are not asked                      */
    int64_t                 max_age;  /* of what users remembers, microseconds                   */
    const char             *hostname; /* normalized: completes addresses without a domain        */
    int (*domain)(void *ctx, const char *domain); /* ALIAS_DOMAIN_* of a normalized domain       */
    void *ctx;
    struct route_answers         *answers;     /* of directories; NULL: they are not asked        */
    const struct postern_strings *directories; /* who is asked, by name                           */
    /* Told of each answer that was used; NULL: nobody. */
    void (*told)(void *told_ctx, const struct route_need *n, const struct route_answer *answer);
    void *told_ctx;
    int   keep_lists; /* 1: lists whose members are in a file are leaves, for a transport        */
};

struct alias_leaf { /* texts are the expansion's, names of files the set's */
    enum alias_kind kind;
    unsigned        flags;
    /* ADDRESS, LOCAL: an address with its domain; PIPE: see alias_target; FILE, INCLUDE: a path;
     * LIST: the address of the list */
    const char *text;
    size_t      len;
    const char *folder; /* LOCAL: what stood behind the '+', or NULL                             */
    const char *owner;  /* the address that bounces go to: of the nearest list above; or NULL    */
    const char *members; /* LIST: the file                                                       */
    const char *rcpt;    /* LIST: the address that led there: its own, or its owner's            */
    const char *chain;  /* "sales@example.com -> ann@example.com"                                */
    const char *file;   /* the alias file that named it; NULL: the address asked for itself      */
    uint32_t    line;
    /* Not NULL: nothing can be delivered here, and why. status 5.4.6 for a loop or nesting too
     * deep; 4.3.5 for what mending a file will mend. */
    const char *error;
    uint16_t    status[3];
};

struct alias_expansion {
    struct arena      *arena, *need_arena;
    size_t             n;
    struct alias_leaf *leaves;
    size_t             duplicates; /* targets that had come up before                            */
    int                found; /* the address is an alias, whatever is still to be known of it     */
    const char        *file;  /* then: where that stands                                          */
    uint32_t           line;
    /* With -EAGAIN: users for alias_users_load, each with a NUL; and what to ask directories. */
    const char        *wanted; /* NULL: none */
    size_t             wanted_len;
    size_t             need_n; /* as much as is known to be asked */
    struct route_need *needs;  /* texts live until the next step */
};

/* Breadth first, each address once. Self: an alias that names itself is a delivery to itself. 0:
 * *ret is filled, and has a leaf at least; -EAGAIN: see wanted, then ask again; -E2BIG: more than
 * aliases.expansion_max targets; -EINVAL: the address is none. alias_expansion_done in any case.
 * */
int  alias_expand(const struct alias_expand *how, const char *address,
                  struct alias_expansion *ret);
void alias_expansion_done(struct alias_expansion *e);

/* The same in steps, for aliases that stand for a great many: what is known stays known, so that an
 * answer is needed once, when it has come, and not as long as others are asked for. */
struct alias_walk;
struct alias_walk *alias_walk_new(const struct alias_expand *how, const char *address);
/* Looks at *budget things at most (targets, addresses), and takes off how many it was. As
 * alias_expand; or -EINPROGRESS: there is more to look at. After -EAGAIN it goes on with the next
 * step. *ret is the walk's. */
int  alias_walk_step(struct alias_walk *w, size_t *budget, const struct alias_expansion **ret);
void alias_walk_free(struct alias_walk **w);

#endif
