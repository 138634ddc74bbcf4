/* route/alias-read.h: what the readers of the several syntaxes share. Private to core/route/alias.
 *
 * Every reader takes a text that alias_text_decode has made plain, and fills a map; at the first
 * thing that it can't make sense of it says so and returns -EINVAL. */
#ifndef ROUTE_ALIAS_READ_H
#define ROUTE_ALIAS_READ_H

#include "route/alias-map.h"

/* --- the text of a file --- */

struct alias_text {
    char  *data; /* malloc'ed, a NUL follows */
    size_t len;
};
/* UTF-8, or else DEC MCS (which is Latin-1 but for a few places), to UTF-8; CRLF and CR to LF; a
 * byte order mark and NULs at the end taken off. Control characters are refused. */
int alias_text_decode(struct alias_text *t, const char *file, struct alias_report *report);

/* --- where a reader is --- */

struct alias_reader {
    const char          *file;
    const char          *start, *p, *end;
    uint32_t             line; /* of p */
    struct alias_report *report;
    int                  personal; /* 1: a user's own file: addresses only */
    struct alias_map    *map;
    uint32_t             entry_line; /* of the alias being read */
    const char          *inside;     /* for JSON: a pointer into the value; or NULL */
};
void alias_reader_init(struct alias_reader *r, const char *file, const struct alias_text *t,
                       struct alias_map *m, struct alias_report *report);

/* Steps over what may be a line end. */
static inline void alias_step(struct alias_reader *r)
{
    r->line += *r->p++ == '\n';
}
static inline int alias_column_one(const struct alias_reader *r)
{
    return r->p == r->start || r->p[-1] == '\n';
}
void alias_skip_line(struct alias_reader *r); /* to the next one */

/* Says what is wrong at a place in the text, which has been read already. alias_error returns
 * -EINVAL. */
int  alias_error(const struct alias_reader *r, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void alias_warn(const struct alias_reader *r, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "found 'x'" or "found the end of the file": what stands at r->p. size >= 32. Returns buf. */
char *alias_found(const struct alias_reader *r, char *buf, size_t size);

/* --- what the syntaxes have in common --- */

/* Begins the alias called text (an address, or a local part). A second one of the name is said to
 * be dropped, and what is added to it is. */
int alias_begin(struct alias_reader *r, const char *at, const char *text, size_t len,
                unsigned flags);
int alias_add_address(struct alias_reader *r, const char *at, const char *text, size_t len);
/* Of a list: what comes back to it has to have somewhere to go. */
int alias_add_owner(struct alias_reader *r, const char *at, const char *text, size_t len);
int alias_add_local(struct alias_reader *r, const char *at, const char *text, size_t len);
/* PIPE, FILE or INCLUDE; "<", "|" and the like taken off. */
int alias_add_special(struct alias_reader *r, const char *at, enum alias_kind kind, unsigned flags,
                      const char *text, size_t len);
/* A target as TCPware writes it: "*", "_user", "<file", "|command", ">file", or an address; and
 * ">>file", which is never dated, for what the other syntaxes can say. */
#define ALIAS_MARKS "*_<|>" /* what begins with one of them is no address */
int alias_add_text(struct alias_reader *r, const char *at, const char *text, size_t len);

/* A path without the ";version" that VMS puts behind it. */
size_t alias_strip_version(struct alias_reader *r, const char *at, const char *text, size_t len);

/* --- the syntaxes --- */

enum alias_syntax { /* the first ones as in config_alias_file.syntax */
    ALIAS_SYNTAX_AUTO,
    ALIAS_SYNTAX_TCPWARE,
    ALIAS_SYNTAX_SENDMAIL,
    ALIAS_SYNTAX_JSON,
    ALIAS_SYNTAX_DIS,     /* members of a UCX list, a line each */
    ALIAS_SYNTAX_INCLUDE, /* members, a line each               */
    ALIAS_SYNTAX_PASSWD   /* full names, from a password file   */
};
int alias_read_tcpware(struct alias_reader *r);
int alias_read_sendmail(struct alias_reader *r);
int alias_read_json(struct alias_reader *r);
int alias_read_list(struct alias_reader *r, enum alias_syntax syntax);
int alias_read_passwd(struct alias_reader *r);

/* Decodes and reads: text is consumed. 0 or -EINVAL, with what was wrong in the report. */
int alias_read(enum alias_syntax syntax, const char *file, struct alias_text *text, int personal,
               struct alias_map *m, struct alias_report *report);

/* The map as an alias file in TCPware's syntax. What that syntax cannot say (a list of words for a
 * command) is printed as it would be said in one line. */
void alias_print(const struct alias_map *m, struct buf *out);
void alias_target_print(const struct alias_target *t, struct buf *out); /* one of them */
/* What stands before a FILE, for alias_add_text: ">", or ">>" where that makes a difference. */
const char *alias_file_mark(const struct alias_target *t);

#endif
