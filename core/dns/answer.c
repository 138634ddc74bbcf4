/* dns/answer.c: see answer.h. */
#include "dns/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define TTL_MIN       1u
#define TTL_MAX       86400u
#define TTL_NONE_MAX  300u /* "there is none" */
#define TTL_TEMPORARY 5u

static uint32_t within(uint32_t ttl, uint32_t max)
{
    return ttl < TTL_MIN ? TTL_MIN : ttl > max ? max : ttl;
}

struct dns_answer *dns_answer_new(const struct dns_records *r, const char *source)
{
    size_t text = 0;
    struct dns_answer *a;
    char *to;

    for (size_t i = 0; i < r->n; i++)
        text += strlen(r->v[i].text) + 1;
    a = mem_zalloc(sizeof *a + r->n * sizeof *a->items + text);
    a->refs = 1;
    a->ttl = within(r->ttl, TTL_MAX);
    a->source = source;
    a->n = r->n;
    to = (char *)&a->items[a->n];
    for (size_t i = 0; i < r->n; i++) {
        a->items[i].preference = r->v[i].preference;
        a->items[i].text = strcpy(to, r->v[i].text);
        to += strlen(to) + 1;
    }
    return a;
}

struct dns_answer *dns_answer_single(const char *text, const char *source, uint32_t ttl)
{
    struct dns_answer *a = mem_zalloc(sizeof *a + sizeof *a->items + strlen(text) + 1);

    a->refs = 1;
    a->ttl = within(ttl, TTL_MAX);
    a->source = source;
    a->n = 1;
    a->items[0].text = strcpy((char *)&a->items[1], text);
    return a;
}

struct dns_answer *dns_answer_none(int result, uint32_t ttl)
{
    struct dns_answer *a = mem_zalloc(sizeof *a);

    a->refs = 1;
    a->result = result;
    a->ttl = result == -EAGAIN ? TTL_TEMPORARY : within(ttl, TTL_NONE_MAX);
    return a;
}

struct dns_answer *dns_answer_ref(struct dns_answer *a)
{
    a->refs++;
    return a;
}

void dns_answer_unref(struct dns_answer **pa)
{
    struct dns_answer *a = *pa;

    *pa = NULL;
    if (a && !--a->refs)
        free(a);
}
