/* net/outgoing.h: the content of a message on its way out, as pieces of memory to send.
 *
 * Content in memory is sent from where it lies. Content on disk is read by the offload pool, one
 * piece ahead of the one being sent, so the loop never waits for a disk. */
#ifndef NET_OUTGOING_H
#define NET_OUTGOING_H

#include <sys/uio.h>

#include "util/content.h"
#include "util/loop.h"

#define OUTGOING_PIECE (256u * 1024u) /* bytes read from a disk at once; at most two are held */

struct outgoing;

/* Sends c (a reference is taken) from byte `at` on; flags: POSTERN_CONTENT_*. ready(ctx) is
 * called from the loop when outgoing_fill has something again after it had nothing. */
struct outgoing *outgoing_new(struct loop *l, postern_content *c, uint64_t at, uint32_t flags,
                              void (*ready)(void *ctx), void *ctx);
void outgoing_free(struct outgoing **o);

/* Says what to send next: at most `max` pieces, about `limit` bytes. Returns how many pieces (0:
 * wait for ready) or -errno. *ret_last: 1 when the content ends with them. */
int outgoing_fill(struct outgoing *o, struct iovec *iov, int max, size_t limit, int *ret_last);

/* Of what the last fill said, n bytes were sent (or more: they belong to what follows the content).
 * Returns how many of them were the content's. */
size_t outgoing_took(struct outgoing *o, const struct iovec *iov, int pieces, size_t n);

int outgoing_done(const struct outgoing *o);

#endif
