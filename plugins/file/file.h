/* file.h: what the parts of the plugin share.
 *
 *   file.c     options, open, deliver, cancel, close
 *   name.c     from a recipient and the date to a file below a root; pure
 *   target.c   the file: opening it below its root; on a thread
 *   append.c   what of a message is written to it; on a thread
 *
 * The rest is what appending to any file takes, in ../common: tail, batch, queue. */
#ifndef FILE_H
#define FILE_H

#include <postern/postern.h>

#include "../common/problem.h"

#define FILE_PATH_MAX  1024u /* bytes of a file's path below its root, NUL included */
#define FILE_ROOTS_MAX 64u

enum file_format { FORMAT_MBOX, FORMAT_RAW };
enum file_ends { ENDS_LF, ENDS_CRLF };

struct settings {
    struct postern_strings roots;
    const char *path, *alias_type, *delimiters, *mode;
    int64_t     allow_alias_files;
    int64_t     format;    /* enum file_format */
    int64_t     line_ends; /* enum file_ends   */
    int64_t     dot_lock;  /* enum tail_dot    */
    int64_t     return_path, delivered_to, create, make_folders;
    int64_t     lock_timeout, lock_stale, max_size;
};

/* A file: a root, and the path below it, in which no component is empty, "." or "..". */
struct file_name {
    const char *root; /* of the settings */
    char        path[FILE_PATH_MAX];
};

/* name.c. alias: the name that the route gives, NULL: the option's. now: seconds since 1970. 0, or
 * -errno with *reterr. */
int name_make(const struct settings *set, const char *rcpt, const char *alias, int64_t now,
              struct file_name *ret, struct problem *reterr);
/* Is it a good template for an option? 0 or -EINVAL, with why in words. */
int name_check(const char *key, const char *text, char *why, size_t why_size);

/* "600" or "0600" as a number; -EINVAL. */
int file_mode(const char *text);

#endif
