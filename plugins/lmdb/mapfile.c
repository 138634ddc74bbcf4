/* mapfile.c: see mapfile.h. The format is that of core/route/alias-lmdb.h: a name as key, the
 * targets with a NUL behind each as value, and an entry that says which version this is. */
#include "mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META     "\0postern"
#define META_LEN (sizeof META - 1)
#define VERSION  "1"
#define KEY_MAX  511u

#define CUT_SHORT "it is shorter than it was made: build the map again"

struct mapfile {
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t count, bytes;
    struct stat seen;
};

static int fail(char *why, size_t why_size, const char *path, int r, const char *what)
{
    snprintf(why, why_size, "%s: %s", path, what ? what : mdb_strerror(r));
    return r > 0 ? -r : -EINVAL;
}

/* LMDB reads what it has mapped, and there is nothing behind the end of a file that was cut short:
 * SIGBUS. So its length is looked at first. */
static int is_whole(const struct mapfile *m)
{
    struct stat st;
    int fd;

    return mdb_env_get_fd(m->env, &fd) == MDB_SUCCESS && fstat(fd, &st) == 0 &&
        (uint64_t)st.st_size >= m->bytes;
}

static uint64_t bytes_in_use(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat st;

    if (mdb_env_info(env, &info) != MDB_SUCCESS || mdb_env_stat(env, &st) != MDB_SUCCESS)
        return UINT64_MAX;
    return ((uint64_t)info.me_last_pgno + 1) * st.ms_psize;
}

/* Reads the entry of the version; keeps the handle of the database. */
static int check_meta(struct mapfile *m, const char *path, char *why, size_t why_size)
{
    MDB_val key = { META_LEN, (void *)META }, value;
    MDB_txn *txn;
    int r = mdb_txn_begin(m->env, NULL, MDB_RDONLY, &txn);

    if (r != MDB_SUCCESS)
        return fail(why, why_size, path, r, NULL);
    r = mdb_dbi_open(txn, NULL, 0, &m->dbi);
    if (r == MDB_SUCCESS)
        r = mdb_get(txn, m->dbi, &key, &value);
    if (r == MDB_NOTFOUND) {
        r = fail(why, why_size, path, 0,
                 "found an LMDB file, expected one that was made by "
                 "`postern map build`");
    } else if (r != MDB_SUCCESS) {
        r = fail(why, why_size, path, r, NULL);
    } else if (value.mv_size < sizeof VERSION + 1 ||
               memcmp(value.mv_data, VERSION, sizeof VERSION) != 0 ||
               ((const char *)value.mv_data)[value.mv_size - 1]) {
        r = fail(why, why_size, path, 0,
                 "it was made by another version of `postern map build`: "
                 "build it again");
    } else {
        m->count = strtoull((const char *)value.mv_data + sizeof VERSION, NULL, 10);
    }
    /* Committed, not aborted: the handle stays. */
    if (r < 0)
        mdb_txn_abort(txn);
    else if (mdb_txn_commit(txn) != MDB_SUCCESS)
        r = -EIO;
    return r;
}

static int check_file(struct mapfile *m, const char *path, char *why, size_t why_size)
{
    m->bytes = bytes_in_use(m->env);
    if (!is_whole(m))
        return fail(why, why_size, path, 0, CUT_SHORT);
    return check_meta(m, path, why, why_size);
}

int mapfile_open(const char *path, struct mapfile **ret, char *why, size_t why_size)
{
    struct mapfile *m = calloc(1, sizeof *m);
    int r = m ? mdb_env_create(&m->env) : ENOMEM, fd;

    if (r != MDB_SUCCESS) {
        free(m);
        return fail(why, why_size, path, r, NULL);
    }
    /* Nobody writes to it, ever: a new version is a new file. So there are no locks. */
    r = mdb_env_open(m->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NORDAHEAD, 0);
    if (r == MDB_SUCCESS && mdb_env_get_fd(m->env, &fd) == MDB_SUCCESS) {
        if (fstat(fd, &m->seen) < 0)
            r = errno;
        else /* look-ups should find it in memory */
            posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    }
    r = r != MDB_SUCCESS ? fail(why, why_size, path, r, NULL) : check_file(m, path, why, why_size);
    if (r < 0) {
        mapfile_close(&m);
        return r;
    }
    *ret = m;
    return 0;
}

void mapfile_close(struct mapfile **m)
{
    if (!*m)
        return;
    mdb_env_close((*m)->env);
    free(*m);
    *m = NULL;
}

int mapfile_changed(const struct mapfile *m, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    return st.st_dev != m->seen.st_dev || st.st_ino != m->seen.st_ino ||
        st.st_size != m->seen.st_size || st.st_mtim.tv_sec != m->seen.st_mtim.tv_sec ||
        st.st_mtim.tv_nsec != m->seen.st_mtim.tv_nsec;
}

uint64_t mapfile_count(const struct mapfile *m)
{
    return m->count;
}

/* --- looking up --- */

static size_t count_values(const char *p, const char *end)
{
    size_t n = 0;

    for (; p < end; p++)
        n += !*p;
    return n;
}

static int give(const MDB_val *value, mapfile_found *found, void *ctx, char *why, size_t why_size)
{
    const char *p = value->mv_data, *end = p + value->mv_size, **v;
    size_t n = count_values(p, end);

    if (!n || end[-1] || n > POSTERN_LOOKUP_VALUES_MAX + 1) {
        snprintf(why, why_size, "the map is damaged: build it again");
        return -EIO;
    }
    v = malloc(n * sizeof *v);
    if (!v) {
        snprintf(why, why_size, "out of memory");
        return -EIO;
    }
    for (size_t i = 0; i < n; i++, p += strlen(p) + 1)
        v[i] = p;
    found(ctx, v, n);
    free(v);
    return 0;
}

int mapfile_get(const struct mapfile *m, const char *key, mapfile_found *found, void *ctx,
                char *why, size_t why_size)
{
    MDB_val k = { strlen(key), (void *)key }, value;
    MDB_txn *txn;
    int r;

    if (!k.mv_size || k.mv_size > KEY_MAX)
        return -ENOENT;
    if (!is_whole(m)) { /* it was written over in its place, which is not how maps are made */
        snprintf(why, why_size, "%s", CUT_SHORT);
        return -EIO;
    }
    r = mdb_txn_begin(m->env, NULL, MDB_RDONLY, &txn);
    if (r == MDB_SUCCESS) {
        r = mdb_get(txn, m->dbi, &k, &value);
        if (r == MDB_SUCCESS)
            r = give(&value, found, ctx, why, why_size);
        mdb_txn_abort(txn);
    }
    if (r == MDB_NOTFOUND)
        return -ENOENT;
    if (r != MDB_SUCCESS && r != -EIO) {
        snprintf(why, why_size, "%s", mdb_strerror(r));
        r = -EIO;
    }
    return r;
}
