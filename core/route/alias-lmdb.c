/* Compiling alias files into an LMDB file. Everything is gathered, sorted and appended in one
 * transaction: that makes the smallest file, in the least time. */
#include "route/alias-lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "route/alias-set.h"
#include "util/cleanup.h"

#define MAP_SIZE_MIN ((size_t)1 << 20)
#define FILE_MODE    0644

struct entry { /* places in build.bytes; the value is behind the key */
    size_t at;
    uint32_t key_len, value_len;
    int made; /* of a list's owner: no alias of a file */
};
struct build {
    const struct config_aliases *cfg;
    struct alias_report *report;
    const struct alias_map *map; /* the file being read */
    const char *folder;          /* where it stands, for relative paths */
    const char *file;
    struct buf bytes;
    struct entry *v;
    size_t n, cap;
};

/* --- values --- */

/* A list of words as one line: only where nobody can read it in two ways. */
static int add_command(struct build *b, const struct alias_target *t, uint32_t line)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./=:@%+,-";

    buf_addc(&b->bytes, '|');
    if (!(t->flags & ALIAS_ARGV)) {
        buf_add(&b->bytes, t->text, t->len);
        return 0;
    }
    for (size_t at = 0; at < t->len; at += strlen(t->text + at) + 1) {
        const char *word = t->text + at;

        if (!*word || word[strspn(word, plain)]) {
            config_error(&b->report->errors, b->file, NULL,
                         "line %u: the word \"%s\" of a command has characters that only a list of "
                         "words can hold, and a map has lines; put the command into a script",
                         line, word);
            return -EINVAL;
        }
        buf_printf(&b->bytes, "%s%s", at ? " " : "", word);
    }
    return 0;
}

static int is_relative(const char *path)
{
    return *path != '/' && !strpbrk(path, ":[");
}

static void add_file(struct build *b, const struct alias_target *t)
{
    buf_adds(&b->bytes, alias_file_mark(t));
    if (is_relative(t->text))
        buf_printf(&b->bytes, "%s/", b->folder);
    buf_add(&b->bytes, t->text, t->len);
}

/* Members can be called what is no address to a reader of targets: "|x@example.org" is a person,
 * and must not come back as a command. In quotes nothing has a meaning. */
static int add_address(struct build *b, const struct alias_target *t, uint32_t line)
{
    struct postern_address a = { .size = sizeof a };
    struct address_fault fault = { NULL, 0 };
    size_t at = b->bytes.len, local;

    if (!strchr(ALIAS_MARKS, *t->text)) {
        buf_add(&b->bytes, t->text, t->len);
        return 0;
    }
    local = strcspn(t->text, "@"); /* a mark is no quote, so none of these is inside of any */
    buf_printf(&b->bytes, "\"%.*s\"%s", (int)local, t->text, t->text + local);
    if (address_parse(b->bytes.data + at, b->bytes.len - at,
                      POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, &fault) == 0)
        return 0;
    config_error(&b->report->errors, b->file, NULL,
                 "line %u: \"%s\" begins like a target that is no address, and in quotes it is "
                 "none: %s",
                 line, t->text, fault.why);
    return -EINVAL;
}

static int add_members(struct build *b, const struct alias_target *t, uint32_t line, size_t *count);

static int add_target(struct build *b, const struct alias_target *t, uint32_t line, size_t *count)
{
    int r = 0;

    if (t->kind == ALIAS_INCLUDE)
        return add_members(b, t, line, count);
    if (++*count > ALIAS_TARGETS_MAX) {
        config_error(&b->report->errors, b->file, NULL,
                     "line %u: the alias has more than %u targets, with the members of its lists",
                     line, ALIAS_TARGETS_MAX);
        return -E2BIG;
    }
    switch (t->kind) {
    case ALIAS_LOCAL:
        buf_printf(&b->bytes, "%s%s", t->flags & ALIAS_OWN ? "*" : "_", t->text);
        break;
    case ALIAS_PIPE:
        r = add_command(b, t, line);
        break;
    case ALIAS_FILE:
        add_file(b, t);
        break;
    default:
        r = add_address(b, t, line);
    }
    buf_addc(&b->bytes, '\0');
    return r;
}

/* The members that stand in a file of their own, one by one: a map is whole. */
static int add_members(struct build *b, const struct alias_target *t, uint32_t line, size_t *count)
{
    struct alias_limits how = { .syntax = ALIAS_SYNTAX_INCLUDE, .max = ALIAS_LIST_MAX };
    const char *why = NULL;
    char *path AUTO_FREE = alias_path(b->cfg, b->file, t->text, &why);
    struct alias_file *f;
    struct alias_record rec;
    size_t at = 0;
    int r = 0;

    if (!path || alias_path_allowed(b->cfg, path) == -EACCES) {
        config_error(&b->report->errors, b->file, NULL, "line %u: %s: %s", line, t->text,
                     path ? "a link leads out of the folders of aliases.roots" : why);
        return -EINVAL;
    }
    f = alias_file_load(path, &how, NULL, b->report);
    if (!f->source)
        r = -EINVAL;
    while (!r && alias_map_next(&f->source->map, &at, &rec)) {
        const char *p = rec.targets;
        struct alias_target member;

        for (size_t i = 0; i < rec.target_n && !r; i++) {
            p = alias_map_target(p, &member);
            r = add_target(b, &member, rec.line, count);
        }
    }
    alias_file_free(&f);
    return r;
}

/* --- entries --- */

/* An alias owner-NAME makes NAME a list, as sendmail has it. */
static void add_sendmail_owner(struct build *b, const struct alias_record *rec)
{
    char name[ALIAS_KEY_MAX + 8];
    struct alias_record ignored;

    if (!b->cfg->owners || !b->map->owners || rec->name_len + 6 > ALIAS_KEY_MAX)
        return;
    memcpy(name, "owner-", 6);
    memcpy(name + 6, rec->name, rec->name_len);
    if (!alias_map_find(b->map, name, rec->name_len + 6, &ignored))
        return;
    buf_adds(&b->bytes, "::");
    alias_key_print(name, rec->name_len + 6, &b->bytes);
    buf_addc(&b->bytes, '\0');
}

static int add_values(struct build *b, const struct alias_record *rec)
{
    const char *p = rec->targets;
    struct alias_target t;
    size_t count = 0;
    int r = 0;

    if (!(rec->flags & ALIAS_RECORD_LIST))
        add_sendmail_owner(b, rec);
    for (size_t i = 0; i < rec->target_n && !r; i++) {
        p = alias_map_target(p, &t);
        if (i == 0 && rec->flags & ALIAS_RECORD_LIST) {
            buf_adds(&b->bytes, "::");
        }
        r = add_target(b, &t, rec->line, &count);
    }
    return r;
}

static void add_key(struct build *b, const struct entry *e)
{
    if (b->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 1024;
        b->v = mem_realloc(b->v, b->cap * sizeof *b->v);
    }
    b->v[b->n++] = *e;
}

static int add_entry(struct build *b, const struct alias_record *rec)
{
    struct entry e = { .at = b->bytes.len };
    int r;

    alias_key_print(rec->name, rec->name_len, &b->bytes);
    e.key_len = (uint32_t)(b->bytes.len - e.at);
    if (e.key_len > ALIAS_LMDB_KEY_MAX) {
        config_error(&b->report->errors, b->file, NULL,
                     "line %u: found a name of %u bytes, expected at most %u in a map", rec->line,
                     e.key_len, ALIAS_LMDB_KEY_MAX);
        return -ENAMETOOLONG;
    }
    r = add_values(b, rec);
    e.value_len = (uint32_t)(b->bytes.len - e.at - e.key_len);
    add_key(b, &e);
    return r;
}

/* --- owners --- */

/* What is too long for a name, or for a map, is no name that anybody could ask for. */
static void add_owner(struct build *b, const struct alias_key *list, const char *before,
                      const char *after, const char *owner)
{
    struct entry e = { .at = b->bytes.len, .made = 1 };
    char local[POSTERN_LOCAL_MAX + 16];
    struct alias_key k;
    int n = snprintf(local, sizeof local, "%s%.*s%s", before, (int)list->local_len, list->v, after);

    if (alias_key_make(&k, local, (size_t)n,
                       list->len > list->local_len ? list->v + list->local_len + 1 : NULL) < 0)
        return;
    alias_key_print(k.v, k.len, &b->bytes);
    e.key_len = (uint32_t)(b->bytes.len - e.at);
    e.value_len = (uint32_t)strlen(owner) + 1;
    if (e.key_len > ALIAS_LMDB_KEY_MAX)
        return;
    buf_add(&b->bytes, owner, e.value_len);
    add_key(b, &e);
}

/* A directory is asked for names, not for lists by the names of their owners: so these are entries
 * like others. They stand behind all of those, for the first of one name counts. */
static void add_owners(struct build *b)
{
    for (size_t i = 0, n = b->n; b->cfg->owners && i < n; i++) {
        const struct entry e = b->v[i];
        const char *value = b->bytes.data + e.at + e.key_len;
        char *owner AUTO_FREE = NULL;
        struct address_fault fault = { NULL, 0 };
        struct alias_key list;

        if (e.value_len < 3 || memcmp(value, "::", 2) != 0 ||
            alias_key_parse(&list, b->bytes.data + e.at, e.key_len, &fault) < 0)
            continue;
        owner = mem_strdup(value + 2);
        add_owner(b, &list, "owner-", "", owner);
        add_owner(b, &list, "", "-owner", owner);
        add_owner(b, &list, "", "-request", owner);
    }
}

static int read_file(struct build *b, const struct config_alias_file *file)
{
    struct alias_limits how = { .syntax = alias_syntax_of(file), .max = ALIAS_FILE_MAX };
    char folder[PATH_MAX], *whole AUTO_FREE = realpath(file->path, NULL);
    struct alias_file *f = alias_file_load(whole ? whole : file->path, &how, NULL, b->report);
    struct alias_record rec;
    size_t at = 0;
    int r = f->source ? 0 : -EINVAL;

    if (!r) {
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(f->path, '/') - f->path), f->path);
        b->folder = folder;
        b->file = f->path;
        b->map = &f->source->map;
    }
    while (!r && alias_map_next(b->map, &at, &rec))
        r = add_entry(b, &rec);
    alias_file_free(&f);
    return r;
}

/* --- the order of LMDB --- */

static int compare(const void *a, const void *b, void *ctx)
{
    const struct entry *x = a, *y = b;
    const char *bytes = ctx;
    size_t len = x->key_len < y->key_len ? x->key_len : y->key_len;
    int r = memcmp(bytes + x->at, bytes + y->at, len);

    if (!r && x->key_len != y->key_len)
        r = x->key_len < y->key_len ? -1 : 1;
    /* Of one name the first counts. */
    return r ? r : x->at < y->at ? -1 : 1;
}

static size_t count_aliases(const struct build *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++)
        n += !b->v[i].made;
    return n;
}

static void sort_entries(struct build *b)
{
    size_t kept = 0;

    if (!b->n)
        return;
    qsort_r(b->v, b->n, sizeof *b->v, compare, b->bytes.data);
    for (size_t i = 1; i < b->n; i++) {
        const struct entry *last = &b->v[kept], *e = &b->v[i];

        if (e->key_len != last->key_len ||
            memcmp(b->bytes.data + e->at, b->bytes.data + last->at, e->key_len) != 0)
            b->v[++kept] = *e;
    }
    b->n = kept + 1;
}

/* --- writing --- */

static int lmdb_errno(int r)
{
    return r > 0 ? -r : r == MDB_SUCCESS ? 0 : -EIO;
}

/* The key of the meta entry begins with a NUL and so comes before all names. */
static int put_all(const struct build *b, MDB_txn *txn, MDB_dbi dbi)
{
    char meta[64];
    MDB_val key = { ALIAS_LMDB_META_LEN, (void *)ALIAS_LMDB_META };
    int n = snprintf(meta, sizeof meta, "%s%c%zu", ALIAS_LMDB_VERSION, 0, count_aliases(b)), r;
    MDB_val value = { (size_t)n + 1, meta };

    r = mdb_put(txn, dbi, &key, &value, MDB_APPEND);
    for (size_t i = 0; i < b->n && r == MDB_SUCCESS; i++) {
        const struct entry *e = &b->v[i];

        key = (MDB_val){ e->key_len, b->bytes.data + e->at };
        value = (MDB_val){ e->value_len, b->bytes.data + e->at + e->key_len };
        r = mdb_put(txn, dbi, &key, &value, MDB_APPEND);
    }
    return r;
}

static int write_txn(const struct build *b, MDB_env *env)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    int r = mdb_txn_begin(env, NULL, 0, &txn);

    if (r != MDB_SUCCESS)
        return r;
    r = mdb_dbi_open(txn, NULL, 0, &dbi);
    if (r == MDB_SUCCESS)
        r = put_all(b, txn, dbi);
    if (r == MDB_SUCCESS)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return r;
}

static int write_file(const struct build *b, const char *path, size_t map_size)
{
    MDB_env *env;
    int r = mdb_env_create(&env);

    if (r != MDB_SUCCESS)
        return r;
    r = mdb_env_set_mapsize(env, map_size);
    if (r == MDB_SUCCESS)
        r = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, FILE_MODE);
    if (r == MDB_SUCCESS)
        r = write_txn(b, env);
    if (r == MDB_SUCCESS)
        r = mdb_env_sync(env, 1);
    mdb_env_close(env);
    return r;
}

/* How large it gets is known when it is there. */
static int write_grown(const struct build *b, const char *path)
{
    size_t size = MAP_SIZE_MIN + 2 * (b->bytes.len + 16 * b->n);
    int r;

    do {
        unlink(path);
        r = write_file(b, path, size);
    } while (r == MDB_MAP_FULL && !__builtin_mul_overflow(size, (size_t)2, &size));
    return lmdb_errno(r);
}

static int sync_folder(const char *path)
{
    char *folder AUTO_FREE = mem_strdup(path), *slash = strrchr(folder, '/');
    int fd AUTO_CLOSE = -1;

    if (slash)
        slash[slash == folder] = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Beside it, under a name that nobody else takes, and then in its place. */
static int replace(const struct build *b, const char *path)
{
    char *fresh AUTO_FREE = mem_printf("%s.%d.new", path, (int)getpid());
    int r = write_grown(b, fresh);

    if (!r && rename(fresh, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(fresh);
        config_error(&b->report->errors, path, NULL, "cannot be written: %s", strerror(-r));
        return r;
    }
    return sync_folder(path);
}

int alias_lmdb_build(const struct config_aliases *cfg, const struct config_alias_file *files,
                     size_t n, const char *path, size_t *ret_count, struct alias_report *report)
{
    struct build b = { .cfg = cfg, .report = report };
    int r = 0;

    for (size_t i = 0; i < n && !r; i++)
        r = read_file(&b, &files[i]);
    if (!r) {
        add_owners(&b);
        sort_entries(&b);
        r = replace(&b, path);
    }
    if (!r)
        *ret_count = count_aliases(&b);
    buf_free(&b.bytes);
    free(b.v);
    return r;
}

/* --- reading, for whoever asks by hand --- */

static int get(MDB_txn *txn, const struct buf *name, struct buf *out)
{
    MDB_val key = { ALIAS_LMDB_META_LEN, (void *)ALIAS_LMDB_META }, value;
    MDB_dbi dbi;
    int r = mdb_dbi_open(txn, NULL, 0, &dbi);

    if (r == MDB_SUCCESS)
        r = mdb_get(txn, dbi, &key, &value);
    if (r == MDB_NOTFOUND)
        return MDB_INVALID;
    key = (MDB_val){ name->len, name->data };
    if (r == MDB_SUCCESS)
        r = mdb_get(txn, dbi, &key, &value);
    if (r != MDB_SUCCESS)
        return r;
    for (const char *p = value.mv_data, *end = p + value.mv_size; p < end; p += strlen(p) + 1)
        buf_printf(out, "%s\n", p);
    return r;
}

/* Reading behind the end of a file that was cut short is SIGBUS. */
static int is_whole(MDB_env *env)
{
    struct stat st;
    MDB_envinfo info;
    MDB_stat db;
    int fd;

    return mdb_env_get_fd(env, &fd) == MDB_SUCCESS && fstat(fd, &st) == 0 &&
        mdb_env_info(env, &info) == MDB_SUCCESS && mdb_env_stat(env, &db) == MDB_SUCCESS &&
        (uint64_t)st.st_size / db.ms_psize > info.me_last_pgno;
}

int alias_lmdb_get(const char *path, const char *name, struct buf *out, const char **reterr_why)
{
    struct address_fault fault = { NULL, 0 };
    struct buf printed = { 0 };
    struct alias_key k;
    MDB_env *env;
    MDB_txn *txn;
    int r;

    if (alias_key_parse(&k, name, strlen(name), &fault) < 0) {
        *reterr_why = fault.why;
        return -EINVAL;
    }
    if (mdb_env_create(&env) != MDB_SUCCESS)
        return -ENOMEM;
    alias_key_print(k.v, k.len, &printed);
    r = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0);
    if (r == MDB_SUCCESS && !is_whole(env))
        r = MDB_INVALID;
    if (r == MDB_SUCCESS)
        r = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (r == MDB_SUCCESS) {
        r = get(txn, &printed, out);
        mdb_txn_abort(txn);
    }
    mdb_env_close(env);
    buf_free(&printed);
    *reterr_why =
        r == MDB_INVALID ? "no map made by postern map build, or not all of it" : mdb_strerror(r);
    return r == MDB_NOTFOUND ? -ENOENT : r == MDB_SUCCESS ? 0 : -EIO;
}
