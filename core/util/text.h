/* util/text.h: durations, sizes, distances and escapes as people write them. */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

/* "1h30m" to microseconds, units us ms s m h d w. 0 or -EINVAL. */
int text_duration_parse(const char *s, int64_t *ret_usec);
/* microseconds to the shortest exact form ("90s", "1h30m", "0s"). */
char *text_duration(int64_t usec, char *buf, size_t size);
/* "25M" to bytes, suffixes K M G T (powers of 1024, optional B or iB). 0 or -EINVAL. */
int text_size_parse(const char *s, int64_t *ret_bytes);
char *text_size(int64_t bytes, char *buf, size_t size);

/* Edits between two words, without regard to ASCII case; for "did you mean". */
size_t text_distance(const char *a, const char *b);

int  text_casecmp(const char *a, const char *b); /* ASCII only, whatever the locale */
int  text_ncasecmp(const char *a, const char *b, size_t n);
char text_lower(char c);
void text_lower_str(char *s); /* in place, ASCII only */

/* Glob with * and ? over ASCII, without regard to case. */
int text_glob(const char *pattern, const char *text);

/* Adds s as a JSON string, quotes included; bytes that are not UTF-8 become U+FFFD. */
void text_json(struct buf *b, const char *s, size_t len);

/* RFC 3339 with milliseconds, UTC: "2026-11-22T14:15:41.123Z". size >= 32. */
char *text_time(int64_t wall_usec, char *buf, size_t size);

/* Queue ids as 13 characters, lower case, without look-alikes (Crockford base 32). size >= 14. */
char *text_id(uint64_t id, char *buf, size_t size);
int   text_id_parse(const char *s, uint64_t *ret_id); /* 0 or -EINVAL */

#endif
