/* util/mem.h: allocation that cannot fail for bookkeeping, and an arena.
 *
 * mem_* end the process when memory is out: bookkeeping is small, and a worker that cannot even
 * keep books must be replaced, not limp on. They exit, and do not abort: like a kill by a kernel
 * without memory, that says nothing of the message that was under way. What a peer can make large
 * (message content) is allocated with plain malloc and its failure is answered with a temporary
 * error. */
#ifndef UTIL_MEM_H
#define UTIL_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size); /* never NULL */
void *mem_zalloc(size_t size);
void *mem_realloc(void *p, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Many small things that die together. */
struct arena;
struct arena *arena_new(void);
void          arena_free(struct arena **a);
void         *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned */
char         *arena_strdup(struct arena *a, const char *s);
char         *arena_strndup(struct arena *a, const char *s, size_t n);
char         *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
