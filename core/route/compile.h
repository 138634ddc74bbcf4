/* route/compile.h: what the parts of the compiler share. Private to core/route/. */
#ifndef ROUTE_COMPILE_H
#define ROUTE_COMPILE_H

#include "route/table.h"

struct compile {
    const struct config  *cfg;
    struct route_table   *t;
    struct config_errors *errors;
    int                   bad; /* 1: something was said */
};

/* An error at `origin`, key and, when n > 1, item i of it. key may be NULL. */
void compile_error(struct compile *c, const struct config_origin *origin, const char *key, size_t i,
                   size_t n, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Fills a row from what the operator said; row->rule is set already. */
void compile_rule(struct compile *c, const struct config_rule *rule, struct route_row *row);

/* The name as its instance spells it, so that others may compare bytes; when there is no enabled
 * instance of that kind and name, says so at key and returns NULL. */
const char *compile_instance(struct compile *c, const struct config_origin *origin, const char *key,
                             size_t i, size_t n, enum config_kind kind, const char *name);

#endif
