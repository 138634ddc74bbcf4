/* cli/input.h: a message's lines, from standard input. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdint.h>
#include <stdio.h>

#include "util/buf.h"

/* Reads `in` to its end (or to a lone dot, when dot_ends) and adds its lines to `out`, each ended
 * by CRLF, whether it came with LF, CRLF, or as the last one with neither. max: bytes; 0: no limit.
 * 0, or EX_IOERR or EX_DATAERR (too large, or a NUL), printed. */
int input_read(FILE *in, int dot_ends, uint64_t max, struct buf *out);

#endif
