/* tests/fake/fakespool.h: a spool in memory, for tests of what stands on it. It answers on the
 * loop's next turn, as the real one does, and can be told to fail. Linked in front of the core
 * library it takes the place of spool/spool.c. */
#ifndef FAKE_FAKESPOOL_H
#define FAKE_FAKESPOOL_H

#include "message/envelope.h"
#include "spool/spool.h"
#include "util/buf.h"

struct spool *fakespool_new(struct loop *loop);
void          fakespool_free(struct spool **s);

/* A message as if an ingress had committed it. */
struct spool_entry *fakespool_add(struct spool *s, uint64_t id, const char *content);

size_t      fakespool_live(const struct spool *s);             /* messages not done */
const char *fakespool_newest(const struct spool *s);           /* content of the newest live one */
struct spool_entry *fakespool_first(const struct spool *s);    /* the oldest live message */
const struct buf *fakespool_state(const struct spool_entry *e); /* newest state, empty if none */
void        fakespool_fail_puts(struct spool *s, int err);     /* spool_put_new says err; 0: ends */
void        fakespool_fail_content(struct spool *s, int err);
void        fakespool_fail_commits(struct spool *s, int err);
void        fakespool_behind(struct spool *s, int on);  /* 1: put_write says "wait"; 0: room */
void        fakespool_on_disk(struct spool *s, int on); /* content is given as a file */
struct envelope *fakespool_envelope(const struct spool *s); /* of the newest live message, if it was
                                                               put; the caller frees */

#endif
