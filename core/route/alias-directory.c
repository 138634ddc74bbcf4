/* Aliases in directories: asked after the files, in the same order of names: the full address, the
 * name alone, and both again without "+folder". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-set.h"
#include "route/answers.h"
#include "util/buf.h"

struct asking {
    const struct alias_expand *how;
    const struct alias_query *q;
    struct alias_answer *answer;
    struct alias_directory *ret;
    unsigned asked;
};

/* 1: found; 0: not there; -EAGAIN: ret->need; -EIO: ret->why. */
static int ask_one(struct asking *a, const struct route_need *n)
{
    struct route_answer got;
    struct alias_record rec;
    size_t at = 0;

    if (a->asked++ < a->ret->known)
        return 0;
    if (!route_answers_get(a->how->answers, n, &got)) {
        a->ret->need = *n;
        return -EAGAIN;
    }
    if (a->how->told)
        a->how->told(a->how->told_ctx, n, &got);
    if (got.result == -ENOENT) {
        a->ret->known = a->asked;
        return 0;
    }
    if (got.result < 0) {
        a->ret->why = arena_strdup(a->ret->arena, got.why);
        return -EIO;
    }
    alias_map_next(&got.source->map, &at, &rec);
    a->ret->source = alias_source_ref(got.source);
    alias_answer_record(a->answer, got.source, &rec);
    return 1;
}

/* The first directory that has the name. One that can't say hides those behind it: they may say
 * something else. */
static int ask_key(struct asking *a, const char *local, size_t len, const char *domain)
{
    struct buf printed = { 0 };
    struct alias_key k;
    struct route_need n = { .kind = POSTERN_LOOKUP_ALIAS, .domain = a->q->domain };
    int r = 0;

    if (alias_key_make(&k, local, len, domain) < 0)
        return 0;
    alias_key_print(k.v, k.len, &printed);
    n.key = arena_strdup(a->ret->arena, printed.data ? printed.data : "");
    n.local = arena_strndup(a->ret->arena, local, len);
    n.domain = arena_strdup(a->ret->arena, a->q->domain);
    buf_free(&printed);
    for (size_t i = 0; *n.key && !r && i < a->how->directories->n; i++) {
        n.source = a->how->directories->v[i];
        r = ask_one(a, &n);
    }
    if (r == 1)
        a->answer->how = domain ? ALIAS_BY_ADDRESS : ALIAS_BY_NAME;
    return r;
}

static int ask_name(struct asking *a, size_t len)
{
    const struct alias_query *q = a->q;
    int r = 0;

    if ((q->virtual_domain || a->how->set->cfg->virtual_aliases) && *q->domain)
        r = ask_key(a, q->local, len, q->domain);
    if (!r && q->local_domain)
        r = ask_key(a, q->local, len, NULL);
    return r;
}

int alias_directory_lookup(const struct alias_expand *how, const struct alias_query *q,
                           struct alias_answer *answer, struct alias_directory *ret)
{
    struct asking a = { how, q, answer, ret, 0 };
    char subaddress = alias_subaddress(how->set->cfg);
    const char *at =
        subaddress && q->local_len ? memchr(q->local + 1, subaddress, q->local_len - 1) : NULL;
    int r;

    /* Addresses elsewhere are aliases of ours only when they are full ones. */
    if (!how->answers || !how->directories->n)
        return 0;
    r = ask_name(&a, q->local_len);
    if (!r && at) {
        r = ask_name(&a, (size_t)(at - q->local));
        if (r == 1)
            answer->folder_at = (size_t)(at - q->local) + 1;
    }
    return r;
}
