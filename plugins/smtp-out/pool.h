/* pool.h: sessions that stand and have nothing to do, by the key of their next hop.
 *
 * A key names what was asked for (the route's next hops, or the destination), not what was found:
 * whichever exchanger a session landed on, it serves the next job with the same key. */
#ifndef SMTP_OUT_POOL_H
#define SMTP_OUT_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct session;

#define POOL_BUCKETS 64u

LIST_HEAD(pool_bucket, session);
TAILQ_HEAD(pool_ages, session);

struct pool {
    struct pool_bucket buckets[POOL_BUCKETS];
    struct pool_ages   ages; /* who has waited longest comes first */
    size_t             n, max;
};

struct pool_link { /* a session's place in the pool */
    LIST_ENTRY(session) bucket;
    TAILQ_ENTRY(session) age;
    uint32_t hash;
    int      in;
};

void pool_init(struct pool *p, size_t max);
/* Takes out the session that has waited shortest: its peer is the least likely to have lost
 * patience. */
struct session *pool_take(struct pool *p, const char *key);
/* Puts s in. Returns a session that had to leave to make room, perhaps s itself, or NULL. */
struct session *pool_put(struct pool *p, struct session *s);
void            pool_remove(struct pool *p, struct session *s); /* no effect when it is not in */

#endif
