/* cli/check.h: the parts of `postern check`. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "config/config.h"

/* For root, of a configuration that is good for him: what workers, who are server.user, can't read
 * is an error where they could not start, and else a warning. What is in warnings already is not
 * said again. */
void cli_check_user(struct config *cfg, struct config_errors *errors,
                    struct config_errors *warnings);

#endif
