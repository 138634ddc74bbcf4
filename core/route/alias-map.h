/* route/alias-map.h: records of one file, packed, with an index by name. Private to
 * core/route/alias.
 *
 * A record is a name (which may be empty) and its targets, in one run of bytes; the index holds
 * half a hash and an offset for each name. So a million aliases take a few tens of megabytes, and
 * a look-up touches two places. Written once, by one reader; constant afterwards. */
#ifndef ROUTE_ALIAS_MAP_H
#define ROUTE_ALIAS_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "address/address.h"
#include "route/alias.h"

#define ALIAS_MAP_BYTES_MAX (1u << 30) /* of the records of one file */

struct alias_slot {
    uint32_t hash;
    uint32_t at; /* 1 + offset of the record; 0: free */
};
struct alias_map {
    char              *data;
    uint32_t           len, cap;
    uint32_t           record_n;
    uint32_t           target_n;
    struct alias_slot *slots;
    uint32_t           slot_n; /* a power of two, or 0 */
    uint64_t           key[2];
    uint32_t           open;     /* 1 + offset of the record being written; 0: none */
    int                addresses; /* some name is a full address                     */
    int                owners;    /* some name begins with "owner-"                  */
    int                files;     /* some target is an INCLUDE or a FILE */
};

#define ALIAS_RECORD_LIST 1u /* the first target is the owner, the second the members' file */

struct alias_record { /* a view */
    uint32_t    line;
    unsigned    flags;
    const char *name; /* an alias_key */
    size_t      name_len;
    size_t      target_n;
    const char *targets; /* for alias_map_target */
};

void alias_map_init(struct alias_map *m);
void alias_map_done(struct alias_map *m);
/* Begins a record. -EEXIST: there is one of that name, and *ret_line its line; -E2BIG. */
int alias_map_begin(struct alias_map *m, const char *name, size_t len, uint32_t line,
                    unsigned flags, uint32_t *ret_line);
/* Adds a target to it. -E2BIG: the text, the record or the map is too large. */
int alias_map_add(struct alias_map *m, enum alias_kind kind, unsigned flags, const char *text,
                  size_t len);
/* Gives back what was reserved but not needed. */
void alias_map_seal(struct alias_map *m);

int alias_map_find(const struct alias_map *m, const char *name, size_t len,
                   struct alias_record *ret); /* 1 or 0 */
/* All records in the order of the file: *at begins as 0. 1 or 0. */
int alias_map_next(const struct alias_map *m, size_t *at, struct alias_record *ret);
/* Reads the target at p into ret (without file and line) and returns where the next one is. */
const char *alias_map_target(const char *p, struct alias_target *ret);

/* --- names as keys: the local part without quotes in lower case, and for a full address a NUL and
 * the domain --- */

#define ALIAS_KEY_MAX (POSTERN_LOCAL_MAX + 1 + ADDRESS_DOMAIN_MAX)
struct alias_key {
    size_t len, local_len;
    char   v[ALIAS_KEY_MAX + 1];
};
int  alias_key_parse(struct alias_key *k, const char *text, size_t len,
                     struct address_fault *reterr); /* 0 or -EINVAL */
/* domain NULL: a name alone. -ENAMETOOLONG. */
int  alias_key_make(struct alias_key *k, const char *local, size_t len, const char *domain);
/* route_domain_normalize, with a fault, and looking at what came of it: IDNA makes blanks of some
 * characters. */
int  alias_domain(const char *domain, size_t len, char *ret_domain, struct address_fault *reterr);
struct buf;
void alias_key_print(const char *key, size_t len, struct buf *out); /* as an address */

#endif
