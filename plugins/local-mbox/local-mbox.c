/* plugins/local-mbox: delivers into mailbox files, one a user (mbox, "mboxrd" quoting).
 *
 * One idea: a mailbox is worked at by one thread at a time, and whatever waits for it when that
 * thread begins shares one lock and one sync. Known gaps: no privileges are dropped to the user's,
 * so the folder must be one that users cannot rename things in; Return-Path fields that came with
 * the message stay; "+folder" is ignored. */
#include "local-mbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "queue.h"
#include "users.h"

/* clang-format off */
#define OPT(member, type, ...) POSTERN_OPT(struct settings, member, POSTERN_OPT_##type, __VA_ARGS__)

static const struct postern_option options[] = {
    OPT(path, PATH, .dflt = "/var/mail", .flags = POSTERN_OPT_WRITES,
        .doc = "The folder of the mailboxes, one file a user."),
    OPT(users, CHOICE, .choices = "passwd|any|existing", .dflt = "passwd",
        .doc = "Who has a mailbox: users of the system; any name; or who has a mailbox file "
               "already. A name that is not found as it is written is tried in lower case."),
    OPT(dot_lock, CHOICE, .choices = "yes|try|no", .dflt = "yes",
        .doc = "Whether to make NAME.lock beside the fcntl lock. \"try\": do without where the "
               "folder is not writable."),
    OPT(lock_timeout, DURATION, .dflt = "30s", .min = 0, .max = POSTERN_HOURS(1),
        .doc = "How long another program's lock is waited for before the message is deferred."),
    OPT(lock_stale, DURATION, .dflt = "5m", .min = POSTERN_SECONDS(1), .max = POSTERN_DAYS(1),
        .doc = "A NAME.lock of this age was left behind by a program that died, and is removed."),
    OPT(max_size, SIZE, .dflt = "0", .min = 0, .max = INT64_MAX,
        .doc = "How large a mailbox may grow. 0: any size."),
    {.key = NULL},
};
/* clang-format on */

struct local_mbox {
    struct queue queue;
    struct append a;
};

/* The folder itself may be missing on a new machine; what it stands in may not. */
static void make_folder(postern_host *host, const struct postern_services *svc, const char *path)
{
    if (mkdir(path, 0755) == 0)
        svc->log(host, POSTERN_LOG_NOTICE, "mbox.folder", "made=%s", path);
}

static int local_mbox_open(postern_host *host, const struct postern_services *svc,
                           const void *settings, void **ret_self)
{
    struct local_mbox *l = calloc(1, sizeof *l);

    if (!l)
        return -ENOMEM;
    l->a.host = host;
    l->a.svc = svc;
    l->a.set = settings;
    queue_init(&l->queue, &l->a);
    make_folder(host, svc, l->a.set->path);
    *ret_self = l;
    return 0;
}

static void settle(struct local_mbox *l, postern_job *job, size_t i, const struct problem *p)
{
    struct postern_outcome outcome = {
        .size = sizeof outcome,
        .fate = p->fate,
        .cause = p->cause,
        .diagnostic = p->text,
    };

    memcpy(outcome.status, p->status, sizeof outcome.status);
    l->a.svc->job_settle(job, i, &outcome);
}

static int deliver(void *self, postern_job *job)
{
    struct local_mbox *l = self;
    size_t n = l->a.svc->job_rcpts(job);

    for (size_t i = 0; i < n; i++) {
        char name[USER_MAX];
        const char *why = "";
        struct problem p;
        int r;

        if (user_name(l->a.svc->job_rcpt(job, i), name, &why) < 0) {
            problem_set(&p, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 1),
                        "no such user here: %s", why);
            settle(l, job, i, &p);
            continue;
        }
        r = queue_add(&l->queue, job, i, name);
        if (r < 0) {
            problem_errno(&p, -r, "deliver to", name);
            settle(l, job, i, &p);
        }
    }
    return 0;
}

static void cancel(void *self, postern_job *job)
{
    struct local_mbox *l = self;

    queue_cancel(&l->queue, job);
}

static void local_mbox_close(void *self)
{
    struct local_mbox *l = self;

    queue_done(&l->queue);
    free(l);
}

static const struct postern_transport_ops transport = {
    .size = sizeof transport,
    .deliver = deliver,
    .cancel = cancel,
};

POSTERN_PLUGIN(local_mbox, .name = "local-mbox", .version = "0.1.0",
               .summary = "delivers into mailbox files, one a user", .options = options,
               .settings_size = sizeof(struct settings), .open = local_mbox_open,
               .close = local_mbox_close, .transport = &transport,
               .flags = POSTERN_PLUGIN_PATHS);
