/* mapfile.h: one LMDB file, made by `postern map build`: opened, looked things up in, and replaced
 * when another one stands in its place. */
#ifndef MAPFILE_H
#define MAPFILE_H

#include <sys/stat.h>

#include <postern/postern.h>

#define MAPFILE_WHY_MAX 512u

struct mapfile; /* constant once it is open */

/* 0, or -errno with a sentence that begins with the path. */
int  mapfile_open(const char *path, struct mapfile **ret, char *why, size_t why_size);
void mapfile_close(struct mapfile **m);
/* Is what stands at the path now another file? -errno: nothing can be seen there. */
int mapfile_changed(const struct mapfile *m, const char *path);
/* The size that was promised when it was made. */
uint64_t mapfile_count(const struct mapfile *m);

/* 0: calls found with the texts, borrowed from the file, at most POSTERN_LOOKUP_VALUES_MAX;
 * -ENOENT; -EIO with a sentence. */
typedef void mapfile_found(void *ctx, const char *const *values, size_t n);
int mapfile_get(const struct mapfile *m, const char *key, mapfile_found *found, void *ctx,
                char *why, size_t why_size);

#endif
