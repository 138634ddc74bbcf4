/* The files that aliases name: where they are, and whether they may be used. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "route/alias-set.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/text.h"

/* Is path below folder? Neither has ".." in it. */
static int is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    while (len > 1 && folder[len - 1] == '/')
        len--;
    if (len == 1 && *folder == '/')
        return path[1] != 0;
    return strncmp(path, folder, len) == 0 && path[len] == '/' && path[len + 1];
}

static int has_dots(const char *path)
{
    for (const char *p = path; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]))
            return 1;
    }
    return 0;
}

static int check_roots(const struct config_aliases *cfg, const char *path, const char **reterr_why)
{
    if (strcmp(path, ALIAS_DEV_NULL) == 0)
        return 0;
    if (has_dots(path)) {
        *reterr_why = "a path with \"..\" in it is not followed";
        return -EINVAL;
    }
    for (size_t i = 0; i < cfg->roots.n; i++) {
        if (is_below(path, cfg->roots.v[i]))
            return 0;
    }
    *reterr_why = cfg->roots.n ? "it is below none of aliases.roots"
                               : "aliases.roots names no folder, so aliases may name no files";
    return -EACCES;
}

/* --- VMS file specifications --- */

/* The folder of a logical name, from "NAME=/folder". */
static const char *logical(const struct config_aliases *cfg, const char *name, size_t len)
{
    for (size_t i = 0; i < cfg->logicals.n; i++) {
        const char *row = cfg->logicals.v[i];

        if (text_ncasecmp(row, name, len) == 0 && row[len] == '=')
            return row + len + 1;
    }
    return NULL;
}

static void add_lower(struct buf *out, const char *p, const char *end)
{
    for (; p < end; p++)
        buf_addc(out, text_lower(*p));
}

/* "[A.B]" or "<A.B>" as "/a/b"; "[000000]" is the top. */
static int add_directory(struct buf *out, const char **p)
{
    const char *close = strpbrk(*p, "]>");

    if (!close)
        return -EINVAL;
    for ((*p)++; *p < close;) {
        size_t n = strcspn(*p, ".]>");

        if (n == 0 || memchr(*p, '-', n) == *p)
            return -EINVAL; /* relative to a directory that nobody is in */
        if (n != 6 || memcmp(*p, "000000", 6) != 0) {
            buf_addc(out, '/');
            add_lower(out, *p, *p + n);
        }
        *p += n + (*p + n < close);
    }
    *p = close + 1;
    return 0;
}

/* DEV:[DIR.SUB]NAME.TYPE. malloc'ed. */
static char *vms_path(const struct config_aliases *cfg, const char *text, const char **reterr_why)
{
    const char *colon = strchr(text, ':'), *p = colon ? colon + 1 : text, *end;
    const char *folder = colon ? logical(cfg, text, (size_t)(colon - text)) : NULL;
    struct buf out = { 0 };

    *reterr_why = "aliases.logicals does not say which folder its logical name stands for";
    if (!folder)
        return NULL;
    buf_adds(&out, folder);
    while (out.len > 1 && out.data[out.len - 1] == '/')
        out.data[--out.len] = '\0';
    *reterr_why = "it is no VMS file specification that a folder can be made of";
    if ((*p == '[' || *p == '<') && add_directory(&out, &p) < 0)
        goto bad;
    end = p + strlen(p);
    if (end > p && end[-1] == '.')
        end--; /* "SMTP_ALIASES." has no type */
    if (p == end || strpbrk(p, "/:[]<>"))
        goto bad;
    buf_addc(&out, '/');
    add_lower(&out, p, end);
    return out.data;
bad:
    buf_free(&out);
    return NULL;
}

/* --- all of them --- */

char *alias_path(const struct config_aliases *cfg, const char *said_in, const char *text,
                 const char **reterr_why)
{
    const char *slash = strrchr(said_in, '/');
    char *path;

    if (*text == '/')
        path = mem_strdup(text);
    else if (strpbrk(text, ":["))
        path = vms_path(cfg, text, reterr_why);
    else
        path =
            mem_printf("%.*s/%s", slash ? (int)(slash - said_in) : 1, slash ? said_in : ".", text);
    if (path && check_roots(cfg, path, reterr_why) < 0) {
        free(path);
        return NULL;
    }
    return path;
}

int alias_path_allowed(const struct config_aliases *cfg, const char *path)
{
    char *real AUTO_FREE = realpath(path, NULL);

    if (!real)
        return -errno;
    if (strcmp(real, ALIAS_DEV_NULL) == 0)
        return 0;
    for (size_t i = 0; i < cfg->roots.n; i++) {
        char *root AUTO_FREE = realpath(cfg->roots.v[i], NULL);

        if (root && is_below(real, root))
            return 0;
    }
    return -EACCES;
}

char *alias_file_name(const char *path, unsigned flags, int64_t unix_seconds, char *buf,
                      size_t size)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    time_t t = (time_t)unix_seconds;
    struct tm tm;
    int n;

    localtime_r(&t, &tm);
    if ((flags & ALIAS_DATED) && !strchr(name, '.') && strcmp(path, ALIAS_DEV_NULL) != 0)
        n = snprintf(buf, size, "%s.%04d-%02d", path, tm.tm_year + 1900, tm.tm_mon + 1);
    else
        n = snprintf(buf, size, "%s", path);
    return n < 0 || (size_t)n >= size ? NULL : buf;
}
