/* cli/compose.h: a message from standard input, made complete: line ends, fields it must have, its
 * recipients. */
#ifndef CLI_COMPOSE_H
#define CLI_COMPOSE_H

#include <jansson.h>
#include <stdio.h>

#include "config/config.h"
#include "util/buf.h"

struct compose {
    const char        *sender;    /* envelope sender; without domain it gets the hostname */
    const char        *full_name; /* for a From that has to be made; NULL: none */
    int                from_header; /* -t */
    size_t             rcpt_n;
    const char *const *rcpts; /* with -t: these are left out (as sendmail does) */
};

/* Reads `in` to its end (or to a lone dot), fills content with the message in CRLF lines, and makes
 * the request line for the control socket. 0 or a sysexits code, printed. */
int compose_message(const struct compose *c, const struct config *cfg, FILE *in, int dot_ends,
                    struct buf *content, json_t **ret_request);

#endif
