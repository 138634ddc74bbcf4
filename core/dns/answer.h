/* dns/answer.h: an answer as it rests in the cache, shared by all who asked. */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "dns/message.h"

struct dns_item {
    uint32_t    preference;
    const char *text;
    const char *source; /* of exchangers: "local mx", "dns mx", ...; static */
};

struct dns_answer {
    unsigned        refs;
    int             result; /* 0, -ENOENT, -EAGAIN or -EINVAL, as the callbacks get it */
    uint32_t        ttl;    /* seconds, within the cache's bounds already */
    size_t          n;
    struct dns_item items[]; /* their texts lie behind them */
};

struct dns_answer *dns_answer_new(const struct dns_records *r, const char *source);
/* Exchangers of two sources, sorted; each name once, with the better preference. */
struct dns_answer *dns_answer_mx(const struct dns_records *local, const struct dns_records *found);
struct dns_answer *dns_answer_single(const char *text, const char *source, uint32_t ttl);
struct dns_answer *dns_answer_none(int result, uint32_t ttl);
struct dns_answer *dns_answer_ref(struct dns_answer *a);
void               dns_answer_unref(struct dns_answer **a); /* clears *a; NULL is fine */

#endif
