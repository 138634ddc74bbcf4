/* route/index.h: which rows could match an address, without looking at all of them. Private to
 * core/route/.
 *
 * Each row is filed once, under the condition that rules out most: an exact address, a mailbox in
 * any domain, a domain or the end of one, of the recipient or else of the sender. What can be filed
 * nowhere is a candidate always. Candidates come out in the order of the table; whether they do
 * match is for route_row_match to say, so the index can make a walk short but never wrong. */
#ifndef ROUTE_INDEX_H
#define ROUTE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "util/map.h"

struct route_row;
struct route_walk;

struct index_list { /* numbers of rows, ascending */
    size_t    n, cap;
    uint32_t *v;
};

struct index_side { /* of the recipient, or of the sender; maps to struct index_list */
    struct map *domain; /* "example.com" itself, ".example.com" what is below it */
    struct map *local;
    struct map *address;
};

struct route_index {
    struct index_side rcpt, sender;
    struct index_list null_sender, always;
    size_t            sender_n; /* rows that are filed under a sender */
};

void route_index_init(struct route_index *x);
void route_index_done(struct route_index *x);
/* Rows are added in ascending order. */
void route_index_add(struct route_index *x, const struct route_row *row);

/* 127 labels on either side, and what else an address can be filed under. */
#define INDEX_LISTS_MAX 264u

struct index_cursor {
    size_t n;
    struct {
        const uint32_t *at, *end;
    } v[INDEX_LISTS_MAX];
};
void route_index_seek(const struct route_index *x, struct route_walk *w, struct index_cursor *ret);
/* The first candidate at or after `from`, which may not go back; SIZE_MAX: there is none. */
size_t route_index_next(struct index_cursor *c, size_t from);

#endif
