/* util/clock.h: what time it is, in microseconds. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>

int64_t clock_mono(void); /* monotonic, for intervals   */
int64_t clock_boot(void); /* since the kernel started, sleep included; the same in all processes */
int64_t clock_wall(void); /* since 1970, for people and for what outlives the process */

/* Which boot clock_boot() counts from; 0: can't be found out. Reads a file: ask once. */
uint64_t clock_boot_id(void);

#endif
