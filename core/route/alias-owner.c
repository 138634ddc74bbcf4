/* Lists whose owner is the list itself: what comes back would go to all members, and what comes
 * back from them to all members again. It is said when a file is read; only what that file says
 * can be seen then. */
#include <string.h>

#include "route/alias-set.h"
#include "util/buf.h"
#include "util/cleanup.h"

#define OWNER     "owner-"
#define OWNER_LEN (sizeof OWNER - 1)
#define STEPS_MAX 2u /* aliases from the owner to the list */

static int is_key(const struct alias_key *k, const struct alias_record *rec)
{
    return k->len == rec->name_len && !memcmp(k->v, rec->name, k->len);
}

static int leads_to(const struct alias_map *m, const struct alias_target *t,
                    const struct alias_record *list, unsigned steps);

/* Does an alias of the file name the list? */
static int stands_for(const struct alias_map *m, const struct alias_record *alias,
                      const struct alias_record *list, unsigned steps)
{
    const char *p = alias->targets;
    struct alias_target t;

    for (size_t i = 0; i < alias->target_n; i++) {
        p = alias_map_target(p, &t);
        if (leads_to(m, &t, list, steps))
            return 1;
    }
    return 0;
}

static int leads_to(const struct alias_map *m, const struct alias_target *t,
                    const struct alias_record *list, unsigned steps)
{
    struct address_fault fault = { NULL, 0 };
    struct alias_record alias;
    struct alias_key k;

    if (t->kind != ALIAS_ADDRESS || alias_key_parse(&k, t->text, t->len, &fault) < 0)
        return 0;
    if (is_key(&k, list))
        return 1;
    /* Another list's members are its own business. */
    return steps && alias_map_find(m, k.v, k.len, &alias) && !(alias.flags & ALIAS_RECORD_LIST) &&
        stands_for(m, &alias, list, steps - 1);
}

static void warn(const struct alias_file *f, const struct alias_record *at,
                 const struct alias_record *list, struct alias_report *report)
{
    char *where AUTO_FREE = mem_printf("%s:%u", f->path, at->line);
    struct buf name = { 0 };

    alias_key_print(list->name, list->name_len, &name);
    config_error(&report->warnings, where, NULL,
                 "the owner of the list %s is that list itself: what comes back to its owner goes "
                 "to its members; name a person",
                 name.data);
    buf_free(&name);
}

/* "owner-NAME: NAME" */
static int owns_itself(const struct alias_map *m, const struct alias_record *rec,
                       struct alias_record *ret_list)
{
    return rec->name_len > OWNER_LEN && !memcmp(rec->name, OWNER, OWNER_LEN) &&
        alias_map_find(m, rec->name + OWNER_LEN, rec->name_len - OWNER_LEN, ret_list) &&
        stands_for(m, rec, ret_list, STEPS_MAX - 1);
}

void alias_check_owners(const struct config_aliases *cfg, const struct alias_file *f,
                        struct alias_report *report)
{
    const struct alias_map *m = f->source ? &f->source->map : NULL;
    struct alias_record rec, list;
    struct alias_target owner;
    size_t at = 0;

    if (!m || !f->fresh)
        return;
    while (alias_map_next(m, &at, &rec)) {
        if (rec.flags & ALIAS_RECORD_LIST) {
            alias_map_target(rec.targets, &owner);
            if (leads_to(m, &owner, &rec, STEPS_MAX - 1))
                warn(f, &rec, &rec, report);
        } else if (cfg->owners && owns_itself(m, &rec, &list)) {
            warn(f, &rec, &list, report);
        }
    }
}
