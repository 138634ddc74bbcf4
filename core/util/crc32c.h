/* util/crc32c.h: CRC-32C (Castagnoli), by SSE 4.2 where there is one. Start with crc = 0. */
#ifndef UTIL_CRC32C_H
#define UTIL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
