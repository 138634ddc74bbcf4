/* name.c: see file.h.
 *
 * A file's name may have pieces of an address in it, and addresses are chosen by strangers. So a
 * piece is never more than a piece of one component, and never makes one hidden; "Bob" and "bob"
 * have one file. What the operator wrote around it, and what an alias says, must stay below the
 * roots; that no symbolic link leads out of them is the business of whoever opens the file. */
#include "file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define LOCK_SUFFIX ".lock"
#define ROOM        64              /* behind the name: its lock's needs that, too */
#define LEAF_MAX    (NAME_MAX - 32) /* likewise behind its last component: ".lock.PID.TID" */

struct ctx {
    const char *delimiters, *rcpt;
    int64_t now;
    const char *why; /* out: what is wrong with the recipient */
    int pieces;      /* out: of his address, that the name has */
};

/* --- pieces --- */

static int put_piece(struct ctx *c, const char *piece, char *buf, size_t size)
{
    size_t len = strlen(piece);

    c->pieces++;
    if (*piece == '.')
        c->why = "begins with a dot";
    for (const char *p = piece; *p; p++) {
        if (*p == '/' || (unsigned char)*p < 0x20 || *p == 0x7f)
            c->why = "has a character that cannot be in a file's name";
    }
    if (c->why)
        return -EPERM;
    if (len > size)
        return -ENOBUFS;
    for (size_t i = 0; i < len; i++)
        buf[i] = (char)(piece[i] >= 'A' && piece[i] <= 'Z' ? piece[i] + ('a' - 'A') : piece[i]);
    return (int)len;
}

/* The format is the operator's, or an alias's: it formats a date, nothing else. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static int put_date(int64_t now, const char *format, char *buf, size_t size)
{
    char text[256];
    time_t when = (time_t)now;
    struct tm tm;
    size_t n;

    localtime_r(&when, &tm);
    n = strftime(text, sizeof text, format, &tm);
    if (!n)
        return -ENOENT;
    if (n > size)
        return -ENOBUFS;
    memcpy(buf, text, n);
    return (int)n;
}

#pragma GCC diagnostic pop

static int value(void *ctx, const char *name, const char *argument, char *buf, size_t size)
{
    struct ctx *c = ctx;
    struct postern_recipient r;

    if (argument)
        return !strcmp(name, "date") ? put_date(c->now, argument, buf, size) : -ENOENT;
    if (strcmp(name, "user") != 0 && strcmp(name, "extension") != 0 && strcmp(name, "domain") != 0)
        return -ENOENT;
    if (postern_recipient_parse(c->rcpt, c->delimiters, &r, &c->why) < 0)
        return -EPERM;
    return put_piece(c, *name == 'u' ? r.user : *name == 'e' ? r.extension : r.domain, buf, size);
}

int name_check(const char *key, const char *text, char *why, size_t why_size)
{
    struct ctx c = { .delimiters = "+", .rcpt = "user+extension@example.com" };
    const char *at = text;

    if (postern_template_expand(text, value, &c, NULL, 0, &at) >= 0)
        return 0;
    snprintf(
        why, why_size,
        "%s: found \"%.60s\", expected one of {user} {extension} {domain} {date:%%Y-%%m} (as of "
        "strftime); write \"{{\" for a brace",
        key, at);
    return -EINVAL;
}

/* --- the whole --- */

static const char *wrong_path(const char *path)
{
    size_t len = strlen(path);

    if (!len || path[len - 1] == '/')
        return "it names no file";
    if (len > sizeof LOCK_SUFFIX - 1 &&
        !strcasecmp(path + len - (sizeof LOCK_SUFFIX - 1), LOCK_SUFFIX))
        return "it is the name of a lock";
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");

        if (!n)
            return "a folder in it has no name";
        if (n > (p[n] ? NAME_MAX : LEAF_MAX))
            return "it is too long";
        if (*p == '.' && (n == 1 || (n == 2 && p[1] == '.')))
            return "\"..\" and \".\" have no place in it";
        p += n + (p[n] == '/');
    }
    return NULL;
}

/* Takes the root off an absolute path. */
static int find_root(const struct settings *set, const char *path, struct file_name *ret)
{
    const char *below = path;

    ret->root = set->roots.v[0];
    if (*path == '/') {
        ret->root = NULL;
        for (size_t i = 0; i < set->roots.n && !ret->root; i++) {
            size_t len = strlen(set->roots.v[i]);

            while (len > 1 && set->roots.v[i][len - 1] == '/')
                len--;
            if (strncmp(path, set->roots.v[i], len) != 0 || path[len] != '/')
                continue;
            ret->root = set->roots.v[i];
            below = path + len + 1;
        }
    }
    if (!ret->root)
        return -EPERM;
    snprintf(ret->path, sizeof ret->path, "%s", below); /* it fits: path is no longer than that */
    return 0;
}

static int expand(struct ctx *c, const char *text, char *buf, size_t size, struct problem *reterr)
{
    int n = postern_template_expand(text, value, c, buf, size, NULL);

    if (n >= 0)
        return n;
    if (c->why)
        problem_set(reterr, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 1),
                    "no such file for %s: the address %s", c->rcpt, c->why);
    else
        problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                    "the file's name \"%.200s\" %s", text,
                    n == -ENOBUFS ? "is too long" : "has a placeholder that means nothing");
    return n;
}

static int has_type(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strchr(slash ? slash : path, '.') != NULL;
}

static int unusable(const char *path, const char *wrong, struct problem *reterr)
{
    problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the file's name \"%s\" cannot be used: %s", path, wrong);
    return -EINVAL;
}

static int make(const struct settings *set, struct ctx *c, const char *alias, struct file_name *ret,
                struct problem *reterr)
{
    char path[FILE_PATH_MAX - ROOM];
    const char *wrong;
    int n = expand(c, alias ? alias : set->path, path, sizeof path, reterr);

    if (n >= 0 && alias && (!n || path[n - 1] == '/'))
        return unusable(path, "it names no file", reterr); /* nor does its type alone */
    if (n >= 0 && alias && !has_type(path)) {
        int more = expand(c, set->alias_type, path + n, sizeof path - (size_t)n, reterr);

        n = more < 0 ? more : n + more;
    }
    if (n < 0)
        return n;
    if (find_root(set, path, ret) < 0) {
        problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                    "the file %s is below none of the roots", path);
        return -EPERM;
    }
    wrong = wrong_path(ret->path);
    return wrong ? unusable(path, wrong, reterr) : 0;
}

/* Is the name good, but for the address that is in it? Then there is nothing for the operator to
 * mend, and no mail for the sender to wait for. */
static int is_to_blame(const struct settings *set, const struct ctx *c, const char *alias)
{
    char delimiter = set->delimiters && *set->delimiters ? *set->delimiters : '+', rcpt[64];
    struct ctx other = { .delimiters = c->delimiters, .rcpt = rcpt, .now = c->now };
    struct file_name ignored;
    struct problem p;

    snprintf(rcpt, sizeof rcpt, "user%cextension@example.com", delimiter);
    return c->pieces && make(set, &other, alias, &ignored, &p) == 0;
}

int name_make(const struct settings *set, const char *rcpt, const char *alias, int64_t now,
              struct file_name *ret, struct problem *reterr)
{
    struct ctx c = { .delimiters = set->delimiters, .rcpt = rcpt, .now = now };
    struct problem p;
    int r = make(set, &c, alias, ret, &p);

    if (r < 0 && p.fate == POSTERN_DEFERRED && is_to_blame(set, &c, alias))
        problem_set(reterr, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 1),
                    "no such file for %.300s: %s", rcpt, p.text);
    else if (r < 0)
        *reterr = p;
    return r;
}
