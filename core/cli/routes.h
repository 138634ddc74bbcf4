/* cli/routes.h: asking the table as the queue does, and files of addresses and of what is expected
 * of them. */
#ifndef CLI_ROUTES_H
#define CLI_ROUTES_H

#include "cli/lookup.h"
#include "route/expect.h"

#define CLI_ROUTES_MAX 16777216u /* bytes of such a file */

/* Calls each(ctx, number of the line, line, NULL) for every line, which may be changed; for one
 * that can't be one, with why instead of the line. EX_OK, or a code, printed. */
typedef int cli_line_fn(void *ctx, size_t number, char *line, const char *why);
int         cli_each_line(const char *path, cli_line_fn *each, void *ctx);

/* route_expand, and the personal alias files on the way read, and the directories asked, as they
 * are needed; what is wrong with those is printed. 0, -EINVAL, -E2BIG; to be matched by
 * route_expansion_done. */
int cli_expand(const struct route_table *t, const struct route_query *q, int trace,
               struct cli_lookup *lookup, struct route_expansion *ret);

/* Compares what FILE expects with the table; prints what differs, and how many hold. EX_OK,
 * EX_CONFIG (something differs), EX_DATAERR (a line can't be read). results: NULL, or an array that
 * gets an object for each line instead. */
int cli_check_routes(const struct route_table *t, struct cli_lookup *lookup, const char *path,
                     json_t *results);

#endif
