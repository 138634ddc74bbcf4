/* cli/queue_analyze.h: see queue_analyze.c. */
#ifndef CLI_QUEUE_ANALYZE_H
#define CLI_QUEUE_ANALYZE_H

#include "config/config.h"

int queue_analyze_cli(const struct config *cfg, int repair, int json); /* an exit code */

#endif
