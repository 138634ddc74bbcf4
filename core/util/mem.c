/* util/mem.c: see mem.h. */
#include "util/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define ARENA_BLOCK 4096u
#define ARENA_ALIGN 16u

static void *checked(void *p)
{
    if (!p) {
        static const char msg[] = "postern: out of memory for bookkeeping, ending\n";

        fwrite(msg, 1, sizeof msg - 1, stderr);
        _exit(EX_OSERR);
    }
    return p;
}

void *mem_alloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *mem_zalloc(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *mem_realloc(void *p, size_t size)
{
    return checked(realloc(p, size ? size : 1));
}

char *mem_strndup(const char *s, size_t n)
{
    char *p = mem_alloc(n + 1);

    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

__attribute__((format(printf, 1, 0))) static char *mem_vprintf(const char *fmt, va_list ap)
{
    char *p;

    return checked(vasprintf(&p, fmt, ap) < 0 ? NULL : p);
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;
    char *p;

    va_start(ap, fmt);
    p = mem_vprintf(fmt, ap);
    va_end(ap);
    return p;
}

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(ARENA_ALIGN) unsigned char data[];
};

struct arena {
    struct block *head;
};

struct arena *arena_new(void)
{
    return mem_zalloc(sizeof(struct arena));
}

void arena_free(struct arena **a)
{
    if (!*a)
        return;
    for (struct block *b = (*a)->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(*a);
    *a = NULL;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct block *b = a->head;
    void *p;

    size = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (!b || b->size - b->used < size) {
        size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;

        b = mem_alloc(sizeof *b + room);
        b->used = 0;
        b->size = room;
        b->next = a->head;
        a->head = b;
    }
    p = b->data + b->used;
    b->used += size;
    return memset(p, 0, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);

    memcpy(p, s, n);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *p, *r;

    va_start(ap, fmt);
    p = mem_vprintf(fmt, ap);
    va_end(ap);
    r = arena_strdup(a, p);
    free(p);
    return r;
}
