/* scan.h: does the header of a message hold 8-bit bytes? Reads content on a thread of the pool. */
#ifndef SMTP_OUT_SCAN_H
#define SMTP_OUT_SCAN_H

#include <postern/postern.h>

#define SCAN_HEADER_MAX (1024u * 1024) /* bytes looked at; a longer header counts as ASCII so far */

struct scan;

/* Starts. done(ctx, 1: yes, 0: no, -errno) comes later from the loop, unless scan_abandon was
 * called. The content must stay until then. */
int scan_start(postern_host *host, const struct postern_services *svc, postern_content *content,
               postern_done *done, void *ctx, struct scan **ret);

/* The content is not touched any more when this returns (it may wait for one read); clears
 * *scan. */
void scan_abandon(struct scan **scan);

#endif
