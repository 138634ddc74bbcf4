/* route/alias-set.h: files that were read, and the set of them, from inside. Private to
 * core/route/alias. */
#ifndef ROUTE_ALIAS_SET_H
#define ROUTE_ALIAS_SET_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "route/alias-read.h"
#include "util/map.h"

struct alias_stamp { /* tells one version of a file from another */
    dev_t           dev;
    ino_t           ino;
    off_t           size;
    struct timespec mtime, ctime;
};

/* One file, read and constant. */
struct alias_source {
    atomic_int       refs;
    char            *file;
    struct alias_map map;
};
struct alias_source *alias_source_ref(struct alias_source *s);

/* A file that is asked for: the newest version that could be read, and the newest that was seen. */
struct alias_file {
    char                *path;
    struct alias_source *source; /* NULL: none was ever good */
    struct alias_stamp   seen;
    int                  seen_errno; /* it could not be opened */
    int                  broken;     /* the version seen is not the one in source */
    int                  fresh;      /* looked at anew, not lent by the set before */
    char                *why;    /* without a source: what is wrong with it, and its name */
    int                  behind; /* a list: one of its name may be in a folder never read */
};

enum alias_folder { /* what is known of a folder of lists */
    ALIAS_FOLDER_READ,
    ALIAS_FOLDER_KEPT, /* it can't be read any more: it has the lists that it had */
    ALIAS_FOLDER_NEVER /* it could not be read so far: nobody knows what is in it */
};

struct alias_set {
    atomic_int                   refs;
    const struct config_aliases *cfg;
    size_t                       file_n;
    struct alias_file          **files;   /* in the order of precedence; full names at the end */
    struct map                  *lists;    /* name to alias_file */
    struct map                  *includes; /* path to alias_file */
    unsigned char               *folders;  /* enum alias_folder, for each of cfg->lists */
    char                        *unseen; /* the first NEVER of them, and why; NULL: there is none */
    int                          whole;
};

struct alias_limits { /* how one file is read */
    enum alias_syntax syntax;
    size_t            max;
    int               personal;
    uid_t             owner;  /* personal: must be his */
    int               gentle; /* what is wrong is a warning: one list must not hold up the rest */
};
/* Opens, compares with old (may be NULL), reads. Never NULL. */
struct alias_file *alias_file_load(const char *path, const struct alias_limits *how,
                                   const struct alias_file *old, struct alias_report *report);
void               alias_file_free(struct alias_file **f);

/* A path as an alias file says it: absolute, relative to that file's folder, or a VMS file
 * specification, whose logical name aliases.logicals turns into a folder. malloc'ed; NULL with
 * *reterr_why. Lexical only: below one of aliases.roots, no "..". */
char *alias_path(const struct config_aliases *cfg, const char *said_in, const char *text,
                 const char **reterr_why);
/* The same on the disk, links followed. */
int alias_path_allowed(const struct config_aliases *cfg, const char *path);

/* Warns of lists in a file that was just read whose owners are the lists themselves. */
void alias_check_owners(const struct config_aliases *cfg, const struct alias_file *f,
                        struct alias_report *report);

/* How a file of aliases is written: as the configuration says, or by its name. */
enum alias_syntax alias_syntax_of(const struct config_alias_file *file);

/* Fills an answer from a record; from all records of a file of members. */
void alias_answer_record(struct alias_answer *a, const struct alias_source *s,
                         const struct alias_record *rec);
void alias_answer_members(struct alias_answer *a, const struct alias_source *s);
/* How the user's own file answers: "user+folder", then "user". */
int alias_lookup_personal(const struct alias_source *s, const struct alias_query *q,
                          char subaddress, struct alias_answer *ret);
char alias_subaddress(const struct config_aliases *cfg); /* the delimiter, or 0 */

#endif
