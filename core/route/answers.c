/* route/answers.c: see answers.h. A map by question, and a ring in the order of arrival: when it is
 * full the oldest goes. */
#include "route/answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-set.h"
#include "util/clock.h"
#include "util/list.h"

struct entry {
    struct list link; /* route_answers.order */
    int64_t expires;
    int result;
    char *text; /* why, or addresses */
    struct alias_source *source;
    size_t key_len;
    char key[]; /* route_need_key */
};

struct route_answers {
    const struct config_lookups *cfg;
    struct map *by_key; /* to struct entry */
    struct list order;
    struct buf key; /* of the question under way */
    uint64_t hits, misses, failures;
};

struct route_answers *route_answers_new(const struct config_lookups *cfg)
{
    struct route_answers *a = mem_zalloc(sizeof *a);

    a->cfg = cfg;
    a->by_key = map_new();
    list_init(&a->order);
    return a;
}

static void entry_free(struct entry *e)
{
    list_del(&e->link);
    alias_source_unref(&e->source);
    free(e->text);
    free(e);
}

void route_answers_forget(struct route_answers *a)
{
    LIST_EACH_SAFE (&a->order, it, tmp) {
        struct entry *e = CONTAINER(it, struct entry, link);

        map_del(a->by_key, e->key);
        entry_free(e);
    }
}

void route_answers_free(struct route_answers **pa)
{
    struct route_answers *a = *pa;

    if (!a)
        return;
    *pa = NULL;
    route_answers_forget(a);
    map_free(&a->by_key, NULL);
    buf_free(&a->key);
    free(a);
}

/* No directory's name has a ':' in it; of the others the lengths say where they end. */
void route_need_key(const struct route_need *n, struct buf *out)
{
    buf_printf(out, "%u:%s:%zu:%zu:%s%s%s", n->kind, n->source, strlen(n->key), strlen(n->local),
               n->key, n->local, n->domain);
}

static const char *key_of(struct route_answers *a, const struct route_need *n)
{
    buf_clear(&a->key);
    route_need_key(n, &a->key);
    return a->key.data;
}

static void drop(struct route_answers *a, struct entry *e)
{
    map_del(a->by_key, e->key);
    entry_free(e);
}

int route_answers_get(struct route_answers *a, const struct route_need *n, struct route_answer *ret)
{
    struct entry *e = map_get(a->by_key, key_of(a, n));

    if (e && e->expires <= clock_mono()) {
        drop(a, e);
        e = NULL;
    }
    if (!e) {
        a->misses++;
        return 0;
    }
    a->hits++;
    *ret = (struct route_answer){ .result = e->result,
                                  .why = e->result ? e->text : NULL,
                                  .source = e->source,
                                  .addresses = e->result ? NULL : e->text };
    return 1;
}

/* --- putting --- */

static int64_t age_of(const struct route_answers *a, uint32_t kind, int result)
{
    int64_t age = result == 0 ? a->cfg->ttl : result == -ENOENT ? a->cfg->negative_ttl : 0;

    return age > ROUTE_ANSWER_RETRY && kind != ROUTE_NEED_ADDRESSES ? age : ROUTE_ANSWER_RETRY;
}

/* Takes text and source. */
static void put(struct route_answers *a, const struct route_need *n, int result, char *text,
                struct alias_source *source)
{
    const char *key = key_of(a, n);
    struct entry *old = map_get(a->by_key, key);
    struct entry *e = mem_zalloc(sizeof *e + a->key.len + 1);

    if (old)
        drop(a, old);
    else if (map_count(a->by_key) >= (size_t)a->cfg->cache_max)
        drop(a, CONTAINER(a->order.next, struct entry, link));
    memcpy(e->key, key, a->key.len + 1);
    e->result = result;
    e->text = text;
    e->source = source;
    /* Just asked for, and about to be used: it must not be gone by then. */
    e->expires = clock_mono() + age_of(a, n->kind, result);
    list_add_tail(&a->order, &e->link);
    map_set(a->by_key, e->key, e);
    a->failures += result == -EAGAIN;
}

void route_answers_fail(struct route_answers *a, const struct route_need *n, const char *why)
{
    const char *said = why && *why ? why : "it can't say now";

    put(a, n, -EAGAIN,
        n->kind == ROUTE_NEED_ADDRESSES
            ? mem_printf("the addresses of %s can't be looked up: %s", n->key, said)
            : mem_printf("directory %s: %s", n->source, said),
        NULL);
}

void route_answers_put_addresses(struct route_answers *a, const struct route_need *n, int result,
                                 const char *const *addresses, size_t address_n)
{
    struct buf text = { 0 };

    for (size_t i = 0; result == 0 && i < address_n; i++)
        buf_printf(&text, "%s%s", i ? " " : "", addresses[i]);
    if (text.len)
        put(a, n, 0, text.data, NULL); /* which takes it */
    else if (result == -EAGAIN)
        route_answers_fail(a, n, "no name server gave an answer");
    else /* also of what is no name to name servers */
        put(a, n, -ENOENT, NULL, NULL);
}

static size_t length_of(const char *const *values, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        size_t one = strlen(values[i]);

        if (one > POSTERN_LOOKUP_VALUE_MAX || strchr(values[i], '\n'))
            return SIZE_MAX;
        len += one + 1;
    }
    return len;
}

/* The values a line each, so that what is wrong has a place. */
static void join(const char *const *values, size_t n, size_t len, struct alias_text *ret)
{
    char *p = ret->data = mem_alloc(len + 1);

    for (size_t i = 0; i < n; i++) {
        size_t one = strlen(values[i]);

        memcpy(p, values[i], one);
        p[one] = '\n';
        p += one + 1;
    }
    *p = '\0';
    ret->len = len;
}

/* What runs a command or names a file is for those who may write the configuration. */
static int check_value(struct alias_reader *r, const char *at, int commands)
{
    if (commands || !strchr("|<>", *at))
        return 0;
    return alias_error(r, at, "found '%c', but this directory may name addresses only", *at);
}

/* "::owner" first makes it a list. */
static int read_values(struct alias_reader *r, const char *key, int commands)
{
    int list = commands && r->end - r->p > 2 && memcmp(r->p, "::", 2) == 0, n;

    r->personal = !commands;
    n = alias_begin(r, r->p, key, strlen(key), list ? ALIAS_RECORD_LIST : 0);
    while (!n && r->p < r->end) {
        const char *at = r->p, *end = memchr(at, '\n', (size_t)(r->end - at));

        if (list && at == r->start)
            n = alias_add_address(r, at, at + 2, (size_t)(end - at) - 2);
        else
            n = check_value(r, at, commands) || alias_add_text(r, at, at, (size_t)(end - at))
                ? -EINVAL
                : 0;
        while (r->p <= end)
            alias_step(r);
    }
    return n;
}

/* NULL: *ret_why (malloc'ed) says what is wrong. */
static struct alias_source *source_of(const struct route_need *n, const char *const *values,
                                      size_t value_n, int commands, char **ret_why)
{
    struct alias_report report = { { 0 }, { 0 } };
    size_t len = length_of(values, value_n);
    struct alias_source *s;
    struct alias_reader r;
    struct alias_text text;

    *ret_why = NULL;
    if (!value_n || value_n > POSTERN_LOOKUP_VALUES_MAX || len == SIZE_MAX) {
        *ret_why =
            mem_printf("the answer for %s has %s", n->key,
                       !value_n ? "no values"
                                : "too many values, or one that is too long or has several lines");
        return NULL;
    }
    s = mem_zalloc(sizeof *s);
    atomic_init(&s->refs, 1);
    s->file = mem_printf("directory %s", n->source);
    alias_map_init(&s->map);
    join(values, value_n, len, &text);
    alias_reader_init(&r, n->key, &text, &s->map, &report);
    if (read_values(&r, n->key, commands) < 0) {
        *ret_why = mem_strdup(report.errors.n ? report.errors.lines[0] : "a bad answer");
        alias_source_unref(&s);
    } else {
        alias_map_seal(&s->map);
    }
    free(text.data);
    alias_report_done(&report);
    return s;
}

void route_answers_put(struct route_answers *a, const struct route_need *n, int result,
                       const char *const *values, size_t value_n, int commands)
{
    struct alias_source *source = NULL;
    char *why;

    if (result == 0 && n->kind == POSTERN_LOOKUP_ALIAS) {
        source = source_of(n, values, value_n, commands, &why);
        if (!source)
            route_answers_fail(a, n, why);
        else
            put(a, n, 0, NULL, source);
        free(why);
        return;
    }
    if (result == 0 || result == -ENOENT)
        put(a, n, result, NULL, NULL);
    else
        route_answers_fail(a, n, value_n ? values[0] : NULL);
}

/* --- telling --- */

void route_answers_stats(const struct route_answers *a, struct route_answers_stats *ret)
{
    *ret = (struct route_answers_stats){ map_count(a->by_key), a->hits, a->misses, a->failures };
}

void route_answer_text(const struct route_need *n, const struct route_answer *answer,
                       struct buf *out)
{
    struct alias_record rec;
    size_t at = 0;

    buf_printf(out, "directory %s: %s %s: ", n->source,
               n->kind == POSTERN_LOOKUP_USER ? "user" : "alias", n->key);
    if (answer->result == -ENOENT) {
        buf_adds(out, "not found");
    } else if (answer->result < 0) { /* the sentence names the directory, too */
        const char *colon = strstr(answer->why, ": ");

        buf_adds(out, colon ? colon + 2 : answer->why);
    } else if (!answer->source || !alias_map_next(&answer->source->map, &at, &rec)) {
        buf_adds(out, "exists");
    } else {
        const char *p = rec.targets;
        struct alias_target t;

        for (size_t i = 0; i < rec.target_n; i++) {
            p = alias_map_target(p, &t);
            if (i)
                buf_adds(out, ", ");
            alias_target_print(&t, out);
        }
    }
}
