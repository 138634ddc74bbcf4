/* spool/engine.h: what an engine gives to stand behind spool.h.
 *
 * An engine's own structs begin with these, so that calls that are given only a put or an entry
 * find their way, and so that an entry's id and size are read without asking the engine. */
#ifndef SPOOL_ENGINE_H
#define SPOOL_ENGINE_H

#include "spool/spool.h"

struct spool_ops {
    void (*close)(struct spool *s);
    int (*remove)(struct spool *s);
    void (*abandon)(struct spool *s);
    uint64_t (*new_id)(struct spool *s);
    int (*put_new)(struct spool *s, uint64_t id, uint64_t size_hint, struct spool_put **ret);
    int (*put_write)(struct spool_put *p, const void *data, size_t len);
    void (*put_room)(struct spool_put *p, postern_done *done, void *ctx);
    uint64_t (*put_size)(const struct spool_put *p);
    const char *(*put_head)(const struct spool_put *p, size_t *ret_len);
    void (*put_commit)(struct spool_put *p, const void *meta, size_t meta_len,
                       spool_commit_cb *done, void *ctx);
    void (*put_free)(struct spool_put *p);
    void (*state)(struct spool *s, struct spool_entry *e, const void *state, size_t len, int sync,
                  postern_done *done, void *ctx);
    void (*done)(struct spool *s, struct spool_entry *e);
    postern_content *(*content)(struct spool *s, struct spool_entry *e);
    int (*read_meta)(struct spool *s, struct spool_entry *e, void **ret, size_t *ret_len);
    int (*read_state)(struct spool *s, struct spool_entry *e, void **ret, size_t *ret_len);
    void (*uncache)(struct spool *s, struct spool_entry *e);
    void (*stats)(const struct spool *s, struct spool_stats *ret);
};

struct spool {
    const struct spool_ops *ops;
};

struct spool_put {
    struct spool *spool;
};

struct spool_entry {
    uint64_t id;
    uint64_t size; /* of the content */
};

/* The engines. Same contract as spool_open and spool_adopt. */
int journal_open(const struct spool_config *cfg, struct loop *loop, spool_replay_cb *replay,
                 void *ctx, struct spool **ret, char *why, size_t why_size);
int journal_adopt(const struct spool_config *cfg, struct loop *loop,
                  const struct spool_adoption *what, struct spool **ret, char *why,
                  size_t why_size);

#endif
