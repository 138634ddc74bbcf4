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
#include "util/text.h"

#define POSTMASTER "postmaster"

/* The local part without quotes, as it was written, and without its folder. 1: it had quotes, 0, or
 * -EINVAL. */
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
    return *a.local == '"';
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

/* What stood in quotes was a name. Without them it might be a road, and lead on. */
static char *unknown_in_quotes(const char *template, const char *name)
{
    char *quoted = mem_printf("\"%s\"", name);
    const char *star = strchr(template, '*');
    char *r = mem_printf("%.*s%s%s", (int)(star - template), template, quoted, star + 1);

    free(quoted);
    return r;
}

static int is_postmaster(const char *local)
{
    return text_casecmp(local, POSTMASTER) == 0;
}

char *route_user_instead(const struct route_table *t, const struct route_decision *d,
                         int *ret_fixed)
{
    char local[POSTERN_LOCAL_MAX + 1], quoted[2 * POSTERN_LOCAL_MAX + 3];
    int r = local_of(t, d->rcpt, local), fixed;
    const char *template = t->unknown_user;

    if (r < 0 || (!template && !is_postmaster(local)))
        return NULL;
    if (!template)
        template = t->postmaster;
    fixed = !t->unknown_user || !strchr(template, '*');
    if (ret_fixed)
        *ret_fixed = fixed;
    if (fixed)
        return mem_strdup(template);
    if (r == 1 && strpbrk(local, "%!") &&
        postern_address_quote(local, strlen(local), quoted, sizeof quoted) > 0 && *quoted != '"')
        return unknown_in_quotes(template, local);
    return route_unknown_user(template, local);
}

int route_user_is_postmaster(const struct route_table *t, const struct route_decision *d)
{
    struct route_address self, other;
    char local[POSTERN_LOCAL_MAX + 1];
    const char *why;

    if (local_of(t, d->rcpt, local) < 0 || !is_postmaster(local))
        return 0;
    if (route_address_init(&self, d->rcpt, t->hostname, &why) < 0 ||
        route_address_init(&other, t->postmaster, t->hostname, &why) < 0)
        return 1;
    return !strcmp(self.domain, other.domain) && is_postmaster(other.local) ? 2 : 1;
}

struct route_answers *route_answers_of(const struct route_table *t)
{
    return t->answers;
}

int route_has_users(const struct route_table *t)
{
    return t->users.n > 0;
}
