/* postern/option.h: what an operator may say to a plugin, as a table.
 *
 * A plugin never sees JSON. It declares a settings struct and a table with one row a member; the
 * host fills the struct from conf.d, validates it, and keeps it constant and alive from open() to
 * close(). The same table gives `postern plugin info`, the reference pages and the JSON Schema.
 *
 * The C type of a member follows from the row's type:
 *
 *   POSTERN_OPT_STRING, _PATH, _SECRET            const char *   NULL when absent without default
 *   POSTERN_OPT_INT, _BOOL, _CHOICE,
 *   _DURATION (microseconds), _SIZE (bytes)       int64_t        a choice is its index, from 0
 *   POSTERN_OPT_STRINGS, _LISTEN                  struct postern_strings
 *   POSTERN_OPT_OBJECT                            a struct of its own, described by `sub`
 *   POSTERN_OPT_OBJECTS                           struct postern_objects, items described by `sub`
 */
#ifndef POSTERN_OPTION_H
#define POSTERN_OPTION_H

#include <postern/abi.h>

enum postern_option_type {
    POSTERN_OPT_STRING = 1,
    POSTERN_OPT_INT = 2,
    POSTERN_OPT_BOOL = 3,
    POSTERN_OPT_DURATION = 4, /* "30s", "5m", "1h30m", "3d"; a bare number is refused          */
    POSTERN_OPT_SIZE = 5,     /* "64K", "25M", "2G" (powers of 1024), or a number of bytes      */
    POSTERN_OPT_CHOICE = 6,   /* one of `choices`, separated by |                               */
    POSTERN_OPT_STRINGS = 7,  /* an array of strings; a single string counts as an array of one */
    POSTERN_OPT_LISTEN = 8,   /* an array of "address:port", "[v6]:port"; the host binds them
                                 before any plugin is opened, see postern_services.listen       */
    POSTERN_OPT_PATH = 9,     /* a string; relative to the folder of the file that says it      */
    POSTERN_OPT_SECRET = 10,  /* a string, {"file": path} or {"env": name}; never printed       */
    POSTERN_OPT_OBJECT = 11,
    POSTERN_OPT_OBJECTS = 12
};

/* Flags. */
#define POSTERN_OPT_REQUIRED 1u /* absence is an error                                          */
/* Of a PATH, STRING or STRINGS, since ABI 1.1: the plugin writes or reads there. Workers are locked
 * in (server.sandbox): they can write to what is said by these and to nothing else, and read that,
 * PATHs with the folders they stand in, and what belongs to the system (/etc, /usr, /run). The
 * value is an absolute path, or begins with ~ (below the homes of all users); from the first part
 * that has one of %, {, $, * in it, the plugin puts in what it likes ("/srv/mail/%d/%u"). A PATH is
 * always absolute; take STRING for one that begins with ~. */
#define POSTERN_OPT_WRITES      2u /* a folder, and all that is below it; the host makes the folder
                                      when only that one is missing                             */
#define POSTERN_OPT_WRITES_FILE 4u /* a file: also to its neighbours (a lock, a new version)    */
#define POSTERN_OPT_READS       8u /* of a STRING or STRINGS: read only; a PATH always is. Of
                                      "NAME=/place", what follows counts                        */

/* The highest four bits are the host's own, for its own tables. */

struct postern_strings {
    size_t             n;
    const char *const *v;
};

struct postern_objects { /* n structs of the row's sub_size bytes, one after the other */
    size_t      n;
    const void *v;
};

/* A row. A NULL key ends the table. `dflt` is written as in JSON but without quotes for strings;
 * for lists it is a comma list; NULL: zero, NULL or empty. min and max bound numbers (INT, DURATION
 * in microseconds, SIZE in bytes) when they differ; for lists they bound the number of items. */
struct postern_option {
    const char                  *key;
    const char                  *dflt;
    const char                  *doc; /* a sentence for operators                               */
    const char                  *choices;
    const struct postern_option *sub;
    size_t                       sub_size;
    size_t                       offset;
    int64_t                      min, max;
    uint32_t                     type;
    uint32_t                     flags;
};

#define POSTERN_SECONDS(n) ((int64_t)(n)*1000000)
#define POSTERN_MINUTES(n) POSTERN_SECONDS((n)*60)
#define POSTERN_HOURS(n)   POSTERN_MINUTES((n)*60)
#define POSTERN_DAYS(n)    POSTERN_HOURS((n)*24)

/* A row whose key is the member's name:  POSTERN_OPT(struct settings, port, POSTERN_OPT_INT,
 *     .dflt = "25", .min = 1, .max = 65535, .doc = "Port of the next hop.")                     */
#define POSTERN_OPT(st, member, t, ...)                                                            \
    {                                                                                              \
        .key = #member, .offset = offsetof(st, member), .type = (t), __VA_ARGS__                   \
    }

#endif
