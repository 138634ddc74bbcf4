/* postern/abi.h: the version of the contract, and the few macros it is written with.
 *
 * The contract is C11, clean as C++, and made of plain data: no enum, bool or bit-field is ever a
 * member of a public struct, and no type of a library that Postern happens to use appears here.
 *
 * Growth: every public struct that crosses the border begins with `size`, filled in by whoever made
 * it with his own sizeof. New members are only ever added at the tail, together with a step of
 * POSTERN_ABI_MINOR; a changed layout or meaning is a step of POSTERN_ABI_MAJOR, and the loader
 * refuses a plugin of another major version in words. Read a member that came later than minor 0
 * through POSTERN_HAS. */
#ifndef POSTERN_ABI_H
#define POSTERN_ABI_H

#include <stddef.h>
#include <stdint.h>

#define POSTERN_ABI_MAJOR 1u
#define POSTERN_ABI_MINOR 1u

/* Does the other side know pointer member f of the struct at p, and did it fill it in? */
#define POSTERN_HAS(p, f)                                                                          \
    ((size_t)((const char *)(&(p)->f + 1) - (const char *)(p)) <= (p)->size && (p)->f)

#define POSTERN_API __attribute__((visibility("default")))
#define POSTERN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
