/* util/clock.h: what time it is, in microseconds. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>

int64_t clock_mono(void); /* monotonic, for intervals   */
int64_t clock_wall(void); /* since 1970, for people and for what outlives the process */

#endif
