/* route/alias-lmdb.h: alias files compiled into one LMDB file, which plugins/lmdb looks things up
 * in.
 *
 * The file: one database, no lock file. A key is the name of an alias in lower case, as an address
 * is written (quotes where they are needed, the domain in A-labels); its value the targets as
 * postern/directory.h has them, a NUL behind each. The key "\0postern" holds "1", the version, and
 * the number of aliases in decimal, a NUL behind each. */
#ifndef ROUTE_ALIAS_LMDB_H
#define ROUTE_ALIAS_LMDB_H

#include "route/alias.h"

#define ALIAS_LMDB_META     "\0postern"
#define ALIAS_LMDB_META_LEN (sizeof ALIAS_LMDB_META - 1)
#define ALIAS_LMDB_VERSION  "1"
#define ALIAS_LMDB_KEY_MAX  511u /* what LMDB is built for */

/* Reads the n files (as with aliases.files, the first that has a name counts), and the members that
 * they name, and replaces what is at path by one rename. 0 or -errno, with what was wrong in the
 * report; path is then as it was. */
int alias_lmdb_build(const struct config_aliases *cfg, const struct config_alias_file *files,
                     size_t n, const char *path, size_t *ret_count, struct alias_report *report);

/* What name, an address or a local part, stands for: adds a target a line. 0; -ENOENT; or another
 * -errno with a sentence. */
int alias_lmdb_get(const char *path, const char *name, struct buf *out, const char **reterr_why);

#endif
