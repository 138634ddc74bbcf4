/* dns/answer.c: see answer.h. */
#include "dns/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/text.h"

#define TTL_MIN       1u
#define TTL_MAX       86400u
#define TTL_NONE_MAX  300u /* "there is none" */
#define TTL_TEMPORARY 5u

static uint32_t within(uint32_t ttl, uint32_t max)
{
    return ttl < TTL_MIN ? TTL_MIN : ttl > max ? max : ttl;
}

static struct dns_answer *answer_alloc(size_t n, size_t text, uint32_t ttl)
{
    struct dns_answer *a = mem_zalloc(sizeof *a + n * sizeof *a->items + text);

    a->refs = 1;
    a->ttl = within(ttl, TTL_MAX);
    a->n = n;
    return a;
}

/* Sets item i, whose text goes to `to`; returns where the next one's goes. */
static char *put(struct dns_answer *a, size_t i, const struct dns_record *r, const char *source,
                 char *to)
{
    a->items[i].preference = r->preference;
    a->items[i].source = source;
    a->items[i].text = strcpy(to, r->text);
    return to + strlen(to) + 1;
}

static size_t records_size(const struct dns_records *r)
{
    size_t text = 0;

    for (size_t i = 0; i < r->n; i++)
        text += strlen(r->v[i].text) + 1;
    return text;
}

struct dns_answer *dns_answer_new(const struct dns_records *r, const char *source)
{
    struct dns_answer *a = answer_alloc(r->n, records_size(r), r->ttl);
    char *to = (char *)&a->items[a->n];

    for (size_t i = 0; i < r->n; i++)
        to = put(a, i, &r->v[i], source, to);
    return a;
}

static int has_name(const struct dns_answer *a, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (text_casecmp(a->items[i].text, name) == 0)
            return 1;
    }
    return 0;
}

struct dns_answer *dns_answer_mx(const struct dns_records *local, const struct dns_records *found)
{
    struct dns_answer *a =
        answer_alloc(local->n + found->n, records_size(local) + records_size(found), found->ttl);
    char *to = (char *)&a->items[a->n];
    size_t n = 0, l = 0, f = 0;

    while (l < local->n || f < found->n) {
        int ours =
            l < local->n && (f == found->n || local->v[l].preference <= found->v[f].preference);
        const struct dns_record *r = ours ? &local->v[l++] : &found->v[f++];

        if (has_name(a, n, r->text))
            continue;
        to = put(a, n++, r, ours ? "local mx" : "dns mx", to);
    }
    a->n = n < DNS_RECORDS_MAX ? n : DNS_RECORDS_MAX;
    return a;
}

struct dns_answer *dns_answer_single(const char *text, const char *source, uint32_t ttl)
{
    struct dns_answer *a = answer_alloc(1, strlen(text) + 1, ttl);

    a->items[0].source = source;
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
