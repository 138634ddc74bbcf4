/* One step: what does an address stand for? The full address first, then the name; what the
 * operator wrote as it stands first, then without its "+folder", then as the owner of a list. What
 * comes back to a list's VERP addresses is the list's, also when the owner has an alias. Where a
 * file that was never read may have had the word, nobody else has it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-set.h"
#include "util/buf.h"
#include "util/text.h"

#define VERP_SIGN '+' /* "owner-LIST+user=domain", whatever aliases.subaddress says */

/* --- answers --- */

static void answer_begin(struct alias_answer *a, const char *file, uint32_t line)
{
    a->list = 0;
    a->file = file;
    a->line = line;
    a->folder_at = 0;
    a->owner.kind = 0;
    a->one.kind = 0;
    a->at = NULL;
    a->left = 0;
    a->members = NULL;
    a->next = 0;
}

/* Reads the target at a->at, with its place. */
static void take(struct alias_answer *a, struct alias_target *ret)
{
    a->at = alias_map_target(a->at, ret);
    ret->file = a->file;
    ret->line = a->line;
}

void alias_answer_record(struct alias_answer *a, const struct alias_source *s,
                         const struct alias_record *rec)
{
    answer_begin(a, s->file, rec->line);
    a->at = rec->targets;
    a->left = rec->target_n;
    if (!(rec->flags & ALIAS_RECORD_LIST))
        return;
    a->list = 1;
    take(a, &a->owner);
    a->left--;
}

void alias_answer_members(struct alias_answer *a, const struct alias_source *s)
{
    answer_begin(a, s->file, 1);
    a->members = s;
}

int alias_answer_next(struct alias_answer *a, struct alias_target *ret)
{
    struct alias_record rec;

    if (a->one.kind) {
        *ret = a->one;
        a->one.kind = 0;
        return 1;
    }
    while (!a->left && a->members && alias_map_next(&a->members->map, &a->next, &rec)) {
        a->at = rec.targets;
        a->left = rec.target_n;
        a->line = rec.line;
    }
    if (!a->left)
        return 0;
    take(a, ret);
    a->left--;
    return 1;
}

/* --- where to look --- */

struct found {
    const struct alias_source *source;
    struct alias_record rec;
};

/* What never could be read may have any name: then it is not for those behind it to say. Full names
 * are never addresses, nor owners. */
static int may_have(const struct alias_set *s, size_t i, int address, int owner)
{
    return i < s->cfg->files.n || (!address && !owner);
}

/* The first file that has the name. Most files hold names of one sort: the others are not asked. 1,
 * 0, or -EIO with *ret_why. */
static int find_source(const struct alias_set *s, const struct alias_key *k, int owner,
                       struct found *ret, const char **ret_why)
{
    int address = k->len > k->local_len;

    for (size_t i = 0; i < s->file_n; i++) {
        const struct alias_source *source = s->files[i]->source;

        if (!source && may_have(s, i, address, owner)) {
            *ret_why = s->files[i]->why;
            return -EIO;
        }
        if (!source || (address && !source->map.addresses) || (owner && !source->map.owners))
            continue;
        if (alias_map_find(&source->map, k->v, k->len, &ret->rec)) {
            ret->source = source;
            return 1;
        }
    }
    return 0;
}

static int find(const struct alias_set *s, const struct alias_key *k, struct alias_answer *ret)
{
    struct found found;
    int r = find_source(s, k, 0, &found, &ret->why);

    if (r > 0)
        alias_answer_record(ret, found.source, &found.rec);
    return r;
}

static int find_list(const struct alias_set *s, const struct alias_key *k, struct alias_answer *ret)
{
    const struct alias_file *f = map_get_n(s->lists, k->v, k->local_len);

    ret->why = s->unseen && (!f || f->behind) ? s->unseen : f && !f->source ? f->why : NULL;
    if (ret->why)
        return -EIO;
    if (!f)
        return 0;
    alias_answer_members(ret, f->source);
    ret->how = ALIAS_BY_LIST;
    ret->list = 1;
    return 1;
}

/* An address made of a name and, when the name was found by its full address, the domain. */
static void own_owner(struct alias_answer *a, const char *local, size_t len, const char *domain)
{
    int n = postern_address_quote(local, len, a->owner_text, sizeof a->owner_text);
    size_t room = n < 0 ? 0 : sizeof a->owner_text - (size_t)n, more;

    more = domain ? strlen(domain) + 1 : 0;
    if (more >= room)
        return;
    if (domain) {
        a->owner_text[n] = '@';
        memcpy(a->owner_text + n + 1, domain, more);
    }
    a->owner = (struct alias_target){ .kind = ALIAS_ADDRESS,
                                      .text = a->owner_text,
                                      .len = (size_t)n + more,
                                      .file = a->file,
                                      .line = a->line };
}

/* "owner-NAME" among the aliases makes NAME a list, as sendmail has it. 1: the answer stands, with
 * an owner or without; -EIO. */
static int find_owner(const struct alias_set *s, const char *local, size_t len, const char *domain,
                      struct alias_answer *a)
{
    char name[POSTERN_LOCAL_MAX + 1];
    struct found found;
    struct alias_key k;
    int r;

    if (!s->cfg->owners || a->owner.kind || len + 6 > POSTERN_LOCAL_MAX)
        return 1;
    memcpy(name, "owner-", 6);
    memcpy(name + 6, local, len);
    if (alias_key_make(&k, name, len + 6, domain) < 0)
        return 1;
    r = find_source(s, &k, 1, &found, &a->why);
    if (r <= 0)
        return r < 0 ? r : 1;
    a->list = 1;
    own_owner(a, name, len + 6, domain);
    return 1;
}

/* The local part as given here, in the ways that are asked for. As alias_lookup. */
static int try(const struct alias_set *s, const struct alias_query *q, const char *local,
               size_t len, struct alias_answer *ret)
{
    struct alias_key k;
    int r = 0;

    if ((q->virtual_domain || s->cfg->virtual_aliases) && *q->domain &&
        alias_key_make(&k, local, len, q->domain) == 0)
        r = find(s, &k, ret);
    if (r > 0)
        ret->how = ALIAS_BY_ADDRESS;
    if (r)
        return r > 0 ? find_owner(s, local, len, q->domain, ret) : r;
    if (!q->local_domain || alias_key_make(&k, local, len, NULL) < 0)
        return 0;
    r = find(s, &k, ret);
    if (r > 0)
        ret->how = ALIAS_BY_NAME;
    else if (!r)
        r = find_list(s, &k, ret);
    return r > 0 ? find_owner(s, local, len, NULL, ret) : r;
}

/* --- owners --- */

/* The part of the name that is a list's, if it is made like its owner's. */
static int list_of(const char *local, size_t len, const char **ret, size_t *ret_len)
{
    static const char *const ends[] = { "-owner", "-request" };

    if (len > 6 && text_ncasecmp(local, "owner-", 6) == 0) {
        *ret = local + 6;
        *ret_len = len - 6;
        return 1;
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);

        if (len > n && text_ncasecmp(local + len - n, ends[i], n) == 0) {
            *ret = local;
            *ret_len = len - n;
            return 1;
        }
    }
    return 0;
}

/* Mail for the owner is for the list when that takes care of it; else for the owner himself. */
static int try_owner(const struct alias_set *s, const struct alias_query *q, size_t local_len,
                     struct alias_answer *ret)
{
    char *members;
    const char *list;
    size_t len;
    int r = 0;

    if (s->cfg->owners && list_of(q->local, local_len, &list, &len))
        r = try(s, q, list, len, ret);
    if (r <= 0)
        return r;
    members = q->keep_lists && ret->list ? alias_answer_file(s, ret) : NULL;
    if (!members && !ret->owner.kind)
        return 0;
    ret->how = ALIAS_BY_OWNER;
    ret->name_at = (size_t)(list - q->local);
    ret->name_len = len;
    ret->list = members != NULL;
    free(members);
    if (ret->list)
        return 1;
    ret->one = ret->owner;
    ret->owner.kind = 0;
    ret->left = 0;
    ret->members = NULL;
    return 1;
}

/* "owner-LIST+user=domain" of a list that sends such. */
static int try_verp(const struct alias_set *s, const struct alias_query *q,
                    struct alias_answer *ret)
{
    const char *sign = memchr(q->local, VERP_SIGN, q->local_len);
    size_t at = sign ? (size_t)(sign - q->local) : 0;
    int r;

    if (!q->keep_lists || !at || text_ncasecmp(q->local, "owner-", 6) != 0 ||
        !memchr(sign, '=', q->local_len - at))
        return 0;
    r = try_owner(s, q, at, ret);
    return r > 0 ? ret->list : r;
}

/* --- the step --- */

char alias_subaddress(const struct config_aliases *cfg)
{
    return cfg->subaddress ? *cfg->subaddress : 0;
}

/* Where the folder's delimiter is, or 0. */
static size_t delimiter_at(const struct alias_query *q, char subaddress)
{
    const char *at =
        subaddress && q->local_len ? memchr(q->local + 1, subaddress, q->local_len - 1) : NULL;

    return at ? (size_t)(at - q->local) : 0;
}

int alias_lookup(const struct alias_set *s, const struct alias_query *q, struct alias_answer *ret)
{
    size_t at;
    int r = try(s, q, q->local, q->local_len, ret);

    if (!r)
        r = try_verp(s, q, ret);
    if (r)
        return r;
    at = delimiter_at(q, alias_subaddress(s->cfg));
    r = at ? try(s, q, q->local, at, ret) : 0;
    if (r > 0)
        ret->folder_at = at + 1;
    return r ? r : try_owner(s, q, q->local_len, ret);
}

int alias_lookup_personal(const struct alias_source *s, const struct alias_query *q,
                          char subaddress, struct alias_answer *ret)
{
    size_t at = delimiter_at(q, subaddress), len = q->local_len;
    struct alias_record rec;
    struct alias_key k;

    for (;; len = at) {
        if (alias_key_make(&k, q->local, len, NULL) == 0 &&
            alias_map_find(&s->map, k.v, k.len, &rec))
            break;
        if (!at || len == at)
            return 0;
    }
    alias_answer_record(ret, s, &rec);
    ret->how = ALIAS_BY_USER;
    ret->folder_at = len < q->local_len ? at + 1 : 0;
    return 1;
}

char *alias_answer_file(const struct alias_set *s, const struct alias_answer *a)
{
    struct alias_answer all = *a; /* for its targets only: see alias.h */
    struct alias_target t, other;
    const char *why;

    if (a->members) /* a .DIS file */
        return mem_strdup(a->file);
    if (!a->owner.kind || !alias_answer_next(&all, &t) || t.kind != ALIAS_INCLUDE ||
        alias_answer_next(&all, &other))
        return NULL;
    return alias_path(s->cfg, t.file, t.text, &why);
}

int alias_members(const struct alias_set *s, const struct alias_target *t, struct alias_answer *ret,
                  const char **reterr_why)
{
    char *path = alias_path(s->cfg, t->file, t->text, reterr_why);
    const struct alias_file *f = path ? map_get(s->includes, path) : NULL;

    if (path && (!f || !f->source))
        *reterr_why = f ? f->why : "the file of its members could not be read";
    free(path);
    if (!f || !f->source)
        return -ENOENT;
    alias_answer_members(ret, f->source);
    return 0;
}
