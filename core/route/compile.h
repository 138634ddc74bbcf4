/* route/compile.h: what the parts of the compiler share. Private to core/route/. */
#ifndef ROUTE_COMPILE_H
#define ROUTE_COMPILE_H

#include "route/table.h"

struct compile {
    const struct config  *cfg;
    struct route_table   *t;
    struct config_errors *errors;
    size_t                row_cap;
    size_t                numbers[ROW_KINDS]; /* rows of each kind so far */
    const char           *remote_transport;   /* for gateways and the like; NULL: none known */
    int                   bad;                /* 1: something was said */
    int                   again;              /* route_compile_again */
};

/* An error at `origin`, key and, when n > 1, item i of it. key may be NULL. */
void compile_error(struct compile *c, const struct config_origin *origin, const char *key, size_t i,
                   size_t n, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* The next row. It stays where it is only until the next call. */
struct route_row *compile_row(struct compile *c, enum row_kind kind,
                              const struct config_origin *origin);
struct postern_strings compile_copy_strings(struct arena *a, const struct postern_strings *from);
const char            *compile_copy(struct arena *a, const char *text); /* NULL stays NULL */
struct config_origin   compile_copy_origin(struct arena *a, const struct config_origin *from);

/* rule.c: fills a row from what the operator said. */
void compile_rule(struct compile *c, const struct config_rule *rule, struct route_row *row);
/* accept_from of a row that is complete: no open relay by accident. Senders can be forged, so only
 * an ingress can stand for trust. */
void compile_anyone(struct compile *c, int accept_from, struct route_row *row);
void compile_domains(struct compile *c, const struct config_origin *origin, const char *key,
                     const struct postern_strings *from, struct domain_patterns *ret);
void compile_addresses(struct compile *c, const struct config_origin *origin, const char *key,
                       int null_too, const struct postern_strings *from,
                       struct address_patterns *ret);
void compile_params(struct compile *c, const struct postern_strings *from, struct route_row *row);
/* The name as its instance spells it, so that others may compare bytes; when there is no enabled
 * instance of that kind and name, says so at key and returns NULL. */
const char *compile_instance(struct compile *c, const struct config_origin *origin, const char *key,
                             size_t i, size_t n, enum config_kind kind, const char *name);

/* Checks and copies a list of ingress instances. */
struct postern_strings compile_ingress(struct compile *c, const struct config_origin *origin,
                                       const struct postern_strings *from);
/* Checks and copies a template of addresses, the key "rewrite", for what these conditions match. */
const char *compile_template(struct compile *c, const struct config_origin *origin,
                             const char *template, const struct address_patterns *addresses,
                             const struct domain_patterns *domains);

/* hops.c */
/* Checks and copies a list of next hops. resolve HOST puts names in brackets. */
struct postern_strings compile_hops(struct compile *c, const struct config_origin *origin,
                                    const char *key, const struct postern_strings *from,
                                    enum config_resolve resolve);
/* How mail goes that is delivered directly: by the recipient's own domain, and the hubs that
 * forwarders put behind it. Empty: simply by its MX. */
struct postern_strings compile_direct(struct compile *c, int no_mx);

/* sender-rows.c: what becomes of senders; and warnings about that, once the table is whole. */
void compile_senders(struct compile *c);
void compile_senders_warn(struct compile *c);

/* local-rows.c, remote-rows.c, group.c: the parts of the table beside rules. */
void compile_local_rows(struct compile *c);
void compile_local_forward(struct compile *c); /* in the head */
void compile_remote_rows(struct compile *c);
void compile_groups(struct compile *c);
/* The group of that name, or NULL, said at key. */
const struct route_group *compile_group(struct compile *c, const struct config_origin *origin,
                                        const char *key, const char *name);

#endif
