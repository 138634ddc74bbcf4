/* plugins/local-mbox: delivers into mailboxes of users: files ("mboxrd" quoting) or Maildirs.
 *
 * One idea: a mailbox is worked at by one thread at a time, and whatever waits for it when that
 * thread begins shares one lock and one sync. Known gaps: where mailboxes are not in the users'
 * homes, their folder must be one that users cannot rename things in; Return-Path fields that came
 * with the message stay. */
#include "local-mbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "append.h"
#include "notify.h"

/* clang-format off */
#define OPT(member, type, ...) POSTERN_OPT(struct settings, member, POSTERN_OPT_##type, __VA_ARGS__)

static const struct postern_option options[] = {
    OPT(path, PATH, .dflt = "/var/mail", .flags = POSTERN_OPT_WRITES,
        .doc = "The folder of the mailboxes, one a user."),
    OPT(mailbox, STRING, .flags = POSTERN_OPT_WRITES,
        .doc = "In place of path, where a user's mailbox is, such as \"~/Maildir\" or "
               "\"/srv/mail/{domain}/{user}\"; {user}, {domain} and {folder} are filled in, and "
               "what is missing of the folders is made."),
    OPT(format, CHOICE, .choices = "mbox|maildir", .dflt = "mbox",
        .doc = "What a mailbox is: a file of messages, or a folder with a file for each."),
    OPT(users, CHOICE, .choices = "passwd|any|existing", .dflt = "passwd",
        .doc = "Who has a mailbox: users of the system; any name; or who has a mailbox file "
               "already. A name that is not found as it is written is tried in lower case."),
    OPT(folders, CHOICE, .choices = "no|existing|yes", .dflt = "existing",
        .doc = "Whether user+FOLDER is delivered to a folder of the user's: never, where there is "
               "one, or always. Folders have letters, # and _ in their names; anything else is a "
               "tag and means the inbox, but for a comma, which is an error."),
    OPT(lowercase_user, BOOL, .dflt = "false",
        .doc = "Take user names in lower case at once, and show them so in VMS style."),
    OPT(dot_lock, CHOICE, .choices = "yes|try|no", .dflt = "yes",
        .doc = "Whether to make NAME.lock beside the fcntl lock. \"try\": do without where the "
               "folder is not writable."),
    OPT(lock_timeout, DURATION, .dflt = "30s", .min = 0, .max = POSTERN_HOURS(1),
        .doc = "How long another program's lock is waited for before the message is deferred."),
    OPT(lock_stale, DURATION, .dflt = "5m", .min = POSTERN_SECONDS(1), .max = POSTERN_DAYS(1),
        .doc = "A NAME.lock of this age was left behind by a program that died, and is removed."),
    OPT(max_size, SIZE, .dflt = "0", .min = 0, .max = INT64_MAX,
        .doc = "How large a mailbox may grow. 0: any size."),
    OPT(max_messages, INT, .dflt = "0", .min = 0, .max = 100000000,
        .doc = "How many messages a mailbox may have. 0: any number. To count them, an mbox is "
               "read through for each batch."),
    OPT(full, CHOICE, .choices = "defer|refuse", .dflt = "defer",
        .doc = "What comes of mail for a full mailbox: it is tried again (4.2.2), or returned "
               "(5.2.2)."),
    OPT(quota, CHOICE, .choices = "respect|ignore", .dflt = "respect",
        .doc = "\"ignore\": max_size and max_messages hold nobody up."),
    OPT(style, CHOICE, .choices = "internet|vms", .dflt = "internet",
        .doc = "How messages are kept: as they are, or as VMS MAIL shows them: From, To, CC and "
               "Subj, and the message with its headers behind an empty line."),
    OPT(header_control, CHOICE, .choices = "all|major|none", .dflt = "all",
        .doc = "VMS style: which header fields are shown behind those four."),
    OPT(headers, CHOICE, .choices = "top|bottom|omitted", .dflt = "top",
        .doc = "VMS style: where they are shown."),
    OPT(reply_control, STRINGS, .max = 7,
        .doc = "VMS style: header fields whose address is looked for first for the From line, such "
               "as \"from\"; then the rest of Resent-Reply-To, Resent-From, Reply-To, From, "
               "Resent-Sender, Sender, Return-Path."),
    OPT(use_x_vms, BOOL, .dflt = "true",
        .doc = "VMS style: take the lines To and CC from X-VMS-To and X-VMS-CC if they are there."),
    OPT(use_rfc822_to, BOOL, .dflt = "true",
        .doc = "VMS style: take them from To and Cc where X-VMS-To and X-VMS-CC say nothing; or "
               "else To is the user's name, and CC is empty."),
    OPT(vmsdef_to, BOOL, .dflt = "false",
        .doc = "VMS style: To is the user's name, whatever the message says."),
    OPT(jacket_local, BOOL, .dflt = "false",
        .doc = "VMS style: write SMTP%\"user@host\" also for users of this place, not only their "
               "names."),
    OPT(notify, STRINGS, .max = NOTIFY_ARGS_MAX,
        .doc = "Command that is told of new mail: a program's absolute path and its arguments, "
               "with {user}, {recipient}, {sender}, {folder}, {mailbox} and {id} filled in; "
               "without a shell."),
    OPT(notify_timeout, DURATION, .dflt = "10s", .min = POSTERN_SECONDS(1), .max = POSTERN_HOURS(1),
        .doc = "After this it is ended."),
    {.key = NULL},
};
/* clang-format on */

/* What would meet any mailbox is the plugin's trouble: its folder is missing. And a user may have
 * too many processes for us to become him. */
const struct problem_kind mailbox_errors[] = {
    { ENOTDIR, POSTERN_CAUSE_PLUGIN, { 4, 3, 5 } },
    { ENOENT, POSTERN_CAUSE_PLUGIN, { 4, 3, 5 } },
    { EAGAIN, POSTERN_CAUSE_RECIPIENT, { 4, 3, 0 } },
    { .err = 0 },
};

void mailbox_errno(struct problem *p, int err, const char *what, const char *path)
{
    problem_errno_of(p, mailbox_errors, err, what, path);
}

struct local_mbox {
    struct queue queue;
    struct append a;
    struct notify notify;
};

/* The folder itself may be missing on a new machine; what it stands in may not. */
static void make_folder(postern_host *host, const struct postern_services *svc, const char *path)
{
    if (mkdir(path, 0755) == 0)
        svc->log(host, POSTERN_LOG_NOTICE, "mbox.folder", "made=%s", POSTERN_LOG_QUOTED(path));
}

static int local_mbox_open(postern_host *host, const struct postern_services *svc,
                           const void *settings, void **ret_self)
{
    struct local_mbox *l = calloc(1, sizeof *l);

    if (!l)
        return -ENOMEM;
    l->a.set = settings;
    l->a.notify = &l->notify;
    l->a.hostname = svc->hostname(host);
    notify_init(&l->notify, host, svc, settings);
    queue_init(&l->queue,
               &(struct queue_for){
                   .host = host,
                   .svc = svc,
                   .ops = &append_ops,
                   .self = &l->a,
                   .lock_timeout = l->a.set->lock_timeout,
               });
    if (!l->a.set->mailbox)
        make_folder(host, svc, l->a.set->path);
    *ret_self = l;
    return 0;
}

static int put(struct local_mbox *l, postern_job *job, size_t i, const struct addressee *whom)
{
    char key[ADDRESSEE_KEY_MAX];
    struct delivery *d;

    addressee_key(l->a.set, whom, key);
    d = queue_new(&l->queue, job, i, key);
    if (!d)
        return -ENOMEM;
    ((struct entry *)d)->whom = *whom;
    queue_put(&l->queue, d);
    return 0;
}

static void deliver_one(struct local_mbox *l, postern_job *job, size_t i)
{
    const struct postern_services *svc = l->queue.a.svc;
    struct addressee whom;
    const char *why = "";
    struct problem p;
    int r = addressee_parse(l->a.set, svc->job_rcpt(job, i), &whom, &why);

    if (r == -EBADMSG)
        problem_set(&p, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 3),
                    "no such folder can be: %s", why);
    else if (r < 0)
        problem_set(&p, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 1),
                    "no such user here: %s", why);
    if (!r) {
        r = put(l, job, i, &whom);
        if (r < 0)
            mailbox_errno(&p, -r, "deliver to", whom.name);
    }
    if (r < 0)
        problem_settle(&p, svc, job, i);
}

static int deliver(void *self, postern_job *job)
{
    struct local_mbox *l = self;
    size_t n = l->queue.a.svc->job_rcpts(job);

    for (size_t i = 0; i < n; i++)
        deliver_one(l, job, i);
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

    notify_done(&l->notify);
    queue_done(&l->queue);
    free(l);
}

static const struct postern_transport_ops transport = {
    .size = sizeof transport,
    .deliver = deliver,
    .cancel = cancel,
};

POSTERN_PLUGIN(local_mbox, .name = "local-mbox", .version = "0.1.0",
               .summary = "delivers into mailboxes of users, files or Maildirs", .options = options,
               .settings_size = sizeof(struct settings), .check = check_settings,
               .open = local_mbox_open, .close = local_mbox_close, .transport = &transport,
               .flags = POSTERN_PLUGIN_PATHS | POSTERN_PLUGIN_NO_NEXT_HOP);
