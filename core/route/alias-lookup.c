/* One step: what does an address stand for? The full address first, then the name; what the
 * operator wrote as it stands first, then without its "+folder", then as the owner of a list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "route/alias-set.h"
#include "util/buf.h"
#include "util/text.h"

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

/* The first file that has the name. Most files hold names of one sort: the others are not asked. */
static const struct alias_source *find_source(const struct alias_set *s, const struct alias_key *k,
                                              int owner, struct alias_record *ret)
{
    int address = k->len > k->local_len;

    for (size_t i = 0; i < s->file_n; i++) {
        const struct alias_source *source = s->files[i]->source;

        if (!source || (address && !source->map.addresses) || (owner && !source->map.owners))
            continue;
        if (alias_map_find(&source->map, k->v, k->len, ret))
            return source;
    }
    return NULL;
}

static int find(const struct alias_set *s, const struct alias_key *k, struct alias_answer *ret)
{
    struct alias_record rec;
    const struct alias_source *source = find_source(s, k, 0, &rec);

    if (source)
        alias_answer_record(ret, source, &rec);
    return source != NULL;
}

static int find_list(const struct alias_set *s, const struct alias_key *k, struct alias_answer *ret)
{
    const struct alias_file *f = map_get_n(s->lists, k->v, k->local_len);

    if (!f || !f->source)
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

/* "owner-NAME" among the aliases makes NAME a list, as sendmail has it. */
static void find_owner(const struct alias_set *s, const char *local, size_t len, const char *domain,
                       struct alias_answer *a)
{
    char name[POSTERN_LOCAL_MAX + 1];
    struct alias_record rec;
    struct alias_key k;

    if (!s->cfg->owners || a->owner.kind || len + 6 > POSTERN_LOCAL_MAX)
        return;
    memcpy(name, "owner-", 6);
    memcpy(name + 6, local, len);
    if (alias_key_make(&k, name, len + 6, domain) < 0)
        return;
    if (!find_source(s, &k, 1, &rec))
        return;
    a->list = 1;
    own_owner(a, name, len + 6, domain);
}

/* The local part as given here, in the ways that are asked for. */
static int try(const struct alias_set *s, const struct alias_query *q, const char *local,
               size_t len, struct alias_answer *ret)
{
    struct alias_key k;

    if ((q->virtual_domain || s->cfg->virtual_aliases) && *q->domain &&
        alias_key_make(&k, local, len, q->domain) == 0 && find(s, &k, ret)) {
        ret->how = ALIAS_BY_ADDRESS;
        find_owner(s, local, len, q->domain, ret);
        return 1;
    }
    if (!q->local_domain || alias_key_make(&k, local, len, NULL) < 0)
        return 0;
    if (find(s, &k, ret))
        ret->how = ALIAS_BY_NAME;
    else if (!find_list(s, &k, ret))
        return 0;
    find_owner(s, local, len, NULL, ret);
    return 1;
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

static int try_owner(const struct alias_set *s, const struct alias_query *q,
                     struct alias_answer *ret)
{
    const char *list;
    size_t len;

    if (!s->cfg->owners || !list_of(q->local, q->local_len, &list, &len) ||
        !try(s, q, list, len, ret) || !ret->owner.kind)
        return 0;
    ret->how = ALIAS_BY_OWNER;
    ret->list = 0;
    ret->one = ret->owner;
    ret->owner.kind = 0;
    ret->left = 0;
    ret->members = NULL;
    return 1;
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

    if (try(s, q, q->local, q->local_len, ret))
        return 1;
    at = delimiter_at(q, alias_subaddress(s->cfg));
    if (at && try(s, q, q->local, at, ret)) {
        ret->folder_at = at + 1;
        return 1;
    }
    return try_owner(s, q, ret);
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

int alias_members(const struct alias_set *s, const struct alias_target *t, struct alias_answer *ret,
                  const char **reterr_why)
{
    char *path = alias_path(s->cfg, t->file, t->text, reterr_why);
    const struct alias_file *f = path ? map_get(s->includes, path) : NULL;

    if (path && (!f || !f->source))
        *reterr_why = "the file of its members could not be read";
    free(path);
    if (!f || !f->source)
        return -ENOENT;
    alias_answer_members(ret, f->source);
    return 0;
}
