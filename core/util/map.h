/* util/map.h: hash tables with keyed hashing (SipHash-1-3), so that peers can't choose collisions.
 *
 * map: text to pointer, keys compared as bytes and copied. idmap: 64-bit number to pointer. */
#ifndef UTIL_MAP_H
#define UTIL_MAP_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash13(const void *data, size_t len, const uint64_t key[2]);
void     siphash_key(uint64_t ret_key[2]); /* a random one */

struct map;
struct map *map_new(void);
void        map_free(struct map **m, void (*free_value)(void *)); /* free_value may be NULL */
void       *map_get(const struct map *m, const char *key);
void       *map_get_n(const struct map *m, const char *key, size_t len);
void       *map_set(struct map *m, const char *key, void *value); /* returns what it replaced */
void       *map_del(struct map *m, const char *key);              /* returns the value */
size_t      map_count(const struct map *m);
/* Any order; the map may not change meanwhile, except by deleting the entry just given. */
void map_each(const struct map *m, void (*each)(void *ctx, const char *key, void *value),
              void *ctx);

struct idmap;
struct idmap *idmap_new(void);
void          idmap_free(struct idmap **m);
void         *idmap_get(const struct idmap *m, uint64_t id);
void          idmap_set(struct idmap *m, uint64_t id, void *value);
void         *idmap_del(struct idmap *m, uint64_t id);
size_t        idmap_count(const struct idmap *m);
void          idmap_each(const struct idmap *m, void (*each)(void *value)); /* may not change it */

#endif
