/* Who is here: the directories of routing.users, asked about a recipient that would be delivered.
 * */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-map.h"
#include "route/answers.h"
#include "route/expand.h"
#include "route/table.h"
#include "util/buf.h"

/* The local part without quotes, as it was written, and without its folder. -EINVAL. */
static int local_of(const struct route_table *t, const char *rcpt,
                    char local[POSTERN_LOCAL_MAX + 1])
{
    char *at;
    struct postern_address a = { .size = sizeof a };
    const char *why;
    int n;

    if (postern_address_parse(rcpt, strlen(rcpt), POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a,
                              &why) < 0)
        return -EINVAL;
    n = postern_address_unquote(a.local, a.local_len, local, POSTERN_LOCAL_MAX + 1);
    if (n <= 0 || memchr(local, 0, (size_t)n))
        return -EINVAL;
    at = t->subaddress ? strchr(local + 1, t->subaddress) : NULL;
    if (at)
        *at = '\0';
    return 0;
}

/* -ENOENT, 0, -EAGAIN (u->need), -EIO (u->why). */
static int ask_one(struct route_user *u, const struct route_need *n)
{
    struct route_answer got;

    if (!route_answers_get(u->t->answers, n, &got)) {
        u->need = *n;
        return -EAGAIN;
    }
    if (u->told)
        u->told(u->told_ctx, n, &got);
    if (got.result == -EAGAIN) {
        u->why = arena_strdup(u->arena, got.why);
        return -EIO;
    }
    return got.result;
}

int route_user_lookup(struct route_user *u, const struct route_decision *d, int virtual)
{
    struct route_need n = { .kind = POSTERN_LOOKUP_USER };
    char local[POSTERN_LOCAL_MAX + 1];
    struct buf key = { 0 };
    struct alias_key k;
    int r = -ENOENT, failed = 0;

    if (local_of(u->t, d->rcpt, local) < 0 ||
        alias_key_make(&k, local, strlen(local), virtual ? d->domain : NULL) < 0)
        return -ENOENT;
    alias_key_print(k.v, k.len, &key);
    n.key = arena_strdup(u->arena, key.data ? key.data : "");
    n.local = arena_strdup(u->arena, local);
    n.domain = arena_strdup(u->arena, d->domain);
    buf_free(&key);
    for (size_t i = 0; r == -ENOENT && i < u->t->users.n; i++) {
        n.source = u->t->users.v[i];
        r = ask_one(u, &n);
        if (r == -EIO) { /* the others may know him */
            failed = 1;
            r = -ENOENT;
        }
    }
    return r == -ENOENT && failed ? -EIO : r;
}

char *route_unknown_user(const char *template, const char *name)
{
    char quoted[2 * POSTERN_LOCAL_MAX + 3];
    const char *star = strchr(template, '*');
    int n = postern_address_quote(name, strlen(name), quoted, sizeof quoted);

    if (!star || n < 0)
        return mem_strdup(template);
    return mem_printf("%.*s%.*s%s", (int)(star - template), template, n, quoted, star + 1);
}

char *route_user_instead(const struct route_table *t, const struct route_decision *d)
{
    char local[POSTERN_LOCAL_MAX + 1];

    if (!t->unknown_user || local_of(t, d->rcpt, local) < 0)
        return NULL;
    return route_unknown_user(t->unknown_user, local);
}

struct route_answers *route_answers_of(const struct route_table *t)
{
    return t->answers;
}

int route_has_users(const struct route_table *t)
{
    return t->users.n > 0;
}
