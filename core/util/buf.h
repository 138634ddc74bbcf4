/* util/buf.h: a growable run of bytes. All zero is a valid empty buffer.
 *
 * Running out of memory for the small things this is used for ends the process (util/mem.h): the
 * supervisor starts another, and nothing that was acknowledged is lost. */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char  *data; /* always NUL-terminated once anything was added; NULL before */
    size_t len, cap;
};

void buf_reserve(struct buf *b, size_t more); /* room for `more` bytes and a NUL */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v); /* little endian, all of them */
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_str(struct buf *b, const char *s); /* u32 length, bytes; NULL as "" */
void buf_consume(struct buf *b, size_t n);      /* drops n bytes at the front (moves the rest) */
void buf_clear(struct buf *b);                  /* len = 0, keeps the memory */
void buf_free(struct buf *b);

/* Bounds-checked reading of what buf_put_* wrote. After the first failure everything reads as 0 or
 * "" and `bad` stays set, so a decoder checks once, at its end. */
struct rd {
    const unsigned char *p, *end;
    int                  bad;
};
static inline struct rd rd_of(const void *data, size_t len)
{
    return (struct rd){data, (const unsigned char *)data + len, 0};
}
uint8_t     rd_u8(struct rd *r);
uint16_t    rd_u16(struct rd *r);
uint32_t    rd_u32(struct rd *r);
uint64_t    rd_u64(struct rd *r);
const char *rd_bytes(struct rd *r, size_t *ret_len); /* borrowed, not NUL-terminated */

#endif
