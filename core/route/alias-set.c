/* All files together. What has not changed since the set before is taken from there. */
#include "route/alias-set.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/text.h"

#define DIS ".dis"

struct load {
    const struct config_aliases *cfg;
    const struct alias_set *old; /* may be NULL */
    struct alias_set *set;
    struct alias_report *report;
    int fresh; /* something differs from old */
};

static struct alias_file *load_file(struct load *l, const char *path, enum alias_syntax syntax,
                                    const struct alias_file *old)
{
    int members = syntax == ALIAS_SYNTAX_DIS || syntax == ALIAS_SYNTAX_INCLUDE;
    struct alias_limits how = {
        .syntax = syntax,
        .max = members ? ALIAS_LIST_MAX : ALIAS_FILE_MAX,
        .gentle = members,
    };
    struct alias_file *f = alias_file_load(path, &how, old, l->report);

    l->fresh |= f->fresh;
    return f;
}

/* --- alias files --- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

enum alias_syntax alias_syntax_of(const struct config_alias_file *file)
{
    const char *name = base_name(file->path);
    size_t len = strlen(name);

    if (file->syntax != ALIAS_SYNTAX_AUTO)
        return (enum alias_syntax)file->syntax;
    if (len > 5 && text_casecmp(name + len - 5, ".json") == 0)
        return ALIAS_SYNTAX_JSON;
    return strcmp(name, "aliases") == 0 ? ALIAS_SYNTAX_SENDMAIL : ALIAS_SYNTAX_TCPWARE;
}

static void load_files(struct load *l)
{
    const struct config_alias_file *files = l->cfg->files.v;
    size_t n = l->cfg->files.n;
    struct alias_file **v = mem_zalloc((n + 1) * sizeof *v), *const *old = NULL;

    if (l->old)
        old = l->old->files; /* of the same configuration: the same files in the same order */
    for (size_t i = 0; i < n; i++)
        v[i] = load_file(l, files[i].path, alias_syntax_of(&files[i]), old ? old[i] : NULL);
    if (l->cfg->full_names) {
        v[n] = load_file(l, l->cfg->full_names, ALIAS_SYNTAX_PASSWD, old ? old[n] : NULL);
        n++;
    }
    l->set->files = v;
    l->set->file_n = n;
}

/* --- .DIS files --- */

static int is_dis(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name), dis = sizeof DIS - 1;

    return len > dis && text_casecmp(entry->d_name + len - dis, DIS) == 0;
}

static void load_list(struct load *l, const char *folder, const char *file)
{
    size_t len = strlen(file) - (sizeof DIS - 1);
    char *name AUTO_FREE = mem_strndup(file, len), *path AUTO_FREE = NULL;
    struct alias_file *f;

    text_lower_str(name);
    if (map_get(l->set->lists, name) || map_count(l->set->lists) >= ALIAS_LISTS_MAX)
        return; /* folders are a search list: the first that has it */
    path = mem_printf("%s/%s", folder, file);
    f = load_file(l, path, ALIAS_SYNTAX_DIS, l->old ? map_get(l->old->lists, name) : NULL);
    f->behind = l->set->unseen != NULL;
    map_set(l->set->lists, name, f);
}

struct kept { /* while the lists of the set before are gone through */
    struct load *l;
    const char *folder;
};

static void keep_list(void *ctx, const char *name, void *value)
{
    const struct kept *kept = ctx;
    const struct alias_file *old = value;
    size_t len = strlen(kept->folder);

    (void)name;
    if (!strncmp(old->path, kept->folder, len) && old->path[len] == '/')
        load_list(kept->l, kept->folder, old->path + len + 1);
}

static enum alias_folder folder_before(const struct load *l, size_t i)
{
    return l->old ? (enum alias_folder)l->old->folders[i] : ALIAS_FOLDER_READ;
}

/* A folder that can't be read keeps the lists that it had, like a file that is broken. */
static void keep_folder(struct load *l, size_t i, int err)
{
    enum alias_folder before = folder_before(l, i);
    const char *folder = l->cfg->lists.v[i];
    struct kept kept = { l, folder };

    if (before == ALIAS_FOLDER_READ) /* said once */
        config_error(&l->report->errors, folder, NULL, "%s (it is in aliases.lists)",
                     strerror(err));
    if (l->old && before != ALIAS_FOLDER_NEVER) {
        l->set->folders[i] = ALIAS_FOLDER_KEPT;
        map_each(l->old->lists, keep_list, &kept);
        return;
    }
    l->set->folders[i] = ALIAS_FOLDER_NEVER;
    if (!l->set->unseen)
        l->set->unseen = mem_printf("%s: %s", folder, strerror(err));
}

static void load_folder(struct load *l, size_t which)
{
    const char *folder = l->cfg->lists.v[which];
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_dis, alphasort);

    if (n < 0)
        keep_folder(l, which, errno);
    l->fresh |= l->set->folders[which] != folder_before(l, which);
    if (n > (int)ALIAS_LISTS_MAX && !l->old)
        config_error(&l->report->warnings, folder, NULL, "found %d lists, expected at most %u", n,
                     ALIAS_LISTS_MAX);
    for (int i = 0; i < n; i++) {
        load_list(l, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static void load_lists(struct load *l)
{
    l->set->folders = mem_zalloc(l->cfg->lists.n + 1);
    for (size_t i = 0; i < l->cfg->lists.n; i++)
        load_folder(l, i);
    if (l->old && map_count(l->old->lists) != map_count(l->set->lists))
        l->fresh = 1;
}

/* --- files that aliases name --- */

static void load_include(struct load *l, const struct alias_file *named_in,
                         const struct alias_record *rec, const struct alias_target *t)
{
    const char *why = "the links on the way lead out of aliases.roots";
    char *path AUTO_FREE = alias_path(l->cfg, named_in->path, t->text, &why);
    struct map *includes = l->set->includes;
    char *where AUTO_FREE = NULL;

    if (path && map_get(includes, path))
        return;
    if (path && map_count(includes) >= ALIAS_INCLUDES_MAX)
        why = "aliases name more files than may be read";
    else if (path && t->kind == ALIAS_FILE)
        return; /* the transport's to open */
    else if (path && alias_path_allowed(l->cfg, path) != -EACCES) {
        map_set(includes, path,
                load_file(l, path, ALIAS_SYNTAX_INCLUDE,
                          l->old ? map_get(l->old->includes, path) : NULL));
        return;
    }
    if (!named_in->fresh)
        return; /* said when it was read */
    where = mem_printf("%s:%u", named_in->path, rec->line);
    config_error(&l->report->warnings, where, NULL,
                 "\"%s\" cannot be used, mail for this alias will wait: %s", t->text, why);
}

static void load_includes_of(struct load *l, const struct alias_file *f)
{
    struct alias_record rec;
    struct alias_target t;
    size_t at = 0;

    if (!f->source || !f->source->map.files)
        return;
    while (alias_map_next(&f->source->map, &at, &rec)) {
        const char *p = rec.targets;

        for (size_t i = 0; i < rec.target_n; i++) {
            p = alias_map_target(p, &t);
            if (t.kind == ALIAS_INCLUDE || t.kind == ALIAS_FILE)
                load_include(l, f, &rec, &t);
        }
    }
}

/* --- the whole --- */

static int is_whole(struct alias_file *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!v[i]->source)
            return 0;
    }
    return 1;
}

int alias_set_load(const struct config_aliases *cfg, const struct alias_set *old,
                   struct alias_set **ret, struct alias_report *report)
{
    struct alias_set *set = mem_zalloc(sizeof *set);
    struct load l = { cfg, old, set, report, !old };

    atomic_init(&set->refs, 1);
    set->cfg = cfg;
    set->lists = map_new();
    set->includes = map_new();
    load_files(&l);
    load_lists(&l);
    for (size_t i = 0; i < set->file_n; i++) {
        load_includes_of(&l, set->files[i]);
        alias_check_owners(cfg, set->files[i], report);
    }
    set->whole = is_whole(set->files, set->file_n) && !set->unseen;
    if (!l.fresh) {
        alias_set_unref(&set);
        return 0;
    }
    *ret = set;
    return 1;
}

struct alias_set *alias_set_ref(struct alias_set *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void free_file(void *f)
{
    struct alias_file *file = f;

    alias_file_free(&file);
}

static void free_files(struct alias_file **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        alias_file_free(&v[i]);
    free(v);
}

void alias_set_unref(struct alias_set **s)
{
    struct alias_set *old = STEAL_PTR(*s);

    if (!old || atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) > 1)
        return;
    free_files(old->files, old->file_n);
    map_free(&old->lists, free_file);
    map_free(&old->includes, free_file);
    free(old->folders);
    free(old->unseen);
    free(old);
}

void alias_set_swap(struct alias_set **current, struct alias_set **fresh)
{
    alias_set_unref(current);
    *current = STEAL_PTR(*fresh);
}

int alias_set_whole(const struct alias_set *s)
{
    return s->whole;
}

size_t alias_set_count(const struct alias_set *s)
{
    size_t n = map_count(s->lists);

    for (size_t i = 0; i < s->file_n; i++)
        n += s->files[i]->source ? s->files[i]->source->map.record_n : 0;
    return n;
}

static size_t file_bytes(const struct alias_file *f)
{
    const struct alias_map *m = f->source ? &f->source->map : NULL;

    return sizeof *f + (m ? sizeof *f->source + m->cap + m->slot_n * sizeof *m->slots : 0);
}

static void add_bytes(void *ctx, const char *key, void *file)
{
    *(size_t *)ctx += strlen(key) + file_bytes(file);
}

size_t alias_set_bytes(const struct alias_set *s)
{
    size_t n = sizeof *s;

    for (size_t i = 0; i < s->file_n; i++)
        n += file_bytes(s->files[i]);
    map_each(s->lists, add_bytes, &n);
    map_each(s->includes, add_bytes, &n);
    return n;
}
