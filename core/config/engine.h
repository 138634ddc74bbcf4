/* config/engine.h: what the pieces of the option engine share. Private to core/config/. */
#ifndef CONFIG_ENGINE_H
#define CONFIG_ENGINE_H

#include "config/read.h"
#include "config/table.h"

#define CONFIG_STRING_MAX 65536u  /* bytes of one text                  */
#define CONFIG_ITEMS_MAX  100000u /* items of one list                  */
#define CONFIG_SECRET_MAX 65536u  /* bytes of a secret kept in a file   */
#define CONFIG_FOUND_MAX  60u     /* bytes of a value shown in an error */
#define CONFIG_ERRORS_MAX 100u    /* lines; then one that says so       */
#define CONFIG_LINE_MAX   2000u   /* bytes of one of them               */

/* Where merged values came from: pointer in the merged tree -> file, and pointer in that file. */
struct config_origins;
struct config_origins *config_origins_new(struct arena *a);
void config_origins_free(struct config_origins **o);
void config_origins_set(struct config_origins *o, const char *pointer, const char *file,
                        const char *own_pointer);
const struct config_origin *config_origins_get(const struct config_origins *o,
                                               const char *pointer);
/* Also for what is inside a value that was set: the result's pointer is then completed. NULL when
 * nothing above is known either. */
const struct config_origin *config_origins_find(const struct config_origins *o,
                                                const char *pointer);

/* Adds "/key" with ~ and / escaped (RFC 6901). Returns the length before, for pointer_cut. */
size_t config_pointer_push(struct buf *pointer, const char *key);
size_t config_pointer_index(struct buf *pointer, size_t i);
void   config_pointer_cut(struct buf *pointer, size_t len);

/* One walk over one object. */
struct fill {
    struct arena                *arena;
    struct config_errors        *errors;
    const struct config_origin  *base;
    const struct config_origins *origins; /* NULL: base is the origin of everything              */
    const struct config_hint    *hints;   /* may be NULL                                         */
    struct buf                   pointer; /* below base                                          */
    int    loose; /* 1: keys that the table does not know are somebody else's                    */
    int    bad;   /* 1: something was said                                                       */
    char  *why;   /* not NULL: an empty text for the first complaint, without its place (vetting) */
    size_t why_size;
};

/* Says what is wrong at f->pointer. Returns -EINVAL. */
int config_fill_error(struct fill *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Fills settings from object; required: are REQUIRED rows asked for? 0, or -EINVAL: one of those
 * has no value that makes sense, and is as if it had not been written. */
int config_fill_object(struct fill *f, const struct postern_option *table, size_t step,
                       json_t *object, const char *const *skip, int required, unsigned depth,
                       void *settings);
/* One value into one member. 0 or -EINVAL (said). */
int config_fill_value(struct fill *f, const struct postern_option *row, size_t step, json_t *value,
                      unsigned depth, void *member);
int config_fill_secret(struct fill *f, json_t *value, const char **member);
/* The file that the value at f->pointer stands in. */
const char *config_fill_file(struct fill *f);
/* Complains of a key that is not in the table, with the best hint there is. */
void config_fill_unknown(struct fill *f, const struct postern_option *table, size_t step,
                         const char *key);

/* Table default to the JSON it stands for; NULL when there is none. New reference. */
json_t *config_default_json(const struct postern_option *row);

/* "70000", "\"abc\"", "an object": a value for an error line. size >= 128. Returns buf. */
char *config_found(const json_t *value, char *buf, size_t size);

/* Where does key belong? Writes the pointer of the place; 0 or -ENOENT. own: the table to leave
 * out. */
int config_belongs(const char *key, const struct postern_option *own,
                   const struct config_hint *hints, struct buf *ret_pointer);

/* "address:port", "[v6]:port", "unix:/path". 0, or -EINVAL with a static sentence. */
int config_listen_check(const char *text, const char **reterr_why);
/* "address", "address:port", "[v6]", "[v6]:port": where a name server is. */
int config_server_check(const char *text, const char **reterr_why);

static inline int config_is_comment(const char *key)
{
    return !__builtin_strncmp(key, "$comment", 8);
}

#endif
