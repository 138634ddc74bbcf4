/* cli/lookup.h: asking directories and the resolver by hand: they run in this process, for as long
 * as it takes. */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include "route/expand.h"

struct cli_lookup;

/* Nothing is opened before something has to be asked. */
struct cli_lookup *cli_lookup_new(struct config *cfg, const struct route_table *t);
void               cli_lookup_free(struct cli_lookup **l);
/* Asks all that e needs, and waits for the answers, which are in the table then; if they
 * can't be opened (printed), that is the answer. */
void cli_lookup_ask(struct cli_lookup *l, const struct route_expansion *e);

#endif
