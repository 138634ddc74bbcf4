/* plugins/file: appends messages to files: archives, logs, what an alias with ">file" names.
 *
 * One idea: the file is found below a root that the operator named, and the kernel keeps it there;
 * everything else is as for a mailbox: two locks, one sync for all that wait, whole messages or
 * none. */
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "append.h"

/* clang-format off */
#define OPT(member, type, ...) POSTERN_OPT(struct settings, member, POSTERN_OPT_##type, __VA_ARGS__)

static const struct postern_option options[] = {
    OPT(roots, STRINGS, .flags = POSTERN_OPT_REQUIRED | POSTERN_OPT_WRITES, .min = 1,
        .max = FILE_ROOTS_MAX,
        .doc = "The folders, by their full paths, below which files may be; nothing leads out of "
               "them, no \"..\" and no symbolic link."),
    OPT(path, STRING,
        .doc = "The file, below the first root unless it is a full path. {user} {extension} "
               "{domain} stand for the recipient's, in lower case, and {date:%Y-%m} for the date, "
               "as in strftime."),
    OPT(allow_alias_files, BOOL, .dflt = "false",
        .doc = "Whether the route may name another file (parameter \"file\"), as an alias with a "
               "\">file\" does. It must be below one of the roots."),
    OPT(alias_type, STRING, .dflt = ".{date:%Y-%m}",
        .doc = "What is put behind the name of an alias's file that has no dot in it."),
    OPT(format, CHOICE, .choices = "mbox|raw", .dflt = "mbox",
        .doc = "As an mbox, with separators and quoted (mboxrd), or one message after the other as "
               "they are."),
    OPT(line_ends, CHOICE, .choices = "lf|crlf", .dflt = "lf",
        .doc = "What ends the lines; an mbox has \"lf\"."),
    OPT(return_path, BOOL, .dflt = "true",
        .doc = "Begin each header with a Return-Path field."),
    OPT(delivered_to, BOOL, .dflt = "true",
        .doc = "Begin each header with a Delivered-To field."),
    OPT(delimiters, STRING, .dflt = "+",
        .doc = "Any of these begins the extension of a local part: \"user+extension\"."),
    OPT(create, BOOL, .dflt = "true",
        .doc = "Whether to make a file that is missing."),
    OPT(mode, STRING, .dflt = "0600",
        .doc = "The mode of files that are made, octal; not writable by everybody."),
    OPT(make_folders, BOOL, .dflt = "false",
        .doc = "Whether to make folders that are missing below a root."),
    OPT(dot_lock, CHOICE, .choices = "yes|try|no", .dflt = "yes",
        .doc = "Whether to make NAME.lock beside the fcntl lock. \"try\": do without where the "
               "folder is not writable. It also says what a killed delivery has left, so that it "
               "can be taken out."),
    OPT(lock_timeout, DURATION, .dflt = "30s", .min = 0, .max = POSTERN_HOURS(1),
        .doc = "How long another program's lock is waited for before the message is deferred."),
    OPT(lock_stale, DURATION, .dflt = "5m", .min = POSTERN_SECONDS(1), .max = POSTERN_DAYS(1),
        .doc = "A NAME.lock of this age was left behind by a program that died, and is removed."),
    OPT(max_size, SIZE, .dflt = "0", .min = 0, .max = INT64_MAX,
        .doc = "How large a file may grow. 0: any size."),
    {.key = NULL},
};
/* clang-format on */

struct file {
    struct queue queue;
    const struct settings *set;
};

/* --- checking --- */

int file_mode(const char *text)
{
    size_t len = strlen(text);
    long mode = strtol(text, NULL, 8);

    if (!len || len > 4 || strspn(text, "01234567") != len || mode > 0777)
        return -EINVAL;
    return (int)mode;
}

static int check_roots(const struct settings *set, char *why, size_t why_size)
{
    for (size_t i = 0; i < set->roots.n; i++) {
        const char *root = set->roots.v[i];

        if (*root == '/' && strlen(root) < FILE_PATH_MAX)
            continue;
        snprintf(why, why_size, "roots: found \"%.100s\", expected the full path of a folder",
                 root);
        return -EINVAL;
    }
    return 0;
}

static int check_path(const struct settings *set, char *why, size_t why_size)
{
    struct file_name name;
    struct problem p;

    if (!set->path) {
        if (set->allow_alias_files)
            return 0;
        snprintf(why, why_size, "path is missing (only with allow_alias_files can it be)");
        return -EINVAL;
    }
    if (name_check("path", set->path, why, why_size) < 0)
        return -EINVAL;
    if (name_make(set, "user+extension@example.com", NULL, 0, &name, &p) < 0) {
        snprintf(why, why_size, "path: %s", p.text);
        return -EINVAL;
    }
    return 0;
}

static int file_check(const void *settings, char *why, size_t why_size)
{
    const struct settings *set = settings;
    int r = check_roots(set, why, why_size), mode = file_mode(set->mode);

    if (!r)
        r = check_path(set, why, why_size);
    if (!r)
        r = name_check("alias_type", set->alias_type, why, why_size);
    if (!r && (mode < 0 || (mode & 0602) != 0600)) {
        snprintf(
            why, why_size,
            "mode: found \"%.20s\", expected an octal number such as \"0640\": the owner reads "
            "and writes, not everybody writes",
            set->mode);
        r = -EINVAL;
    }
    if (!r && set->line_ends == ENDS_CRLF && set->format == FORMAT_MBOX) {
        snprintf(why, why_size,
                 "line_ends: an mbox has \"lf\"; \"crlf\" goes with \"format\": "
                 "\"raw\"");
        r = -EINVAL;
    }
    return r;
}

/* --- life --- */

static int file_open(postern_host *host, const struct postern_services *svc, const void *settings,
                     void **ret_self)
{
    struct file *f = calloc(1, sizeof *f);

    if (!f)
        return -ENOMEM;
    f->set = settings;
    queue_init(&f->queue,
               &(struct queue_for){
                   .host = host,
                   .svc = svc,
                   .ops = &append_ops,
                   .self = settings,
                   .lock_timeout = f->set->lock_timeout,
               });
    *ret_self = f;
    return 0;
}

static const char *refuse(const struct file *f, const char *alias)
{
    if (alias && !f->set->allow_alias_files)
        return "the route names a file, and allow_alias_files does not allow that";
    if (!alias && !f->set->path)
        return "there is no path, and the route names no file";
    return NULL;
}

static int put(struct file *f, postern_job *job, size_t i, const struct file_name *name)
{
    char key[2 * FILE_PATH_MAX + 2];
    struct delivery *d;
    struct sheet *s;

    /* No path has an empty component: the root ends at the last "//", and roots may overlap. */
    snprintf(key, sizeof key, "%s//%s", name->root, name->path);
    d = queue_new(&f->queue, job, i, key);
    if (!d)
        return -ENOMEM;
    s = (struct sheet *)d->place;
    if (!s->name.root) /* it is new, and no thread reads that */
        s->name = *name;
    queue_put(&f->queue, d);
    return 0;
}

static void deliver_one(struct file *f, postern_job *job, size_t i, const char *alias)
{
    const struct postern_services *svc = f->queue.a.svc;
    const char *refused = refuse(f, alias);
    struct file_name name;
    struct problem p;
    int r = 0;

    if (refused) {
        problem_set(&p, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5), "%s", refused);
        r = -EPERM;
    }
    if (!r)
        r = name_make(f->set, svc->job_rcpt(job, i), alias, time(NULL), &name, &p);
    if (!r) {
        r = put(f, job, i, &name);
        if (r < 0)
            problem_errno(&p, -r, "deliver to", name.path);
    }
    if (r < 0)
        problem_settle(&p, svc, job, i);
}

static int deliver(void *self, postern_job *job)
{
    struct file *f = self;
    const struct postern_services *svc = f->queue.a.svc;
    const char *alias = svc->job_param(job, "file");

    for (size_t i = 0, n = svc->job_rcpts(job); i < n; i++)
        deliver_one(f, job, i, alias);
    return 0;
}

static void cancel(void *self, postern_job *job)
{
    struct file *f = self;

    queue_cancel(&f->queue, job);
}

static void file_close(void *self)
{
    struct file *f = self;

    queue_done(&f->queue);
    free(f);
}

static const struct postern_transport_ops transport = {
    .size = sizeof transport,
    .deliver = deliver,
    .cancel = cancel,
};

static const char *const params[] = { "file", NULL };

POSTERN_PLUGIN(file, .name = "file", .version = "0.1.0",
               .summary = "appends messages to files, as mbox or as they are", .options = options,
               .settings_size = sizeof(struct settings), .check = file_check, .open = file_open,
               .close = file_close, .transport = &transport, .params = params,
               .flags = POSTERN_PLUGIN_PATHS | POSTERN_PLUGIN_NO_NEXT_HOP);
